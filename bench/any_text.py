"""The texts of a file that is a corpus, or of one that holds dialogues, tasks or claims, for benchmarks on any text."""

import gzip
import json
from collections.abc import Iterator

from gnomon.data.reading.read import find_sources, read_documents

SAID = "text prompt completion messages content chosen texts claim evidence distractors question solution query context"
"""Fields that hold text."""


def texts_of(path: str) -> Iterator[str]:
    """Yield the text of each record, or where there is none, as in dialogues, what is said in its fields."""
    if not path.endswith(".jsonl.gz"):
        found = read_documents(find_sources([path])[0], "text", None, lambda _: None, lambda _: None)
        yield from (document.text for document in found)
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield "\n\n".join(_said(json.loads(line)))


def _said(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, dict):
        for name in SAID.split():
            yield from _said(value.get(name))
