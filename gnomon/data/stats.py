"""What a dataset version is like, in numbers: how long its documents are, which ids it uses, how it fills rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gnomon.base.progress import Progress
from gnomon.data.exchange.export import batches_of
from gnomon.data.exchange.sequences import hashes_of
from gnomon.data.streaming.pack import WINDOW_DOCUMENTS, rows_needed
from gnomon.store.datasets import Dataset, Split
from gnomon.tokenizer.tokenizer import Tokenizer

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
"""Per cent of the documents."""
RARE = 10
"""An id that training reads less often in an epoch is rare."""
TOP = 20


def measure_dataset(
    dataset: Dataset, contexts: Sequence[int], budget_tokens: int | None, progress: Progress
) -> dict[str, Any]:
    """Return what `gnomon data stats` shows: `splits` (each with its `sources`), `vocabulary`, `top`, `repeated`,
    `rows` by context, and `epochs` for a budget of tokens.

    Lengths count the end-of-text in front of each document. Reads every id once; memory holds about 40 bytes a
    document. Raises IntegrityError for a dataset that is damaged.
    """
    lengths = {
        split: {name: np.diff(part.offsets.astype(np.int64)) for name, part in dataset.sources(split).items()}
        for split in dataset.manifest["splits"]
    }
    splits: dict[str, Any] = {}
    for split, parts in lengths.items():
        sources = {name: _of(dataset.sources(split)[name], found) for name, found in parts.items()}
        whole = np.concatenate(list(parts.values()))
        splits[split] = _of(dataset.split(split), whole) | {"sources": sources}
    budget = None if budget_tokens is None else _epochs(splits["train"], budget_tokens)
    return {
        "dataset": dataset.name,
        "version": dataset.version,
        "digest": dataset.digest,
        "splits": splits,
        **_usage(dataset),
        "repeated": _repeated(dataset, progress),
        "rows": {str(context): _rows(list(lengths["train"].values()), context) for context in contexts},
        "epochs": budget,
    }


def _of(split: Split, lengths: np.ndarray) -> dict[str, Any]:
    ordered = np.sort(lengths)
    places = [max(0, -(-len(ordered) * share // 100) - 1) for share in QUANTILES]
    return {
        "documents": split.documents,
        "tokens": split.n_tokens,
        "bytes": split.bytes,
        "bytes_per_token": split.bytes / split.n_tokens if split.n_tokens else None,
        "mean_length": split.n_tokens / split.documents if split.documents else None,
        "quantiles": {str(q): int(ordered[p]) for q, p in zip(QUANTILES, places, strict=True)} if len(ordered) else {},
        "histogram": _histogram(lengths),
    }


def _histogram(lengths: np.ndarray) -> list[list[int]]:
    """Return how many documents have how many tokens: [from, to, count], doubling."""
    if not len(lengths):
        return []
    power = np.frexp(lengths.astype(np.float64))[1] - 1  # exact: the place of the highest bit
    counts = np.bincount(power)
    first = int(power.min())
    return [[1 << p, (2 << p) - 1, int(counts[p])] for p in range(first, len(counts))]


def _usage(dataset: Dataset) -> dict[str, Any]:
    """Return how the training text uses the tokenizer's ids, and the ids that it uses most."""
    tokenizer = Tokenizer.load(dataset.tokenizer_path)
    counts = np.stack(list(dataset.unigrams("train").values())).sum(axis=0, dtype=np.uint64)
    used, total = counts[: tokenizer.tokens], int(counts.sum())
    order = np.lexsort((np.arange(len(used)), np.uint64(total) - used))[:TOP]
    return {
        "vocabulary": {
            "ids": len(counts),
            "tokens": tokenizer.tokens,
            "never": int((used == 0).sum()),
            "rare": int(((used > 0) & (used < RARE)).sum()),
            "rare_below": RARE,
        },
        "top": [
            {
                "id": i,
                "text": tokenizer.decode([i], specials=True) or tokenizer.token_texts[i],
                "count": int(used[i]),
                "share": int(used[i]) / total,
            }
            for i in order.tolist()
            if used[i]
        ],
    }


def _repeated(dataset: Dataset, progress: Progress) -> dict[str, int]:
    """Return how many documents of each split are there before with the same ids, and how many of the training text are
    in the validation text.
    """
    names = list(dataset.manifest["splits"])
    total, done = sum(dataset.split(name).n_tokens for name in names), 0
    found: dict[str, np.ndarray] = {}
    for name in names:
        hashes = [np.zeros((0, 2), np.uint64)]
        for batch in batches_of(dataset.split(name)):
            hashes.append(hashes_of(batch.ids, batch.lengths))
            progress("reading ids", done := done + len(batch.ids), total, "tokens")
        found[name] = np.sort(np.concatenate(hashes).astype(">u8").view("S16").reshape(-1))
    different = {name: np.unique(hashes) for name, hashes in found.items()}
    repeated = {name: len(found[name]) - len(different[name]) for name in names}
    held = different["validation"]
    repeated["train in validation"] = int(np.isin(found["train"], held).sum())
    return repeated


def _rows(lengths: Sequence[np.ndarray], context: int) -> dict[str, Any]:
    """Return how many rows of a context the sources give in an epoch, and how full they are: only the last row of each
    window of documents has a gap.
    """
    rows = tokens = longer = 0
    for found in lengths:
        if len(found):
            windows = np.add.reduceat(found, np.arange(0, len(found), WINDOW_DOCUMENTS))
            rows += sum(rows_needed(size, context) for size in windows.tolist())
            tokens, longer = tokens + int(found.sum()), longer + int((found > context).sum())
    documents = sum(map(len, lengths))
    return {
        "rows": rows,
        "fill": tokens / (rows * context) if rows else None,
        "longer_documents": longer / documents if documents else None,
    }


def _epochs(train: dict[str, Any], budget: int) -> dict[str, Any]:
    """Return how often the training text is read: as a whole, and each source if it were read alone."""
    alone = {name: budget / part["tokens"] for name, part in train["sources"].items() if part["tokens"]}
    return {"tokens": budget, "all": budget / train["tokens"], "alone": alone}
