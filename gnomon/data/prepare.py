"""Text becomes a dataset version: read, deduplicate, split, learn a tokenizer, encode, store. Done once per recipe."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from gnomon.base import faults
from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json, sha256_bytes, staged_folder, sweep_staging, write_synced
from gnomon.base.progress import Progress, silent
from gnomon.base.seeds import derive
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.dedup import deduplicate
from gnomon.data.document import Document, Removed
from gnomon.data.read import Source, find_sources, read_documents
from gnomon.data.shards import SplitWriter
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import NAME, describe, write_manifest
from gnomon.tokenizer.tokenizer import BLOCK, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer

BATCH_DOCUMENTS = 256  # encoded at once
SPLIT_SALT = "validation"


def prepare(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> Dataset:
    """Return the dataset version of a recipe (text, options, vocabulary), made now unless it exists.

    Two passes over the files, so that memory holds the ids and never the text: the first decides what is kept
    and collects the tokenizer's sample, the second encodes. The version appears by one rename. The same text
    and options give the same digest, however the files are ordered and wherever they lie.

    Raises DataError for text that is missing, unreadable, empty or mostly broken, and for a vocabulary that
    was asked for and that the text does not support.
    """
    recipe = _Recipe.of(data, tokenizer, vocabulary, progress)
    known = _find(recipe)
    if known:
        return known
    recipe.folder.mkdir(parents=True, exist_ok=True)
    sweep_staging(recipe.folder)
    work = _Work(recipe, progress)
    kept = work.first_pass()
    learned = work.learn(kept)
    with staged_folder(recipe.folder, "version") as staged:
        splits = work.second_pass(kept, learned, staged.path)
        write_synced(staged.path / "tokenizer.json", learned.to_json().encode())
        _write_removed(staged.path / "ledger.jsonl.zst", work.removed)
        _write_removed(staged.path / "quarantine.jsonl.zst", work.bad)
        body = _manifest(recipe, work, learned, splits)
        write_synced(staged.path / "card.md", _card(body).encode())
        body["files"] = describe(staged.path, [p for p in staged.path.rglob("*") if p.is_file()])
        final = recipe.folder / write_manifest(staged.path, body)[:12]
        faults.point("prepare.manifest_written")
        if final.exists():  # the same version, damaged, or `_find` would have found it
            shutil.rmtree(final)
        staged.publish(final)
    return open_dataset(final)


def find_prepared(data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int) -> Dataset | None:
    """Return the dataset version of a recipe if it has been made; None otherwise, also when the text is not there."""
    try:
        return _find(_Recipe.of(data, tokenizer, vocabulary, silent))
    except DataError:
        return None


@dataclass(frozen=True)
class _Recipe:
    """Everything that decides what a dataset holds; its digest is what a prepared version is found by."""

    folder: Path  # of all versions of this name
    name: str
    train: list[Source]
    validation: list[Source]
    data: DataConfig
    tokenizer: TokenizerConfig
    vocabulary: int
    sources: list[dict[str, Any]]
    digest: str

    @classmethod
    def of(cls, data: DataConfig, tokenizer: TokenizerConfig, vocabulary: int, progress: Progress) -> "_Recipe":
        train, validation = find_sources(data.train), find_sources(data.validation) if data.validation else []
        described, total, done = [], sum(s.bytes for s in train + validation), 0
        for split, sources in (("train", train), ("validation", validation)):
            for source in sources:
                described.append(
                    {"split": split, "name": source.name, "bytes": source.bytes, "sha256": source.sha256()}
                )
                done += source.bytes
                progress("checking files", done, total, "bytes")
        content = {
            "format": FORMAT,
            "sources": sorted(described, key=lambda s: (s["split"], s["sha256"], s["name"])),
            "data": data.model_dump(include={"validation_share", "text_field", "separator", "max_bad_share"}),
            "tokenizer": tokenizer.model_dump(),
            "vocabulary": vocabulary,
        }
        name = data.name or Path(data.train[0]).resolve().name.split(".")[0] or "text"
        digest = sha256_bytes(canonical_json(content))
        return cls(
            Path(data.root) / name,
            name,
            train,
            validation,
            data,
            tokenizer,
            vocabulary,
            content["sources"],
            digest,
        )


def _find(recipe: _Recipe) -> Dataset | None:
    """Return the version made by this recipe, unless there is none or a file of it is missing or of another size."""
    for manifest in sorted(recipe.folder.glob(f"*/{NAME}")):
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


@dataclass
class _Kept:
    """What the first pass decided: the split of every document by id, and the tokenizer's sample."""

    split_of: dict[str, str]
    sample: list[str] = field(default_factory=list)


class _Work:
    """The two passes of one preparation, and what they leave out."""

    def __init__(self, recipe: _Recipe, progress: Progress) -> None:
        self.recipe, self.progress = recipe, progress
        self.removed: list[Removed] = []
        self.bad: list[Removed] = []
        self._records = 0

    def first_pass(self) -> _Kept:
        """Read everything once: deduplicate, decide each document's split, and draw the tokenizer's sample."""
        seen: dict[bytes, str] = {}
        held_out = {d.id for d in self._documents("reading", self.recipe.validation, seen, self.removed.append)}
        sizes: dict[str, int] = {}
        ids: list[str] = []
        for document in self._documents("reading", self.recipe.train, seen, self.removed.append):
            ids.append(document.id)
            sizes[document.id] = len(document.text.encode())
        self._judge_bad()
        if not ids:
            raise DataError(
                "the text is empty",
                where=", ".join(self.recipe.data.train),
                do="check that the files hold text; see quarantine reasons above" if self.bad else "put text there",
            )
        split_of = dict.fromkeys(held_out, "validation") or self._hold_out(ids)
        split_of |= {i: "train" for i in ids if i not in split_of}
        if "validation" not in split_of.values():
            raise DataError(
                "one document is too little: it cannot be both trained on and held out",
                where=", ".join(self.recipe.data.train),
                do="add more text, or give validation text of its own in data.validation",
            )
        return _Kept(split_of, self._sample(split_of, sizes))

    def _hold_out(self, ids: list[str]) -> dict[str, str]:
        """Return the held-out documents: those whose hash falls below the share, and at least the lowest one."""
        rank = {i: derive(0, SPLIT_SALT, i) / 2**63 for i in ids}
        below = [i for i in ids if rank[i] < self.recipe.data.validation_share]
        if len(ids) > 1 and len(below) in (0, len(ids)):
            below = [min(ids, key=rank.__getitem__)]
        return dict.fromkeys(below if len(ids) > 1 else [], "validation")

    def _sample(self, split_of: dict[str, str], sizes: dict[str, int]) -> list[str]:
        """Return ids of training documents, in hash order, until the tokenizer's sample is large enough."""
        chosen, size = [], 0
        for i in sorted(i for i, split in split_of.items() if split == "train"):
            if size >= self.recipe.tokenizer.sample_bytes:
                break
            chosen.append(i)
            size += sizes[i]
        return chosen

    def learn(self, kept: _Kept) -> Tokenizer:
        """Return the tokenizer learned from the sample; DataError when it is smaller than was asked for."""
        wanted = set(kept.sample)
        everything = self._documents("learning the tokenizer", self.recipe.train, {}, None)
        texts = (d.text for d in everything if d.id in wanted)
        learned = train_tokenizer(texts, self.recipe.vocabulary, self.recipe.tokenizer.pretokenizer)
        asked = self.recipe.tokenizer.vocabulary
        if asked and learned.vocabulary < asked:
            supported = max(SMALLEST, learned.tokens // BLOCK * BLOCK)
            raise DataError(
                f"the text does not support a vocabulary of {asked:,}: {learned.tokens:,} tokens are all it has",
                where="tokenizer.vocabulary",
                do=f"ask for {supported:,} or less, leave the key out, or add text",
            )
        if asked and asked < SMALLEST:
            raise DataError(
                f"a vocabulary of {asked:,} is too small for the special tokens and the 256 bytes",
                where="tokenizer.vocabulary",
                do=f"ask for {SMALLEST:,} or more",
            )
        return learned

    def second_pass(self, kept: _Kept, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
        """Encode every kept document into its split's shards below `folder` and return the splits' manifest entries."""
        writers = {name: SplitWriter(tokenizer) for name in ("train", "validation")}
        seen: dict[bytes, str] = {}
        sources = self.recipe.validation + self.recipe.train
        for batch in _batches(self._documents("encoding", sources, seen, None), BATCH_DOCUMENTS):
            for document, ids in zip(batch, tokenizer.encode_batch([d.text for d in batch]), strict=True):
                writers[kept.split_of[document.id]].add(document, ids)
        self.progress("writing", 0, None, "files")
        return {name: writer.write(folder / name) for name, writer in writers.items()}

    def _documents(
        self,
        stage: str,
        sources: list[Source],
        seen: dict[bytes, str],
        note: Callable[[Removed], None] | None,
    ) -> Iterator[Document]:
        """Yield the documents of sources, each text once. Only the pass with a `note` counts and records what is left out."""
        total, done = sum(s.bytes for s in sources), 0
        tell, bad = note or (lambda _: None), self.bad.append if note else (lambda _: None)
        for source in sources:
            behind = done

            def at(position: int, behind: int = behind) -> None:
                self.progress(stage, behind + position, total, "bytes")

            documents = read_documents(source, self.recipe.data.text_field, self.recipe.data.separator, bad, at)
            for document in deduplicate(documents, tell, seen):
                self._records += note is not None
                yield document
            done += source.bytes
            at(source.bytes)
            faults.point("prepare.source_read")

    def _judge_bad(self) -> None:
        serious = [b for b in self.bad if b.reason != "empty"]
        records = self._records + len(self.removed) + len(serious)
        if len(serious) > self.recipe.data.max_bad_share * max(records, 1):
            shown = "".join(f"\n      {b.origin}: {b.reason} ({b.detail})" for b in serious[:3])
            raise DataError(
                f"{len(serious):,} of {records:,} records cannot be used, more than data.max_bad_share allows{shown}",
                where=", ".join(self.recipe.data.train),
                do=f"mend them, or accept the loss with data.max_bad_share={len(serious) / records + 0.01:.2f}",
            )


def _batches(documents: Iterator[Document], count: int) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_removed(path: Path, entries: list[Removed]) -> None:
    lines = b"".join(canonical_json(asdict(e)) + b"\n" for e in sorted(entries, key=lambda e: (e.origin, e.reason)))
    write_synced(path, zstandard.compress(lines))


def _manifest(recipe: _Recipe, work: _Work, tokenizer: Tokenizer, splits: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": recipe.name,
        "recipe": recipe.digest,
        "sources": recipe.sources,
        "options": recipe.data.model_dump(include={"validation_share", "text_field", "separator", "max_bad_share"}),
        "tokenizer": {
            "digest": tokenizer.digest,
            "vocabulary": tokenizer.vocabulary,
            "tokens": tokenizer.tokens,
            "asked": recipe.vocabulary,
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
    lines += ["", f"Tokenizer: {learned['tokens']:,} tokens, {train['bytes'] / train['tokens']:.2f} bytes a token, "
              f"numbers and words cut as `{learned['pretokenizer']}`."]  # fmt: skip
    for title, counts in (("Left out", body["removed"]), ("Could not be used", body["quarantined"])):
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{n:,} ({reason})" for reason, n in counts.items()) + ".")
    lines += [
        "",
        "Sources:",
        *(f"- {s['name']} ({s['bytes']:,} bytes, {s['split']})" for s in body["sources"]),
    ]
    return "\n".join(lines) + "\n"
