"""Merges out of ranks: what a `.tiktoken` file leaves unsaid, and the proof that ranks alone say what merges do."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

Pair = tuple[bytes, bytes]


def merges_of_ranks(ranks: Mapping[bytes, int]) -> dict[bytes, Pair | None]:
    """Return for every token of two bytes and more, by rank, the two tokens that it is merged from; None where no
    merging of earlier tokens ends in two, so that only a whole word can become this token.

    Merging in the order of the ranks leaves a token's bytes in one way only before the token's own turn comes,
    whatever stands beside them, since no merge reaches over its ends. So these pairs are all that ever meet.
    """
    found: dict[bytes, Pair | None] = {}
    for token in sorted((t for t in ranks if len(t) > 1), key=ranks.__getitem__):
        parts = _merged(token, ranks, ranks[token])
        found[token] = (parts[0], parts[1]) if len(parts) == 2 else None
    return found


def _merged(token: bytes, ranks: Mapping[bytes, int], below: int) -> list[bytes]:
    """Return the parts of `token` once every merge of a rank under `below` is done, lowest first, then leftmost."""
    ends = list(range(len(token) + 1))
    while True:
        best, at = below, 0
        for i in range(1, len(ends) - 1):
            rank = ranks.get(token[ends[i - 1] : ends[i + 1]], below)
            if rank < best:
                best, at = rank, i
        if best == below:
            return [token[a:b] for a, b in pairwise(ends)]
        del ends[at]


def says_the_same(ranks: Mapping[bytes, int], merges: Iterable[Pair]) -> bool:
    """Return whether merging by `ranks` gives what `merges`, done in their order, give for any text."""
    listed = list(merges)
    made = [ranks.get(left + right, -1) for left, right in listed]
    ordered = all(a < b for a, b in pairwise([-1, *made]))
    return ordered and list(merges_of_ranks(ranks).values()) == listed
