"""What decides the content of a dataset, and the version that was made by it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.files import STAGING_PREFIX, canonical_json, sha256_bytes
from gnomon.base.progress import Progress
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.read import Source, find_sources
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import NAME
from gnomon.tokenizer.tokenizer import BLOCK
from gnomon.tokenizer.train import SMALLEST

OPTIONS = {"validation_share", "text_field", "separator", "max_bad_share"}
"""Keys of `data` that decide what a dataset holds; the others say where things lie."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a dataset holds; its digest is what a prepared version is found by."""

    folder: Path  # of all versions of this name
    name: str
    train: list[Source]
    validation: list[Source]
    data: DataConfig
    tokenizer: TokenizerConfig
    sources: list[dict[str, Any]]  # as the manifest names them
    vocabulary: int
    digest: str

    @classmethod
    def of(cls, data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> "Recipe":
        """Return the recipe of a config. Reads every file once, for its hash; raises as `prepare` does."""
        _check_vocabulary(tokenizer.vocabulary)
        train, validation = find_sources(data.train), find_sources(data.validation) if data.validation else []
        total, done = sum(s.bytes for s in train + validation), 0
        hashed: dict[str, list[tuple[str, str, Source]]] = {"train": [], "validation": []}
        for split, sources in (("train", train), ("validation", validation)):
            for source in sources:
                hashed[split].append((source.name, source.sha256(), source))
                done += source.bytes
                progress("checking files", done, total, "bytes")
            hashed[split].sort(key=lambda h: h[:2])  # by name and content, never by place
        described = [
            {"split": split, "name": name, "bytes": source.bytes, "sha256": sha256}
            for split, sources in hashed.items()
            for name, sha256, source in sources
        ]
        content = {
            "format": FORMAT,
            "sources": described,
            "data": data.model_dump(include=OPTIONS),
            "tokenizer": tokenizer.model_dump(),
            "vocabulary": vocabulary,
        }
        name = _name(data)
        return cls(
            folder=Path(data.root) / name,
            name=name,
            train=[source for _, _, source in hashed["train"]],
            validation=[source for _, _, source in hashed["validation"]],
            data=data,
            tokenizer=tokenizer,
            sources=described,
            vocabulary=vocabulary,
            digest=sha256_bytes(canonical_json(content)),
        )


def _name(data: DataConfig) -> str:
    if data.name is None:
        return Path(data.train[0]).resolve().name.split(".")[0] or "text"
    if not data.name or Path(data.name).name != data.name or data.name.startswith("."):
        raise ConfigError(
            f"{data.name!r} cannot name a dataset",
            where="data.name",
            do="use a plain name, without / and no . in front",
        )
    return data.name


def find_version(recipe: Recipe) -> Dataset | None:
    """Return the version made by this recipe, unless there is none or a file of it is missing or of
    another size.
    """
    for manifest in sorted(recipe.folder.glob(f"*/{NAME}")):
        if manifest.parent.name.startswith(STAGING_PREFIX):
            continue
        try:
            dataset = open_dataset(manifest.parent)
        except IntegrityError:
            continue
        if dataset.manifest["recipe"] == recipe.digest and all(
            (path := dataset.folder / f["path"]).is_file() and path.stat().st_size == f["bytes"]
            for f in dataset.manifest["files"]
        ):
            return dataset
    return None


def _check_vocabulary(asked: int | None) -> None:
    if asked is not None and (asked < SMALLEST or asked % BLOCK):
        why = f"is no multiple of {BLOCK}" if asked % BLOCK else "is too small for the special tokens and the 256 bytes"
        raise ConfigError(
            f"a vocabulary of {asked:,} {why}",
            where="tokenizer.vocabulary",
            do=f"ask for {max(SMALLEST, round(asked / BLOCK) * BLOCK):,}",
        )
