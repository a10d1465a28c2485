"""What each part of answering adds to knowing which answers are right: the pipeline without it, on the same questions.

Every way to answer is fitted anew on the same two quarters of the questions and scored on all of the same half. A
question that it does not answer comes behind all that it does, and counts as not answered rightly, whatever it is: so
all ways are scored on the same questions. Differences are of the same draws of questions, whole units of them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnomon.answer.ask import Settings, Try
from gnomon.answer.recitation import signals_of
from gnomon.answer.repair import MOST_REPAIRS
from gnomon.answer.signals import signals
from gnomon.answer.split import PARTS, split
from gnomon.answer.trust import SHOWN
from gnomon.base.errors import DataError
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.data.questions.question import Question
from gnomon.evaluate.answers import Answered, answer_questions, known_without
from gnomon.evaluate.selective.confident import Choice, make_confident
from gnomon.evaluate.selective.predictions import Prediction, of_lines
from gnomon.evaluate.selective.ranking import aurc, coverage_at_risk, excess_aurc
from gnomon.taxonomy import ROUTER_SIGNALS

DRAWS = 500
LEVEL = 0.95
ROUTED = (*ROUTER_SIGNALS, *(f"opening_{name}" for name in ROUTER_SIGNALS))
TYPE_SIGNALS = ("type_valid", "expected_type_log_prob")
SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "aurc": aurc,
    "excess_aurc": excess_aurc,
    "coverage_at_5": lambda confidence, right: coverage_at_risk(confidence, right, 0.05),
}
Scored = tuple[np.ndarray, np.ndarray]
"""The confidence of every question, float64, and whether its answer is right."""


@dataclass(frozen=True)
class Way:
    """One way to answer: with what was found under some settings, and a confidence fused without some signals.

    `together`: one fit for answers with evidence and without, in which both and their product with the router's own
    word are signals. `final`: the model's own abstention is the end. `known`: of which questions it can be said what
    is right in this way; None: of all.
    """

    name: str
    answered: Sequence[Answered]
    repairs: int
    without: Collection[str] = ()
    well_posed: bool = True
    final: bool = False
    together: bool = False
    known: np.ndarray | None = None


def ablate(
    bundle: Bundle, answered: Sequence[Answered], settings: Settings, choice: Choice, progress: Progress
) -> dict[str, Any]:
    """Return, for the whole and for it without each part, the scores on the certifying questions, and how far they are
    from those of the whole on the same questions, with an interval of 95 %; `of` says how many these are.

    `answered` are by `settings`, up to the repairs, and before anything was stopped early.
    """
    questions = [one.question for one in answered]
    plain = replace(settings, repairs=0, stop_early=False)

    def again(what: str, how: Settings, asked: Sequence[Question] = questions) -> list[Answered]:
        def told(stage: str, done: int, total: int | None, unit: str) -> None:
            progress(f"{stage}, {what}", done, total, unit)

        return answer_questions(bundle, asked, how, told)

    now = settings.repairs
    other = 0 if now else MOST_REPAIRS
    whole = Way("all", answered, now)
    ways = [
        Way("router off", answered, now, ROUTED, well_posed=False),
        Way("types off", again("types off", replace(plain, typed=False)), 0, TYPE_SIGNALS),
        Way("repairs on" if other else "repairs off", answered, other),
        Way("log mass off", answered, now, ["log_mass"]),
        Way("echo off", answered, now, ["echo"]),
        Way("abstention off", answered, now, ["abstain"]),
        Way("abstention final", answered, now, final=True),
        Way("one fit for both uses", answered, now, together=True),
    ]
    if settings.constrain:
        ways.insert(2, Way("constraint off", again("constraint off", replace(plain, constrain=False)), 0))
    if any(one.found.may_recite for one in answered):
        ways.insert(2, Way("recitation off", again("recitation off", replace(plain, recite=False)), 0))
    if any(q.evidence for q in questions):
        closed = again("evidence off", plain, [replace(q, evidence=()) for q in questions])
        known = np.array([known_without(q) for q in questions])
        ways.insert(len(ways) - 1, Way("evidence off", closed, 0, known=known))
    return _compared(whole, ways, choice)


def _compared(whole: Way, ways: Sequence[Way], choice: Choice) -> dict[str, Any]:
    units = np.array([one.unit for one in whole.answered])
    at = np.flatnonzero(split(units.tolist(), seed=choice.seed) == PARTS.index("certify"))
    base, rows = _confidence(whole, choice), list[dict[str, Any]]()
    for way in (whole, *ways):
        places = at if way.known is None else at[way.known[at]]
        rows.append({"way": way.name, "of": len(places)})
        if len(places):
            rows[-1] |= _row(base, _confidence(way, choice) if way is not whole else None, places, units, choice.seed)
    return {"questions": len(at), "units": len(set(units[at].tolist())), "draws": DRAWS, "ways": rows}


def _row(base: Scored, other: Scored | None, places: np.ndarray, units: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the scores of a way at some places, and its differences from the whole there; of the whole without."""
    _, unit = np.unique(units[places], return_inverse=True)
    draw, size = np.random.default_rng(seed), int(unit.max()) + 1
    draws = [np.bincount(draw.integers(size, size=size), minlength=size) for _ in range(DRAWS)]
    drawn = [places[np.repeat(np.arange(len(places)), times[unit])] for times in draws]
    confidence, right = base if other is None else other
    scored = {name: score(confidence[places], right[places]) for name, score in SCORES.items()}
    row: dict[str, Any] = {"answers": int((confidence[places] > 0).sum()), "right": int(right[places].sum()), **scored}
    if other is not None:
        row["difference"] = {
            name: [
                scored[name] - score(base[0][places], base[1][places]),
                *_interval(np.array([score(confidence[i], right[i]) - score(base[0][i], base[1][i]) for i in drawn])),
            ]
            for name, score in SCORES.items()
        }
    return row


def _interval(values: np.ndarray) -> list[float]:
    return np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()


def _confidence(way: Way, choice: Choice) -> Scored:
    """Return the confidence of every question of a way, 0 where it is not answered, and whether the answer is right."""
    confidence, right = np.zeros(len(way.answered)), np.zeros(len(way.answered), bool)
    standing = [one.standing(way.repairs, way.well_posed, way.final) for one in way.answered]
    for i, (one, try_) in enumerate(zip(way.answered, standing, strict=True)):
        right[i] = try_ is not None and one.is_right(try_.utterance.text)
    uses = [one.use if not way.together else "" for one in way.answered]
    for use in sorted(set(uses)):
        known = np.ones(len(uses), bool) if way.known is None else way.known
        places = [i for i, one in enumerate(uses) if one == use and standing[i] is not None and known[i]]
        if places:
            confidence[places] = _fused(way, places, standing, right, choice)
    return confidence, right


def _fused(
    way: Way, places: Sequence[int], standing: Sequence[Try | None], right: np.ndarray, choice: Choice
) -> np.ndarray:
    """Return the confidences at some places, fitted on the questions that are to fit; the router's own word, or where
    that is left out the answer's probability, where these are too few.
    """
    lines = []
    recite = any(way.answered[i].found.may_recite for i in places)
    for i in places:
        one, try_ = way.answered[i], standing[i]
        assert try_ is not None
        said = {**(signals_of(None, try_.utterance) if recite else {}), **_signals(way, one, try_)}
        said = {name: value for name, value in said.items() if name not in way.without}
        lines.append(Prediction(one.unit, said, float(right[i]), one.answerable))
    predictions = of_lines(lines)
    try:
        made = make_confident(predictions, choice, None, "")
    except DataError:
        own = predictions.signals.get("correct", np.exp(predictions.signals["mean_log_prob"]))
        return np.maximum(own, np.finfo(float).tiny)
    assert made.calibration is not None
    return np.maximum(made.calibration.confidence(predictions.signals), np.finfo(float).tiny)


def _signals(way: Way, one: Answered, try_: Try) -> dict[str, float]:
    said = signals(one.found, try_)
    if way.together:
        shown = float(one.use == SHOWN)
        said |= {"shown": shown} | {name: said.get(name, 0.5) for name in ("sufficient", "opening_sufficient")}
        said["correct_shown"] = said["correct"] if shown else 0.5
    return said
