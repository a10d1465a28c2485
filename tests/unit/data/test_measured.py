"""What was measured becomes rows in which every document is whole, bears no loss and is labelled where it is read."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import IntegrityError
from gnomon.config import make_config
from gnomon.data.measured.asked import Asked, Asking, ask, read_records
from gnomon.data.measured.buffer import CORRECT, KNOWN, RETRIEVE, SUFFICIENT, Buffer, newest, render
from gnomon.data.measured.every import measuring
from gnomon.data.streaming.rows import IGNORE
from gnomon.evaluate.measured import Examiner, chosen, judged
from gnomon.events.journal import Decisions
from gnomon.store.labels import WIDTH
from gnomon.store.measured import Answered, MeasuredStore, Measurement, Said
from gnomon.taxonomy import MARKS, OPENING, ROUTER_SIGNALS
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, small_config

END, Q, Q_END, CTX, CTX_END, A, A_END, ABSTAIN, FACT = range(9)
LENGTH = 24


def asking(sizes: list[tuple[int, int]]) -> Asking:
    """Return questions of so many tokens, with passages of so many: 0 for none."""

    def asked(number: int, size: int, passage: int) -> Asked:
        question, known = [END, Q, *[100 + number] * size, Q_END], np.full(WIDTH, np.nan, np.float32)
        known[[0, 5]] = number % 2, 0.5  # well posed or not
        enough, short = ([*question, CTX, *[50 + kind] * passage, CTX_END, A] if passage else None for kind in (1, 2))
        return Asked((), ([*question, A], enough, short), known)

    return Asking([asked(n, *size) for n, size in enumerate(sizes)], "", 9, END, A, A_END, ABSTAIN)


@st.composite
def measurements(draw: st.DrawFn) -> tuple[Asking, list[Measurement]]:
    sizes = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4)), min_size=1, max_size=6))
    ids = st.none() | st.lists(st.integers(200, 220), max_size=4).map(tuple)
    right = st.none() | st.booleans()

    def answered(number: int) -> Answered:
        kinds = [0, *draw(st.sampled_from([[], [0]])), *([1, 2] if sizes[number][1] else [])]
        said = [Said(kind, draw(ids), draw(right)) for kind in kinds]
        return Answered(number, draw(st.integers(0, 5)) / 5, draw(right), tuple(said))

    numbers = st.lists(st.integers(0, len(sizes) - 1), unique=True, min_size=1)
    rounds = draw(st.lists(numbers, min_size=1, max_size=3))
    return asking(sizes), [Measurement(step, tuple(map(answered, some))) for step, some in enumerate(rounds, 1)]


@settings(max_examples=30, deadline=None)
@given(measurements(), st.integers(1, 7), st.integers(1, 3), st.integers(0, 99))
def test_rows_hold_whole_documents_without_loss_labelled_where_they_are_read(
    made: tuple[Asking, list[Measurement]], most: int, passes: int, row: int
) -> None:
    asked, several = made
    decisions = Decisions([{"at_row": i, "measured": str(i)} for i in range(len(several))])
    buffer = Buffer(asked, _Held(several), most, 1.0, LENGTH, seed=3)
    in_force = several[: row + 1]
    kept = newest(in_force, most)
    slow: dict[int, Answered] = {one.number: one for m in in_force for one in m.answered}
    assert all(slow[one.number] == one for one, _ in kept) and len(kept) == min(most, len(slow))
    wanted = [found for one, _ in kept for found in render(asked, one) if len(found.ids) <= LENGTH]
    rows, counts, _ = buffer.beside(decisions, row, 64, passes)  # more than there are: some come twice
    again, *_ = Buffer(asked, _Held(several), most, 1.0, LENGTH, seed=3).beside(decisions, row, 64, passes)
    assert len(rows) == passes
    pieces, labels, total = set[tuple[int, ...]](), set[tuple[Any, ...]](), dict.fromkeys(ROUTER_SIGNALS, 0)
    for one, twin in zip(rows, again, strict=True):
        if one is None or twin is None:
            assert not wanted or one is twin is None
            continue
        assert one.tokens.equal(twin.tokens) and one.loss_tokens == 0 and (one.labels == IGNORE).all()
        known = {}
        if one.targets is not None:
            t = one.targets
            table = zip(t.places.tolist(), t.kinds.tolist(), t.router.numpy(), t.weight.numpy(), strict=True)
            known = {place: (kind, r, w) for place, kind, r, w in table}
            for i, name in enumerate(ROUTER_SIGNALS):
                total[name] += int((~t.router[:, i].isnan()).sum())
        for at in range(len(one.tokens)):
            tokens, numbers = one.tokens[at].numpy(), one.segments[at].numpy()
            for number in range(numbers.max() + 1):
                here = np.flatnonzero(numbers == number)
                assert one.positions[at, here].tolist() == list(range(len(here)))
                ids = tuple(tokens[here].tolist())
                said = tuple(_plain(place, *known[at * LENGTH + here[0] + place])
                             for place in range(len(ids)) if at * LENGTH + here[0] + place in known)  # fmt: skip
                assert all(ids[place] == (Q_END, CTX_END, A_END, A)[kind] for place, kind, _ in said)
                pieces.add(ids)
                labels.add((ids, said))
    assert {name: counts.get(name, 0) for name in total} == total
    assert pieces <= {tuple(found.ids) for found in wanted}
    if wanted:
        assert pieces == {tuple(found.ids) for found in wanted}, "64 rows are all of them"
        expected = {
            (
                tuple(f.ids),
                tuple(_plain(p, k, n[:5], n[5:10]) for p, k, n in zip(f.places, f.kinds, f.known, strict=True)),
            )
            for f in wanted
        }
        assert labels == expected


def _plain(place: int, kind: int, router: np.ndarray, weight: np.ndarray) -> tuple[Any, ...]:
    said = [(i, round(float(y), 4), float(w)) for i, (y, w) in enumerate(zip(router, weight, strict=True)) if y == y]
    return place, kind, tuple(said)


class _Held(MeasuredStore):
    """Measurements in memory, named by their number."""

    def __init__(self, several: list[Measurement]) -> None:
        super().__init__(Path("nowhere"))
        self._several = several

    def read(self, name: str) -> Measurement:
        return self._several[int(name)]


def test_each_question_counts_once_and_each_answer_where_it_ends() -> None:
    asked = asking([(3, 2)])
    said = (Said(0, (7 + 200,), True), Said(0, (208,), False), Said(1, (209, 210), True), Said(2, None, None))
    first, drawn, enough, short = render(asked, Answered(0, 0.4, None, said))
    question = [END, Q, 100, 100, 100, Q_END]
    assert first.ids == [*question, A, 207, A_END] and drawn.ids == [*question, A, 208, A_END]
    assert enough.ids == [*question, CTX, 51, 51, CTX_END, A, 209, 210, A_END]
    assert short.ids == [*question, CTX, 52, 52, CTX_END], "an answer that was not finished is left out"
    told = [[_plain(p, k, n[:5], n[5:10]) for p, k, n in zip(f.places, f.kinds, f.known, strict=True)]
            for f in (first, drawn, enough, short)]  # fmt: skip
    assert told == [
        [
            (5, 0, ((0, 0.0, 0.5), (KNOWN, 0.4, 1.0))),
            (6, OPENING, ((0, 0.0, 0.5), (KNOWN, 0.4, 1.0))),
            (8, 2, ((CORRECT, 1.0, 1.0),)),
        ],
        [(8, 2, ((CORRECT, 0.0, 1.0),))],
        [(9, 1, ((SUFFICIENT, 1.0, 1.0),)), (10, OPENING, ((SUFFICIENT, 1.0, 1.0),)), (13, 2, ((CORRECT, 1.0, 1.0),))],
        [(9, 1, ((SUFFICIENT, 0.0, 1.0),))],
    ]
    decided = next(iter(render(asked, Answered(0, 0.4, True, said))))
    assert decided.known[0][RETRIEVE] == 1.0
    asked.questions[0] = replace(asked.questions[0], prompts=([*question, FACT], None, None))
    (recited,) = render(replace(asked, recites=True), Answered(0, 0.4, None, (Said(0, (207, A, 208), True),)))
    assert (recited.ids[8:], recited.places) == ([A, 208, A_END], [5, 8, 10]), "where an answer begins, behind that"


@pytest.mark.parametrize(
    ("accepted", "closed", "enough", "known", "retrieve"),
    [
        (("red",), ["red", "red", "blue"], "red", 2 / 3, False),
        (("red",), ["blue", "blue", None], "the Red.", 0, True),
        (("red",), ["blue", "red", "blue"], "red", 1 / 3, None),
        (("red",), ["blue", "red", "blue"], "blue", 1 / 3, False),
        (("red",), ["blue", "blue", "blue"], "blue", 0, False),
        (("red",), ["blue", "blue", "blue"], (), 0, None),
        ((), ["red", "blue", None], (), 0, False),
    ],
)
def test_evidence_helps_where_all_was_wrong_without_it(
    accepted: tuple[str, ...], closed: list[str | None], enough: Any, known: float, retrieve: bool | None
) -> None:
    tokenizer = train_tokenizer(SENTENCES, 448, "qwen2")
    asked = replace(asking([(3, 2)]), abstain=tokenizer.special_id("<|abstain|>"))
    asked.questions[0] = replace(asked.questions[0], answers=accepted)
    examiner = Examiner(asked, tokenizer, {}, 2, 0)
    ids = [None if text is None else tokenizer.encode(text) for text in closed]
    found = judged(examiner, 0, ids, tokenizer.encode(enough) if enough else (), [asked.abstain])
    assert (found.known, found.retrieve) == (pytest.approx(known), retrieve)
    assert [s.right for s in found.said if s.evidence == 0] == [
        ids is not None and text in accepted
        for text, ids in list(dict(zip(closed, ids, strict=True)).items())[: len(set(closed) - {None})]
    ][:2]
    assert found.said[-1] == Said(2, (asked.abstain,), None), "of an abstention nobody can say that it is right"


def test_what_is_recited_is_no_part_of_the_answer() -> None:
    tokenizer = train_tokenizer(SENTENCES, 448, "qwen2")
    marks = {name: tokenizer.special_id(mark) for name, mark in [("answer", "<|a|>"), ("abstain", "<|abstain|>")]}
    asked = replace(asking([(3, 2)]), recites=True, **marks)
    asked.questions[0] = replace(asked.questions[0], answers=("red",))
    red, blue, recited = (tokenizer.encode(text) for text in ("red", "blue", "The lamp is red."))
    end, opening = tokenizer.special_id("<|/fact|>"), marks["answer"]
    closed = [[*recited, end, opening, *red], [*recited, end, opening, *blue], red, None]
    found = judged(Examiner(asked, tokenizer, {}, 3, 0), 0, closed, red, [asked.abstain])
    assert found.known == 0.25, "and who never comes to an answer gives none"
    assert [(s.evidence, s.right) for s in found.said] == [(0, True), (0, False), (1, True), (2, None)]
    assert found.said[0].ids == tuple(closed[0] or ()), "heads learn behind all that was said"


def test_every_question_comes_once_before_any_comes_again() -> None:
    asked = asking([(1, 0)] * 10)
    found = [number for k in range(5) for number in chosen(asked, 4, k, seed=1)]
    assert sorted(found) == sorted([*range(10)] * 2) and sorted(found[:10]) == [*range(10)]
    assert chosen(asked, 99, 3, seed=1) != sorted(chosen(asked, 99, 3, seed=1)) and len(chosen(asked, 99, 3, 1)) == 10


def test_files_say_what_is_enough_and_what_nobody_knows_is_left_out(tmp_path: Path) -> None:
    path, passages = tmp_path / "asked.jsonl", ["Lamp 1 is red.", "Lamp 2 is blue."]
    told = [{"text": text, "sufficient": i == 0} for i, text in enumerate(passages)]
    records = [
        {"question": "Of a world?", "answers": ["red"], "answerable": True, "evidence": told},
        {"question": "Never stated?", "answers": [], "answerable": False, "evidence": told[1:]},
        {"question": "As SQuAD has it?", "answers": ["red"], "context": passages[0]},
        {"question": "Not in this text?", "answers": [], "answerable": False, "context": passages[1]},
        {"question": "Nothing is known?"},
        {"question": "When was she born?", "well_posed": False},
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    found = read_records([str(path)])
    assert [(r.answers, r.enough, r.short) for r in found] == [
        (("red",), (passages[0],), (passages[1],)),
        ((), (), (passages[1],)),
        (("red",), (passages[0],), ()),
        ((), (), ()),
    ]
    tokenizer = train_tokenizer(SENTENCES, 448, "qwen2")
    asked = ask(found, tokenizer, 256)
    prompt, enough, short = asked.questions[0].prompts
    marks = [tokenizer.special_id(mark) for mark in (*MARKS[:2], "<|a|>")]
    assert enough is not None and short is not None and enough[-2:] == marks[1:] and prompt[-2:] == [marks[0], marks[2]]
    assert tokenizer.decode(enough, specials=True) == (
        "<|endoftext|><|q|> Of a world?<|/q|><|ctx|><|doc|> Lamp 1 is red.<|/doc|><|/ctx|><|a|>"
    )
    labels = asked.questions[1].labels
    assert (labels[KNOWN], labels[RETRIEVE]) == (0, 0) and math.isnan(labels[SUFFICIENT])
    assert ask(found, tokenizer, 32).questions[0].prompts[1:] == (None, None), "with evidence it does not fit"
    recites = ask(found, tokenizer, 256, recites=True)
    assert recites.digest == asked.digest and recites.questions[0].prompts[1:] == (enough, short)
    assert recites.questions[0].prompts[0] == [*prompt[:-1], tokenizer.special_id("<|fact|>")]


def test_a_file_is_what_was_written_or_refused(tmp_path: Path) -> None:
    store = MeasuredStore(tmp_path / "measured")
    said = (Said(0, (1, 2), True), Said(1, None, None), Said(2, (), False))
    one = Measurement(7, (Answered(3, 0.2, None, said), Answered(4, 1 / 3, True, said[:1])))
    name = store.add(one)
    assert store.read(name) == one and store.add(one) == name
    path = store.folder / name
    data = path.read_bytes()
    for broken in (data[:-1], data.replace(b"0.2", b"0.3"), None):
        path.unlink() if broken is None else path.write_bytes(broken)
        with pytest.raises(IntegrityError, match=r"cannot be read|does not hold what was written"):
            store.read(name)
    with pytest.raises(IntegrityError, match="another name"):
        store.read("../journal.jsonl")


def test_a_run_measures_twenty_times_or_as_often_as_little_of_its_time_allows(tmp_path: Path) -> None:
    def every(steps: int, **options: Any) -> int:
        written = json.loads(small_config(tmp_path).read_text())
        measured = {"questions": ["q.jsonl"], **options}
        return measuring(make_config({**written, "heads": {"router": True, "measured": measured}}), steps, 8192)[0]

    assert every(10_000) == 500 and every(100) == 34 and every(100, at_once=16) == 8 and every(100, every=7) == 7
