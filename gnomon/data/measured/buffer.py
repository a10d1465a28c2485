"""The newest measurements of a run, as rows that heads learn from; which, is a function of the journal alone."""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.data.measured.asked import Asked, Asking
from gnomon.data.streaming.pack import Layout, pack
from gnomon.data.streaming.rows import IGNORE, Rows, make_rows
from gnomon.data.streaming.targets import READ, Found
from gnomon.events.journal import Decisions
from gnomon.store.labels import ROUTER, WEIGHT, WIDTH
from gnomon.store.measured import Answered, MeasuredStore, Measurement
from gnomon.taxonomy import OPENING, ROUTER_SIGNALS

KNOWN, RETRIEVE, SUFFICIENT, CORRECT = (ROUTER_SIGNALS.index(n) for n in ("known", "retrieve", "sufficient", "correct"))


@dataclass(frozen=True)
class Rendered:
    """A document of a question and an answer: its tokens, and the marks in it at which something is known, as `Found`
    has them.
    """

    ids: list[int]
    places: list[int]
    kinds: list[int]
    known: list[np.ndarray]


def render(asking: Asking, one: Answered) -> Iterator[Rendered]:
    """Yield the documents of a question that was answered, the first without evidence.

    What is known of the question counts once, in the first, for it is the same place in all of them, and there once
    more where the answer begins; so does what is known of evidence. An answer that was not finished is left out, with
    its mark.
    """
    asked = asking.questions[one.number]
    openings: dict[int, np.ndarray] = {}  # by evidence: what is still to be said where an answer begins
    seen: set[int] = set()
    for said in one.said:
        prompt = asked.prompts[said.evidence]
        assert prompt is not None
        found = Rendered([*prompt[:-1]], [], [], [])
        if not seen:
            openings[said.evidence] = _of_question(asked, one)
            _mark(found, asked.question_end, 0, openings[said.evidence])
        if said.evidence and said.evidence not in seen:
            openings[said.evidence] = _signal(SUFFICIENT, said.evidence == 1)
            _mark(found, len(prompt) - 2, 1, openings[said.evidence])
        seen.add(said.evidence)
        if said.ids is not None:
            found.ids.extend([prompt[-1], *said.ids, asking.answer_end])
            if said.evidence in openings and asking.answer in found.ids:
                _mark(found, found.ids.index(asking.answer), OPENING, openings.pop(said.evidence))
            if said.right is not None:
                _mark(found, len(found.ids) - 1, 2, _signal(CORRECT, said.right))
        yield found


def _of_question(asked: Asked, one: Answered) -> np.ndarray:
    row = asked.labels.copy()
    row[[ROUTER.start + KNOWN, WEIGHT.start + KNOWN]] = one.known, 1.0
    row[[ROUTER.start + RETRIEVE, WEIGHT.start + RETRIEVE]] = np.nan
    if one.retrieve is not None:
        row[[ROUTER.start + RETRIEVE, WEIGHT.start + RETRIEVE]] = one.retrieve, 1.0
    return row


def _signal(signal: int, value: bool) -> np.ndarray:
    row = np.full(WIDTH, np.nan, np.float32)
    row[[ROUTER.start + signal, WEIGHT.start + signal]] = value, 1.0
    return row


def _mark(found: Rendered, place: int, kind: int, known: np.ndarray) -> None:
    found.places.append(place)
    found.kinds.append(kind)
    found.known.append(np.where(READ[kind], known, np.float32(np.nan)))


def newest(measurements: Sequence[Measurement], most: int) -> list[tuple[Answered, int]]:
    """Return the newest answers to each question, with the step of each, the longest ago first, at most so many."""
    kept: dict[int, tuple[Answered, int]] = {}
    for measurement in measurements:
        for one in measurement.answered:
            kept.pop(one.number, None)
            kept[one.number] = (one, measurement.step)
    return list(kept.values())[-most:]


@dataclass(frozen=True)
class Packed:
    """Documents in rows of a length."""

    documents: list[Rendered]
    layout: Layout
    length: int

    def rows(self, wanted: Sequence[int], padding: int) -> tuple[Rows, Found]:
        """Return some of the rows, none of whose tokens bears loss, and what is known in them."""
        inputs = np.full((len(wanted), self.length), padding, np.int64)
        sizes: list[list[int]] = []
        piece, token, kind, known, starts, count = list[int](), list[int](), list[int](), list[np.ndarray](), [], 0
        for at, row in enumerate(wanted):
            sizes.append([])
            for number in self.layout.document[self.layout.first[row] : self.layout.first[row + 1]].tolist():
                one, start = self.documents[number], sum(sizes[-1])
                inputs[at, start : start + len(one.ids)] = one.ids
                sizes[-1].append(len(one.ids))
                starts.append(at * self.length + start)
                piece += [count] * len(one.places)
                token, kind, known, count = token + one.places, kind + one.kinds, known + one.known, count + 1
        table = np.array(known, np.float32).reshape(-1, WIDTH)
        found = Found(np.array(piece, np.int64), np.array(token, np.int64), np.array(kind, np.int64), table)
        rows = make_rows(inputs, np.full_like(inputs, IGNORE), sizes)
        return _with(rows, found, np.array(starts, np.int64)), found


def _with(rows: Rows, found: Found, starts: np.ndarray) -> Rows:
    return Rows(**{**vars(rows), "targets": found.targets(starts)})


def packed(documents: Sequence[Rendered], length: int) -> Packed:
    """Return documents in rows of `length`, none of them cut; what is longer than a row is left out."""
    fitting = [one for one in documents if len(one.ids) <= length]
    return Packed(fitting, pack(np.array([len(one.ids) for one in fitting], np.int64), length, uncut=True), length)


class Buffer:
    """The measurements in force at a row, as rows of heads' questions; for several threads at once.

    `most` questions are kept, and beside a batch of n rows there are n times `share` of theirs, one or more. With
    `alone`, what texts say of what is known, or worth retrieval, counts no more: of the questions in a text only those
    that nobody can answer have such labels, and a router would take that for how things are.
    """

    def __init__(
        self,
        asking: Asking,
        store: MeasuredStore,
        most: int,
        share: float,
        length: int,
        seed: int,
        *,
        alone: bool = True,
    ) -> None:
        self.asking, self.store, self.seed, self._alone = asking, store, seed, alone
        self._most, self._share, self._length = most, share, length
        self._lock = threading.Lock()
        self._read: dict[str, Measurement] = {}
        self._rendered: dict[tuple[int, int], list[Rendered]] = {}  # by question and step
        self._packed: tuple[tuple[str, ...], Packed | None] = ((), None)

    def names(self, decisions: Decisions, row: float = math.inf) -> list[str]:
        """Return the measurements made before the step that begins at a row, the oldest first."""
        return [name for at, name in decisions.stages("measured", ()) if at <= row]

    def content(self, names: Sequence[str]) -> list[tuple[Answered, int]]:
        """Return what is in the buffer after these measurements, with the step of each. Raises IntegrityError."""
        for name in names:
            if name not in self._read:
                self._read[name] = self.store.read(name)
        return newest([self._read[name] for name in names], self._most)

    def beside(
        self, decisions: Decisions, row: int, rows: int, passes: int
    ) -> tuple[list[Rows | None], dict[str, int], tuple[str, ...]]:
        """Return what comes beside each of a batch's passes, of the processes together, the labels in all of it, and
        the signals of which texts' own labels count no more; nothing before the first measurement. The batch begins at
        `row` and has so many rows.
        """
        names = tuple(self.names(decisions, row))
        with self._lock:
            if names != self._packed[0]:
                self._packed = (names, self._pack(names))
            every = self._packed[1]
        if every is None or not every.layout.rows:
            return [None] * passes, {}, ()
        count = max(1, round(rows * self._share))
        order = permutation(every.layout.rows, derive(self.seed, "measured", row))
        drawn = order[np.arange(count) % len(order)].tolist()
        found: list[Rows | None] = []
        counts: dict[str, int] = {}
        for at in range(passes):
            if not (mine := drawn[at::passes]):
                found.append(None)
                continue
            given, known = every.rows(mine, self.asking.end_of_text)
            found.append(given)
            counts = {name: counts.get(name, 0) + n for name, n in known.counts().items()}
        return found, counts, ("known", "retrieve") if self._alone else ()

    def _pack(self, names: Sequence[str]) -> Packed | None:
        known, self._rendered = self._rendered, {}
        for one, step in self.content(names):
            place = (one.number, step)
            self._rendered[place] = known[place] if place in known else list(render(self.asking, one))
        documents = [found for every in self._rendered.values() for found in every]
        return packed(documents, self._length) if documents else None
