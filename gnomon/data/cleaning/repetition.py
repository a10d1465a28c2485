"""How much of each text repeats what it said before: its lines, its paragraphs, its runs of words."""

from dataclasses import dataclass

import numpy as np

from gnomon.base.hashes import STEP, Hashes, Ints, mix

TOP, LATER = (2, 3, 4), (5, 6, 7, 8, 9, 10)
"""Words in a run: of these the most frequent one counts, of those every later occurrence."""

MAX_TEXTS = 1 << 12
"""Of one call: a key has 12 bits for the text and 52 for the hash, so that no text is grouped with another."""


@dataclass(frozen=True)
class Words:
    """The words of some texts: `text` is the text of each, `first` for each text its first word and at the end their
    number, `characters` the length of each.
    """

    hashes: Hashes
    text: Ints
    first: Ints
    characters: Ints


def hash_runs(words: Words, starts: Ints) -> Hashes:
    """Return a hash for each run of words that begins at `starts` and goes on to the next: equal words, equal hash."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = np.diff(starts, append=len(words.hashes))
    powers = np.cumprod(np.full(lengths.max(), STEP))
    place = np.arange(len(words.hashes)) - np.repeat(starts, lengths)
    return np.add.reduceat(words.hashes * powers[place], starts) + lengths.astype(np.uint64)


def later_ones(hashes: Hashes, text: Ints) -> Ints:
    """Return, in order, which items occurred before in the same text."""
    order, first = _groups(hashes, text)
    if not len(order):
        return order
    earliest = np.minimum.reduceat(order, first)
    return np.sort(order[order != np.repeat(earliest, np.diff(first, append=len(order)))])


def repeated_runs(words: Words, texts: int) -> Ints:
    """Return how many characters of each text lie in runs of words that repeat: a column for each length in TOP and
    LATER.

    Of TOP: occurrences times length, spaces between words included, of the run that occurs most often, the longest
    where several do; 0 where none occurs twice. Of LATER: characters of the words that lie in any run that occurred
    before, each once. A run can repeat only if its beginning does, so each length looks only at what the one below
    left: about the time of sorting the words once.
    """
    found = np.zeros((texts, len(TOP) + len(LATER)), np.int64)
    before = np.concatenate([[0], np.cumsum(words.characters)])
    end = words.first[words.text + 1]
    at, hashes = np.arange(len(words.text)), words.hashes
    for length in range(2, LATER[-1] + 1):
        whole = at + length <= end[at]
        at = at[whole]
        hashes = hashes[whole] * STEP + words.hashes[at + length - 1]
        order, first = _groups(hashes, words.text[at])
        at, hashes = at[order], hashes[order]
        if not len(at):
            break
        sizes = np.diff(first, append=len(at))
        if length in TOP:
            run = at[first]
            size = before[run + length] - before[run] + length - 1
            best = np.zeros(texts, np.int64)
            np.maximum.at(best, words.text[run], (sizes << 32) + size)
            found[:, length - 2] = (best >> 32) * (best & 0xFFFFFFFF)
        else:
            later = np.sort(at[at != np.repeat(np.minimum.reduceat(at, first), sizes)])
            upto = np.minimum(later + length, np.append(later[1:], len(words.text)))
            np.add.at(found[:, length - 2], words.text[later], before[upto] - before[later])
    return found


def _groups(hashes: Hashes, text: Ints) -> tuple[Ints, Ints]:
    """Return the items that are not alone in their text, equal ones together, and where each group of them begins."""
    keys = (text.astype(np.uint64) << np.uint64(52)) | (mix(hashes) >> np.uint64(12))
    order = np.argsort(keys)
    keys = keys[order]
    new = np.concatenate([[True], keys[1:] != keys[:-1], [True]])
    shared = ~(new[1:] & new[:-1]) if len(keys) else np.zeros(0, bool)
    return order[shared], np.flatnonzero(new[:-1][shared] if len(keys) else shared)
