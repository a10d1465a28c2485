"""How many tokens each source will have, from a sample of its files, before anything is prepared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.progress import Progress
from gnomon.config import DataConfig, SourceConfig, TokenizerConfig
from gnomon.data.classification.classifier import load_classifier
from gnomon.data.classification.domains import Sorter, asked_of, choices_of, chosen, fields_of
from gnomon.data.document import Document
from gnomon.data.forms.form import form_of
from gnomon.data.reading.read import Source, read_documents
from gnomon.data.recipe import files_of, told_apart
from gnomon.tokenizer.foreign import import_tokenizer
from gnomon.tokenizer.train import train_tokenizer

SAMPLE_BYTES = 1 << 20
"""Of text, of each source."""
FILES = 16
"""That a source's sample is read from."""


@dataclass(frozen=True)
class Sampled:
    """Documents of a source, the sources that they are of when domains are told apart, and the bytes of text that all
    files of the source hold, as far as the sample tells.
    """

    texts: list[str]
    names: list[str]
    bytes: float


def estimate_supply(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, told: Progress) -> dict[str, int]:
    """Return about how many tokens there are to train on by source, a domain being one, from up to 1 MiB of each.

    A tokenizer is learned from every other document of the samples, unless the config names one, and the others are
    counted with it. What is left out as poor, double or in a suite is not known yet, and is in it; what is held out, or
    over a budget, is not.
    Raises DataError for text that is missing or unreadable.
    """
    found = {}
    for number, source in enumerate(data.named):
        told("looking into the text", number, len(data.named), "sources")
        found[source.name or ""] = _sample(data, source, told)
    if tokenizer.path:
        learned = import_tokenizer(Path(tokenizer.path))
    else:
        halves = (text for sampled in found.values() for text in sampled.texts[::2])
        learned = train_tokenizer(halves, vocabulary, tokenizer.pretokenizer, kind=tokenizer.kind)
    supply = Counter[str]()
    budgets: Mapping[str, int | None] = {source.name or "": source.tokens for source in data.named}
    for name, sampled in found.items():
        seen = sampled.texts[1::2] or sampled.texts
        size = sum(len(text.encode()) for text in seen)
        tokens = sum(1 + len(ids) for ids in learned.encode_batch(seen)) * sampled.bytes / size
        tokens *= 1 if data.validation else 1 - data.validation_share
        tokens = min(tokens, budgets[name] or tokens)
        of_names = Counter[str]()
        for whose, text in zip(sampled.names, sampled.texts, strict=True):
            of_names[whose] += len(text.encode())
        for whose, size in of_names.items():
            supply[whose] += int(tokens * size / sum(of_names.values()))
    return dict(supply)


def _sample(data: DataConfig, source: SourceConfig, told: Progress) -> Sampled:
    files = files_of(source.paths, Path(data.root), told)
    named = list(zip(files, told_apart(files), strict=True))
    some = [named[i * len(files) // FILES] for i in range(FILES)] if len(files) > FILES else named
    texts, names, on_disk = list[str](), list[str](), 0
    for file, name in some:
        here, read = _documents(data, source, file, SAMPLE_BYTES // len(some))
        on_disk += read
        texts += [document.text for document in here]
        names += _names(data, source, name, here)
    if not texts:
        do = "check that the files hold text of their own, and data.text_field"
        raise DataError("nothing of this source can be used", where=", ".join(source.paths), do=do)
    size = sum(len(text.encode()) for text in texts)
    return Sampled(texts, names, size * sum(file.bytes for file in files) / max(1, on_disk))


def _documents(data: DataConfig, source: SourceConfig, file: Source, limit: int) -> tuple[list[Document], int]:
    """Return the first documents of a file, of `limit` bytes of text or a little more, and the bytes that they take on
    disk.
    """
    found, size, places = list[Document](), 0, [0]
    field, separator = source.text_field or data.text_field, source.separator or data.separator
    fields = fields_of(asked_of(data.domains, source.name or ""))
    form = form_of(source)
    for document in read_documents(file, field, separator, lambda _: None, places.append, fields=fields, form=form):
        found.append(document)
        size += len(document.text.encode())
        if size >= limit:
            break
    else:
        return found, file.bytes
    if not places[-1]:  # one that tells no place before its first rows are read: as if it were unpacked text
        return found, min(file.bytes, size)
    return found, min(file.bytes, places[-1])


def _names(data: DataConfig, source: SourceConfig, file: str, documents: Sequence[Document]) -> list[str]:
    name = source.name or ""
    learned = load_classifier(Path(data.domain_classifier))[0] if data.domain_classifier else None
    choices = choices_of(data.domains, name, source.domain, file, learned.labels if learned else ())
    names = list(dict.fromkeys(choice.source for choice in choices))
    texts, fields = [d.text for d in documents], [d.fields for d in documents]
    true = Sorter(asked_of(data.domains, name), learned).sort(texts, fields, [d.goes_on for d in documents])
    return [names[i] for i in chosen([choices], np.zeros(len(texts), int), true, names).tolist()]
