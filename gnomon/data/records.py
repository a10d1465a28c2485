"""Records of one source that have the same id and different texts, for two things cannot have one name; and keys and
rules that no record answers to.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array
from gnomon.config import DataConfig
from gnomon.data.classification.domains import asked_of, fits_rule
from gnomon.data.corpus import PART_DOCUMENTS, Corpus

EXAMPLES = 5
"""Of a source."""
log = logging.getLogger(__name__)


def repeated_ids(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Return, of each source that has ids under which different texts stand, how many, of how many records, and the
    first few: the id and where two of its texts are.

    Records of one id and one text are duplicates and no matter for this. A long record counts by its first part. Memory
    holds 24 bytes for each of PART_DOCUMENTS records. Ids are told apart by 63 bits.
    """
    found = {}
    for source in dict.fromkeys(files.source for files, _ in corpus.places):
        ids, records, pairs = 0, 0, list[tuple[int, int]]()
        for own, key, number in _parts(corpus, source):
            order = np.lexsort((number, key, own))
            own, key, number = own[order], key[order], number[order]
            differs = (own[1:] == own[:-1]) & (key[1:] != key[:-1])
            several = np.unique(own[1:][differs])
            ids += len(several)
            records += int(np.isin(own, several).sum())
            both = np.sort(np.stack([number[:-1][differs], number[1:][differs]], 1), axis=1)
            pairs = sorted([*pairs, *map(tuple, both[np.lexsort(both.T[::-1])][: 8 * EXAMPLES].tolist())])
        if ids:
            first = {corpus.own_id(a): [corpus.origin(a), corpus.origin(b)] for a, b in reversed(pairs)}
            examples = [[own, *origins] for own, origins in reversed(first.items())][:EXAMPLES]
            found[source] = {"ids": ids, "records": records, "examples": examples}
            where = ", ".join(f"{own} in {a} and {b}" for own, a, b in examples[:1])
            log.warning("%d ids of source %s stand for more than one text: %s", ids, source, where)
    return found


def warn_of_idle(corpus: Corpus, data: DataConfig, names: Mapping[Path, Sequence[str]]) -> None:
    """Warn of a key of ids that no record has, and of rules of domains that are true of no text; `names` are those of
    the files of each folder of blocks. The usual key may be missing.
    """
    usual = DataConfig.model_fields["id_field"].default
    if data.id_field not in (None, usual) and not any(rows["own"].any() for _, rows in corpus.blocks()):
        log.warning("no record has an id under the key %r (data.id_field)", data.id_field)
    idle = dict(enumerate(data.domains))
    for block, (files, _) in enumerate(corpus.places):
        if not idle:
            break
        rows, asked = corpus.documents(block), asked_of(data.domains, files.source)
        path = corpus.block(block).folder / "domains.npy"
        true = load_array(path) if path.exists() else np.zeros((len(rows), 0), bool)
        for number, rule in list(idle.items()):
            fitting = [i for i, name in enumerate(names[files.folder]) if fits_rule(rule, files.source, name)]
            there = np.isin(rows["file"], fitting)
            if rule.field or rule.matches:
                there = there & true[:, asked.index((rule.field, rule.matches))] if fitting else there
            if there.any():
                del idle[number]
    for number, rule in idle.items():
        said = ", ".join(f"{key}={value!r}" for key, value in rule.model_dump(exclude_none=True).items())
        log.warning("rule %d of data.domains is true of no text: %s", number + 1, said)


def _parts(corpus: Corpus, source: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield hash of the id, first half of the key and number of a source's records that have an id, a part of all
    hashes at a time.
    """
    mine = [b for b, (files, _) in enumerate(corpus.places) if files.source == source]
    parts = max(1, -(-sum(corpus.starts[b + 1] - corpus.starts[b] for b in mine) // PART_DOCUMENTS))
    for part in range(parts):
        own, keys, numbers = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for b in mine:
            rows = corpus.documents(b)
            hashes = np.array(rows["own"])
            here = (hashes != 0) & (rows["goes_on"] == 0) & (hashes // np.uint64(2) % np.uint64(parts) == part)
            inside = np.flatnonzero(here)
            own.append(hashes[inside])
            keys.append(rows["key"][inside, 0])
            numbers.append(corpus.starts[b] + inside)
        yield np.concatenate(own), np.concatenate(keys), np.concatenate(numbers)
