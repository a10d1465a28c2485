"""Which language each of many texts is in, and how sure that is. The only file that knows py3langid.

The model is that of the library: an automaton over bytes whose states name character sequences, and for each sequence
how likely it is in each of 139 languages. It is walked here for many texts at once, byte by byte, and its weights are
whole numbers, whose sums do not depend on the order in which they are added up: on any machine, in whatever company, a
text is in the same language. Source: Lui and Baldwin 2012, "langid.py"; github.com/adbar/py3langid.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.base.optional import need

UNKNOWN = "und"
LANGUAGE = np.dtype([("code", "S4"), ("confidence", "<f4")])
PIECE = 400
"""Characters of a text's beginning and of its middle that are looked at."""
WEIGHT, COUNT = 1 << 10, 1 << 12
"""Parts that weights and logarithms of counts are whole numbers of."""


def identify(texts: Sequence[str]) -> NDArray[Any]:
    """Return the language of each text, an ISO 639 code, `zxx` for what is no language, and how likely it is: LANGUAGE
    [n].

    Raises DependencyError without py3langid.
    """
    model = _model()
    found = np.zeros(len(texts), LANGUAGE)
    if texts:
        found["code"], found["confidence"] = model.judge([_looked_at(text) for text in texts])
    return found


def languages_known() -> list[str]:
    """Return the codes of the languages that can be told apart."""
    return sorted({code.decode() for code in _model().codes.tolist()})


def identifier() -> str:
    """Return the library with its version, on which the result depends."""
    return f"py3langid {_library().__version__}"


def _looked_at(text: str) -> bytes:
    """Return the bytes of a text that the model sees, made as the library makes them."""
    if len(text) > 2 * PIECE:
        middle = len(text) // 2
        text = f"{text[:PIECE]}\n{text[middle : middle + PIECE]}"
    return unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode()


def _library() -> Any:
    return need("py3langid", extra="lang", why="data.clean.languages")


@lru_cache(maxsize=1)
def _model() -> "_Model":
    _library()
    return _Model(need("py3langid.langid", extra="lang", why="data.clean.languages"))


class _Model:
    """The library's tables as arrays."""

    def __init__(self, langid: Any) -> None:
        known = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
        self._next = np.array(known.tk_nextmove)
        self._row = np.array(known.tk_row, np.int64) << 8
        self._feature = np.array(known.tk_output, np.int32)
        self._weights = np.rint(np.asarray(known.nb_ptc, np.float32) * WEIGHT).astype(np.int16)
        self._prior = np.rint(known.nb_pc.astype(np.float64) * (WEIGHT * COUNT))
        names = np.array(known.nb_classes, "S4")
        self.codes, self._column = np.unique(names, return_inverse=True)  # some have two columns

    def judge(self, texts: Sequence[bytes]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return the code of the likeliest language of each text, and its share of the probability."""
        of, feature, count = self._features(texts)
        logs = np.rint(np.log1p(np.arange(1 + int(count.max(initial=0)))) * COUNT)
        scores = np.tile(self._prior, (len(texts), 1))
        cuts = np.searchsorted(of, np.arange(len(texts) + 1))
        for i, (first, last) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
            # whole numbers below 2**53: float64 adds them up without rounding
            scores[i] += logs[count[first:last]] @ self._weights[feature[first:last]].astype(np.float64)
        sizes = np.array([max(1, len(text)) for text in texts])
        scores[cuts[1:] == cuts[:-1]] = 0  # nothing was seen: every language is as likely
        shares = np.exp((scores - scores.max(1, keepdims=True)) / (WEIGHT * COUNT * np.sqrt(sizes)[:, None]))
        together = np.zeros((len(texts), len(self.codes)))
        for column, code in enumerate(self._column.tolist()):
            together[:, code] += shares[:, column]
        together /= together.sum(1, keepdims=True)
        best = together.argmax(1)
        return self.codes[best], together[np.arange(len(texts)), best].round(4).astype(np.float32)

    def _features(self, texts: Sequence[bytes]) -> tuple[NDArray[np.int64], ...]:
        """Return which text has which feature, and how often, in the order of the texts."""
        sizes = np.array([len(text) for text in texts])
        order = np.argsort(-sizes, kind="stable")
        width = int(sizes.max(initial=0))
        letters = np.frombuffer(b"".join(texts[i].ljust(width, b"\0") for i in order.tolist()), np.uint8)
        letters = np.ascontiguousarray(letters.reshape(len(texts), width).T)
        active = np.searchsorted(-sizes[order], -np.arange(width), "left").tolist()  # texts that are longer
        state, seen = np.zeros(len(texts), self._next.dtype), np.full(letters.shape, -1, np.int32)
        for place, some in enumerate(active):
            state[:some] = self._next[self._row[state[:some]] + letters[place, :some]]
            seen[place, :some] = self._feature[state[:some]]
        place, which = np.nonzero(seen >= 0)
        pairs = (order[which] << 32) + seen[place, which]
        pairs, count = np.unique(pairs, return_counts=True)
        return pairs >> 32, pairs & 0xFFFFFFFF, count
