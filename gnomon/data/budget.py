"""Budgets: how much of a source is trained on, to the token, decided when its documents are encoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array
from gnomon.data.corpus import TRAIN, Corpus, Removal

REASON = "over the budget of its source"


@dataclass
class Budgets:
    """What budgets leave of what was encoded: for each source that is cut, by number, the id, as two numbers, from
    which on no document is trained on; and [tokens, bytes] of each source by block, split and number.
    """

    ends: dict[int, tuple[int, int]] = field(default_factory=dict)
    counts: list[dict[str, dict[str, list[int]]]] = field(default_factory=list)


def keep_to_budgets(
    corpus: Corpus, encoded: Sequence[Path], results: Sequence[Mapping[str, Any]], budgets: Mapping[str, int]
) -> Budgets:
    """Remove from training what is over the budget of its source, by name and in tokens, and return what is left.

    The documents of a source with the lowest ids are kept, as many as together are not over the budget. Ids are hashes,
    so they are a fair share of it and of each of its domains; a larger budget keeps what a smaller one keeps. What is
    held out stays as it is: losses of runs with other budgets compare.
    """
    over = [np.zeros(0, np.int64)]
    found = Budgets(counts=[{split: dict(result[split]) for split in ("train", "validation")} for result in results])
    for name, budget in budgets.items():
        blocks = [b for b, (file, _) in enumerate(corpus.places) if file.source == name and file.split == "train"]
        end = _end_of([_rows(encoded[b]) for b in blocks], budget)
        if end is None:
            continue
        found.ends |= {i: end for i, one in enumerate(corpus.sources) if one.partition("/")[0] == name}
        for b in blocks:
            over.append(_over(corpus, b, end))
            kept = _rows(encoded[b])
            found.counts[b]["train"] = counted(kept[before(kept["id"], end)])
    corpus.remove(Removal(REASON, np.sort(np.concatenate(over))))
    return found


def counted(rows: np.ndarray) -> dict[str, list[int]]:
    """Return [tokens, bytes] of encoded documents by the number of their source."""
    whose = rows["source"]
    return {
        str(source): [int(rows[what][whose == source].sum(dtype=np.int64)) for what in ("tokens", "bytes")]
        for source in np.unique(whose).tolist()
    }


def _rows(folder: Path) -> np.ndarray:
    rows = load_array(folder / "documents.npy")
    return rows[rows["status"] == TRAIN]


def _end_of(rows: Sequence[np.ndarray], budget: int) -> tuple[int, int] | None:
    """Return the id of the first document that is over the budget; None where none is."""
    if sum(int(r["tokens"].sum(dtype=np.int64)) for r in rows) <= budget:
        return None
    ids, tokens = np.concatenate([r["id"] for r in rows]), np.concatenate([r["tokens"] for r in rows])
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    first = order[int(np.searchsorted(tokens[order].cumsum(dtype=np.int64), budget, "right"))]
    return int(ids[first, 0]), int(ids[first, 1])


def before(ids: np.ndarray, end: Sequence[int]) -> np.ndarray:
    """Return which of the ids, uint64 [n, 2], come before one."""
    high, low = np.uint64(end[0]), np.uint64(end[1])
    return (ids[:, 0] < high) | ((ids[:, 0] == high) & (ids[:, 1] < low))


def _over(corpus: Corpus, block: int, end: tuple[int, int]) -> np.ndarray:
    start, rows = corpus.starts[block], corpus.documents(block)
    here = corpus.status[start : start + len(rows)]
    return start + np.flatnonzero((here == TRAIN) & ~before(rows["id"], end))
