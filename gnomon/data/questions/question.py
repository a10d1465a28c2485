"""A question with all that is known of it, and the files that hold such questions.

A file has one JSON object a line, also packed as .gz or .zst:

    {"id": "q1", "question": "Who wrote Emma?", "fine_type": "HUM:ind", "answers": ["Jane Austen"], "answerable": true}

Only `question` must be there. The forms in which TREC (`coarse`, `fine`), GSM8K (`answer` behind `####`), SQuAD
(`context`, answers with their `start`) and TriviaQA (`answer`, `aliases`) are commonly kept are read too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from gnomon.base.errors import DataError
from gnomon.data.reading.unpack import open_unpacked
from gnomon.taxonomy import ANSWER_TYPES, COARSE_OF

Read = TypeVar("Read")
FORM = 'one JSON object a line with at least a "question", such as {"id": "q1", "question": "Who wrote Emma?"}'


@dataclass(frozen=True)
class Question:
    """A question and what is known of it; None and () where nothing is.

    `type` is one of ANSWER_TYPES, `fine_type` one of FINE_TYPES. `evidence` are passages that the question is to be
    answered from. `answerable` says whether they, or without them anything, holds the answer; `well_posed` whether any
    text could. `recitation` is text that holds what the answer follows from, for a model to say from memory.
    """

    id: str
    question: str
    type: str | None = None
    fine_type: str | None = None
    answers: tuple[str, ...] = ()
    answerable: bool | None = None
    well_posed: bool | None = None
    evidence: tuple[str, ...] = ()
    recitation: str | None = field(default=None, repr=False)  # nobody asks with it


def read_questions(path: Path) -> Iterator[Question]:
    """Yield the questions of a file. Raises DataError, with the line, for what is no question, and for a file that
    cannot be read.
    """
    yield from each_record(path, question_of)


def each_record(path: Path, read: Callable[[Any, str], Read]) -> Iterator[Read]:
    """Yield what `read` makes of each line's record and its name, `file:line`. Raises DataError, with the line, where
    that raises ValueError, and for a file that cannot be read.
    """
    with open_unpacked(path) as (lines, _):
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as e:
                raise DataError(f"no JSON: {e}", where=where, do=f"write {FORM}") from None
            try:
                yield read(record, f"{path.name}:{number}")
            except ValueError as e:
                raise DataError(str(e), where=where, do=f"write {FORM}") from None


def question_of(record: Any, name: str) -> Question:
    """Return the question of a record; `name` is its id where it has none. Raises ValueError with the reason."""
    if not isinstance(record, Mapping):
        raise ValueError("this is no object")
    text = record.get("question")
    if not isinstance(text, str) or not text.strip():
        raise ValueError('"question" is missing' if text is None else f'"question" is {text!r:.40}, which is no text')
    type_, fine = _types(record)
    return Question(
        id=str(record.get("id", name)),
        question=text.strip(),
        type=type_,
        fine_type=fine,
        answers=_answers(record),
        answerable=_flag(record, "answerable"),
        well_posed=_flag(record, "well_posed"),
        evidence=_texts(record, "evidence") or _texts(record, "context"),
        recitation=_text(record, "recitation"),
    )


def _types(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    fine, type_ = record.get("fine_type"), record.get("type")
    if fine is None and "coarse" in record and "fine" in record:
        fine = f"{record['coarse']}:{record['fine']}"
    if fine is None and isinstance(type_, str) and ":" in type_:
        type_, fine = None, type_
    if fine is not None and (not isinstance(fine, str) or fine not in COARSE_OF):
        raise ValueError(f'the fine type {fine!r:.40} is unknown: they are named as "HUM:ind"')
    type_ = COARSE_OF[fine] if type_ is None and fine is not None else type_
    if type_ is not None and type_ not in ANSWER_TYPES:  # a tuple, in which anything can be looked for
        raise ValueError(f"the type {type_!r:.40} is unknown: types are {', '.join(ANSWER_TYPES)}")
    return type_, fine


def _answers(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the accepted answers, each once, the first one first."""
    found = [*_texts(record, "answers"), *_texts(record, "answer"), *_texts(record, "aliases")]
    plain = (answer.rpartition("#### ")[2].strip() for answer in found)
    return tuple(dict.fromkeys(answer for answer in plain if answer))


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the texts under a name: one, a list of them, or of objects that hold one each as `text`."""
    value = record.get(name)
    every = value if isinstance(value, list) else [] if value is None else [value]
    texts = [one.get("text") if isinstance(one, Mapping) else one for one in every]
    if any(not isinstance(text, str | int | float) or isinstance(text, bool) for text in texts):
        raise ValueError(f'"{name}" is {value!r:.40}, which is neither a text nor a list of texts')
    return tuple(str(text) for text in texts)


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ValueError(f'"{name}" is {value!r:.40}, which is no text')
    return None if value is None else value.strip()


def _flag(record: Mapping[str, Any], name: str) -> bool | None:
    value = record.get(name)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f'"{name}" is {value!r:.40}, and must be true or false')
    return value
