"""Near duplicates of a corpus: found by the bands of its blocks, compared in full, and all but one of each removed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import staged_folder
from gnomon.base.progress import Progress
from gnomon.data.blocks import Block
from gnomon.data.corpus import PART_DOCUMENTS, REMOVED, Corpus
from gnomon.data.duplicates.banding import band_jobs, load_bands
from gnomon.data.duplicates.minhash import Bands, Shingles, shingle_sets
from gnomon.data.duplicates.near import candidates, components, jaccard, merge
from gnomon.data.engine import Engine, Job
from gnomon.data.worker import Tell

COMPARED_BYTES = 32 << 20
"""Of text whose sets one job compares, at most, unless one pair has more. Sets take about 1.3 times their text."""
BATCH_DOCUMENTS = 256
BINS = 20
"""Of the histogram of Jaccard values, from 0 to 1."""


@dataclass(frozen=True)
class Alike:
    """How many pairs were compared, how many of them reach the threshold, and how like they are."""

    compared: int
    pairs: int
    histogram: list[int]


def remove_near(corpus: Corpus, bands: Bands, threshold: float, folder: Path, engine: Engine, told: Progress) -> Alike:
    """Remove all but one of each cluster of documents that verified pairs connect, and return what was found.

    Kept is validation text before training text, then the longest, then the one with the lowest id. Candidates' sets
    of shingles are written below `folder`. Memory holds one band of PART_DOCUMENTS documents, the candidate pairs at
    16 bytes, and the sets of one job.
    """
    engine("measuring likeness", band_jobs(corpus, bands), told)
    pairs = merge(_paired(corpus, bands, told))
    wanted = np.unique(pairs)
    folders = _sets(corpus, wanted, folder, engine, told)
    sizes = corpus.rows(wanted)["bytes"].astype(np.int64)[np.searchsorted(wanted, pairs)].sum(axis=1)
    job_of = sizes.cumsum() // COMPARED_BYTES
    jobs = []
    for first, last in pairwise([0, *(np.flatnonzero(np.diff(job_of)) + 1).tolist(), len(pairs)]):
        write_array(path := folder / f"pairs-{first:012d}.npy", pairs[first:last])
        args = {"pairs": str(path), "sets": folders, "starts": corpus.starts}
        jobs.append(Job("gnomon.data.duplicates.removal:compare", args, int(sizes[first:last].sum())))
    found = engine("comparing texts", jobs, told)
    values = np.concatenate([np.zeros(0), *(load_array(Path(path)) for path in found)])
    passed = pairs[values >= threshold]
    _remove(corpus, passed)
    seen, _ = np.histogram(values, BINS, (0, 1))
    return Alike(len(pairs), len(passed), seen.tolist())


def _paired(corpus: Corpus, bands: Bands, told: Progress) -> Iterator[np.ndarray]:
    """Yield each band's candidate pairs, a part of the hashes at a time."""
    parts = max(1, -(-corpus.count // PART_DOCUMENTS))
    for band in range(bands.count):
        told("looking for near duplicates", band, bands.count, "bands")
        for part in range(parts):
            columns = [np.zeros((0, 2), np.uint64)]
            numbers = [np.zeros(0, np.int64)]
            for b in range(len(corpus.places)):
                if not corpus.places[b][0].form.compared:
                    continue
                start, hashes = corpus.starts[b], load_bands(corpus, b, bands)
                both = hashes[:, [band, (band + 1) % bands.count]]
                alive = corpus.status[start : start + len(both)] != REMOVED
                mine = np.flatnonzero(alive & (both[:, 0] % np.uint64(parts) == part))
                columns.append(both[mine])
                numbers.append(start + mine)
            column = np.concatenate(columns)
            yield candidates(column[:, 0], column[:, 1], np.concatenate(numbers))
    told("looking for near duplicates", bands.count, bands.count, "bands")


def _sets(corpus: Corpus, wanted: np.ndarray, folder: Path, engine: Engine, told: Progress) -> list[str]:
    """Have the candidates' sets of shingles written, and return each block's folder of them."""
    jobs, cuts = [], np.searchsorted(wanted, corpus.starts)
    for b in range(len(corpus.places)):
        inside = wanted[cuts[b] : cuts[b + 1]] - corpus.starts[b]
        write_array(path := folder / f"candidates-{b:06d}.npy", inside)
        args = {"block": str(corpus.block(b).folder), "chosen": str(path), "folder": str(folder / f"sets-{b:06d}")}
        size = int(corpus.documents(b)["bytes"][inside].sum(dtype=np.int64))
        jobs.append(Job("gnomon.data.duplicates.removal:write_sets", args, size))
    return engine("reading near duplicates", jobs, told)


def write_sets(args: dict[str, Any], tell: Tell) -> str:
    """Write the sets of shingles of chosen documents of a block, unless that has been done; return their folder."""
    folder, chosen = Path(args["folder"]), load_array(Path(args["chosen"]))
    if (folder / "chosen.npy").exists() and np.array_equal(load_array(folder / "chosen.npy"), chosen):
        return str(folder)
    block, parts = Block(Path(args["block"])), []
    for first in range(0, len(chosen), BATCH_DOCUMENTS):
        some = chosen[first : first + BATCH_DOCUMENTS]
        parts.append(shingle_sets(list(block.texts(some))))
        tell(int(block.documents["bytes"][chosen[: first + BATCH_DOCUMENTS]].sum(dtype=np.int64)))
    sets = Shingles.joined(parts)
    with staged_folder(folder.parent, "sets") as staged:
        write_array(staged.path / "values.npy", sets.values)
        write_array(staged.path / "offsets.npy", sets.offsets)
        write_array(staged.path / "chosen.npy", chosen)
        shutil.rmtree(folder, ignore_errors=True)  # of other candidates
        staged.publish(folder)
    return str(folder)


def compare(args: dict[str, Any], tell: Tell) -> str:
    """Write the Jaccard value of each pair, float64, beside the pairs, and return the file's path."""
    pairs = load_array(Path(args["pairs"]))
    starts, parts = np.array(args["starts"]), []
    wanted = np.unique(pairs)
    cuts = np.searchsorted(wanted, starts)
    for b, folder in enumerate(args["sets"]):
        mine = wanted[cuts[b] : cuts[b + 1]] - starts[b]
        if len(mine):
            parts.append(_chosen(Path(folder), mine))
    values = jaccard(np.searchsorted(wanted, pairs), Shingles.joined(parts))
    path = Path(args["pairs"]).with_suffix(".jaccard.npy")
    write_array(path, values)
    return str(path)


def _chosen(folder: Path, documents: np.ndarray) -> Shingles:
    """Return the sets of some documents of a block."""
    offsets, values = load_array(folder / "offsets.npy"), load_array(folder / "values.npy")
    at = np.searchsorted(load_array(folder / "chosen.npy"), documents)
    sizes = offsets[at + 1] - offsets[at]
    ends = sizes.cumsum()
    place = np.repeat(offsets[at] - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    return Shingles(values[place], np.concatenate([[0], ends]))


def _remove(corpus: Corpus, pairs: np.ndarray) -> None:
    numbers = np.unique(pairs)
    cluster = components(len(numbers), np.searchsorted(numbers, pairs))
    rows = corpus.rows(numbers)
    in_training = numbers >= corpus.first_train
    order = np.lexsort((rows["id"][:, 1], rows["id"][:, 0], -rows["bytes"].astype(np.int64), in_training, cluster))
    cluster, numbers = cluster[order], numbers[order]
    first = np.concatenate([[True], cluster[1:] != cluster[:-1]])[: len(cluster)]
    keepers = numbers[np.maximum.accumulate(np.where(first, np.arange(len(numbers)), 0))]
    corpus.remove_twins(numbers[~first], keepers[~first], "near duplicate", "like one in validation")
