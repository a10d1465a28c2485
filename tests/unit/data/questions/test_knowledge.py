"""What is known of words is read as its files say it, and helps a teacher; what is no such file is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.errors import DataError
from gnomon.data.questions.features import BUCKETS, rows_of
from gnomon.data.questions.knowledge import Knowledge, load_knowledge
from gnomon.data.questions.question import Question
from gnomon.data.questions.teacher import load_teacher, teach
from gnomon.data.questions.vectors import load_vectors
from gnomon.data.questions.wordnet import load_wordnet

LICENCE = "  1 This software and database is being provided to you\n"
ABOVE = {"zorb": "quill", "quill": "beast", "beast": None, "flim": "town", "town": None}
"""Nouns that are in no list of words, and the kind of each."""


def write_wordnet(folder: Path) -> Path:
    """Write database files of these nouns, as wndb(5WN) says."""
    folder.mkdir()
    text, at = LICENCE, {}
    for noun in ABOVE:
        at[noun] = len(text)
        text += f'{len(text):08d} 03 n 01 {noun} 0 001 @ ######## n 0000 | an "@ 00000000 n 0000" of sorts  \n'
    for noun, kind in ABOVE.items():
        line = f"{at[noun]:08d} 03 n 01 {noun} 0 "
        new = f"001 @ {at[kind]:08d} n 0000" if kind else "001 ~ 00000000 n 0000"
        text = text.replace(f"{line}001 @ ######## n 0000", line + new)
    (folder / "data.noun").write_text(text)
    lines = [f"{noun} n 1 1 @ 1 0 {at[noun]:08d}  \n" for noun in sorted(ABOVE)]
    (folder / "index.noun").write_text(LICENCE + "".join(lines))
    (folder / "noun.exc").write_text("zorbim zorb\n")
    return folder


def write_vectors(path: Path, head: bool = False) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    found = {word: draw.normal(size=6).astype(np.float32) for word in [*ABOVE, "“odd”", "a.b"]}
    lines = [f"{word} {' '.join(f'{x:.6f}' for x in numbers)}\n" for word, numbers in found.items()]
    data = "".join([f"{len(found)} 6\n"] * head + lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return found


def test_wordnet_names_the_kinds_of_nouns_up_to_the_top(tmp_path: Path) -> None:
    folder = write_wordnet(tmp_path / "dict")
    wordnet, data = load_wordnet(folder), (folder / "data.noun").read_text()
    (kinds,) = wordnet.kinds_of("zorb")
    assert [data[at:].split()[4] for at in kinds] == ["zorb", "quill", "beast"]
    assert wordnet.kinds_of("zorbs") == wordnet.kinds_of("zorbim") == (kinds,)
    assert wordnet.kinds_of("unheard") == () and wordnet.lemma("beasts") == "beast"


@pytest.mark.parametrize("name", ["index.noun", "data.noun", "noun.exc"])
def test_wordnet_that_is_cut_missing_or_something_else_is_refused(tmp_path: Path, name: str) -> None:
    path = write_wordnet(tmp_path / "dict") / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(DataError, match="cut"):
        load_wordnet(path.parent)
    if name != "noun.exc":
        path.write_bytes(b"these are\nother lines\n")
        with pytest.raises(DataError, match=r"no file of WordNet|is cut"):
            load_wordnet(path.parent)
    if name == "data.noun":
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        with pytest.raises(DataError, match="does not have"):
            load_wordnet(path.parent)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        load_wordnet(path.parent)


@pytest.mark.parametrize(("name", "head"), [("v.txt", False), ("v.txt", True), ("v.txt.gz", True)])
def test_vectors_are_those_of_the_file_at_length_one(tmp_path: Path, name: str, head: bool) -> None:
    written = write_vectors(tmp_path / name, head)
    vectors = load_vectors(tmp_path / name)
    assert vectors.row.keys() == written.keys() and vectors.width == 6
    for word, numbers in written.items():
        assert np.allclose(vectors.of("unheard", word), numbers / np.linalg.norm(numbers), atol=2e-3)
    assert not vectors.of("unheard").any()


@pytest.mark.parametrize(
    ("line", "at"),
    [("cut 0.1 0.2", 3), ("odd 0.1 0.2 x 0.4 0.5 0.6", 3), ("odd 0.1 0.2 nan 0.4 0.5 0.6", 3), ("", 3), ("word", 3)],
)
def test_a_line_that_is_no_vector_is_named(tmp_path: Path, line: str, at: int) -> None:
    path = tmp_path / "v.txt"
    good = "a 1 2 3 4 5 6\n"
    path.write_text(good * (at - 1) + line + "\n" + good)
    with pytest.raises(DataError) as e:
        load_vectors(path)
    assert e.value.where == f"{path}:{at}"
    for nothing in ("", "400000 100\n"):
        path.write_text(nothing)
        with pytest.raises(DataError, match="no vectors"):
            load_vectors(path)
    path.write_text(good + "b 1 2 3 4 5 0.")
    with pytest.raises(DataError, match="cut"):
        load_vectors(path)


def test_a_word_may_have_spaces_in_it(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a 1 0\n. . . 0 1\n")
    vectors = load_vectors(tmp_path / "v.txt")
    assert vectors.of(". . .").tolist() == [0, 1] and vectors.of("a").tolist() == [1, 0]


def test_a_row_is_what_it_is_without_knowledge_and_more_and_the_same_in_any_company(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.txt")
    knowledge = load_knowledge(write_wordnet(tmp_path / "dict"), tmp_path / "v.txt")
    texts = ["What zorb sank?", "?", "Where does the flim of zorbim live?", "What is a beast?"]
    rows, plain = knowledge.rows(texts), rows_of(texts)
    for i, text in enumerate(texts):
        ends = [*rows.begins, len(rows.places)]
        mine = slice(ends[i], ends[i + 1])
        alone, bare = knowledge.rows([text]), rows_of([text])
        assert np.array_equal(rows.places[mine], alone.places) and np.array_equal(rows.values[mine], alone.values)
        kept = alone.places < BUCKETS
        assert np.array_equal(alone.places[kept], bare.places) and np.array_equal(alone.values[kept], bare.values)
        assert alone.places.max() < knowledge.width
    assert np.array_equal(Knowledge().rows(texts).places, plain.places) and Knowledge().width == BUCKETS


def test_a_teacher_tells_nouns_by_their_kind_and_needs_what_it_was_taught_with(tmp_path: Path) -> None:
    folder = write_wordnet(tmp_path / "dict")
    write_vectors(tmp_path / "v.txt")
    names = [chr(97 + i) + chr(97 + j) for i in range(6) for j in range(5)]
    asked = [Question("", f"What quill met {name}?", fine_type="ENTY:animal") for name in names]
    asked += [Question("", f"What flim met {name}?", fine_type="LOC:city") for name in names]
    knowing = load_knowledge(folder, None)
    teacher = teach(asked, knowing)
    new = ["What zorb met him?", "What town met him?"]
    labels = teacher.label(new)
    assert labels.six.argmax(1).tolist() == [2, 4], "kinds of ENTY and LOC"
    plain = teach(asked).label(new)
    assert np.abs(plain.fine[0] - plain.fine[1]).max() < np.abs(labels.fine[0] - labels.fine[1]).max()
    teacher.save(tmp_path / "teacher")
    again = load_teacher(tmp_path / "teacher", load_knowledge(folder, None))
    assert np.array_equal(again.label(new).fine, labels.fine)
    for other in (Knowledge(), load_knowledge(None, tmp_path / "v.txt"), load_knowledge(folder, tmp_path / "v.txt")):
        with pytest.raises(DataError, match="taught with"):
            load_teacher(tmp_path / "teacher", other)
