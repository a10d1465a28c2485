"""Text becomes a dataset version, once: read, deduplicate, split, learn a tokenizer, encode, store."""

import shutil
from collections import Counter
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from gnomon.base import faults
from gnomon.base.arrays import write_array
from gnomon.base.disk import DISK
from gnomon.base.errors import DataError, StorageError
from gnomon.base.files import (
    STAGING_PREFIX,
    canonical_json,
    sha256_bytes,
    staged_folder,
    storage_errors,
    sweep_staging,
    write_synced,
)
from gnomon.base.progress import Progress, silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.account import flow_of, samples_of
from gnomon.data.alike import Alike, remove_near
from gnomon.data.blocks import Wanted, key_of
from gnomon.data.card import card_of
from gnomon.data.contamination import Contamination, remove_contamination
from gnomon.data.corpus import REMOVED, TRAIN, VALIDATION, Corpus, File, remove_equal, remove_poor
from gnomon.data.encode import SPLITS, dtype_of, write_unigrams
from gnomon.data.engine import Engine, Job, open_engine
from gnomon.data.minhash import bands_for
from gnomon.data.read import can_split
from gnomon.data.recipe import OPTIONS, Input, Recipe, find_version
from gnomon.data.rules import choose
from gnomon.data.shards import SHARD_BYTES
from gnomon.data.span import WHOLE, cut_spans
from gnomon.data.split import held_out
from gnomon.data.suites import read_suite
from gnomon.data.unpack import PACKINGS
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import describe, write_manifest
from gnomon.store.runs import only_writer
from gnomon.tokenizer.tokenizer import BLOCK, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer

BLOCKS = ".blocks"
"""Beside the versions of a dataset: what was read of its files."""
WORK = ".work"
"""Beside them while one is made: what would be made again after a kill."""

DISK_PER_BYTE, PACKED = 1.4, 4
"""Bytes on disk by bytes of text (measured: blocks 0.43, ids 0.45, the version 0.46), and of text by those of a packed
file (measured: 3.7).
"""
SPAN_BYTES = 64 << 20
"""Of a file that can be cut: what one job reads."""


def prepare(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> Dataset:
    """Return the dataset version of a recipe (text, options, vocabulary), made now unless it exists.

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
        read_suite(path, recipe.data.decontaminate.fields)
    with open_engine(recipe.data.engine, recipe.data.workers) as engine, storage_errors(recipe.folder):
        work = _Work(recipe, engine, progress)
        work.forget_others()
        corpus = work.read()
        work.decide(corpus)
        learned = work.learn(corpus)
        encoded = work.encode(corpus, learned)
        with staged_folder(recipe.folder, "version") as staged:
            splits = work.write(corpus, encoded, learned, staged.path)
            write_synced(staged.path / "tokenizer.json", learned.to_json().encode())
            _write_lines(staged.path / "ledger.jsonl.zst", corpus.ledger())
            _write_lines(staged.path / "quarantine.jsonl.zst", work.unusable)
            _write_lines(staged.path / "samples.jsonl.zst", samples_of(corpus))
            _write_lines(staged.path / "contamination.jsonl.zst", work.contamination.hits)
            body = _manifest(recipe, work, corpus, learned, splits)
            write_synced(staged.path / "card.md", card_of(body).encode())
            body["files"] = describe(staged.path, [p for p in staged.path.rglob("*") if p.is_file()])
            final = recipe.folder / write_manifest(staged.path, body)[:12]
            faults.point("prepare.manifest_written")
            if final.exists():  # this very version, but damaged, or `find_version` would have found it
                final.rename(recipe.folder / f"{STAGING_PREFIX}damaged-{final.name}")
            staged.publish(final)
    work.sweep()
    return open_dataset(final)


def _refuse_small_disk(recipe: Recipe) -> None:
    """Raise StorageError where the disk cannot hold what is about to be made: now, not after hours."""
    text = sum(i.file.bytes * (PACKED if i.file.path.suffix.lower() in PACKINGS else 1) for i in recipe.inputs)
    done = sum(p.stat().st_size for part in (BLOCKS, WORK) for p in (recipe.folder / part).rglob("*") if p.is_file())
    needed, free = int(DISK_PER_BYTE * text) - done, DISK.free(recipe.folder)  # one that goes on has a part already
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
        return find_version(Recipe.of(data, tokenizer, vocabulary, silent))
    except DataError:
        return None


class _Work:
    """One preparation: its stages in their order."""

    def __init__(self, recipe: Recipe, engine: Engine, progress: Progress) -> None:
        self.recipe, self._engine, self._progress = recipe, engine, progress
        self._blocks = (recipe.folder / BLOCKS).absolute()
        self._folder = (recipe.folder / WORK / recipe.digest[:16]).absolute()
        self._keys: set[str] = set()
        self._named = [path for source in recipe.data.named for path in source.paths] + recipe.data.validation
        near = recipe.data.dedup.near
        self._bands = None if near is None else bands_for(near)
        self._rules = choose(recipe.data.clean.rules, recipe.data.clean.thresholds)
        self.cleaned = {"repaired": Counter[str](), "replaced": Counter[str]()}
        self.alike: Alike | None = None
        self.contamination = Contamination()
        self.unusable: list[dict[str, str]] = []  # records of the files, in their order

    def forget_others(self) -> None:
        """Remove what preparations of other recipes left when they were killed."""
        for folder in self._folder.parent.glob("*"):
            if folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)

    def read(self) -> Corpus:
        """Read and measure every file, unless that has been done, and return its documents, all of them kept.

        Raises DataError when too many records cannot be used, or none can.
        """
        read = [(i, job) for i in self.recipe.inputs for job in self._reading(i)]
        results = self._engine("reading text", [job for _, job in read], self._progress)
        files = []
        for (i, job), result in zip(read, results, strict=True):
            files.append(File(i.file.name, i.source, i.split, Path(job.args["folder"]), result["blocks"]))
            for what, counts in self.cleaned.items():
                counts.update(result[what])
            for place, reason, detail in result["unusable"]:
                self.unusable.append({"origin": f"{i.file.name}{place}", "reason": reason, "detail": detail})
        corpus = Corpus(files)
        self._judge_unusable(corpus.count)
        return corpus

    def _reading(self, file: Input) -> list[Job]:
        """Return the jobs that read a file: one, or one for each span of a large one."""
        bands = None if self._bands is None else (self._bands.count, self._bands.rows)
        clean = self.recipe.data.clean
        scores = clean.scores or bool(self._rules)
        wanted = Wanted(file.text_field, file.separator, bands, clean.repair, clean.pii, scores)
        path, size = file.file.path.absolute(), file.file.bytes
        stamp, jobs = file.stamp, list[Job]()
        for span in cut_spans(path, SPAN_BYTES) if can_split(file.file, file.separator) else [WHOLE]:
            key = key_of(file.sha256, path, span, wanted)
            self._keys.add(key)
            args = {"path": str(path), "bytes": size, "stamp": stamp, "folder": str(self._blocks / key)}
            args |= {"wanted": vars(wanted), "span": vars(span)}
            jobs.append(Job("gnomon.data.blocks:make_blocks", args, (span.stop or size) - span.start))
        return jobs

    def decide(self, corpus: Corpus) -> None:
        """Remove poor texts, equal ones and near duplicates, say which of the others are held out, and remove from
        training what is in a suite.

        Raises DataError where one side would be empty.
        """
        if self._rules:
            remove_poor(corpus, self._rules, self._progress)
        self._progress("looking for equal texts", 0, None, "documents")
        remove_equal(corpus)
        near = self.recipe.data.dedup.near
        if near is not None and self._bands is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.alike = remove_near(corpus, self._bands, near, self._folder, self._engine, self._progress)
        self._hold_out(corpus)
        if self.recipe.suites:
            self._folder.mkdir(parents=True, exist_ok=True)
            wanted, suites = self.recipe.data.decontaminate, self.recipe.suites
            asked = remove_contamination(corpus, suites, wanted, self._folder, self._engine, self._progress)
            self.contamination = asked
            self._demand(corpus, TRAIN, [str(path) for path, _ in suites], "nothing is left of the training text")

    def _hold_out(self, corpus: Corpus) -> None:
        own = corpus.first_train > 0 or bool(self.recipe.data.validation)
        if own:
            self._demand(corpus, VALIDATION, self.recipe.data.validation, "the validation text is empty")
        self._demand(corpus, TRAIN, self._named, "the text is empty")
        if own:
            return
        numbers, ids, sizes = corpus.ids_of(TRAIN)
        if len(numbers) < 2:
            raise DataError(
                "one document is too little: it cannot be both trained on and held out",
                where=", ".join(self._named),
                do="add text, cut it with data.separator, or give other text in data.validation",
            )
        chosen = held_out(ids, sizes, self.recipe.data.validation_share)
        corpus.status[numbers[chosen]] = VALIDATION

    def learn(self, corpus: Corpus) -> Tokenizer:
        """Return the tokenizer learned from a sample of the training text; DataError when it is smaller than was asked
        for.
        """
        chosen, ids = sample_of(corpus, self.recipe.tokenizer.sample_bytes)
        options = [self.recipe.vocabulary, self.recipe.tokenizer.pretokenizer]
        key = sha256_bytes(canonical_json(options) + ids.tobytes())[:16]
        if (path := self._folder / f"learned-{key}.json").exists():  # by a preparation that was killed later on
            learned = Tokenizer.load(path)
        else:
            texts = list(corpus.texts(np.sort(chosen)))
            in_order = (texts[i] for i in np.argsort(np.argsort(chosen)).tolist())
            learned = train_tokenizer(in_order, options[0], options[1], self._progress)
            learned.save(path)
        asked = self.recipe.tokenizer.vocabulary
        if asked and learned.vocabulary < asked:
            supported = max(SMALLEST, learned.tokens // BLOCK * BLOCK)
            raise DataError(
                f"the text does not support a vocabulary of {asked:,}, only {learned.tokens:,} tokens",
                where="tokenizer.vocabulary",
                do=f"ask for {supported:,} or less, leave the key out, or add text",
            )
        return learned

    def encode(self, corpus: Corpus, tokenizer: Tokenizer) -> list[Path]:
        """Encode what is kept of every block and return where it lies, block by block."""
        tokenizer.save(path := self._folder / f"tokenizer-{tokenizer.digest[:16]}.json")
        jobs = []
        for b, (start, rows) in enumerate(corpus.blocks()):
            status = corpus.status[start : start + len(rows)]
            folder = corpus.block(b).folder
            changed = self.contamination.changed.get(b)
            said = changed.read_bytes() if changed else b""
            key = sha256_bytes(
                f"{folder.parent.name}/{folder.name} {tokenizer.digest} ".encode() + status.tobytes() + said
            )
            write_array(kept := self._folder / f"{key[:32]}.npy", status)
            args: dict[str, Any] = {"block": str(folder), "status": str(kept), "tokenizer": str(path)}
            args["changed"] = str(changed) if changed else None
            size = int(rows["bytes"][status != REMOVED].sum(dtype=np.int64))
            jobs.append(Job("gnomon.data.encode:encode_block", args | {"folder": str(self._folder / key[:32])}, size))
        self._encoded = self._engine("encoding", jobs, self._progress)
        return [Path(job.args["folder"]) for job in jobs]

    def write(self, corpus: Corpus, encoded: list[Path], tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
        """Write the shards of every split and source below `folder` and return the splits' manifest entries."""
        dtype, jobs = dtype_of(tokenizer.vocabulary), []
        names = list(dict.fromkeys(file.source for file, _ in corpus.places))
        for split in SPLITS:
            (folder / split).mkdir()
            number = 0
            for source in names:
                mine = [b for b, (file, _) in enumerate(corpus.places) if file.source == source]
                size = sum(self._encoded[b][split]["tokens"] for b in mine) * dtype.itemsize
                held = [[str(encoded[b]), corpus.places[b][0].name] for b in mine if self._encoded[b][split]["tokens"]]
                parts = -(-size // SHARD_BYTES)
                for part in range(parts):
                    args = {"encoded": held, "split": split, "source": source, "part": part, "parts": parts}
                    args |= {"number": number, "folder": str(folder / split), "dtype": dtype.str}
                    args["vocabulary"] = tokenizer.vocabulary
                    jobs.append(Job("gnomon.data.encode:make_shard", args, size // parts))
                    number += 1
        entries = self._engine("writing", jobs, self._progress)
        splits = {}
        for split in SPLITS:
            shards = [e for e, job in zip(entries, jobs, strict=True) if job.args["split"] == split]
            splits[split] = {
                "documents": sum(s["documents"] for s in shards),
                "tokens": sum(s["tokens"] for s in shards),
                "bytes": sum(e[split]["bytes"] for e in self._encoded),
                "protected": split != "train",
                "shards": shards,
            }
            write_unigrams(folder / split, [s["source"] for s in shards])
        return splits

    def sweep(self) -> None:
        """Remove what the making of a version left behind; of the blocks, what this recipe does not need."""
        sweep_staging(self.recipe.folder)
        shutil.rmtree(self._folder.parent, ignore_errors=True)
        for folder in self._blocks.iterdir():
            if folder.name not in self._keys or not self.recipe.data.keep_blocks:
                shutil.rmtree(folder, ignore_errors=True)
        if not self.recipe.data.keep_blocks:
            self._blocks.rmdir()

    def _demand(self, corpus: Corpus, status: int, paths: list[str], empty: str) -> None:
        """Raise DataError unless there are documents of this status."""
        if not (corpus.status == status).any():
            entries = islice(chain(self.unusable, corpus.ledger()), 3)
            shown = [f"{e['origin']}: {e['reason']}" + (f" ({e['detail']})" if e["detail"] else "") for e in entries]
            raise DataError(
                "\n      ".join([empty + (", or nothing of it can be used:" if shown else ""), *shown]),
                where=", ".join(paths),
                do="check that the files hold text of their own",
            )

    def _judge_unusable(self, documents: int) -> None:
        """Raise DataError when too many records cannot be used. Empty ones lose nothing and do not count."""
        bad = [b for b in self.unusable if b["reason"] != "empty"]
        records = documents + len(bad)
        if len(bad) > self.recipe.data.max_bad_share * records:
            shown = "".join(f"\n      {b['origin']}: {b['reason']} ({b['detail']})" for b in bad[:3])
            share = min(1.0, len(bad) / records + 0.01)
            do = f"mend them, or accept the loss with data.max_bad_share={share:.2f}"
            if all(b["detail"].startswith("the record has no") for b in bad):
                do = f"name the key that holds the text with data.text_field; or {do}"
            raise DataError(
                f"{len(bad):,} of {records:,} records cannot be used, more than data.max_bad_share allows{shown}",
                where=", ".join(self._named),
                do=do,
            )


def sample_of(corpus: Corpus, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and ids of the training texts with the lowest ids that make up `limit` bytes, in their order.

    Ids are hashes, so this is a fair share, and equal corpora give equal samples, in whatever order their files come.
    """
    numbers, ids, sizes = corpus.ids_of(TRAIN)
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    taken = order[: int((sizes[order].cumsum() - sizes[order] < limit).sum())]
    return numbers[taken], ids[taken]


def _write_lines(path: Path, entries: Any) -> None:
    packer = zstandard.ZstdCompressor()
    with path.open("wb") as f, packer.stream_writer(f) as packed:
        for entry in entries:
            packed.write(canonical_json(entry) + b"\n")


def _manifest(
    recipe: Recipe, work: _Work, corpus: Corpus, tokenizer: Tokenizer, splits: dict[str, Any]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": recipe.name,
        "recipe": recipe.digest,
        "inputs": [i.described() for i in recipe.inputs],
        "sources": [s.model_dump(include={"name", "domain", "licence"}) for s in recipe.data.named],
        "config": {
            "data": recipe.data.model_dump(include=OPTIONS),
            "tokenizer": recipe.tokenizer.model_dump(),
        },
        "tokenizer": {
            "digest": tokenizer.digest,
            "vocabulary": tokenizer.vocabulary,
            "tokens": tokenizer.tokens,
            "requested": recipe.vocabulary,
            "pretokenizer": tokenizer.pretokenizer,
            "end_of_text": tokenizer.end_of_text,
        },
        "splits": splits,
        "removed": corpus.reasons(),
        "suites": [[path.name, sha256] for path, sha256 in recipe.suites],
        "flow": flow_of(corpus),
        "contamination": work.contamination.facts,
        **{what: dict(sorted(counts.items())) for what, counts in work.cleaned.items()},
        "near": None if work.alike is None else asdict(work.alike),
        "quarantined": dict(sorted(Counter(u["reason"] for u in work.unusable).items())),
    }
