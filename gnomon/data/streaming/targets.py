"""What is known of the questions in a micro-batch, at the tokens where a head reads it off: the marks of the layout."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from gnomon.base.errors import ConfigError
from gnomon.data.streaming.source import Pieces
from gnomon.store.datasets import Dataset, Split
from gnomon.store.labels import COARSE, FINE, ROUTER, WEIGHT, WIDTH
from gnomon.taxonomy import MARKS, ROUTER_SIGNALS, SIGNAL_KINDS

log = logging.getLogger(__name__)

READ = np.zeros((len(MARKS), WIDTH), bool)
"""What of a row is read at each kind of mark."""
for _signal, _kinds in enumerate(SIGNAL_KINDS):
    READ[np.ix_(_kinds, [ROUTER.start + _signal, WEIGHT.start + _signal])] = True
READ[0, COARSE] = READ[0, FINE] = True


@dataclass(frozen=True)
class Targets:
    """Labels of a micro-batch, by place: `places` in its flattened tokens, int64 [N], rising; `kinds` of marks there,
    by their order in MARKS; and float32 `router` and `weight` [N, 5], `coarse` [N, 18] and `fine` [N, 50], NaN where
    nothing is known, or nothing of it is read at this mark.
    """

    places: Tensor
    kinds: Tensor
    router: Tensor
    weight: Tensor
    coarse: Tensor
    fine: Tensor

    def without(self, signals: Sequence[str]) -> "Targets":
        """Return the labels without those of some router signals."""
        gone = [ROUTER_SIGNALS.index(name) for name in signals]
        router, weight = self.router.clone(), self.weight.clone()
        router[:, gone] = weight[:, gone] = torch.nan
        return replace(self, router=router, weight=weight)

    def to(self, device: str) -> "Targets":
        """Return the labels on `device`."""
        return Targets(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})


@dataclass(frozen=True)
class Found:
    """Marks at which something is known: the piece of each, the token of the piece, its kind, and what is read there,
    float32 [N, labels.WIDTH].
    """

    piece: np.ndarray
    token: np.ndarray
    kind: np.ndarray
    known: np.ndarray

    def targets(self, starts: np.ndarray) -> Targets | None:
        """Return them as labels of a micro-batch whose pieces begin at `starts`; None where nothing is known."""
        if not len(self.piece):
            return None
        parts = (self.known[:, part] for part in (ROUTER, WEIGHT, COARSE, FINE))
        return Targets(
            torch.from_numpy(starts[self.piece] + self.token),
            torch.from_numpy(self.kind),
            *(torch.from_numpy(np.ascontiguousarray(part)) for part in parts),
        )

    def counts(self) -> dict[str, int]:
        """Return how many labels there are of each router signal, by its name, and at how many marks `coarse` and
        `fine` types are known.
        """
        there = ~np.isnan(self.known)
        signals = zip(ROUTER_SIGNALS, there[:, ROUTER].sum(axis=0).tolist(), strict=True)
        types = {"coarse": COARSE, "fine": FINE}
        return dict(signals) | {name: int(there[:, part].any(axis=1).sum()) for name, part in types.items()}


def warn_of_cut(dataset: Dataset, length: int) -> None:
    """Warn of questions that are longer than a row: what is read behind the cut has no labels."""
    for name, split in dataset.sources("train").items():
        if split.labelled and (cut := int((np.diff(split.offsets.astype(np.int64)) > length).sum())):
            said = (
                "%d of %d questions of source %s are longer than a row of %d tokens, and have no labels behind the cut"
            )
            log.warning(said, cut, split.documents, name, length)


def refuse_other_marks(dataset: Dataset, marks: Sequence[int]) -> None:
    """Raise ConfigError for a dataset whose questions have labels at other marks than heads are read at."""
    said = dataset.manifest["tokenizer"].get("marks")
    if said is not None and list(said) != list(marks):
        raise ConfigError(
            "the dataset's questions have labels at other marks than heads are read at now",
            where=str(dataset.folder),
            do="prepare its texts anew: `gnomon train` does it where data.prepared does not name this version",
        )


def find_marks(splits: Sequence[Split], pieces: Pieces, longest: int | None = None) -> Found:
    """Return the marks in pieces at which something is known. `splits` are the sources'.

    A mark counts in the piece that its document begins in, and within its first `longest` tokens: further on, what is
    before it is not the whole question.
    """
    labelled = np.flatnonzero([split.labelled > 0 for split in splits])
    mine = np.flatnonzero(np.isin(pieces.source, labelled))
    shards = (pieces.source[mine] << 32) + pieces.shard[mine]
    places, kinds, known = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, WIDTH), np.float32)]
    for one in np.unique(shards).tolist():
        split, some = splits[one >> 32], mine[shards == one]
        ids = split.shards[one & 0xFFFFFFFF]
        some = some[ids[pieces.begin[some]] == split.end_of_text]  # where the document begins
        size = pieces.size[some] if longest is None else np.minimum(pieces.size[some], longest)
        before = size.cumsum() - size
        tokens = ids[np.repeat(pieces.begin[some] - before, size) + np.arange(int(size.sum()))]
        for kind, mark in enumerate(split.marks):
            at = np.flatnonzero(tokens == mark)
            whose = np.searchsorted(before, at, side="right") - 1
            table = np.where(READ[kind], split.labels(pieces.document[some[whose]]), np.float32(np.nan))
            told = ~np.isnan(table).all(axis=1)
            places.append(np.stack([some[whose], at - before[whose]], axis=1)[told])
            kinds.append(np.full(int(told.sum()), kind))
            known.append(table[told])
    place = np.concatenate(places)
    order = np.lexsort(place.T[::-1])
    return Found(place[order, 0], place[order, 1], np.concatenate(kinds)[order], np.concatenate(known)[order])
