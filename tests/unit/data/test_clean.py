"""Repair: what it changes, what it never changes, and that twice is once."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.data.cleaning import clean
from gnomon.data.cleaning.clean import KINDS, mend, repair, repair_all

ODD = "ÃâðÐÑÅÂï€™œ“”©¼Ÿ\u00a0\u00ad\u2003\u200b\u200c\u200d\u200e\ufeff\ue000\ufffe\x85\x90\x00\x1b\x7f\r\v\f\u2028"
ODD += "Aa\u0301\u0303e☃👩🏴\U000e0067नी\u094dကก한\u1100\u1161\u11a8\u212b\ud83d\ude00\ud800 \t\n.[m1"
bits = st.sampled_from([*ODD, "\r\n", "\n\n\n", " \n", "â€™", "Ã©", "\x1b[31m", "\u200d\u200d", "A\u0303©"])
texts = st.lists(bits, max_size=30).map("".join) | st.text(max_size=30)
RIGHT = [
    "plain, of one line",
    "a\tb\n\n\nc",
    "naïve café — “quoted” … l’été à Æ",
    "MAÇÃ”, “Ã” e “Â” são letras; Ã²",
    "100 Å² or 3 mÅ–x, and Å’s harbour; Ä–Ö–Ü",
    "«Â», «déjà…» “caféé”»",
    "می\u200cخواهم 👩\u200d💻 ภาษา\u200bไทย",
    "日本語の　文章。 한국어 привет Ελλάδα עברית",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]


@settings(max_examples=150)
@given(texts, st.booleans())
@example("A\u0303\u00a9", True)
@example("a \x0b \x0b \x0b \x0b \x0b", True)
def test_repaired_once_is_repaired(text: str, mojibake: bool) -> None:
    once = mend(text, mojibake)
    assert mend(once.text, mojibake) == clean.Repaired(once.text)
    assert (once.text == text) == (not once.counts)
    assert set(once.counts) <= set(KINDS) and all(n > 0 for n in once.counts.values())
    once.text.encode()
    assert unicodedata.is_normalized("NFC", once.text)
    assert not any(c in once.text for c in "\r\x00\x7f\x85\u00a0\ufeff\u00ad")
    assert "\n\n\n\n" not in once.text and " \n" not in once.text and not once.text.endswith((" ", "\t"))


@pytest.mark.parametrize("text", RIGHT)
def test_text_that_is_right_stays(text: str) -> None:
    assert repair(text) == text
    both = text + "\n" + "don\u2019t"
    assert repair(both) == both


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_plain_text_stays(text: str) -> None:
    assert mend(text) == clean.Repaired(text)


@pytest.mark.parametrize(
    ("text", "repaired", "kind"),
    [
        ("a\r\nb\rc\x0cd\u2028e", "a\nb\nc\nd\ne", "line end"),
        ("a\x00b\x1b[1;31mc\x07", "abc", "control"),
        ("it\x92s \x93so\x94", "it’s “so”", "windows"),
        ("\ufeffso\u00adft\u200b \u202eand\u200d", "soft and", "invisible"),
        ("a\ue000b\U0010fffdc\ufffe", "abc", "private"),
        ("5\u00a0km\u2009!", "5 km !", "space"),
        ("cafe\u0301 \u212b", "café Å", "composed"),
        ("a  \nb\t\n c ", "a\nb\n c", "trailing"),
        ("a\n\n\n\n\nb", "a\n\n\nb", "blank lines"),
        ("\ud83d\ude00 \udc00", "😀 \ufffd", "surrogate"),
        ("x\U000e0067y", "xy", "invisible"),
    ],
)
def test_each_kind_is_repaired_and_counted(text: str, repaired: str, kind: str) -> None:
    found = mend(text)
    assert found.text == repaired and set(found.counts) == {kind}


@pytest.mark.parametrize("coding", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    "text",
    [
        "I don’t — “so”",
        "café MÜßIG españa",
        "привет мир",
        "12 € ™ ☃ → 😀",
        "Ελληνικά",
        "これは日本語",
        "État, cœur, ça",
        "100 £",
    ],
)
def test_mojibake_is_read_again(text: str, coding: str) -> None:
    garbled = "".join(bytes([b]).decode(coding, "ignore") or chr(b) for b in text.encode())
    assert garbled != text and repair(garbled) == text
    assert repair(garbled, mojibake=False) != text


def test_what_is_taken_for_composed_is_so_beside_anything() -> None:
    seconds = {unicodedata.normalize("NFD", chr(c))[1:] for c in range(0x10000) if not 0xD800 <= c < 0xE000}
    parts = set("".join(seconds))
    for code in range(0x10000):
        c = chr(code)
        if not clean._UNSURE.match(c):
            assert c not in parts and not unicodedata.combining(c) and unicodedata.normalize("NFC", c) == c


def test_counts_of_many_texts_are_the_sum() -> None:
    texts = ["a\u00a0b\u00a0c", "donâ€™t\u00a0", "plain"]
    repaired, counts = repair_all(texts)
    assert repaired == [repair(text) for text in texts] == ["a b c", "don’t", "plain"]
    assert counts == {"space": 3, "mojibake": 1, "trailing": 1}
