"""Jobs that turn the kept documents of a block into ids, and the ids of all blocks into shards."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gnomon.base import faults
from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import canonical_json, read_json, staged_folder
from gnomon.base.progress import Progress
from gnomon.data.blocks import damaged_block
from gnomon.data.budget import Budgets, before, counted
from gnomon.data.corpus import REMOVED, TRAIN, VALIDATION, Corpus, hex_id, opened, origin_of
from gnomon.data.engine import Engine, Job
from gnomon.data.parts import encode_parts
from gnomon.data.shards import SHARD_BYTES, document_line, write_shard
from gnomon.data.worker import Tell
from gnomon.store.datasets import UNIGRAMS
from gnomon.tokenizer.tokenizer import Tokenizer

BATCH_DOCUMENTS = 256
ENCODED = np.dtype(
    [
        ("id", "<u8", (2,)),
        ("line", "<u8"),
        ("start", "<u8"),  # of its ids in ids.npy
        ("own", "<u8"),  # where its record's own id begins in own.npy
        ("file", "<u4"),
        ("part", "<u4"),
        ("bytes", "<u4"),
        ("tokens", "<u4"),
        ("named", "<u2"),
        ("status", "<u1"),
        ("source", "<u2"),
    ]
)
KEPT = np.dtype([("status", "<u1"), ("source", "<u2")])
"""What becomes of each document of a block, and the number of its source."""
SPLITS = {"train": TRAIN, "validation": VALIDATION}


def dtype_of(vocabulary: int) -> np.dtype:
    """Return the type that ids are stored in."""
    return np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)


def encode_block(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Encode the documents of a block that are kept, unless that has been done; return [tokens, bytes] by split and
    number of the source.

    Each is end-of-text, then its ids. They lie in the order of status, source and id. Raises IntegrityError for a block
    whose texts are not what was read.
    """
    folder = Path(args["folder"])
    if (folder / "result.json").exists():
        return read_json(folder / "result.json")
    block, tokenizer = opened(args), _tokenizer(args["tokenizer"])
    said = load_array(Path(args["kept"]))
    kept = np.flatnonzero(said["status"] != REMOVED)
    said = np.array(said[kept])
    documents, dtype = np.array(block.documents[kept]), dtype_of(tokenizer.vocabulary)
    encoded, bears = list[np.ndarray](), list[np.ndarray]()
    for first in range(0, len(kept), BATCH_DOCUMENTS):
        some = kept[first : first + BATCH_DOCUMENTS]
        texts = list(block.texts(some))
        _refuse_others(texts, documents["id"][first : first + BATCH_DOCUMENTS], block.folder)
        if block.structured:
            for ids, loss in encode_parts(list(block.parts(some)), tokenizer):
                encoded.append(np.array([tokenizer.end_of_text, *ids], dtype))
                bears.append(np.array([*loss, loss[-1]], np.uint8))  # end-of-text is borne as what it follows
        else:
            for ids in tokenizer.encode_batch(texts):
                encoded.append(np.array([tokenizer.end_of_text, *ids], dtype))
        tell(int(documents["bytes"][: first + BATCH_DOCUMENTS].sum(dtype=np.int64)))
    order = np.lexsort((documents["id"][:, 1], documents["id"][:, 0], said["source"], said["status"]))
    rows = np.zeros(len(kept), ENCODED)
    for name in ("id", "line", "file", "part", "bytes", "named"):
        rows[name] = documents[name][order]
    own = "".join(block.own_ids(kept[order])).encode()
    rows["own"] = rows["named"].cumsum(dtype=np.uint64) - rows["named"]
    rows["status"], rows["source"] = said["status"][order], said["source"][order]
    rows["tokens"] = [len(encoded[i]) for i in order]
    rows["start"] = rows["tokens"].cumsum(dtype=np.uint64) - rows["tokens"]
    ids = np.concatenate([np.empty(0, dtype), *(encoded[i] for i in order)])
    result = {name: counted(rows[rows["status"] == value]) for name, value in SPLITS.items()}
    with staged_folder(folder.parent, "encoded") as staged:
        write_array(staged.path / "ids.npy", ids)
        write_array(staged.path / "documents.npy", rows)
        write_array(staged.path / "own.npy", np.frombuffer(own, np.uint8))
        if block.structured:
            write_array(staged.path / "bears.npy", np.concatenate([np.empty(0, np.uint8), *(bears[i] for i in order)]))
        if block.labels is not None:
            write_array(staged.path / "labels.npy", block.labels[kept[order]])
        (staged.path / "result.json").write_bytes(canonical_json(result))
        staged.publish_once(folder)
    faults.point("prepare.encoded")
    return result


def _refuse_others(texts: list[str], ids: np.ndarray, folder: Path) -> None:
    for text, halves in zip(texts, ids, strict=True):
        if hashlib.sha256(text.encode()).hexdigest()[:32] != hex_id(halves):
            raise damaged_block(folder)


@lru_cache(maxsize=1)
def _tokenizer(path: str) -> Tokenizer:
    return Tokenizer.load(Path(path))


def write_splits(
    corpus: Corpus,
    encoded: Sequence[Path],
    left: Budgets,
    vocabulary: int,
    scratch: Path,
    folder: Path,
    engine: Engine,
    progress: Progress,
) -> dict[str, Any]:
    """Write the shards of every split and source below `folder` and return the splits' manifest entries.

    `encoded` is where the ids of each block of the corpus lie, `left` how many of them are kept. The names of the
    corpus's files go to the jobs through `scratch`.
    """
    dtype, jobs, counts = dtype_of(vocabulary), list[Job](), left.counts
    numbers = {id(files): i for i, files in enumerate(corpus.files)}
    (origins := scratch / "names.json").write_bytes(canonical_json([files.names for files in corpus.files]))
    for split in SPLITS:
        (folder / split).mkdir()
        number = 0
        for i, source in enumerate(corpus.sources):
            mine = [b for b in range(len(encoded)) if str(i) in counts[b][split]]
            size = sum(counts[b][split][str(i)][0] for b in mine) * dtype.itemsize
            held = [[str(encoded[b]), numbers[id(corpus.places[b][0])]] for b in mine]
            end = left.ends.get(i) if split == "train" else None
            parts = -(-size // SHARD_BYTES)
            for part in range(parts):
                args = {"encoded": held, "split": split, "source": source, "part": part, "parts": parts}
                args |= {"number": number, "folder": str(folder / split), "dtype": dtype.str}
                args |= {"vocabulary": vocabulary, "names": str(origins), "source_number": i, "end": end}
                jobs.append(Job("gnomon.data.encode:make_shard", args, size // parts))
                number += 1
    entries = engine("writing", jobs, progress)
    splits = {}
    for split in SPLITS:
        shards = [e for e, job in zip(entries, jobs, strict=True) if job.args["split"] == split]
        splits[split] = {
            "documents": sum(s["documents"] for s in shards),
            "tokens": sum(s["tokens"] for s in shards),
            "bytes": sum(s["bytes"] for s in shards),
            "protected": split != "train",
            "shards": shards,
        }
        write_unigrams(folder / split, [s["source"] for s in shards])
    return splits


def make_shard(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write one shard from what the blocks hold of a source and a split, and return its manifest entry.

    It takes the documents whose id falls into its part of all ids, or of those before `end`, in their order: a run of
    neighbours is a fair sample, and the files do not depend on the order in which documents came. How often each id is
    in it goes into a file of its own, for `write_unigrams`. `encoded` are blocks, each with the place of its files'
    names in `names`, a file of JSON.
    """
    whose = (SPLITS[args["split"]] << 16) + args["source_number"]
    part, parts, end = args["part"], args["parts"], args["end"] or [2**64 - 1, 2**64 - 1]
    names = orjson.loads(Path(args["names"]).read_bytes())
    rows, ids, origins, own_ids = [], [], list[str](), list[str]()
    bears, labels = list[np.ndarray](), list[np.ndarray]()
    for folder, place in args["encoded"]:
        every, held = load_array(Path(folder) / "documents.npy"), load_array(Path(folder) / "ids.npy")
        first, last = np.searchsorted(every["status"].astype(np.uint32) << 16 | every["source"], [whose, whose + 1])
        halves = every["id"][first:last, 0]
        bounds = [np.uint64(min(2**64 - 1, i * (end[0] + 1) // parts)) for i in (part, part + 1)]
        start = np.searchsorted(halves, bounds[0])
        stop = np.searchsorted(halves, bounds[1]) if part + 1 < parts else last - first
        if part + 1 == parts and args["end"]:
            stop = int(before(every["id"][first:last], end).sum())
        mine = np.array(every[first + start : first + stop])
        rows.append(mine)
        if len(mine):
            here = slice(int(mine["start"][0]), int(mine["start"][-1]) + int(mine["tokens"][-1]))
            ids.append(np.array(held[here]))
            own_ids += _own_ids(mine, load_array(Path(folder) / "own.npy"))
            if (path := Path(folder) / "bears.npy").exists():
                bears.append(np.array(load_array(path)[here]))
            if (path := Path(folder) / "labels.npy").exists():
                labels.append(np.array(load_array(path)[first + start : first + stop]))
        whence = zip(mine["file"].tolist(), mine["line"].tolist(), mine["part"].tolist(), strict=True)
        origins += [origin_of(names[place][file], line, part_) for file, line, part_ in whence]
    row = np.concatenate(rows)
    together = np.concatenate([np.empty(0, np.dtype(args["dtype"])), *ids])
    begins = row["tokens"].cumsum(dtype=np.int64) - row["tokens"]
    order = np.lexsort((row["id"][:, 1], row["id"][:, 0]))
    sizes = row["tokens"][order].astype(np.int64)
    shard, counts = np.empty_like(together), np.zeros(args["vocabulary"], np.int64)
    borne = np.concatenate(bears) if bears else None
    mask = None if borne is None else np.empty_like(borne)
    ends = sizes.cumsum()
    for first in range(0, len(order), BATCH_DOCUMENTS):
        some = slice(first, min(first + BATCH_DOCUMENTS, len(order)))
        # where each id lies in `together`: its document's begin, and its place in the document
        shift = begins[order[some]] - (ends[some] - sizes[some])
        here = slice(int(ends[first] - sizes[first]), int(ends[some.stop - 1]))
        at = np.repeat(shift, sizes[some]) + np.arange(here.start, here.stop)
        shard[here] = together[at]
        if mask is not None and borne is not None:
            mask[here] = borne[at]
        counts += np.bincount(shard[here], minlength=len(counts))
    lines = (
        document_line(hex_id(row["id"][i]), origins[i], int(row["bytes"][i]), int(row["tokens"][i]), own_ids[i])
        for i in order.tolist()
    )
    table = np.concatenate(labels)[order] if labels else None
    entry = write_shard(Path(args["folder"]), args["number"], shard, sizes.tolist(), lines, mask, table)
    write_array(_counts_of(Path(args["folder"]), args["number"]), counts.astype(np.uint64))
    tell(int(sizes.sum()) * together.itemsize)
    return entry | {"source": args["source"], "bytes": int(row["bytes"].sum(dtype=np.int64))}


def _own_ids(rows: np.ndarray, held: np.ndarray) -> list[str]:
    """Return the own ids of the records of neighbouring documents; "" for those without one."""
    starts = (rows["own"] - rows["own"][0]).tolist()
    data = held[int(rows["own"][0]) : int(rows["own"][-1]) + int(rows["named"][-1])].tobytes()
    return [data[a : a + n].decode() for a, n in zip(starts, rows["named"].tolist(), strict=True)]


def write_unigrams(folder: Path, sources: Sequence[str]) -> None:
    """Write how often each id is in each source of a split, from what `make_shard` counted of its shards; `sources`
    names that of each. Nothing is left of their own counts.
    """
    parts = [_counts_of(folder, number) for number in range(len(sources))]
    totals: dict[str, np.ndarray] = {}
    for source, part in zip(sources, parts, strict=True):
        counts = load_array(part)
        totals[source] = totals[source] + counts if source in totals else np.array(counts)
    write_array(folder / UNIGRAMS, np.concatenate(list(totals.values())))
    for part in parts:
        part.unlink()


def _counts_of(folder: Path, number: int) -> Path:
    return folder / f"counts-{number:05d}.npy"
