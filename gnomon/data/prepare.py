"""Text becomes a dataset version, once: read, deduplicate, split, learn a tokenizer, encode, store."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zstandard

from gnomon.base import faults
from gnomon.base.errors import ConfigError, DataError
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
from gnomon.data.dedup import Seen, deduplicate
from gnomon.data.document import Document, Note, Removed
from gnomon.data.read import Source, read_documents
from gnomon.data.recipe import OPTIONS, Recipe, find_version
from gnomon.data.sample import Sample
from gnomon.data.shards import SplitWriter
from gnomon.data.split import held_out
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import describe, write_manifest
from gnomon.store.runs import RunLock
from gnomon.tokenizer.tokenizer import BLOCK, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer

BATCH_DOCUMENTS = 256  # encoded at once


def prepare(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> Dataset:
    """Return the dataset version of a recipe (text, options, vocabulary), made now unless it exists.

    Two passes over the files, so that memory never holds the text: the first decides what is kept and
    collects the tokenizer's sample, the second encodes. The version appears by one rename. The same text
    and options give the same digest, in whatever order the files are named and wherever they lie. While
    another process prepares a dataset of this name, waits for it.

    Raises DataError for text that is missing, unreadable, empty or mostly broken, and for a vocabulary
    that was asked for and that the text does not support; ConfigError for a name or vocabulary that
    cannot be; StorageError for a disk that is full or refuses.
    """
    recipe = Recipe.of(data, tokenizer, vocabulary, progress)
    known = find_version(recipe)
    if known:
        return known
    with _only_writer(recipe.folder, progress):
        return find_version(recipe) or _make(recipe, progress)


def _make(recipe: Recipe, progress: Progress) -> Dataset:
    sweep_staging(recipe.folder)
    work = _Work(recipe, progress)
    kept = work.first_pass()
    learned = work.learn(kept.sample)
    with staged_folder(recipe.folder, "version") as staged:
        splits = work.second_pass(kept.split_of, learned, staged.path)
        write_synced(staged.path / "tokenizer.json", learned.to_json().encode())
        _write_removed(staged.path / "ledger.jsonl.zst", work.removed)
        _write_removed(staged.path / "quarantine.jsonl.zst", work.bad)
        body = _manifest(recipe, work, learned, splits)
        write_synced(staged.path / "card.md", _card(body).encode())
        body["files"] = describe(staged.path, [p for p in staged.path.rglob("*") if p.is_file()])
        final = recipe.folder / write_manifest(staged.path, body)[:12]
        faults.point("prepare.manifest_written")
        if final.exists():  # this very version, but damaged, or `find_version` would have found it
            final.rename(recipe.folder / f"{STAGING_PREFIX}damaged-{final.name}")
        staged.publish(final)
    sweep_staging(recipe.folder)
    return open_dataset(final)


@contextmanager
def _only_writer(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a dataset's name; wait for it while another process has it."""
    with storage_errors(folder), ExitStack() as held:
        while True:
            try:
                held.enter_context(RunLock(folder.with_name(f".{folder.name}.lock")))
                break
            except ConfigError:
                progress("waiting for another process that prepares this text", 0, None, "")
                time.sleep(0.5)
        yield


def find_prepared(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int) -> Dataset | None:
    """Return the dataset version of a recipe if it has been made; None otherwise, also without the text."""
    try:
        return find_version(Recipe.of(data, tokenizer, vocabulary, silent))
    except DataError:
        return None


@dataclass(frozen=True)
class _Kept:
    """What the first pass decided: the split of every document that is kept, by id, and the tokenizer's
    sample.
    """

    split_of: dict[str, str]
    sample: list[str]


class _Work:
    """The two passes of one preparation, and what they leave out."""

    def __init__(self, recipe: Recipe, progress: Progress) -> None:
        self.recipe, self.progress = recipe, progress
        self.removed: list[Removed] = []
        self.bad: list[Removed] = []

    def first_pass(self) -> _Kept:
        """Read everything once: deduplicate, decide each document's split, and draw the tokenizer's
        sample.
        """
        seen: Seen = {}
        validation = [d.id for d in self._judged("reading validation text", "validation", seen)]
        sizes: dict[str, int] = {}
        sample = Sample(self.recipe.tokenizer.sample_bytes)
        for document in self._judged("reading text", "train", seen):
            sizes[document.id] = len(document.text.encode())
            sample.add(document)
        self._judge_bad(len(sizes) + len(validation))
        if self.recipe.validation:
            self._demand(validation, self.recipe.data.validation, "the validation text is empty")
        self._demand(list(sizes), self.recipe.data.train, "the text is empty")
        if not self.recipe.validation:
            if len(sizes) < 2:
                raise DataError(
                    "one document is too little: it cannot be both trained on and held out",
                    where=", ".join(self.recipe.data.train),
                    do="add text, cut it with data.separator, or give other text in data.validation",
                )
            validation = held_out(sizes, self.recipe.data.validation_share)
        split_of = dict.fromkeys(sizes, "train") | dict.fromkeys(validation, "validation")
        return _Kept(split_of, [text for i, text in sample.texts() if split_of[i] == "train"])

    def learn(self, sample: list[str]) -> Tokenizer:
        """Return the tokenizer learned from the sample; DataError when it is smaller than was asked for."""
        pretokenizer = self.recipe.tokenizer.pretokenizer
        learned = train_tokenizer(sample, self.recipe.vocabulary, pretokenizer, self.progress)
        asked = self.recipe.tokenizer.vocabulary
        if asked and learned.vocabulary < asked:
            supported = max(SMALLEST, learned.tokens // BLOCK * BLOCK)
            raise DataError(
                f"the text does not support a vocabulary of {asked:,}, only {learned.tokens:,} tokens",
                where="tokenizer.vocabulary",
                do=f"ask for {supported:,} or less, leave the key out, or add text",
            )
        return learned

    def second_pass(self, split_of: dict[str, str], tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
        """Encode every kept document into its split's shards below `folder` and return the splits'
        manifest entries.
        """
        with ExitStack() as opened:
            writers = {name: opened.enter_context(SplitWriter(tokenizer, folder)) for name in ("train", "validation")}
            waiting = dict(split_of)
            documents = self._documents("encoding", self.recipe.validation + self.recipe.train, lambda _: None)
            kept = (
                (d, split) for d in documents if (split := waiting.pop(d.id, None))
            )  # the first of equal ones, as before
            for batch in _batches(kept, BATCH_DOCUMENTS):
                encoded = tokenizer.encode_batch([document.text for document, _ in batch])
                for (document, split), ids in zip(batch, encoded, strict=True):
                    writers[split].add(document, ids)
            if waiting:
                raise DataError(
                    f"the text changed while it was read: {len(waiting):,} documents are gone",
                    where=", ".join(self.recipe.data.train),
                    do="run the same command again when nothing else writes there",
                )
            self.progress("writing", 0, None, "files")
            return {name: writer.write(folder / name) for name, writer in writers.items()}

    def _judged(self, stage: str, split: str, seen: Seen) -> Iterator[Document]:
        sources = self.recipe.train if split == "train" else self.recipe.validation
        return deduplicate(self._documents(stage, sources, self.bad.append), split, self.removed.append, seen)

    def _documents(self, stage: str, sources: list[Source], bad: Note) -> Iterator[Document]:
        """Yield the documents of sources, and say how many bytes of the files have been read."""
        total, done = sum(s.bytes for s in sources), 0
        for source in sources:
            yield from read_documents(
                source,
                self.recipe.data.text_field,
                self.recipe.data.separator,
                bad,
                self._teller(stage, done, total),
            )
            done += source.bytes
            self.progress(stage, done, total, "bytes")
            faults.point("prepare.source_read")

    def _teller(self, stage: str, before: int, total: int) -> Callable[[int], None]:
        return lambda position: self.progress(stage, before + position, total, "bytes")

    def _demand(self, ids: list[str], paths: list[str], empty: str) -> None:
        """Raise DataError unless there are documents."""
        if not ids:
            shown = [
                str(r.origin) + ": " + r.reason + (f" ({r.detail})" if r.detail else "")
                for r in [*self.bad, *self.removed][:3]
            ]
            raise DataError(
                "\n      ".join([empty + (", or nothing of it can be used:" if shown else ""), *shown]),
                where=", ".join(paths),
                do="check that the files hold text of their own",
            )

    def _judge_bad(self, kept: int) -> None:
        """Raise DataError when too many records cannot be used. Empty ones lose nothing and do not count."""
        bad = [b for b in self.bad if b.reason != "empty"]
        records = kept + len(self.removed) + len(bad)
        if len(bad) > self.recipe.data.max_bad_share * records:
            shown = "".join(f"\n      {b.origin}: {b.reason} ({b.detail})" for b in bad[:3])
            share = min(1.0, len(bad) / records + 0.01)
            raise DataError(
                f"{len(bad):,} of {records:,} records cannot be used, more than data.max_bad_share allows{shown}",
                where=", ".join(self.recipe.data.train + self.recipe.data.validation),
                do=f"mend them, or accept the loss with data.max_bad_share={share:.2f}",
            )


def _batches(items: Iterator[Any], count: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_removed(path: Path, entries: list[Removed]) -> None:
    lines = b"".join(canonical_json(asdict(e)) + b"\n" for e in sorted(entries, key=lambda e: (e.origin, e.reason)))
    write_synced(path, zstandard.compress(lines))


def _manifest(recipe: Recipe, work: _Work, tokenizer: Tokenizer, splits: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": recipe.name,
        "recipe": recipe.digest,
        "sources": recipe.sources,
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
        "removed": dict(sorted(Counter(r.reason for r in work.removed).items())),
        "quarantined": dict(sorted(Counter(r.reason for r in work.bad).items())),
    }


def _card(body: dict[str, Any]) -> str:
    lines = [
        f"# {body['name']}",
        "",
        "| split | documents | tokens | bytes of text |",
        "|---|---:|---:|---:|",
    ]
    for name, split in body["splits"].items():
        lines.append(f"| {name} | {split['documents']:,} | {split['tokens']:,} | {split['bytes']:,} |")
    train, learned = body["splits"]["train"], body["tokenizer"]
    lines += ["", f"Tokenizer: {learned['tokens']:,} tokens, cut as `{learned['pretokenizer']}`."]
    lines[-1] += f" The training text has {train['bytes'] / train['tokens']:.2f} bytes a token."
    if learned["vocabulary"] < learned["requested"]:
        lines[-1] += f" The text supports no more: {learned['requested']:,} were wanted."
    for title, counts in (("Left out", body["removed"]), ("Could not be used", body["quarantined"])):
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{n:,} ({reason})" for reason, n in counts.items()) + ".")
    lines += [
        "",
        "Sources:",
        *(f"- {s['name']} ({s['bytes']:,} bytes, {s['split']})" for s in body["sources"]),
    ]
    return "\n".join(lines) + "\n"
