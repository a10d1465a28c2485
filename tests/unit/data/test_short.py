"""Short texts that are nearly there are those that a plain alignment, word by word, finds."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.contamination import short
from gnomon.data.contamination.short import Near, Short
from gnomon.data.contamination.words import words_of

THRESHOLD = 0.4


def aligned(target: list[str], text: list[str], begin: int, shift: int) -> list[bool]:
    """Where the target's words are in the text if it begins at `begin`, or so many words further."""
    at = [begin + shift + k for k in range(len(target))]
    return [0 <= i < len(text) and text[i] == word for i, word in zip(at, target, strict=True)]


def slow(target: list[str], text: str) -> tuple[int, int, int] | None:
    """How many words of a target are in a text, and the characters from the first to the last, of the best place."""
    marks = [*re.finditer("[a-z]+", text)]
    words = [m[0] for m in marks]
    size, best = len(target), None
    seeds = {i - j for j in range(size - 3) for i in range(len(words) - 3) if words[i : i + 4] == target[j : j + 4]}
    for begin in sorted(seeds):
        by = {shift: aligned(target, words, begin, shift) for shift in (0, -1, 1)}
        for shift in (-1, 1):
            row = [False, *by[shift], False]
            by[shift] = [row[k + 1] and (row[k] or row[k + 2]) for k in range(size)]
        there = {k: shift for shift in (1, -1, 0) for k in range(size) if by[shift][k]}
        inner = sorted(there)
        lead = next((k for k in range(size) if not by[0][k]), size)
        trail = next((k for k in range(size) if not by[0][size - 1 - k]), size)
        if lead == size or len(inner) < 6 or len(inner) < THRESHOLD * size:
            continue  # it is there as a whole, which is not looked for here, or hardly at all
        near = size - len(inner) <= 1  # one in 20
        if near:
            first, last, held = begin + there[inner[0]], begin + size - 1 + there[inner[-1]], len(inner)
        elif size >= 12 and max(lead, trail) >= max(6, THRESHOLD * size):
            held = max(lead, trail)
            first = begin if lead >= trail else begin + size - trail
            last = first + held - 1
        else:
            continue
        first, last = max(first, 0), min(last, len(words) - 1)
        before = text[marks[first - 1].end() : marks[first].start()] if first else "\n"
        behind = text[marks[last].end() : marks[last + 1].start()] if last + 1 < len(words) else "\n"
        alone = all(set(between) & set(".?!:;|\n") for between in (before, behind))
        if not alone and not (near and size >= 12):
            continue
        found = held, marks[first].start(), marks[last].end()
        best = max(best or found, found, key=lambda one: (one[0], -one[1]))
    return best


word = st.sampled_from([*map(str, "abcdefgh")])
between = st.sampled_from([" ", " ", " ", ". ", "\n"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[str]], list[str]]:
    """Targets, and texts that hold them with a word changed, put in or left out, or cut off, or anything."""
    targets = draw(st.lists(st.lists(word, min_size=7, max_size=23), min_size=1, max_size=3))
    texts = []
    for _ in range(draw(st.integers(1, 3))):
        words = list(draw(st.sampled_from(targets)))
        for _ in range(draw(st.integers(0, 2))):
            at, by = draw(st.integers(0, len(words) - 1)), draw(st.lists(word, max_size=2))
            words[at : at + draw(st.integers(0, 1))] = by
        words = words[draw(st.integers(0, 3)) :] if draw(st.booleans()) else words[: draw(st.integers(6, 30))]
        inside = "".join(f"{one}{draw(between) if n % 5 == 4 else ' '}" for n, one in enumerate(words))
        around = [" ".join(draw(st.lists(word, max_size=6))) for _ in range(2)]
        texts.append(f"{around[0]}{draw(between)}{inside.strip()}{draw(between)}{around[1]}")
    return targets, texts


@given(cases())
@settings(max_examples=80, deadline=None)
def test_what_is_nearly_there_is_what_a_plain_alignment_finds(case: tuple[list[list[str]], list[str]]) -> None:
    targets, texts = case
    index = Short.build([" ".join(one) for one in targets], few=20)
    rarity = np.ones(len(index.keys), np.int64)
    found = index.find(words_of(texts), texts, rarity, index.telling(rarity), THRESHOLD)
    expected = [
        (n, Near(t, *place))
        for n, text in enumerate(texts)
        for t, own in enumerate(targets)
        if (place := slow(own, text))
    ]
    assert sorted(found) == sorted(expected)


def test_the_limits_of_the_slow_one_are_those_in_use() -> None:
    assert (short.SEED, short.FEWEST, short.ANYWHERE, short.ONE_IN, short.LONG) == (4, 6, 12, 20, 24)
    assert frozenset(".?!:;|\n") == short.ENDS
