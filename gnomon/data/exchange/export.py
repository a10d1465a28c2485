"""A dataset version written as other programs read it: a file, or a few, for each source of each split.

OUT/  gnomon.json  tokenizer.json  train/books.bin  train/books.idx  …  validation/books.bin  …

A domain's files, of the source web/news, are train/web%2Fnews.bin and so on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import orjson

from gnomon.base import faults
from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.files import pretty_json, staged_folder, write_synced
from gnomon.base.names import stem_of
from gnomon.base.progress import Progress
from gnomon.data.exchange.beside import NAME, TOKENIZER, VERSION
from gnomon.data.exchange.datatrove import DatatroveWriter
from gnomon.data.exchange.flat import FlatWriter, LlmcWriter
from gnomon.data.exchange.megatron import MegatronWriter
from gnomon.data.exchange.records import RecordWriter
from gnomon.data.exchange.sequences import digest_of, hashes_of
from gnomon.data.exchange.table import TableWriter
from gnomon.store.datasets import Dataset, Split, document_lines
from gnomon.tokenizer.tokenizer import Tokenizer

Format = Literal["megatron", "datatrove", "bin", "llmc", "jsonl", "parquet", "text"]
FORMATS: tuple[str, ...] = get_args(Format)
"""That are written. llmc: bin with llm.c's head, in shards; text: jsonl with texts instead of ids."""
BATCH_IDS = 1 << 20
BATCH_DOCUMENTS = 1 << 14


@dataclass(frozen=True)
class Batch:
    """Documents of a split, one after the other: ids, end-of-text in front of each, and how many each has with it."""

    ids: np.ndarray
    lengths: np.ndarray
    known: list[str]  # the id of each document, as people read it

    def bare(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids without the end-of-text in front of each document, and how many each then has."""
        inner = np.ones(len(self.ids), bool)
        inner[self.lengths.cumsum() - self.lengths] = False
        return self.ids[inner], self.lengths - 1


class _Writer(Protocol):
    def add(self, ids: np.ndarray, lengths: np.ndarray) -> None: ...

    def close(self) -> None: ...


_PLAIN: dict[str, Callable[[Path, int, int], _Writer]] = {
    "megatron": MegatronWriter,
    "datatrove": DatatroveWriter,
    "bin": FlatWriter,
    "llmc": LlmcWriter,
}


def export_ids(
    dataset: Dataset,
    format: str,
    out: Path,
    splits: list[str],
    sources: list[str],
    progress: Progress,
) -> dict[str, Any]:
    """Write splits and sources (none named: all) of a dataset into a new folder, whole or not at all, and return what
    the JSON beside the files says of them.

    Raises ConfigError for a format, split or source that is not there and a folder that is; IntegrityError for a
    dataset that is damaged; DependencyError without pyarrow for parquet; StorageError.
    """
    _refuse_unknown(dataset, format, out, splits, sources)
    tokenizer = Tokenizer.load(dataset.tokenizer_path)
    if tokenizer.digest != dataset.manifest["tokenizer"]["digest"]:
        raise IntegrityError("the tokenizer is not the dataset's", where=str(dataset.tokenizer_path))
    chosen = {
        split: {n: s for n, s in dataset.sources(split).items() if (n in sources or not sources) and s.documents}
        for split in (splits or ["train", "validation"])
    }
    total, done = sum(s.n_tokens for parts in chosen.values() for s in parts.values()), 0
    said: dict[str, Any] = {"gnomon": VERSION, "format": format, "dtype": None}
    said["dataset"] = {"name": dataset.name, "version": dataset.version, "digest": dataset.digest}
    said["tokenizer"] = {"file": TOKENIZER, "digest": tokenizer.digest, "tokens": tokenizer.tokens}
    said["tokenizer"]["end_of_text"] = tokenizer.end_of_text
    said["sources"], said["splits"] = dataset.manifest["sources"], {}
    with staged_folder(out.absolute().parent, "export") as staged:
        for split, parts in chosen.items():
            (staged.path / split).mkdir()
            hashes = [np.zeros((0, 2), np.uint64)]
            for source, part in parts.items():
                sink = _Sink(format, staged.path / split / stem_of(source), source, tokenizer)
                for batch in batches_of(part):
                    sink.add(batch)
                    hashes.append(_hashes(batch))
                    progress("exporting", done := done + len(batch.ids), total, "tokens")
                said["dtype"] = sink.close()
            said["splits"][split] = {
                "documents": sum(part.documents for part in parts.values()),
                "tokens": sum(part.n_tokens for part in parts.values()),
                "digest": digest_of(np.concatenate(hashes)),
                "sources": {source: _files(staged.path / split, stem_of(source)) for source in parts},
            }
        write_synced(staged.path / TOKENIZER, dataset.tokenizer_path.read_bytes())
        write_synced(staged.path / NAME, pretty_json(said))
        faults.point("export.written")
        staged.publish(out.absolute())
    return said


def _refuse_unknown(dataset: Dataset, format: str, out: Path, splits: list[str], sources: list[str]) -> None:
    if format not in FORMATS:
        raise ConfigError(f"there is no format {format!r}", where="--format", do=f"choose {', '.join(FORMATS)}")
    for split in splits:
        if split not in dataset.manifest["splits"]:
            raise ConfigError(f"there is no split {split!r}", where="--split", do="choose train or validation")
    there = {name for split in dataset.manifest["splits"] for name in dataset.sources(split)}
    for source in sources:
        if source not in there:
            do = f"choose {', '.join(sorted(there))}"
            raise ConfigError(f"there is no source {source!r} in this dataset", where="--source", do=do)
    wanted = [dataset.sources(split) for split in splits or dataset.manifest["splits"]]
    for name, part in ((name, part) for parts in wanted for name, part in parts.items()):
        if part.masked and (name in sources or not sources):
            plain = sorted({n for parts in wanted for n, p in parts.items() if not p.masked})
            do = f"export the others with --source {' --source '.join(plain)}" if plain else "train on it here"
            why = f"some tokens of the source {name!r} bear no loss, and no format here can say which"
            raise ConfigError(why, where=str(dataset.folder), do=do)
    if out.exists():
        raise ConfigError("this folder is there already", where=str(out), do="name another with --out, or remove it")


def _files(folder: Path, stem: str) -> list[str]:
    """Return the files of a source in a split's folder; its stem may be the beginning of another's."""
    ends = (".bin", ".idx", ".ds", ".ds.index", ".jsonl.zst", ".parquet")
    names = sorted(p.name for p in folder.iterdir() if p.name.startswith(stem))
    shard = "_" + "[0-9]" * 6 + ".bin"
    return [f"{folder.name}/{n}" for n in names if n[len(stem) :] in ends or Path(n[len(stem) :]).match(shard)]


def _hashes(batch: Batch) -> np.ndarray:
    ids, lengths = batch.bare()
    return hashes_of(ids, lengths)[lengths > 0]


class _Sink:
    """Writes one source of a split, whatever the format."""

    def __init__(self, format: str, stem: Path, source: str, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._plain = _PLAIN[format](stem, tokenizer.tokens, tokenizer.end_of_text) if format in _PLAIN else None
        self._table = TableWriter(stem, source, tokenizer.tokens) if format == "parquet" else None
        self._records = RecordWriter(stem, source) if format in ("jsonl", "text") else None
        self._as_text = format == "text"

    def add(self, batch: Batch) -> None:
        """Write documents."""
        if self._plain:
            self._plain.add(batch.ids, batch.lengths)
            return
        ids, lengths = batch.bare()
        if self._table:
            self._table.add(batch.known, ids, lengths)
        elif self._records and self._as_text:
            cuts = np.split(ids, lengths.cumsum()[:-1])
            self._records.add_texts(batch.known, [self._tokenizer.decode(cut.tolist()) for cut in cuts])
        elif self._records:
            self._records.add(batch.known, ids, lengths)

    def close(self) -> str | None:
        """Finish, and return the type that ids are stored in, where the format has one."""
        writer = self._plain or self._table or self._records
        assert writer is not None
        writer.close()
        dtype = getattr(writer, "dtype", None)
        return None if dtype is None else dtype.name


def batches_of(split: Split) -> Iterator[Batch]:
    """Yield the documents of a split, in its order, some at once; its shards stay where they are."""
    for files, ids, offsets in zip(split.files, split.shards, split.shard_offsets, strict=True):
        bounds, lines, first = offsets.astype(np.int64), document_lines(files.documents), 0
        while first < len(bounds) - 1:
            last = int(np.searchsorted(bounds, bounds[first] + BATCH_IDS, side="right")) - 1
            last = min(max(last, first + 1), first + BATCH_DOCUMENTS)
            known = [_id(line, files.documents) for line in islice(lines, last - first)]
            if len(known) < last - first:
                raise IntegrityError("its lines are not as many as the documents", where=str(files.documents))
            yield Batch(ids[bounds[first] : bounds[last]], np.diff(bounds[first : last + 1]), known)
            first = last


def _id(line: bytes, path: Path) -> str:
    try:
        return str(orjson.loads(line)["id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise IntegrityError("a line about a document is garbled", where=str(path)) from None
