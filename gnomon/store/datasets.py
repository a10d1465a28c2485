"""Dataset versions on disk: what lies where, opened by memory map, listed, verified. No torch.

datasets/<name>/<version>/    version: the first 12 hex digits of the manifest's SHA-256
    manifest.json  card.md  tokenizer.json  ledger.jsonl.zst  quarantine.jsonl.zst
    train/ validation/        tokens.npy  offsets.npy  documents.jsonl.zst
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import STAGING_PREFIX, canonical_json, sha256_bytes
from gnomon.store.manifest import NAME, Damage, damaged, read_manifest

FORMAT = 1


class Split:
    """The documents of one split. Document i is `tokens(i)`: end-of-text, then its ids; its last target is end-of-text."""

    def __init__(self, folder: Path, entry: dict[str, Any], end_of_text: int) -> None:
        self.documents: int = entry["documents"]
        self.n_tokens: int = entry["tokens"]  # inputs, and as many loss-bearing targets
        self.bytes: int = entry["bytes"]  # of UTF-8 text
        self.end_of_text = end_of_text
        self._folder = folder

    @cached_property
    def ids(self) -> np.ndarray:
        """All documents' ids, one after the other, memory-mapped."""
        return np.load(self._folder / "tokens.npy", mmap_mode="r")

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each document begins in `ids`, and where the last one ends: uint64 [documents + 1]."""
        return np.load(self._folder / "offsets.npy")

    def tokens(self, document: int) -> np.ndarray:
        """Return the ids of one document."""
        return self.ids[int(self.offsets[document]) : int(self.offsets[document + 1])]


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
    """Return the dataset version in `folder`. Raises DataError when there is none, IntegrityError when it is damaged."""
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
    """Return the dataset versions below `root`, by name and version."""
    manifests = root.glob(f"*/*/{NAME}") if root.is_dir() else ()
    return [open_dataset(m.parent) for m in sorted(manifests) if not m.parent.name.startswith(STAGING_PREFIX)]


def verify_dataset(folder: Path) -> list[Damage]:
    """Return every damaged place: files against their hashes, then offsets and ids against the manifest's counts."""
    dataset = open_dataset(folder)
    found = damaged(folder, dataset.manifest["files"])
    if found:
        return found
    vocabulary = dataset.manifest["tokenizer"]["vocabulary"]
    for name in dataset.manifest["splits"]:
        split = dataset.split(name)
        offsets = split.offsets.astype(np.int64)
        if len(offsets) != split.documents + 1 or (np.diff(offsets) < 1).any() or offsets[-1] != len(split.ids):
            found.append(Damage(f"{name}/offsets.npy", None, "the offsets do not fit the tokens"))
        if len(split.ids) and int(split.ids.max()) >= vocabulary:
            found.append(Damage(f"{name}/tokens.npy", None, f"an id is not below the vocabulary of {vocabulary:,}"))
    return found
