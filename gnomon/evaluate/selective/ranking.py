"""How well confidence puts right answers before wrong ones. Equal confidences count as in every order alike.

`right` are 1, 0, or for a loss between them, a number between; `confidence` any numbers, larger for surer.
"""

import numpy as np


def auroc(confidence: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the chance that a positive has more confidence than a negative, equal ones counting half: Mann and
    Whitney's U over the pairs. None without both kinds.
    """
    positive = np.asarray(positive, bool)
    ups, downs = int(positive.sum()), int((~positive).sum())
    if not ups or not downs:
        return None
    _, place, size = np.unique(confidence, return_inverse=True, return_counts=True)
    twice_rank = 2 * size.cumsum() - size + 1  # whole numbers, so that no order of summing matters
    twice_u = int(twice_rank[place][positive].sum()) - ups * (ups + 1)
    return twice_u / (2 * ups * downs)


def average_precision(confidence: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the precision averaged over the positives, each at the confidence where it comes in; None without any."""
    positive = np.asarray(positive, bool)
    if not positive.any():
        return None
    answered, hits = _falling(confidence, positive.astype(np.float64))
    return float((np.diff(hits, prepend=0.0) * hits / answered).sum() / hits[-1])


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the falling thresholds that differ, and the coverage and the risk when what reaches them is answered."""
    answered, lost = _falling(confidence, 1.0 - np.asarray(right, np.float64))
    return np.unique(confidence)[::-1], answered / len(confidence), lost / answered


def aurc(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the area under risk and coverage: the risk when the k surest are answered, averaged over every k.

    Source: Geifman, Uziel and El-Yaniv 2019, "Bias-reduced uncertainty estimation".
    """
    answered, lost = _falling(confidence, 1.0 - np.asarray(right, np.float64))
    size, before = np.diff(answered, prepend=0), np.append(0.0, lost[:-1])
    k = np.arange(1, len(confidence) + 1)
    among = k - np.repeat(answered - size, size)  # of equals, how many are answered: each adds their mean loss
    sums = np.repeat(before, size) + among * np.repeat(np.diff(lost, prepend=0.0) / size, size)
    return float((sums / k).mean())


def excess_aurc(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return how far the area lies above that of an order in which every better answer comes before every worse."""
    right = np.asarray(right, np.float64)
    return aurc(confidence, right) - aurc(right, right)


def coverage_at_risk(confidence: np.ndarray, right: np.ndarray, risk: float) -> float:
    """Return the largest share that a threshold can answer with at most this risk, as seen here: no promise."""
    _, coverage, risks = risk_coverage(confidence, right)
    return float(coverage[risks <= risk].max(initial=0.0))


def refusal_recall(confidence: np.ndarray, to_answer: np.ndarray, false_refusal: float = 0.05) -> float | None:
    """Return the share refused of what is to be refused, when at most `false_refusal` of what is to be answered is;
    None without both kinds.
    """
    to_answer = np.asarray(to_answer, bool)
    wanted, unwanted = np.sort(confidence[to_answer]), confidence[~to_answer]
    if not len(wanted) or not len(unwanted):
        return None
    threshold = wanted[int(false_refusal * len(wanted) + 1e-9)] if false_refusal < 1 else np.inf
    return float((unwanted < threshold).mean())


def _falling(confidence: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, at each confidence that differs, falling, how many reach it and the sum of their amounts."""
    _, place, size = np.unique(confidence, return_inverse=True, return_counts=True)
    return size[::-1].cumsum(), np.bincount(place, amounts)[::-1].cumsum()
