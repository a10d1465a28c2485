"""From a file of predictions to figures, sentences and a page; what cannot be meant is refused with its line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.answer.calibration import load_calibration, save_calibration
from gnomon.answer.logistic import sigmoid
from gnomon.base.errors import ConfigError, DataError
from gnomon.evaluate.selective.assess import assess
from gnomon.evaluate.selective.confident import Choice
from gnomon.evaluate.selective.predictions import Prediction, of_lines, read_predictions
from gnomon.observe.selective import selective_html


def lines(n: int, seed: int, offset: float = 0.0) -> list[Prediction]:
    """Return predictions of a model that is twice too sure, and, by `offset`, worse than it thinks."""
    draw = np.random.default_rng(seed)
    z = draw.normal(2.5, 2, n)
    right = draw.random(n) < sigmoid(z - offset)
    p, entropy = sigmoid(2 * z), draw.normal(-z, 1)
    types = draw.choice(["person", "date"], n)
    return [
        Prediction(
            f"{seed}-{i}", {"confidence": p[i], "entropy": entropy[i]}, float(right[i]), bool(z[i] > 0),
            type=types[i], predicted=types[i] if right[i] else "place",
        )
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return assess(of_lines(lines(2400, 1)), Choice(), shift=of_lines(lines(600, 2, 1.5))).found


def test_a_model_too_sure_of_itself_is_set_right_certified_and_seen_to_break_under_shift(found: dict[str, Any]) -> None:
    certificate, score, given = found["certificate"], found["scores"]["confidence"], found["scores"]["as given"]
    assert sum(found["parts"].values()) == 2400 and found["parts"]["certify"] == certificate["questions"]
    assert certificate["certified"] and certificate["bound"] <= 0.05 and certificate["coverage"] > 0.3
    assert score["ece"] < given["ece"] - 0.01 and score["brier"] < given["brier"]
    assert score["brier_calibration"] + score["brier_refinement"] == pytest.approx(score["brier"])
    assert found["resplits"]["kept"] >= 0.95
    assert found["shift"]["verdict"] == "broken" and found["shift"]["low"] > 0.05
    assert "BROKEN" in found["says"]["shift"] and "A risk of 5 % is certified" in found["says"]["certificate"]
    assert sum(t["answered"] for t in found["types"].values()) == certificate["answered"]
    assert found["classes"]["labels"] == ["date", "person", "place"]
    json.dumps(found, allow_nan=False)


def test_the_page_says_it_and_equal_findings_make_equal_pages(found: dict[str, Any]) -> None:
    page = selective_html("a <b>", found)
    assert page == selective_html("a <b>", found)
    assert "BROKEN" in page and "a &lt;b&gt;" in page and "<script src" not in page
    bare = {key: value for key, value in found.items() if key not in ("shift", "types", "classes", "bins_given")}
    assert "<h2>Types" not in selective_html("b", bare)


def test_what_fitted_is_refused_and_other_questions_are_certified_by_what_was_saved(tmp_path: Path) -> None:
    first = assess(of_lines(lines(1000, 3)), Choice())
    assert first.calibration is not None
    save_calibration(first.calibration, path := tmp_path / "c.json")
    saved = load_calibration(path)[0]
    with pytest.raises(DataError, match="have also fitted"):
        assess(of_lines(lines(1000, 3)), Choice(), calibration=saved)
    later = assess(of_lines(lines(1500, 4)), Choice(), calibration=saved).found
    assert set(later["parts"]) == {"place", "certify"} and later["certificate"]["certified"]
    assert not set(first.certified_on) & set(saved.fitted_on)


def test_nothing_certified_says_how_many_questions_would_do() -> None:
    few = assess(of_lines(lines(200, 5)), Choice(risk=0.02, as_given=True)).found
    assert not few["certificate"]["certified"] and few["certificate"]["more_questions"] > 100
    assert "No threshold can be certified for a risk of 2 %" in few["says"]["certificate"]
    bad = [Prediction(f"b{i}", {"confidence": i / 400}, float(i % 2)) for i in range(400)]
    hopeless = assess(of_lines(bad), Choice(as_given=True)).found
    assert "More questions would not help" in hopeless["says"]["certificate"]


def test_files_are_read_in_every_form_and_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    good = [
        {"id": 1, "confidence": 1, "correct": True, "question": "Who wrote Emma?", "group": "a"},
        {"id": "2", "confidence": 0.5, "correct": 0.25, "question": "who wrote  Emma", "answerable": True},
        {"id": "3", "confidence": 0.0, "type": "date", "predicted": "person"},
    ]
    path.write_text("\n".join(map(json.dumps, good)) + "\n\n")
    read = read_predictions(path)
    assert read.soft.tolist() == [1, 0.25, 0] and read.right.tolist() == [True, False, False]
    assert read.to_answer.tolist() == [True, True, False]
    assert read.units[0] == read.units[1] != read.units[2] and read.marks[0] == read.marks[1]
    for bad, said in (
        ({"id": "4", "confidence": 1.5, "correct": True}, "from 0 to 1"),
        ({"id": "4", "confidence": True, "correct": True}, "no number"),
        ({"id": "4", "signals": {"a": 1.0}, "correct": True}, "not every line has: a, confidence"),
        ({"id": "4", "confidence": 0.5}, '"correct" is missing'),
        ({"id": "4", "confidence": 0.5, "correct": 2}, "a share from 0 to 1"),
        ({"confidence": 0.5, "correct": True}, '"id" is missing'),
        ({"id": "4", "correct": True}, "neither"),
        ([], "no object"),
    ):
        path.write_text("\n".join(map(json.dumps, [*good, bad])))
        with pytest.raises(DataError, match=said) as error:
            read_predictions(path)
        assert str(error.value.where).endswith("p.jsonl:4")
    for text in ("", "{", '{"id": "4", "confidence": NaN, "correct": true}'):
        path.write_text(text)
        with pytest.raises(DataError):
            read_predictions(path)
    with pytest.raises(ConfigError, match="--risk is 5"):
        Choice(risk=5)
    with pytest.raises(DataError, match="too few questions"):
        assess(of_lines(lines(100, 6)), Choice())
