"""The words of many texts as hashes: equal for equal words, whatever their case, accents or punctuation."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

CHUNK_CHARACTERS = 1 << 17
"""Hashed at once: the arrays of a chunk stay in a core's cache (122 MB/s of Wikipedia; 50 with 16 times as many)."""

BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
INVERSE = pow(BASE, -1, 1 << 64)
MIX = np.uint64(0xD6E8FEB86659FD93)

SEPARATOR, ALONE, SEVERAL, UNSEEN = 0, 1 << 30, 1 << 31, (1 << 32) - 1
"""What the table says of a character besides what it folds to: it stands between words; it is a word by itself; it
folds to none or more than one, which `_several` holds; it has not been looked up yet."""

SPACELESS = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Kana and Han: there are no spaces between words, so each character is one."""


@dataclass(frozen=True)
class Words:
    """The words of texts that were joined: their hashes, and the characters `start` to `stop` of the joined text.

    `begins` says where each text begins there, and, last, where one behind the last would.
    """

    hashes: NDArray[np.uint64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    begins: NDArray[np.int64]

    def text_of(self, words: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the text that each of some words is in."""
        return np.searchsorted(self.begins, self.start[words], side="right") - 1

    def counts(self) -> NDArray[np.int64]:
        """Return the number of words of each text."""
        return np.diff(np.searchsorted(self.start, self.begins))

    def grams(self, length: int) -> NDArray[np.uint64]:
        """Return the hash of every `length` words in a row, also of those between which a text ends."""
        count = max(0, len(self.hashes) + 1 - length)
        return (self._sums[length:] - self._sums[:count]) * powers(count)[1][:count]

    def grams_at(self, words: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
        """Return the hashes of the `length` words that begin at each of some words."""
        return (self._sums[words + length] - self._sums[words]) * powers(len(self.hashes))[1][words]

    @cached_property
    def _sums(self) -> NDArray[np.uint64]:
        sums = np.zeros(len(self.hashes) + 1, np.uint64)
        np.cumsum(self.hashes * powers(len(self.hashes))[0][: len(self.hashes)], out=sums[1:])
        return sums


def chunks(texts: Sequence[str]) -> Iterator[tuple[int, Words]]:
    """Yield the words of about CHUNK_CHARACTERS of text at a time, with the number of the first text among them."""
    first = size = 0
    for number, text in enumerate(texts):
        if size and size + len(text) > CHUNK_CHARACTERS:
            yield first, words_of(texts[first:number])
            first, size = number, 0
        size += len(text)
    if first < len(texts):
        yield first, words_of(texts[first:])


def words_of(texts: Sequence[str]) -> Words:
    """Return the words of some texts: runs of letters and digits, as `fold` leaves them.

    Texts that differ in normal form, case, accents, punctuation and white space alone have the same words.
    """
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    folded, origin = _folded(codes)
    inside = folded != SEPARATOR
    before = np.zeros(len(inside) + 1, bool)  # whether the character before is inside a word
    before[1:] = inside
    opens = inside & ~before[:-1]
    if folded.max(initial=0) >= ALONE:
        before_alone = np.zeros_like(before)
        before_alone[1:] = folded >= ALONE
        opens |= inside & (before_alone[1:] | before_alone[:-1])
    start = np.flatnonzero(opens)
    stop = np.flatnonzero(before & np.append(~inside | opens, True))
    hashes = _hashes(folded, start)
    if origin is not None:
        start, stop = origin[start], origin[stop - 1] + 1
    begins = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) + 1 for text in texts], out=begins[1:])
    return Words(hashes, start, stop, begins)


def _folded(codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64] | None]:
    """Return what stands for the characters, and where each comes from; None where it is one for one."""
    folded = _TABLE[codes]
    if folded.max(initial=0) < SEVERAL:
        return folded, None
    unseen = codes[folded == UNSEEN]
    if unseen.size:
        for code in np.unique(unseen).tolist():
            _learn(code)
        folded = _TABLE[codes]
    places = np.flatnonzero(folded >= SEVERAL)
    if not places.size:
        return folded, None
    into = [_several[code] for code in codes[places].tolist()]
    lengths = np.ones(len(folded), np.int64)
    lengths[places] = [len(one) for one in into]
    origin = np.repeat(np.arange(len(folded)), lengths)
    folded = folded[origin]
    folded[folded >= SEVERAL] = np.concatenate(into)
    return folded, origin


def _hashes(folded: NDArray[np.uint32], start: NDArray[np.int64]) -> NDArray[np.uint64]:
    if not start.size:
        return np.zeros(0, np.uint64)
    up, down = powers(len(folded))
    found = np.add.reduceat(folded * up[: len(folded)], start) * down[start]
    found ^= found >> np.uint64(32)
    found *= MIX
    found ^= found >> np.uint64(29)
    found *= MIX
    return found


def powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return at least `count` powers of BASE, and their inverses, modulo 2**64."""
    return _powers(max(2 * CHUNK_CHARACTERS, 1 << count.bit_length()))


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    both = np.empty((2, count), np.uint64)
    both[:, 0], both[0, 1:], both[1, 1:] = 1, BASE, INVERSE
    np.multiply.accumulate(both, axis=1, out=both)
    return both[0], both[1]


def fold(character: str) -> str:
    """Return what stands for a character: its letters and digits, without case, accents and what is invisible; a
    space for each character that is neither.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    kinds = [(c, unicodedata.category(c)) for c in plain]
    return "".join(c if kind[0] in "LN" else " " for c, kind in kinds if kind[0] != "M" and kind != "Cf")


_TABLE = np.full(0x110000, UNSEEN, np.uint32)
_several: dict[int, NDArray[np.uint32]] = {}


def _learn(code: int) -> None:
    into = [_value(c) for c in fold(chr(code))]
    _several[code] = np.array(into, np.uint32)
    _TABLE[code] = into[0] if len(into) == 1 else SEVERAL | code


def _value(character: str) -> int:
    code = ord(character)
    if any(low <= code <= high for low, high in SPACELESS):
        return ALONE | code
    return SEPARATOR if character == " " else code
