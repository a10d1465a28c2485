"""Finds items of evaluation suites in texts, and takes them out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.data.contamination.short import Short
from gnomon.data.contamination.suites import Item, Part
from gnomon.data.contamination.words import Words, chunks

Action = Literal["drop", "cut", "flag"]

WORDS = 8
"""In an n-gram. Of texts cut in half and of texts with one word in 20 changed, 0.995 and 1.000 are found; with 13 words
0.92 to 0.97 and 0.96, and no fewer flags by mistake (bench/decontamination.py).
"""

SHORTEST = 7
"""Words of the shortest text that is searched for. In 80 MB of Wikipedia no such text of 74,000 items stood by chance;
of 6 words one did, of 5 words three.
"""

THRESHOLD = 0.4
"""The share of a text that must be there. Of a text cut in half, half is."""

EVIDENCE = 12
"""Words that must be there of a text that is not there as a whole: names and titles have fewer."""

FEW_DOCUMENTS = 10
"""What stands in more documents of a source than this, and than the square root of their number, is boilerplate."""

FEW_TEXTS = 20
"""What stands in more different texts of items than this is how the suite asks, not what it asks."""

KEPT_CHARACTERS = 200
"""A document of which a cut would leave less is dropped."""

REACH = 100
"""Characters within which a cut looks for white space."""

FORM = 2
"""Of what is searched for and how: part of a recipe with suites, so that neither what an older form counted nor a
dataset made by it is taken for this one's. 2: short texts, with n-grams of their own.
"""

ENDLESS = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Target:
    """A text that is searched for: a part of an item, `question+answer` where the question alone is too short."""

    suite: str
    item: str
    part: str
    text: str


@dataclass(frozen=True)
class Hit:
    """An item in a document: how much of which part, and where. `found` is the document from `start` to `end`."""

    suite: str
    item: str
    part: str
    text: str
    coverage: float
    start: int
    end: int
    found: str


@dataclass(frozen=True)
class Weights:
    """What n-grams and words of an index count for in one source; 0 for boilerplate.

    `sums` and `telling` add up, over the words of all targets, their weights and how many have any; `short` is what the
    n-grams of short targets count for, `short_telling` which of their words lie in none that counts for nothing.
    """

    grams: NDArray[np.int64]
    sums: NDArray[np.int64]
    telling: NDArray[np.int64]
    short: NDArray[np.int64]
    short_telling: NDArray[np.bool_]


@dataclass(frozen=True)
class Index:
    """The n-grams of all targets. `Index.build` makes it; it can be sent to other processes.

    `keys` are their hashes in rising order; `places[first[k] : first[k + 1]]` are the words, counted over all targets,
    at which n-gram k begins; target t has the words from `base[t]` on, and n-grams of `lengths[t]` words. `template`
    marks n-grams of more than FEW_TEXTS texts; `anchors` are the hashes of the first `shortest` words of n-grams.
    """

    targets: tuple[Target, ...]
    unsearched: tuple[tuple[str, str], ...]
    shortest: int
    keys: NDArray[np.uint64]
    first: NDArray[np.int64]
    places: NDArray[np.int64]
    base: NDArray[np.int64]
    lengths: NDArray[np.int64]
    template: NDArray[np.bool_]
    anchors: NDArray[np.uint64]
    short: Short

    @staticmethod
    def build(items: Sequence[Item], words: int = WORDS, contexts: bool = False) -> "Index":
        """Return the index of some items' questions, answers and choices, and contexts where they are asked for.

        A text of fewer than `words` words is one n-gram. Answers and choices need EVIDENCE words, and must not be a
        piece of the item's own context: then they are words of a public passage. Of an item without a question or
        answer that is long enough, question and answer are one text. `unsearched` names the items that have none.
        """
        shortest = min(SHORTEST, words)
        targets, without = _targets(items, shortest, contexts)
        texts = [t.text for t in targets]
        numbers = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        asked = [numbers[text] for text in texts]
        counts = _word_counts(texts)
        lengths = np.minimum(counts, words)
        base = np.concatenate([[0], np.cumsum(counts)])
        keys, places, anchors = _grams(texts, base, lengths, shortest)
        order = np.lexsort((places, keys))
        keys, places = keys[order], places[order]
        unique, first = np.unique(keys, return_index=True)
        first = np.append(first, len(keys))
        key_of = np.repeat(np.arange(len(unique)), np.diff(first))
        pairs = np.unique(key_of * len(asked) + np.array(asked, np.int64)[_owner(base, places)])
        shared = np.bincount(pairs // max(1, len(asked)), minlength=len(unique)) > FEW_TEXTS
        unsearched = tuple((items[n].suite, items[n].id) for n in without)
        short = Short.build(texts, FEW_TEXTS)
        return Index(tuple(targets), unsearched, shortest, unique, first, places, base, lengths, shared, anchors, short)

    def counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return in how many of the texts each n-gram is, those of short targets last: of batches and of sources they
        add up.
        """
        parts = list(chunks(texts))
        found = self._matches(parts)
        short = [(number, words, *self.short.matches(words)) for number, words in parts]
        text = np.concatenate([found.text[:0], *(number + words.text_of(at) for number, words, at, _ in short)])
        key = np.concatenate([found.key[:0], *(key for *_, key in short)])
        return np.concatenate([_documents(found.text, found.key, self.keys), _documents(text, key, self.short.keys)])

    def weigh(self, counts: NDArray[np.int64], documents: int, boilerplate: NDArray[np.bool_] | None = None) -> Weights:
        """Return weights for a corpus in which each n-gram is in `counts` of `documents`: the rarer, the more.

        An n-gram weighs the whole part of log2(documents / count), plus 1, so that no two machines differ; one that is
        boilerplate, or in more than FEW_TEXTS texts, nothing. A word weighs what its lightest n-gram does.
        """
        rarity = np.frexp(np.maximum(1, documents // np.maximum(1, counts)).astype(np.float64))[1].astype(np.int64)
        rarity[np.concatenate([self.template, self.short.template])] = 0
        if boilerplate is not None:
            rarity[boilerplate] = 0
        rarity, short = np.split(rarity, [len(self.keys)])
        of_gram = np.full(int(self.base[-1]), ENDLESS)
        of_gram[self.places] = np.repeat(rarity, np.diff(self.first))
        length = np.repeat(self.lengths, np.diff(self.base))
        of_word = of_gram.copy()
        for behind in range(1, int(self.lengths.max(initial=0))):
            reaching = np.where(length > behind, of_gram, ENDLESS)[:-behind]
            np.minimum(of_word[behind:], reaching, out=of_word[behind:])
        sums = np.concatenate([[0], np.cumsum(of_word)])
        return Weights(rarity, sums, np.concatenate([[0], np.cumsum(of_word > 0)]), short, self.short.telling(short))

    def silenced(self, weights: Weights) -> list[Target]:
        """Return the targets that cannot be found, because too many of their words are boilerplate."""
        few = np.diff(weights.telling[self.base]) < np.minimum(EVIDENCE, np.diff(self.base))
        return [self.targets[t] for t in np.flatnonzero(few)]

    def hits(self, texts: Sequence[str], weights: Weights, threshold: float = THRESHOLD) -> list[list[Hit]]:
        """Return, for each text, the targets of which it holds at least `threshold` in one place, by where they begin.

        What counts is the weight of the words that lie in a common n-gram; a match further from the one before than
        the target is long opens another place. Of what is not found so, short texts are that are nearly there, or half,
        and stand by themselves.
        """
        parts = list(chunks(texts))
        found = self._matches(parts)
        counted = weights.grams[found.key] > 0
        found = _Matches(*(array[counted] for array in found))
        each = np.repeat(np.arange(len(found.key)), np.diff(self.first)[found.key])
        offsets = np.arange(len(each)) - np.searchsorted(each, each)
        text, word, start, end = found.text[each], found.word[each], found.start[each], found.end[each]
        place = self.places[self.first[found.key[each]] + offsets]
        target = _owner(self.base, place)
        order = np.lexsort((place, word, target, text))
        text, word, start, end, place, target = (a[order] for a in (text, word, start, end, place, target))
        opens = np.ones(len(order), bool)
        far = np.diff(word) > np.diff(self.base)[target[1:]]
        opens[1:] = (np.diff(text) != 0) | (np.diff(target) != 0) | far
        covered, telling = self._covered(np.cumsum(opens), place, target, weights)
        at = np.flatnonzero(opens)
        text, target = text[at], target[at]
        whole = weights.sums[self.base[target + 1]] - weights.sums[self.base[target]]
        start, end = (np.minimum.reduceat(start, at), np.maximum.reduceat(end, at)) if len(at) else (start, end)
        hits: list[list[Hit]] = [[] for _ in texts]
        known = set[tuple[int, int]]()
        enough = np.minimum(EVIDENCE, np.diff(self.base)[target])
        for n in np.flatnonzero((covered >= threshold * whole) & (telling >= enough)).tolist():
            of, a, b, into = self.targets[target[n]], int(start[n]), int(end[n]), int(text[n])
            share = float(covered[n] / whole[n])
            hits[into].append(Hit(of.suite, of.item, of.part, of.text, share, a, b, texts[into][a:b]))
            known.add((into, int(target[n])))
        for number, words in parts:
            for inside, near in self.short.find(words, texts[number:], weights.short, weights.short_telling, threshold):
                if (number + inside, near.target) not in known:
                    of, found_text = self.targets[near.target], texts[number + inside][near.start : near.end]
                    share = near.words / int(self.base[near.target + 1] - self.base[near.target])
                    hit = Hit(of.suite, of.item, of.part, of.text, share, near.start, near.end, found_text)
                    hits[number + inside].append(hit)
        return [sorted(one, key=lambda h: (h.start, h.end, h.suite, h.item, h.part, h.text)) for one in hits]

    def _covered(
        self, cluster: NDArray[np.int64], place: NDArray[np.int64], target: NDArray[np.int64], weights: Weights
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the weight and the number of telling words that the n-grams of each cluster cover, none twice."""
        if not len(cluster):
            return cluster, cluster
        order = np.lexsort((place, cluster))
        cluster, place, target = cluster[order], place[order], target[order]
        stop = place + self.lengths[target]
        begin = place.copy()
        again = np.diff(cluster) == 0
        begin[1:][again] = np.maximum(place[1:], stop[:-1])[again]
        begin = np.minimum(begin, stop)
        at = np.flatnonzero(np.append(True, ~again))
        return (
            np.add.reduceat(weights.sums[stop] - weights.sums[begin], at),
            np.add.reduceat(weights.telling[stop] - weights.telling[begin], at),
        )

    def _matches(self, parts: Sequence[tuple[int, Words]]) -> "_Matches":
        """Return where n-grams of the index are in chunks of texts."""
        found = [_Matches(*[np.zeros(0, np.int64)] * 5)]
        lengths = np.unique(self.lengths).tolist()
        for number, words in parts:
            at = np.flatnonzero(self._may_open[self._leading(words.grams(self.shortest))])
            for length in lengths:
                here = at[at + length <= len(words.hashes)]
                keys = words.grams_at(here, length)
                key = np.searchsorted(self.keys, keys)
                known = self.keys[np.minimum(key, len(self.keys) - 1)] == keys
                here, key = here[known], key[known]
                text = words.text_of(here)
                inside = text == words.text_of(here + length - 1)
                here, key, text = here[inside], key[inside], text[inside]
                begins = words.begins[text]
                end = words.stop[here + length - 1] - begins
                found.append(_Matches(text + number, here, key, words.start[here] - begins, end))
        return _Matches(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def _leading(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the first bits of hashes: so many that there are 16 to 32 times as many of these as n-grams."""
        bits = min(28, max(16, len(self.keys).bit_length() + 4))
        return (hashes >> np.uint64(64 - bits)).view(np.int64)

    @cached_property
    def _may_open(self) -> NDArray[np.bool_]:
        """For each value of a hash's first bits, whether an n-gram may begin with words that have such a hash."""
        table = np.zeros(1 << min(28, max(16, len(self.keys).bit_length() + 4)), bool)
        table[self._leading(self.anchors)] = True
        return table


class _Matches(NamedTuple):
    """N-grams in texts: which text, which of the chunk's words, which n-gram, and the characters it covers."""

    text: NDArray[np.int64]
    word: NDArray[np.int64]
    key: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def _documents(text: NDArray[np.int64], key: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return in how many texts each n-gram is."""
    pairs = np.unique(text * len(keys) + key)
    return np.bincount(pairs % max(1, len(keys)), minlength=len(keys))


def boilerplate(counts: NDArray[np.int64], documents: int) -> NDArray[np.bool_]:
    """Return which n-grams are boilerplate in a source: licences, statutes, forms, which many of its documents share.

    That is more than FEW_DOCUMENTS of them, and more than the square root of their number: an item that was copied
    into a source over and over stays under it, what 1 in 30 of 1,000 documents or 1 in 1,000 of a million say does not.
    """
    return counts > max(FEW_DOCUMENTS, math.isqrt(documents))


def apply(text: str, hits: Sequence[Hit], action: Action, margin: int = 200) -> str | None:
    """Return the text without its hits; None where the document is to be dropped.

    `cut` takes out each hit with `margin` characters on either side, to the nearest white space, and joins what is left
    by blank lines; if that is less than KEPT_CHARACTERS, the document is dropped. `flag` changes nothing.
    """
    if not hits or action == "flag":
        return text
    if action == "drop":
        return None
    kept, at = [], 0
    for start, end in _spans(text, hits, margin):
        kept.append(text[at:start].rstrip() if at == 0 else text[at:start].strip())
        at = end
    kept.append(text[at:].lstrip())
    left = "\n\n".join(piece for piece in kept if piece.strip())
    return left if len(left) >= KEPT_CHARACTERS else None


def _spans(text: str, hits: Sequence[Hit], margin: int) -> list[tuple[int, int]]:
    """Return what is to be cut, in order, none touching another."""
    spans: list[tuple[int, int]] = []
    for hit in sorted(hits, key=lambda h: h.start):
        start, end = _white(text, hit.start - margin, hit.start, -1), _white(text, hit.end + margin, hit.end, 1)
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def _white(text: str, place: int, hit: int, outward: int) -> int:
    """Return the place of the white space nearest to `place`, outside the hit; `place` where there is none near by."""
    if not 0 < place < len(text):
        return min(max(place, 0), len(text))
    for far in range(REACH):
        for at in (place + far * outward, place - far * outward):
            if (hit - at) * outward <= 0 and 0 <= at < len(text) and text[at].isspace():
                return at
    return place


def _targets(items: Sequence[Item], shortest: int, contexts: bool) -> tuple[list[Target], list[int]]:
    """Return the texts to search for, and the numbers of the items that have none."""
    parts = [(n, p) for n, item in enumerate(items) for p in item.parts if contexts or p.role != "context"]
    counts = _word_counts([part.text for _, part in parts]).tolist()
    long = [
        count >= (EVIDENCE if part.role in ("answer", "choice") else shortest) and not _quoted(part, items[n])
        for (n, part), count in zip(parts, counts, strict=True)
    ]
    told = {n for (n, part), enough in zip(parts, long, strict=True) if enough and part.role != "choice"}
    joined = [(n, text) for n, item in enumerate(items) if n not in told for text in _joined(item)]
    longer = (_word_counts([text for _, text in joined]) >= shortest).tolist()
    found = [(n, part.role, part.text) for (n, part), enough in zip(parts, long, strict=True) if enough]
    found += [(n, "question+answer", text) for (n, text), enough in zip(joined, longer, strict=True) if enough]
    targets = [Target(items[n].suite, items[n].id, role, text) for n, role, text in found]
    return targets, sorted(set(range(len(items))).difference(n for n, _, _ in found))


def _quoted(part: Part, item: Item) -> bool:
    """Return whether an answer is a piece of the context."""
    return part.role == "answer" and any(part.text in other.text for other in item.parts if other.role == "context")


def _joined(item: Item) -> list[str]:
    """Return each question of an item with its first answer that is no piece of the context."""
    answers = (part.text for part in item.parts if part.role == "answer" and not _quoted(part, item))
    answer = next(answers, None)
    questions = [part.text for part in item.parts if part.role == "question"]
    return [] if answer is None else [f"{question} {answer}" for question in questions]


def _word_counts(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *(words.counts() for _, words in chunks(texts))])


def _grams(
    texts: Sequence[str], base: NDArray[np.int64], lengths: NDArray[np.int64], shortest: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]:
    """Return the hashes of the texts' n-grams, the word at which each begins, and the hashes of their first words."""
    keys, places, anchors = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for number, words in chunks(texts):
        before = base[number]
        every = np.arange(len(words.hashes))
        target = number + words.text_of(every)
        for length in np.unique(lengths[target]).tolist():
            fits = (lengths[target] == length) & (before + every + length <= base[target + 1])
            at = np.flatnonzero(fits)
            keys.append(words.grams_at(at, length))
            places.append(before + at)
            anchors.append(words.grams_at(at, shortest))
    return np.concatenate(keys), np.concatenate(places), np.unique(np.concatenate(anchors))


def _owner(base: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which target each place is in."""
    return np.searchsorted(base, places, side="right") - 1
