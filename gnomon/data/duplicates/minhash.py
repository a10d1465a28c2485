"""Word 5-grams of documents as numbers, and MinHash band hashes of them: how near duplicates find each other.

Words are those of base/words.py. On the 1,004 labelled pairs of Wikipedia paragraphs in the benchmark they move the
Jaccard value by 0.023 at most against words of [a-z0-9] alone, and no label.

A shingle is 5 words in a row; a document of 1 to 4 words is one shingle, and one of none has none and is nobody's
duplicate. Its hash has 52 bits, so that beside it 12 bits of a uint64 can say whose it is: one sort then serves up to
4,096 documents or pairs. Two documents of 1,000 shingles share a hash by chance once in 4 x 10^9 times.

Bands. For a random order of all shingles, two documents have the same first one with a chance equal to the Jaccard
value J of their sets. 32-bit products with fixed odd numbers stand for random orders. `rows` such minima in a row make
a band; documents that agree in one of `count` bands are candidates, which happens with chance 1 - (1 - J^rows)^count.

Everything is integer arithmetic on each document alone: the same on any machine, in any batch.
Source: Broder, "On the resemblance and containment of documents" (1997); Indyk and Motwani (1998) for the bands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.errors import ConfigError
from gnomon.base.seeds import derive
from gnomon.base.words import ODD, word_hashes

FORM = 1
"""Of the hashes: part of what is made of them is called by, and of a recipe."""
SHINGLE_WORDS = 5
HASH_BITS = 52
EMPTY = np.uint64(2**64 - 1)
"""The band hash of a document without words."""

PERMUTATIONS = 112
RECALL = 0.97
PIECE_DOCUMENTS = 1 << (64 - HASH_BITS)
PIECE_BYTES = 256 << 10
"""Of text in one go: its arrays stay in a core's cache. Hashing 8 MB of Wikipedia, MB/s: 194 with 128 KiB, 220 with 256
or 512 KiB, 176 with 1 MiB.
"""

FACTORS = [np.uint32(derive(0, "minhash", "order", k) & 0xFFFFFFFF | 1) for k in range(PERMUTATIONS)]
"""The random orders: shingle hashes times these, modulo 2^32."""


@dataclass(frozen=True)
class Bands:
    """How minima are grouped: `count` bands of `rows` minima each."""

    count: int
    rows: int

    def chance(self, jaccard: float) -> float:
        """Return the share of pairs with this Jaccard value that become candidates."""
        return 1 - (1 - jaccard**self.rows) ** self.count


def bands_for(threshold: float) -> Bands:
    """Return the longest bands, and the fewest of them, that find 97 % of the pairs exactly at `threshold`.

    Above it more are found. 112 minima are the limit: 0.5 gives 27 bands of 3 rows, 0.7 gives 20 of 5, 0.8 gives 15 of
    7, 0.9 gives 10 of 11. The well-known 14 bands of 8 rows find 56 % at 0.7 and 92 % at 0.8.

    Raises ConfigError for a threshold outside 0.2 to 1.
    """
    if not 0.2 <= threshold <= 1:
        do = "use a Jaccard value from 0.2 to 1; 0.7 is usual"
        raise ConfigError(f"near duplicates cannot be found at {threshold:g}", where="threshold", do=do)
    for rows in range(PERMUTATIONS, 0, -1):
        for count in range(1, PERMUTATIONS // rows + 1):
            if Bands(count, rows).chance(threshold) >= RECALL:
                return Bands(count, rows)
    raise AssertionError("one row in 112 bands finds 97 % from 0.04 on")


@dataclass(frozen=True)
class Shingles:
    """Shingle hashes of documents, below 2^52: those of document i are values[offsets[i]:offsets[i + 1]]."""

    values: np.ndarray  # uint64
    offsets: np.ndarray  # int64, one more than documents

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, document: int) -> np.ndarray:
        return self.values[self.offsets[document] : self.offsets[document + 1]]

    @classmethod
    def joined(cls, parts: Sequence["Shingles"]) -> "Shingles":
        """Return the documents of all parts, in their order."""
        counts = np.concatenate([np.zeros(0, np.int64), *(np.diff(part.offsets) for part in parts)])
        return cls(np.concatenate([np.zeros(0, np.uint64), *(part.values for part in parts)]), _offsets(counts))


def shingle_sets(texts: Sequence[str]) -> Shingles:
    """Return each text's set of shingle hashes: sorted, each once."""
    return Shingles.joined([_unique(piece) for piece in _hashed_pieces(texts)])


def band_hashes(texts: Sequence[str], bands: Bands) -> np.ndarray:
    """Return the band hashes of each text: uint64, [texts, bands.count], EMPTY where a text has no word."""
    found = np.full((len(texts), bands.count), EMPTY)
    start = 0
    for piece in _hashed_pieces(texts):
        some = np.flatnonzero(np.diff(piece.offsets))
        found[start + some] = _banded(_minima(piece, some, bands.count * bands.rows), bands)
        start += len(piece)
    return found


def _minima(piece: Shingles, some: np.ndarray, orders: int) -> np.ndarray:
    """Return uint32 [orders, documents]: under each order the first shingle of each of `some` documents."""
    minima = np.empty((orders, len(some)), np.uint32)
    if not len(some):
        return minima
    shingles, starts = (piece.values >> np.uint64(HASH_BITS - 32)).astype(np.uint32), piece.offsets[some]
    ordered = np.empty_like(shingles)
    for k in range(orders):
        np.multiply(shingles, FACTORS[k], out=ordered)
        np.minimum.reduceat(ordered, starts, out=minima[k])
    return minima


def _banded(minima: np.ndarray, bands: Bands) -> np.ndarray:
    """Return uint64 [documents, bands]: one hash of each band's rows."""
    rows = minima.reshape(bands.count, bands.rows, -1)
    mixed = np.zeros((bands.count, minima.shape[1]), np.uint64)
    for row in range(bands.rows):
        mixed ^= rows[:, row]
        mixed *= ODD[0]
        mixed ^= mixed >> np.uint64(32)
    return mixed.T


def _hashed_pieces(texts: Sequence[str]) -> Iterator[Shingles]:
    """Yield the shingle hashes of texts in a row, PIECE_BYTES of them (or one longer text) at a time."""
    piece: list[bytes] = []
    size = 0
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        if piece and (size + len(data) > PIECE_BYTES or len(piece) == PIECE_DOCUMENTS):
            yield _hashed(piece)
            piece, size = [], 0
        piece.append(data)
        size += len(data)
    if piece:
        yield _hashed(piece)


def _hashed(piece: list[bytes]) -> Shingles:
    """Return the shingle hashes of a piece's texts. A text longer than a piece takes some 9 times its bytes meanwhile,
    one of Han or kana alone 19 times.
    """
    words, ends = word_hashes(piece)
    return _shingled(np.concatenate([words, np.zeros(SHINGLE_WORDS - 1, np.uint64)]), ends)


def _shingled(padded: np.ndarray, ends: np.ndarray) -> Shingles:
    """Return the shingle hashes of documents whose words end before these places in `padded`, 4 before its end."""
    words = padded[: 1 - SHINGLE_WORDS]
    counts = np.diff(ends, prepend=0)
    starts = ends - counts
    grams = words.copy()
    for k in range(1, SHINGLE_WORDS):
        grams *= ODD[3]
        grams += padded[k : k + len(words)]
    kept = np.ones(len(words), bool)
    for k in range(1, SHINGLE_WORDS):
        kept[ends[counts >= k] - k] = False  # what begins there would reach into the next document
    for size in range(1, SHINGLE_WORDS):
        short = starts[counts == size]
        kept[short] = True
        grams[short] = 0
        for k in range(size):
            grams[short] = grams[short] * ODD[3] + words[short + k]
    grams = grams[kept]
    grams ^= grams >> np.uint64(32)
    grams *= ODD[1]
    grams ^= grams >> np.uint64(29)
    grams *= ODD[2]
    grams >>= np.uint64(64 - HASH_BITS)
    return Shingles(grams, _offsets(np.maximum(counts - (SHINGLE_WORDS - 1), np.minimum(counts, 1))))


def _unique(piece: Shingles) -> Shingles:
    """Return the shingles of at most PIECE_DOCUMENTS documents as sets."""
    whose = np.repeat(np.arange(len(piece), dtype=np.uint64), np.diff(piece.offsets))
    marked = np.sort(piece.values | whose << np.uint64(HASH_BITS))
    if len(marked):
        marked = marked[np.append(True, marked[1:] != marked[:-1])]
    counts = np.bincount(marked >> np.uint64(HASH_BITS), minlength=len(piece))
    return Shingles(marked & np.uint64((1 << HASH_BITS) - 1), _offsets(counts))


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
