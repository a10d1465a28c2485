"""Ridge regression over sparse rows, with what others say of each row: those taught without the rows of its fold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 40
"""Of conjugate gradients; more changed no answer on TREC."""


@dataclass(frozen=True)
class SparseRows:
    """Rows of few numbers: the places of each row's numbers one behind the other, and where each row begins."""

    places: np.ndarray  # int64 [numbers]
    begins: np.ndarray  # int64 [rows]
    values: np.ndarray  # float32 [numbers]

    def times(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the product of the rows with weights [width, columns]: [rows, columns]."""
        places, begins = torch.from_numpy(self.places), torch.from_numpy(self.begins)
        return F.embedding_bag(places, weights, begins, mode="sum", per_sample_weights=torch.from_numpy(self.values))

    def turned(self, width: int) -> "SparseRows":
        """Return the same with rows for columns."""
        counts = np.diff(self.begins, append=len(self.places))
        row_of = np.repeat(np.arange(len(self.begins)), counts)
        order = np.argsort(self.places, kind="stable")
        begins = np.searchsorted(self.places[order], np.arange(width))
        return SparseRows(row_of[order], begins, self.values[order])


def beside(parts: Sequence[SparseRows]) -> SparseRows:
    """Return rows that hold what the rows of the same number in several parts hold."""
    counts = [np.diff(part.begins, append=len(part.places)) for part in parts]
    row = np.concatenate([np.repeat(np.arange(len(each)), each) for each in counts])
    order = np.argsort(row, kind="stable")
    places, values = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("places", "values"))
    return SparseRows(places, np.searchsorted(row[order], np.arange(len(counts[0]))), values)


def ridge(
    rows: SparseRows, width: int, targets: np.ndarray, folds: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights [width, columns] that give the targets [rows, columns] best, and for each row what weights
    found without the rows of its fold give it: [rows, columns].
    """
    count, columns = targets.shape
    every = [int(fold) for fold in np.unique(folds)]
    seen = np.stack([np.ones(count, bool), *(folds != fold for fold in every)], 1)  # [rows, solutions]
    seen_RC = torch.from_numpy(np.repeat(seen, columns, axis=1).astype(np.float32))
    wanted_RC = torch.from_numpy(np.tile(targets.astype(np.float32), (1, len(every) + 1))) * seen_RC
    used = np.flatnonzero(np.bincount(rows.places, minlength=width))
    number = np.zeros(width, np.int64)
    number[used] = np.arange(len(used))
    rows = SparseRows(number[rows.places], rows.begins, rows.values)  # of what is in no row, no weight differs from 0
    across = rows.turned(len(used))
    found_RC, left_RC = torch.zeros_like(wanted_RC), wanted_RC.clone()
    way_RC, size_C = left_RC.clone(), (left_RC**2).sum(0)
    for _ in range(STEPS):  # of (X X' + penalty) found = wanted, each column by itself
        image_RC = seen_RC * rows.times(across.times(way_RC)) + penalty * way_RC
        step_C = size_C / (way_RC * image_RC).sum(0).clamp_min(1e-20)
        found_RC += step_C * way_RC
        left_RC -= step_C * image_RC
        before_C, size_C = size_C, (left_RC**2).sum(0)
        way_RC = left_RC + size_C / before_C.clamp_min(1e-20) * way_RC
    weights_WC = across.times(found_RC)
    said_RC = rows.times(weights_WC).numpy()
    others = np.zeros((count, columns), np.float32)
    for i, fold in enumerate(every, 1):
        others[folds == fold] = said_RC[folds == fold, i * columns : (i + 1) * columns]
    weights = np.zeros((width, columns), np.float32)
    weights[used] = weights_WC[:, :columns].numpy()
    return weights, others
