"""Suites as they come: which field is what, prompts taken apart, and what cannot be read."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import DataError
from gnomon.data.contamination.suites import read_suite


def parts(tmp_path: Path, record: dict[str, Any], fields: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    path = tmp_path / "some_suite.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode() + b"\n\n"))
    suite = read_suite(path, fields)
    (item,) = suite.items
    assert (suite.name, item.suite, item.id) == ("some_suite", "some_suite", str(record.get("id", "1")))
    return [(part.role, part.text.strip()) for part in item.parts]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": "a", "question": "Q?", "solution": "S", "answer": "7"}, "question Q?|answer S|answer 7"),
        ({"good": "She sings.", "bad": "She sing.", "field": "syntax"}, "question She sings.|choice She sing."),
        ({"context": "A passage", "target": "word"}, "question A passage|answer word"),
        ({"contexts": ["x", "y"], "continuation": "z", "gold": 0}, "question x|question y|answer z"),
        ({"text": "Only this"}, "question Only this"),
        ({"query": "Q: Was it?\nA:", "choices": ["Yes", "No"], "gold": 1}, "question Was it?|choice Yes|answer No"),
        ({"question": "Q?", "choices": {"text": ["u", "v"]}, "answerKey": "A"}, "question Q?|answer u|choice v"),
        ({"question": "Q?", "choices": ["u", "v"], "answer": 1}, "question Q?|choice u|answer v"),
        (
            {"context": "It was France.", "question": "Where?", "answers": [{"text": "France", "start": 7}]},
            "context It was France.|question Where?|answer France",
        ),
        (
            {"query": "Passage: Long.\nQuestion: Is it?\nA. no\nB. yes\nAnswer:", "answer": "yes"},
            "context Long.|question Is it?|choice no|choice yes|answer yes",
        ),
        (
            {"question": "Said A. Smith:\nB. Hall came.", "answer": 3.5},
            "question Said A. Smith:\nB. Hall came.|answer 3.5",
        ),
    ],
)
def test_fields_and_labels_say_what_a_text_is(tmp_path: Path, record: dict[str, Any], expected: str) -> None:
    assert [f"{role} {text}" for role, text in parts(tmp_path, record)] == expected.split("|")


def test_named_fields_alone_are_taken_the_first_as_the_question(tmp_path: Path) -> None:
    record = {"body": "Why?", "reply": "So.", "text": "other"}
    assert parts(tmp_path, record, ("body", "reply")) == [("question", "Why?"), ("answer", "So.")]


@pytest.mark.parametrize(
    ("lines", "fields", "what", "where", "do"),
    [
        (['{"question": "a"}', "{broken"], (), "no JSON", ":2", "one JSON object per line"),
        (["[1]"], (), "is a list", ":1", "one JSON object per line"),
        (['{"messages": [], "tools": 1}'], (), "its fields are messages, tools", ":1", "--fields question,answer"),
        (['{"question": "a"}', '{"prompt": "b"}'], ("question",), "no field 'question'", ":2", "prompt"),
        (['{"question": {"a": 1}}'], (), "a dict where a text should be", ":1, field 'question'", "--fields"),
        ([], (), "empty", "", "one JSON object per line"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, lines: list[str], fields: tuple[str, ...], what: str, where: str, do: str
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        read_suite(path, fields)
    assert what in caught.value.what and do in (caught.value.do or "")
    assert caught.value.where == f"{path}{where}"
