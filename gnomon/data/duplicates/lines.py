"""Lines of documents as numbers, which of them stand in many documents, and texts without these.

What a line is. What stands between two line ends ("\\n"). Two are the same if they are after NFC, case folding and
without white space. Digits, accents and punctuation tell lines apart: a sum, a table's row or a line of code that
differs in them alone says something else. (CCNet drops all three: right for menus, wrong for "So 3 + 4 = 7 are left".)
A line counts if it then has so many characters: shorter ones ("}", "Yes.", "Chapter 3") stand in many documents
because there is little else to say.

Which goes. One that stands in more than so many records stays in the first record that has it and goes from all
others, as C4 keeps one of its equal spans of three sentences and Dolma the first of its equal paragraphs: what was said
is still said once. Blank lines after a line that goes, and before an end that goes, go with it. A record is a document,
or all parts of a long one.

A hash has 64 bits: of 10^9 different lines two share one with a chance of 3 %.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.hashes import PAD, Hashes, Ints, hash_spans

FORM = 2
"""Of what a line is and which goes: part of a recipe that looks for them."""
CHUNK_CHARACTERS = 1 << 20
"""Of text in one go."""

WHITE = bytes(code for code in (*range(9, 14), *range(28, 33)) if code != 10)
LOWER = bytes(code + 32 if 65 <= code <= 90 else code for code in range(256))
SPACES = {0xC2: ("85", "a0"), 0xE1: ("9a80",), 0xE3: ("8080",)}
SPACES[0xE2] = (*(f"80{n:02x}" for n in (*range(0x80, 0x8B), 0xA8, 0xA9, 0xAF)), "819f")
"""White space beyond ASCII in UTF-8: what follows each first byte."""


@dataclass(frozen=True)
class Lines:
    """All lines of some texts: of each the text it is in and its `characters` without white space; `at` says which
    count, `hashes` what they say.
    """

    text: Ints
    characters: Ints
    at: Ints
    hashes: Hashes


@dataclass(frozen=True)
class Repeated:
    """Lines that stand in more records than allowed, by hash, rising: in how many, and the first of them."""

    hashes: Hashes
    records: Ints
    first: Ints

    def goes(self, hashes: Hashes, records: Ints) -> np.ndarray:
        """Return which lines, by their hashes and the records that they are in, are to go from these."""
        if not len(self.hashes):
            return np.zeros(len(hashes), bool)
        which = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return (self.hashes[which] == hashes) & (self.first[which] != records)


def lines_of(texts: Sequence[str], characters: int) -> Lines:
    """Return the lines of texts; those of at least so many characters count."""
    parts, first, size = list[Lines](), 0, 0
    for number, text in enumerate(texts):
        if size and size + len(text) > CHUNK_CHARACTERS:
            parts.append(_lines(texts[first:number], first, characters))
            first, size = number, 0
        size += len(text)
    parts.append(_lines(texts[first:], first, characters))
    before = np.cumsum([0, *(len(part.text) for part in parts)])
    return Lines(
        np.concatenate([part.text for part in parts]),
        np.concatenate([part.characters for part in parts]),
        np.concatenate([part.at + shift for part, shift in zip(parts, before, strict=False)]),
        np.concatenate([part.hashes for part in parts]),
    )


def _lines(texts: Sequence[str], first: int, characters: int) -> Lines:
    """Return the lines of texts; the first of them has the number `first`."""
    if not texts:
        none = np.zeros(0, np.int64)
        return Lines(none, none, none, np.zeros(0, np.uint64))
    plain = _folded(texts)
    data = np.frombuffer(plain + bytes(PAD), np.uint8)
    ends = np.append(np.flatnonzero(data[: len(plain)] == 10), len(plain))
    starts = np.append(0, ends[:-1] + 1)
    size = ends - starts
    if not plain.isascii():
        inside = np.flatnonzero((data & 0xC0) == 0x80)  # bytes that begin no character
        size = size - np.searchsorted(inside, ends) + np.searchsorted(inside, starts)
    at = np.flatnonzero(size >= characters)
    text = np.repeat(np.arange(first, first + len(texts)), [text.count("\n") + 1 for text in texts])
    return Lines(text, size, at, hash_spans(data, starts[at], ends[at]))


def _folded(texts: Sequence[str]) -> bytes:
    """Return the texts, a line end between them, with what does not tell lines apart taken out; no line end is."""
    folded = (t if t.isascii() else unicodedata.normalize("NFC", t).casefold() for t in texts)
    whole = "\n".join(folded).encode("utf-8", "surrogatepass")
    if not whole.isascii():
        whole = _without_spaces(whole)
    return whole.translate(LOWER, WHITE)


def _without_spaces(whole: bytes) -> bytes:
    """Return UTF-8 with spaces of ASCII in place of every byte of the others."""
    data = np.frombuffer(whole + bytes(2), np.uint8)
    blank = list[Ints]()
    for lead, ways in SPACES.items():
        at = np.flatnonzero(data == lead)
        for way in map(bytes.fromhex, ways) if len(at) else ():
            found = at[data[at + 1] == way[0]]
            if len(way) == 2:
                found = found[data[found + 2] == way[1]]
            blank += [found + byte for byte in range(len(way) + 1) if len(found)]
    if not blank:
        return whole
    data = data[:-2].copy()
    data[np.concatenate(blank)] = 32
    return data.tobytes()


def repeated(hashes: Hashes, records: Ints, more_than: int) -> Repeated:
    """Return the lines that stand in more than so many records. Equal hashes must have rising records."""
    order = np.argsort(hashes, kind="stable")
    hashes, records = hashes[order], records[order]
    new = np.ones(len(hashes), bool)
    new[1:] = hashes[1:] != hashes[:-1]
    once = new.copy()  # a line that a record has twice counts once
    once[1:] |= records[1:] != records[:-1]
    hashes, records, begin = hashes[once], records[once], np.flatnonzero(new[once])
    counts = np.diff(begin, append=len(hashes))
    many = counts > more_than
    return Repeated(hashes[begin[many]], counts[many], records[begin[many]])


def without(texts: Sequence[str], lines: Lines, goes: np.ndarray) -> dict[int, tuple[str, list[int]]]:
    """Return what is left of each text that loses something, and which of its lines go. `goes` says which of the lines
    that count are to go; the blank ones beside them go too.
    """
    gone = np.zeros(len(lines.text), bool)
    gone[lines.at] = goes
    gone |= _blank_beside(lines, gone)
    first = np.searchsorted(lines.text, np.arange(len(texts) + 1))
    found: dict[int, tuple[str, list[int]]] = {}
    for number in map(int, np.unique(lines.text[gone])):
        mine = gone[first[number] : first[number + 1]]
        parts = texts[number].split("\n")
        kept = [part + "\n" for part, cut in zip(parts, mine.tolist(), strict=True) if not cut]
        if kept and not mine[-1]:
            kept[-1] = kept[-1][:-1]  # nothing ends the last line of a text
        found[number] = "".join(kept), np.flatnonzero(mine).tolist()
    return found


def _blank_beside(lines: Lines, gone: np.ndarray) -> np.ndarray:
    """Return which blank lines come after one that goes, or before an end that goes: up to the next line that stays."""
    if not len(lines.text):
        return gone
    number, full = np.arange(len(gone)), lines.characters > 0
    begin = np.append(True, lines.text[1:] != lines.text[:-1])
    opens = np.maximum.accumulate(np.where(begin, number, 0))
    before = np.maximum.accumulate(np.where(full, number, -1))  # the last line that is not blank, here or before
    after_one = (before >= opens) & gone[before]
    ends = np.append(np.flatnonzero(begin)[1:], len(gone)) - 1
    stays = np.maximum.accumulate(np.where(full & ~gone, number, -1))
    last = np.repeat(ends, np.diff(ends, prepend=-1))
    end_goes = (before[last] >= opens) & gone[before[last]]
    return ~full & (after_one | (end_goes & (number > stays[last])))
