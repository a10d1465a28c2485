"""Predictions with their confidence and whether they were right, out of a file of one JSON object a line:

    {"id": "q1", "confidence": 0.93, "correct": true}
    {"id": "q2", "signals": {"known": 0.7, "entropy": 1.9}, "correct": 0.4, "answerable": false, "group": "Emma"}

`confidence` is a probability; `signals` are any numbers, the same names in every line; one of both must be there.
`correct` says whether the answer is right: true, false, or a share, right from one half on; without it `type`, the true
class, and `predicted` say so by being equal. `question` and `group` name what belongs together beside equal ids.
Also packed as .gz or .zst.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gnomon.answer.split import mark, plain, together
from gnomon.base.errors import DataError
from gnomon.data.reading.unpack import open_unpacked

FORM = '{"id": "q1", "confidence": 0.93, "correct": true}, or "signals": {"name": number, ...} for "confidence"'
RIGHT_FROM = 0.5
OWN = "confidence"


@dataclass(frozen=True)
class Prediction:
    """One line of a file."""

    id: str
    signals: dict[str, float]
    correct: float
    answerable: bool | None = None
    group: str | None = None
    type: str | None = None
    predicted: str | None = None
    question: str | None = None


@dataclass(frozen=True)
class Predictions:
    """The lines of a file by columns. `soft` is how right each answer is, float64, `right` whether it counts as right;
    `answerable` 1, 0 or NaN. Questions with one of `units` belong together; `marks` know a question again elsewhere.
    """

    lines: tuple[Prediction, ...]
    signals: dict[str, np.ndarray]
    soft: np.ndarray
    answerable: np.ndarray
    units: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Whether each answer counts as right."""
        return self.soft >= RIGHT_FROM

    @property
    def to_answer(self) -> np.ndarray:
        """Whether each question is to be answered: if it can be; where that is not said, if its answer is right."""
        return np.where(np.isnan(self.answerable), self.right, self.answerable == 1)

    def __len__(self) -> int:
        return len(self.lines)


def read_predictions(path: Path) -> Predictions:
    """Return the predictions in a file. Raises DataError, with the line, for what is none, and for an empty file."""
    lines = []
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), do="check the path; it is relative to where you are")
    with open_unpacked(path) as (stream, _):
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                lines.append(_prediction(orjson.loads(line)))
            except ValueError as e:
                fault = f"no JSON: {e}" if isinstance(e, orjson.JSONDecodeError) else str(e)
                raise DataError(fault, where=f"{path}:{number}", do=f"write {FORM}") from None
            if lines[-1].signals.keys() != lines[0].signals.keys():
                names = ", ".join(sorted(lines[-1].signals.keys() ^ lines[0].signals.keys()))
                do = "give every line the same signals, with a fixed number where there is none"
                raise DataError(f"not every line has: {names}", where=f"{path}:{number}", do=do)
    if not lines:
        raise DataError("no predictions in this file", where=str(path), do=f"write {FORM}")
    return of_lines(lines)


def of_lines(lines: list[Prediction]) -> Predictions:
    """Return predictions by columns."""
    ids = [line.id for line in lines]
    return Predictions(
        lines=tuple(lines),
        signals={name: np.array([line.signals[name] for line in lines]) for name in sorted(lines[0].signals)},
        soft=np.array([line.correct for line in lines]),
        answerable=np.array([np.nan if line.answerable is None else float(line.answerable) for line in lines]),
        units=tuple(together(ids, [line.question for line in lines], [line.group for line in lines])),
        marks=tuple(mark(plain(line.question) if line.question else line.id) for line in lines),
    )


def _prediction(record: Any) -> Prediction:
    """Return the prediction in a record. Raises ValueError with the reason."""
    if not isinstance(record, Mapping):
        raise ValueError("this is no object")
    if not isinstance(record.get("id"), str | int) or isinstance(record["id"], bool):
        raise ValueError('"id" is missing, or neither text nor a whole number')
    signals = record.get("signals", {})
    if not isinstance(signals, Mapping):
        raise ValueError('"signals" is no object')
    signals = {name: _number(value, name) for name, value in signals.items()}
    if record.get(OWN) is not None:
        signals[OWN] = _number(record[OWN], OWN)
        if not 0 <= signals[OWN] <= 1:
            raise ValueError(f'"{OWN}" is {signals[OWN]:g}, and must lie from 0 to 1: give logits as "signals"')
    if not signals:
        raise ValueError('neither "confidence" nor "signals" is there')
    texts = {name: _text(record, name) for name in ("group", "type", "predicted", "question")}
    answerable = record.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        raise ValueError('"answerable" must be true or false')
    return Prediction(str(record["id"]), signals, _correct(record, texts), answerable, **texts)


def _correct(record: Mapping[str, Any], texts: dict[str, str | None]) -> float:
    if (said := record.get("correct")) is None:
        if texts["type"] is None or texts["predicted"] is None:
            raise ValueError('"correct" is missing, and not both of "type" and "predicted" are there')
        return float(texts["type"] == texts["predicted"])
    value = float(said) if isinstance(said, bool) else _number(said, "correct")
    if not 0 <= value <= 1:
        raise ValueError(f'"correct" is {value:g}, and must be true, false or a share from 0 to 1')
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f'"{name}" is {value!r:.40}, which is no number')
    return float(value)


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str | int):
        raise ValueError(f'"{name}" is {value!r:.40}, which is no text')
    return None if value is None else str(value)
