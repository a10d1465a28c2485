"""What the heads say of many texts, read in batches of about the same length."""

from collections.abc import Sequence

from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.data.document import Part
from gnomon.data.parts import encode_parts
from gnomon.model.reading import Reading, read_each

TOGETHER = 64
"""Texts read in one batch, with others about as long."""


def readings_of(
    bundle: Bundle, texts: Sequence[Sequence[Part]], progress: Progress
) -> list[tuple[Reading, ...] | None]:
    """Return what the heads say of each text; None for one that is longer than the context."""
    kinds, end = bundle.marks, bundle.tokenizer.end_of_text
    every = [[end, *ids] for ids, _ in encode_parts(texts, bundle.tokenizer)]
    order = sorted(range(len(every)), key=lambda i: len(every[i]))
    fitting = [i for i in order if len(every[i]) <= bundle.shape.context]
    found: list[tuple[Reading, ...] | None] = [None] * len(every)
    for first in range(0, len(fitting), TOGETHER):
        some = fitting[first : first + TOGETHER]
        for i, readings in zip(some, read_each(bundle.model, [every[i] for i in some], kinds), strict=True):
            found[i] = tuple(readings)
        progress("reading questions", first + len(some), len(fitting), "questions")
    return found
