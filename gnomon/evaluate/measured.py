"""What a model knows, measured on itself: it answers questions without evidence and with some, and is compared.

The same model, step and seed give the same measurement, bit for bit, in one process or several: questions are answered
in fixed groups, and each process takes some of the groups.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.data.measured.asked import Asking
from gnomon.data.measured.buffer import Rendered, render
from gnomon.data.questions.match import is_accepted, plain_answer
from gnomon.evaluate.questions import name_at, scores_of
from gnomon.model.answers import answer_each
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import read_each
from gnomon.store.labels import ROUTER
from gnomon.store.measured import Answered, Said
from gnomon.taxonomy import ROUTER_SIGNALS, SIGNAL_KINDS
from gnomon.tokenizer.tokenizer import Tokenizer

TOGETHER = 64
"""Questions answered in one batch, with others about as long."""
TEMPERATURE = 0.7
TOLD = ("known", "opening_known", "retrieve", "correct", "sufficient", "opening_sufficient")
"""The signals of which a forecast is kept, some also as they are said where the answer begins (`opening_`)."""

Pair = tuple[str, float, float]
"""A signal, its probability by the heads, and what was then measured."""


@dataclass(frozen=True)
class Examiner:
    """What a measurement needs beside the model; `kinds` are the marks by id."""

    asking: Asking
    tokenizer: Tokenizer
    kinds: Mapping[int, int]
    samples: int
    seed: int


def chosen(asking: Asking, at_once: int, measurements: int, seed: int) -> list[int]:
    """Return the questions of the next measurement, after so many: one after the other in a seeded order of all, and
    from the beginning again.
    """
    count = len(asking.questions)
    order = permutation(count, derive(seed, "measured"))
    return order[(measurements * at_once + np.arange(min(at_once, count))) % count].tolist()


def measure(
    model: LanguageModel, examiner: Examiner, wanted: Sequence[int], step: int, rank: int = 0, size: int = 1
) -> tuple[list[Answered], list[Pair]]:
    """Return what this process of `size` measures of the wanted questions, and what the heads said before."""
    questions = examiner.asking.questions
    in_order = sorted(wanted, key=lambda number: (len(questions[number].prompts[0]), number))
    groups = [in_order[at : at + TOGETHER] for at in range(0, len(in_order), TOGETHER)]
    answered, pairs = list[Answered](), list[Pair]()
    for group in groups[rank::size]:
        found = _answer(model, examiner, group, derive(examiner.seed, "measured", step))
        answered += found
        pairs += _forecast(model, examiner, found)
    return answered, pairs


def _answer(model: LanguageModel, examiner: Examiner, group: Sequence[int], seed: int) -> list[Answered]:
    asking = examiner.asking
    stops = (asking.answer_end, asking.end_of_text)

    def answers(evidence: int, numbers: Sequence[int], samples: int) -> dict[int, list[list[int] | None]]:
        prompts = {n: p for n in numbers if (p := asking.questions[n].prompts[evidence]) is not None}
        in_order = sorted(prompts, key=lambda n: (len(prompts[n]), n))
        options: dict[str, Any] = {"samples": samples, "temperature": TEMPERATURE, "seed": seed}
        if asking.recites and not evidence:
            options["drawn_behind"] = asking.answer  # it recites what is likeliest, as when it is asked
        given = [prompts[n] for n in in_order]
        most = asking.most_after(evidence)
        said = answer_each(model, given, stops, most, numbers=in_order, **options) if given else []
        return dict(zip(in_order, said, strict=True))

    closed, enough, short = (answers(evidence, group, 0 if evidence else examiner.samples) for evidence in range(3))
    return [
        judged(examiner, n, closed[n], enough[n][0] if n in enough else (), short[n][0] if n in short else ())
        for n in group
    ]


def judged(
    examiner: Examiner,
    number: int,
    closed: Sequence[list[int] | None],
    enough: Sequence[int] | None = (),
    short: Sequence[int] | None = (),
) -> Answered:
    """Return what answers to a question show: without evidence, the likeliest and drawn ones; with evidence that is
    enough, and that is not, where () says that there was none. An answer is None where it was not finished.

    Evidence helps where all answers without are wrong and the one with it is right; it does not where the likeliest is
    right without it, or wrong with it, or nothing can be right. Otherwise it is undecided.
    """
    accepted = examiner.asking.questions[number].answers
    rights = [_right(examiner, ids, accepted, 0) for ids in closed]
    retrieve: bool | None = None
    if rights[0] or not accepted:
        retrieve = False
    elif enough != ():
        helps = _right(examiner, enough, accepted, 1)
        retrieve = False if not helps else None if any(rights) else True
    said = [_said(examiner, 0, closed[0], accepted)]
    first = _plain(examiner, closed[0])
    for ids in closed[1:]:
        if ids is not None and _plain(examiner, ids) != first:
            said.append(_said(examiner, 0, ids, accepted))
            break
    said += [_said(examiner, 1, enough, accepted)] if enough != () else []
    said += [_said(examiner, 2, short, accepted)] if short != () else []
    return Answered(number, sum(rights) / len(rights), retrieve, tuple(said))


def _plain(examiner: Examiner, ids: Sequence[int] | None) -> str | None:
    """Return the answer in what was said without evidence, as answers are compared."""
    answer = None if ids is None else examiner.asking.answer_in(ids, 0)
    return None if answer is None else plain_answer(examiner.tokenizer.decode(answer, specials=True))


def _right(examiner: Examiner, ids: Sequence[int] | None, accepted: tuple[str, ...], evidence: int) -> bool:
    answer = None if ids is None else examiner.asking.answer_in(ids, evidence)
    return answer is not None and is_accepted(examiner.tokenizer.decode(answer, specials=True), accepted)


def _said(examiner: Examiner, evidence: int, ids: Sequence[int] | None, accepted: tuple[str, ...]) -> Said:
    if ids is None:
        return Said(evidence, None, None)
    refuses = examiner.asking.abstain in ids  # nothing was said that could be right
    return Said(evidence, tuple(ids), None if refuses else _right(examiner, ids, accepted, evidence))


def _forecast(model: LanguageModel, examiner: Examiner, answered: Sequence[Answered]) -> list[Pair]:
    """Return what the heads say at the marks of what was said, beside what was measured there."""
    documents = [found for one in answered for found in render(examiner.asking, one) if found.places]
    documents.sort(key=lambda one: len(one.ids))
    return [
        pair
        for at in range(0, len(documents), TOGETHER)
        for pair in _read(model, documents[at : at + TOGETHER], examiner.kinds)
    ]


def _read(model: LanguageModel, documents: Sequence[Rendered], kinds: Mapping[int, int]) -> Iterator[Pair]:
    every = read_each(model, [one.ids for one in documents], kinds)
    for one, readings in zip(documents, every, strict=True):
        at = {reading.place: reading.router for reading in readings}
        for place, kind, known in zip(one.places, one.kinds, one.known, strict=True):
            if kind not in kinds.values():
                continue  # a run of before heads were read there
            for signal, name in enumerate(ROUTER_SIGNALS):
                value = float(known[ROUTER.start + signal])
                if kind in SIGNAL_KINDS[signal] and not np.isnan(value):
                    yield name_at(name, kind), at[place][name], value


def forecast_of(pairs: Sequence[Pair]) -> dict[str, dict[str, float | None]]:
    """Return the scores of each signal, of what the heads said before it was measured."""
    by_name = {name: [(p, y) for said, p, y in pairs if said == name] for name in TOLD}
    return {name: scores_of(np.array(some)) for name, some in by_name.items() if some}
