"""Rules over quality scores: which texts to leave out, and why."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gnomon.base.errors import ConfigError
from gnomon.data.cleaning.quality import SCORES
from gnomon.data.cleaning.repetition import LATER, TOP


@dataclass(frozen=True)
class Rule:
    """A text breaks it whose `score` is under, or over, `threshold`; `name` is `family.min_score` or `.max_score`."""

    family: str
    side: str
    score: str
    threshold: float

    @property
    def name(self) -> str:
        """How settings and reasons call it."""
        return f"{self.family}.{self.side}_{self.score}"


@dataclass(frozen=True)
class Broken:
    """The rule that a text broke first and the score it had."""

    rule: Rule
    value: float

    @property
    def detail(self) -> str:
        """Such as `words 31 < 50`."""
        sign = "<" if self.rule.side == "min" else ">"
        return f"{self.rule.score} {self.value:.4g} {sign} {self.rule.threshold:g}"


GOPHER_QUALITY = (
    Rule("gopher-quality", "min", "words", 50),
    Rule("gopher-quality", "max", "words", 100_000),
    Rule("gopher-quality", "min", "mean_word_length", 3),
    Rule("gopher-quality", "max", "mean_word_length", 10),
    Rule("gopher-quality", "max", "hashes_per_word", 0.1),
    Rule("gopher-quality", "max", "ellipses_per_word", 0.1),
    Rule("gopher-quality", "max", "bullet_lines", 0.9),
    Rule("gopher-quality", "max", "ellipsis_lines", 0.3),
    Rule("gopher-quality", "min", "letter_words", 0.8),
    Rule("gopher-quality", "min", "stop_words", 2),
)
"""Is it English prose? Gopher's figures (arXiv 2112.11446, appendix A).

Of 11,188 Wikipedia pages and 1,785 chapters of novels it removes none; of 60 articles whose marks stand apart as words
(WikiText-2) it removes 11, by `letter_words`.
"""

GOPHER_REPETITION = (
    Rule("gopher-repetition", "max", "duplicate_lines", 0.3),
    Rule("gopher-repetition", "max", "duplicate_line_characters", 0.2),
    Rule("gopher-repetition", "max", "duplicate_paragraphs", 0.3),
    Rule("gopher-repetition", "max", "duplicate_paragraph_characters", 0.2),
    *(Rule("gopher-repetition", "max", f"top_{n}gram", t) for n, t in zip(TOP, (0.2, 0.18, 0.16), strict=True)),
    *(Rule("gopher-repetition", "max", f"duplicate_{n}gram", round(0.2 - n / 100, 2)) for n in LATER),
)
"""Does it say the same over and over? Gopher's figures (table A1 there).

Of the Wikipedia pages it removes 49 (0.4 %), mostly lists in sentences, of the chapters none.
"""

C4 = (
    Rule("c4", "min", "sentences", 5),
    Rule("c4", "max", "lorem_ipsum", 0),
    Rule("c4", "max", "curly_brackets", 0),
)
"""Is it a page of prose, not of code? C4's figures (arXiv 1910.10683); its word list is left out.

Of the Wikipedia pages it removes 130 (1.2 %), nearly all for the braces of formulas, of the chapters 1. Of code, and
of prose about code or mathematics, it removes most.
"""

FINEWEB = (
    Rule("fineweb", "min", "terminal_lines", 0.12),
    Rule("fineweb", "max", "short_lines", 0.67),
    Rule("fineweb", "max", "duplicate_line_characters", 0.1),
    Rule("fineweb", "max", "newlines_per_word", 0.3),
)
"""Is it a list or a menu? FineWeb's figures (arXiv 2406.17557); its code has 0.01 for repeated lines, not 0.1.

Of the Wikipedia pages it removes 2, of the chapters none. Verse and plays have short lines.
"""

FAMILIES = {
    "gopher-quality": GOPHER_QUALITY,
    "gopher-repetition": GOPHER_REPETITION,
    "c4": C4,
    "fineweb": FINEWEB,
}
"""Rules by family, in the order in which they are asked."""

PRESETS = {"web": ("gopher-quality", "gopher-repetition", "c4", "fineweb")}
"""Families for a kind of text. `web`: pages out of a crawl, all four, as FineWeb was made."""


def choose(names: Iterable[str], thresholds: Mapping[str, float] | None = None) -> tuple[Rule, ...]:
    """Return the rules of the families and presets named, in the order of FAMILIES, with thresholds by rule name in
    place of the published ones.

    Raises ConfigError, with the nearest known name, for a family or a rule that does not exist, and for a threshold
    of a rule that was not chosen.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in FAMILIES and name not in PRESETS:
            raise _unknown("family of rules", name, [*FAMILIES, *PRESETS])
        wanted.update(PRESETS.get(name, (name,)))
    rules = {rule.name: rule for family in FAMILIES if family in wanted for rule in FAMILIES[family]}
    for name, threshold in (thresholds or {}).items():
        if name not in rules:
            every = [rule.name for family in FAMILIES.values() for rule in family]
            if name in every:
                do = f"add {name.split('.')[0]} to the families, or leave the threshold out"
                raise ConfigError(f"the threshold {name} belongs to rules that are not asked for", where=name, do=do)
            raise _unknown("rule", name, every)
        if not np.isfinite(threshold):
            raise ConfigError(f"the threshold {name} is {threshold}", where=name, do="give a number")
        rules[name] = replace(rules[name], threshold=float(threshold))
    return tuple(rules.values())


def judge(scores: NDArray[np.float32], rules: Sequence[Rule]) -> list[Broken | None]:
    """Return for each row of `scores` the first rule it breaks, or None. A score at the threshold breaks nothing;
    both are compared as float32, in which the scores were stored.

    Raises ConfigError if the scores have other columns than SCORES.
    """
    if scores.ndim != 2 or scores.shape[1] != len(SCORES):
        what = f"the scores have the shape {scores.shape}, not {len(SCORES)} columns"
        raise ConfigError(what, do="measure the texts again with this version")
    verdicts: list[Broken | None] = [None] * len(scores)
    if not rules:
        return verdicts
    columns = {name: number for number, name in enumerate(SCORES)}
    values = scores[:, [columns[rule.score] for rule in rules]]
    thresholds = np.array([rule.threshold for rule in rules], np.float32)
    low = np.array([rule.side == "min" for rule in rules])
    broken = np.where(low, values < thresholds, values > thresholds)
    first = broken.argmax(1)
    for row in np.flatnonzero(broken.any(1)).tolist():
        verdicts[row] = Broken(rules[first[row]], float(values[row, first[row]]))
    return verdicts


def _unknown(kind: str, name: str, known: list[str]) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; the nearest is {near[0]}" if near else ""
    return ConfigError(f"there is no {kind} {name[:60]!r}{hint}", where=name[:60], do=f"use one of {' '.join(known)}")
