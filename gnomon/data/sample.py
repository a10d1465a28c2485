"""A fair share of the documents, for the tokenizer to learn from."""

import heapq

from gnomon.data.document import Document


class Sample:
    """The documents with the lowest ids that make up `limit` bytes, whatever the order in which they come."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._heap: list[tuple[int, str, str]] = []  # minus the id as a number, so that the highest id comes first

    def add(self, document: Document) -> None:
        """Consider one more document."""
        heapq.heappush(self._heap, (-int(document.id, 16), document.id, document.text))
        self._bytes += len(document.text.encode())
        while self._bytes - len(self._heap[0][2].encode()) >= self._limit:
            self._bytes -= len(heapq.heappop(self._heap)[2].encode())

    def texts(self) -> list[tuple[str, str]]:
        """Return id and text of the chosen ones, by id."""
        return sorted((i, text) for _, i, text in self._heap)
