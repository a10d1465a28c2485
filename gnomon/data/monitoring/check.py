"""Looks through the training text of a dataset, as a run would be fed with it, for what is not as it should be."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.progress import Progress
from gnomon.data.monitoring.monitor import WINDOW_TOKENS, Finding, Monitor
from gnomon.data.monitoring.shift import Reference, references_of
from gnomon.store.datasets import Dataset
from gnomon.tokenizer.tokenizer import Tokenizer

LENGTH = 512  # of rows
TOGETHER = 256  # rows


@dataclass(frozen=True)
class Checked:
    """What was found in a text; `windows` says for each source how many were compared, 0 where it is too short for
    one. Sources that the other dataset does not have were `left_out`.
    """

    findings: tuple[Finding, ...]
    windows: dict[str, int]
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_text(
    dataset: Dataset, against: Dataset | None, progress: Progress, window_tokens: int = WINDOW_TOKENS
) -> Checked:
    """Return what is not as usual in a dataset's training text, beside that of `against`; None: beside itself.

    Each source is read once in random order, all of it. Raises DataError for datasets with different tokenizers.
    """
    other = against or dataset
    if dataset.manifest["tokenizer"]["digest"] != other.manifest["tokenizer"]["digest"]:
        raise DataError(
            "the two datasets have different tokenizers, so that their ids cannot be compared",
            where=f"{dataset.folder}, {other.folder}",
            do="compare versions that were prepared with one tokenizer",
        )
    own = references_of(dataset, LENGTH, window_tokens, every=1)
    known = references_of(other, LENGTH, window_tokens, every=1)
    compared = {name: reference for name, reference in known.items() if name in own}
    monitor = Monitor(compared, Tokenizer.load(dataset.tokenizer_path).decode, every=1)
    findings: list[Finding] = []
    row, total = 0, sum(own[name].text_rows for name in compared)
    for number, name in enumerate(compared):
        for rows in _batches(own[name]):
            ids = np.arange(row, row + len(rows))
            findings += monitor.add(ids, np.full(len(rows), number), rows)
            row += len(rows)
            progress("checking text", row * LENGTH, total * LENGTH, "tokens")
    windows = {name: monitor.windows(number) for number, name in enumerate(compared)}
    return Checked(tuple(findings), windows, tuple(name for name in own if name not in known))


def _batches(text: Reference) -> Iterator[np.ndarray]:
    """Yield the rows of one epoch, TOGETHER at a time."""
    rows = text.walk(0, 1)
    for first in range(0, text.text_rows, TOGETHER):
        count = min(TOGETHER, text.text_rows - first)
        yield np.concatenate([next(rows) for _ in range(count)])
