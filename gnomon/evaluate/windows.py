"""Loss on documents of any length by windows that overlap, so that few tokens are predicted from little."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.progress import Progress, silent
from gnomon.evaluate.alone import Text, losses_alone, text_of
from gnomon.evaluate.delta import Losses
from gnomon.model.lm import LanguageModel
from gnomon.store.datasets import Split, document_lines

ROWS = 8  # windows of a pass
GROUP = 256  # windows sorted by length together, so that a pass has little filler


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `stop` of a document; those from `scored` on are scored in it."""

    start: int
    stop: int
    scored: int


def windows(tokens: int, context: int, stride: int) -> Iterator[Window]:
    """Yield windows of `context` tokens, `stride` apart, until a document's end; the last may be shorter.

    A token is scored in the first window that has it: so each once, and after the first window none with fewer than
    `context - stride` tokens of its window before it. Raises ConfigError for a stride that would skip tokens or stay.
    """
    if not 1 <= stride <= context:
        raise ConfigError(
            f"a stride of {stride:,} does not fit a context of {context:,} tokens",
            do=f"choose one from 1 to {context:,}; a smaller one costs more time and sees more text",
        )
    done = 0
    for start in range(0, max(0, tokens - context) + stride, stride):
        stop = min(start + context, tokens)
        yield Window(start, stop, done)
        done = stop


def score_windows(
    model: LanguageModel, documents: Iterable[Text], context: int, stride: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield, for each window in turn, the number of its document and the losses of the tokens it scores, float64.

    Joined they are the losses of the documents' tokens, in their order; where a document fits into the context, the
    losses of the whole document.
    """
    coming = (
        (number, window, text)
        for number, text in enumerate(documents)
        for window in windows(len(text[0]), context, stride)
    )
    while group := list(islice(coming, GROUP)):
        seen = [(ids[w.start : w.stop], labels[w.start : w.stop]) for _, w, (ids, labels) in group]
        found = losses_alone(model, seen, ROWS)
        for (number, window, _), losses in zip(group, found, strict=True):
            yield number, losses[window.scored - window.start :]


def document_losses(
    model: LanguageModel, split: Split, context: int, stride: int, progress: Progress = silent
) -> Losses:
    """Return each document's loss by windows; it does not depend on the other documents."""
    nats, tokens = np.zeros(split.documents), np.diff(split.offsets.astype(np.int64))
    if split.masked:
        borne = (split.bears(i) for i in range(split.documents))
        tokens = np.array([n if b is None else b.sum() for n, b in zip(tokens, borne, strict=True)], np.int64)
    documents = (text_of(split, i) for i in range(split.documents))
    seen = 0
    for number, losses in score_windows(model, documents, context, stride):
        nats[number] += losses.sum()
        seen += len(losses)
        progress("evaluating", seen, split.n_tokens, "tokens")
    return Losses(_ids(split), nats, tokens)


def _ids(split: Split) -> tuple[str, ...]:
    """Return the ids of a split's documents, in order: equal texts, equal ids."""
    found = []
    for files in split.files:
        for line in document_lines(files.documents):
            try:
                found.append(str(json.loads(line)["id"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                raise IntegrityError("a line about a document cannot be read", where=str(files.documents)) from None
    return tuple(found)
