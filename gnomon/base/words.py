"""Words of texts as 64-bit numbers, many texts at once.

What a word is. Of the text's UTF-8, with A-Z lowered: a longest run of ASCII letters and digits and of characters from
U+00C0 on, without U+2000-U+2BFF (typographic quotes, dashes, symbols) and U+3000-U+303F (CJK punctuation); each
character of U+3040-U+9FFF (kana, Han) is a word of its own, for no spaces stand between them. All else parts words.
Letters beyond ASCII keep their case and nothing is normalised; scripts without spaces other than these (Thai, Khmer)
give long words.

Everything is integer arithmetic on each text alone: the same on any machine, in any batch.
"""

from collections.abc import Sequence

import numpy as np

from gnomon.base.hashes import KEEP, eights_of
from gnomon.base.seeds import derive

SLICE_BYTES = 512 << 10
"""Of text in one go: its arrays stay near a core."""


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


def word_hashes(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of all words of texts in UTF-8, uint64 in their order, and the place there where the words of
    each text end, int64.
    """
    plain = b" ".join([b"", *texts]).translate(TABLE)
    ends = np.cumsum([len(text) + 1 for text in texts], dtype=np.int64)
    words, until = [np.zeros(0, np.uint64)], np.zeros(len(texts), np.int64)
    begin = 0
    while begin < len(plain):  # a long text in slices; each begins where words part, so none is cut
        end = plain.find(0, begin + SLICE_BYTES)
        end = len(plain) if end < 0 else end
        at, hashes = _words(plain[begin:end] + bytes(8))
        until += np.searchsorted(at, ends - begin)
        words.append(hashes)
        begin = end
    return np.concatenate(words), until


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
