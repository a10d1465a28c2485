"""Semantic duplicates of a corpus: its texts become vectors, those are compared, and of each text one telling stays.

<root>/<name>/.work/<recipe>/words-<key>.safetensors    the word vectors, where they are learned from the text
                             vectors-<key>/             a block's vectors: vectors.npy
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import canonical_json, sha256_bytes, sha256_file, staged_folder
from gnomon.base.progress import Progress
from gnomon.data.blocks import Block
from gnomon.data.corpus import Corpus
from gnomon.data.duplicates.semantic import (
    CELL_DOCUMENTS,
    PROBES,
    cell_count,
    compare,
    first_partners,
    highest,
    histogram,
    leaders,
    learn_cells,
    nearest,
    tasks,
)
from gnomon.data.engine import Engine, Job
from gnomon.data.worker import Tell
from gnomon.embed.place import open_embedder
from gnomon.embed.static import StaticEmbedder

SAMPLE_BYTES = 16 << 20
"""Of text that word vectors are learned from."""
BATCH_DOCUMENTS = 1024


@dataclass(frozen=True)
class Meaning:
    """How many documents were compared, in how many cells; how many pairs reach the threshold; of each document the
    highest cosine with another, in fiftieths from 0 to 1; and by which embedder.
    """

    compared: int
    cells: int
    pairs: int
    histogram: list[int]
    embedder: str


@dataclass(frozen=True)
class Embedder:
    """Where an embedder lies, and the digest of what it is."""

    place: str
    digest: str


def learn_words(corpus: Corpus, sample: np.ndarray, ids: np.ndarray, folder: Path, told: Progress) -> Embedder:
    """Return the embedder learned from some documents with these ids, written below `folder` unless it is there."""
    key = sha256_bytes(ids.tobytes())[:32]
    if not (path := folder / f"words-{key}.safetensors").exists():
        told("learning word vectors", 0, None, "documents")
        StaticEmbedder.learned(corpus.texts(np.sort(sample))).save(path)
    return Embedder(str(path), sha256_file(path))


def remove_semantic(
    corpus: Corpus, embedder: Embedder, threshold: float, folder: Path, engine: Engine, told: Progress
) -> Meaning:
    """Remove every document that says what one that stays says, by their vectors' cosine, and return what was found.

    Stays: validation text before training text, then the longest, then the one with the lowest id. Vectors are written
    below `folder`, 512 bytes a document (more by a sentence model); memory holds some 100 bytes a document.
    """
    numbers = corpus.compared()
    folders = _embedded(corpus, numbers, embedder, folder, engine, told)
    rows = corpus.rows(numbers)
    worded = np.concatenate([np.zeros(0, bool), *(load_array(Path(f) / "vectors.npy").any(axis=1) for f in folders)])
    in_training = numbers >= corpus.first_train
    order = np.lexsort((rows["id"][:, 1], rows["id"][:, 0], -rows["bytes"].astype(np.int64), in_training, ~worded))
    order = order[: int(worded.sum())]  # texts without words are nobody's duplicates
    write_array(places := folder / "order.npy", order)
    write_array(starts := folder / "starts.npy", np.searchsorted(numbers, corpus.starts))
    stored: dict[str, Any] = {"vectors": folders, "order": str(places), "starts": str(starts)}
    cells = _cells(stored, len(order), folder, engine, told)
    jobs = []
    for i, (some, columns) in enumerate(tasks(len(order), cells, CELL_DOCUMENTS)):
        at = folder / f"compare-{i:06d}"
        write_array(at.with_suffix(".rows.npy"), some)
        write_array(at.with_suffix(".columns.npy"), columns)
        args = stored | {"at": str(at), "threshold": threshold, "cells": None if cells is None else str(folder)}
        jobs.append(Job("gnomon.data.duplicates.meaning:compare_texts", args, len(some) * len(columns)))
    found = engine("comparing meanings", jobs, told)
    parts = [(load_array(Path(f"{at}.pairs.npy")), load_array(Path(f"{at}.cosines.npy"))) for at in found]
    pairs, _ = first_partners([(np.zeros((0, 2), np.int64), np.zeros(0)), *parts])
    bests = ([load_array(Path(f"{at}.{what}.npy")) for what in ("rows", "products", "partners")] for at in found)
    products, _ = highest(len(order), ((a, b, c) for a, b, c in bests))
    gone, kept = leaders(pairs)
    ranked = numbers[order]
    corpus.remove_twins(ranked[gone], ranked[kept], "semantic duplicate", "semantic duplicate of validation")
    return Meaning(len(order), cell_count(len(order)), len(pairs), histogram(products), embedder.digest)


def _embedded(
    corpus: Corpus, numbers: np.ndarray, embedder: Embedder, folder: Path, engine: Engine, told: Progress
) -> list[str]:
    """Have the documents' vectors written, and return each block's folder of them."""
    jobs, cuts = [], np.searchsorted(numbers, corpus.starts)
    for b in range(len(corpus.places)):
        inside, block = numbers[cuts[b] : cuts[b + 1]] - corpus.starts[b], corpus.block(b).folder
        what = canonical_json([embedder.digest, f"{block.parent.name}/{block.name}", sha256_bytes(inside.tobytes())])
        key = sha256_bytes(what)[:32]
        write_array(path := folder / f"meant-{b:06d}.npy", inside)
        args = {"block": str(block), "chosen": str(path), "folder": str(folder / f"vectors-{key}")}
        args["embedder"] = embedder.place
        size = int(corpus.documents(b)["bytes"][inside].sum(dtype=np.int64))
        jobs.append(Job("gnomon.data.duplicates.meaning:embed_block", args, size))
    return engine("embedding", jobs, told)


def embed_block(args: dict[str, Any], tell: Tell) -> str:
    """Write the vectors of chosen documents of a block, unless that has been done; return their folder."""
    folder = Path(args["folder"])
    if (folder / "vectors.npy").exists():
        return str(folder)
    block, chosen, embedder = (
        Block(Path(args["block"])),
        load_array(Path(args["chosen"])),
        open_embedder(args["embedder"]),
    )
    ends = block.documents["bytes"][chosen].cumsum(dtype=np.int64)
    parts = [np.zeros((0, embedder.width), np.int16)]
    for first in range(0, len(chosen), BATCH_DOCUMENTS):
        some = chosen[first : first + BATCH_DOCUMENTS]
        parts.append(embedder.embed(list(block.texts(some))))
        tell(int(ends[first + len(some) - 1]))
    with staged_folder(folder.parent, "vectors") as staged:
        write_array(staged.path / "vectors.npy", np.concatenate(parts))
        staged.publish_once(folder)
    return str(folder)


def _cells(stored: dict[str, Any], documents: int, folder: Path, engine: Engine, told: Progress) -> np.ndarray | None:
    """Return the nearest cells of each document, int32 [documents, PROBES], also as a file; None for one cell."""
    if cell_count(documents) == 1:
        return None
    told("learning cells", 0, None, "documents")
    vectors = _Vectors(stored)
    write_array(centres := folder / "centres.npy", learn_cells(vectors.take, documents))
    jobs = []
    for b, (where, size) in enumerate(zip(stored["vectors"], np.diff(vectors.starts).tolist(), strict=True)):
        args = {"vectors": where, "centres": str(centres), "out": str(folder / f"cells-{b:06d}.npy")}
        jobs.append(Job("gnomon.data.duplicates.meaning:find_cells", args, size * len(load_array(centres))))
    parts = [load_array(Path(path)) for path in engine("sorting meanings", jobs, told)]
    cells = np.concatenate(parts)[vectors.order]
    write_array(folder / "cells.npy", cells)
    return cells


def find_cells(args: dict[str, Any], tell: Tell) -> str:
    """Write the nearest cells of a block's documents and return the file."""
    vectors = load_array(Path(args["vectors"]) / "vectors.npy")
    write_array(Path(args["out"]), nearest(vectors, load_array(Path(args["centres"])), PROBES))
    return args["out"]


def compare_texts(args: dict[str, Any], tell: Tell) -> str:
    """Write what some documents are alike to, beside the job's files, and return what these begin with."""
    at = args["at"]
    vectors = _Vectors(args)
    rows, columns = load_array(Path(f"{at}.rows.npy")), load_array(Path(f"{at}.columns.npy"))
    cells = load_array(Path(args["cells"]) / "cells.npy") if args["cells"] else None
    found = compare(np.array(rows), np.array(columns), vectors.take, args["threshold"], cells)
    for name in ("pairs", "cosines", "products", "partners"):
        write_array(Path(f"{at}.{name}.npy"), getattr(found, name))
    return at


class _Vectors:
    """The vectors of all documents, by their numbers in the order in which they have a right to stay. Only the blocks
    of those that are taken are opened.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._folders, self.order = stored["vectors"], load_array(Path(stored["order"]))
        self.starts = load_array(Path(stored["starts"]))

    def take(self, numbers: np.ndarray) -> np.ndarray:
        places = self.order[numbers]
        by_place = np.argsort(places, kind="stable")
        sorted_ = places[by_place]
        cuts = np.searchsorted(sorted_, self.starts)
        parts = [
            load_array(Path(self._folders[b]) / "vectors.npy")[sorted_[cuts[b] : cuts[b + 1]] - self.starts[b]]
            for b in np.flatnonzero(np.diff(cuts)).tolist()
        ]
        joined = np.concatenate(parts) if parts else np.zeros((0, 1), np.int16)
        found = np.empty_like(joined)
        found[by_place] = joined
        return found
