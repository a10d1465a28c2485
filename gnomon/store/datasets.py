"""Dataset versions on disk: what lies where, opened by memory map, listed, verified. No torch.

datasets/<name>/<version>/    version: the first 12 hex digits of the manifest's SHA-256
    manifest.json  card.md  tokenizer.json  ledger.jsonl.zst  quarantine.jsonl.zst
    train/ validation/        tokens-00000.npy  offsets-00000.npy  documents-00000.jsonl.zst  ...
                              mask-00000.npy: a bit a token, the lowest of a byte first: whether the token that
                              follows it bears loss; for sources in which not every one does
                              labels-00000.npy: a row a document, see labels.py; where something is known
                              unigrams.npy: how often each id is in each source, one source after the other
"""

import itertools
import json
import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gnomon.base.disk import DISK
from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import STAGING_PREFIX
from gnomon.store import labels
from gnomon.store.arrays import bits_of, mapped
from gnomon.store.manifest import NAME, Damage, read_manifest
from gnomon.store.packed import damaged_content, digest_of
from gnomon.store.schema import Count

FORMAT, STRUCTURED = 3, 4
"""Of plain text, and of a dataset in which some tokens bear no loss: who reads only the former must not train on it."""
READ = (2, FORMAT, STRUCTURED)
"""Formats that can be read; 2 knows packed files by their packed bytes alone, and no own ids of records."""
MAX_LINE_BYTES = 1 << 16  # of what is known of a document
UNIGRAMS = "unigrams.npy"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardFiles:
    """The files of one shard: ids, uint64 [documents + 1] offsets into them, and a JSON line a document; where there
    are any, bits that say what bears loss, and labels.
    """

    tokens: Path
    offsets: Path
    documents: Path
    mask: Path
    labels: Path


def shard_files(folder: Path, number: int) -> ShardFiles:
    """Return where the shard of a split's folder lies."""
    return ShardFiles(
        folder / f"tokens-{number:05d}.npy",
        folder / f"offsets-{number:05d}.npy",
        folder / f"documents-{number:05d}.jsonl.zst",
        folder / f"mask-{number:05d}.npy",
        folder / f"labels-{number:05d}.npy",
    )


class _File(BaseModel):
    path: str
    bytes: Count


class _Shard(BaseModel):
    documents: Count
    tokens: Count
    bytes: Count
    source: str
    bearing: Count | None = None
    labelled: Count | None = None


class _Split(BaseModel):
    documents: Count
    tokens: Count
    bytes: Count
    protected: bool
    shards: Annotated[list[_Shard], Field(min_length=1, fail_fast=True)]


class _Splits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    train: _Split
    validation: _Split


class _Tokenizer(BaseModel):
    vocabulary: Count
    end_of_text: Count
    marks: list[Count] = []


class _Body(BaseModel):
    """What is needed of a dataset's manifest to open it; the files are checked one by one where they are verified."""

    name: str
    recipe: str
    tokenizer: _Tokenizer
    splits: _Splits
    files: Annotated[list[_File], Field(fail_fast=True)]
    packed: Annotated[list[_File], Field(fail_fast=True)] = []
    removed: dict[str, int]


class Split:
    """The documents of one split, or of one source in it. Document i is `tokens(i)`: end-of-text, then its ids; its
    last target is end-of-text.
    """

    def __init__(
        self,
        folder: Path,
        entry: dict[str, Any],
        end_of_text: int,
        source: str | None = None,
        marks: Sequence[int] = (),
    ) -> None:
        numbered = [(i, s) for i, s in enumerate(entry["shards"]) if source is None or s["source"] == source]
        shards = [shard for _, shard in numbered]
        self.documents = sum(int(s["documents"]) for s in shards)
        self.n_tokens = sum(int(s["tokens"]) for s in shards)  # inputs, and as many targets
        self.bearing = sum(int(s.get("bearing", s["tokens"])) for s in shards)  # targets that bear loss
        self.masked = any("bearing" in s for s in shards)
        self.labelled = sum(int(s.get("labelled", 0)) for s in shards)  # documents of which something is known
        self._entries = shards
        self.bytes = sum(int(s["bytes"]) for s in shards)  # of UTF-8 text
        self.protected: bool = entry["protected"]  # never to be trained on
        self.end_of_text, self.marks = end_of_text, tuple(marks)  # the latter: at which labels are read, by kind
        self.files = [shard_files(folder, i) for i, _ in numbered]
        self._starts = np.cumsum([0] + [s["documents"] for s in shards]).tolist()  # first document of each shard

    @cached_property
    def shards(self) -> list[np.ndarray]:
        """The ids of each shard, memory-mapped. Raises IntegrityError for a file that holds something else."""
        return [mapped(f.tokens, ("<u2", "<u4")) for f in self.files]

    @cached_property
    def masks(self) -> list[np.ndarray | None]:
        """Of each shard the bits that say, the lowest of a byte first, whether what follows a token bears loss: uint8,
        memory-mapped; None where all do. Raises IntegrityError for a file that holds something else.
        """
        every = zip(self.files, self._entries, strict=True)
        found = [mapped(f.mask, ("|u1",)) if "bearing" in entry else None for f, entry in every]
        for files, mask, ids in zip(self.files, found, self.shards, strict=True):
            if mask is not None and len(mask) != -(-len(ids) // 8):
                raise IntegrityError("it has not a bit for each token", where=str(files.mask))
        return found

    @cached_property
    def _labels(self) -> list[np.ndarray | None]:
        every = zip(self.files, self._entries, strict=True)
        found = [mapped(f.labels, (labels.DTYPE.str,), labels.WIDTH) if "labelled" in e else None for f, e in every]
        for files, table, entry in zip(self.files, found, self._entries, strict=True):
            if table is not None and table.size != entry["documents"] * labels.WIDTH:
                raise IntegrityError("it has not a row for each document", where=str(files.labels))
        return [None if table is None else table.reshape(-1, labels.WIDTH) for table in found]

    def labels(self, documents: np.ndarray) -> np.ndarray:
        """Return what is known of the question in each of these documents, float32 [n, labels.WIDTH]. Raises
        IntegrityError for a file that holds something else.
        """
        found = np.full((len(documents), labels.WIDTH), np.nan, np.float32)
        shards = np.searchsorted(self._starts, documents, side="right") - 1
        for shard in np.unique(shards).tolist():
            table, mine = self._labels[shard], np.flatnonzero(shards == shard)
            if table is not None:
                found[mine] = table[documents[mine] - self._starts[shard]]
        return found

    @cached_property
    def shard_offsets(self) -> list[np.ndarray]:
        """Where each document begins in its shard, and where the last one ends. Raises IntegrityError for offsets that
        do not cut the shard into documents.
        """
        found = [np.array(mapped(f.offsets, ("<u8",))) for f in self.files]
        for files, ids, offsets in zip(self.files, self.shards, found, strict=True):
            rising = len(offsets) > 0 and bool((offsets[1:] > offsets[:-1]).all())
            if not rising or int(offsets[0]) != 0 or int(offsets[-1]) != len(ids):
                raise IntegrityError("the offsets do not rise from 0 to the number of tokens", where=str(files.offsets))
        if [len(offsets) - 1 for offsets in found] != np.diff(self._starts).tolist():
            raise IntegrityError("the documents are not as many as the manifest says", where=str(self.files[0].offsets))
        return found

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

    def bears(self, document: int) -> np.ndarray | None:
        """Return of each id of a document whether what follows it bears loss; None where all do."""
        shard = bisect_right(self._starts, document) - 1
        if (mask := self.masks[shard]) is None:
            return None
        first, stop = self.shard_offsets[shard][document - self._starts[shard] :][:2].astype(np.int64).tolist()
        return bits_of(mask, np.arange(first, stop)) == 1

    def origin(self, document: int) -> str:
        """Return where a document came from, such as `stories.jsonl:6`."""
        return self.known([document])[0]["origin"]

    def known(self, documents: Sequence[int]) -> list[dict[str, Any]]:
        """Return what is known of each of these documents: `id`, `origin`, `bytes`, `tokens`."""
        found: dict[int, dict[str, Any]] = {}
        wanted = sorted(set(documents))
        for shard in sorted({bisect_right(self._starts, d) - 1 for d in wanted}):
            first, path = self._starts[shard], self.files[shard].documents
            mine = [d - first for d in wanted if first <= d < self._starts[shard + 1]]
            here = set(mine)
            for at, line in enumerate(itertools.islice(document_lines(path), mine[-1] + 1)):
                if at in here:
                    found[first + at] = _said(line, path, first + at)
            if missing := [d for d in mine if first + d not in found]:
                raise IntegrityError(f"nothing is known of document {first + missing[0]:,}", where=str(path))
        return [found[d] for d in documents]


def _said(line: bytes, path: Path, document: int) -> dict[str, Any]:
    try:
        said = json.loads(line)
        return said | {"origin": str(said["origin"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(f"nothing is known of document {document:,}", where=str(path)) from None


def document_lines(path: Path) -> Iterator[bytes]:
    """Yield what is known of a shard's documents, a line each, read piece by piece. Raises IntegrityError."""
    rest = b""
    try:
        if DISK.kind(path) != "file":
            raise OSError("it is missing or no plain file")
        with path.open("rb") as f, zstandard.ZstdDecompressor().stream_reader(f) as text:
            while piece := text.read(1 << 20):
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    raise OSError("a line is too long")
                yield from lines
    except (OSError, zstandard.ZstdError) as e:
        raise IntegrityError(f"{path.name} cannot be read: {e}", where=str(path)) from None
    if rest:
        raise IntegrityError(f"{path.name} ends within a line", where=str(path))


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
        """The SHA-256 of the canonical manifest, without what depends on the packer: equal digests, equal data."""
        return digest_of(self.manifest)

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / "tokenizer.json"

    def split(self, name: str) -> Split:
        """Return the `train` or `validation` split."""
        said = self.manifest["tokenizer"]
        return Split(
            self.folder / name, self.manifest["splits"][name], said["end_of_text"], marks=said.get("marks", ())
        )

    def sources(self, split: str) -> dict[str, Split]:
        """Return each source's own part of a split, by the source's name, in their order."""
        entry = self.manifest["splits"][split]
        names = list(dict.fromkeys(shard["source"] for shard in entry["shards"]))
        end_of_text, marks = self.manifest["tokenizer"]["end_of_text"], self.manifest["tokenizer"].get("marks", ())
        return {name: Split(self.folder / split, entry, end_of_text, name, marks) for name in names}

    def unigrams(self, split: str = "train") -> dict[str, np.ndarray]:
        """Return how often each id is in each source of a split, uint64 [vocabulary], by the source's name in their
        order. A version that was prepared before this was written down is counted. Raises IntegrityError for a file
        that holds something else.
        """
        sources, vocabulary = self.sources(split), self.manifest["tokenizer"]["vocabulary"]
        path = self.folder / split / UNIGRAMS
        if f"{split}/{UNIGRAMS}" not in {file["path"] for file in self.manifest["files"]}:
            return {name: _counted(part, vocabulary) for name, part in sources.items()}
        found = np.array(mapped(path, ("<u8",)))
        if len(found) != len(sources) * vocabulary:
            raise IntegrityError(f"it does not count {vocabulary:,} ids in {len(sources)} sources", where=str(path))
        by_source = dict(zip(sources, found.reshape(len(sources), vocabulary), strict=True))
        wrong = [n for n, counts in by_source.items() if counts.sum(dtype=np.uint64) != sources[n].n_tokens]
        if wrong:
            raise IntegrityError(f"its counts are not as many as the tokens of {wrong[0]}", where=str(path))
        return by_source


def _counted(split: Split, vocabulary: int) -> np.ndarray:
    counts = np.zeros(vocabulary, dtype=np.uint64)
    for shard in split.shards:
        counts += np.bincount(shard, minlength=vocabulary).astype(np.uint64)
    return counts


def open_dataset(folder: Path) -> Dataset:
    """Return the dataset version in `folder`. Raises DataError when there is none, IntegrityError when it
    is damaged.
    """
    if not (folder / NAME).exists():
        raise DataError("there is no dataset here", where=str(folder), do="prepare one: gnomon data prepare CONFIG")
    manifest = read_manifest(folder)
    if manifest.get("format") not in READ:
        raise IntegrityError(
            f"the dataset has format {manifest.get('format')} and this version reads {READ[0]} to {READ[-1]}",
            where=str(folder),
            do="update gnomon, or prepare the text anew",
        )
    try:
        _Body.model_validate(manifest, strict=True)
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise IntegrityError(f"the manifest does not hold: {place}: {first['msg']}", where=str(folder)) from None
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
    found = damaged_content(folder, dataset.manifest)
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
    try:
        shards = list(zip(split.files, entry["shards"], split.shards, split.shard_offsets, strict=True))
    except IntegrityError as e:
        return [(Path(e.where or split.files[0].tokens), e.what)]
    for files, counts, ids, offsets in shards:
        if len(ids) != counts["tokens"]:
            found.append((files.tokens, "its tokens are not as many as the manifest says"))
        elif len(ids) and int(ids.max()) >= tokenizer["vocabulary"]:
            found.append((files.tokens, f"an id is not below the vocabulary of {tokenizer['vocabulary']:,}"))
        elif (ids[offsets[:-1]] != tokenizer["end_of_text"]).any():
            found.append((files.tokens, "a document does not begin with end-of-text"))
        else:
            found += [(files.documents, why) for why in _faults_of_lines(files.documents, counts["documents"])]
    found += _faults_beside(split, entry)
    if any(entry[what] != sum(s[what] for s in entry["shards"]) for what in ("documents", "tokens", "bytes")):
        found.append((split.files[0].tokens.parent, "the shards do not add up to the split"))
    return found


def _faults_beside(split: Split, entry: dict[str, Any]) -> list[tuple[Path, str]]:
    """Return the masks and labels of a split that contradict the manifest, with the reason."""
    found: list[tuple[Path, str]] = []
    try:
        masks, first = split.masks, 0
        for files, counts, mask in zip(split.files, entry["shards"], masks, strict=True):
            table = split.labels(np.arange(first, first := first + counts["documents"]))
            if mask is not None and int(np.bitwise_count(mask).sum(dtype=np.int64)) != counts["bearing"]:
                found.append((files.mask, "its bits are not as many as the manifest says"))
            if why := labels.fault_of(table):
                found.append((files.labels, why))
    except IntegrityError as e:
        return [(Path(e.where or split.files[0].mask), e.what)]
    return found


def _faults_of_lines(path: Path, documents: int) -> Iterator[str]:
    try:
        if sum(1 for _ in itertools.islice(document_lines(path), documents + 1)) != documents:
            yield "its lines are not as many as the documents"
    except IntegrityError as e:
        yield e.what
