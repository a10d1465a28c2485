"""Records of conversations and questions that are odd are refused one by one, with the reason."""

import math

import pytest

from gnomon.data.forms.form import Form, document_of
from gnomon.store.labels import COARSE
from gnomon.taxonomy import ANSWER_TYPES


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("chat", {"prompt": "hi", "completion": ""}),
        ("chat", {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " "}]}),
        ("chat", {"messages": [{"role": "user", "content": 5}, {"role": "assistant", "content": "yes"}]}),
        ("chat", {"messages": [{"role": "user", "content": {"text": "x"}}, {"role": "assistant", "content": "yes"}]}),
        ("chat", []),
        ("questions", [1]),
        ("questions", {"question": "Who?", "fine_type": ["HUM:ind"]}),
        ("questions", {"question": "Who?", "labels": {"knows": 1}}),
    ],
)
def test_an_odd_record_is_no_more_than_a_value_error(form: str, record: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        document_of(record, Form(form), "a.jsonl:1")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("nothing", [None, {}])
def test_types_that_labels_leave_open_are_those_of_the_question(nothing: object) -> None:
    record = {"question": "Who?", "type": "person", "labels": {"coarse": nothing}}
    labels = document_of(record, Form("questions"), "a.jsonl:1").labels
    assert labels[COARSE][ANSWER_TYPES.index("person")] == 1 and not any(map(math.isnan, labels[COARSE]))
