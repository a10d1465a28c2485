"""Word 5-grams of documents as numbers, and MinHash band hashes of them: how near duplicates find each other.

What a word is. Of the text's UTF-8, with A-Z lowered: a longest run of ASCII letters and digits and of characters from
U+00C0 on, without U+2000-U+2BFF (typographic quotes, dashes, symbols) and U+3000-U+303F (CJK punctuation); each
character of U+3040-U+9FFF (kana, Han) is a word of its own, for no spaces stand between them. All else parts words.
Letters beyond ASCII keep their case and nothing is normalised; scripts without spaces other than these (Thai, Khmer)
give long words. On the 1,004 labelled pairs of Wikipedia paragraphs in the benchmark this moves the Jaccard value by
0.023 at most against words of [a-z0-9] alone, and no label.

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
from gnomon.data.hashes import KEEP, eights_of

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


def _byte_table() -> bytes:
    table = bytearray(256)  # 0: parts words
    for kept in (b"0123456789", b"abcdefghijklmnopqrstuvwxyz", bytes(range(0x80, 0x100))):
        for byte in kept:
            table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32
    return bytes(table)


TABLE = _byte_table()

ODD = [np.uint64(derive(0, "minhash", "mix", i) | 1) for i in range(4)]
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
    plain = b" ".join([b"", *piece]).translate(TABLE)
    ends = np.cumsum([len(text) + 1 for text in piece])
    words, until = [], np.zeros(len(piece), np.int64)  # `until`: how many words stand before each text's end
    begin = 0
    while begin < len(plain):  # a long text in slices; each begins where words part, so none is cut
        end = plain.find(0, begin + 2 * PIECE_BYTES)
        end = len(plain) if end < 0 else end
        at, hashes = _words(plain[begin:end] + bytes(8))
        until += np.searchsorted(at, ends - begin)
        words.append(hashes)
        begin = end
    return _shingled(np.concatenate([*words, np.zeros(SHINGLE_WORDS - 1, np.uint64)]), until)


def _words(plain: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return where each word starts, and its hash. `plain` is UTF-8 as TABLE leaves it; its first byte and its last 8
    are 0.
    """
    starts, ends = _edges(np.frombuffer(plain, np.uint8), plain.isascii())
    lengths = ends - starts
    eights = eights_of(plain)
    hashes = (eights[starts] & KEEP[np.minimum(lengths, 8)]) * ODD[0]
    hashes ^= hashes >> np.uint64(32)
    long = np.flatnonzero(lengths > 8)
    if len(long):
        hashes[long] += _rest(eights, starts[long] + 8, lengths[long] - 8)
    return starts, hashes


def _edges(codes: np.ndarray, ascii_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the end of each word, of UTF-8 as TABLE leaves it."""
    inside = codes != 0
    if not ascii_only:
        for lead, low, high in ((0xC2, 0x80, 0xBF), (0xE2, 0x80, 0xAF), (0xE3, 0x80, 0x80)):
            at = np.flatnonzero(codes == lead)
            at = at[(codes[at + 1] >= low) & (codes[at + 1] <= high)]
            for byte in range(2 if lead == 0xC2 else 3):
                inside[at + byte] = False
        alone = np.flatnonzero((codes >= 0xE3) & (codes <= 0xE9) & inside)  # first bytes of U+3040-U+9FFF
        if len(alone):
            first, after = np.zeros(len(codes), bool), np.zeros(len(codes), bool)
            first[1:] = inside[1:] & ~inside[:-1]
            first[alone] = True
            first[alone + 3] = inside[alone + 3]
            after[1:] = inside[:-1] & (first[1:] | ~inside[1:])
            return np.flatnonzero(first), np.flatnonzero(after)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    return edges[::2], edges[1::2]


def _rest(eights: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return what the bytes after the first eight add to the hashes of long words: a sum over eights, each with a
    factor of its own.
    """
    counts = (lengths + 7) // 8
    firsts = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(firsts, counts)
    chunks = eights[np.repeat(starts, counts) + 8 * number]
    chunks &= KEEP[np.minimum(np.repeat(lengths, counts) - 8 * number, 8)]
    chunks *= ODD[1]
    chunks ^= chunks >> np.uint64(32)
    chunks *= ODD[2] + 2 * number.astype(np.uint64)
    return np.add.reduceat(chunks, firsts)


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
