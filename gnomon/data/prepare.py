"""Text becomes a dataset version, once: read, deduplicate, split, learn a tokenizer, encode, store."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import zstandard

from gnomon.base import faults
from gnomon.base.disk import DISK
from gnomon.base.errors import ConfigError, DataError, StorageError
from gnomon.base.files import (
    STAGING_PREFIX,
    canonical_json,
    staged_folder,
    storage_errors,
    sweep_staging,
    write_synced,
)
from gnomon.base.progress import Progress, silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.account import flow_of, samples_of
from gnomon.data.card import card_of
from gnomon.data.classification.domains import described
from gnomon.data.classification.languages import languages_of
from gnomon.data.contamination.suites import read_suite
from gnomon.data.corpus import Corpus
from gnomon.data.engine import open_engine
from gnomon.data.reading.unpack import PACKINGS
from gnomon.data.recipe import OPTIONS, Recipe, find_version
from gnomon.data.records import repeated_ids
from gnomon.data.work import BLOCKS, WORK, Work
from gnomon.store.datasets import FORMAT, STRUCTURED, Dataset, open_dataset
from gnomon.store.manifest import NAME, write_manifest
from gnomon.store.packed import describe_content, digest_of
from gnomon.store.runs import only_writer
from gnomon.taxonomy import MARKS
from gnomon.tokenizer.tokenizer import Tokenizer

DISK_PER_BYTE, CUT_PER_BYTE, PACKED = 1.4, 0.5, 4
"""Bytes on disk by bytes of text (measured: blocks 0.43, ids 0.45, the version 0.46), more of them where lines are cut
(measured where every text loses some: 0.43), and of text by those of a packed file (measured: 3.7).
"""


def prepare(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> Dataset:
    """Return the dataset version of a recipe (text, options, vocabulary), made now unless it exists; or the one that
    `data.prepared` names.

    The files are read once, into blocks on disk, so that memory never holds the text. What becomes of each document is
    decided from what the blocks say of them all, and those that are kept are encoded block by block. Every stage but
    the decisions is numbered jobs for an engine; a preparation that was killed passes over those that were done. The
    version appears by one rename. The same text and options give the same digest, in whatever order the files are
    named, wherever they lie and however many workers there are. While another process prepares a dataset of this name,
    waits for it.

    Raises DataError for text that is missing, unreadable, empty or mostly broken, and for a vocabulary
    that was asked for and that the text does not support; ConfigError for a name or vocabulary that
    cannot be; StorageError for a disk that is full or refuses.
    """
    if data.prepared is not None:
        return _existing(data.prepared, tokenizer)
    recipe = Recipe.of(data, tokenizer, vocabulary, progress)
    known = find_version(recipe)
    if known:
        return known
    with only_writer(recipe.folder, "prepares this text", progress):
        return find_version(recipe) or _make(recipe, progress)


def _make(recipe: Recipe, progress: Progress) -> Dataset:
    sweep_staging(recipe.folder)
    _refuse_small_disk(recipe)
    for path, _ in recipe.suites:  # now, not after hours
        _try_suite(path, recipe.data.decontaminate.fields)
    data, shared = recipe.data, recipe.folder / WORK / "slurm"
    opened = open_engine(data.engine, data.workers, data.slurm, shared)
    with opened as engine, storage_errors(recipe.folder):
        work = Work(recipe, engine, progress)
        work.forget_others()
        corpus = work.read()
        work.decide(corpus)
        learned = work.learn(corpus)
        encoded = work.encode(corpus, learned)
        with staged_folder(recipe.folder, "version") as staged:
            splits = work.write(corpus, encoded, learned, staged.path)
            write_synced(staged.path / "tokenizer.json", learned.to_json().encode())
            write_lines(staged.path / "ledger.jsonl.zst", corpus.ledger())
            write_lines(staged.path / "quarantine.jsonl.zst", work.unusable)
            write_lines(staged.path / "samples.jsonl.zst", samples_of(corpus))
            write_lines(staged.path / "contamination.jsonl.zst", work.contamination.hits)
            write_lines(staged.path / "cuts.jsonl.zst", work.cuts.lines(corpus) if work.cuts else [])
            body = _manifest(recipe, work, corpus, learned, splits)
            write_synced(staged.path / "card.md", card_of(body).encode())
            body |= describe_content(staged.path, [p for p in staged.path.rglob("*") if p.is_file()])
            write_manifest(staged.path, body)
            final = recipe.folder / digest_of(body)[:12]
            faults.point("prepare.manifest_written")
            if final.exists():  # this very version, but damaged, or `find_version` would have found it
                final.rename(recipe.folder / f"{STAGING_PREFIX}damaged-{final.name}")
            staged.publish(final)
    work.sweep()
    return open_dataset(final)


def _try_suite(path: Path, fields: list[str]) -> None:
    """Raise what `read_suite` does, with the option that a config has in place of the verb's."""
    try:
        read_suite(path, fields)
    except DataError as e:
        key = "data.decontaminate.fields"
        do = (e.do or "").replace("--fields question,answer", f'{key}=["question", "answer"]').replace("--fields", key)
        raise DataError(e.what, where=e.where, do=do) from None


def _refuse_small_disk(recipe: Recipe) -> None:
    """Raise StorageError where the disk cannot hold what is about to be made: now, not after hours."""
    text = sum(i.file.bytes * (PACKED if i.file.path.suffix.lower() in PACKINGS else 1) for i in recipe.inputs)
    done = sum(p.stat().st_size for part in (BLOCKS, WORK) for p in (recipe.folder / part).rglob("*") if p.is_file())
    rate = DISK_PER_BYTE + (CUT_PER_BYTE if recipe.data.dedup.lines else 0)
    needed, free = int(rate * text) - done, DISK.free(recipe.folder)  # one that goes on has a part already
    if needed > free:
        raise StorageError(
            f"preparing about {text / 1e6:,.1f} MB of text needs {needed / 1e6:,.1f} MB more of disk, and"
            f" {free / 1e6:,.1f} MB are free",
            where=str(recipe.folder),
            do="free some space, or name a folder on another disk in data.root",
        )


def find_prepared(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int) -> Dataset | None:
    """Return the dataset version of a recipe if it has been made; None otherwise, also without the text."""
    try:
        if data.prepared is not None:
            return _existing(data.prepared, tokenizer)
        return find_version(Recipe.of(data, tokenizer, vocabulary, silent))
    except DataError:
        return None


def _existing(named: str, tokenizer: TokenizerConfig) -> Dataset:
    """Return the version that `data.prepared` names: by its folder, or by that of a dataset which has only one."""
    folder = Path(named)
    if not (folder / NAME).exists():
        versions = sorted(p.parent for p in folder.glob(f"*/{NAME}") if not p.parent.name.startswith(STAGING_PREFIX))
        if len(versions) > 1:
            do = f"name one of {', '.join(map(str, versions[:5]))}"
            raise ConfigError(f"there are {len(versions)} versions of this dataset", where=named, do=do)
        folder = versions[0] if versions else folder
    dataset = open_dataset(folder)
    if tokenizer.path is not None:
        do = "leave it out: a dataset brings its tokenizer along"
        raise ConfigError("the dataset has a tokenizer, and another is named", where="tokenizer.path", do=do)
    has = dataset.manifest["tokenizer"]["vocabulary"]
    if tokenizer.vocabulary not in (None, has):
        raise ConfigError(
            f"the dataset has a vocabulary of {has:,}, and {tokenizer.vocabulary:,} is asked for",
            where="tokenizer.vocabulary",
            do="leave it out: a dataset brings its tokenizer along",
        )
    return dataset


def write_lines(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write a .jsonl.zst, a line an entry."""
    packer = zstandard.ZstdCompressor()
    with path.open("wb") as f, packer.stream_writer(f) as packed:
        for entry in entries:
            packed.write(canonical_json(entry) + b"\n")


def _manifest(
    recipe: Recipe, work: Work, corpus: Corpus, tokenizer: Tokenizer, splits: dict[str, Any]
) -> dict[str, Any]:
    clean = recipe.data.clean
    shards = [shard for entry in splits.values() for shard in entry["shards"]]
    masked, labelled = (any(what in shard for shard in shards) for what in ("bearing", "labelled"))
    return {
        "format": STRUCTURED if masked else FORMAT,
        "name": recipe.name,
        "recipe": recipe.digest,
        "inputs": [i.described() for i in recipe.inputs],
        "sources": described(recipe.data.named, corpus.sources),
        "config": {
            "data": recipe.data.model_dump(include=OPTIONS),
            "tokenizer": {} if recipe.brought else recipe.tokenizer.model_dump(exclude={"path"}),
        },
        "tokenizer": {
            "digest": tokenizer.digest,
            "vocabulary": tokenizer.vocabulary,
            "tokens": tokenizer.tokens,
            "requested": recipe.vocabulary,
            "kind": tokenizer.kind,
            "pretokenizer": tokenizer.pretokenizer,
            "end_of_text": tokenizer.end_of_text,
            **({"marks": [tokenizer.special_id(mark) for mark in MARKS]} if labelled else {}),
        },
        "splits": splits,
        "removed": corpus.reasons(),
        "repeated_ids": repeated_ids(corpus),
        "suites": [[path.name, sha256] for path, sha256 in recipe.suites],
        "flow": flow_of(corpus),
        "languages": None if clean.languages is None else languages_of(corpus, clean.language_confidence),
        "contamination": work.contamination.facts,
        **{what: dict(sorted(counts.items())) for what, counts in work.cleaned.items()},
        "near": None if work.alike is None else asdict(work.alike),
        "semantic": None if work.meaning is None else asdict(work.meaning),
        "lines": None if work.cuts is None else work.cuts.facts,
        "quarantined": dict(sorted(Counter(u["reason"] for u in work.unusable).items())),
    }
