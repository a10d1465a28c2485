"""Folds of questions in which what is nearly the same question stays together."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from gnomon.base.seeds import derive

FOLDS = 5
NEAR = (9, 10)
"""Two questions are near when they share at least so much of their words: 9 of 10."""

_WORD = re.compile(r"\w+")


def folds_of(questions: Sequence[str], types: Sequence[str | None], folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Return the fold of each question, int64 [n]; questions that are near each other have one, also over others.

    Each type is spread evenly as far as that allows. Their order changes nothing.
    """
    members: dict[int, list[int]] = {}
    for i, group in enumerate(_groups([_words(question) for question in questions])):
        members.setdefault(group, []).append(i)
    named = []
    for every in members.values():
        counts = Counter(str(types[i]) for i in every)
        common = min(counts, key=lambda name: (-counts[name], name))
        first = min(" ".join(_words(questions[i])) for i in every)
        named.append((-len(every), derive(seed, "fold", first), first, common, every))
    found = np.zeros(len(questions), np.int64)
    whole, of_type = [0] * folds, Counter[tuple[str, int]]()
    for *_, common, every in sorted(named):
        fold = min(range(folds), key=lambda f: (of_type[common, f], whole[f], f))
        found[every] = fold
        whole[fold] += len(every)
        for i in every:
            of_type[str(types[i]), fold] += 1
    return found


def near(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether two sets of words share 9 of 10 words of both together."""
    return NEAR[1] * len(one & other) >= NEAR[0] * len(one | other)


def near_any(questions: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Return of each question whether it is near one of the others, also over questions between them."""
    groups = _groups([_words(question) for question in [*questions, *others]])
    theirs = set(groups[len(questions) :])
    return [group in theirs for group in groups[: len(questions)]]


def _words(question: str) -> list[str]:
    return _WORD.findall(question.casefold())


def _groups(questions: list[list[str]]) -> list[int]:
    """Return a number for each question, equal for those that are near, also by others between them.

    Of two near sets, sorted by how rare their words are, the first tenth of the words of each and one more have a word
    in common: only those that do are compared.
    """
    sets: dict[frozenset[str], int] = {}
    place = [sets.setdefault(frozenset(words), len(sets)) for words in questions]
    parent = list(range(len(sets)))
    rarity = Counter(word for words in sets for word in words)
    beginning: dict[str, list[frozenset[str]]] = {}
    for words in sets:
        ordered = sorted(words, key=lambda word: (rarity[word], word))
        for word in ordered[: len(words) - -(-NEAR[0] * len(words) // NEAR[1]) + 1]:
            for other in beginning.setdefault(word, []):
                if _root(parent, sets[words]) != _root(parent, sets[other]) and near(words, other):
                    parent[_root(parent, sets[words])] = _root(parent, sets[other])
            beginning[word].append(words)
    return [_root(parent, i) for i in place]


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = i = parent[parent[i]]
    return i
