"""Whether an answer is what its type says: read by parsers of their own, which share no pattern with the grammar.

Two guards that know nothing of each other: the grammar keeps a model from saying 30 February, and this would find it.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence

from gnomon.answer.dates import is_date
from gnomon.answer.grammar import QUOTED, TEXT_CHARACTERS
from gnomon.answer.numbers import Number, read_number, read_ordinal
from gnomon.answer.units import COINS, COLDEST, CURRENCIES, SMALLER, names_of
from gnomon.answer.words import is_word


def type_of(answer: str, types: Sequence[str], evidence: Sequence[str] | None = None) -> str | None:
    """Return the first of the types that an answer is well-formed as, or None."""
    return next((type_ for type_ in types if problem_of(answer, type_, evidence) is None), None)


def problem_of(answer: str, type_: str, evidence: Sequence[str] | None = None) -> str | None:
    """Return what is wrong with an answer of a type, in a few words; None for one that is well-formed.

    With `evidence`, a name or a code must stand in one of the passages as whole words, letter by letter. Space around
    the answer is no part of it.
    """
    answer = answer.strip()
    if not answer:
        return "it is empty"
    if any(unicodedata.category(character) == "Cc" for character in answer):
        return "it has control characters"
    if not _IS[type_](answer):
        return f"it is no {type_}"
    if evidence is not None and type_ in QUOTED and not any(is_quoted(answer, passage) for passage in evidence):
        return "nothing that was read or recited says it"
    return None


def is_quoted(answer: str, passage: str) -> bool:
    """Return whether an answer stands in a passage, letter by letter, and cuts no word of it."""
    return next(quoted_at(answer, passage), None) is not None


def quoted_at(answer: str, passage: str) -> Iterator[int]:
    """Yield every place where an answer begins in a passage, letter by letter, and cuts no word of it."""
    at = passage.find(answer) if answer else -1
    while at >= 0:
        if _is_edge(passage, at) and _is_edge(passage, at + len(answer)):
            yield at
        at = passage.find(answer, at + 1)


def _is_edge(passage: str, at: int) -> bool:
    """Whether no word goes on across this place: 3.5 and O'Neill are one each, and it's is two."""
    before, after = passage[:at], passage[at:]
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return True
    if is_word(before[-1]) and is_word(after[0]):
        return False
    middle = after[0] if is_word(before[-1]) else before[-1]
    left, right = (before, after[1:]) if is_word(before[-1]) else (before[:-1], after)
    if not (left and right and is_word(left[-1]) and is_word(right[0])):
        return True
    numeric = left[-1].isdigit(), right[0].isdigit()
    if middle in "'’":
        return right[0] in "sS" and not (len(right) > 1 and is_word(right[1]))
    bound = (middle == "." and numeric[0] == numeric[1]) or (middle in ",:/" and all(numeric))
    return not (bound or (middle == "-" and any(numeric)))


def _is_count(text: str) -> bool:
    number = read_number(text)
    return text == "none" or (number is not None and number.whole and (number.scaled or not number.decimals))


def _is_number(text: str) -> bool:
    unsigned = text[1:] if text[0] in "-−+" else text
    bare = read_number(unsigned)
    if bare is not None:
        return unsigned == text or not (bare.scaled or bare.spelled)
    above, slash, below = text.partition("/")
    if slash and (over := read_number(above)) and (under := read_number(below)):
        return over.value > 0 and under.value > 0 and over.whole and under.whole and len(text) <= 9
    measured = any(_is_measure(text, name) for name in ("speed", "weight", "volume", "area", "other"))
    return measured or read_ordinal(text) is not None or _is_temperature(text)


def _is_temperature(text: str) -> bool:
    for scale, coldest in COLDEST.items():
        if text.endswith(scale):
            head = text.removesuffix(scale).removesuffix(" ")
            number = read_number(head[1:] if head[:1] in ("-", "−") else head)
            if number is not None and not (number.scaled or number.spelled):
                return float(number.value) * (-1 if head[0] in "-−" else 1) >= coldest
    return False


def _is_measure(text: str, dimension: str) -> bool:
    """Whether this is an amount, not below zero, of a unit of the dimension, or of two that stand together."""
    names = names_of(dimension)
    amount, unit = _split(text, names)
    if unit is None or amount is None:
        return False
    if read_number(amount) is not None:
        return True
    for between in (", and ", " and ", ", ", " "):
        first, _, second = amount.rpartition(between)
        large, larger = _split(first, names)
        count, many = read_number(large or ""), read_number(second)
        if larger is not None and count is not None and many is not None:
            most = SMALLER.get((names[larger], names[unit]))
            digits = not (
                count.spelled or many.spelled or count.scaled or many.scaled or count.decimals or many.decimals
            )
            return most is not None and digits and 1 <= many.value < most
    return False


def _split(text: str, names: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the amount and the unit of the longest name at the end of a text; None, None for none."""
    ending = [name for name in names if text.endswith(f" {name}")]
    unit = max(ending, key=len, default=None)
    return (None, None) if unit is None else (text.removesuffix(f" {unit}"), unit)


def _is_money(text: str) -> bool:
    if text[0] in COINS:
        number = read_number(text[1:])
        return number is not None and _is_amount(number) and not number.spelled
    names = [*CURRENCIES, *CURRENCIES.values()]
    name = max((n for n in names if text.endswith(f" {n}")), key=len, default=None)
    number = None if name is None else read_number(text.removesuffix(f" {name}"))
    return number is not None and _is_amount(number)


def _is_amount(number: Number) -> bool:
    return number.scaled or number.decimals in (0, 2)


def _is_percent(text: str) -> bool:
    if text.endswith("%"):
        number = read_number(text.lstrip("-−")[:-1].removesuffix(" ")) if text[1:2] not in ("-", "−") else None
        return number is not None and not (number.scaled or number.spelled)
    name = next((n for n in (" percent", " per cent") if text.endswith(n)), "")
    number = read_number(text.removesuffix(name)) if name else None
    return number is not None and not number.scaled


def _is_code(text: str) -> bool:
    parts = text.replace("(", " ").replace(")", " ").replace("+", " ").split()
    pieces = [piece for part in parts for piece in part.replace("-", ".").replace("/", ".").split(".")]
    plain = all(piece.isascii() and piece.isalnum() for piece in pieces)
    brackets = (text.count("("), text.count(")"), text.count("+"))
    ordered = brackets in ((0, 0, 0), (1, 1, 0), (0, 0, 1)) and (not any(brackets) or text[0] in "(+")
    return plain and ordered and "  " not in text and any(c.isdigit() for c in text)


def _is_short(text: str) -> bool:
    """Whether this is an abbreviation in one piece, or the two and more words that one stands for."""
    if " " in text:
        words = [word.strip(",") for word in text.split(" ") if word != "&"]
        return all(w and all(_is_letter(c) or c in "'’-" for c in w) for w in words)
    inner = text.removesuffix(".")
    for mark in ".&/-":
        inner = inner.replace(mark, "a")
    return text[0].isalpha() and inner.isascii() and inner.isalnum()


def _is_name(text: str, marks: str, digits: bool) -> bool:
    """Whether this is a few words of letters, one of them with a capital or of a script without."""
    words = text.split(" ")
    letters = all(_is_letter(c) or c in marks or (digits and c in "0123456789") for c in text.replace(" ", ""))
    named = any(_opens_name(word, digits) for word in words)
    return letters and named and all(words) and text[-1] != ","


def _opens_name(word: str, digits: bool) -> bool:
    first = unicodedata.category(word[0]) if word else "Zs"
    return first in ("Lu", "Lt", "Lo", "Cn") or (digits and word[:1] in "0123456789")


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM" or unicodedata.category(character) == "Cn"  # of a later Unicode


def _is_entity(text: str) -> bool:
    words = text.split(" ")
    known = all(_is_letter(c) or c in "0123456789'’.&/+-,:!? " for c in text)
    opened = _is_letter(text[0]) or text[0] in "0123456789"
    return known and opened and all(words) and text[-1] not in ",:"


def _is_text(text: str) -> bool:
    return len(text) <= TEXT_CHARACTERS and any(_is_letter(c) or c.isdigit() for c in text)


_IS: dict[str, Callable[[str], bool]] = {
    "person": lambda text: _is_name(text, "'’.-,", False),
    "group": lambda text: _is_name(text, "'’.&/-,", True),
    "location": lambda text: _is_name(text, "'’.&/-,", True),
    "entity": _is_entity,
    "date": is_date,
    "duration": lambda text: _is_measure(text, "duration"),
    "number": _is_number,
    "money": _is_money,
    "percent": _is_percent,
    "distance": lambda text: _is_measure(text, "distance"),
    "count": _is_count,
    "code": _is_code,
    "boolean": lambda text: text.lower() in ("yes", "no", "true", "false") and text[1:].islower(),
    "abbreviation": _is_short,
    "definition": _is_text,
    "description": _is_text,
    "manner": _is_text,
    "reason": _is_text,
}
