"""Questions of files: what is read of each known form, and what is said of a line that is none."""

import gzip
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import DataError
from gnomon.data.questions.question import Question, question_of, read_questions
from gnomon.taxonomy import ANSWER_TYPES, CLASSES, COARSE_OF, FINE_TYPES

WHO = "Who wrote Emma?"
FORMS = [
    ({"id": "a", "question": f" {WHO} "}, Question("a", WHO)),
    ({"question": WHO, "type": "person"}, Question("f:1", WHO, "person")),
    ({"question": WHO, "type": "HUM:ind"}, Question("f:1", WHO, "person", "HUM:ind")),
    ({"id": 7, "question": WHO, "coarse": "NUM", "fine": "dist"}, Question("7", WHO, "distance", "NUM:dist")),
    ({"question": WHO, "answer": "3 + 4 = 7\n#### 7"}, Question("f:1", WHO, answers=("7",))),
    ({"question": WHO, "answer": "3 + 4 #### "}, Question("f:1", WHO)),
    (
        {"question": WHO, "context": "Text.", "answerable": True, "answers": [{"text": "J. A.", "start": 3}]},
        Question("f:1", WHO, answers=("J. A.",), answerable=True, evidence=("Text.",)),
    ),
    (
        {"question": WHO, "answer": "Jane", "aliases": ["Jane", "J. A."]},
        Question("f:1", WHO, answers=("Jane", "J. A.")),
    ),
    (
        {"question": WHO, "answers": [1815], "evidence": [{"document": 0, "text": "x"}, "y"], "well_posed": False},
        Question("f:1", WHO, answers=("1815",), well_posed=False, evidence=("x", "y")),
    ),
    (
        {"question": WHO, "recitation": " Emma was written by Jane Austen. "},
        Question("f:1", WHO, recitation="Emma was written by Jane Austen."),
    ),
]


@pytest.mark.parametrize(("record", "question"), FORMS)
def test_what_a_record_says_is_kept(record: dict, question: Question) -> None:
    assert question_of(record, "f:1") == question


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([], "no object"),
        ({}, "missing"),
        ({"question": " "}, "no text"),
        ({"question": WHO, "type": "colour"}, "'colour' is unknown"),
        ({"question": WHO, "fine_type": "HUM:hero"}, "'HUM:hero' is unknown"),
        ({"question": WHO, "fine_type": ["HUM:ind"]}, "is unknown"),
        ({"question": WHO, "type": {"a": 1}}, "is unknown"),
        ({"question": WHO, "answerable": "no"}, "true or false"),
        ({"question": WHO, "answers": [None]}, '"answers"'),
        ({"question": WHO, "recitation": ["She did."]}, '"recitation"'),
    ],
)
def test_what_is_no_question_is_refused_with_its_line(record: object, why: str, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"question": "ok?"}\n\n' + orjson.dumps(record) + b"\n")
    with pytest.raises(DataError, match=why) as e:
        list(read_questions(path))
    assert e.value.where == f"{path}:3"


@given(st.lists(st.sampled_from(FORMS), max_size=8))
def test_packed_or_not_a_file_gives_its_lines(some: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f.jsonl.gz")
        path.write_bytes(gzip.compress(b"\n".join(orjson.dumps(record) for record, _ in some)))
        read = [q.question for q in read_questions(path)]
    assert read == [question.question for _, question in some]


def test_a_cut_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"question": "Wh')
    with pytest.raises(DataError, match="no JSON"):
        list(read_questions(path))


def test_types_are_fifty_in_six_classes_of_seventeen_of_the_eighteen_answer_types() -> None:
    assert (len(FINE_TYPES), len(ANSWER_TYPES)) == (50, 18)
    assert {fine.partition(":")[0] for fine in FINE_TYPES} == set(CLASSES)
    assert set(COARSE_OF.values()) == set(ANSWER_TYPES) - {"boolean"}
