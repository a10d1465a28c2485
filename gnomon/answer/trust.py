"""What a run's confidence in its answers is worth: fitted and certified on questions with known answers, for the
weights and the way of answering that answered them, and for no others.

Kept beside the run. Answers from what a model knows and answers from evidence are two kinds, each with a calibration
and a certificate of its own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.answer.ask import WAY, Settings
from gnomon.answer.calibration import Calibration, calibration_of
from gnomon.answer.certify import Certificate, Order, certify
from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, pretty_json, read_json, sha256_bytes, write_atomic
from gnomon.bundle import Bundle
from gnomon.data.forms.questions import LAYOUT
from gnomon.store.runs import Run

FORMAT = 1
CLOSED, SHOWN = "closed", "shown"
"""The two uses: without evidence, and with."""


@dataclass(frozen=True)
class Use:
    """One kind of answers: how signals become a confidence, the order of thresholds, and the confidences of the
    certifying questions, float64, with which of them were wrong.
    """

    calibration: Calibration
    order: Order
    confidence: np.ndarray
    wrong: np.ndarray

    def confidence_of(self, signals: Mapping[str, float]) -> float:
        """Return the probability that an answer with these signals is right."""
        return float(self.calibration.confidence({name: np.array([value]) for name, value in signals.items()})[0])

    def certify(self, risk: float, trust: float) -> Certificate:
        """Return what these questions certify at a risk, whichever it was made for."""
        return certify(self.confidence, self.wrong, self.order, risk, trust)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a file holds it; the threshold that answers all is null."""
        thresholds = [t if np.isfinite(t) else None for t in self.order.thresholds.tolist()]
        order = {
            "thresholds": thresholds,
            "answered": self.order.answered.tolist(),
            "wrong": self.order.wrong.tolist(),
            "questions": self.order.questions,
        }
        scores = {"confidence": self.confidence.tolist(), "wrong": np.flatnonzero(self.wrong).tolist()}
        return {"calibration": self.calibration.as_dict(), "order": order, "certify": scores}


@dataclass(frozen=True)
class Trust:
    """All of it: the digest of the weights, how questions were answered, what was measured, and the uses."""

    weights: str
    settings: Settings
    measured: dict[str, Any]
    uses: dict[str, Use]

    @cached_property
    def _certified(self) -> dict[tuple[str, float, float], Certificate]:
        return {}

    def certificate(self, use: str, risk: float, trust: float) -> Certificate:
        """Return the certificate of a use at a risk, made once."""
        key = (use, risk, trust)
        if key not in self._certified:
            self._certified[key] = self.uses[use].certify(risk, trust)
        return self._certified[key]


def trust_path(run: Run) -> Path:
    """Return where a run's is kept."""
    return run.folder / "eval" / "answers.json"


def weights_digest(bundle: Bundle) -> str:
    """Return a digest of what answers come from: weights, tokenizer, layout of questions, way of answering."""
    files = sorted((one.path, one.sha256) for one in bundle.checkpoint.manifest.files if one.path.startswith("model"))
    return sha256_bytes(canonical_json([files, bundle.tokenizer.digest, LAYOUT, WAY]))


def save_trust(trust: Trust, path: Path) -> None:
    """Write it to a file."""
    uses = {name: use.as_dict() for name, use in trust.uses.items()}
    said = {"format": FORMAT, "weights": trust.weights, "settings": asdict(trust.settings)}
    write_atomic(path, pretty_json({**said, "measured": trust.measured, "uses": uses}))


def load_trust(path: Path) -> Trust | None:
    """Return what is in a file, None where there is none. Raises IntegrityError for a file that holds anything else."""
    if not path.exists():
        return None
    said = read_json(path)
    try:
        if said["format"] != FORMAT:
            raise ValueError
        uses = {name: _use(one) for name, one in said["uses"].items()}
        if not isinstance(said["weights"], str) or not set(uses) <= {CLOSED, SHOWN}:
            raise ValueError
        return Trust(said["weights"], Settings(**said["settings"]), dict(said["measured"]), uses)
    except (KeyError, TypeError, ValueError, AttributeError):
        do = "make it anew: gnomon calibrate RUN --questions FILE"
        what = "this is no calibration of answers of this version of Gnomon"
        raise IntegrityError(what, where=str(path), do=do) from None


def _use(said: Mapping[str, Any]) -> Use:
    order, scores = said["order"], said["certify"]
    thresholds = np.array([-np.inf if t is None else t for t in order["thresholds"]], np.float64)
    answered, failed = (np.array(order[name], np.int64) for name in ("answered", "wrong"))
    confidence = np.array(scores["confidence"], np.float64)
    wrong = np.zeros(len(confidence), bool)
    wrong[np.array(scores["wrong"], np.int64)] = True
    if not len(thresholds) == len(answered) == len(failed) or not (np.diff(thresholds) < 0).all():
        raise ValueError
    placed = Order(thresholds, answered, failed, int(order["questions"]))
    return Use(calibration_of(said["calibration"]), placed, confidence, wrong)


def why_not(trust: Trust | None, weights: str, settings: Settings, use: str) -> str | None:
    """Return why confidence means nothing here, in a few words; None where it means what it says."""
    if trust is None:
        return "the run has no calibration"
    if trust.weights != weights:
        return "the calibration was made from other weights, or for another way of asking and answering"
    if trust.settings.constrain != settings.constrain:
        how = "under constraint" if trust.settings.constrain else "without constraint"
        return f"the calibration is of answers made {how}"
    made, now = ((one.repairs, one.typed, one.recite, one.weighed) for one in (trust.settings, settings))
    if made != now:
        return "the calibration is of answers made in another way"
    if use not in trust.uses:
        return f"the calibration had too few questions {'without' if use == CLOSED else 'with'} evidence"
    return None
