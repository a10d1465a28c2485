"""Every score, against the same score written plainly; and that no text's scores depend on its neighbours."""

from itertools import permutations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.data.cleaning import quality
from gnomon.data.cleaning.quality import SCORES, measure
from tests.unit.data.slow_scores import slow_scores

WORDS = "the be To of. and that have with a bb cat. dog! (why?) “Ja.” ’ ... … .. # {x} • - * 12 3a é Ünder 漢字 。 — x…"
WORDS += " cookies uses privacy policy Javascript lorem ipsum the-be THE's a.) .” ]."
WORDS += " extraordinarily-long internationalisation"
PIECES = [*WORDS.split(), "w" * 1001, "terms of use", "\ud800", "\U0001f600", "end.)", "\u00a0", "\x00", "\x1c"]
GAPS = [" ", " ", " ", "\n", "\n\n", "\n \n", "  ", "\t", "\r\n", "", "\v"]
lively = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GAPS)), max_size=60).map(
    lambda pairs: "".join(piece + gap for piece, gap in pairs)
)
repetitive = st.lists(st.sampled_from(["a", "b", "of the", "c.\n", "d e f\n\n"]), max_size=80).map(" ".join)
texts = lively | repetitive | st.text(max_size=40)


def expected(text: str) -> np.ndarray:
    found = slow_scores(text)
    return np.array([found[name] if found else 0 for name in SCORES], np.float64).astype(np.float32)


@settings(max_examples=60)
@given(st.lists(texts, max_size=5))
@example(["", " \n", "\n\nx", "x", "", "x\n"])
@example([" ".join("".join(p) for p in permutations(("a" * 8, "b" * 8, "c" * 8, "dd"))) + "\n" + "x" * 20])
@example(["\n".join("".join(p) for p in permutations(("a" * 8, "b" * 8, "c" * 8, "d" * 8)))])
@example(["a b c d e f g h i j k l " * 30, "same line.\n" * 20, "one two.\n\n" * 4])
def test_every_score_is_the_plainly_written_one_to_the_last_bit(batch: list[str]) -> None:
    measured = measure(batch)
    assert measured.dtype == np.float32 and measured.shape == (len(batch), len(SCORES))
    for text, row in zip(batch, measured, strict=True):
        plain = expected(text)
        assert {n: (a, b) for n, a, b in zip(SCORES, row, plain, strict=True) if a != b} == {}


def test_a_score_depends_on_its_own_text_alone(monkeypatch) -> None:
    drawn = np.random.default_rng(5)
    batch = [" ".join(drawn.choice(PIECES[:45], drawn.integers(0, 80))) for _ in range(60)] + ["", "x"]
    alone = np.concatenate([measure([text]) for text in batch])
    assert np.array_equal(measure(batch), alone)
    monkeypatch.setattr(quality, "GROUP_BYTES", 700)
    assert np.array_equal(measure(batch), alone)
    monkeypatch.setattr(quality.repetition, "MAX_TEXTS", 3)
    assert np.array_equal(measure(batch[::-1]), alone[::-1])


def test_more_texts_than_a_group_holds_are_all_measured() -> None:
    batch = ["a b a b"] * (quality.repetition.MAX_TEXTS + 2)
    assert (measure(batch) == measure(batch[:1])).all()
