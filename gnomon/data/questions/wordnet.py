"""WordNet's nouns: what kind of thing a noun names, and what kind of thing that is, and so on to the top.

Read from the database files of WordNet 3.x (`index.noun`, `data.noun`, `noun.exc`; wndb(5WN) says how they are made).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_bytes, sha256_file, storage_errors

FILES = ("index.noun", "data.noun", "noun.exc")
SENSES = 3
"""Of a noun that are looked at, the commonest first."""
DO = "give the folder of WordNet's database files (index.noun, data.noun, noun.exc)"

_ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)
_ABOVE = re.compile(r" @i? (\d{8}) n ")


class WordNet:
    """The senses of nouns by lemma, and the kinds above each sense, by the byte at which the database has it."""

    def __init__(
        self,
        senses: dict[str, tuple[int, ...]],
        above: dict[int, tuple[int, ...]],
        exceptions: dict[str, str],
        digest: str,
    ) -> None:
        self._senses, self._above, self._exceptions, self.digest = senses, above, exceptions, digest
        self.kinds_of = lru_cache(maxsize=1 << 16)(self._kinds_of)

    def lemma(self, noun: str) -> str | None:
        """Return the noun as WordNet has it, from small letters with `_` between words; None where it has none."""
        if noun in self._senses:
            return noun
        if (base := self._exceptions.get(noun)) in self._senses:
            return base
        ends = (noun[: -len(old)] + new for old, new in _ENDINGS if noun.endswith(old))
        return next((found for found in ends if found in self._senses), None)

    def _kinds_of(self, noun: str) -> tuple[tuple[int, ...], ...]:
        """Return for each of the noun's first senses the kinds it is of, the sense itself first, each once."""
        lemma = self.lemma(noun)
        return tuple(tuple(self._upwards(sense)) for sense in self._senses[lemma][:SENSES]) if lemma else ()

    def _upwards(self, sense: int) -> Iterator[int]:
        seen, coming = {sense}, [sense]
        while coming:
            yield (one := coming.pop(0))
            new = [kind for kind in self._above.get(one, ()) if kind not in seen]
            seen.update(new)
            coming += new


def load_wordnet(folder: Path) -> WordNet:
    """Return the nouns of WordNet's database files in a folder. Raises DataError for files that are missing, cut, or
    something else.
    """
    index, data, exceptions = (_lines(folder / name) for name in FILES)
    senses, above = {}, {}
    try:
        for line in data:
            head = line.partition(" | ")[0]
            above[int(head[:8])] = tuple(int(at) for at in _ABOVE.findall(head))
        for line in index:
            words = line.split()
            senses[words[0]] = tuple(int(at) for at in words[-int(words[2]) :])
    except (ValueError, IndexError):
        raise DataError("this is no file of WordNet's nouns", where=str(folder), do=DO) from None
    known = above.keys()
    if not senses or not all(at in known for every in senses.values() for at in every):
        raise DataError("index.noun names what data.noun does not have: one of them is cut", where=str(folder), do=DO)
    digest = sha256_bytes("".join(sha256_file(folder / name) for name in FILES).encode())
    pairs = (line.split() for line in exceptions)
    return WordNet(senses, above, {pair[0]: pair[1] for pair in pairs if len(pair) > 1}, digest)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file behind its licence, which is set in."""
    if not path.is_file():
        raise DataError("this file of WordNet is missing", where=str(path), do=DO)
    with storage_errors(path):
        data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        raise DataError("the file is cut: its last line has no end", where=str(path), do=DO)
    return [line for line in data.decode("utf-8", "replace").split("\n") if line and not line.startswith("  ")]
