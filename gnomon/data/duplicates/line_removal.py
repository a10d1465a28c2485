"""Lines of a corpus that stand in many records: counted by parts of their hashes, and cut out of all but the first.

It comes after near duplicates: what stands in ten copies of a text is no boilerplate, and the copies go as a whole,
where cutting first would leave ten rests; so the bands that blocks were written with stay right. It comes before the
held-out texts are chosen, so these are cut too; text of data.validation counts, and keeps all its lines.

Jobs: the lines of each block, sorted by hash; then, a range of hashes each, what is in many records and in which blocks
that is; then each block without its own of these. A job holds a block's lines or PART_LINES of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gnomon.base import faults
from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import canonical_json, read_json, sha256_bytes, staged_folder, write_atomic
from gnomon.base.progress import Progress
from gnomon.data.changes import write_changes
from gnomon.data.corpus import REMOVED, Corpus, Removal, opened, remove_equal
from gnomon.data.duplicates.lines import Repeated, lines_of, repeated, without
from gnomon.data.engine import Engine, Job
from gnomon.data.worker import Tell

PART_LINES = 2 << 20
"""Sorted at once: about 150 MB."""
BATCH_BYTES = 4 << 20
"""Of text that is cut at once, about."""
MOST = 20
"""Lines that are shown, those in the most records."""
SHOWN_CHARACTERS = 200
"""Of a line that was cut, in the record."""
SHOWN_LINES = 50
"""Of a document, in the record."""


@dataclass(frozen=True)
class Cuts:
    """What was cut: facts for the manifest, and for each block where something was, a line of JSON a document."""

    facts: dict[str, Any]
    records: dict[int, Path]

    def lines(self, corpus: Corpus) -> Iterator[dict[str, Any]]:
        """Yield what was cut out of each document: its id now, its origin, bytes and lines."""
        for b, path in self.records.items():
            for line in path.read_bytes().splitlines():
                said = orjson.loads(line)
                number = corpus.starts[b] + said.pop("place")
                yield {"id": corpus.id(number), "origin": corpus.origin(number)} | said


def remove_lines(corpus: Corpus, more_than: int, characters: int, folder: Path, engine: Engine, told: Progress) -> Cuts:
    """Cut lines of at least so many characters that stand in more than so many records out of all but the first.

    A document of which fewer characters are left than a line must have, folded as lines are, goes; so does one that is
    equal to another without what was cut. Files wait below `folder`.
    """
    plain = [b for b, (files, _) in enumerate(corpus.places) if not files.form.structured]  # others are never cut
    blocks = [b for b in plain if (_status(corpus, b) != REMOVED).any()]
    starts = [corpus.starts[b] for b in blocks]
    firsts = (corpus.records(np.array(starts, np.int64)) - starts).tolist()  # below 0: in a block before
    hashed = _hashed(corpus, blocks, firsts, characters, folder, engine, told)
    lines = sum(h["lines"] for h in hashed)
    parts = max(1, -(-lines // PART_LINES))
    jobs = []
    for part in range(parts):
        args = {"folders": [h["folder"] for h in hashed], "starts": starts, "part": part, "parts": parts}
        args |= {"more_than": more_than, "folder": str(folder / f"repeated-{part:06d}")}
        jobs.append(Job("gnomon.data.duplicates.line_removal:count", args, 12 * lines // parts))
    counted = engine("counting lines", jobs, told)
    cuts = _cut(corpus, blocks, firsts, [job.args["folder"] for job in jobs], characters, folder, engine, told)
    by_source, records = dict[str, list[int]](), dict[int, Path]()
    numbers, details = [np.zeros(0, np.int64)], list[str]()
    for b, said in cuts.items():
        if len(cut := load_array(Path(said["cut"]))):
            corpus.change(b, Path(said["folder"]))
            records[b] = Path(said["records"])
        gone = load_array(Path(said["gone"]))
        numbers.append(corpus.starts[b] + gone[:, 0])
        details += [f"{count:,} of them" for count in gone[:, 1].tolist()]
        whose = corpus.sources_in(b)[cut[:, 0]]
        for i in np.unique(whose).tolist():
            mine, counts = cut[whose == i], by_source.setdefault(corpus.sources[i], [0, 0, 0])
            counts[:] = [counts[0] + len(mine), *(np.array(counts[1:]) + mine[:, 1:].sum(axis=0)).tolist()]
    corpus.remove(Removal("only repeated lines", np.concatenate(numbers), details=details))
    remove_equal(corpus)
    most = sorted((m for c in counted for m in c["most"]), key=lambda m: (-m[1], m[0]))[:MOST]
    facts = {
        "repeated": sum(c["lines"] for c in counted),
        "cut": by_source,  # documents, lines, bytes
        "most": [[_line(corpus, first, key, characters), times] for key, times, first in most],
    }
    return Cuts(facts, records)


def _status(corpus: Corpus, block: int) -> np.ndarray:
    return corpus.status[corpus.starts[block] : corpus.starts[block + 1]]


def _hashed(
    corpus: Corpus, blocks: list[int], firsts: list[int], characters: int, folder: Path, engine: Engine, told: Progress
) -> list[dict[str, Any]]:
    """Have the lines of blocks written, and return of each where they are and how many."""
    jobs = []
    for b, first in zip(blocks, firsts, strict=True):
        chosen = np.flatnonzero(_status(corpus, b) != REMOVED)
        args = corpus.named(b) | {"first": first, "characters": characters}
        said = canonical_json(args) + chosen.tobytes() + corpus.documents(b)["id"].tobytes()
        key = sha256_bytes(said)[:32]
        write_array(path := folder / f"kept-{key}.npy", chosen)
        args |= {"chosen": str(path), "folder": str(folder / f"lines-{key}")}
        size = int(corpus.documents(b)["bytes"][chosen].sum(dtype=np.int64))
        jobs.append(Job("gnomon.data.duplicates.line_removal:hash_block", args, size))
    return engine("reading lines", jobs, told)


def _records(rows: np.ndarray, first: int) -> np.ndarray:
    """Return the record of each document of a block, as the place of its first part; that of the first one is given."""
    places = np.where(rows["goes_on"] == 0, np.arange(len(rows)), first)
    return np.maximum.accumulate(places)


def hash_block(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the lines of chosen documents of a block that count, unless that has been done: hashes, rising, and the
    record of each; return their folder and number.
    """
    folder = Path(args["folder"])
    if (folder / "result.json").exists():
        return read_json(folder / "result.json")
    of, records = _records(opened(args).documents, args["first"]), [np.zeros(0, np.int64)]
    hashes = [np.zeros(0, np.uint64)]
    for places, texts in _batches(args, load_array(Path(args["chosen"])), tell):
        lines = lines_of(texts, args["characters"])
        hashes.append(lines.hashes)
        records.append(of[places][lines.text[lines.at]])
    key, record = np.concatenate(hashes), np.concatenate(records)
    order = np.argsort(key, kind="stable")  # of equal ones the records rise already
    key, record = key[order], record[order]
    once = np.ones(len(key), bool)
    once[1:] = (key[1:] != key[:-1]) | (record[1:] != record[:-1])
    result = {"folder": str(folder), "lines": int(once.sum())}
    with staged_folder(folder.parent, "lines") as staged:
        write_array(staged.path / "hashes.npy", key[once])
        write_array(staged.path / "records.npy", record[once].astype(np.int32))
        (staged.path / "result.json").write_bytes(canonical_json(result))
        staged.publish_once(folder)
    faults.point("prepare.lines_read")
    return result


def count(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write which lines of a range of hashes stand in too many records, and in which blocks; return how many they are,
    and those in the most records, as [hash, records, first record].

    `hashes`, `keepers` and `records` of the lines that go lie block by block; `offsets` says where each block's begin.
    """
    bounds = [args["part"] * 2**64 // args["parts"], (args["part"] + 1) * 2**64 // args["parts"]]
    hashes, records = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for start, path in zip(args["starts"], map(Path, args["folders"]), strict=True):
        every = load_array(path / "hashes.npy")
        stop = np.searchsorted(every, np.uint64(bounds[1])) if bounds[1] < 2**64 else len(every)
        here = slice(int(np.searchsorted(every, np.uint64(bounds[0]))), int(stop))
        hashes.append(np.array(every[here]))
        records.append(load_array(path / "records.npy")[here].astype(np.int64) + start)
    key, record = np.concatenate(hashes), np.concatenate(records)
    found = repeated(key, record, args["more_than"])
    goes = np.flatnonzero(found.goes(key, record))
    ends = np.cumsum([len(part) for part in hashes[1:]])
    folder = Path(args["folder"])
    folder.mkdir(exist_ok=True)
    write_array(folder / "hashes.npy", key[goes])
    write_array(folder / "keepers.npy", found.first[np.searchsorted(found.hashes, key[goes])])
    write_array(folder / "records.npy", record[goes])
    write_array(folder / "offsets.npy", np.append(0, np.searchsorted(goes, ends)))
    return {"lines": len(found.hashes), "most": _most(found)}


def _most(found: Repeated) -> list[list[int]]:
    order = np.lexsort((found.hashes, -found.records))[:MOST]
    return np.stack([found.hashes, found.records.astype(np.uint64), found.first.astype(np.uint64)], 1)[order].tolist()


def _cut(
    corpus: Corpus,
    blocks: list[int],
    firsts: list[int],
    parts: list[str],
    characters: int,
    folder: Path,
    engine: Engine,
    told: Progress,
) -> dict[int, dict[str, Any]]:
    """Have blocks of training text written without the lines that go, and return what was said of each."""
    offsets = [load_array(Path(part) / "offsets.npy") for part in parts]
    going = [
        [[part, *at[i : i + 2].tolist()] for part, at in zip(parts, offsets, strict=True) if at[i] < at[i + 1]]
        for i in range(len(blocks))
    ]
    jobs = dict[int, Job]()
    for i, b in enumerate(blocks):
        if going[i] and corpus.places[b][0].split != "validation":
            write_array(path := folder / f"uncut-{b:06d}.npy", np.flatnonzero(_status(corpus, b) != REMOVED))
            args = corpus.named(b) | {"start": corpus.starts[b], "first": firsts[i], "chosen": str(path)}
            args |= {"parts": going[i], "characters": characters, "folder": str(folder / f"without-lines-{b:06d}")}
            size = int(corpus.documents(b)["bytes"].sum(dtype=np.int64))
            jobs[b] = Job("gnomon.data.duplicates.line_removal:cut_block", args, size)
    return dict(zip(jobs, engine("cutting lines", list(jobs.values()), told), strict=True))


def cut_block(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write what is left of a block's documents that lose lines, and what was cut out of them; return where that is,
    which documents go as a whole (`gone`: place and lines), and what the others lose (`cut`: place, lines and bytes).
    """
    block, folder = opened(args), Path(args["folder"])
    going, losing = _going(args["parts"])
    of = args["start"] + _records(block.documents, args["first"])
    chosen = load_array(Path(args["chosen"]))
    left, gone, cut, records = dict[int, str](), list[list[int]](), list[list[int]](), list[bytes]()
    for places, texts in _batches(args, chosen[np.isin(of[chosen], losing)], tell):
        lines = lines_of(texts, args["characters"])
        goes = going.goes(lines.hashes, of[places][lines.text[lines.at]])
        first = np.searchsorted(lines.text, np.arange(len(texts) + 1))
        for i, (text, numbers) in without(texts, lines, goes).items():
            parts = texts[i].split("\n")
            said = [parts[n].strip() for n in numbers if parts[n].strip()]
            if np.delete(lines.characters[first[i] : first[i + 1]], numbers).sum() < args["characters"]:
                gone.append([places[i], len(said)])
                continue
            left[places[i]], size = text, len(texts[i].encode()) - len(text.encode())
            entry = {"place": places[i], "lines": len(said), "bytes": size}
            records.append(canonical_json(entry | {"cut": [line[:SHOWN_CHARACTERS] for line in said[:SHOWN_LINES]]}))
            cut.append([places[i], len(said), size])
    if left:
        write_changes(block, left.items(), folder)
    write_atomic(said_path := folder.with_suffix(".jsonl"), b"\n".join(records))
    write_array(gone_path := folder.with_suffix(".gone.npy"), np.array(gone, np.int64).reshape(-1, 2))
    write_array(cut_path := folder.with_suffix(".cut.npy"), np.array(cut, np.int64).reshape(-1, 3))
    faults.point("prepare.lines_cut")
    return {"folder": str(folder), "records": str(said_path), "gone": str(gone_path), "cut": str(cut_path)}


def _going(parts: list[tuple[str, int, int]]) -> tuple[Repeated, np.ndarray]:
    """Return the lines that go from a block, and all records of it that lose one; `parts` are where they lie: a part's
    folder, from where and to where.
    """
    found = []
    for part, begin, end in parts:
        found.append([load_array(Path(part) / f"{name}.npy")[begin:end] for name in ("hashes", "keepers", "records")])
    hashes, keepers, records = (np.concatenate(column) for column in zip(*found, strict=True))
    hashes, first, times = np.unique(hashes, return_index=True, return_counts=True)
    return Repeated(hashes, times, keepers[first]), np.unique(records)


def _batches(args: dict[str, Any], chosen: np.ndarray, tell: Tell) -> Iterator[tuple[list[int], list[str]]]:
    """Yield documents of a block, some at a time: their places and texts."""
    block = opened(args)
    sizes = block.documents["bytes"][chosen].cumsum(dtype=np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(sizes // BATCH_BYTES)) + 1).tolist(), len(chosen)]
    for first, last in pairwise(cuts):
        if first < last:
            yield chosen[first:last].tolist(), list(block.texts(chosen[first:last]))
            tell(int(sizes[last - 1]))


def _line(corpus: Corpus, record: int, key: int, characters: int) -> str:
    """Return the beginning of the line that has a hash, from a record that has the line."""
    for number in range(record, corpus.count):
        text = next(corpus.texts(np.array([number])))
        lines = lines_of([text], characters)
        if len(at := lines.at[lines.hashes == np.uint64(key)]):
            return text.split("\n")[at[0]].strip()[:SHOWN_CHARACTERS]
    raise AssertionError("the record has the line")
