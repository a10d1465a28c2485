"""A model that learned from questions itself, with its heads, and what of the language that cost it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gnomon.base.errors import GnomonError
from gnomon.base.progress import Progress, silent
from gnomon.base.seeds import derive
from gnomon.bundle import Bundle
from gnomon.data.forms.questions import question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.alter import altered
from gnomon.data.questions.folds import near_any
from gnomon.data.questions.question import Question
from gnomon.data.questions.teacher import Teacher
from gnomon.data.streaming.rows import Rows, gather
from gnomon.data.streaming.source import SourceRows
from gnomon.data.streaming.stream import validation_rows
from gnomon.data.streaming.targets import READ
from gnomon.evaluate.loss import score
from gnomon.model.lm import LanguageModel
from gnomon.refit.heads import Asked, kept_out, types_by
from gnomon.store.datasets import Dataset, open_dataset
from gnomon.store.labels import COARSE, FINE, ROUTER, WIDTH
from gnomon.taxonomy import HEAD_OUTPUTS, HeadKind
from gnomon.train.refit import SURE, Learned, marks_in, with_heads
from gnomon.train.tune import Course, TextRows, tune

TEXT_ROWS = 1
"""Rows of the run's text beside each batch of questions."""
MEASURED = 50_000
"""Held-out tokens, about, by which the language is measured."""


@dataclass(frozen=True)
class Tuned:
    """The model; how it went, from how many marks and altered questions; and the loss on held-out text of the run's
    dataset, in nats a token, before and after: None where the dataset is not there.
    """

    model: LanguageModel
    learned: Learned
    marks: int
    altered: int
    language_before: float | None
    language: float | None


def tuned(
    bundle: Bundle,
    asked: Asked,
    teacher: Teacher | None,
    per_gold: int,
    course: Course,
    progress: Progress,
    apart: Sequence[str] = (),
) -> Tuned:
    """Return a copy of the bundle's model that learned from questions, all its weights, and what came of it.

    With a teacher also from questions of gold types with some words changed, `per_gold` for each, labelled by it. None
    comes from what is kept to judge by, or is near that, or near a question of `apart`. Kinds of heads that the
    questions say nothing of are taught to say what they said.
    """
    had = [] if bundle.model.heads is None else bundle.model.heads.kinds
    marks = bundle.marks
    kinds = _kinds(asked, marks, had)
    held_out = kept_out(asked, course.seed)
    every = asked
    if teacher is not None and per_gold:
        every = with_altered(bundle, asked, held_out, teacher, per_gold, course.seed, apart, progress)
    held_out = np.append(held_out, np.zeros(len(every.tokens) - len(held_out), bool))
    model = with_heads(bundle.model, kinds, course.seed)
    dataset = dataset_of(bundle)
    rows = text_rows(dataset, bundle, course.seed) if dataset and course.language else None
    learned, count = tune(model, every.tokens, every.known, held_out, marks, had, course, progress, rows)
    before, after = (
        None if dataset is None else language_loss(one, dataset, progress) for one in (bundle.model, model)
    )
    return Tuned(model, learned, count, len(every.tokens) - len(asked.tokens), before, after)


def _kinds(asked: Asked, marks: Mapping[int, int], had: Sequence[HeadKind]) -> list[HeadKind]:
    """Return the kinds of heads that the model had, or of which something is known at a mark."""
    there = np.zeros(WIDTH, bool)
    for text, known in zip(asked.tokens, asked.known, strict=True):
        for _, kind in marks_in(text, known, marks):
            there |= READ[kind] & ~np.isnan(known)
    parts: dict[HeadKind, bool] = {"router": any(there[ROUTER]), "types": any(there[COARSE]) or any(there[FINE])}
    return [kind for kind in HEAD_OUTPUTS if parts[kind] or kind in had]


def with_altered(
    bundle: Bundle,
    asked: Asked,
    held_out: np.ndarray,
    teacher: Teacher,
    per_gold: int,
    seed: int,
    apart: Sequence[str] = (),
    progress: Progress = silent,
) -> Asked:
    """Return the questions, and behind them altered ones of those with gold types that are not held out; none of them
    is near one that is, or one of `apart`.
    """
    gold = (np.nan_to_num(asked.known[:, FINE]).max(1) >= SURE) & ~held_out
    bases = [asked.texts[i] for i in np.flatnonzero(gold)]
    words = [asked.texts[i] for i in np.flatnonzero(~held_out)]
    found = list(dict.fromkeys(altered(bases, words, per_gold * len(bases), seed)))
    close = near_any(found, [*(asked.texts[i] for i in np.flatnonzero(held_out)), *apart])
    found = [text for text, too in zip(found, close, strict=True) if not too]
    parts = [question_parts(Question("", text)) for text in found]
    ids = [[bundle.tokenizer.end_of_text, *one] for one, _ in encode_parts(parts, bundle.tokenizer)]
    fitting = [i for i, one in enumerate(ids) if len(one) <= bundle.shape.context]
    found = [found[i] for i in fitting]
    known = np.full((len(found), WIDTH), np.nan, np.float32)
    known[:, COARSE], known[:, FINE] = types_by(teacher, found, progress)
    return replace(
        asked,
        tokens=[*asked.tokens, *(ids[i] for i in fitting)],
        known=np.concatenate([asked.known, known]),
        texts=[*asked.texts, *found],
    )


def dataset_of(bundle: Bundle) -> Dataset | None:
    """Return the dataset that a run learned from; None where it is not there any more."""
    try:
        dataset = open_dataset(Path(bundle.plan.get("dataset_folder") or ""))
    except GnomonError:
        return None
    return dataset if dataset.digest == bundle.plan.get("dataset") else None


def text_rows(dataset: Dataset, bundle: Bundle, seed: int) -> TextRows:
    """Return what gives rows of the text that a run learned from, in an order of their own."""
    split = dataset.split("train")
    source = SourceRows(split, bundle.shape.context, derive(seed, "text"))

    def rows(step: int) -> Rows:
        return gather([split], source.take(step * TEXT_ROWS, TEXT_ROWS), bundle.shape.context)

    return rows


def language_loss(model: LanguageModel, dataset: Dataset, progress: Progress) -> float:
    """Return the loss of a model on about MEASURED tokens of a dataset's validation split, in nats a token."""
    split = dataset.split("validation")
    total = min(MEASURED, split.bearing)

    def told() -> Iterator[Rows]:
        seen = 0
        for rows in validation_rows(dataset, model.shape.context, 8, MEASURED):
            yield rows
            seen += rows.loss_tokens
            progress("measuring the language", min(seen, total), total, "tokens")

    return score(model, told(), bytes_per_token=split.bytes / split.n_tokens).loss
