"""Dataset versions on disk: what lies where, opened by memory map, listed, verified. No torch.

datasets/<name>/<version>/    version: the first 12 hex digits of the manifest's SHA-256
    manifest.json  card.md  tokenizer.json  ledger.jsonl.zst  quarantine.jsonl.zst
    train/ validation/        tokens-00000.npy  offsets-00000.npy  documents-00000.jsonl.zst  ...
"""

import logging
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import STAGING_PREFIX, canonical_json, sha256_bytes
from gnomon.store.manifest import NAME, Damage, damaged, read_manifest

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardFiles:
    """The three files of one shard: ids, uint64 [documents + 1] offsets into them, and a JSON line a
    document.
    """

    tokens: Path
    offsets: Path
    documents: Path


def shard_files(folder: Path, number: int) -> ShardFiles:
    """Return where the shard of a split's folder lies."""
    return ShardFiles(
        folder / f"tokens-{number:05d}.npy",
        folder / f"offsets-{number:05d}.npy",
        folder / f"documents-{number:05d}.jsonl.zst",
    )


class Split:
    """The documents of one split. Document i is `tokens(i)`: end-of-text, then its ids; its last target
    is end-of-text.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], end_of_text: int) -> None:
        self.documents: int = entry["documents"]
        self.n_tokens: int = entry["tokens"]  # inputs, and as many loss-bearing targets
        self.bytes: int = entry["bytes"]  # of UTF-8 text
        self.protected: bool = entry["protected"]  # never to be trained on
        self.end_of_text = end_of_text
        self.files = [shard_files(folder, i) for i in range(len(entry["shards"]))]
        self._starts = np.cumsum(
            [0] + [s["documents"] for s in entry["shards"]]
        ).tolist()  # first document of each shard

    @cached_property
    def shards(self) -> list[np.ndarray]:
        """The ids of each shard, memory-mapped."""
        return [np.asarray(np.load(f.tokens, mmap_mode="r")) for f in self.files]

    @cached_property
    def shard_offsets(self) -> list[np.ndarray]:
        """Where each document begins in its shard, and where the last one ends."""
        return [np.load(f.offsets) for f in self.files]

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each document begins in the split, and where the last one ends: uint64 [documents + 1]."""
        lengths = np.concatenate([np.diff(o) for o in self.shard_offsets])
        return np.concatenate([[0], lengths.cumsum()]).astype(np.uint64)

    def tokens(self, document: int) -> np.ndarray:
        """Return the ids of one document, uint16 or uint32. Raises IndexError for a document that is not
        there.
        """
        if not 0 <= document < self.documents:
            raise IndexError(document)
        shard = bisect_right(self._starts, document) - 1
        offsets, inside = self.shard_offsets[shard], document - self._starts[shard]
        return self.shards[shard][int(offsets[inside]) : int(offsets[inside + 1])]


@dataclass(frozen=True)
class Dataset:
    """An opened dataset version."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.manifest["name"]

    @property
    def version(self) -> str:
        return self.folder.name

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical manifest: equal digests, equal data."""
        return sha256_bytes(canonical_json(self.manifest))

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / "tokenizer.json"

    def split(self, name: str) -> Split:
        """Return the `train` or `validation` split."""
        return Split(self.folder / name, self.manifest["splits"][name], self.manifest["tokenizer"]["end_of_text"])


def open_dataset(folder: Path) -> Dataset:
    """Return the dataset version in `folder`. Raises DataError when there is none, IntegrityError when it
    is damaged.
    """
    if not (folder / NAME).exists():
        raise DataError("there is no dataset here", where=str(folder), do="prepare one: gnomon data prepare CONFIG")
    manifest = read_manifest(folder)
    if manifest.get("format") != FORMAT:
        raise IntegrityError(
            f"the dataset has format {manifest.get('format')} and this version reads {FORMAT}",
            where=str(folder),
            do="update gnomon, or prepare the text anew",
        )
    return Dataset(folder, manifest)


def list_datasets(root: Path) -> list[Dataset]:
    """Return the dataset versions below `root`, by name and version. One that cannot be opened is named
    in the log.
    """
    found = []
    for manifest in sorted(root.glob(f"*/*/{NAME}")):
        if manifest.parent.name.startswith(STAGING_PREFIX):
            continue
        try:
            found.append(open_dataset(manifest.parent))
        except IntegrityError as e:
            log.warning("left out of the list: %s", e)
    return found


def verify_dataset(folder: Path) -> list[Damage]:
    """Return every damaged place: files against their hashes, then what they hold against the manifest's
    counts.

    Raises DataError or IntegrityError when there is no dataset that could be opened.
    """
    dataset = open_dataset(folder)
    found = damaged(folder, dataset.manifest["files"])
    if found:
        return found
    return [
        Damage(path.relative_to(folder).as_posix(), None, why)
        for name in dataset.manifest["splits"]
        for path, why in _faults_of(
            dataset.split(name), dataset.manifest["splits"][name], dataset.manifest["tokenizer"]
        )
    ]


def _faults_of(split: Split, entry: dict[str, Any], tokenizer: dict[str, Any]) -> list[tuple[Path, str]]:
    """Return the files of a split that contradict the manifest, with the reason."""
    found: list[tuple[Path, str]] = []
    for files, counts, ids, offsets in zip(
        split.files, entry["shards"], split.shards, split.shard_offsets, strict=True
    ):
        lengths = np.diff(offsets.astype(np.int64))
        if len(lengths) != counts["documents"] or len(ids) != counts["tokens"]:
            found.append((files.tokens, "its documents or tokens are not as many as the manifest says"))
        elif int(offsets[0]) != 0 or (lengths < 1).any() or int(offsets[-1]) != len(ids):
            found.append((files.offsets, "the offsets do not rise from 0 to the number of tokens"))
        elif len(ids) and int(ids.max()) >= tokenizer["vocabulary"]:
            found.append((files.tokens, f"an id is not below the vocabulary of {tokenizer['vocabulary']:,}"))
        elif (ids[offsets[:-1]] != tokenizer["end_of_text"]).any():
            found.append((files.tokens, "a document does not begin with end-of-text"))
        elif zstandard.decompress(files.documents.read_bytes()).count(b"\n") != counts["documents"]:
            found.append((files.documents, "its lines are not as many as the documents"))
    if (sum(s["documents"] for s in entry["shards"]), sum(s["tokens"] for s in entry["shards"])) != (
        split.documents,
        split.n_tokens,
    ):
        found.append((split.files[0].tokens.parent, "the shards do not add up to the split"))
    return found
