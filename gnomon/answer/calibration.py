"""Signals made into probabilities that mean what they say, and fused into one confidence.

Each signal is a logit z (of a probability its logit; of another number its distance from the mean in standard
deviations; turned round if it speaks against being right). Beta calibration makes of it

    a ln s(z) - b ln(1 - s(z)) + c    with a, b >= 0, so that order stays,

temperature scaling the same with a = b = 1 / T and c = 0. The fused logit is a weighted sum of these and a bias.
Sources: Guo et al. 2017, "On calibration of modern neural networks"; Kull et al. 2017, "Beta calibration".
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gnomon.answer.logistic import cross_entropy, fit_logistic, sigmoid
from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json, pretty_json, read_json, sha256_bytes, write_atomic
from gnomon.base.seeds import derive

Kind = Literal["temperature", "beta"]
FORMAT = 1
NEAREST = 1e-12
"""A probability is held so far from 0 and 1."""
LEAST_L2 = 1e-6
GENTLEST = 1e-3
"""The least 1 / T: order stays even where a signal says nothing."""
FOLDS = 5
STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Of the L2 of the fusion, strongest first; the one that does best on folds left out is taken."""


@dataclass(frozen=True)
class Signal:
    """How one signal becomes a logit: z = sign * (its logit, or the number - center) / scale, then a, b, c."""

    is_probability: bool
    center: float
    scale: float
    sign: int
    a: float
    b: float
    c: float

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Return calibrated logits. Raises ValueError for what is no probability where one was fitted."""
        if self.is_probability and not ((values >= 0) & (values <= 1)).all():
            raise ValueError("this signal was fitted as a probability, and here are values outside 0 to 1")
        z = self.sign * (_logit(values) if self.is_probability else (values - self.center) / self.scale)
        return self.c - self.a * np.logaddexp(0.0, -z) + self.b * np.logaddexp(0.0, z)


@dataclass(frozen=True)
class Calibration:
    """Signals by name, their weights in the fused logit, and the marks of the questions all this was fitted on."""

    kind: Kind
    signals: dict[str, Signal]
    weights: dict[str, float]
    bias: float
    l2: float | None
    fitted_on: tuple[str, ...]

    def confidence(self, signals: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the probability of being right, from the values of every signal that was fitted."""
        parts = [self.weights[name] * one.logits(signals[name]) for name, one in self.signals.items()]
        return sigmoid(self.bias + np.sum(parts, axis=0))

    def as_dict(self) -> dict[str, Any]:
        """Return it as a file holds it, with a digest of the questions it was fitted on."""
        digest = sha256_bytes(canonical_json(sorted(self.fitted_on)))
        return {**asdict(self), "fitted_on": {"digest": digest, "marks": sorted(self.fitted_on)}}


def fit_signal(values: np.ndarray, right: np.ndarray, kind: Kind) -> Signal:
    """Return the calibration of one signal on questions answered rightly or not (1, 0, or between).

    A signal whose values all lie from 0 to 1, and are not all the same, is a probability.
    """
    is_probability = bool(((values >= 0) & (values <= 1)).all() and values.min() < values.max())
    center, scale = (0.0, 1.0) if is_probability else (float(values.mean()), float(values.std()) or 1.0)
    z = _logit(values) if is_probability else (values - center) / scale
    sign = -1 if fit_logistic(z[:, None], right, LEAST_L2)[0] < 0 else 1
    z = sign * z
    if kind == "temperature":
        a = max(GENTLEST, float(fit_logistic(z[:, None], right, LEAST_L2, bias=False)[0]))
        return Signal(is_probability, center, scale, sign, a, a, 0.0)
    features, kept = np.stack([-np.logaddexp(0.0, -z), np.logaddexp(0.0, z)], axis=1), [0, 1]
    while True:
        *found, c = fit_logistic(features[:, kept], right, LEAST_L2).tolist()
        if not found or min(found) >= 0:
            break
        kept.pop(int(np.argmin(found)))
    slopes = dict(zip(kept, found, strict=True))
    return Signal(is_probability, center, scale, sign, slopes.get(0, 0.0), slopes.get(1, 0.0), c)


@dataclass(frozen=True)
class Fitted:
    """A calibration, and confidences of the questions that fused: each from a fusion fitted without it."""

    calibration: Calibration
    left_out: np.ndarray


def fit_calibration(
    signals: Mapping[str, np.ndarray],
    right: np.ndarray,
    to_fit: np.ndarray,
    to_fuse: np.ndarray,
    units: Sequence[str],
    marks: Sequence[str],
    kind: Kind = "beta",
) -> Fitted:
    """Return a calibration: each signal's on the questions at `to_fit`, the fusion's on those at `to_fuse`.

    One signal needs no fusion. Questions of one unit stay in one fold. Raises DataError where all are right or wrong.
    """
    for name, places in (("fit", to_fit), ("fuse", to_fuse)):
        if not 0 < right[places].sum() < len(places):
            do = "give more questions, some answered rightly and some wrongly, or fit nothing (--as-given)"
            raise DataError(f"the {len(places):,} questions to {name} are all right or all wrong", do=do)
    fitted = {name: fit_signal(values[to_fit], right[to_fit], kind) for name, values in sorted(signals.items())}
    z = np.stack([one.logits(signals[name][to_fuse]) for name, one in fitted.items()], axis=1)
    seen = tuple(sorted({marks[int(i)] for i in (*to_fit, *to_fuse)}))
    if len(fitted) == 1:
        alone = Calibration(kind, fitted, dict.fromkeys(fitted, 1.0), 0.0, None, seen)
        return Fitted(alone, sigmoid(z[:, 0]))
    y, l2, left_out = right[to_fuse], 0.0, np.zeros(0)
    fold = np.array([derive(0, "fold", units[int(i)]) % FOLDS for i in to_fuse])
    least = np.inf
    for strength in STRENGTHS:
        said = _left_out(z, y, fold, strength)
        if (loss := float(cross_entropy(said, y).mean())) < least - 1e-9:  # nearly equal: the stronger
            least, l2, left_out = loss, strength, sigmoid(said)
    *weights, bias = fit_logistic(z, y, l2).tolist()
    named = dict(zip(fitted, weights, strict=True))
    return Fitted(Calibration(kind, fitted, named, bias, l2, seen), left_out)


def _left_out(z: np.ndarray, y: np.ndarray, fold: np.ndarray, l2: float) -> np.ndarray:
    """Return the fused logit of each question under weights from the other folds."""
    said = np.zeros(len(y))
    for k in range(FOLDS):
        inside = fold == k
        if inside.any() and not inside.all():  # one large group gives nothing to learn from
            weights = fit_logistic(z[~inside], y[~inside], l2)
            said[inside] = z[inside] @ weights[:-1] + weights[-1]
    return said


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(np.asarray(p, np.float64), NEAREST, 1 - NEAREST)
    return np.log(p) - np.log1p(-p)


def save_calibration(calibration: Calibration, path: Path, certificate: Mapping[str, Any] | None = None) -> None:
    """Write it to a file, with the threshold that was certified for it, if one was."""
    write_atomic(path, pretty_json({"format": FORMAT, **calibration.as_dict(), "certificate": certificate}))


def load_calibration(path: Path) -> tuple[Calibration, dict[str, Any] | None]:
    """Return the calibration in a file and its certificate. Raises DataError where there is none, IntegrityError for a
    file that holds something else.
    """
    if not path.is_file():
        do = "make one: gnomon calibrate FILE --save calibration.json"
        raise DataError("there is no calibration here", where=str(path), do=do)
    said = read_json(path)
    try:
        if said["format"] != FORMAT:
            raise ValueError
        return calibration_of(said), said["certificate"]
    except (KeyError, TypeError, ValueError):
        do = "name a whole file that `gnomon calibrate --save` wrote, or make it anew"
        raise IntegrityError("this is no calibration of this version of Gnomon", where=str(path), do=do) from None


def calibration_of(said: Mapping[str, Any]) -> Calibration:
    """Return what `as_dict` said. Raises KeyError, TypeError or ValueError for anything else."""
    marks, digest = said["fitted_on"]["marks"], said["fitted_on"]["digest"]
    if said["kind"] not in ("temperature", "beta") or sha256_bytes(canonical_json(marks)) != digest:
        raise ValueError("this is no calibration")
    signals = {name: Signal(**one) for name, one in said["signals"].items()}
    weights = {name: float(said["weights"][name]) for name in signals}
    return Calibration(said["kind"], signals, weights, float(said["bias"]), said["l2"], tuple(marks))
