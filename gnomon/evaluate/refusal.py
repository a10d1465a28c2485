"""How well a run tells what it can answer from what nobody can: never stated, ill posed, or not in the evidence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gnomon.evaluate.selective.ranking import auroc, refusal_recall

ALLOWED = 0.05
"""Of what it would answer rightly, the share that may be refused."""


def refusal(confidence: Sequence[float | None], right: Sequence[bool], answerable: Sequence[bool]) -> dict[str, Any]:
    """Return how confidence tells right answers from questions that have none: `auroc`, and in `refused` the share of
    these that is refused where at most ALLOWED of the right answers are; None where there are not both kinds.

    A question without a confidence is refused, whatever the threshold; one that is `right` would be answered rightly.
    """
    sure = np.array([-1.0 if one is None else one for one in confidence])
    wanted, unwanted = np.array(right, bool), ~np.array(answerable, bool)
    some = wanted | unwanted
    return {
        "right": int(wanted.sum()),
        "unanswerable": int(unwanted.sum()),
        "auroc": auroc(sure[some], wanted[some]),
        "false_refusal": ALLOWED,
        "refused": refusal_recall(sure[some], wanted[some], ALLOWED),
    }
