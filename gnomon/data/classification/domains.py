"""Domains: which rule says what kind of text a document is. Each kind is a source of its own, such as `web/news`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gnomon.config import DomainConfig, SourceConfig
from gnomon.data.classification.classifier import Classifier

Asked = tuple[str | None, str | None]
"""What a rule looks for in a document: a field of its record, or in its text; and a pattern, or anything."""


class Choice(NamedTuple):
    """A source for the documents of which what is asked is true, by its place in `asked_of`; None: for all."""

    asked: int | None
    source: str


def asked_of(rules: Iterable[DomainConfig], source: str) -> list[Asked]:
    """Return what the rules look for in the documents of a source, each once."""
    wanted = [(r.field, r.matches) for r in rules if r.source in (None, source) and (r.field or r.matches)]
    return list(dict.fromkeys(wanted))


def choices_of(
    rules: Sequence[DomainConfig], source: str, own: str | None, file: str, labels: Sequence[str] = ()
) -> tuple[Choice, ...]:
    """Return the sources that documents of a file may be of, by its name; the first that is true counts, and the last
    one always is. A domain that a source has of its `own` keeps the source's name; `labels` are a classifier's.
    """
    asked, found = asked_of(rules, source), list[Choice]()
    for rule in rules:
        if fits_rule(rule, source, file):
            name = source if rule.domain == own else f"{source}/{rule.domain}"
            if not (rule.field or rule.matches):
                return (*found, Choice(None, name))
            found.append(Choice(asked.index((rule.field, rule.matches)), name))
    for number, label in enumerate(labels):
        found.append(Choice(len(asked) + number, source if label == own else f"{source}/{label}"))
    return (*found, Choice(None, source))


def fits_rule(rule: DomainConfig, source: str, file: str) -> bool:
    """Return whether a rule is meant for texts of a source and a file, by its name."""
    return rule.source in (None, source) and (rule.path is None or _fits(file, rule.path))


def _fits(file: str, pattern: str) -> bool:
    """Return whether a name fits a pattern, in which * stands for anything, / too."""
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), file, re.S) is not None


def fields_of(asked: Iterable[Asked]) -> list[str]:
    """Return the fields of a record that rules ask for, each once."""
    return list(dict.fromkeys(field for field, _ in asked if field is not None))


class Sorter:
    """Finds what of all that is asked is true of each document, and behind it which label a classifier gives it."""

    def __init__(self, asked: Sequence[Asked], classifier: Classifier | None = None) -> None:
        self._classifier = classifier
        fields = fields_of(asked)
        self._asked = [
            (None, re.compile(p or ".")) if f is None else (fields.index(f), re.compile(p or ".", re.MULTILINE))
            for f, p in asked
        ]
        self.width = len(asked) + len(classifier.labels if classifier else ())
        self._last = np.zeros(self.width, bool)

    def sort(
        self, texts: Sequence[str], fields: Sequence[tuple[str, ...]], goes_on: Sequence[bool] | np.ndarray
    ) -> np.ndarray:
        """Return what is true of each text: bool [n, asked]. One that goes on from that before it is of its kind."""
        found = np.zeros((len(texts), self.width), bool)
        for i, (text, said) in enumerate(zip(texts, fields, strict=True)):
            if not goes_on[i]:
                for number, (field, pattern) in enumerate(self._asked):
                    where = text if field is None else said[field] if said else ""
                    self._last[number] = pattern.search(where) is not None
                if self._classifier:
                    self._last[len(self._asked) :] = False
                    self._last[len(self._asked) + int(self._classifier.classify([text])[0])] = True
            found[i] = self._last
        return found


def chosen(
    choices: Sequence[Sequence[Choice]], files: np.ndarray, true: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Return the place in `names` of the source of each document, uint16 [n], by the choices of each file, the file
    that each document is of, and what is `true` of it.
    """
    numbers, places = {name: i for i, name in enumerate(names)}, np.zeros(len(files), np.uint16)
    kinds = {tuple(each): i for i, each in enumerate(dict.fromkeys(map(tuple, choices)))}
    kind = np.array([kinds[tuple(each)] for each in choices])[files]
    for each, i in kinds.items():
        left = kind == i
        for asked, source in each:
            mine = left if asked is None else left & true[:, asked]
            places[mine] = numbers.get(source, 0)  # where it is not there, nothing is of it
            left = left & ~mine
    return places


def described(sources: Sequence[SourceConfig], names: Iterable[str]) -> list[dict[str, Any]]:
    """Return what a manifest says of the sources: those that a config names, then those that their domains are."""
    plain = {"name", "domain", "licence"}
    entries = [
        s.model_dump(include=plain | ({"form"} if s.form != "text" else set()) | ({"recite"} if s.recite else set()))
        for s in sources
    ]
    licences = {s.name: s.licence for s in sources}
    for name in names:
        whole, _, domain = name.partition("/")
        if domain and whole in licences:
            entries.append({"name": name, "domain": domain, "licence": licences[whole]})
    return entries
