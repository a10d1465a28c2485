"""Finds short texts of which a word was changed, or a half was cut off: no eight words in a row are left of these.

A text of fewer than LONG words is looked for by four words in a row, and laid beside the place where these stand, word
by word, or one word further where one was put in or left out. What any text says is nearly some question: "is not a
member of the United Nations" is one word from one. So what is not there whole must stand by itself, as an item does:
begin and end where a sentence does. Half a question of ten words says nothing: five words in a row stand everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.data.contamination.words import Words, chunks

LONG = 24
"""Words of a text of which a half is evidence wherever it stands."""

SEED = 4
"""Words in a row: of eight with one changed, four are left. By three, nine times as many places would be compared."""

FEWEST = 6
"""Words that must be there. In 83 MB of Wikipedia, 153 such halves of 49,000 texts stood inside a sentence, and one
alone, where the text was cut into pieces.
"""

ANYWHERE = 12
"""Words of a text that is found inside a sentence too, with one changed, and of which a half by itself is found. Of
shorter ones 19 were in as much text, whole ones among them, and a half is any heading: "the South Shore of Staten
Island".
"""

ONE_IN = 20
"""Of so many words one may be another; and one of fewer."""

ENDS = frozenset(".?!:;|\n")
"""What stands between sentences, or between the cells of a table."""

SHIFTS = (0, -1, 1)  # words by which what follows a word that was put in or left out is further on


class Near(NamedTuple):
    """A short text in a document: which target, how many of its words are there, and the characters."""

    target: int
    words: int
    start: int
    end: int


@dataclass(frozen=True)
class Short:
    """The words of short targets, and their n-grams of SEED words, laid out as in an Index.

    `target` says which of the index's each is; `base` where its words begin in `hashes`.
    """

    target: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    base: NDArray[np.int64]
    keys: NDArray[np.uint64]
    first: NDArray[np.int64]
    places: NDArray[np.int64]
    template: NDArray[np.bool_]

    @staticmethod
    def build(texts: Sequence[str], few: int) -> "Short":
        """Return what is short among the texts. What stands in more than `few` different ones is how a suite asks."""
        counts = np.concatenate([np.zeros(0, np.int64), *(words.counts() for _, words in chunks(texts))])
        target = np.flatnonzero((counts > FEWEST) & (counts < LONG))
        mine = [texts[t] for t in target.tolist()]
        base = np.concatenate([[0], np.cumsum(counts[target])])
        hashes, keys, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for number, words in chunks(mine):
            grams = words.grams(SEED)
            at = _inside(words, np.arange(len(grams)))
            hashes.append(words.hashes)
            keys.append(grams[at])
            places.append(base[number] + at)
        place, key = np.concatenate(places), np.concatenate(keys)
        order = np.lexsort((place, key))
        place, key = place[order], key[order]
        unique, first = np.unique(key, return_index=True)
        first = np.append(first, len(key))
        numbers = {text: n for n, text in enumerate(dict.fromkeys(mine))}
        asked = np.array([numbers[text] for text in mine], np.int64)
        of = np.repeat(np.arange(len(unique)), np.diff(first))
        pairs = np.unique(of * len(mine) + asked[np.searchsorted(base, place, side="right") - 1])
        template = np.bincount(pairs // max(1, len(mine)), minlength=len(unique)) > few
        return Short(target, np.concatenate(hashes), base, unique, first, place, template)

    def matches(self, words: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the words at which n-grams begin in a chunk, and which n-grams these are."""
        grams = words.grams(SEED)
        at = np.flatnonzero(self._may_open[self._leading(grams)])
        key = np.searchsorted(self.keys, grams[at])
        known = self.keys[np.minimum(key, len(self.keys) - 1)] == grams[at]
        at, key = at[known], key[known]
        inside = np.isin(at, _inside(words, at), assume_unique=True)
        return at[inside], key[inside]

    def telling(self, rarity: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which words of the targets are in no n-gram that weighs nothing."""
        plain = np.zeros(len(self.hashes) + SEED, bool)
        for ahead in range(SEED):
            plain[self.places + ahead] |= np.repeat(rarity == 0, np.diff(self.first))
        return ~plain[: len(self.hashes)]

    def find(
        self,
        words: Words,
        texts: Sequence[str],
        rarity: NDArray[np.int64],
        telling: NDArray[np.bool_],
        threshold: float,
    ) -> list[tuple[int, Near]]:
        """Return, with the number of the text, the targets that are nearly there in the texts of a chunk, or of which a
        part is that is `threshold` of it; of several places in a text, the first that holds most.
        """
        target, at, text = self._places(words, rarity)
        if not len(target):
            return []
        size, base = np.diff(self.base)[target], self.base[target]
        edges = np.searchsorted(words.start, words.begins)
        column = np.arange(LONG - 1)
        own = np.minimum(base[:, None] + column, len(self.hashes) - 1)
        theirs = at[:, None] + column
        equal = np.stack([self._equal(words, own, theirs + shift, edges, text) for shift in SHIFTS])
        equal &= column < size[:, None]
        run = np.pad(equal[1:], ((0, 0), (0, 0), (1, 1)))
        equal[1:] &= run[:, :, :-2] | run[:, :, 2:]  # one word alone is chance
        there: NDArray[np.bool_] = np.asarray(equal.any(axis=0))
        held = there.sum(axis=1)
        told = (there & telling[own]).sum(axis=1)
        lead = np.logical_and.accumulate(equal[0], axis=1).sum(axis=1)
        straight = np.where(column < size[:, None], equal[0], True)
        trail = np.logical_and.accumulate(straight[:, ::-1], axis=1).sum(axis=1) - (LONG - 1 - size)
        near = size - held <= np.maximum(1, size // ONE_IN)
        part = (np.maximum(lead, trail) >= np.maximum(FEWEST, threshold * size)) & (size >= ANYWHERE)
        enough = (told >= FEWEST) & (held >= threshold * size) & (lead < size)
        best: dict[tuple[int, int], Near] = {}
        for n in np.flatnonzero(enough & (near | part)).tolist():
            if near[n]:
                which = equal[:, n].argmax(axis=0)
                inner = np.flatnonzero(there[n])
                first = int(at[n]) + SHIFTS[which[inner[0]]]
                last = int(at[n]) + int(size[n]) - 1 + SHIFTS[which[inner[-1]]]
            else:
                first = int(at[n]) + (0 if lead[n] >= trail[n] else int(size[n] - trail[n]))
                last = first + int(max(lead[n], trail[n])) - 1
            low, high = int(edges[text[n]]), int(edges[text[n] + 1]) - 1
            first, last, into = max(first, low), min(last, high), int(text[n])
            anywhere = near[n] and size[n] >= ANYWHERE
            if anywhere or _alone(words, texts[into], first, last, (low, high), int(words.begins[into])):
                count = int(held[n] if near[n] else max(lead[n], trail[n]))
                begins = int(words.begins[into])
                found = Near(int(target[n]), count, int(words.start[first]) - begins, int(words.stop[last]) - begins)
                best[into, found.target] = max(best.get((into, found.target), found), found, key=_most)
        return [(into, found._replace(target=int(self.target[found.target]))) for (into, _), found in best.items()]

    def _places(
        self, words: Words, rarity: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return targets, the word at which each would begin, and the text: each where some n-gram says so."""
        at, key = self.matches(words)
        at, key = at[rarity[key] > 0], key[rarity[key] > 0]
        each = np.repeat(np.arange(len(key)), np.diff(self.first)[key])
        place = self.places[self.first[key[each]] + np.arange(len(each)) - np.searchsorted(each, each)]
        target = np.searchsorted(self.base, place, side="right") - 1
        text, begin = words.text_of(at[each]), at[each] - (place - self.base[target])
        order = np.lexsort((text, begin, target))
        target, begin, text = target[order], begin[order], text[order]
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(target) != 0) | (np.diff(begin) != 0) | (np.diff(text) != 0)
        return target[new], begin[new], text[new]

    def _equal(
        self,
        words: Words,
        own: NDArray[np.int64],
        theirs: NDArray[np.int64],
        edges: NDArray[np.int64],
        text: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        inside = (theirs >= edges[text][:, None]) & (theirs < edges[text + 1][:, None])
        return inside & (words.hashes[np.clip(theirs, 0, len(words.hashes) - 1)] == self.hashes[own])

    @cached_property
    def _may_open(self) -> NDArray[np.bool_]:
        table = np.zeros(1 << self._bits, bool)
        table[self._leading(self.keys)] = True
        return table

    @property
    def _bits(self) -> int:
        return min(28, max(12, len(self.keys).bit_length() + 4))

    def _leading(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the first bits of hashes, by which most n-grams are passed over at once."""
        return (hashes >> np.uint64(64 - self._bits)).view(np.int64)


def _inside(words: Words, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those n-grams between whose words no text ends."""
    return at[words.text_of(at) == words.text_of(at + SEED - 1)]


def _most(found: Near) -> tuple[int, int]:
    return found.words, -found.start


def _alone(words: Words, text: str, first: int, last: int, edges: tuple[int, int], begins: int) -> bool:
    """Return whether some words of a text begin and end where a sentence does."""
    low, high = edges
    before = text[int(words.stop[first - 1]) - begins : int(words.start[first]) - begins] if first > low else "\n"
    behind = text[int(words.stop[last]) - begins : int(words.start[last + 1]) - begins] if last < high else "\n"
    return not ENDS.isdisjoint(before) and not ENDS.isdisjoint(behind)
