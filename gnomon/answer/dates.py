"""Dates and times of day as answers give them, checked against the calendar."""

import calendar

from gnomon.answer.numbers import read_ordinal

LAST_YEAR = 2999

_MONTHS = {name: at for at, name in enumerate(calendar.month_name) if name}
_SHORT = {short: at for at, name in enumerate(calendar.month_name) if name for short in (name[:3], name[:3] + ".")}
_MONTHS_TOO = {**_SHORT, **_MONTHS, "Sept": 9, "Sept.": 9}
_SEASONS = ("spring", "summer", "autumn", "fall", "winter")
_PARTS = ("early", "mid", "late")


def is_date(text: str) -> bool:
    """Return whether a text is a day, month, year, decade, century, season, weekday or time of day that there is.

    Years go to 2999. Days of before 1582 are judged as the Gregorian calendar would have them.
    """
    return _is_clock(text) or _is_iso(text) or _is_period(text) or _is_year(text) or _is_day(text.replace(",", "", 1))


def _is_day(text: str) -> bool:
    """Whether this is `March 10 1876`, `10 March 1876`, `March 1876`, or one of them without the year."""
    words = text.split(" ")
    months = [at for at, word in enumerate(words) if word in _MONTHS_TOO]
    if months not in ([0], [1]) or len(words) > 3 or not all(words):
        return False
    month, rest = _MONTHS_TOO[words[months[0]]], [word for at, word in enumerate(words) if at not in months]
    if months == [1] and not rest:
        return False
    if not rest:
        return True
    if months == [0] and len(rest) == 1 and len(rest[0]) > 2:
        return _year(rest[0]) is not None and len(rest[0]) >= 3
    year = _year(rest[1]) if len(rest) == 2 else 2000
    return year is not None and _exists(year, month, rest[0])


def _exists(year: int, month: int, day: str) -> bool:
    return _plain(day) and len(day) <= 2 and 1 <= month <= 12 and 1 <= int(day) <= calendar.monthrange(year, month)[1]


def _year(text: str) -> int | None:
    """Return the year of digits without a zero before them; None for none that is allowed."""
    return int(text) if _plain(text) and text[0] != "0" and 1 <= int(text) <= LAST_YEAR else None


def _is_year(text: str) -> bool:
    first, _, last = text.partition(" ")
    if first == "AD":
        return _plain(last) and last[0] != "0" and len(last) <= 4
    if last in ("BC", "BCE"):
        return _plain(first) and first[0] != "0" and len(first) <= 4
    return _year(first) is not None and last in ("", "AD", "CE")


def _is_iso(text: str) -> bool:
    parts = text.split("-")
    if len(parts) not in (2, 3) or not all(map(_plain, parts)) or [len(p) for p in parts] != [4, 2, 2][: len(parts)]:
        return False
    year, month = _year(parts[0]), int(parts[1])
    return year is not None and 1 <= month <= 12 and (len(parts) == 2 or _exists(year, month, parts[2]))


def _is_period(text: str) -> bool:
    """Whether this is a decade, century, season with its year, or a day of the week."""
    words = text.split(" ")
    if text in calendar.day_name:
        return True
    if words[0].lower() in _SEASONS and words[0][1:].islower():
        rest = words[2:] if words[1:2] == ["of"] else words[1:]
        return len(rest) == 1 and _year(rest[0]) is not None
    words = words[1:] if words[0] == "the" else words
    if len(words) > 1 and words[0] in _PARTS:
        words = words[1:]
    elif words and words[0].partition("-")[0] in _PARTS and "-" in words[0]:
        words = [words[0].partition("-")[2], *words[1:]]
    if len(words) == 1:
        return words[0].endswith("0s") and len(words[0]) == 5 and _year(words[0][:-1]) is not None
    if len(words) not in (2, 3) or words[1] != "century" or words[2:] not in ([], ["BC"], ["AD"], ["BCE"], ["CE"]):
        return False
    which = read_ordinal(words[0])
    return which is not None and words[0][0].isdigit() and 1 <= which <= LAST_YEAR // 100 + 1


def _is_clock(text: str) -> bool:
    if text in ("noon", "midnight"):
        return True
    half = next((h for h in ("a.m.", "p.m.", "am", "pm", "AM", "PM") if text.endswith(h)), "")
    clock = text.removesuffix(half)
    clock = clock.removesuffix(" ") if half else clock
    hour, colon, minute = clock.partition(":")
    if not (_plain(hour) and len(hour) <= 2) or (colon and not (_plain(minute) and len(minute) == 2)):
        return False
    if colon and int(minute) > 59:
        return False
    return 1 <= int(hour) <= 12 if half else bool(colon) and int(hour) <= 23


def _plain(text: str) -> bool:
    return text.isascii() and text.isdigit()
