"""The loss of every single token by the plain formula, a few texts at a time and nothing packed: what every batched
score is held against.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gnomon.base.heartbeat import beat
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import IGNORE
from gnomon.store.datasets import Split

AT_ONCE = 512  # tokens whose logits are held in float64

Text = tuple[np.ndarray, np.ndarray]
"""Ids and, for each, the id that follows it, or IGNORE; both int64."""


def text_of(split: Split, document: int) -> Text:
    """Return a document of a split with its targets: the ids that follow, and end-of-text after the last; IGNORE for
    those that bear no loss.
    """
    ids = split.tokens(document).astype(np.int64)
    labels = np.append(ids[1:], split.end_of_text)
    if (bears := split.bears(document)) is not None:
        labels[~bears] = IGNORE
    return ids, labels


@torch.no_grad()
def losses_alone(model: LanguageModel, texts: Sequence[Text], rows: int = 1) -> list[np.ndarray]:
    """Return the loss of each token of each text in nats, float64, 0 where the label is IGNORE.

    A text sees only itself: it is a row of its own, with filler on the right, which nothing before it can see. `rows`
    texts, the longest first, make a pass.
    """
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i][0]))
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(order), rows):
        some = order[start : start + rows]
        inputs, labels = filled([texts[i][0] for i in some], 0), filled([texts[i][1] for i in some], IGNORE)
        losses = token_losses(model, model(torch.from_numpy(inputs)).hidden, torch.from_numpy(labels))
        found |= {i: losses[row, : len(texts[i][0])] for row, i in enumerate(some)}
        beat()
    return [found[i] for i in range(len(texts))]


def filled(parts: Sequence[np.ndarray], by: int) -> np.ndarray:
    """Return the parts as rows of the longest one's length, [parts, length] int64, with filler on the right."""
    whole = np.full((len(parts), max(map(len, parts))), by, dtype=np.int64)
    for row, part in zip(whole, parts, strict=True):
        row[: len(part)] = part
    return whole


def token_losses(model: LanguageModel, hidden: Tensor, labels: Tensor) -> np.ndarray:
    """Return the loss of each token in nats, in the shape of `labels`: float64 from the logits on, 0 at IGNORE."""
    parts = zip(hidden.flatten(0, -2).split(AT_ONCE), labels.flatten().split(AT_ONCE), strict=True)
    found = [
        F.cross_entropy(model.logits(x).double(), wanted, ignore_index=IGNORE, reduction="none") for x, wanted in parts
    ]
    return torch.cat(found).view(labels.shape).numpy()
