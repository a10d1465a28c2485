"""How well a tokenizer fits text, domain by domain."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gnomon.base.progress import Progress, silent
from gnomon.taxonomy import SPECIAL_TOKENS
from gnomon.tokenizer.tokenizer import Tokenizer

BATCH_BYTES = 1 << 20
LONGEST = 10
"""Tokens that a report shows."""


@dataclass
class Fit:
    """Counts over the texts of one domain. `fragments` are tokens that are one byte of a longer character."""

    texts: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0
    fragments: int = 0
    changed: int = 0
    used: int = 0
    special_names: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts and what follows from them; null where there is nothing to divide by."""
        return asdict(self) | {
            "bytes_per_token": _ratio(self.bytes, self.tokens),
            "tokens_per_word": _ratio(self.tokens, self.words),
            "fragment_share": _ratio(self.fragments, self.tokens),
        }


@dataclass(frozen=True)
class Report:
    """What a tokenizer makes of the texts of each domain, and of all; `unused` are ids that no text became, but for
    special tokens. `changed` texts do not come back from their ids. Names of special tokens in a text stay text.
    """

    vocabulary: int
    tokens: int
    pretokenizer: str | None
    domains: dict[str, Fit]
    total: Fit
    unused: list[int]
    longest: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        domains = {name: fit.as_dict() for name, fit in self.domains.items()}
        return asdict(self) | {"domains": domains, "total": self.total.as_dict()}


def report(tokenizer: Tokenizer, texts: Mapping[str, Iterable[str]], progress: Progress = silent) -> Report:
    """Return how `tokenizer` fits the texts of each domain. Memory holds a megabyte of them at a time."""
    measuring = _Measuring(tokenizer)
    fits, counts = {}, np.zeros(tokenizer.tokens, np.int64)
    done = 0
    for name, ones in texts.items():
        fit, seen = Fit(), np.zeros(tokenizer.tokens, np.int64)
        for batch in _batches(ones):
            measuring.add(batch, fit, seen)
            progress("measuring the tokenizer", done + fit.bytes, None, "bytes")
        done += fit.bytes
        fit.used = int(np.count_nonzero(seen))
        fits[name] = fit
        counts += seen
    plain = np.ones(tokenizer.tokens, bool)
    plain[sorted(tokenizer.special_ids)] = False
    parts = [(-len(part), i) for i, part in enumerate(tokenizer.token_bytes) if plain[i]]
    return Report(
        vocabulary=tokenizer.vocabulary,
        tokens=tokenizer.tokens,
        pretokenizer=tokenizer.pretokenizer,
        domains=fits,
        total=_sum(fits.values(), int(np.count_nonzero(counts))),
        unused=np.flatnonzero((counts == 0) & plain).tolist(),
        longest=[tokenizer.token_bytes[i].decode(errors="replace") for _, i in sorted(parts)[:LONGEST]],
    )


class _Measuring:
    """Counts batches of texts into a Fit, and the ids into an array."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        fragments = [len(part) == 1 and part[0] >= 0x80 for part in tokenizer.token_bytes]
        self._is_fragment = np.array(fragments, bool)
        self._names = re.compile("|".join(map(re.escape, {*SPECIAL_TOKENS, *_special_names(tokenizer)})))

    def add(self, batch: list[str], fit: Fit, seen: np.ndarray) -> None:
        """Count one batch."""
        encoded = self._tokenizer.encode_batch(batch)
        ids = np.concatenate([np.array(one, np.int64) for one in encoded])
        counts = np.bincount(ids, minlength=len(seen))
        seen += counts
        fit.texts += len(batch)
        fit.bytes += sum(len(text.encode()) for text in batch)
        fit.words += sum(len(text.split()) for text in batch)
        fit.tokens += len(ids)
        fit.fragments += int(counts[self._is_fragment].sum())
        fit.changed += sum(self._tokenizer.decode(one) != text for one, text in zip(encoded, batch, strict=True))
        names = Counter(fit.special_names)
        for text in batch:
            names.update(self._names.findall(text))
        fit.special_names = dict(sorted(names.items()))


def _special_names(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.token_texts[i] for i in sorted(tokenizer.special_ids)]


def _batches(texts: Iterable[str]) -> Iterable[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _sum(fits: Iterable[Fit], used: int) -> Fit:
    total, names = Fit(used=used), Counter[str]()
    for fit in fits:
        for key in ("texts", "bytes", "words", "tokens", "fragments", "changed"):
            setattr(total, key, getattr(total, key) + getattr(fit, key))
        names.update(fit.special_names)
    total.special_names = dict(sorted(names.items()))
    return total


def _ratio(a: int, b: int) -> float | None:
    return a / b if b else None
