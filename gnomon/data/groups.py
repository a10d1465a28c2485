"""Files that one job reads together, so that many small ones cost little more than few large ones."""

from collections.abc import Iterator, Sequence

from gnomon.data.forms.form import Form
from gnomon.data.recipe import Input

ALONE_BYTES = 8 << 20
"""A file of so many is read by itself."""
GROUP_BYTES = 16 << 20
"""On disk, of a group on average; at most four times as many."""
OPENING_BYTES = 16 << 10
"""That are read in the time that opening one more file takes."""


def grouped(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """Yield the files in their order: large ones alone, neighbours that are read alike together.

    Whether a group ends with a file is for its hash to say, a large one more often. So when a file comes or goes, the
    group that it is in changes, and rarely the next: the others' blocks stand.
    """
    group: list[Input] = []
    size = 0
    for one in inputs:
        weight = one.file.bytes + OPENING_BYTES
        alone = one.file.bytes >= ALONE_BYTES
        if group and (alone or _manner(one) != _manner(group[0]) or size + weight > 4 * GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += weight
        if alone or int(one.sha256[:8], 16) * GROUP_BYTES < weight << 32:
            yield group
            group, size = [], 0
    if group:
        yield group


def _manner(one: Input) -> tuple[str, str, str, str | None, Form]:
    return one.split, one.source, one.text_field, one.separator, one.form
