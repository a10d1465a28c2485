"""Questions with some of their words changed for others: for a teacher to label, so that who learns from it meets more
words where the answer's type hangs on them than any file has.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from gnomon.base.seeds import derive, scatter

COMMON = 60
"""So many words, the commonest, stay: they are what makes a question of this kind."""
CHANGED = 0.5
"""Of the other words, about so many are changed, and one at least."""

_PARTS = re.compile(r"\w+|\W+")


def altered(questions: Sequence[str], words: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` questions, each one of `questions` with words changed for words of the same shape (a number, a
    capital, neither) out of `words`, which are texts. The same on any machine; fewer where nothing can be changed.
    """
    counts = Counter(part for text in words for part in _PARTS.findall(text) if part[0].isalnum())
    low = Counter[str]()
    for word, n in counts.items():
        low[word.lower()] += n
    common = {word for word, _ in sorted(low.items(), key=lambda one: (-one[1], one[0]))[:COMMON]}
    pools: list[list[str]] = [[], [], []]
    for word in sorted(counts):
        if word.lower() not in common:
            pools[_shape(word)].append(word)
    # drawn by the root of how often they occur, which is the same number on any machine
    ends = [np.cumsum(np.sqrt([float(counts[word]) for word in pool])) for pool in pools]
    parts = [_PARTS.findall(question) for question in questions]
    open_ = [
        [i for i, part in enumerate(one) if part[0].isalnum() and part.lower() not in common and pools[_shape(part)]]
        for one in parts
    ]
    bases = [i for i, places in enumerate(open_) if places]
    chosen = [bases[i % len(bases)] for i in range(count)] if bases else []
    draws = iter(_uniform(sum(2 * len(open_[i]) + 1 for i in chosen), derive(seed, "altered")).tolist())
    return ["".join(_changed(parts[i], open_[i], pools, ends, [next(draws) for _ in open_[i] * 2] + [next(draws)]))
            for i in chosen]  # fmt: skip


def _changed(
    parts: list[str], places: list[int], pools: list[list[str]], ends: list[np.ndarray], draws: list[float]
) -> list[str]:
    """Return the parts, some places' changed; `draws` say of each place whether and for what, and which is, if none."""
    found, (some, what, (one,)) = list(parts), (draws[: len(places)], draws[len(places) : -1], draws[-1:])
    changed = [i for i, draw in enumerate(some) if draw < CHANGED] or [int(one * len(places))]
    for i in changed:
        shape = _shape(parts[places[i]])
        at = int(np.searchsorted(ends[shape], what[i] * ends[shape][-1], side="right"))
        found[places[i]] = pools[shape][min(at, len(pools[shape]) - 1)]
    return found


def _shape(word: str) -> int:
    return 0 if word.isdigit() else 1 if word[0].isupper() else 2


def _uniform(count: int, seed: int) -> np.ndarray:
    """Return numbers from 0 to 1."""
    return (scatter(np.arange(count, dtype=np.uint64), seed) >> np.uint64(11)) * 2.0**-53
