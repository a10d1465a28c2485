"""Scores of texts, by which rules can tell prose from what only fills pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.base.hashes import KEEP, PAD, Ints, hash_spans
from gnomon.data.cleaning import repetition
from gnomon.data.cleaning.repetition import LATER, TOP, Words

SCORES: dict[str, str] = {
    "characters": "characters of the text",
    "words": "words: what stands between white space",
    "mean_word_length": "characters a word",
    "letter_words": "share of words with a letter",
    "stop_words": "how many of the, be, to, of, and, that, have, with occur",
    "hashes_per_word": "# a word",
    "ellipses_per_word": "... and … a word",
    "lines": "lines that are not blank; every share of lines is of these",
    "bullet_lines": "share of lines that begin with • - or *",
    "ellipsis_lines": "share of lines that end with ... or …",
    "terminal_lines": "share of lines that end with a full stop, question or exclamation mark, or closing quotes",
    "short_lines": "share of lines of 30 characters or fewer",
    "newlines_per_word": "line ends a word",
    "duplicate_lines": "share of lines that stood before in the text",
    "duplicate_line_characters": "their share of the text's characters",
    "duplicate_paragraphs": "share of paragraphs that stood before; blank lines divide paragraphs",
    "duplicate_paragraph_characters": "their share of the text's characters",
    **{f"top_{n}gram": f"characters of the most frequent {n} words, all times it occurs, a character" for n in TOP},
    **{f"duplicate_{n}gram": f"share of characters in {n} words that stood before" for n in LATER},
    "sentences": "sentences in lines that C4 keeps",
    "lorem_ipsum": "1 where “lorem ipsum” occurs in any case, else 0",
    "curly_brackets": "how many { there are",
    "capitals": "share of ASCII letters that are capitals",
    "digits": "share of characters that are digits",
    "non_ascii": "share of characters outside ASCII",
}
"""Every score and what it says, in the order of their columns."""

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
POLICY = (b"javascript", b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies")
POLICY += (b"use cookies",)
SHORT_LINE, LONG_WORD, LINE_WORDS = 30, 1000, 3
GROUP_BYTES = 1 << 20
"""Of text worked on at once: arrays of some 40 MB."""

FRONT = b"\n" * 8
"""Before the first text, so that the three bytes before any place exist."""

_CODES = np.array([int.from_bytes(w.encode(), "little") for w in STOP_WORDS], np.uint64)
_STOP_ORDER = np.argsort(_CODES)
_CLOSERS, _ENDS = b"\"')]", b".!?"
_CURLY = [int.from_bytes(c.encode(), "big") for c in "”’"]
_FULL = [int.from_bytes(c.encode(), "big") for c in "。！？"]
_DOTS = [int.from_bytes(c.encode(), "big") for c in ("...", "…")]


def _table(*spans: tuple[int, int]) -> NDArray[np.bool_]:
    table = np.zeros(256, bool)
    for low, high in spans:
        table[low : high + 1] = True
    return table


LETTER = _table((65, 90), (97, 122), (0xC3, 0xE1), (0xE3, 0xED))
"""First bytes of what counts as a letter: A to Z, U+00C0 to U+1FFF and U+3000 to U+DFFF, which hold nearly all."""

_TERMINAL = _table(*((c, c) for c in b".!?\"'"))
_LAST = _table(*((c, c) for c in _ENDS + _CLOSERS), (0x99, 0x99), (0x9D, 0x9D))
_END = _table(*((c, c) for c in _ENDS))
_CLOSER = _table(*((c, c) for c in _CLOSERS))


def measure(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the scores of each text, float32 [texts, SCORES]; a score depends on its own text alone.

    White space is the ASCII kind, which is all that `clean.repair` leaves but for the ideographic space; scores by
    words say little of texts without spaces. A text without words has 0 everywhere. Whole numbers are exact up to 2^24.

    Where a score differs from datatrove 0.10, which took them from Gopher (arXiv 2112.11446, table A1), C4
    (arXiv 1910.10683) and FineWeb (arXiv 2406.17557): words are what stands between spaces, marks included, not
    spaCy's tokens. Lines are compared word by word, and blank ones are never counted (there in bullet and ellipsis
    lines they are). The most frequent run of words counts only if it occurs twice. Repeated runs of 5 to 10 words
    count each character that lies in any (Gopher's words), where theirs skips on by whole runs and finds some less. C4
    removes lines; here the lines it would keep are only counted in `sentences`, whose ends are words that end with
    . ! or ?, closing marks aside, so that an abbreviation is one too.
    """
    scores = np.zeros((len(texts), len(SCORES)), np.float32)
    for start, encoded in _grouped(texts):
        scores[start : start + len(encoded)] = _Group(encoded).scores()
    return scores


def _grouped(texts: Sequence[str]) -> Iterator[tuple[int, list[bytes]]]:
    start, size, group = 0, 0, []
    for number, text in enumerate(texts):
        data = text.encode("utf-8", "surrogatepass")
        if group and (size + len(data) > GROUP_BYTES or len(group) == repetition.MAX_TEXTS):
            yield start, group
            start, size, group = number, 0, []
        group.append(data)
        size += len(data)
    if group:
        yield start, group


@dataclass(frozen=True)
class _Lines:
    """Runs of words: the first word of each and the one after its last, its text, its characters."""

    first: Ints
    end: Ints
    text: Ints
    characters: Ints


class _Group:
    """Texts end to end as bytes, a line end between them, with where their words and lines are."""

    def __init__(self, texts: list[bytes]) -> None:
        self.whole = FRONT + b"\n".join(texts) + b"\n" + bytes(PAD)
        self.data = np.frombuffer(self.whole, np.uint8)
        ends = len(FRONT) + np.cumsum([len(t) + 1 for t in texts])
        self.begin, self.end = np.concatenate([[len(FRONT)], ends[:-1]]), ends - 1
        body = self.data[: ends[-1]]
        edges = np.flatnonzero(np.diff((body == 32) | (body - np.uint8(9) < 5)))
        self.starts, self.ends = edges[0::2] + 1, edges[1::2] + 1
        self.place = np.concatenate([[0], np.cumsum(self.data & 0xC0 != 0x80)])  # characters before each byte
        first = np.concatenate([np.searchsorted(self.starts, self.begin), [len(self.starts)]])
        text = np.repeat(np.arange(len(texts)), np.diff(first))
        hashes = hash_spans(self.data, self.starts, self.ends)
        self.words = Words(hashes, text, first, self.place[self.ends] - self.place[self.starts])
        self.lines, self.paragraphs = self._divide(np.flatnonzero(body == 10))

    def _divide(self, newlines: Ints) -> tuple[_Lines, _Lines]:
        """Return lines and paragraphs: a word begins one if one line end, or two, stand before it."""
        following = np.bincount(np.searchsorted(self.starts, newlines), minlength=len(self.starts) + 1)[:-1]
        opening = np.zeros(len(self.starts) + 1, bool)
        opening[self.words.first[:-1]] = True
        return self._runs(following > 0), self._runs((following > 1) | opening[:-1])

    def _runs(self, begins: NDArray[np.bool_]) -> _Lines:
        first = np.flatnonzero(begins)
        end = np.append(first[1:], len(begins)) if len(first) else first
        characters = self.place[self.ends[end - 1]] - self.place[self.starts[first]]
        return _Lines(first, end, self.words.text[first], characters)

    def scores(self) -> NDArray[np.float32]:
        """Return a row of scores for each text."""
        texts = len(self.begin)
        found = np.zeros((texts, len(SCORES)), np.float32)
        words = np.diff(self.words.first)
        characters = self.place[self.end] - self.place[self.begin]
        columns = {"characters": characters, "words": words, "stop_words": self._stop_words()}
        columns |= self._of_words(words) | self._of_bytes(characters, words) | self._of_lines()
        columns |= self._of_repeats(characters) | self._of_pages()
        for number, name in enumerate(SCORES):
            found[:, number] = columns[name]
        return np.where(words[:, None] > 0, found, np.float32(0))

    def _of_words(self, words: Ints) -> dict[str, NDArray]:
        total = self._sums(self.words.characters, self.words.first)
        flag = LETTER[self.data[self.starts]]
        rest = np.flatnonzero(~flag)
        letters = np.concatenate([[0], np.cumsum(LETTER.take(self.data))])
        flag[rest] = letters[self.ends[rest]] > letters[self.starts[rest]]
        return {
            "mean_word_length": _share(total, words),
            "letter_words": _share(self._sums(flag, self.words.first), words),
        }

    def _stop_words(self) -> Ints:
        """Return how many different ones each text has, in any case, between what are no letters."""
        body = self.data[: self.end[-1] + 1]
        edges = np.flatnonzero(np.diff(((body | 0x20) - np.uint8(97) < 26) | (body >= 0x80)))
        starts, lengths = edges[0::2] + 1, edges[1::2] - edges[0::2]
        short = lengths <= max(map(len, STOP_WORDS))
        starts, lengths = starts[short], lengths[short]
        eights = np.ndarray(len(self.data) - 7, "<u8", self.data, strides=(1,))
        codes = (eights[starts] | np.uint64(0x2020202020202020)) & KEEP[lengths]
        place = np.minimum(np.searchsorted(_CODES, codes, sorter=_STOP_ORDER), len(_CODES) - 1)
        hits = np.flatnonzero(_CODES[_STOP_ORDER[place]] == codes)
        seen = np.zeros((len(self.begin), len(STOP_WORDS)), bool)
        seen[np.searchsorted(self.begin, starts[hits], "right") - 1, place[hits]] = True
        return seen.sum(1)

    def _of_bytes(self, characters: Ints, words: Ints) -> dict[str, NDArray]:
        spans = list(zip(self.begin.tolist(), self.end.tolist(), strict=True))
        counts = np.array([np.bincount(self.data[a:b], minlength=256) for a, b in spans])
        capitals, small = counts[:, 65:91].sum(1), counts[:, 97:123].sum(1)
        dots = [self.whole.count(b"...", a, b) + self.whole.count("…".encode(), a, b) for a, b in spans]
        return {
            "hashes_per_word": _share(counts[:, ord("#")], words),
            "ellipses_per_word": _share(np.array(dots), words),
            "newlines_per_word": _share(counts[:, 10], words),
            "curly_brackets": counts[:, ord("{")],
            "capitals": _share(capitals, capitals + small),
            "digits": _share(counts[:, 48:58].sum(1), characters),
            "non_ascii": _share(counts[:, 0xC0:].sum(1), characters),
        }

    def _of_lines(self) -> dict[str, NDArray]:
        lines, last = self.lines, self._before(self.ends[self.lines.end - 1])
        count = np.bincount(lines.text, minlength=len(self.begin))
        start = self.starts[lines.first]
        bullet = (self.data[start] == ord("-")) | (self.data[start] == ord("*"))
        bullet |= self._before(start + 3) == int.from_bytes("•".encode(), "big")
        flags = {
            "bullet_lines": bullet,
            "ellipsis_lines": np.isin(last, _DOTS),
            "terminal_lines": self._terminal(last) | np.isin(last, [*_FULL, *_DOTS]),
            "short_lines": lines.characters <= SHORT_LINE,
        }
        shares = {name: _share(self._count(lines.text[flag]), count) for name, flag in flags.items()}
        return {"lines": count, **shares}

    def _of_repeats(self, characters: Ints) -> dict[str, NDArray]:
        found = {}
        for name, runs in (("line", self.lines), ("paragraph", self.paragraphs)):
            later = repetition.later_ones(repetition.hash_runs(self.words, runs.first), runs.text)
            repeated = np.zeros(len(self.begin), np.int64)
            np.add.at(repeated, runs.text[later], runs.characters[later])
            found[f"duplicate_{name}s"] = _share(self._count(runs.text[later]), self._count(runs.text))
            found[f"duplicate_{name}_characters"] = _share(repeated, characters)
        names = [f"top_{n}gram" for n in TOP] + [f"duplicate_{n}gram" for n in LATER]
        of_runs = repetition.repeated_runs(self.words, len(self.begin))
        return found | {name: _share(of_runs[:, i], characters) for i, name in enumerate(names)}

    def _of_pages(self) -> dict[str, NDArray]:
        """What C4 asks of a page: sentences in lines of three words or more that end as prose does, that have no
        endless word and do not speak of cookies, policies or JavaScript.
        """
        lines, lower = self.lines, self.whole.lower()
        last = self._before(self.ends[lines.end - 1])
        kept = (self._terminal(last) & ~np.isin(last, _DOTS)) & (lines.end - lines.first >= LINE_WORDS)
        starts = self.starts[lines.first]
        barred = [p for phrase in POLICY for p in _places(lower, phrase)]
        barred += self.starts[self.words.characters > LONG_WORD].tolist()
        kept[np.searchsorted(starts, np.array(barred, np.int64), "right") - 1] = False
        ends = np.concatenate([[0], np.cumsum(self._sentence_ends())])
        sentences = np.zeros(len(self.begin), np.int64)
        np.add.at(sentences, lines.text[kept], ends[lines.end[kept]] - ends[lines.first[kept]])
        lorem = np.zeros(len(self.begin), np.int64)
        lorem[np.searchsorted(self.begin, np.array(_places(lower, b"lorem ipsum"), np.int64), "right") - 1] = 1
        return {"sentences": sentences, "lorem_ipsum": lorem}

    def _sentence_ends(self) -> NDArray[np.bool_]:
        ending = np.zeros(len(self.ends), bool)
        places = np.flatnonzero(_LAST[self.data[self.ends - 1]])
        at = self.ends[places]
        last, curly = self.data[at - 1], np.isin(self._before(at), _CURLY)
        mark = np.where(curly, self.data[at - 4], np.where(_CLOSER[last], self.data[at - 2], last))
        ending[places] = _END[mark]
        return ending

    def _terminal(self, last: Ints) -> NDArray[np.bool_]:
        return _TERMINAL[last & 0xFF] | np.isin(last, _CURLY)

    def _before(self, places: Ints) -> Ints:
        """The three bytes before each place, as one number."""
        three = [self.data[places - back].astype(np.int64) for back in (3, 2, 1)]
        return (three[0] << 16) | (three[1] << 8) | three[2]

    def _count(self, text: Ints) -> Ints:
        return np.bincount(text, minlength=len(self.begin))

    def _sums(self, values: NDArray, first: Ints) -> Ints:
        return np.diff(np.concatenate([[0], np.cumsum(values, dtype=np.int64)])[first])


def _places(data: bytes, phrase: bytes) -> list[int]:
    found, at = [], data.find(phrase)
    while at >= 0:
        found.append(at)
        at = data.find(phrase, at + len(phrase))
    return found


def _share(part: Ints, whole: Ints) -> NDArray[np.float64]:
    return part / np.maximum(whole, 1)
