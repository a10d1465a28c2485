"""Calibration keeps order, finds the truth that made the data, and says on what it was fitted."""

from pathlib import Path

import numpy as np
import pytest

from gnomon.answer.calibration import fit_calibration, fit_signal, load_calibration, save_calibration
from gnomon.answer.logistic import cross_entropy, fit_logistic, sigmoid
from gnomon.base.errors import DataError, IntegrityError

DRAW = np.random.default_rng


def answers(draw: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true logits, and whether answers are right with the chances they say."""
    z = draw.normal(1, 2, n)
    return z, (draw.random(n) < sigmoid(z)).astype(float)


def test_newton_ends_where_no_small_step_is_better() -> None:
    draw = DRAW(0)
    x = draw.normal(size=(300, 3))
    y = (draw.random(300) < sigmoid(x @ [1.0, -2.0, 0.0] + 0.5)).astype(float)
    for l2 in (0.0, 0.01, 1.0):
        w = fit_logistic(x, y, l2)

        def loss(v: np.ndarray, l2: float = l2) -> float:
            return float(cross_entropy(x @ v[:3] + v[3], y).mean() + l2 / 2 * (v[:3] ** 2).sum())

        slopes = [(loss(w + e) - loss(w - e)) / 2e-5 for e in 1e-5 * np.eye(4)]
        assert np.abs(slopes).max() < 1e-8
    model = pytest.importorskip("sklearn.linear_model").LogisticRegression(C=1 / (300 * 0.01), tol=1e-12, max_iter=9999)
    model.fit(x, y)
    assert fit_logistic(x, y, 0.01) == pytest.approx([*model.coef_[0], *model.intercept_], abs=1e-6)


def test_examples_that_a_line_parts_and_ones_of_one_class_have_finite_weights() -> None:
    x, y = np.array([[-1.0], [-0.5], [0.5], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    assert np.isfinite(fit_logistic(x, y, 1e-6)).all()
    assert sigmoid(x @ fit_logistic(x, np.ones(4), 0.01)[:1] + fit_logistic(x, np.ones(4), 0.01)[1]).min() > 0.999


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["temperature", "beta"])
@pytest.mark.parametrize("form", ["probability", "number"])
def test_order_stays_or_is_turned_round_as_a_whole(kind, form: str, turned: bool) -> None:
    z, y = answers(DRAW(1), 400)
    sign = -1 if turned else 1
    values = sigmoid(sign * 1.7 * z) if form == "probability" else sign * (3 * z + 40)
    found = fit_signal(values, y, kind)
    assert found.is_probability == (form == "probability") and found.sign == sign
    order = np.argsort(sign * values, kind="stable")
    steps = np.diff(found.logits(values)[order])
    assert (steps > 0).all()


def test_order_stays_where_the_best_fit_would_turn_it() -> None:
    draw = DRAW(6)
    p = draw.random(2000)
    both_ends = (draw.random(2000) < np.abs(2 * p - 0.9)).astype(float)  # right where it is sure or unsure
    beta = fit_signal(p, both_ends, "beta")
    assert min(beta.a, beta.b) >= 0 and (np.diff(beta.sign * beta.logits(np.sort(p))) >= 0).all()
    sure = 0.9 + 0.1 * p
    mostly_wrong = (draw.random(2000) < 0.3 * p).astype(float)  # sure of all, and wrong; but less so where surest
    hot = fit_signal(sure, mostly_wrong, "temperature")
    assert hot.sign == 1 and (np.diff(hot.logits(np.sort(sure))) > 0).all()


def test_what_is_said_of_a_fold_was_not_learned_from_it() -> None:
    draw = DRAW(7)
    noise = {f"s{i}": draw.normal(size=240) for i in range(20)}
    y, ids = (np.arange(240) % 2).astype(float), [f"q{i}" for i in range(240)]
    p = fit_calibration(noise, y, np.arange(120), np.arange(120, 240), ids, ids).left_out
    assert cross_entropy(np.log(p) - np.log1p(-p), y[120:]).mean() > 0.67  # a coin's is 0.69


@pytest.mark.parametrize("hot", [0.3, 1.0, 3.0])
def test_temperature_finds_the_one_that_the_logits_were_divided_by(hot: float) -> None:
    z, y = answers(DRAW(2), 20_000)
    found = fit_signal(sigmoid(np.clip(z / hot, -25, 25)), y, "temperature")
    assert found.a == found.b == pytest.approx(hot, rel=0.06) and found.c == 0


def test_beta_finds_the_bend_that_temperature_cannot() -> None:
    draw = DRAW(3)
    p = draw.beta(2, 1, 20_000)
    truth = sigmoid(1.5 * np.log(p) - 0.4 * np.log1p(-p) - 0.2)
    y = (draw.random(20_000) < truth).astype(float)
    beta, hot = fit_signal(p, y, "beta"), fit_signal(p, y, "temperature")
    assert (beta.a, beta.b, beta.c) == pytest.approx((1.5, 0.4, -0.2), abs=0.12)
    assert np.abs(sigmoid(beta.logits(p)) - truth).mean() < 0.01 < np.abs(sigmoid(hot.logits(p)) - truth).mean()


def test_fused_signals_know_more_than_each_and_what_says_nothing_weighs_little(tmp_path: Path) -> None:
    draw = DRAW(4)
    a, b = draw.normal(size=(2, 4000))
    y = (draw.random(4000) < sigmoid(1.5 * a - 2 * b)).astype(float)
    signals = {"a": sigmoid(a), "b": b, "noise": draw.normal(size=4000)}
    ids = [f"q{i}" for i in range(4000)]
    fit, fuse, rest = np.split(np.arange(4000), [1000, 2000])
    fitted = fit_calibration(signals, y, fit, fuse, ids, ids)
    made = fitted.calibration
    loss = cross_entropy(np.log(p := made.confidence(signals)) - np.log1p(-p), y)[rest].mean()
    alone = [cross_entropy(one.logits(signals[n]), y)[rest].mean() for n, one in made.signals.items()]
    assert loss < 0.85 * min(alone)
    assert abs(made.weights["noise"]) < 0.2 * min(made.weights["a"], made.weights["b"])
    inside = cross_entropy(np.log(q := fitted.left_out) - np.log1p(-q), y[fuse]).mean()
    assert inside == pytest.approx(loss, rel=0.1)  # folds left out say what new questions will
    save_calibration(made, tmp_path / "c.json", {"threshold": 0.5})
    loaded, certificate = load_calibration(tmp_path / "c.json")
    assert loaded == made and certificate == {"threshold": 0.5}
    assert np.array_equal(loaded.confidence(signals), made.confidence(signals))


def test_a_file_whose_marks_were_changed_is_no_calibration(tmp_path: Path) -> None:
    z, y = answers(DRAW(5), 200)
    ids = [f"q{i}" for i in range(200)]
    fit, fuse = np.arange(100), np.arange(100, 200)
    save_calibration(fit_calibration({"a": z}, y, fit, fuse, ids, ids).calibration, path := tmp_path / "c.json")
    path.write_text(path.read_text().replace('"q7"', '"q8"'))
    with pytest.raises(IntegrityError, match="no calibration"):
        load_calibration(path)
    with pytest.raises(DataError, match="all right or all wrong"):
        fit_calibration({"a": z}, np.ones(200), fit, fuse, ids, ids)
    fitted = fit_signal(sigmoid(z), y, "beta")
    with pytest.raises(ValueError, match="outside 0 to 1"):
        fitted.logits(z)
