"""What lies beside exported files: which dataset they are, whose tokenizer, which documents."""

from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import read_json

NAME, TOKENIZER = "gnomon.json", "tokenizer.json"
VERSION = 1


class ExportedSplit(BaseModel):
    """A split's documents, its ids with an end-of-text for each, a digest of the set, and its files by source."""

    documents: int
    tokens: int
    digest: str
    sources: dict[str, list[str]]

    @field_validator("sources")
    @classmethod
    def _inside(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for path in (PurePosixPath(name) for names in value.values() for name in names):
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{str(path)[:60]!r} lies outside of the export")
        return value


class ExportedSource(BaseModel):
    """What the dataset's manifest says of a source."""

    name: str
    domain: str | None
    licence: str | None


class Exported(BaseModel):
    """The JSON beside exported files."""

    model_config = ConfigDict(strict=True)

    gnomon: int
    format: str
    dtype: str | None
    dataset: dict[str, str]
    tokenizer: dict[str, Any]
    sources: list[ExportedSource] = []  # not there in older exports
    splits: dict[str, ExportedSplit]


def find_exported(folder: Path) -> Exported | None:
    """Return what an export says of itself; None for a folder that is none. Raises IntegrityError where it is garbled,
    DataError where a newer program wrote it, or where it holds texts.
    """
    path = folder / NAME
    if not folder.is_dir() or not path.exists():
        return None
    said = read_json(path)
    if isinstance(said, dict) and isinstance(said.get("gnomon"), int) and said["gnomon"] > VERSION:
        what = f"this export has version {said['gnomon']}, and this program reads {VERSION}"
        raise DataError(what, where=str(path), do="update gnomon")
    try:
        found = Exported.model_validate(said)
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise IntegrityError(f"it does not hold: {place}: {first['msg']}", where=str(path)) from None
    if found.format == "text":
        do = "name its files in data.train, and prepare them"
        raise DataError("this export holds texts, not ids", where=str(folder), do=do)
    return found
