"""The teacher: what it learns, that its probabilities are some, the same in any company, and its files."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import DataError, IntegrityError
from gnomon.data.questions.features import BUCKETS, asking, noun_asked_for, rows_of, tokens
from gnomon.data.questions.folds import folds_of
from gnomon.data.questions.question import Question
from gnomon.data.questions.ridge import SparseRows, ridge
from gnomon.data.questions.teacher import Teacher, load_teacher, teach
from gnomon.taxonomy import ANSWER_TYPES, CLASSES, FINE_TYPES

ASKS = {
    "HUM:ind": "Who {} {} ?",
    "LOC:other": "Where did they {} {} ?",
    "NUM:date": "What year did they {} {} ?",
    "ENTY:animal": "What dog did they {} near {} ?",
}
VERBS = ("paint", "find", "build", "sell", "wash", "carry")
THINGS = ("Emma", "the bridge", "a house", "Paris", "the lamp")
GOLD = [
    Question(f"{fine} {verb} {thing}", ask.format(verb, thing), fine_type=fine)
    for (fine, ask), verb, thing in product(ASKS.items(), VERBS, THINGS)
]
TEXTS = [question.question for question in GOLD]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return teach(GOLD)


def test_it_says_of_new_questions_what_like_ones_were(teacher: Teacher) -> None:
    labels = teacher.label([ask.format("repair", "the old mill") for ask in ASKS.values()])
    assert [FINE_TYPES[i] for i in labels.fine.argmax(1)] == list(ASKS)
    assert [CLASSES[i] for i in labels.six.argmax(1)] == ["HUM", "LOC", "NUM", "ENTY"]
    assert [ANSWER_TYPES[i] for i in labels.coarse.argmax(1)] == ["person", "location", "date", "entity"]
    yes_or_no = teacher.label(["Is Paris in France?"]).coarse[0]
    assert ANSWER_TYPES[yes_or_no.argmax()] == "boolean" and abs(yes_or_no.sum() - 1) < 1e-4


@settings(max_examples=20)
@given(st.lists(st.text(max_size=40) | st.sampled_from([*TEXTS, "Is it so?"]), min_size=1, max_size=8))
def test_probabilities_of_any_text_sum_to_1_and_are_the_same_alone(teacher: Teacher, texts: list[str]) -> None:
    labels = teacher.label(texts)
    for each in (labels.fine, labels.coarse, labels.six):
        assert (each >= 0).all() and np.allclose(each.sum(1), 1, atol=1e-4)
    for i, text in enumerate(texts):
        alone = teacher.label([text])
        assert alone.fine[0].tobytes() == labels.fine[i].tobytes()
        assert alone.coarse[0].tobytes() == labels.coarse[i].tobytes()


def test_equal_questions_make_equal_teachers_and_files_read_back(teacher: Teacher, tmp_path: Path) -> None:
    assert teach(GOLD).digest == teacher.digest
    teacher.save(tmp_path / "t")
    again = load_teacher(tmp_path / "t")
    assert again.digest == teacher.digest and again.questions == len(GOLD)
    assert again.label(TEXTS[:3]).fine.tobytes() == teacher.label(TEXTS[:3]).fine.tobytes()


def test_a_damaged_file_and_none_are_told(teacher: Teacher, tmp_path: Path) -> None:
    teacher.save(tmp_path / "t")
    weights = tmp_path / "t" / "teacher.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="not the weights"):
        load_teacher(tmp_path / "t")
    with pytest.raises(DataError, match="no teacher"):
        load_teacher(tmp_path)
    with pytest.raises(DataError, match="are needed"):
        teach([*GOLD[:49], Question("x", "Who?")])


def test_ridge_equals_the_solution_in_closed_form_and_others_have_not_seen_the_row() -> None:
    rows, wanted = rows_of(TEXTS[::3]), np.eye(4)[np.arange(40) % 4]
    folds = folds_of(TEXTS[::3], [None] * 40)
    weights, others = ridge(rows, BUCKETS, wanted, folds, 0.1)
    dense = dense_of(rows, 40)
    for fold in range(5):
        seen, held = folds != fold, folds == fold
        solved = np.linalg.solve(dense[seen] @ dense[seen].T + 0.1 * np.eye(seen.sum()), wanted[seen])
        assert np.allclose(others[held], dense[held] @ dense[seen].T @ solved, atol=1e-3)
    solved = np.linalg.solve(dense @ dense.T + 0.1 * np.eye(40), wanted)
    assert np.allclose(dense @ weights, dense @ dense.T @ solved, atol=1e-3)
    assert np.allclose((dense**2).sum(1), 1, atol=0.05)


def dense_of(rows: SparseRows, count: int) -> np.ndarray:
    found = np.zeros((count, BUCKETS), np.float32)
    whose = np.repeat(np.arange(count), np.diff(rows.begins, append=len(rows.places)))
    np.add.at(found, (whose, rows.places), rows.values)
    return found


NOUNS = [
    ("What city hosted the games?", ["city"]),
    ("What is the world 's second-lightest element ?", ["second-lightest", "element"]),
    ("What state boasts Stone Mountain ?", ["state"]),
    ("What kind of suit did he wear ?", ["suit"]),
    ("What beer 's name is translated ?", ["beer"]),
    ("When called upon to surrender , what American general replied so ?", ["american", "general"]),
]


@pytest.mark.parametrize(("question", "noun"), NOUNS)
def test_the_noun_asked_for_is_found(question: str, noun: list[str]) -> None:
    written = tokens(question)
    assert noun_asked_for(written, asking([token.lower() for token in written]))[0] == noun


def test_questions_written_as_trec_does_and_as_people_do_are_alike(teacher: Teacher) -> None:
    apart = ["What 's the `` White City '' of Spain ?", "What is the dog 's name , if it has one ?"]
    plain = ["What's the “White City” of Spain?", "What is the dog’s name, if it has one?"]
    assert teacher.label(apart).fine.tobytes() == teacher.label(plain).fine.tobytes()
