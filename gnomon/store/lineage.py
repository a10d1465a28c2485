"""Where a dataset's documents came from, why others are not in it, and how two versions differ. No torch."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.store.datasets import Dataset, document_lines

SPLITS = ("train", "validation")
SHORTEST_ID = 6  # digits by which a document may be asked for


@dataclass(frozen=True)
class Trace:
    """What is known of one document: `status` is train, validation, removed or unusable; `cut` are the lines that were
    taken out of it because many others have them.
    """

    origin: str
    status: str
    id: str | None = None
    source: str | None = None
    tokens: int | None = None
    own_id: str | None = None
    reason: str | None = None
    detail: str | None = None
    cut: tuple[str, ...] = ()


def trace(dataset: Dataset, wanted: str) -> list[Trace]:
    """Return what is known of the documents that a hash, its first digits, an origin such as `a.jsonl:6`, or their
    record's own id names.

    An origin and an own id name all parts of a long record. For a document that is in the dataset, those that were
    removed for being like it come after it. Raises ConfigError where there is none.
    """
    if not wanted:
        do = "give its own id, file and line, as stories.jsonl:6, or digits of its hash"
        raise ConfigError("the document to look for is not named", where=str(dataset.folder), do=do)
    is_id = len(wanted) >= SHORTEST_ID and not set(wanted) - set("0123456789abcdef")
    found = [
        t
        for t in everything(dataset)
        if wanted in (t.origin, t.origin.rpartition("#")[0], t.own_id) or (is_id and (t.id or "").startswith(wanted))
    ]
    if not found:
        raise ConfigError(
            f"no document {wanted!r} is in this dataset, and none was removed",
            where=str(dataset.folder),
            do=f"give its own id, file and line, as stories.jsonl:6, or {SHORTEST_ID} digits or more of its hash",
        )
    kept = {f"of {t.origin}" for t in found if t.status in SPLITS}
    twins = [t for t in _removed(dataset) if t.detail in kept] if kept else []
    return list(_with_cuts(dataset, found + [t for t in twins if t not in found]))


def _with_cuts(dataset: Dataset, found: list[Trace]) -> Iterator[Trace]:
    """Yield what is known, with the lines that were cut out of each document."""
    path, wanted = dataset.folder / "cuts.jsonl.zst", {(t.id, t.origin) for t in found}
    said = packed_lines(path) if path.exists() else []  # versions made before there were any have no such file
    cuts = {key: tuple(cut["cut"]) for cut in said if (key := (cut["id"], cut["origin"])) in wanted}
    return (replace(t, cut=cuts.get((t.id or "", t.origin), ())) for t in found)


def everything(dataset: Dataset) -> Iterator[Trace]:
    """Yield all that is known: documents that are in the dataset, those that were removed, records without use."""
    for name in SPLITS:
        shards = dataset.manifest["splits"][name]["shards"]
        for files, entry in zip(dataset.split(name).files, shards, strict=True):
            for line in document_lines(files.documents):
                said = json.loads(line)
                own_id = said.get("own_id")
                yield Trace(said["origin"], name, said["id"], entry.get("source"), said["tokens"], own_id)
    yield from _removed(dataset)
    for said in packed_lines(dataset.folder / "quarantine.jsonl.zst"):
        yield Trace(said["origin"], "unusable", reason=said["reason"], detail=said["detail"])


def _removed(dataset: Dataset) -> Iterator[Trace]:
    for said in packed_lines(dataset.folder / "ledger.jsonl.zst"):
        why = said.get("reason"), said.get("detail")
        yield Trace(said["origin"], "removed", said.get("id"), own_id=said.get("own_id"), reason=why[0], detail=why[1])


def packed_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a .jsonl.zst. Raises IntegrityError."""
    try:
        with path.open("rb") as f, zstandard.ZstdDecompressor().stream_reader(f) as unpacked:
            for line in io.TextIOWrapper(io.BufferedReader(unpacked), "utf-8"):  # pyright: ignore[reportArgumentType]
                yield json.loads(line)
    except (OSError, ValueError, zstandard.ZstdError) as e:
        raise IntegrityError(f"{path.name} cannot be read: {e}", where=str(path)) from None


def diff(old: Dataset, new: Dataset) -> dict[str, Any]:
    """Return what differs between two versions: `same`, options, files, tokenizer, and documents by split.

    Of the documents: how many came, went and stayed, and how many of those that stayed changed their side; None where
    they cannot be compared, and `not_comparable` says why.
    """
    why = _not_comparable(old, new)
    documents, moved = (None, None) if why else _documents(old, new)
    return {
        "same": old.digest == new.digest,
        "options": dict(_differing(old.manifest["config"], new.manifest["config"])),
        "files": _files(old, new),
        "suites": [sorted(name for name, _ in d.manifest["suites"]) for d in (old, new)],
        "tokenizer": old.manifest["tokenizer"] != new.manifest["tokenizer"],
        "not_comparable": why,
        "documents": documents,
        "changed_sides": moved,
        "tokens": {name: [d.manifest["splits"][name]["tokens"] for d in (old, new)] for name in SPLITS},
        "removed": dict(_differing(old.manifest["removed"], new.manifest["removed"])),
    }


def _not_comparable(old: Dataset, new: Dataset) -> str | None:
    """Return why documents of two versions that are equal may have different ids; None where they cannot."""
    imported = ["import" in d.manifest["config"]["data"] for d in (old, new)]
    if imported[0] != imported[1]:
        what = ["token ids" if of_ids else "texts" for of_ids in imported]
        return (
            f"documents are not comparable: their ids are hashes of {what[0]} in the old one, of {what[1]} in the new"
        )
    if all(imported) and old.manifest["tokenizer"]["digest"] != new.manifest["tokenizer"]["digest"]:
        return "documents are not comparable: their ids are hashes of token ids of different tokenizers"
    return None


def _documents(old: Dataset, new: Dataset) -> tuple[dict[str, dict[str, int]], int]:
    """Return how many documents of each split stayed, went and came, and how many changed their side."""
    sides = {name: (_ids(old, name), _ids(new, name)) for name in SPLITS}
    documents = {}
    for name, (before, after) in sides.items():
        stayed = len(np.intersect1d(before, after, assume_unique=True))
        documents[name] = {"stayed": stayed, "went": len(before) - stayed, "came": len(after) - stayed}
    moved = sum(len(np.intersect1d(sides[a][0], sides[b][1], assume_unique=True)) for a, b in (SPLITS, SPLITS[::-1]))
    return documents, moved


def _ids(dataset: Dataset, split: str) -> np.ndarray:
    """Return the ids of a split's documents: sorted, 16 bytes each."""
    lines = (line for files in dataset.split(split).files for line in document_lines(files.documents))
    return np.sort(np.frombuffer(b"".join(bytes.fromhex(json.loads(line)["id"]) for line in lines), "S16"))


def _files(old: Dataset, new: Dataset) -> dict[str, list[str]]:
    """Return the names of files that came, went, or have another content."""
    before, after = ({(f["source"], f["name"]): f["sha256"] for f in d.manifest["inputs"]} for d in (old, new))
    return {
        "came": sorted(name for key, name in _named(after) if key not in before),
        "went": sorted(name for key, name in _named(before) if key not in after),
        "changed": sorted(name for key, name in _named(after) if key in before and before[key] != after[key]),
    }


def _named(files: dict[tuple[str, str], str]) -> Iterator[tuple[tuple[str, str], str]]:
    return ((key, f"{key[0]}/{key[1]}") for key in files)


def _differing(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield each key whose values differ, with both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differing(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, [old, new]
