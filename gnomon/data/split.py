"""Which documents are held out from training."""

import numpy as np

from gnomon.base.seeds import derive, scatter

SALT = "validation"


def held_out_records(records: np.ndarray, ids: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Return the places of the documents that are held out, rising: all those of a record or none.

    `records` are the numbers of each document's record, equal ones side by side. A record goes by the id of its first
    document. One that is itself more than `share` of the text, as a book in a file may be, is held out in parts.
    """
    return _chosen(_parts(records, sizes, share * int(sizes.sum(dtype=np.int64))), ids, sizes, share)


def _parts(records: np.ndarray, sizes: np.ndarray, most: float) -> np.ndarray:
    """Return which documents begin a record, and all those of one that has more bytes than `most`."""
    begins = np.concatenate([[True], records[1:] != records[:-1]])[: len(records)]
    whole = np.bincount(begins.cumsum() - 1, sizes).astype(np.int64)
    large = whole > most
    begins |= large[begins.cumsum() - 1]
    return begins


def _chosen(begins: np.ndarray, ids: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Return the places of what is held out: runs of documents from one that `begins` to the next, all or none."""
    unit = begins.cumsum() - 1
    first = np.flatnonzero(begins)
    summed = np.add.reduceat(sizes.astype(np.int64), first)
    chosen = np.zeros(len(first), bool)
    chosen[held_out(ids[first], summed, share)] = True
    return np.flatnonzero(chosen[unit])


def held_out_groups(
    records: np.ndarray, groups: np.ndarray, ids: np.ndarray, sizes: np.ndarray, share: float
) -> np.ndarray:
    """Return what `held_out_records` does, where documents of one group (equal numbers, but for 0) stay together too,
    however large it is; a group goes by its lowest id.
    """
    inside = np.flatnonzero(groups)
    if not len(inside):
        return held_out_records(records, ids, sizes, share)
    inside = inside[np.lexsort((ids[inside, 1], ids[inside, 0], groups[inside]))]
    first = np.concatenate([[True], groups[inside][1:] != groups[inside][:-1]])
    rest = np.flatnonzero(groups == 0)
    parts = _parts(records[rest], sizes[rest], share * int(sizes.sum(dtype=np.int64)))
    order = np.concatenate([rest, inside])
    begins = np.concatenate([parts, first])
    return np.sort(order[_chosen(begins, ids[order], sizes[order], share)])


def held_out(ids: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Return the places of two or more documents that are held out: at least one, never all, rising.

    `ids` are the documents' ids as numbers, uint64 [n, 2]; `sizes` their bytes. Held out are all whose rank, a hash of
    the id, falls below `share`, so that a document of a large text stays on its side when others come and go; and,
    where these few are short, more in the order of their ranks, until they have `share` of all bytes.
    """
    ranks = rank(ids)
    wanted, limit = share * int(sizes.sum(dtype=np.int64)), np.uint64(int(share * 2**64))
    near = ranks < np.uint64(min(2**64 - 1, int(4 * share * 2**64)))  # nearly always enough, and soon sorted
    among = np.flatnonzero(near if int(sizes[near].sum(dtype=np.int64)) >= wanted else np.ones(len(ids), bool))
    among = among[np.lexsort((ids[among, 1], ids[among, 0], ranks[among]))]
    before = sizes[among].cumsum(dtype=np.int64) - sizes[among]
    count = int(((ranks[among] < limit) | (before < wanted)).sum())
    return np.sort(among[: max(1, min(count, len(ids) - 1))])


def rank(ids: np.ndarray) -> np.ndarray:
    """Return the rank of each document, a number below 2^64 that depends on its id alone."""
    return scatter(ids[:, 0] ^ ids[:, 1], derive(0, SALT))
