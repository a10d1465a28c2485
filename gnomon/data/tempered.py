"""So much of each source in the tokenizer's sample as training will read of it by `mix.temperature`.

That goes by tokens, and before there is a tokenizer none can be counted. So one is learned from a little of each
source, and what it makes of other documents says how many tokens a byte of the source has.
"""

from collections.abc import Callable, Mapping

import numpy as np

from gnomon.data.corpus import TRAIN, Corpus
from gnomon.data.streaming.mix import parts_of
from gnomon.data.streaming.weights import by_temperature
from gnomon.tokenizer.tokenizer import Tokenizer

TRIAL_BYTES = 1 << 20
"""Of each source, that the first tokenizer is learned from and tried on."""
BATCH = 256
"""Documents encoded at once."""

Learn = Callable[[np.ndarray, np.ndarray], Tokenizer]
"""Returns the tokenizer learned from documents, by their numbers and ids."""


def tempered_weights(
    corpus: Corpus, trial: tuple[np.ndarray, np.ndarray], learn: Learn, temperature: float, budgets: Mapping[str, int]
) -> dict[str, float]:
    """Return the weight of each source that has training text, a domain being one: (its share of the tokens) to the
    power of 1/temperature, in whole parts as training has them. `trial` are numbers and ids of documents of each.

    `budgets` are the most tokens of a whole source. How long the run will be is not known here, so that
    `mix.max_epochs` does not count.
    """
    tokens = {name: count for name, count in estimated_tokens(corpus, trial, learn, budgets).items() if count}
    return dict(zip(tokens, parts_of(by_temperature(tokens, temperature), list(tokens)), strict=True))


def estimated_tokens(
    corpus: Corpus, trial: tuple[np.ndarray, np.ndarray], learn: Learn, budgets: Mapping[str, int]
) -> dict[str, int]:
    """Return about how many tokens of each source will be trained on, each document beginning with end-of-text.

    Of the documents of `trial`, in the order of their ids, every other one of each source is learned from; the rest are
    counted, or all where there is one.
    """
    chosen, ids = trial
    rising = np.sort(chosen)
    names, of = corpus.sources_of(rising)
    of = of[np.searchsorted(rising, chosen)]
    inside = [np.flatnonzero(of == i) for i in range(len(names))]
    halves = np.sort(np.concatenate([mine[::2] for mine in inside]))
    tokenizer = learn(chosen[halves], ids[halves])
    numbers, _, sizes = corpus.ids_of(TRAIN)
    _, whose = corpus.sources_of(numbers)
    found: dict[str, int] = {}
    for i, (name, mine) in enumerate(zip(names, inside, strict=True)):
        there = sizes[whose == i]
        seen = mine[1::2] if len(mine) > 1 else mine
        counted, size = _counted(corpus, np.sort(chosen[seen]), tokenizer)
        found[name] = len(there) + counted * int(there.sum()) // size if size else 0
    for source, budget in budgets.items():
        domains = [name for name in names if name.partition("/")[0] == source]
        whole = sum(found[name] for name in domains)
        if whole > budget:
            found |= {name: found[name] * budget // whole for name in domains}
    return found


def _counted(corpus: Corpus, numbers: np.ndarray, tokenizer: Tokenizer) -> tuple[int, int]:
    """Return tokens and bytes of documents."""
    tokens = size = 0
    for at in range(0, len(numbers), BATCH):
        texts = list(corpus.texts(numbers[at : at + BATCH]))
        tokens += sum(map(len, tokenizer.encode_batch(texts)))
        size += sum(len(text.encode()) for text in texts)
    return tokens, size
