"""From questions to what a model says of them: read, typed, answered under constraint, checked, tried again.

A question is read once. Its evidence goes on from there in the same cache, the answer from that, and so does a second
try. Many questions go through together, with others about as long; what is found of one does not depend on them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gnomon.answer.constrain import Constraint, constraints_of
from gnomon.answer.recitation import recite, who_recites
from gnomon.answer.repair import MOST_REPAIRS, Attempt, Reply, Tried, next_attempt
from gnomon.answer.session import Session
from gnomon.answer.utterance import ANSWER, MOST_TOKENS, Free, Utterance, say
from gnomon.answer.validate import problem_of, type_of
from gnomon.base.progress import Progress, silent
from gnomon.bundle import Bundle, refuse_without_heads
from gnomon.data.forms.questions import GAP, MOST_RECITED
from gnomon.model.reading import Reading
from gnomon.taxonomy import ANSWER_TYPES, OPENING, QUESTION

Q, Q_END, CONTEXT, CONTEXT_END, _, _, PASSAGE, PASSAGE_END, _, _ = QUESTION
WAY = 3
"""Raised whenever equal weights and settings answer otherwise: what was calibrated before holds no more."""
TOGETHER = 64
"""Questions answered in one batch, with others about as long."""
OPEN_FROM = 0.2
"""From this probability on an answer may be of a type."""
ILL_POSED_BELOW = 0.5
"""The probability of being well posed below which a question is not answered."""
DOUBTED_BELOW = 0.5
"""The router's probability that an answer is right below which it is tried again, where repairs are on."""
LEAST_ROOM = 24
"""Tokens of the context that evidence leaves to the answer."""


@dataclass(frozen=True)
class Settings:
    """How questions are answered. A calibration holds for answers that were made by the same ones."""

    constrain: bool = True  # answers are kept to their types token by token; else they are only checked
    repairs: int = 0  # further tries at most, of an answer that does not hold
    typed: bool = True  # the types that the model predicts are open; else all are
    answer: bool = True  # else questions are only read, and recited of, up to where an answer would begin
    stop_early: bool = True  # a question that is ill posed is read no further, where nothing is said of it later
    recite: bool = True  # a model that has learned it may say from memory first what its answer follows from
    weighed: bool = False  # an abstention is a signal beside others, for a calibration to weigh; else it is the end


@dataclass(frozen=True)
class Asked:
    """A question, and the passages it is to be answered from; none: from what the model knows."""

    question: str
    passages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Try:
    """One try at an answer, of one of the types asked for or of none; `problem` says why it is no well-formed one,
    `doubt` how likely the router has it right. `evidence` is what the heads said of the passages it had, `recitation`
    what the model said from memory before it.
    """

    attempt: Attempt
    utterance: Utterance
    type: str | None
    problem: str | None
    evidence: Reading | None
    recitation: Utterance | None = None

    @property
    def quotable(self) -> tuple[str, ...] | None:
        """What its names and codes are quoted from; None where they need not be."""
        return _quotable(self.attempt, self.recitation)

    @property
    def router(self) -> dict[str, float]:
        """What the router says behind the evidence, and where the answer begins."""
        every = (one.router for one in (self.evidence, self.utterance.opening) if one is not None)
        return {name: p for said in every for name, p in said.items()}

    @property
    def correct(self) -> float:
        """The router's probability that it is right; 0 where there is nothing to be right."""
        reading = self.utterance.reading
        return 0.0 if reading is None or self.utterance.text is None else reading.router["correct"]

    @property
    def fault(self) -> str | None:
        """Why it is to be tried again, if it is."""
        if self.problem is None and self.utterance.text is not None and self.correct < DOUBTED_BELOW:
            return "the model itself doubts it"
        return self.problem

    def as_tried(self) -> Tried:
        """Return it as `repair` counts tries."""
        return Tried(self.attempt, Reply(self.utterance.text, self.type), self.fault)


class Unread(NamedTuple):
    """What does not fit into the context, and by how much."""

    part: Literal["question", "evidence"]
    why: str


@dataclass
class Found:
    """What was found of a question: the heads' readings, the types that were open, and every try, in order.

    `used` are the numbers of the passages that fitted into the context; `unread` says what did not, where nothing was
    read. `may_recite`: without evidence, the model could have. `tries` is empty for a question that was given up
    before. `milliseconds` are of each stage, of a batch each question's share.
    """

    asked: Asked
    question: Reading | None = None
    types: tuple[str, ...] = ()
    used: tuple[int, ...] = ()
    tries: list[Try] = field(default_factory=list)
    unread: Unread | None = None
    may_recite: bool = False
    milliseconds: dict[str, float] = field(default_factory=dict)

    @property
    def router(self) -> dict[str, float]:
        """What the router says of the question, and of its evidence: what it says last, before an answer."""
        assert self.question is not None
        said = self.question.router | (self.tries[0].router if self.tries else {})
        return said if self.used else {name: p for name, p in said.items() if name != "sufficient"}

    @property
    def ill_posed(self) -> bool:
        """Whether the router says so."""
        return self.question is not None and self.router["well_posed"] < ILL_POSED_BELOW

    @property
    def passages(self) -> tuple[str, ...]:
        """The passages that were read."""
        return tuple(self.asked.passages[i] for i in self.used)

    def standing(self, repairs: int, final: bool = False) -> Try | None:
        """Return the try that stands with so many repairs; None for an abstention, the model's own or one in place of
        an answer that did not hold. With `final`, none where the model would sooner have abstained either.
        """
        if not self.tries:
            return None
        one = self.tries[0] if not repairs else self.tries[-1]
        wrong = (one.problem if not repairs else one.fault) or (final and one.utterance.declined)
        return None if one.utterance.text is None or wrong else one


def answer_each(bundle: Bundle, asked: Sequence[Asked], settings: Settings, progress: Progress = silent) -> list[Found]:
    """Return what is found of each question, in their order.

    Raises DataError for a model without a router, DependencyError where `settings.constrain` needs a package that is
    not there.
    """
    refuse_without_heads(bundle, ("router",))
    if not 0 <= settings.repairs <= MOST_REPAIRS:
        raise ValueError(f"{settings.repairs} repairs: from 0 to {MOST_REPAIRS}")
    rows = [_Row(Found(one), question, passages) for one, question, passages in _encoded(bundle, asked)]
    for row in rows:
        row.fit(bundle.shape.context)
    fitting = sorted((row for row in rows if row.found.unread is None), key=lambda row: row.size)
    for first in range(0, len(fitting), TOGETHER):
        _Batch(bundle, settings, fitting[first : first + TOGETHER]).answer()
        progress("answering", min(first + TOGETHER, len(fitting)), len(fitting), "questions")
    return [row.found for row in rows]


def _encoded(bundle: Bundle, asked: Sequence[Asked]) -> Iterator[tuple[Asked, list[int], list[list[int]]]]:
    texts = [GAP + text for one in asked for text in (one.question, *one.passages)]
    ids = iter(bundle.tokenizer.encode_batch(texts))
    for one in asked:
        yield one, next(ids), [next(ids) for _ in one.passages]


class _Row:
    """A question on its way: its tokens, and what was found of it so far."""

    def __init__(self, found: Found, question: list[int], passages: list[list[int]]) -> None:
        self.found, self._question, self._passages = found, question, passages

    def fit(self, context: int) -> None:
        """Take the passages that fit, in their order, and leave out those that do not."""
        free = context - len(self._question) - 3 - LEAST_ROOM  # end of text, two marks
        if free < 0:
            why = f"the question is too long: {context - free:,} tokens with room for an answer, of {context:,}"
            self.found.unread = Unread("question", why)
            return
        free -= 3  # <|ctx|>, <|/ctx|>, <|a|>
        used = []
        for i, passage in enumerate(self._passages):
            if len(passage) + 2 <= free:
                used.append(i)
                free -= len(passage) + 2
        self.found.used = tuple(used)
        if self._passages and not used:
            least = min(map(len, self._passages))
            why = f"no passage fits into the context: the shortest has {least:,} tokens of {context:,}"
            self.found.unread = Unread("evidence", why)

    @property
    def size(self) -> tuple[int, int]:
        """What questions of one batch are to have alike: the length of their evidence, and of themselves."""
        return sum(len(self._passages[i]) for i in self.found.used), len(self._question)

    def question_piece(self, special: Mapping[str, int], end: int) -> list[int]:
        """Return the tokens up to the mark behind the question."""
        return [end, special[Q], *self._question, special[Q_END]]

    def evidence_piece(self, special: Mapping[str, int], passages: Sequence[int]) -> list[int]:
        """Return the tokens of some passages between their marks; none for none."""
        inner = [t for i in passages for t in (special[PASSAGE], *self._passages[i], special[PASSAGE_END])]
        return [special[CONTEXT], *inner, special[CONTEXT_END]] if inner else []


class _Batch:
    """Questions that are answered together."""

    def __init__(self, bundle: Bundle, settings: Settings, rows: Sequence[_Row]) -> None:
        self._bundle, self._settings, self._rows = bundle, settings, rows
        tokenizer = bundle.tokenizer
        kinds = bundle.marks
        self._told_later = OPENING in kinds.values()
        self._special = {name: tokenizer.special_id(name) for name in (*QUESTION, ANSWER)}
        self._first = [row.question_piece(self._special, tokenizer.end_of_text) for row in rows]
        evidence = [row.evidence_piece(self._special, row.found.used) for row in rows]
        longest = max(map(len, self._first)) + max(map(len, evidence)) + MOST_TOKENS + 2
        for row in rows:
            row.found.may_recite = settings.recite and bundle.plan.get("recites") is True and not row.found.used
        capacity = longest + (MOST_RECITED + 2 if any(row.found.may_recite for row in rows) else 0)
        self._session = Session(bundle.model, kinds, len(rows), capacity)

    def answer(self) -> None:
        """Find all there is to be found of the rows."""
        started = time.perf_counter()
        for row, (reading,) in zip(self._rows, self._session.read(self._first), strict=True):
            row.found.question = reading
            row.found.types = _open_types(reading, self._settings.typed)
        self._clock("question", started, self._rows)
        behind = self._session.place
        attempts: list[Attempt | None] = [
            None if self._settings.stop_early and not self._told_later and found.ill_posed else _first_attempt(found)
            for found in (row.found for row in self._rows)
        ]
        self._try(attempts)
        for repair in range(1, self._settings.repairs + 1):
            attempts = [self._next(row.found, repair) for row in self._rows]
            if any(attempts):
                self._session.rewind(behind)
                self._try(attempts)

    def _next(self, found: Found, repair: int) -> Attempt | None:
        """Return what is asked for in a repair; None where the last try holds or nothing was said."""
        if len(found.tries) != repair or found.tries[-1].fault is None or found.tries[-1].utterance.text is None:
            return None
        return next_attempt(found.tries[-1].as_tried(), repair)

    def _try(self, attempts: Sequence[Attempt | None]) -> None:
        """Read the evidence of each attempt, and let it be answered."""
        started = time.perf_counter()
        pieces = [
            [] if one is None else row.evidence_piece(self._special, _numbers(row.found, one))
            for row, one in zip(self._rows, attempts, strict=True)
        ]
        evidence = [readings[-1] if readings else None for readings in self._session.read(pieces)]
        rows = [row for row, one in zip(self._rows, attempts, strict=True) if one is not None]
        started = self._clock("evidence", started, [row for row in rows if row.found.used])
        recited = self._recite(attempts)
        self._clock("recitation", started, [row for row in rows if row.found.may_recite])
        said = self._say(attempts, recited, rows) if self._settings.answer else self._open(attempts)
        for row, one, reading, before, utterance in zip(self._rows, attempts, evidence, recited, said, strict=True):
            if one is not None and utterance is not None:
                row.found.tries.append(_judged(one, utterance, reading, before))

    def _say(
        self, attempts: Sequence[Attempt | None], recited: Sequence[Utterance | None], rows: Sequence[_Row]
    ) -> list[Utterance | None]:
        """Return the answer of each attempt."""
        started = time.perf_counter()
        constraints = [
            None if one is None else self._constraint(one, before)
            for one, before in zip(attempts, recited, strict=True)
        ]
        started = self._clock("constraint", started, rows)
        room = [min(MOST_TOKENS, left) for left in self._left(0)]
        said = say(self._session, self._bundle.tokenizer, constraints, room, self._settings.weighed)
        self._clock("answer", started, rows)
        return said

    def _open(self, attempts: Sequence[Attempt | None]) -> list[Utterance | None]:
        """Return no answers, but what the heads say where they would begin."""
        every = self._session.read([[] if one is None else [self._special[ANSWER]] for one in attempts])
        return [Utterance(opening=readings[-1] if readings else None) for readings in every]

    def _recite(self, attempts: Sequence[Attempt | None]) -> list[Utterance | None]:
        """Return what is recited before first tries without evidence, and read it."""
        tokenizer, left = self._bundle.tokenizer, self._left(2 + LEAST_ROOM)
        may = [
            one is not None and one.repair is None and row.found.may_recite and room > 0
            for row, one, room in zip(self._rows, attempts, left, strict=True)
        ]
        if not any(may):
            return [None] * len(may)
        wanted = who_recites(self._session, tokenizer, may, self._settings.weighed)
        return recite(self._session, tokenizer, wanted, left)

    def _left(self, kept: int) -> list[int]:
        """Return how many tokens each row may still have, after `<|a|>` and so many more."""
        return [self._bundle.shape.context - length - 1 - kept for length in self._session.place.lengths]

    def _constraint(self, attempt: Attempt, recited: Utterance | None) -> Constraint:
        if not self._settings.constrain:
            return Free(self._bundle.tokenizer, self._bundle.shape.vocabulary)
        made = constraints_of(self._bundle.tokenizer)
        return made.start(attempt.types, evidence=_quotable(attempt, recited), banned=attempt.banned)

    def _clock(self, stage: str, started: float, rows: Sequence[_Row]) -> float:
        """Give each of some rows its share of the time since `started`, and return the time."""
        now = time.perf_counter()
        for row in rows:
            spent = row.found.milliseconds
            spent[stage] = spent.get(stage, 0.0) + 1000 * (now - started) / len(rows)
        return now


def _open_types(reading: Reading, typed: bool) -> tuple[str, ...]:
    """Return the types that an answer may be of, the likeliest first: one at least, and all where none is predicted."""
    said = reading.coarse
    if not typed or not said:
        return ANSWER_TYPES
    ranked = sorted(said, key=lambda name: -said[name])
    return tuple(name for i, name in enumerate(ranked) if i == 0 or said[name] >= OPEN_FROM)


def _first_attempt(found: Found) -> Attempt:
    return Attempt(found.types, found.passages or None)


def _quotable(attempt: Attempt, recited: Utterance | None) -> tuple[str, ...] | None:
    return (recited.text,) if recited is not None and recited.text else attempt.evidence


def _numbers(found: Found, attempt: Attempt) -> list[int]:
    """Return the numbers of an attempt's passages: those of the question, or the last of them."""
    return list(found.used[len(found.used) - len(attempt.evidence or ()) :])


def _judged(attempt: Attempt, utterance: Utterance, reading: Reading | None, recited: Utterance | None) -> Try:
    text, type_, problem, quotable = utterance.text, None, None, _quotable(attempt, recited)
    if not utterance.finished:
        problem = "it did not come to an end"
    elif text is not None:
        type_ = type_of(text, attempt.types, quotable)
        problem = None if type_ else problem_of(text, attempt.types[0], quotable)
        if text in attempt.banned:
            problem = "it was said before"
    return Try(attempt, utterance, type_, problem, reading, recited)
