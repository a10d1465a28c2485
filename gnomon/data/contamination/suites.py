"""Evaluation suites as items: what a model is asked, what it should answer, and what else stands beside them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_file
from gnomon.data.reading.unpack import open_unpacked

Role = Literal["question", "answer", "choice", "context"]

ROLES: dict[str, Role] = {
    **dict.fromkeys(("question", "query", "prompt", "problem", "instruction", "goal"), "question"),
    **dict.fromkeys(("claim", "premise", "good", "sentence", "sentence_good"), "question"),
    **dict.fromkeys(("answer", "answers", "solution", "target", "completion", "output"), "answer"),
    **dict.fromkeys(("continuation", "hypothesis", "canonical_solution", "best_answer"), "answer"),
    **dict.fromkeys(("choices", "options", "endings", "bad", "sentence_bad"), "choice"),
    **dict.fromkeys(("sol1", "sol2", "choice1", "choice2", "option1", "option2"), "choice"),
    **dict.fromkeys(("context", "contexts", "passage", "article", "ctx", "text"), "context"),
}
"""What is known of a field by its name. Where nothing else is the question, the context is (LAMBADA, Winograd)."""

RIGHT = ("gold", "label", "answer_index", "answer", "answerKey")
"""Fields that may say, by number or letter, which of the choices is right."""

NAMES = ("id", "_id", "task_id", "question_id", "idx")

LABEL = re.compile(
    r"^[ \t]*(?P<label>passage|context|question|problem|q|choices|options|answer|solution|a)[ \t]*:"
    r"|^[ \t]*\(?(?P<letter>[A-H])[.)][ \t]",
    re.MULTILINE | re.IGNORECASE,
)
LABELS: dict[str, Role] = {
    **dict.fromkeys(("passage", "context"), "context"),
    **dict.fromkeys(("question", "problem", "q"), "question"),
    **dict.fromkeys(("choices", "options"), "choice"),
    **dict.fromkeys(("answer", "solution", "a"), "answer"),
}


@dataclass(frozen=True)
class Part:
    """A text of an item, and what it is there."""

    role: Role
    text: str


@dataclass(frozen=True)
class Item:
    """One question of a suite, by its `id` there, or its line."""

    suite: str
    id: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Suite:
    """A suite's items, and the SHA-256 of its file as it lies on disk."""

    name: str
    sha256: str
    items: tuple[Item, ...]


def suite_files(paths: Iterable[Path]) -> list[Path]:
    """Return the suites that paths name, those of a folder by name. Raises DataError for a path that is not there."""
    found = []
    for path in paths:
        some = sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]
        if not some or not some[0].is_file():
            raise DataError("there is no suite", where=str(path), do="give a .jsonl file, or a folder of them")
        found += some
    return found


def read_suite(path: Path, fields: Sequence[str] = ()) -> Suite:
    """Return the suite in a .jsonl file, also .gz or .zst; its name is the file's, without endings.

    `fields` says which fields to take, where their names are not in ROLES: the first is the question, the others are
    answers. A text that was made for a prompt ("Passage: … Question: … A. … Answer:") is taken apart at its labels.

    Raises DataError, with file and line, for what cannot be read and for a record without a question.
    """
    name = path.name.split(".jsonl")[0]
    items = tuple(_items(path, name, fields))
    if not items:
        raise DataError("the suite is empty", where=str(path), do="give a file with one JSON object per line")
    return Suite(name, sha256_file(path), items)


def _items(path: Path, suite: str, fields: Sequence[str]) -> Iterator[Item]:
    with open_unpacked(path) as (stream, _):
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as e:
                do = "give a file with one JSON object per line"
                raise DataError(f"this line of a suite is no JSON: {e}", where=where, do=do) from e
            if not isinstance(record, dict):
                do = "give a file with one JSON object per line"
                raise DataError(f"this line of a suite is a {type(record).__name__}", where=where, do=do)
            name = next((str(record[key]) for key in NAMES if record.get(key) is not None), str(number))
            yield Item(suite, name, tuple(_parts(record, fields, where)))


def _parts(record: dict[str, Any], fields: Sequence[str], where: str) -> list[Part]:
    """Return a record's parts, each once."""
    found: dict[Part, None] = {}
    right = _right(record)
    for field, role in _roles(record, fields, where).items():
        value = record[field]
        if right is not None and field in RIGHT:
            continue
        for number, text in enumerate(_texts(value, f"{where}, field {field!r}")):
            if role == "choice" and number == right:
                found[Part("answer", text)] = None
            elif role == "question":
                found.update(dict.fromkeys(_sections(text)))
            else:
                found[Part(role, text)] = None
    return [part for part in found if part.text.strip()]


def _roles(record: dict[str, Any], fields: Sequence[str], where: str) -> dict[str, Role]:
    missing = [field for field in fields if field not in record]
    there = ", ".join(record) or "none"
    if missing:
        raise DataError(
            f"this record of a suite has no field {missing[0]!r}", where=where, do=f"name some of its fields: {there}"
        )
    roles: dict[str, Role] = {field: ROLES[field] for field in fields or record if field in ROLES}
    for field in fields:
        if field not in roles:
            roles[field] = "question" if field == fields[0] else "answer"
    if "question" not in roles.values():
        roles |= {field: "question" for field, role in roles.items() if role == "context"}
    if "question" not in roles.values():
        raise DataError(
            f"no field of this record is known to be the question; its fields are {there}",
            where=where,
            do="say which are, the question first: --fields question,answer",
        )
    return roles


def _right(record: dict[str, Any]) -> int | None:
    """Return the number of the right choice, where the record has choices and says so."""
    if not any(isinstance(record.get(field), list | dict) for field, role in ROLES.items() if role == "choice"):
        return None
    for field in RIGHT:
        value = record.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and len(value) == 1 and "A" <= value <= "H":
            return ord(value) - ord("A")
    return None


def _texts(value: Any, where: str) -> Iterator[str]:
    """Yield the texts in a field: a string, a number, a list of them, or an object with a "text"."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, where)
    elif isinstance(value, dict) and "text" in value:
        yield from _texts(value["text"], where)
    elif isinstance(value, int | float):
        yield str(value)
    elif value is not None:
        raise DataError(
            f"a {type(value).__name__} where a text should be", where=where, do="say which fields hold text: --fields"
        )


def _sections(text: str) -> Iterator[Part]:
    """Yield the parts of a prompt between its labels; the text, where it has none."""
    role: Role = "question"
    start, letter = 0, "A"
    for match in LABEL.finditer(text):
        if match["letter"] and match["letter"] != letter:
            continue  # an initial, or a line that only looks like a choice
        yield Part(role, text[start : match.start()])
        start = match.end()
        if match["letter"]:
            role, letter = "choice", chr(ord(letter) + 1)
        else:
            role = LABELS[match["label"].lower()]
    yield Part(role, text[start:])
