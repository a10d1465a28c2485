"""The stages of a preparation, in their order: what reads, decides, learns, encodes and writes."""

import shutil
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import write_array
from gnomon.base.errors import ConfigError, DataError
from gnomon.base.files import (
    canonical_json,
    sha256_bytes,
    sweep_staging,
)
from gnomon.base.progress import Progress
from gnomon.data.blocks import Wanted, key_of
from gnomon.data.budget import keep_to_budgets
from gnomon.data.classification.classifier import load_classifier
from gnomon.data.classification.domains import Choice, asked_of, choices_of
from gnomon.data.classification.language import identifier
from gnomon.data.classification.languages import remove_foreign
from gnomon.data.cleaning.rules import choose
from gnomon.data.contamination.removal import Contamination, remove_contamination
from gnomon.data.corpus import REMOVED, TRAIN, VALIDATION, Corpus, Files, origin_of, remove_equal, remove_poor
from gnomon.data.duplicates.banding import name_of
from gnomon.data.duplicates.line_removal import Cuts, remove_lines
from gnomon.data.duplicates.meaning import SAMPLE_BYTES, Embedder, Meaning, learn_words, remove_semantic
from gnomon.data.duplicates.minhash import bands_for
from gnomon.data.duplicates.removal import Alike, remove_near
from gnomon.data.encode import KEPT, write_splits
from gnomon.data.engine import Engine, Job
from gnomon.data.groups import grouped
from gnomon.data.reading.read import can_split
from gnomon.data.reading.span import WHOLE, cut_spans
from gnomon.data.recipe import Input, Recipe
from gnomon.data.records import warn_of_idle
from gnomon.data.sample import granted
from gnomon.data.split import held_out_groups
from gnomon.data.tempered import TRIAL_BYTES, tempered_weights
from gnomon.embed.minilm import SentenceEmbedder
from gnomon.tokenizer.tokenizer import BLOCK, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer

BLOCKS = ".blocks"
"""Beside the versions of a dataset: what was read of its files."""
WORK = ".work"
"""Beside them while one is made: what would be made again after a kill."""

HOLD_TEXT = "check that the files hold text of their own"

RAISE_TOKENS = "raise data.sources[].tokens"

SPAN_BYTES = 64 << 20
"""Of a file that can be cut: what one job reads."""


class Work:
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
        path = recipe.data.domain_classifier
        self._classifier = load_classifier(Path(path)) if path else None
        self.cleaned = {"repaired": Counter[str](), "replaced": Counter[str]()}
        self.alike: Alike | None = None
        self.cuts: Cuts | None = None
        self.meaning: Meaning | None = None
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
        read = [(group, job) for group in grouped(self.recipe.inputs) for job in self._reading(group)]
        results = self._engine("reading text", [job for _, job in read], self._progress)
        files = []
        for (group, job), result in zip(read, results, strict=True):
            names, one = [i.origin for i in group], group[0]
            choices = self._choices(group)
            place = Path(job.args["folder"])
            files.append(Files(names, one.source, one.split, place, result["blocks"], choices, one.form))
            for what, counts in self.cleaned.items():
                counts.update(result[what])
            for file, line, part, reason, detail in result["unusable"]:
                self.unusable.append({"origin": origin_of(names[file], line, part), "reason": reason, "detail": detail})
        corpus = Corpus(files)
        self._judge_unusable(corpus.count)
        names = {Path(job.args["folder"]): [i.name for i in group] for group, job in read}
        warn_of_idle(corpus, self.recipe.data, names)
        return corpus

    def _choices(self, group: list[Input]) -> tuple[tuple[Choice, ...], ...]:
        rules, source = self.recipe.data.domains, group[0].source
        own = next((s.domain for s in self.recipe.data.named if s.name == source), None)
        labels = self._classifier[0].labels if self._classifier else ()
        named = bool(rules or labels)
        return tuple(choices_of(rules, source, own, i.name, labels) for i in group) if named else ()

    def _reading(self, group: list[Input]) -> list[Job]:
        """Return the jobs that read a group of files: one, or one for each span of a large file."""
        data, first = self.recipe.data, group[0]
        scores = data.clean.scores or bool(self._rules)
        wanted = Wanted(first.text_field, first.separator, data.id_field, data.clean.repair, data.clean.pii, scores)
        languages = None if data.clean.languages is None else identifier()
        wanted = replace(wanted, domains=asked_of(data.domains, first.source), languages=languages)
        wanted = replace(wanted, classifier=self._classifier[1] if self._classifier else None)
        wanted = replace(wanted, form=vars(first.form))
        files = [[str(i.file.path.absolute()), i.file.bytes, i.stamp] for i in group]
        size, jobs, spans = sum(i.file.bytes for i in group), list[Job](), [WHOLE]
        if len(group) == 1 and size > SPAN_BYTES and can_split(first.file, first.separator):
            spans = cut_spans(first.file.path, SPAN_BYTES)
        for span in spans:
            key = key_of([(i.sha256, i.file.path) for i in group], span, wanted)
            self._keys |= {key} if self._bands is None else {key, name_of(self._bands, key)}
            args: dict[str, Any] = {"classifier": data.domain_classifier, "files": files}
            args |= {"folder": str(self._blocks / key), "wanted": vars(wanted), "span": vars(span)}
            args["path"] = files[0][0] if len(files) == 1 else f"{files[0][0]} to {files[-1][0]}"  # for people
            jobs.append(Job("gnomon.data.blocks:make_blocks", args, (span.stop or size) - span.start))
        return jobs

    def decide(self, corpus: Corpus) -> None:
        """Remove poor texts, equal ones, near and semantic duplicates and repeated lines, say which of the others are
        held out, and remove from training what is in a suite.

        Raises DataError where one side would be empty.
        """
        clean = self.recipe.data.clean
        if self._rules:
            remove_poor(corpus, self._rules, self._progress)
        if clean.languages:
            remove_foreign(corpus, clean.languages, clean.language_confidence, self._progress)
        self._progress("looking for equal texts", 0, None, "documents")
        remove_equal(corpus)
        near = self.recipe.data.dedup.near
        if near is not None and self._bands is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.alike = remove_near(corpus, self._bands, near, self._folder, self._engine, self._progress)
        if (semantic := self.recipe.data.dedup.semantic) is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            embedder = self._embedder(corpus)
            self.meaning = remove_semantic(corpus, embedder, semantic, self._folder, self._engine, self._progress)
        if (lines := self.recipe.data.dedup.lines) is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            characters = self.recipe.data.dedup.line_characters
            self.cuts = remove_lines(corpus, lines, characters, self._folder, self._engine, self._progress)
        self._hold_out(corpus)
        if self.recipe.suites:
            self._folder.mkdir(parents=True, exist_ok=True)
            wanted, suites = self.recipe.data.decontaminate, self.recipe.suites
            asked = remove_contamination(corpus, suites, wanted, self._folder, self._engine, self._progress)
            self.contamination = asked
            self._demand(corpus, TRAIN, [str(path) for path, _ in suites], "nothing is left of the training text")

    def _embedder(self, corpus: Corpus) -> Embedder:
        if self.recipe.embedder is not None:
            model = SentenceEmbedder.open(self.recipe.data.dedup.embedder)
            return Embedder(str(model.folder.absolute()), self.recipe.embedder)
        return learn_words(corpus, *sample_of(corpus, SAMPLE_BYTES, None), self._folder, self._progress)

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
        share, groups = self.recipe.data.validation_share, corpus.groups(numbers)
        corpus.status[numbers[held_out_groups(corpus.records(numbers), groups, ids, sizes, share)]] = VALIDATION

    def learn(self, corpus: Corpus) -> Tokenizer:
        """Return the tokenizer learned from a sample of the training text, or the one that was brought along; DataError
        when it is smaller than was asked for.
        """
        if self.recipe.brought:
            return self.recipe.brought
        weights = self._weights(corpus)
        if unknown := sorted(set(weights or {}) - {name for s in corpus.sources for name in (s, s.partition("/")[0])}):
            do = f"name some of {', '.join(corpus.sources)}"
            raise ConfigError(f"there is no text of {unknown[0]!r}", where="tokenizer.sample_weights", do=do)
        chosen, ids = sample_of(corpus, self.recipe.tokenizer.sample_bytes, weights)
        if not len(chosen):
            do = "give weight to a source that has text to train on"
            raise ConfigError("there is no text to learn from", where="tokenizer.sample_weights", do=do)
        learned = self._learned(corpus, chosen, ids)
        asked = self.recipe.tokenizer.vocabulary
        if asked and learned.vocabulary < asked:
            supported = max(SMALLEST, learned.tokens // BLOCK * BLOCK)
            raise DataError(
                f"the text does not support a vocabulary of {asked:,}, only {learned.tokens:,} tokens",
                where="tokenizer.vocabulary",
                do=f"ask for {supported:,} or less, leave the key out, or add text",
            )
        return learned

    def _weights(self, corpus: Corpus) -> dict[str, float] | None:
        """Return the weights of sources in the tokenizer's sample; None where they go by size."""
        asked = self.recipe.tokenizer
        assert asked.sample_weights != "mix"
        if asked.sample_temperature is None or len(corpus.sources) == 1:
            return asked.sample_weights
        limit = min(asked.sample_bytes, TRIAL_BYTES * len(corpus.sources))
        trial = sample_of(corpus, limit, dict.fromkeys(corpus.sources, 1))
        budgets = {s.name or "": s.tokens for s in self.recipe.data.named if s.tokens is not None}
        return tempered_weights(corpus, trial, partial(self._learned, corpus), asked.sample_temperature, budgets)

    def _learned(self, corpus: Corpus, chosen: np.ndarray, ids: np.ndarray) -> Tokenizer:
        """Return the tokenizer learned from documents, by their numbers and ids."""
        size, cutting, kind = self.recipe.vocabulary, self.recipe.tokenizer.pretokenizer, self.recipe.tokenizer.kind
        key = sha256_bytes(canonical_json([size, cutting, kind]) + ids.tobytes())[:16]
        if (path := self._folder / f"learned-{key}.json").exists():  # by a preparation that was killed later on
            return Tokenizer.load(path)
        texts = list(corpus.texts(np.sort(chosen)))
        in_order = (texts[i] for i in np.argsort(np.argsort(chosen)).tolist())
        learned = train_tokenizer(in_order, size, cutting, self._progress, kind=kind)
        learned.save(path)
        return learned

    def encode(self, corpus: Corpus, tokenizer: Tokenizer) -> list[Path]:
        """Encode what is kept of every block and return where it lies, block by block."""
        tokenizer.save(path := self._folder / f"tokenizer-{tokenizer.digest[:16]}.json")
        jobs = []
        for b, (start, rows) in enumerate(corpus.blocks()):
            kept = np.zeros(len(rows), KEPT)
            kept["status"], kept["source"] = corpus.status[start : start + len(rows)], corpus.sources_in(b)
            folder = corpus.block(b).folder
            said = rows["id"].tobytes() if b in corpus.changes else b""
            key = sha256_bytes(
                f"{folder.parent.name}/{folder.name} {tokenizer.digest} ".encode() + kept.tobytes() + said
            )
            write_array(told := self._folder / f"{key[:32]}.npy", kept)
            args = corpus.named(b) | {"kept": str(told), "tokenizer": str(path)}
            size = int(rows["bytes"][kept["status"] != REMOVED].sum(dtype=np.int64))
            jobs.append(Job("gnomon.data.encode:encode_block", args | {"folder": str(self._folder / key[:32])}, size))
        results, folders = self._engine("encoding", jobs, self._progress), [Path(job.args["folder"]) for job in jobs]
        budgets = {s.name or "": s.tokens for s in self.recipe.data.named if s.tokens is not None}
        self._left = keep_to_budgets(corpus, folders, results, budgets)
        self._demand(corpus, TRAIN, self._named, "data.sources[].tokens leaves no text to train on", RAISE_TOKENS)
        return folders

    def write(self, corpus: Corpus, encoded: list[Path], tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
        """Write the shards of every split and source below `folder` and return the splits' manifest entries."""
        left, engine = self._left, self._engine
        return write_splits(corpus, encoded, left, tokenizer.vocabulary, self._folder, folder, engine, self._progress)

    def sweep(self) -> None:
        """Remove what the making of a version left behind; of the blocks, what this recipe does not need."""
        sweep_staging(self.recipe.folder)
        shutil.rmtree(self._folder.parent, ignore_errors=True)
        for folder in self._blocks.iterdir():
            wanted = {folder.name, folder.name.rpartition("-")[0]} & self._keys
            if not wanted or not self.recipe.data.keep_blocks:
                shutil.rmtree(folder, ignore_errors=True)
        if not self.recipe.data.keep_blocks:
            self._blocks.rmdir()

    def _demand(self, corpus: Corpus, status: int, paths: list[str], empty: str, do: str = HOLD_TEXT) -> None:
        """Raise DataError unless there are documents of this status."""
        if not (corpus.status == status).any():
            entries = islice(chain(self.unusable, corpus.ledger()), 3)
            shown = [f"{e['origin']}: {e['reason']}" + (f" ({e['detail']})" if e["detail"] else "") for e in entries]
            raise DataError(
                "\n      ".join([empty + (", or nothing of it can be used:" if shown else ""), *shown]),
                where=", ".join(paths),
                do=do,
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


def sample_of(corpus: Corpus, limit: int, weights: dict[str, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and ids of the training texts with the lowest ids that make up `limit` bytes, in their order;
    of each source by its weight, where there are weights. What a source has too little of goes to the others.

    Ids are hashes, so this is a fair share, and equal corpora give equal samples, in whatever order their files come.
    """
    numbers, ids, sizes = corpus.ids_of(TRAIN)
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    if weights is None:
        taken = order[: int((sizes[order].cumsum() - sizes[order] < limit).sum())]
        return numbers[taken], ids[taken]
    names, of = corpus.sources_of(numbers)
    whose = [name if name in weights else name.partition("/")[0] for name in names]  # a domain, or all of them together
    names = list(dict.fromkeys(whose))
    of = np.array([names.index(name) for name in whose])[of]
    inside = {name: order[of[order] == i] for i, name in enumerate(names)}
    there = {name: int(sizes[mine].sum()) for name, mine in inside.items()}
    shares = {name: Fraction(weights.get(name, 0)) for name in names}
    kept = np.zeros(len(numbers), bool)
    for name, grant in granted(limit, shares, there).items():
        mine = inside[name]
        kept[mine[sizes[mine].cumsum() - sizes[mine] < grant]] = True
    taken = order[kept[order]]
    return numbers[taken], ids[taken]
