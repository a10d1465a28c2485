"""All there is to say of a file of predictions: fitted, scored, certified, and held against a shift.

Questions are parted in three. What is reported comes from the part that certifies, which no fit has seen.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gnomon.answer.binomial import upper_bound
from gnomon.answer.calibration import Calibration
from gnomon.answer.certify import (
    Certificate,
    Order,
    certify,
    enough_questions,
    fewest_answers,
    hopeless,
    resplit,
    shifted,
)
from gnomon.answer.logistic import sigmoid
from gnomon.evaluate.selective.classes import confusion
from gnomon.evaluate.selective.confident import Choice, Confident, confidence_of, make_confident
from gnomon.evaluate.selective.predictions import OWN, Predictions
from gnomon.evaluate.selective.probability import calibration_error, equal_bins
from gnomon.evaluate.selective.ranking import auroc, risk_coverage
from gnomon.evaluate.selective.scores import scores
from gnomon.evaluate.selective.sentences import of_certificate, of_resplits, of_shift

POINTS = 200
"""Of the curve of risk and coverage that a report draws."""


@dataclass(frozen=True)
class Assessment:
    """What was found, as scripts read it; the calibration it was found with, if there is one; the marks of the
    questions that certified; and their confidences, with the order of thresholds, and which of them are wrong.
    """

    found: dict[str, Any]
    calibration: Calibration | None
    certified_on: list[str]
    made: Confident
    wrong: np.ndarray


def assess(
    predictions: Predictions,
    choice: Choice,
    *,
    calibration: Calibration | None = None,
    shift: Predictions | None = None,
    where: str = "",
) -> Assessment:
    """Return the assessment of predictions; `where` names their file in errors.

    With a saved `calibration` nothing is fitted: its questions must be others, a fifth of these places the thresholds,
    and the rest certifies. Raises DataError for too few questions, for questions that have also fitted, and for signals
    that are missing.
    """
    made = make_confident(predictions, choice, calibration, where)
    right, order = predictions.right[made.at], made.order
    certificate = certify(made.confidence, ~right, order, choice.risk, choice.trust)
    units = [predictions.units[i] for i in made.at.tolist()]
    resplits = resplit(made.confidence, ~right, order, choice.risk, choice.trust, units, seed=choice.seed)
    found = {
        "questions": len(predictions),
        "parts": made.parts,
        "units": len(set(units)),
        "scores": _scores(predictions, made.at, made.confidence, choice.seed),
        "signals": _signals(predictions, made),
        "certificate": _certificate(certificate, order.with_more(made.confidence, ~right)),
        "resplits": {**asdict(resplits), "kept": resplits.kept},
        "curve": _curve(made.confidence, right, choice.trust),
        "bins": _bins(made.confidence, predictions.soft[made.at]),
        "histogram": _histogram(made.confidence, right),
        **_classes(predictions, made.at, made.confidence, certificate),
    }
    if shift is not None:
        found["shift"] = _shift(shift, made.calibration, certificate, choice)
    if OWN in predictions.signals and made.calibration is not None:
        found["bins_given"] = _bins(predictions.signals[OWN][made.at], predictions.soft[made.at])
    found["says"] = {
        "certificate": of_certificate(found["certificate"]),
        "resplits": of_resplits(found["resplits"], choice.risk, choice.trust),
        **({"shift": of_shift(found["shift"], choice.risk)} if shift is not None else {}),
    }
    return Assessment(found, made.calibration, sorted({predictions.marks[i] for i in made.at.tolist()}), made, ~right)


def _scores(predictions: Predictions, at: np.ndarray, confidence: np.ndarray, seed: int) -> dict[str, dict[str, Any]]:
    """Return the scores of the confidence, and, beside it, of the one that was given, if any."""
    said = {"confidence": confidence}
    if OWN in predictions.signals and not np.array_equal(given := predictions.signals[OWN][at], confidence):
        said["as given"] = given
    soft, to_answer = predictions.soft[at], predictions.to_answer[at]
    units = np.asarray(predictions.units)[at]
    return {name: scores(one, soft, to_answer, units=units, seed=seed) for name, one in said.items()}


def _signals(predictions: Predictions, made: Confident) -> dict[str, dict[str, Any]]:
    """Return what each signal is worth by itself, on the certifying questions, and how it was calibrated."""
    found = {}
    right, soft = predictions.right[made.at], predictions.soft[made.at]
    for name, values in predictions.signals.items():
        here = values[made.at]
        said: dict[str, Any] = {"auroc": auroc(here, right), "ece": None, "ece_calibrated": None}
        if here.min() >= 0 and here.max() <= 1:
            said["ece"] = calibration_error(here, soft)
        if made.calibration is not None and name in made.calibration.signals:
            one = made.calibration.signals[name]
            alone = sigmoid(one.logits(here))
            weight = made.calibration.weights[name]
            said |= {"ece_calibrated": calibration_error(alone, soft), "weight": weight, **asdict(one)}
        found[name] = said
    return found


def _certificate(certificate: Certificate, seen: Order) -> dict[str, Any]:
    """Return the certificate, or, as all questions `seen` let expect, how many one would need; a threshold that answers
    all becomes null.
    """
    test = certificate.certified
    first = certificate.tests[0]
    shown = test or first
    enough = enough_questions(seen, certificate.risk, certificate.trust) if test is None else None
    return {
        "risk": certificate.risk,
        "confidence": certificate.trust,
        "certified": test is not None,
        "threshold": _finite(shown.threshold),
        "questions": certificate.questions,
        "answered": shown.answered,
        "coverage": shown.answered / certificate.questions,
        "wrong": shown.wrong,
        "bound": certificate.bound,
        "tests": len(certificate.tests),
        "hopeless": test is None and hopeless(seen, certificate.risk, certificate.trust),
        "fewest_questions": fewest_answers(certificate.risk, certificate.trust),
        "enough_questions": enough,
        "more_questions": max(0, enough - certificate.questions) if enough else None,
    }


def _finite(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None


def _curve(confidence: np.ndarray, right: np.ndarray, trust: float) -> dict[str, list[float]]:
    """Return risk and its upper bound, each of a single test, at coverages about equally far apart."""
    _, coverage, risk = risk_coverage(confidence, right)
    n = np.rint(coverage * len(right)).astype(np.int64)
    at = np.unique(np.searchsorted(n, np.linspace(1, n[-1], min(POINTS, len(n)))))
    wrong = np.rint(risk * n).astype(np.int64)
    bounds = [upper_bound(int(wrong[i]), int(n[i]), trust) for i in at]
    return {"coverage": coverage[at].tolist(), "risk": risk[at].tolist(), "bound": bounds}


def _bins(confidence: np.ndarray, soft: np.ndarray) -> dict[str, list[float]]:
    bins = equal_bins(confidence, soft)
    return {"counts": bins.counts.tolist(), "said": bins.said.tolist(), "true": bins.true.tolist()}


def _histogram(confidence: np.ndarray, right: np.ndarray) -> dict[str, list[int]]:
    edges = np.linspace(0, 1, 41)
    return {
        "right": np.histogram(confidence[right], edges)[0].tolist(),
        "wrong": np.histogram(confidence[~right], edges)[0].tolist(),
    }


def _classes(
    predictions: Predictions, at: np.ndarray, confidence: np.ndarray, certificate: Certificate
) -> dict[str, Any]:
    """Return, where classes are given, how well they are named, over all questions, and what is answered of each."""
    found: dict[str, Any] = {}
    named = [(line.type, line.predicted) for line in predictions.lines if line.type and line.predicted]
    if named:
        matrix = confusion([t for t, _ in named], [p for _, p in named])
        found["classes"] = {
            "accuracy": matrix.accuracy,
            "macro_f1": matrix.macro_f1,
            "f1": matrix.f1,
            "labels": list(matrix.labels),
            "confusion": matrix.counts.tolist(),
        }
    types = np.array([predictions.lines[i].type or "" for i in at.tolist()])
    if (types != "").any():
        test, right = certificate.certified, predictions.right[at]
        given = confidence >= test.threshold if test else np.zeros(len(at), bool)
        found["types"] = {
            name: {
                "questions": int((here := types == name).sum()),
                "right": int(right[here].sum()),
                "answered": int((here & given).sum()),
                "wrong": int((here & given & ~right).sum()),
            }
            for name in sorted(set(types.tolist()) - {""})
        }
    return found


def _shift(
    shift: Predictions, calibration: Calibration | None, certificate: Certificate, choice: Choice
) -> dict[str, Any]:
    """Return what the threshold does on other questions, and the scores there."""
    confidence, right = confidence_of(shift, calibration, "--shift"), shift.right
    said: dict[str, Any] = {
        "questions": len(shift),
        "scores": scores(confidence, shift.soft, shift.to_answer, seed=choice.seed),
        "curve": _curve(confidence, right, choice.trust),
        "verdict": None,
    }
    if test := certificate.certified:
        at = shifted(confidence, ~right, test.threshold, choice.risk, choice.trust)
        seen = at.wrong / at.answered if at.answered else None
        said |= {**asdict(at), "coverage": at.answered / at.questions, "risk": seen}
        said["times"] = seen / choice.risk if seen is not None else None
    return said
