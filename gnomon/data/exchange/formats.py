"""Which files hold ids, in which format, and what reads and writes each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.files import read_json, sha256_bytes, sha256_file
from gnomon.data.exchange.datatrove import map_datatrove
from gnomon.data.exchange.flat import map_flat
from gnomon.data.exchange.megatron import MAGIC, map_megatron
from gnomon.data.exchange.records import read_records
from gnomon.data.exchange.sequences import Asked, At, Sequences, sequences_of
from gnomon.data.exchange.table import read_table
from gnomon.data.reading.unpack import PACKINGS

FORMATS = ("megatron", "datatrove", "bin", "jsonl", "parquet")
"""That are read."""
_MAPPED = {"megatron": map_megatron, "datatrove": map_datatrove, "bin": map_flat}
_READ = {"jsonl": read_records, "parquet": read_table}
_KINDS = {".ds": "datatrove", ".jsonl": "jsonl", ".parquet": "parquet", ".arrow": "parquet"}


@dataclass(frozen=True)
class IdFile:
    """A file of ids, the format it is in, and what people call it. `beside` lists the files that belong to it."""

    path: Path
    format: str
    name: str
    beside: tuple[Path, ...] = ()

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    def sha256(self) -> str:
        """Return a hash of everything the file and those beside it hold."""
        hashes = [sha256_file(path) for path in (self.path, *self.beside)]
        return hashes[0] if len(hashes) == 1 else sha256_bytes(" ".join(hashes).encode())


def read_ids(path: Path, format: str, asked: Asked, at: At) -> Iterator[Sequences]:
    """Yield the records of a file in a known format. Raises DataError or IntegrityError, as each format's reader says.

    `at` is told how many bytes of the file lie behind.
    """
    if format in _MAPPED:
        yield from sequences_of(_MAPPED[format](path, asked), asked.ends, at)
    else:
        yield from _READ[format](path, asked, at)


def find_ids(paths: list[str], format: str) -> list[IdFile]:
    """Return the files of ids that paths name: files, folders, prefixes of Megatron's, folders saved by `datasets`.

    `format` is one of FORMATS, or `auto`: by what the files are called and how they begin. Raises DataError for a path
    that is missing or holds nothing of the kind, ConfigError for a format that is not known.
    """
    if format not in ("auto", *FORMATS):
        raise ConfigError(f"there is no format {format!r}", where="--format", do=f"choose auto, {', '.join(FORMATS)}")
    found: dict[Path, IdFile] = {}
    for word in paths:
        here = list(_below(Path(word), format))
        if not here:
            what = "no files of ids here" if format == "auto" else f"nothing here in the format {format}"
            do = "name files of .bin with .idx, .ds, .bin, .jsonl, .parquet or .arrow; or a --format"
            raise DataError(what, where=word, do=do)
        found |= {file.path.resolve(): file for file in here}
    return list(found.values())


def _below(path: Path, format: str) -> Iterator[IdFile]:
    if path.is_dir():
        if (path / "dataset_dict.json").exists():
            splits = read_json(path / "dataset_dict.json")["splits"]
            do = f"name one of {', '.join(str(path / split) for split in splits)}; to hold out in --validation"
            raise DataError("this folder holds several splits", where=str(path), do=do)
        for file in _saved(path) or sorted(p for p in path.rglob("*") if p.is_file()):
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                kind = format_of(file)
                if kind is not None and (format == "auto" or _fits(kind, format)):
                    yield _as_file(file, kind if format == "auto" else format, file.relative_to(path).as_posix())
        return
    if not path.exists() and path.with_name(f"{path.name}.idx").exists():  # a pair, as Megatron names it
        path = path.with_name(f"{path.name}.bin")
    if not path.is_file():
        raise DataError("there is no such file or folder", where=str(path), do="check the path")
    kind = format_of(path) if format == "auto" else format
    if kind is not None:
        yield _as_file(path, kind, path.name)


def _saved(folder: Path) -> list[Path]:
    """Return the files of a folder that `datasets` saved, in their order; none for another folder."""
    if not (folder / "state.json").exists() or not (folder / "dataset_info.json").exists():
        return []
    try:
        return [folder / str(file["filename"]) for file in read_json(folder / "state.json")["_data_files"]]
    except (KeyError, TypeError):
        raise IntegrityError("state.json does not list its files", where=str(folder / "state.json")) from None


def _fits(kind: str, format: str) -> bool:
    """Whether a file of this kind may be read in a format: .bin beside .idx can be meant as flat."""
    return kind == format or {kind, format} == {"megatron", "bin"}


def format_of(path: Path) -> str | None:
    """Return the format of a file by its name, and its beginning where names are shared; None for any other. Of a
    Megatron pair, the .idx is none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKINGS:
        return "jsonl" if suffixes[-2:-1] == [".jsonl"] else None
    last = suffixes[-1] if suffixes else ""
    if last == ".bin":
        index = path.with_suffix(".idx")
        if not index.exists():
            return "bin"
        with index.open("rb") as f:
            return "megatron" if f.read(len(MAGIC)) == MAGIC else "bin"
    return _KINDS.get(last)


def _as_file(path: Path, format: str, name: str) -> IdFile:
    if format == "megatron":
        path = path.with_suffix(".bin")
        if not path.exists() or not path.with_suffix(".idx").exists():
            missing = ".idx" if path.exists() else ".bin"
            where, do = str(path.with_suffix(missing)), "copy it beside the other"
            raise DataError(f"of this pair of files the {missing} is missing", where=where, do=do)
        return IdFile(path, format, name, (path.with_suffix(".idx"),))
    around = [path.with_name(path.name + end) for end in (".index", ".loss")] if format == "datatrove" else []
    return IdFile(path, format, name, tuple(p for p in around if p.exists()))
