"""What becomes of a question, from what was found of it: a pure function, and the words for each outcome."""

from dataclasses import dataclass
from typing import Literal

Decision = Literal["answer", "uncertified", "abstain", "ill_posed", "needs_evidence", "insufficient"]
GIVEN: tuple[Decision, ...] = ("answer", "uncertified")
"""The decisions with which an answer is given; with the others there is none."""
WISHED_FROM = 0.5
"""The router's probability that evidence would help, from which on it wishes for some."""
ENOUGH_FROM = 0.5
"""The router's probability that evidence is enough, from which on it is taken to be."""


@dataclass(frozen=True)
class Seen:
    """What a decision is made from. `confidence` None: no answer stands. `calibrated`: whether confidence means what it
    says here; `threshold` None: nothing is certified at the risk asked for. `sufficient` None: no evidence was read.
    """

    ill_posed: bool
    confidence: float | None
    calibrated: bool
    threshold: float | None
    retrieve: float
    sufficient: float | None


def decide(seen: Seen) -> Decision:
    """Return what becomes of a question.

    One that is ill posed is told so. An answer is given where its confidence reaches the certified threshold, or,
    uncertified, where the run has no calibration and the router does not find the evidence wanting. Otherwise it is the
    evidence that is not enough, or evidence that is wished for, or an abstention.
    """
    if seen.ill_posed:
        return "ill_posed"
    wanting = seen.sufficient is not None and seen.sufficient < ENOUGH_FROM
    if seen.confidence is not None and not seen.calibrated and not wanting:
        return "uncertified"
    if seen.confidence is not None and seen.calibrated and seen.threshold is not None:
        if seen.confidence >= seen.threshold:
            return "answer"
    if seen.sufficient is not None:
        return "insufficient" if wanting else "abstain"
    return "needs_evidence" if seen.retrieve >= WISHED_FROM else "abstain"


def why(decision: Decision, seen: Seen, risk: float) -> str:
    """Return the reason of a decision in a sentence."""
    if decision == "ill_posed":
        return "the question is not one that can be answered as it stands"
    if decision == "answer":
        assert seen.confidence is not None and seen.threshold is not None
        promise = f"answers from {seen.threshold:.1%} on are certified" if seen.threshold > 0 else "all are certified"
        return f"{promise} to be wrong in at most {100 * risk:g} %"
    if decision == "uncertified":
        return "the run has no calibration that fits: the confidence is the router's own, and nothing is promised"
    short = _short(seen, risk)
    if decision == "insufficient":
        return f"{short}; the evidence does not seem to be enough"
    if decision == "needs_evidence":
        return f"{short}; evidence would help, and none was given"
    return short


def _short(seen: Seen, risk: float) -> str:
    if seen.confidence is None:
        return "no answer stands"
    if not seen.calibrated:
        return "nothing is certified"
    if seen.threshold is None:
        return f"no threshold is certified for a risk of {100 * risk:g} %"
    return f"the confidence of {seen.confidence:.1%} is under the {seen.threshold:.1%} that is certified"
