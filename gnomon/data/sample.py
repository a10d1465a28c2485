"""A fair share of the documents, for the tokenizer to learn from: of all alike, or so much of each domain.

What is chosen depends on which documents there are, not on their order or on who saw them, so that parts of a corpus
can be sampled apart and merged.
"""

import heapq
from collections.abc import Mapping
from fractions import Fraction

from gnomon.data.document import Document


class Sample:
    """The documents with the lowest ids that make up `limit` bytes, whatever the order in which they come."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.bytes = 0  # of those chosen
        self.seen = 0  # bytes of all that came
        self._heap: list[tuple[int, str, int, str]] = []  # minus the id as a number, so that the highest comes first

    def add(self, document: Document) -> None:
        """Consider one more document."""
        size = len(document.text.encode())
        self.seen += size
        self._consider((-int(document.id, 16), document.id, size, document.text))

    def merge(self, other: "Sample") -> None:
        """Consider what `other` saw, as if it had come here. Its limit is no lower than this one's."""
        self.seen += other.seen
        for entry in other._heap:
            self._consider(entry)

    def lower(self, limit: int) -> None:
        """Keep no more than makes up `limit` bytes from now on; a higher limit than before changes nothing."""
        self._limit = min(self._limit, limit)
        self._trim()

    def texts(self) -> list[tuple[str, str]]:
        """Return id and text of the chosen ones, by id."""
        return sorted((i, text) for _, i, _, text in self._heap)

    def _consider(self, entry: tuple[int, str, int, str]) -> None:
        if self.bytes >= self._limit and (not self._heap or entry < self._heap[0]):
            return
        heapq.heappush(self._heap, entry)
        self.bytes += entry[2]
        self._trim()

    def _trim(self) -> None:
        while self._heap and self.bytes - self._heap[0][2] >= self._limit:
            self.bytes -= heapq.heappop(self._heap)[2]


class SharedSample:
    """`limit` bytes of documents, of each domain in proportion to its share; what a domain has too little of goes to
    the others.

    Memory holds `limit` bytes and SLACK, and a document more for each domain. Samples of parts of a corpus merge to
    the sample of the whole: the more is known of other domains, the less can a domain still be granted, so nothing
    is let go that could be wanted later.
    """

    SLACK = 16 << 20
    """Bytes over the limit at which shares are worked out anew."""

    def __init__(self, limit: int, shares: Mapping[str, float]) -> None:
        self._limit = limit
        self._shares = {name: Fraction(share) for name, share in sorted(shares.items())}
        self._domains = {name: Sample(limit) for name in self._shares}

    def add(self, document: Document, domain: str) -> None:
        """Consider one more document of a domain that has a share."""
        self._domains[domain].add(document)
        self._make_room()

    def merge(self, other: "SharedSample") -> None:
        """Consider what `other`, of the same limit and shares, saw, as if it had come here."""
        for name, sample in other._domains.items():
            self._domains[name].merge(sample)
            self._make_room()

    def grants(self) -> dict[str, int]:
        """Return the bytes that each domain may have, from what has come so far."""
        return granted(self._limit, self._shares, {name: s.seen for name, s in self._domains.items()})

    def texts(self) -> dict[str, list[tuple[str, str]]]:
        """Return id and text of the chosen ones of each domain, by id."""
        self._settle()
        return {name: sample.texts() for name, sample in self._domains.items()}

    def _make_room(self) -> None:
        if sum(sample.bytes for sample in self._domains.values()) > self._limit + self.SLACK:
            self._settle()

    def _settle(self) -> None:
        for name, grant in self.grants().items():
            if grant < self._domains[name].seen:  # else it may be granted more once more of it has come
                self._domains[name].lower(grant)


def granted(limit: int, shares: Mapping[str, Fraction], there: Mapping[str, int]) -> dict[str, int]:
    """Return how many of `limit` bytes each domain gets by its share, none more than is `there`.

    What one leaves goes to the others by their shares. More in one domain never means more for another.
    """
    found: dict[str, int] = {}
    open_, left = {name: share for name, share in shares.items() if share > 0}, limit
    while open_:
        whole = sum(open_.values(), Fraction(0))
        full = [name for name, share in open_.items() if there[name] * whole <= left * share]
        if not full:
            found |= {name: int(left * share / whole) for name, share in open_.items()}
            break
        for name in full:
            found[name] = there[name]
            left -= there[name]
            del open_[name]
    return {name: found.get(name, 0) for name in shares}
