"""Predictions made confident: parted, fitted or taken as given, with the order of thresholds that is then certified."""

from dataclasses import dataclass

import numpy as np

from gnomon.answer.calibration import Calibration, Kind, fit_calibration
from gnomon.answer.certify import Order, fixed_order
from gnomon.answer.split import PARTS, refuse_overlap, split
from gnomon.base.errors import ConfigError, DataError
from gnomon.evaluate.selective.predictions import OWN, Predictions

FEWEST = 30
"""Questions in each part, below which nothing is worth saying."""
PLACE_SHARE = 0.2
"""Of the questions, set aside to place thresholds where nothing is fitted."""


@dataclass(frozen=True)
class Choice:
    """What the user chose. With `as_given` confidences are taken as they are, and only thresholds are placed."""

    risk: float = 0.05
    trust: float = 0.95
    kind: Kind = "beta"
    as_given: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("risk", self.risk), ("confidence", self.trust)):
            if not 0 < value < 1:
                raise ConfigError(f"--{name} is {value:g}", do="give a share between 0 and 1, such as 0.05 or 0.95")


@dataclass(frozen=True)
class Confident:
    """Confidences of the certifying questions, at `at`; the order of thresholds; and how confidences were made."""

    at: np.ndarray
    confidence: np.ndarray
    order: Order
    calibration: Calibration | None
    parts: dict[str, int]


def make_confident(predictions: Predictions, choice: Choice, calibration: Calibration | None, where: str) -> Confident:
    """Return what certifies and in which order; `where` names the file in errors. Raises DataError as `assess` does."""
    if choice.as_given or calibration is not None:
        if calibration is not None:
            refuse_overlap(calibration.fitted_on, predictions.marks, where)
        part = split(predictions.units, (PLACE_SHARE, 1 - PLACE_SHARE), choice.seed)
        place, at = np.flatnonzero(part == 0), np.flatnonzero(part == 1)
        _enough({"place": len(place), "certify": len(at)}, where)
        every = confidence_of(predictions, calibration, where)
        order = fixed_order(every[place], ~predictions.right[place])
        return Confident(at, every[at], order, calibration, {"place": len(place), "certify": len(at)})
    part = split(predictions.units, seed=choice.seed)
    fit, fuse, at = (np.flatnonzero(part == i) for i in range(3))
    sizes: dict[str, int] = dict(zip(PARTS, (len(fit), len(fuse), len(at)), strict=True))
    _enough(sizes, where)
    fitted = fit_calibration(
        predictions.signals, predictions.soft, fit, fuse, predictions.units, predictions.marks, choice.kind
    )
    made = fitted.calibration
    order = fixed_order(fitted.left_out, ~predictions.right[fuse])
    return Confident(at, confidence_of(predictions, made, where)[at], order, made, sizes)


def confidence_of(predictions: Predictions, calibration: Calibration | None, where: str = "") -> np.ndarray:
    """Return the confidence of each prediction: calibrated, or as given. Raises DataError if signals are missing."""
    if calibration is None:
        if OWN not in predictions.signals:
            do = 'give every line a "confidence", or let it be fitted from the signals'
            raise DataError("these predictions have no confidence of their own", where=where, do=do)
        return predictions.signals[OWN]
    if missing := calibration.signals.keys() - predictions.signals.keys():
        do = "give every line the signals that the calibration was fitted on"
        raise DataError(f"signals are missing: {', '.join(sorted(missing))}", where=where, do=do)
    try:
        return calibration.confidence(predictions.signals)
    except ValueError as e:
        raise DataError(str(e), where=where, do="give the signals in the form that was fitted on") from None


def _enough(sizes: dict[str, int], where: str) -> None:
    if min(sizes.values()) < FEWEST:
        said = ", ".join(f"{count:,} to {name}" for name, count in sizes.items())
        do = "give more questions, 2,000 to certify a risk of 5 %; those of one group, question or id stay in one part"
        raise DataError(f"too few questions: {said}; each part needs {FEWEST}", where=where, do=do)
