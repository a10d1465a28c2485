"""What a well-formed answer of each type looks like, as a grammar in llguidance's Lark.

The patterns are regular expressions that Python's `regex` and Rust's know alike. What they let through is judged anew,
by other means, in `validate.py`, which a pattern must never be wider than: there is no 30 February in either.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache

from gnomon.answer.units import COINS, CURRENCIES, SMALLER, names_of
from gnomon.answer.words import chunks
from gnomon.taxonomy import ANSWER_TYPES

QUOTED = ("person", "group", "location", "entity", "abbreviation", "code")
"""Types that are copied from evidence where there is some: names and codes, of which one letter less is another one."""

TEXT_CHARACTERS = 200
"""Of a definition, description, manner or reason at most."""

SLICES = [r"[a-zA-Z]+", r" [a-zA-Z]+", r"[^\p{Cc}]{1,30}"]
"""Sets of tokens that names and free text allow together, so that their masks need not look at each token: 3 µs where a
set fits, 200 where none does. None fits where words are counted, so the patterns of names do not say how many.
"""


def grammar(
    types: Sequence[str], abstain: int, *, evidence: Sequence[str] | None = None, banned: Iterable[str] = ()
) -> str:
    """Return a grammar of answers of any of the `types`, or the one token `abstain`.

    With `evidence`, which may be empty, the types of QUOTED are spans of whole words of one passage. None of
    `banned` is an answer, whatever space is around it. A space may stand before an answer, as some tokenizers put it.
    """
    unknown = [type_ for type_ in types if type_ not in ANSWER_TYPES]
    if unknown:
        raise ValueError(f"no answer type: {', '.join(unknown)}")
    passages = None if evidence is None else _whole(evidence)
    quoted = [] if passages is None else [type_ for type_ in QUOTED if type_ in types]
    formed = [type_ for type_ in dict.fromkeys(types) if type_ not in quoted or passages]
    lines = ['%llguidance { "no_forcing": true }', f"start: {'ANSWER | ' if formed else ''}<[{abstain}]>"]
    if not formed:
        return "\n".join(lines)
    for type_ in formed:
        lines.append(f"{type_.upper()}: /{pattern(type_).replace('/', _SLASH)}/{' & SPAN' if type_ in quoted else ''}")
    if passages and quoted:
        lines += [f"PASSAGE{i}: %regex {json.dumps({'substring_chunks': chunks(p)})}" for i, p in enumerate(passages)]
        lines.append(f"SPAN: {' | '.join(f'PASSAGE{i}' for i in range(len(passages)))}")
    # & binds tighter than |; what is refused may have space around it, which an answer loses
    refused = "".join(f' & ~(" "* {json.dumps(text)} " "*)' for text in sorted({b.strip() for b in banned} - {""}))
    lines += [f"BODY: ({' | '.join(map(str.upper, formed))}){refused}", 'ANSWER: " "? BODY']
    return "\n".join(lines)


def _whole(evidence: Sequence[str]) -> list[str]:
    """Return the passages that a tokenizer can say; one with a lone surrogate goes on behind it as another."""
    return [part for passage in evidence for part in re.split("[\ud800-\udfff]", passage) if part]


@cache
def pattern(type_: str) -> str:
    """Return the regular expression of a type's answers, without space before or behind."""
    return _PATTERNS[type_]


def _any(options: Iterable[str]) -> str:
    """Return an expression for one of some words, longer ones first."""
    return (
        "(" + "|".join(re.escape(o).replace("\\ ", " ") for o in sorted(set(options), key=lambda o: (-len(o), o))) + ")"
    )


_SLASH = "\\/"

_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINAL_ONES = "first second third fourth fifth sixth seventh eighth ninth".split()
_ORDINAL_TEENS = [
    f"{w}th" for w in "ten eleven twelf thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
]
_ORDINAL_TENS = [w.removesuffix("y") + "ieth" for w in _TENS]

_SCALE = "(thousand|million|billion|trillion)"
_WHOLE = "([1-9][0-9]{0,2}(,[0-9]{3}){1,4}|[1-9][0-9]{0,14}|0)"
_REAL = rf"{_WHOLE}(\.[0-9]{{1,6}})?"
_SPELLED = f"({_any(_ONES + _TEENS)}|{_any(_TENS)}(-{_any(_ONES)})?)"
_SCALED = rf"([1-9][0-9]{{0,2}}(\.[0-9]{{1,3}})? {_SCALE}|{_SPELLED} (hundred|{_SCALE[1:-1]}))"
_COUNT = f"({_SCALED}|{_WHOLE}|{_SPELLED}|zero|none)"
_AMOUNT = f"({_SCALED}|{_REAL}|{_SPELLED}|zero)"
_ORDINAL = (
    f"(([1-9][0-9]{{0,2}})?1[0-9]th|([2-9]|[1-9][0-9]?[02-9])?(1st|2nd|3rd)|[1-9][0-9]{{0,2}}0th|([1-9][0-9]?)?[4-9]th"
    f"|{_any(_ORDINAL_ONES + _ORDINAL_TEENS + _ORDINAL_TENS)}|{_any(_TENS)}-{_any(_ORDINAL_ONES)})"
)


def _measure(*dimensions: str) -> str:
    return f"{_AMOUNT} {_any(form for dimension in dimensions for form in names_of(dimension))}"


def _pairs(dimension: str) -> str:
    """Return an expression for an amount in two units, as 5 feet 11 inches; of the smaller there is less than
    one of the larger.
    """
    forms = names_of(dimension)
    every = []
    for (large, small), most in SMALLER.items():
        if large in forms:
            big, little = (_any(form for form, name in forms.items() if name == unit) for unit in (large, small))
            every.append(f"{_WHOLE} {big}(,? and|,)? {_below(most)} {little}")
    return f"({'|'.join(every)})"


def _below(most: int) -> str:
    return {
        7: "[1-6]", 12: "([1-9]|1[01])", 24: "([1-9]|1[0-9]|2[0-3])", 31: "([1-9]|[12][0-9]|30)",
        60: "([1-9]|[1-5][0-9])", 366: "([1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-5])",
        1760: "([1-9][0-9]{0,2}|1[0-6][0-9]{2}|17[0-5][0-9])",
    }[most]  # fmt: skip


def _dates() -> str:
    long = "January|March|May|July|August|October|December|Jan\\.?|Mar\\.?|Jul\\.?|Aug\\.?|Oct\\.?|Dec\\.?"
    short = "April|June|September|November|Apr\\.?|Jun\\.?|Sept?\\.?|Nov\\.?"
    february = "(February|Feb\\.?)"
    month = f"({long}|{short}|{february[1:-1]})"
    year = "([1-9][0-9]{2}|[12][0-9]{3})"
    leap = "([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)"
    to_28, to_30, to_31 = "(0?[1-9]|1[0-9]|2[0-8])", "(0?[1-9]|[12][0-9]|30)", "(0?[1-9]|[12][0-9]|3[01])"
    days = [(f"({long})", to_31), (f"({short})", to_30), (february, to_28)]
    full = [f"{m} {d}(,? {year})?|{d} {m}(,? {year})?" for m, d in days]
    full += [f"{february} 29(,? {leap})?|29 {february}(,? {leap})?"]
    iso = "[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    iso += "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    return "|".join([
        *full, iso, f"{leap}-02-29", f"{month},? {year}", "[12][0-9]{3}-(0[1-9]|1[0-2])", month,
        "([1-9][0-9]{0,2}|[12][0-9]{3})( (AD|CE))?", "[1-9][0-9]{0,3} (BC|BCE)", "AD [1-9][0-9]{0,3}",
        "(the )?((early|mid|late)[ -])?(1[0-9]|20)[0-9]0s",
        "(the )?((early|mid|late)[ -])?(([4-9]|1[0-9]|20)th|1st|2nd|3rd|21st) century( (BC|AD|BCE|CE))?",
        f"([Ss]pring|[Ss]ummer|[Aa]utumn|[Ff]all|[Ww]inter)( of)? {year}",
        "(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day", "noon|midnight",
        "([01]?[0-9]|2[0-3]):[0-5][0-9]", "(0?[1-9]|1[0-2])(:[0-5][0-9])? ?([ap]m|[ap]\\.m\\.|[AP]M)",
    ])  # fmt: skip


def _temperatures() -> str:
    """Return an expression for temperatures that are not below absolute zero."""
    celsius = "([1-9]?[0-9]|1[0-9]{2}|2[0-6][0-9]|27[0-2])(\\.[0-9]{1,2})?|273"
    fahrenheit = "([1-9]?[0-9]|[1-3][0-9]{2}|4[0-4][0-9]|45[0-8])(\\.[0-9]{1,2})?|459"
    scales = {"( ?°C| degrees Celsius)": celsius, "( ?°F| degrees Fahrenheit)": fahrenheit}
    return "|".join([f"({_REAL}|[-−]({least})){scale}" for scale, least in scales.items()] + [f"{_REAL} ?K"])


# a word with a capital, or of a script that has none; then words that may stand between two such
_CAPITAL = r"[\p{Lu}\p{Lt}\p{Lo}][\p{L}\p{M}]*(['’.\-]\p{L}[\p{L}\p{M}]*)*\.?"
_BETWEEN = _any("of the de da di du del della la le les el al van von der den bin ibn y e and for in on".split())
_TITLE = r"([\p{Lu}\p{Lt}\p{Lo}][\p{L}\p{M}0-9]*|[0-9]+[\p{L}\p{M}]*)(['’.&/\-][\p{L}0-9][\p{L}\p{M}0-9]*)*\.?"
_COMPASS = "((north|south)-?(east|west)?|east|west|central)(ern)?"
_WORD = r"[\p{L}0-9][\p{L}\p{M}0-9]*(['’.&/+\-][\p{L}0-9][\p{L}\p{M}0-9]*)*([+]{1,2}|[.!?])?"
_LETTERS = r"\p{L}[\p{L}\p{M}]*(['’\-]\p{L}[\p{L}\p{M}]*)*"
_TEXT = rf"[\"“(‘']?[\p{{L}}0-9][^\p{{Cc}}]{{0,{TEXT_CHARACTERS - 2}}}"

_PATTERNS = {
    "person": rf"({_BETWEEN} )?{_CAPITAL}( ({_BETWEEN} ){{0,2}}{_CAPITAL})*( the {_LETTERS}|, (Jr|Sr)\.)?",
    "group": rf"([Tt]he )?{_TITLE}((,| &)? ({_BETWEEN} ){{0,2}}{_TITLE})*",
    "location": rf"([Tt]he )?({_COMPASS} )?{_TITLE}(,? ({_BETWEEN} ){{0,2}}{_TITLE})*",
    "entity": rf"{_WORD}((,|:| &)? {_WORD})*",
    "date": _dates(),
    "duration": f"{_measure('duration')}|{_pairs('duration')}",
    "number": (
        rf"[-−+]?{_REAL}|{_SCALED}|{_SPELLED}|zero|{_ORDINAL}|[1-9][0-9]{{0,3}}/[1-9][0-9]{{0,3}}"
        rf"|{_measure('speed', 'weight', 'volume', 'area', 'other')}|{_temperatures()}"
    ),
    "money": (
        rf"{_any(COINS)}({_WHOLE}(\.[0-9]{{2}})?|[1-9][0-9]{{0,2}}(\.[0-9]{{1,3}})? {_SCALE})"
        rf"|({_WHOLE}(\.[0-9]{{2}})?|{_SCALED}|{_SPELLED}) {_any([*CURRENCIES, *CURRENCIES.values()])}"
    ),
    "percent": rf"[-−]?{_REAL} ?%|({_REAL}|{_SPELLED}|zero) (percent|per cent)",
    "distance": f"{_measure('distance')}|{_pairs('distance')}",
    "count": _COUNT,
    "code": (
        r"([A-Za-z]{1,8}[ ./\-]?){0,3}[0-9][A-Za-z0-9]*([ ./\-][A-Za-z0-9]+){0,4}"
        r"|\+[1-9][0-9]{0,14}([ \-][0-9]{1,10}){0,4}|\([0-9]{3}\) [0-9]{3}-[0-9]{4}"
    ),
    "boolean": "[Yy]es|[Nn]o|[Tt]rue|[Ff]alse",
    "abbreviation": rf"[A-Za-z][A-Za-z0-9]*([.&/\-][A-Za-z0-9]+)*\.?|{_LETTERS}((,| &)? {_LETTERS})+",
    "definition": _TEXT,
    "description": _TEXT,
    "manner": _TEXT,
    "reason": _TEXT,
}  # fmt: skip
