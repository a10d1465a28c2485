"""What a run's answers are worth: a file of questions answered by the whole pipeline, judged, fitted and certified.

Answers without evidence and with it are two uses, each fitted and certified by itself. A question that the model, or
the router, will not answer is no answer: it is counted, and neither fits nor certifies. An answer to what cannot be
answered is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from gnomon.answer.ask import Asked, Found, Settings, Try, answer_each
from gnomon.answer.repair import MOST_REPAIRS, Reply, Tally, tally
from gnomon.answer.result import Terms, result_of
from gnomon.answer.signals import signals
from gnomon.answer.split import PARTS, plain, split, together
from gnomon.answer.trust import CLOSED, SHOWN, Trust, Use, save_trust, trust_path, weights_digest
from gnomon.base.errors import DataError
from gnomon.base.files import covers, read_json, sha256_file, write_atomic
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.data.questions.match import is_accepted
from gnomon.data.questions.question import Question, read_questions
from gnomon.evaluate.refusal import refusal
from gnomon.evaluate.selective.assess import Assessment, assess
from gnomon.evaluate.selective.confident import Choice
from gnomon.evaluate.selective.predictions import Prediction, of_lines
from gnomon.observe.selective import selective_html
from gnomon.store.runs import Run

Evidence = Literal["shown", "none"]
USES = {CLOSED: "without evidence", SHOWN: "with evidence"}


@dataclass(frozen=True)
class Answered:
    """A question, what was found of it, and the unit it belongs to: questions of one unit are parted together."""

    question: Question
    found: Found
    unit: str

    @property
    def use(self) -> str:
        """Which of the two uses it is of."""
        return SHOWN if self.found.used else CLOSED

    @property
    def answerable(self) -> bool:
        """Whether there is a right answer to it."""
        return self.question.answerable is not False and self.question.well_posed is not False

    def is_right(self, text: str | None) -> bool:
        """Return whether this is a right answer."""
        return self.answerable and is_accepted(text, self.question.answers)

    def standing(self, repairs: int, well_posed: bool = True, final: bool = False) -> Try | None:
        """Return the try that would be given as an answer, if it were sure enough; None for none. With `well_posed`,
        none to a question that the router takes for ill posed; with `final`, none where the model would abstain.
        """
        return None if well_posed and self.found.ill_posed else self.found.standing(repairs, final)


def judged_questions(path: Path, evidence: Evidence) -> list[Question]:
    """Return the questions of a file whose right answers are known, or that have none; where no evidence is to be
    shown, those of which that is known without it, equal ones once. Raises DataError where there is none.
    """
    every = [q for q in read_questions(path) if q.answers or q.answerable is False or q.well_posed is False]
    if evidence == "none":
        every = list({plain(q.question): replace(q, evidence=()) for q in every if known_without(q)}.values())
    if not every:
        do = 'give "answers", or "answerable": false, to the questions'
        raise DataError("of no question in this file it is known what is right", where=str(path), do=do)
    return every


def known_without(question: Question) -> bool:
    """Return whether what is known to be right also is so where no evidence is shown: that passages do not hold an
    answer says nothing of the question by itself.
    """
    return not (question.evidence and question.answerable is False and question.well_posed is not False)


def refuse_taught(run: Run, path: Path) -> None:
    """Raise DataError where a run, or its heads, learned from a file: what it then promised would hold for no other."""
    config: Any = read_json(run.config_path) if run.config_path.exists() else {}
    data, heads = config.get("data", {}), config.get("heads", {})
    named = [*data.get("train", []), *(name for source in data.get("sources", []) for name in source.get("paths", []))]
    named += heads.get("measured", {}).get("questions", [])
    if taught := [name for name in named if covers(name, path)]:
        what = f"the run has learned from these questions, as from all of {taught[0]}"
        raise DataError(what, where=str(path), do="ask others, or a certificate would promise too much")


def answer_questions(
    bundle: Bundle, questions: Sequence[Question], settings: Settings, progress: Progress
) -> list[Answered]:
    """Return what is found of questions, but for those that do not fit into the context."""
    units = together([q.id for q in questions], [q.question for q in questions])
    found = answer_each(bundle, [Asked(q.question, q.evidence) for q in questions], settings, progress)
    every = zip(questions, found, units, strict=True)
    return [Answered(q, one, unit) for q, one, unit in every if one.unread is None]


@dataclass(frozen=True)
class Calibrated:
    """What came of it: figures as scripts read them, the assessment of each use that could be fitted, and all that was
    answered, with the settings it was answered by.
    """

    found: dict[str, Any]
    assessments: dict[str, Assessment]
    trust: Trust
    answered: list[Answered]


def calibrate_run(
    bundle: Bundle,
    path: Path,
    choice: Choice,
    progress: Progress,
    *,
    constrain: bool = True,
    evidence: Evidence = "shown",
) -> Calibrated:
    """Return a run's calibration from the questions of a file. Nothing is written.

    Raises DataError for a file of which nothing can be learned, and where neither use has enough answers.
    """
    refuse_taught(bundle.run, path)
    questions = judged_questions(path, evidence)
    settings = Settings(constrain, MOST_REPAIRS, stop_early=False, weighed=True)
    answered = answer_questions(bundle, questions, settings, progress)
    part = split([one.unit for one in answered], seed=choice.seed)
    free = [one for one, place in zip(answered, part, strict=True) if place != PARTS.index("certify")]
    counted = tally(_tries(free))  # what certifies may not choose the way of answering
    settings = replace(settings, repairs=MOST_REPAIRS if counted.worth_it else 0, stop_early=True)
    assessments, skipped = dict[str, Assessment](), dict[str, str]()
    for use, some in _by_use(answered).items():
        lines = [line for one in some if (line := prediction(one, settings.repairs))]
        try:
            if not lines:
                raise DataError("no question was answered", where=str(path), do="train on, or ask other questions")
            assessments[use] = assess(of_lines(lines), choice, where=str(path))
        except DataError as e:
            skipped[use] = e.what
            if len(skipped) == len(_by_use(answered)):
                raise
    if not assessments:
        what = "no question fits into the context of the model"
        raise DataError(what, where=str(path), do="ask shorter ones, or with fewer passages")
    measured = {
        "file": path.name,
        "sha256": sha256_file(path),
        "questions": len(questions),
        "too_long": len(questions) - len(answered),
        "repairs": _repairs(counted),
        "types": _types(answered, settings.repairs),
        "not_fitted": skipped,
    }
    uses = {use: _use(one) for use, one in assessments.items()}
    trust = Trust(weights_digest(bundle), settings, measured, uses)
    terms = Terms(settings, trust, trust.weights, choice.risk, choice.trust)
    every = {use: _figures(some, assessments.get(use), terms, choice.seed) for use, some in _by_use(answered).items()}
    return Calibrated({**measured, "uses": every}, assessments, trust, answered)


def keep(bundle: Bundle, made: Calibrated) -> list[Path]:
    """Write a calibration beside its run, with the predictions it was made from and a page for each use; return where.

    The calibration comes last: once it is there, all is.
    """
    kept = trust_path(bundle.run)
    written = list[Path]()
    for use, one in made.assessments.items():
        page = selective_html(f"What {bundle.name} knows that it knows, {USES[use]}", one.found)
        lines = b"".join(_lines(made, use))
        for suffix, data in (("jsonl", lines), ("html", page.encode())):
            written.append(kept.with_name(f"answers-{use}.{suffix}"))
            write_atomic(written[-1], data)
    for use in USES.keys() - made.assessments.keys():  # of an earlier calibration, which this one replaces
        for suffix in ("jsonl", "html"):
            kept.with_name(f"answers-{use}.{suffix}").unlink(missing_ok=True)
    save_trust(made.trust, kept)
    return [*written, kept]


def prediction(one: Answered, repairs: int) -> Prediction | None:
    """Return the prediction that an answer is, None where there is none. Its id is its unit's, so that it is parted as
    that is, whatever others are answered.
    """
    standing = one.standing(repairs)
    if standing is None:
        return None
    right = float(one.is_right(standing.utterance.text))
    known, said = one.question.type, standing.type if one.question.type else None
    return Prediction(one.unit, signals(one.found, standing), right, one.answerable, type=known, predicted=said)


def _by_use(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    found = {use: [one for one in answered if one.use == use] for use in USES}
    return {use: some for use, some in found.items() if some}


def _tries(answered: Sequence[Answered]) -> Iterator[Any]:
    """Yield what `tally` counts: the questions that were tried, each with its tries and what stands in the end. A first
    answer that would not be given without repairs either is none.
    """
    for one in answered:
        if one.found.tries and not one.found.ill_posed:
            first, last = (_reply(one.found.standing(repairs)) for repairs in (0, MOST_REPAIRS))
            tries = [each.as_tried() for each in one.found.tries]
            yield [replace(tries[0], reply=first), *tries[1:]], last, one.is_right


def _reply(standing: Try | None) -> Reply:
    return Reply(None) if standing is None else Reply(standing.utterance.text, standing.type)


def _repairs(counted: Tally) -> dict[str, Any]:
    rates = {"fix_rate": counted.fix_rate, "harm_rate": counted.harm_rate, "worth_it": counted.worth_it}
    return {**asdict(counted), **rates}


def _types(answered: Sequence[Answered], repairs: int) -> dict[str, Any]:
    """Return how often the likeliest type is the true one, and the type of an answer, where the true one is known."""
    known = [one for one in answered if one.question.type and one.found.question and one.found.question.coarse]
    likeliest = [one.found.types[0] == one.question.type for one in known]
    standing = [(one.standing(repairs), one.question.type) for one in known]
    said = [one.type == type_ for one, type_ in standing if one is not None]
    return {
        "questions": len(known),
        "predicted": float(np.mean(likeliest)) if likeliest else None,
        "open": float(np.mean([one.question.type in one.found.types for one in known])) if known else None,
        "answers": len(said),
        "answered": float(np.mean(said)) if said else None,
    }


def _use(one: Assessment) -> Use:
    assert one.calibration is not None
    return Use(one.calibration, one.made.order, one.made.confidence, one.wrong)


def _figures(some: Sequence[Answered], assessment: Assessment | None, terms: Terms, seed: int) -> dict[str, Any]:
    """Return what becomes of the questions of a use: of all, and of those in the part that certifies, of the answers
    given under the certified threshold.
    """
    repairs = terms.settings.repairs
    standing = [one.standing(repairs) for one in some]
    right = sum(one.is_right(s.utterance.text) for one, s in zip(some, standing, strict=True) if s is not None)
    part = split([one.unit for one in some], seed=seed)
    certifying = [one for one, place in zip(some, part, strict=True) if place == PARTS.index("certify")]
    decided = [(one, result_of(one.found, terms)) for one in certifying]
    given = [one.is_right(said["answer"]) for one, said in decided if said["answer"] is not None]
    refused = [said["answer"] is None for one, said in decided if not one.answerable]
    sure = [said["confidence"] for _, said in decided]
    meant = [one.standing(repairs, well_posed=False) for one in certifying]
    right_if_meant = [one.is_right(s.utterance.text if s else None) for one, s in zip(certifying, meant, strict=True)]
    found: dict[str, Any] = {
        "questions": len(some),
        "answerable": sum(one.answerable for one in some),
        "ill_posed": sum(one.found.ill_posed for one in some),
        "abstained": sum(s is None for s in standing) - sum(one.found.ill_posed for one in some),
        "declined": sum(s is not None and s.utterance.declined for s in standing),
        "answers": sum(s is not None for s in standing),
        "right": right,
        "certifying": {
            "refusal": {
                "all": _refusal(sure, right_if_meant, certifying),
                "well_posed": _refusal(sure, right_if_meant, certifying, ill_posed=False),
                "ill_posed": _refusal(sure, right_if_meant, certifying, ill_posed=True),
            },
            "questions": len(certifying),
            "answerable": sum(one.answerable for one in certifying),
            "decisions": dict(sorted(Counter(said["decision"] for _, said in decided).items())),
            "given": len(given),
            "right": sum(given),
            "coverage": len(given) / len(certifying) if certifying else 0.0,
            "unanswerable_refused": float(np.mean(refused)) if refused else None,
        },
    }
    if assessment is not None:
        found |= {"scores": assessment.found["scores"]["confidence"], "certificate": assessment.found["certificate"]}
        found |= {"says": assessment.found["says"], "signals": assessment.found["signals"]}
    return found


def _refusal(
    sure: Sequence[float | None], right: Sequence[bool], asked: Sequence[Answered], ill_posed: bool | None = None
) -> dict[str, Any]:
    """Return how right answers are told from questions that have none; of these, those alone that are ill posed, or
    that are not.
    """
    kept = [i for i, one in enumerate(asked) if one.answerable or ill_posed in (None, one.question.well_posed is False)]
    return refusal([sure[i] for i in kept], [right[i] for i in kept], [asked[i].answerable for i in kept])


def _lines(made: Calibrated, use: str) -> Iterator[bytes]:
    """Yield the predictions of a use as lines of a file that `gnomon calibrate` reads."""
    for one in made.answered:
        standing = one.standing(made.trust.settings.repairs)
        if standing is not None and one.use == use:
            line = {
                "id": one.unit,
                "question": one.question.question,
                "answer": standing.utterance.text,
                "correct": one.is_right(standing.utterance.text),
                "answerable": one.answerable,
                "type": one.question.type,
                "predicted": standing.type,
                "signals": signals(one.found, standing),
            }
            yield orjson.dumps(line) + b"\n"
