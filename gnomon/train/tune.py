"""A model that learns from questions together with its heads: all its weights move, over tokens, not stored states.

Beside each batch of questions can stand rows of text, so that it stays a language model. What heads said before of what
nobody labels, they are taught to go on saying over the states that change below them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gnomon.base.machine import has_fast_bf16, this_machine
from gnomon.base.progress import Progress
from gnomon.base.seeds import derive, permutation
from gnomon.config import Dtype
from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.targets import READ
from gnomon.model.attention import Segments
from gnomon.model.heads import Marks
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import next_token_loss
from gnomon.store.labels import COARSE, FINE
from gnomon.taxonomy import HeadKind
from gnomon.train.optim import Optimizer
from gnomon.train.precision import autocast
from gnomon.train.refit import (
    LEAST,
    SURE,
    TOKENS,
    Learned,
    Places,
    loss_at,
    marks_in,
    mean_loss,
    read_places,
    scale_by,
    scales_of,
    taught,
    with_what_was_said,
)

SORTED = 32
"""So many batches' questions are sorted by length before they are cut into batches: little padding, much chance."""
WARM = 0.05
"""Of all steps, in which the rate grows."""
CLIP = 1.0
"""Norm of the gradient, at most."""

GOLD = 2
"""Times as often as others come questions with a gold type."""

TextRows = Callable[[int], Rows]
"""Rows of text for a step."""


@dataclass(frozen=True)
class Course:
    """How a model learns: AdamW's rate, which falls in a line to nothing, and decay; questions a step; epochs; and how
    much a mean token of the rows of text counts beside a mean question.
    """

    rate: float = 4e-3
    decay: float = 0.05
    rows: int = 128
    epochs: int = 3
    language: float = 0.25
    seed: int = 1337


def tune(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    known: np.ndarray,
    held_out: np.ndarray,
    kinds: Mapping[int, int],
    had: Sequence[HeadKind],
    course: Course,
    progress: Progress,
    rows: TextRows | None = None,
) -> tuple[Learned, int]:
    """Return how a model with heads, in evaluation mode, learned from texts of which `known` [texts, labels.WIDTH] is
    known, and from how many marks. `had` are the kinds of heads that said something before.

    `held_out` says of each text whether it is kept from the model, to say how far logits of types are scaled; down
    alone where a teacher's labels are among the others, for it has seen what is held out. Where that is told no better
    afterwards, the model is as it was. Where nothing can be kept, all teach and all judge.
    """
    assert model.heads is not None
    router = "router" in had  # which is to go on saying what it said at every mark
    questions = _questions(texts, known, kinds, all_marks=router)
    questions = _with_what_was_said(model, texts, questions, known, kinds, had, progress)
    kept = np.array([held_out[one.text] for one in questions], bool)
    if kept.all():
        kept[:] = False
    judging = _judging(questions, kept)
    first, before = copy.deepcopy(model.state_dict()), _read(model, texts, known, judging, kinds, progress)
    loss = loss_at(model.heads, before)
    learning = _Learning(model, [one for one, apart in zip(questions, kept, strict=True) if not apart], rows)
    for step in learning.steps(course):
        progress("teaching the model", *step, "steps")
    after = _read(model, texts, known, judging, kinds, progress)
    marks = sum(len(one.at) for one in questions)
    if not loss_at(model.heads, after) < loss:
        model.load_state_dict(first)
        return Learned(0, loss, loss, {}), marks
    scales = scales_of(model.heads, after) if "types" in taught(after) else {}
    if any(one.soft for one in questions):
        scales = {name: min(scale, 1.0) for name, scale in scales.items()}
    scale_by(model.heads, scales)
    return Learned(course.epochs, loss, loss_at(model.heads, after), scales), marks


@dataclass(frozen=True)
class _Question:
    """The tokens of a text up to its last mark, where its marks are, of which kinds, and what is wanted there; whether
    its fine type is gold, or a teacher's.
    """

    text: int
    tokens: Sequence[int]
    at: list[int]
    kinds: list[int]
    wanted: Tensor
    gold: bool
    soft: bool


def _questions(
    texts: Sequence[Sequence[int]], known: np.ndarray, kinds: Mapping[int, int], *, all_marks: bool
) -> list[_Question]:
    """Return the texts at a mark of which something is known, in their order, with these marks or all."""
    found = []
    for i, (text, row) in enumerate(zip(texts, known, strict=True)):
        if marks_in(text, row, kinds):
            marks = marks_in(text, row, kinds, all_marks=all_marks)
            wanted = torch.from_numpy(np.stack([np.where(READ[kind], row, np.float32(np.nan)) for _, kind in marks]))
            sure = float(wanted[:, FINE].nan_to_num(-1.0).max())
            at, of = [place for place, _ in marks], [kind for _, kind in marks]
            found.append(_Question(i, text[: at[-1] + 1], at, of, wanted, sure >= SURE, 0 <= sure < SURE))
    return found


def _judging(questions: Sequence[_Question], kept: np.ndarray) -> np.ndarray:
    """Return the texts that judge: those that are kept, or all; of gold types alone, where these are enough."""
    some = [one for one, apart in zip(questions, kept, strict=True) if apart or not kept.any()]
    gold = [one for one in some if one.gold]
    return np.array([one.text for one in (gold if len(gold) >= LEAST else some)], np.int64)


def _with_what_was_said(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    questions: list[_Question],
    known: np.ndarray,
    kinds: Mapping[int, int],
    had: Sequence[HeadKind],
    progress: Progress,
) -> list[_Question]:
    """Return the questions, at which also what heads that were there before say is wanted, where nothing is known."""
    unknown = all(bool(one.wanted[:, FINE].isnan().all() and one.wanted[:, COARSE].isnan().all()) for one in questions)
    if model.heads is None or not ("router" in had or ("types" in had and unknown)):
        return questions
    whose = [one.text for one in questions]
    some = [texts[i] for i in whose]
    places = read_places(model, some, known[whose], kinds, progress, all_marks="router" in had)
    order = np.argsort(places.text, kind="stable")
    wanted = with_what_was_said(model.heads, places, had, all_kinds=True)[torch.from_numpy(order)]
    parts = wanted.split([len(one.at) for one in questions])
    return [replace(one, wanted=part) for one, part in zip(questions, parts, strict=True)]


def _read(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    known: np.ndarray,
    which: np.ndarray,
    kinds: Mapping[int, int],
    progress: Progress,
) -> Places:
    return read_places(model, [texts[i] for i in which], known[which], kinds, progress)


class _Learning:
    """A model about to learn from questions and, where there are any, rows of text."""

    def __init__(self, model: LanguageModel, questions: Sequence[_Question], rows: TextRows | None) -> None:
        self._model, self._questions, self._rows = model, questions, rows
        self._device = model.head.device
        self._dtype: Dtype = "bf16" if self._device.type == "cpu" and has_fast_bf16(this_machine()) else "fp32"

    def steps(self, course: Course) -> Iterator[tuple[int, int]]:
        """Yield how many steps are taken and how many there are, after each."""
        named = dict(self._model.named_parameters())
        optimizer = Optimizer(
            named, "adamw", lr=course.rate, momentum=0.0, beta1=0.9, beta2=0.999, weight_decay=course.decay
        )
        epochs = [self._batches(course, epoch) for epoch in range(course.epochs)]
        count, taken = sum(map(len, epochs)), 0
        one, never = torch.ones((), device=self._device), torch.zeros((), dtype=torch.bool, device=self._device)
        for batch in (batch for batches in epochs for batch in batches):
            optimizer.clear()
            self._gradients(batch, taken, course.language)
            torch.nn.utils.clip_grad_norm_([p for p in named.values() if p.grad is not None], CLIP)
            for parameter in named.values():
                if parameter.grad is None:  # a head that nothing here teaches
                    parameter.grad = torch.zeros_like(parameter)
            rate = course.rate * min((taken + 1) / (1 + WARM * count), 1.0) * (1 - taken / count)
            optimizer.step(rate, one, never)
            taken += 1
            yield taken, count

    def _batches(self, course: Course, epoch: int) -> list[np.ndarray]:
        """Return an epoch's questions by number: about equally long ones together, in a drawn order."""
        gold = np.flatnonzero([one.gold for one in self._questions])
        every = np.concatenate([np.arange(len(self._questions)), *[gold] * (GOLD - 1)])
        order = every[permutation(len(every), derive(course.seed, "tune", epoch))]
        sizes = np.array([len(one.tokens) for one in self._questions])
        found = list[np.ndarray]()
        for first in range(0, len(order), SORTED * course.rows):
            some = order[first : first + SORTED * course.rows]
            some = some[np.argsort(sizes[some], kind="stable")]
            while len(some):
                most = max(1, int(np.searchsorted(sizes[some] * np.arange(1, len(some) + 1), TOKENS, side="right")))
                found.append(some[: min(course.rows, most)])
                some = some[min(course.rows, most) :]
        return [found[i] for i in permutation(len(found), derive(course.seed, "batches", epoch))]

    def _gradients(self, batch: np.ndarray, step: int, language: float) -> None:
        some = [self._questions[i] for i in batch]
        longest = max(len(one.tokens) for one in some)
        tokens = np.zeros((len(some), longest), np.int64)  # what follows a token does not change it
        for row, one in enumerate(some):
            tokens[row, : len(one.tokens)] = one.tokens
        at = torch.tensor([row * longest + place for row, one in enumerate(some) for place in one.at])
        kinds = torch.tensor([kind for one in some for kind in one.kinds])
        marks = Marks(at.to(self._device), kinds.to(self._device), torch.ones((), device=self._device))
        with autocast(self._device.type, self._dtype):
            said = self._model(torch.from_numpy(tokens).to(self._device), marks=marks).signals
        mean_loss(said, torch.cat([one.wanted for one in some]).to(self._device)).backward()
        if self._rows is None:
            return
        rows = self._rows(step)
        with autocast(self._device.type, self._dtype):
            hidden = self._model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
            nats = next_token_loss(hidden, self._model.head, rows.labels)[0]
        (nats * (language / max(1, rows.loss_tokens))).backward()
