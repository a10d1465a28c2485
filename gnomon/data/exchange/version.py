"""Ids from elsewhere become a dataset version, once: read, deduplicate, split, store. As `prepare` does with text."""

import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.arrays import write_array
from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.files import (
    STAGING_PREFIX,
    canonical_json,
    sha256_bytes,
    staged_folder,
    storage_errors,
    sweep_staging,
    write_synced,
)
from gnomon.base.names import PLAIN, is_source
from gnomon.base.progress import Progress
from gnomon.data.account import flow_of
from gnomon.data.blocks import stamp_of
from gnomon.data.budget import Budgets
from gnomon.data.card import card_of
from gnomon.data.corpus import TRAIN, VALIDATION, Corpus, Files, remove_equal
from gnomon.data.encode import dtype_of, write_splits
from gnomon.data.engine import Engine, Job, open_engine
from gnomon.data.exchange.beside import TOKENIZER, Exported, find_exported
from gnomon.data.exchange.formats import IdFile, find_ids
from gnomon.data.exchange.sequences import Asked, digest_of
from gnomon.data.prepare import write_lines
from gnomon.data.recipe import plain_name, version_made_by
from gnomon.data.split import held_out_records
from gnomon.data.work import WORK
from gnomon.store.datasets import FORMAT, Dataset, open_dataset
from gnomon.store.manifest import write_manifest
from gnomon.store.packed import describe_content
from gnomon.store.packed import digest_of as digest_of_manifest
from gnomon.store.runs import only_writer
from gnomon.tokenizer.foreign import any_tokenizer
from gnomon.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Intake:
    """What is to be imported and how. A path may have its source's name in front, `books=shards/`."""

    paths: list[str]
    name: str
    validation: list[str]  # to hold out; empty: a share of the rest is
    tokenizer: str | None = None  # that made the ids; None: the one beside exported files
    format: str = "auto"
    key: str = "input_ids"  # of records that hold ids
    dtype: str | None = None  # of flat files without a head; None: uint16 where the vocabulary fits, else uint32
    ends: tuple[int, ...] = ()  # ids that end documents, besides the tokenizer's end-of-text
    masks: bool = False  # take ids in although a mask leaves them out of the loss
    validation_share: float = 0.02
    root: str = "datasets"
    workers: int | None = None


@dataclass(frozen=True)
class _Input:
    file: IdFile
    split: str
    source: str
    sha256: str
    stamp: list[int]

    def described(self) -> dict[str, Any]:
        names = {"split": self.split, "source": self.source, "name": self.file.name, "format": self.file.format}
        return names | {"bytes": self.file.bytes, "sha256": self.sha256}


def import_ids(wanted: Intake, progress: Progress) -> Dataset:
    """Return the dataset version of files of ids, made now unless it exists.

    Documents go by the hash of their ids: of equal ones the first is kept, validation before training, and the hash
    says which are held out and where each lies. The same files and options give the same digest wherever they lie and
    however many workers there are. Memory holds about 70 bytes a document.

    Raises ConfigError for what cannot be meant, DataError and IntegrityError for files and ids that cannot be used,
    with the place; StorageError for a disk that is full or refuses.
    """
    exported = find_exported(Path(wanted.paths[0])) if len(wanted.paths) == 1 else None
    tokenizer = _tokenizer_of(wanted, exported)
    dtype = wanted.dtype or (exported.dtype if exported else None) or dtype_of(tokenizer.tokens).name
    if dtype not in ("uint16", "uint32", "int32", "int64", "uint64"):
        raise ConfigError(f"ids are not stored in {dtype!r}", where="--dtype", do="name uint16, uint32, int32 or int64")
    asked = Asked((tokenizer.end_of_text, *wanted.ends), wanted.key, dtype, wanted.masks)
    inputs = _inputs(wanted, exported, progress)
    name = plain_name(wanted.name, "--name")
    content = {
        "format": FORMAT,
        "inputs": [i.described() for i in inputs],
        "asked": asdict(asked),
        "validation_share": wanted.validation_share,
        "tokenizer": tokenizer.digest,
    }
    sources = {i.source for i in inputs if i.split == "train"}
    known = {s.name: s.model_dump() for s in exported.sources if s.name in sources} if exported else {}
    if known:
        content["sources"] = known
    digest = sha256_bytes(canonical_json(content))
    making = _Making(wanted, asked, inputs, tokenizer, Path(wanted.root) / name, known, digest)
    made = version_made_by(making.folder, making.digest)
    if made:
        return made
    with only_writer(making.folder, "imports these ids", progress):
        try:
            return version_made_by(making.folder, making.digest) or making.make(exported, progress)
        except (ConfigError, DataError, IntegrityError):  # the same files would be refused again
            shutil.rmtree(making.folder / WORK, ignore_errors=True)
            with suppress(OSError):  # there are versions
                making.folder.rmdir()
            raise


def _tokenizer_of(wanted: Intake, exported: Exported | None) -> Tokenizer:
    given, beside = wanted.tokenizer, Path(wanted.paths[0]) / TOKENIZER
    if given is None and exported is None:
        raise ConfigError(
            "ids mean nothing without the tokenizer that made them",
            where="--tokenizer",
            do="name its folder or file: a tokenizer.json, a SentencePiece .model or a .tiktoken file",
        )
    found = any_tokenizer(Path(given)) if given is not None else Tokenizer.load(beside)
    if exported is not None and exported.tokenizer.get("digest") != found.digest:
        said = str(exported.tokenizer.get("digest"))[:12]
        raise IntegrityError(
            f"the ids were exported with tokenizer {said}, and this one is {found.digest[:12]}",
            where=given or str(beside),
            do="name the tokenizer of these ids, or leave --tokenizer out: it lies beside them",
        )
    return found


def _inputs(wanted: Intake, exported: Exported | None, progress: Progress) -> list[_Input]:
    """Return the files, validation first, then source by source, by name and content."""
    found: list[tuple[str, str, list[IdFile]]] = []
    if exported is not None:
        folder = Path(wanted.paths[0])
        for split in ("validation", "train"):
            for source, names in (exported.splits[split].sources if split in exported.splits else {}).items():
                files = [f for n in names if not n.endswith((".idx", ".index")) for f in _one(folder, n, exported)]
                found.append((split, _source_name(source, "gnomon.json"), files))
    else:
        by_source: dict[str, list[str]] = {}
        for word in wanted.paths:
            source, path = _named(word, wanted.name)
            by_source.setdefault(source, []).append(path)
        found += [("train", source, find_ids(paths, wanted.format)) for source, paths in by_source.items()]
    if wanted.validation:
        by_split = [_named(word, wanted.name) for word in wanted.validation]
        held = [("validation", source, find_ids([path], wanted.format)) for source, path in by_split]
        found = held + [entry for entry in found if entry[0] == "train"]
    total, done, inputs = sum(f.bytes for _, _, files in found for f in files), 0, list[_Input]()
    for split, source, files in found:
        here = []
        for file in files:
            stamp = stamp_of(file.path)
            here.append(_Input(file, split, source, file.sha256(), stamp))
            done += file.bytes
            progress("checking files", done, total, "bytes")
        inputs += sorted(here, key=lambda i: (i.file.name, i.sha256))
    if not any(i.file.bytes for i in inputs):
        what = "the file is empty" if len(inputs) == 1 else "the files are empty"
        raise DataError(what, where=", ".join(wanted.paths), do="name files that hold ids")
    return inputs


def _one(folder: Path, name: str, exported: Exported) -> list[IdFile]:
    format = "bin" if exported.format == "llmc" else exported.format
    return find_ids([str(folder / name)], format)


def _named(word: str, default: str) -> tuple[str, str]:
    """Return the source and the path that a word names."""
    name, equals, path = word.partition("=")
    if not equals or Path(word).exists() or ("/" in name and not (is_source(name) and _found(path))):
        return default, word
    return _source_name(name, word), path


def _found(path: str) -> bool:
    """Return whether files or a folder lie there; Megatron names its pairs without their endings."""
    return Path(path).exists() or Path(f"{path}.idx").exists()


def _source_name(name: str, where: str) -> str:
    """Return the name of a source, which may be a domain's, as `web/news`. Raises ConfigError for what is none."""
    if not is_source(name):
        do = f"use a plain name, as {PLAIN}; or two with / between them, as web/news"
        raise ConfigError(f"{name!r} cannot name a source", where=where, do=do)
    return name


@dataclass(frozen=True)
class _Making:
    """One import: its stages in their order."""

    wanted: Intake
    asked: Asked
    inputs: list[_Input]
    tokenizer: Tokenizer
    folder: Path  # of all versions of this name
    known: dict[str, dict[str, Any]]  # what an export says of its sources
    digest: str

    def make(self, exported: Exported | None, progress: Progress) -> Dataset:
        """Return the version, made anew; what a killed import has read is passed over."""
        sweep_staging(self.folder)
        work = (self.folder / WORK / self.digest[:16]).absolute()
        for other in work.parent.glob("*"):
            if other != work:
                shutil.rmtree(other, ignore_errors=True)
        with open_engine("local", self.wanted.workers) as engine, storage_errors(self.folder):
            work.mkdir(parents=True, exist_ok=True)
            corpus, unusable = self._read(work, engine, progress)
            if exported is not None and not self.wanted.validation:
                _refuse_others(corpus, exported, self.wanted.paths[0])
            self._decide(corpus)
            folders, results = self._order(corpus, work, engine, progress)
            with staged_folder(self.folder, "version") as staged:
                vocabulary, left = self.tokenizer.vocabulary, Budgets(counts=results)
                splits = write_splits(corpus, folders, left, vocabulary, work, staged.path, engine, progress)
                for name, split in splits.items():
                    self._refuse_without_text(name, split["bytes"])
                write_synced(staged.path / TOKENIZER, self.tokenizer.to_json().encode())
                write_lines(staged.path / "ledger.jsonl.zst", corpus.ledger())
                write_lines(staged.path / "quarantine.jsonl.zst", unusable)
                for name in ("samples", "contamination"):
                    write_lines(staged.path / f"{name}.jsonl.zst", [])
                body = self._manifest(corpus, splits, len(unusable))
                write_synced(staged.path / "card.md", card_of(body).encode())
                body |= describe_content(staged.path, [p for p in staged.path.rglob("*") if p.is_file()])
                write_manifest(staged.path, body)
                final = self.folder / digest_of_manifest(body)[:12]
                faults.point("import.manifest_written")
                if final.exists():  # this very version, but damaged, or it would have been found
                    final.rename(self.folder / f"{STAGING_PREFIX}damaged-{final.name}")
                staged.publish(final)
        shutil.rmtree(work.parent, ignore_errors=True)
        return open_dataset(final)

    def _read(self, work: Path, engine: Engine, progress: Progress) -> tuple[Corpus, list[dict[str, str]]]:
        self.tokenizer.save(tokenizer := work / TOKENIZER)
        jobs = []
        for number, one in enumerate(self.inputs):
            args = {"path": str(one.file.path.absolute()), "format": one.file.format, "stamp": one.stamp}
            args |= {"tokenizer": str(tokenizer), "asked": asdict(self.asked)}
            args |= {"folder": str(work / f"read-{number:05d}-{one.sha256[:16]}")}
            jobs.append(Job("gnomon.data.exchange.intake:take_in", args, one.file.bytes))
        results = engine("reading ids", jobs, progress)
        files, unusable = [], list[dict[str, str]]()
        for one, job, result in zip(self.inputs, jobs, results, strict=True):
            files.append(Files([one.file.name], one.source, one.split, Path(job.args["folder"]), result["blocks"]))
            unusable += [
                {"origin": f"{one.file.name}:{record}", "reason": "empty", "detail": ""} for record in result["empty"]
            ]
        return Corpus(files), unusable

    def _decide(self, corpus: Corpus) -> None:
        """Remove documents whose ids were there before, and say which of the others are held out."""
        remove_equal(corpus)
        train, held = (int((corpus.status == status).sum()) for status in (TRAIN, VALIDATION))
        own = any(one.split == "validation" for one in self.inputs)
        where = ", ".join(self.wanted.paths)
        if own and not held:
            do = "name files of their own in --validation"
            raise DataError("there are no documents to hold out", where=", ".join(self.wanted.validation), do=do)
        if own and not train:
            what = "there are documents to hold out, and none to train on"
            do = "name files to train on too; of an export, make one of both splits, without --split"
            raise DataError(what, where=where, do=do)
        if train < 2 and not own:
            what = "there are no documents" if not train else "one document cannot be both trained on and held out"
            do = "see that the format and the ids that end documents (--end) are right, or name more files"
            raise DataError(what, where=where, do=do)
        if not own:
            numbers, ids, sizes = corpus.ids_of(TRAIN)
            self._refuse_without_text("training", int(sizes.sum()))
            chosen = held_out_records(corpus.records(numbers), ids, sizes, self.wanted.validation_share)
            corpus.status[numbers[chosen]] = VALIDATION

    def _order(
        self, corpus: Corpus, work: Path, engine: Engine, progress: Progress
    ) -> tuple[list[Path], list[dict[str, Any]]]:
        jobs = []
        for b, (start, rows) in enumerate(corpus.blocks()):
            status = corpus.status[start : start + len(rows)]
            write_array(said := work / f"status-{b:05d}.npy", status)
            block = corpus.block(b).folder
            args: dict[str, Any] = {"block": str(block), "status": str(said), "end_of_text": self.tokenizer.end_of_text}
            args |= {"folder": str(work / f"ordered-{b:05d}")}
            args |= {"source": corpus.sources.index(corpus.places[b][0].source)}
            jobs.append(Job("gnomon.data.exchange.intake:order_block", args, (block / "ids.npy").stat().st_size))
        results = engine("sorting documents", jobs, progress)
        return [Path(job.args["folder"]) for job in jobs], results

    def _refuse_without_text(self, name: str, size: int) -> None:
        if not size:
            raise DataError(
                f"the ids of the {name} documents stand for no text at all",
                where=", ".join(self.wanted.paths),
                do="name the tokenizer that made these ids with --tokenizer",
            )

    def _manifest(self, corpus: Corpus, splits: dict[str, Any], empty: int) -> dict[str, Any]:
        tokenizer = self.tokenizer
        options = {"validation_share": self.wanted.validation_share, "import": asdict(self.asked)}
        return {
            "format": FORMAT,
            "name": self.folder.name,
            "recipe": self.digest,
            "inputs": [i.described() for i in self.inputs],
            "sources": [
                self.known.get(name) or {"name": name, "domain": name.partition("/")[2] or None, "licence": None}
                for name in dict.fromkeys(i.source for i in self.inputs if i.split == "train")
            ],
            "config": {"data": options, "tokenizer": {}},
            "tokenizer": {
                "digest": tokenizer.digest,
                "vocabulary": tokenizer.vocabulary,
                "tokens": tokenizer.tokens,
                "requested": tokenizer.vocabulary,
                "kind": tokenizer.kind,
                "pretokenizer": tokenizer.pretokenizer,
                "end_of_text": tokenizer.end_of_text,
            },
            "splits": splits,
            "removed": corpus.reasons(),
            "suites": [],
            "flow": flow_of(corpus),
            "contamination": {},
            "repaired": {},
            "replaced": {},
            "near": None,
            "repeated_ids": {},
            "quarantined": {"empty": empty} if empty else {},
        }


def _refuse_others(corpus: Corpus, exported: Exported, where: str) -> None:
    """Raise IntegrityError where the documents that were read are not those that were exported."""
    for split, status in (("train", TRAIN), ("validation", VALIDATION)):
        said = exported.splits.get(split)
        numbers, ids, _ = corpus.ids_of(status)
        if said is not None and (said.digest != digest_of(ids) or said.documents < len(numbers)):
            raise IntegrityError(
                f"the {split} documents are not those that were exported ({len(numbers):,} of {said.documents:,})",
                where=where,
                do="copy the export again, or export the dataset anew",
            )
