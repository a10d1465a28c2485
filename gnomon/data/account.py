"""What came in, what went out and why: counts by source, and a few removed texts beside those that were kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gnomon.data.corpus import REMOVED, TRAIN, VALIDATION, Corpus, Removal, hex_id

SAMPLES = 12
"""Of each reason."""
EXCERPT = 600
"""Characters of a text."""


def flow_of(corpus: Corpus) -> dict[str, Any]:
    """Return, by source, [documents, bytes] of what came `in`, of `train`, `validation`, of `removed` by reason, and of
    what was `cut` out of documents. The bytes that came in are those of all others together.
    """
    sources = corpus.sources
    removed: dict[str, dict[str, list[int]]] = {name: {} for name in sources}
    for removal in corpus.removals:
        _, whose = corpus.sources_of(removal.numbers)
        sizes = corpus.rows(removal.numbers)["bytes"].astype(np.int64)
        for i, name in enumerate(sources):
            if (mine := whose == i).any():
                said = removed[name].setdefault(removal.reason, [0, 0])
                said[0], said[1] = said[0] + int(mine.sum()), said[1] + int(sizes[mine].sum())
    flow: dict[str, Any] = {
        name: {kind: [0, 0] for kind in ("in", "train", "validation", "cut")}
        | {"removed": dict(sorted(removed[name].items()))}
        for name in sources
    }
    for b, (start, rows) in enumerate(corpus.blocks()):
        status, sizes = corpus.status[start : start + len(rows)], rows["bytes"].astype(np.int64)
        whose, (numbers, before) = corpus.sources_in(b), corpus.changed(b)
        lost = np.zeros(len(rows), np.int64)
        lost[numbers - start] = before.astype(np.int64) - sizes[numbers - start]
        for i in np.unique(whose).tolist():
            said, sides = flow[sources[i]], {"in": status >= REMOVED, "train": status == TRAIN}
            for kind, side in (sides | {"validation": status == VALIDATION}).items():
                mine = side & (whose == i)
                said[kind] = [said[kind][0] + int(mine.sum()), said[kind][1] + int(sizes[mine].sum())]
            gone = int(lost[whose == i].sum())
            said["cut"] = [said["cut"][0] + int((whose[numbers - start] == i).sum()), said["cut"][1] + gone]
            said["in"][1] += gone
    return flow


def samples_of(corpus: Corpus) -> Iterator[dict[str, str]]:
    """Yield some removed texts of each reason, those with the lowest ids, beside what was kept instead."""
    for reason in sorted({removal.reason for removal in corpus.removals}):
        lowest = list[tuple[str, int, Removal, int]]()
        for removal in (r for r in corpus.removals if r.reason == reason):  # there may be one for each block
            ids = corpus.rows(removal.numbers)["id"]
            for i in np.lexsort((ids[:, 1], ids[:, 0]))[:SAMPLES].tolist():
                lowest.append((hex_id(ids[i]), int(removal.numbers[i]), removal, i))
        lowest = sorted(lowest, key=lambda found: found[:2])[:SAMPLES]
        for key, number, removal, i in sorted(lowest, key=lambda found: found[1]):
            said = {"reason": reason, "id": key, "origin": corpus.origin(number)}
            if removal.details is not None:
                said["detail"] = removal.details[i]
            said["text"] = _excerpt(corpus, number)
            if removal.others is not None:
                other = int(removal.others[i])
                said |= {"kept_origin": corpus.origin(other), "kept_text": _excerpt(corpus, other)}
            yield said


def _excerpt(corpus: Corpus, number: int) -> str:
    return next(corpus.texts(np.array([number])))[:EXCERPT]
