"""What of a question tells its answer type: words, their neighbours and shapes, the noun asked for, its class."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np

from gnomon.base.hashes import KEEP, PAD, eights_of, mix
from gnomon.data.questions.lexicon import classes_of, is_verb
from gnomon.data.questions.ridge import SparseRows

BUCKETS = 1 << 17
"""That features are hashed to."""
SHARES = (3 / 8, 3 / 8, 2 / 8)
"""Of a row's squared length: words, what is asked for, runs of characters."""
GRAMS = (3, 4, 5)
"""Lengths of runs of characters, in bytes."""

TOKEN = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)+\.?|[^\W\d_]+(?:-\w+)*|\d+(?:[.,-]\w+)*|[^\w\s]")
MOST = 64
"""Tokens of a question that are looked at: those at its end, where it is longer."""

_QUOTES = str.maketrans({"‘": "'", "’": "'", "`": "'", "“": '"', "”": '"'})
ASKS = frozenset("who whom whose what which when where why how name".split())
KINDS = ("be", "do", "n")
_BE = frozenset("is are was were be been being 's 're am".split())
_DO = frozenset("do does did can could will would should shall may might must has have had".split())
_CLOSED = frozenset(
    "of in on at by for from to with about as into through during between among against over under after before near"
    " than that who whom whose which where when why how what if because while and or but not the a an this these those"
    " his her its their my your our i you he she it we they there so up out off down 's".split()
)
_SORTS = frozenset(
    "kind type sort name variety form brand breed species example part term word number amount one"
    " group pair piece list".split()
)
_ARTICLES = frozenset(
    "the a an any some other this that these those his her its their your my our most least all each"
    " first second third one two three four five six seven eight nine ten".split()
)


def rows_of(questions: Sequence[str]) -> SparseRows:
    """Return the hashed features of questions: of each a row BUCKETS wide, of length 1 but for chance collisions."""
    places, values, sizes, plain = [], [], [], []
    for question in questions:
        written = tokens(question)
        low = [token.lower() for token in written]
        plain.append(" ".join(["", *low, ""]).encode("utf-8", "replace"))
        for share, features in ((SHARES[0], words_of(written, low)), (SHARES[1], heads_of(written, low))):
            found = {crc32(feature.encode("utf-8", "replace")) % BUCKETS for feature in features}
            places += sorted(found)
            values.append((share / len(found)) ** 0.5)
            sizes.append(len(found))
    count = len(questions)
    whose, grams = _grams(plain)
    each = np.bincount(whose, minlength=count)
    gram_values = np.sqrt(SHARES[2] / np.maximum(each, 1))[whose]
    of_words = np.repeat(np.arange(2 * count) // 2, sizes)
    row = np.concatenate([of_words, whose])
    order = np.argsort(row, kind="stable")
    every = np.concatenate([np.repeat(values, sizes), gram_values]).astype(np.float32)
    begins = np.searchsorted(row[order], np.arange(count))
    return SparseRows(np.concatenate([np.array(places, np.int64), grams])[order], begins, every[order])


def _grams(plain: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the buckets of the runs of characters of texts, each once a text, and before them whose each is."""
    codes = np.frombuffer(b"".join(plain) + bytes(PAD), np.uint8)
    lengths = np.array([len(text) for text in plain], np.int64)
    whose = np.repeat(np.arange(len(plain)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(whose))
    eights = eights_of(codes)[: len(whose)]
    found = [np.zeros(0, np.int64)]
    for size in GRAMS:
        whole = left >= size
        hashes = mix((eights[whole] & KEEP[size]) + np.uint64(size << 56))
        found.append(whose[whole] * BUCKETS | (hashes & np.uint64(BUCKETS - 1)).astype(np.int64))
    pairs = np.sort(np.concatenate(found))  # half the time of np.unique
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]]
    return pairs // BUCKETS, pairs & (BUCKETS - 1)


def tokens(question: str) -> list[str]:
    """Return the tokens of a question as they are written, without the marks at its end."""
    plain = question.translate(_QUOTES).replace("''", '"').replace(" 's ", "'s ")
    found = TOKEN.findall(plain)
    while found and found[-1] in "?.!'\"":
        found.pop()
    return found[-MOST:]


def words_of(written: list[str], low: list[str]) -> list[str]:
    """Return the features of words: each alone, with its neighbours, with the word that asks, and of shapes."""
    shaped = [_shape(token, i) for i, token in enumerate(written)]
    ask = next((word for word in low if word in ASKS), "-")
    found = [f"w {word}" for word in low]
    found += [f"k {ask} {word}" for word in low]
    bounded = ["^", *low, "$"]
    found += [f"b {a} {b}" for a, b in pairwise(bounded)]
    found += [f"t {a} {b} {c}" for a, b, c in zip(bounded, bounded[1:], bounded[2:], strict=False)]
    bounded = ["^", *shaped, "$"]
    found += [f"s {a} {b}" for a, b in pairwise(bounded)]
    found += [f"S {a} {b} {c}" for a, b, c in zip(bounded, bounded[1:], bounded[2:], strict=False)]
    found += [f"o {' '.join(low[:n])}" for n in (1, 2, 3, 4)]
    found += [f"O {' '.join(shaped[:n])}" for n in (3, 4, 5)]
    found.append(f"e {' '.join(shaped[-2:])}")
    found.append(f"n {min(len(low), 12) // 2} {ask}")
    if len(low) < 8:
        found.append(f"all {' '.join(_squeezed(shaped))}")
    return found


def heads_of(written: list[str], low: list[str]) -> list[str]:
    """Return the features of what is asked for: the word that asks, the noun behind it, the classes of words."""
    at, ask, verb, kind, chunk, rest, via = focus_of(written, low)
    found = [f"ask {ask}", f"ask {ask} {kind}", f"ask {ask} {verb}", f"first {at == 0} {ask}"]
    lead = f"{ask} {kind}"
    known = next((word for word in reversed(chunk) if classes_of(word)), None)
    if chunk:
        found += _of_noun(chunk, rest, known, ask, kind)
        capital = any(token[:1].isupper() for token in written[at + 2 : at + 2 + len(chunk)])
        found.append(f"hc {lead} {capital} {not rest} {len(chunk) > 1}")
    found += [f"B {word}" for word in low[max(at - 1, 0) : at]] + [f"B2 {' '.join(low[max(at - 2, 0) : max(at, 0)])}"]
    found += [f"via {word}" for word in via]
    found += [f"via {word} {each}" for word in via for each in (classes_of(chunk[-1]) if chunk else ())]
    best = any(word in ("most", "least") or (len(word) > 5 and word.endswith("est")) for word in low)
    found.append(f"best {best} {lead}")
    found += [f"r {lead} {word}" for word in rest[:2]]
    for word in rest:
        for each in classes_of(word):
            found += [f"R {each}", f"R {ask} {each}"]
    for word in low:
        found += [f"L {each} {ask}" for each in classes_of(word)]
    found += _patterns(written, low, at)
    first = next((word for word in rest if is_verb(word) or word in _BE), "-")
    target = classes_of(known)[:2] if known else ("-",)
    for each in target:
        found += [f"KV {kind} {each} {first}"]
        found += [f"KR {kind} {each} {other}" for word in rest for other in classes_of(word)[:2]]
    lastly = next((word for word in reversed(low) if word not in _CLOSED), "-")
    found += [f"Z {ask} {each}" for each in classes_of(lastly)]
    found += [f"z {ask} {lastly}"]
    return found


def _of_noun(chunk: list[str], rest: list[str], known: str | None, ask: str, kind: str) -> list[str]:
    """Return the features of the noun asked for; `known` is its last word that has classes."""
    lead, head = f"{ask} {kind}", chunk[-1]
    u = "d" if kind == "do" else ""  # behind `does` stands who does it, not what is asked for
    found = [f"{u}h {head}", f"{u}hs {stem(head)}", f"h {lead} {stem(head)}"]
    found += [f"{u}h1 {chunk[0]}", f"hl {len(chunk)} {lead}"]
    found += [f"{u}hm {word}" for word in chunk]
    found += [f"{u}hp {head[-3:]}", f"{u}hp {head[-4:]}", f"{u}hf {head[:4]}"]
    for word, name in ((head, f"{u}H"), (chunk[0], f"{u}F")):
        for each in classes_of(word):
            found += [f"{name} {each}", f"{name} {lead} {each}"]
    classes = classes_of(known) if known else ("-",)
    found += [f"K {lead} {each}" for each in classes]
    found.append(f"{u}C {' '.join(classes)}")
    return found + [f"{u}Hr {each} {word}" for each in classes for word in rest[:1]]


class Focus(NamedTuple):
    """What a question asks for, in small letters: the place of the word that asks, -1 where none does, and that word;
    the word behind it, and its kind, one of KINDS; the words of the noun asked for, those behind it, and marks of what
    stood before it.
    """

    at: int
    ask: str
    verb: str
    kind: str
    noun: list[str]
    rest: list[str]
    via: list[str]


def focus_of(written: list[str], low: list[str]) -> Focus:
    """Return what a question of these tokens asks for; `low` are the same in small letters."""
    at = asking(low)
    after = low[at + 1 : at + 2]
    verb = after[0] if after else "-"
    verb = "is" if verb == "'" else verb
    kind = "be" if verb in _BE else "do" if verb in _DO else "n"
    return Focus(at, low[at] if at >= 0 else "-", verb, kind, *noun_asked_for(written, at))


def bears_meaning(word: str) -> bool:
    """Return whether a word in small letters says what a question is about, more than how it is built."""
    return word[0].isalnum() and word not in _CLOSED and word not in _BE and word not in _DO and word not in ASKS


def asking(low: list[str]) -> int:
    """Return the place of the word that asks, of tokens in small letters; -1 where none does."""
    places = [i for i, word in enumerate(low) if word in ASKS and (word != "name" or i == 0)]
    if len(places) > 1 and low[places[0]] in ("when", "where", "if") and "," in low[places[0] : places[1]]:
        return places[1]  # When called upon to surrender, what general replied ...
    return places[0] if places else -1


def _patterns(written: list[str], low: list[str], at: int) -> list[str]:
    """Return the question with words of content as signs, as a whole and its beginnings from the word that asks on."""
    begin = max(at, 0)
    plain, classed = [], []
    for token, word in zip(written[begin:], low[begin:], strict=True):
        shape = _shape(token, 1)
        if word in _CLOSED or word in _BE or word in _DO or word in ASKS or not word[0].isalnum():
            plain.append(word)
            classed.append(word)
            continue
        sign = shape if shape[0] in "<#" else "<v>" if is_verb(word) else "<w>"
        plain.append(sign)
        classed.append((*classes_of(word), sign)[0])
    plain, classed = _squeezed(plain), _squeezed(classed)
    found = [
        f"P {' '.join(plain)}" if len(plain) < 10 else "P -",
        f"PC {' '.join(classed)}" if len(classed) < 8 else "PC -",
    ]
    found += [f"p{n} {' '.join(plain[:n])}" for n in range(2, 7) if len(plain) > n]
    found += [f"pc{n} {' '.join(classed[:n])}" for n in range(2, 6) if len(classed) > n]
    found += [f"pe {' '.join(plain[-n:])}" for n in (2, 3)] + [f"pe {' '.join(classed[-n:])}" for n in (1, 2)]
    return found


def noun_asked_for(written: list[str], at: int) -> tuple[list[str], list[str], list[str]]:
    """Return the words of the noun that a question asks for, those behind it, and marks of what stood before it.

    `written` are the tokens, `at` is the place of the word that asks, or -1. What comes back is in small letters.
    """
    written = [token for token in written[at + 1 :] if token != '"']
    low = [token.lower() for token in written]
    i = 0
    while i < len(low) and (low[i] in _BE | _DO or low[i] == "'" or (low[i] == "s" and low[i - 1] == "'")):
        i += 1
    directly = i == 0
    via: list[str] = []
    owner: list[str] = []
    while True:
        while i < len(low) and (low[i] in _ARTICLES or not low[i][0].isalpha()):
            i += 1
        start = i
        while i < len(low) and not _parts(low[i], i - start) and not (directly and _names(written, start, i)):
            i += 1
        chunk = low[start:i]
        if chunk and low[i : i + 2] == ["'", "s"]:
            via.append("'s")
            owner = chunk
            i += 2
        elif chunk and stem(chunk[-1]) in _SORTS and low[i : i + 1] in (["of"], ["for"]) and len(via) < 3:
            via.append(chunk[-1])
            i += 1
        elif owner and chunk and stem(chunk[-1]) == "name":
            return owner, low[i:], [*via, *chunk]
        else:
            return chunk, low[i:], via


def _names(written: list[str], start: int, i: int) -> bool:
    """Whether a name begins behind a noun in small letters, as in `What state boasts Stone Mountain`."""
    return i > start and written[i][0].isupper() and bool(classes_of(written[i - 1]))


def _parts(word: str, inside: int) -> bool:
    """Whether a word ends a noun that has so many words already."""
    if word in _CLOSED or word in _BE or word in _DO or not word[0].isalnum():
        return True
    return inside > 0 and is_verb(word)


def stem(word: str) -> str:
    """Return a noun's singular, by its ending alone."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _shape(token: str, place: int) -> str:
    """Return the token in small letters; a sign for a number, and for a name within a question."""
    if token[0].isdigit():
        return "#4" if len(token) == 4 else "#"
    low = token.lower()
    if place and token[0].isupper() and low not in _CLOSED:
        return "<A>" if token.isupper() and len(token) > 1 else "<N>"
    return low


def _squeezed(shaped: list[str]) -> list[str]:
    return [word for i, word in enumerate(shaped) if word != "<N>" or i == 0 or shaped[i - 1] != "<N>"]
