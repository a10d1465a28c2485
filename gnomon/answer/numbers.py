"""Numbers as people write them: digits with separators, a scale behind them, or words."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_UNITS: Sequence[str] = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS = {name: 10 * at for at, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_ORDINALS = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine",
    "twelfth": "twelve",
}  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A value, how many decimals it was written with, and whether a scale such as million or words were used."""

    value: Decimal
    decimals: int = 0
    scaled: bool = False
    spelled: bool = False

    @property
    def whole(self) -> bool:
        return self.value == self.value.to_integral_value()


def read_number(text: str) -> Number | None:
    """Return the number that the whole of a text is; None where it is none, as 1,00 or 007."""
    head, _, scale = text.rpartition(" ")
    if scale in SCALES and head:
        plain = _spelled(head) or (_digits(head) if scale != "hundred" else None)
        if plain is None or not plain.value or plain.value >= 1000 or "," in head:
            return None
        return Number(plain.value * SCALES[scale], plain.decimals, True, plain.spelled)
    return _digits(text) or _spelled(text)


def read_ordinal(text: str) -> int | None:
    """Return which one a text names, as 2 for 2nd and for second; None where it is no ordinal, as 2th."""
    if text[:1].isdigit():
        digits, suffix = text[:-2], text[-2:]
        if not _plain(digits) or digits[0] == "0":
            return None
        teens = len(digits) > 1 and digits[-2] == "1"
        fitting = "th" if teens else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")
        return int(digits) if suffix == fitting else None
    head, dash, last = text.rpartition("-")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("ieth"):
        last = last.removesuffix("ieth") + "y"
    elif last.endswith("th"):
        last = last.removesuffix("th")
    else:
        return None
    found = _spelled(head + dash + last)
    return int(found.value) if found and found.value else None


def _digits(text: str) -> Number | None:
    whole, point, decimals = text.partition(".")
    groups = whole.split(",")
    if not all(map(_plain, groups)) or (point and not _plain(decimals)):
        return None
    if len(groups) > 1 and not (len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return None
    if whole[0] == "0" and whole != "0":
        return None
    return Number(Decimal(whole.replace(",", "") + point + decimals), len(decimals))


def _spelled(text: str) -> Number | None:
    tens, dash, one = text.partition("-")
    if dash:
        known = tens in _TENS and one in _UNITS[1:10]
        return Number(Decimal(_TENS[tens] + _UNITS.index(one)), spelled=True) if known else None
    if text in _UNITS:
        return Number(Decimal(_UNITS.index(text)), spelled=True)
    return Number(Decimal(_TENS[text]), spelled=True) if text in _TENS else None


def _plain(text: str) -> bool:
    return text.isascii() and text.isdigit()
