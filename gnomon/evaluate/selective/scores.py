"""Every score of a confidence at once, by name."""

from typing import Any

import numpy as np

from gnomon.evaluate.selective.predictions import RIGHT_FROM
from gnomon.evaluate.selective.probability import (
    brier,
    calibration_error,
    error_interval,
    excess_log_loss,
    log_loss,
)
from gnomon.evaluate.selective.ranking import (
    aurc,
    auroc,
    average_precision,
    coverage_at_risk,
    excess_aurc,
    refusal_recall,
)

RISKS = {"1": 0.01, "5": 0.05, "10": 0.10}


def scores(
    confidence: np.ndarray, soft: np.ndarray, to_answer: np.ndarray, *, units: np.ndarray | None = None, seed: int = 0
) -> dict[str, Any]:
    """Return every score of confidences, which are probabilities. `soft` is how right each answer is, from 0 to 1,
    `to_answer` whether its question is to be answered; `units` name questions that are drawn together.
    """
    right = soft >= RIGHT_FROM
    interval, parts = error_interval(confidence, soft, groups=units, seed=seed), brier(confidence, soft)
    return {
        "questions": len(confidence),
        "accuracy": float(right.mean()),
        "auroc": auroc(confidence, right),
        "average_precision": average_precision(confidence, right),
        "aurc": aurc(confidence, right),
        "excess_aurc": excess_aurc(confidence, right),
        **{f"coverage_at_{name}": coverage_at_risk(confidence, right, r) for name, r in RISKS.items()},
        "refusal_recall": refusal_recall(confidence, to_answer),
        "auroc_to_answer": auroc(confidence, to_answer),
        "ece": calibration_error(confidence, soft),
        "ece_low": interval.low,
        "ece_high": interval.high,
        "ece_by_chance": interval.chance,
        "brier": parts.score,
        "brier_calibration": parts.calibration,
        "brier_refinement": parts.refinement,
        "log_loss": log_loss(confidence, soft),
        "excess_log_loss": excess_log_loss(confidence, soft),
    }
