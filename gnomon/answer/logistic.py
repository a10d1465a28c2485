"""Logistic regression by Newton's method: the same weights for the same examples, with no draw and no rate."""

import numpy as np

STEPS = 100
STEEP = 1e-11
"""The largest slope of the mean loss at which a fit is done."""
LEAST_L2 = 1e-9
"""On the bias, so that examples of one class alone have an answer."""


def fit_logistic(x: np.ndarray, y: np.ndarray, l2: float, *, bias: bool = True) -> np.ndarray:
    """Return the weights [features], and with `bias` that one last, that make least: the mean of the cross-entropy of
    `y` (from 0 to 1) plus `l2` / 2 times the squared weights. `x` is [n, features]; the bias costs nothing to speak of.
    """
    examples = np.column_stack([x, np.ones(len(y))]) if bias else np.asarray(x, np.float64)
    cost = np.full(examples.shape[1], max(l2, LEAST_L2))
    if bias:
        cost[-1] = LEAST_L2
    w = np.zeros(examples.shape[1])
    loss = _loss(examples, y, w, cost)
    for _ in range(STEPS):
        p = sigmoid(examples @ w)
        slope = examples.T @ (p - y) / len(y) + cost * w
        if np.abs(slope).max(initial=0.0) < STEEP:
            break
        curve = (examples * (p * (1 - p))[:, None]).T @ examples / len(y) + np.diag(cost)
        step, share = np.linalg.solve(curve, slope), 1.0
        while (new := _loss(examples, y, w - share * step, cost)) > loss and share > 1e-9:
            share /= 2
        if new > loss:
            break  # as low as rounding allows
        w, loss = w - share * step, new
    return w


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return the probability of each logit."""
    return np.exp(-np.logaddexp(0.0, -z))


def cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the cross-entropy in nats of labels from 0 to 1 under logits."""
    return np.logaddexp(0.0, z) - y * z


def _loss(x: np.ndarray, y: np.ndarray, w: np.ndarray, cost: np.ndarray) -> float:
    return float(cross_entropy(x @ w, y).mean() + 0.5 * (cost * w * w).sum())
