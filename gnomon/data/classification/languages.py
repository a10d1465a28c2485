"""Which languages a corpus is in, and the texts of others that are left out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array
from gnomon.base.errors import ConfigError
from gnomon.base.progress import Progress
from gnomon.data.classification.language import UNKNOWN, identifier, languages_known
from gnomon.data.corpus import REMOVED, Corpus, Removal

REASON = "language"


def check_languages(names: Sequence[str]) -> None:
    """Raise ConfigError for a language that cannot be told from others, DependencyError without the library."""
    if not names:
        return
    known = [*languages_known(), UNKNOWN]
    if wrong := next((name for name in names if name not in known), None):
        where, do = "data.clean.languages", f"use ISO 639 codes of these: {' '.join(known)}"
        raise ConfigError(f"the language {wrong[:20]!r} cannot be told from others", where=where, do=do)


def remove_foreign(corpus: Corpus, languages: Sequence[str], confidence: float, told: Progress) -> None:
    """Remove every document of the training text that is in none of these languages; what is held out stays as it is
    given. One whose language is less sure than `confidence` is in the unknown one.
    """
    numbers, details = [np.zeros(0, np.int64)], list[str]()
    for b, (start, rows) in enumerate(corpus.blocks()):
        told("telling languages apart", b + 1, len(corpus.places), "blocks")
        if corpus.places[b][0].split == "validation" or not len(rows):
            continue
        said, codes = _languages(corpus, b, confidence)
        foreign = np.flatnonzero(~np.isin(codes, np.array(languages, "S4")))
        numbers.append(start + foreign)
        for i in foreign.tolist():
            likeliest = f"{said['code'][i].decode()} {said['confidence'][i]:.2f}"
            unknown = codes[i] == UNKNOWN.encode()
            details.append(f"{UNKNOWN}, perhaps {likeliest}" if unknown else likeliest)
    corpus.remove(Removal(REASON, np.concatenate(numbers), details=details))


def languages_of(corpus: Corpus, confidence: float) -> dict[str, Any]:
    """Return by whom they were told apart, and by source and language [documents that came in, that are kept]."""
    found: dict[str, dict[str, list[int]]] = {name: {} for name in corpus.sources}
    for b, (start, rows) in enumerate(corpus.blocks()):
        if not len(rows):
            continue
        whose, (_, codes) = corpus.sources_in(b), _languages(corpus, b, confidence)
        kept = corpus.status[start : start + len(rows)] != REMOVED
        for source in np.unique(whose).tolist():
            for code in np.unique(codes[whose == source]).tolist():
                mine = (whose == source) & (codes == code)
                counts = found[corpus.sources[source]].setdefault(code.decode(), [0, 0])
                counts[0], counts[1] = counts[0] + int(mine.sum()), counts[1] + int((mine & kept).sum())
    return {"by": identifier(), "sources": {name: dict(sorted(counts.items())) for name, counts in found.items()}}


def _languages(corpus: Corpus, block: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what was found of a block's documents, and their languages."""
    said = np.array(load_array(corpus.block(block).folder / "languages.npy"))
    return said, np.where(said["confidence"] >= np.float32(confidence), said["code"], UNKNOWN.encode())
