"""What can be said of an entity and asked about it, and the splits to which each way of saying and asking belongs.

A sentence has gaps: `{s}` the subject, `{p}` the same as owner, `{m}` the same where `him` would stand for it, `{o}`
the object. A question has the first three. Sentences are written without their capital and their full stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gnomon.taxonomy import COARSE_OF

SPLITS = ("train", "dev", "test")
KINDS = ("person", "organisation", "place", "work")
"""The kinds of entities."""

_SENTENCES, _QUESTIONS, _PHRASES = (12, 2, 2), (12, 2, 2), (3, 1, 1)

ByTemplate = tuple[tuple[str, str], ...]  # (id, text)


@dataclass(frozen=True)
class Relation:
    """A relation between entities of `kind` and objects of a fine type; None is boolean.

    `object` is a kind of entities, or names a drawer of values in objects.py. `by` (an object that is an entity: "the
    founder of {s}") is empty otherwise. `changes`: a later document may give another object. `odd_for` are kinds of
    entities of which asking this makes no sense.
    """

    name: str
    kind: str
    fine_type: str | None
    object: str
    sentences: dict[str, ByTemplate]
    questions: dict[str, ByTemplate]
    by: dict[str, ByTemplate]
    changes: bool
    odd_for: tuple[str, ...]

    @property
    def type(self) -> str:
        """Return the answer type."""
        return "boolean" if self.fine_type is None else COARSE_OF[self.fine_type]


def relation(
    name: str,
    kind: str,
    fine_type: str | None,
    object_: str,
    sentences: str,
    questions: str,
    by: str = "",
    *,
    changes: bool = False,
    odd_for: tuple[str, ...] = (),
) -> Relation:
    """Return a relation from its sentences (16, a line each), questions (16) and phrases (5, or none)."""
    return Relation(
        name, kind, fine_type, object_,
        dealt(f"{name}.s", sentences, _SENTENCES),
        dealt(f"{name}.q", questions, _QUESTIONS),
        dealt(f"{name}.by", by, _PHRASES) if by else {split: () for split in SPLITS},
        changes, odd_for,
    )  # fmt: skip


def dealt(name: str, lines: str, counts: Sequence[int]) -> dict[str, ByTemplate]:
    """Return the lines by split, each with its id: the first for training, the last for testing."""
    texts = [line.strip() for line in lines.strip().splitlines()]
    assert len(set(texts)) == len(texts) == sum(counts), f"{name} has {len(set(texts))} templates"
    every, found, at = [(f"{name}{i}", text) for i, text in enumerate(texts)], {}, 0
    for split, count in zip(SPLITS, counts, strict=True):
        found[split] = tuple(every[at : at + count])
        at += count
    return found
