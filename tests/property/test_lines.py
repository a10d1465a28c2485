"""Repeated lines: what stands in many records is found and cut exactly as plain Python with a dict does it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.data.duplicates import lines as module
from gnomon.data.duplicates.lines import lines_of, repeated, without
from tests.unit.data.slow_lines import cut_lines

LETTERS = "aAbß \t\r\n\n\x0b\x1c\x85\xa0é\u0301\u1680\u2000\u2009\u2028\u202f\u205f\u3000\u3001語Ⅷ\U0001f600\ufeff1"
few_lines = st.lists(st.sampled_from(["", " ", "same line", "SAME\u00a0LINE", "other line", "x" * 9 + "語", "y"]))
texts_of_all_kinds = st.lists(few_lines.map("\n".join) | st.text(st.sampled_from(LETTERS), max_size=40), max_size=8)


def fast(texts: list[str], characters: int, more_than: int) -> list[str]:
    lines = lines_of(texts, characters)
    found = repeated(lines.hashes, lines.text[lines.at], more_than)
    changed = without(texts, lines, found.goes(lines.hashes, lines.text[lines.at]))
    for number, (text, numbers) in changed.items():
        parts = [line + "\n" for line in texts[number].split("\n")]
        cut = sum(len(parts[n].encode()) for n in numbers) - (numbers[-1] == len(parts) - 1)
        assert len(texts[number].encode()) == len(text.encode()) + cut  # bytes in = bytes kept + bytes cut
    return [changed[i][0] if i in changed else text for i, text in enumerate(texts)]


@given(texts_of_all_kinds, st.integers(1, 9), st.integers(1, 3))
@example(["keep this\n\nsame\n\nend", "same\n\n\n", "x\n\nsame", "x\n\nsame\n\n ", "\n\nsame\n\ny\n", "same", ""], 4, 1)
@example(["ÉTÉ à la mer", "e\u0301te\u0301 A\u0300  LA MER", "ete a la mer", "Straße 1", "STRASSE 1", "Straße 2"], 3, 1)
@example(["12345678abc", "12345678 ABC", "12345678abd", "12345678cab", "ab\ncd", "abcd"], 2, 1)
@settings(max_examples=120, deadline=None)
def test_lines_are_cut_as_plain_python_cuts_them(texts: list[str], characters: int, more_than: int) -> None:
    assert fast(texts, characters, more_than) == cut_lines(texts, characters, more_than)


@given(texts_of_all_kinds, st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_line_has_the_same_hash_in_any_company(texts: list[str], characters: int) -> None:
    whole = lines_of(texts, characters)
    alone = [lines_of([text], characters) for text in texts]
    for name in ("characters", "hashes"):
        assert getattr(whole, name).tolist() == [v for part in alone for v in getattr(part, name).tolist()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_CHARACTERS", 5)
        small = lines_of(texts, characters)
    assert all(np.array_equal(getattr(whole, name), getattr(small, name)) for name in vars(whole))


def test_every_kind_of_white_space_is_nothing_and_no_other_character_is() -> None:
    every = [chr(code) for code in range(0x10000) if chr(code) != "\n" and not 0xD800 <= code < 0xE000]
    sizes = lines_of(["\n".join(every)], 1).characters
    blank = {character for character, size in zip(every, sizes.tolist(), strict=True) if not size}
    assert blank == {character for character in every if character.isspace()}


def test_a_hash_is_what_it_was_in_every_release() -> None:
    lines = lines_of(["All rights reserved, by the author of this page.", "É"], 1)
    assert lines.hashes.tolist() == [12949077940579987673, 1783032731431338607]
