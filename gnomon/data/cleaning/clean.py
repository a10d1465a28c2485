"""Texts repaired: one form for each character, nothing that cannot be seen, line ends and blanks in order."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

KINDS = {
    "surrogate": "halves of surrogate pairs, joined or marked as U+FFFD",
    "mojibake": "places of UTF-8 that was read as Windows-1252",
    "windows": "C1 control characters, read as Windows-1252, as browsers do",
    "control": "control characters and colour codes of terminals, removed",
    "invisible": "zero-width, direction, soft-hyphen and tag characters, removed",
    "private": "characters for private use, and those that are none, removed",
    "space": "no-break and typographic spaces, now plain",
    "composed": "texts that were not in NFC",
    "line end": "line ends that were not a plain newline",
    "trailing": "lines with blanks at their end",
    "blank lines": "places with more than two blank lines",
}
"""What is repaired, and what is counted of it."""


@dataclass(frozen=True)
class Repaired:
    """A text in order, and how much of each of KINDS was repaired in it."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)


def repair(text: str, mojibake: bool = True) -> str:
    """Return the text in order; repaired once is repaired: `repair(repair(x)) == repair(x)`.

    Kept as they are: tabs, the ideographic space, joiners after a letter outside Latin or an emoji, the zero-width
    space of scripts without spaces, U+FFFD, curly quotes, ligatures and wide forms. Mojibake is repaired only where
    the reading is certain, so some of it stays.
    """
    return mend(text, mojibake).text


def repair_all(texts: Iterable[str], mojibake: bool = True) -> tuple[list[str], Counter[str]]:
    """Return the texts in order and how much was repaired in all of them together, by KINDS."""
    repaired = [mend(text, mojibake) for text in texts]
    return [one.text for one in repaired], sum((one.counts for one in repaired), Counter())


def mend(text: str, mojibake: bool = True) -> Repaired:
    """Return the text in order, with counts.

    One repair can call for another (a letter that NFC composes can begin mojibake), so a text is gone over until
    nothing changes: text in order once, other text twice or more. Each pass leaves fewer things to repair.
    """
    counts: Counter[str] = Counter()
    while True:
        before = text
        try:
            odd = _odd(text)
        except UnicodeEncodeError:
            text = _join_surrogates(text, counts)
            odd = _odd(text)
        if odd:
            text = _characters(text, odd, mojibake, counts)
        text = _layout(text, counts)
        if text == before:
            return Repaired(text, counts)


_PLAIN = bytes([9, 10, *range(32, 127)])


def _odd(text: str) -> str:
    """The characters that are not plain ASCII, in order: few in most texts, and found at the speed of bytes, so that
    what looks for rare characters looks at these alone.
    """
    return text.encode().translate(None, _PLAIN).decode()


def _join_surrogates(text: str, counts: Counter[str]) -> str:
    counts["surrogate"] += len(re.findall("[\ud800-\udfff]", text))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_C1 = {chr(b): bytes([b]).decode("cp1252", "ignore") for b in range(0x80, 0xA0)}
"""What Windows-1252 has there; nothing at five places."""

_SINGLE: dict[str, tuple[str, str]] = {
    **{chr(c): ("control", "") for c in (*range(9), *range(14, 32), 127)},
    **{c: ("line end", "\n") for c in "\v\f\u2028\u2029"},
    **{c: ("windows" if read else "control", read) for c, read in _C1.items()},
    **{c: ("space", " ") for c in ("\u00a0", "\u202f", "\u205f", *map(chr, range(0x2000, 0x200B)))},
    **{c: ("invisible", "") for c in "\u00ad\u061c\u200e\u200f\ufeff"},
    **{chr(c): ("invisible", "") for c in (*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFFF9, 0xFFFD))},
}
"""Characters that are replaced wherever they stand, with the kind and what they become."""

_SINGLES = re.compile(f"[{re.escape(''.join(_SINGLE))}]")
_PRIVATE = re.compile(
    "[\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff"
    + "".join(chr(plane << 16 | low) for plane in range(1, 15) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_JOINER = "[\u200b\u200c\u200d]"
_LOOSE = re.compile(
    "(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b"  # Thai, Lao, Burmese, Khmer
    "|(?<![\u0300-\u1fff\u2100-\U0010ffff])[\u200c\u200d]"
)
_TAG = "[\U000e0000-\U000e007f]"
_TAGS = re.compile(f"(?<!\U0001f3f4)(?<!{_TAG}){_TAG}+")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_UNSURE = re.compile(
    "[^\u0000-\u02ff\u0400-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf"
    "\u3001-\u3029\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
"""What may not be in NFC; the rest is, whatever it stands beside."""


def _characters(text: str, odd: str, mojibake: bool, counts: Counter[str]) -> str:
    if mojibake and _LEAD.search(odd) and _PAIR.search(text):
        text = _unscramble(text, counts)
    if "\r" in odd:
        counts["line end"] += text.count("\r")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in odd:
        text = _drop(_COLOUR, text, "control", counts)
    for character in sorted(set(_SINGLES.findall(odd))):
        kind, instead = _SINGLE[character]
        if found := text.count(character):
            counts[kind] += found
            text = text.replace(character, instead)
    if _PRIVATE.search(odd):
        text = _drop(_PRIVATE, text, "private", counts)
    if re.search(_JOINER, odd):
        text = _drop(_LOOSE, text, "invisible", counts)
    if re.search(_TAG, odd):
        text = _drop(_TAGS, text, "invisible", counts)
    if _UNSURE.search(odd) and (composed := unicodedata.normalize("NFC", text)) != text:
        counts["composed"] += 1
        text = composed
    return text


def _drop(pattern: re.Pattern[str], text: str, kind: str, counts: Counter[str]) -> str:
    text, found = pattern.subn("", text)
    if found:
        counts[kind] += found
    return text


_TRAILING = re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)")
_BLANKS = re.compile("\n{4,}")


def _layout(text: str, counts: Counter[str]) -> str:
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = _drop(_TRAILING, text, "trailing", counts)
    if "\n\n\n\n" in text:
        text, found = _BLANKS.subn("\n\n\n", text)
        counts["blank lines"] += found
    return text


_BYTES = {ord(_C1[chr(b)] or chr(b)): b for b in range(0x80, 0xA0)} | {b: b for b in range(0x80, 0xA0)}
"""Windows-1252 backwards: the byte that was read as each character; the others are Latin-1."""

_NEXT = "".join(re.escape(chr(c)) for c in [*_BYTES, *range(0xA0, 0xC0)])
_FIRM = "€‚ƒ„†‡ˆ‰Š‹ŒŽšœžŸ\x80-\x9f¡¢£¤¥¦§¨©ª¬®¯µ¶¼½¾¿"
"""Of those the ones that never stand after a capital Ã in text that is right."""

_CERTAIN = (
    f"â[€‚„†ˆ‰˜œ\\x80-\\x9f][{_NEXT}]",  # quotes, dashes, ellipsis, €, ™, arrows
    "ï»¿|ï¿½",  # the byte order mark, U+FFFD
    f"ð[Ÿ\x9f][{_NEXT}]{{2}}",  # emoji
    f"(?:[ã-í][{_NEXT}]{{2}}){{3,}}",  # Chinese, Japanese, Korean
    *(f"(?:[{lead}][{_NEXT}][ ,.-]{{0,2}}){{3,}}" for lead in ("ÐÑ", "ÎÏ", "×", "ØÙÚÛ")),  # words in other scripts
    f"[ÂÄÅ][\\x80-\\x9f]|Ã[{_FIRM}]",
    f"(?:(?<=[a-z][a-z])Ã|Ã(?=.[a-z]))[{_FIRM}«°±²³´·¸¹º\xad]",  # not x times Ã²
    "(?<![^\\W_])Ã[–—‘’“”˜™•…](?=[a-z])",  # Österreich
    f"(?:[ÃÄÅ][{_FIRM}]){{2,}}",
    f"(?<=[a-z])[ÃÄÅ](?![–—²³])[{_NEXT}](?=[a-z])",
    "(?<=[a-z])Ã\xa0",
    "(?<=[a-z0-9.,;:!?)])Â\xa0",
    "Â[£©®§¼½¾¡¿«]|(?<=[0-9])Â°",
)
"""Mojibake that no right text has. Alone, “Å²” is a square ångström, and “Ã”” ends a quoted word in Portuguese."""

_LEAD = re.compile("[ÂÃÄÅÐÑÎÏ×ØÙÚÛâã-íïð]")
_PAIR = re.compile(f"{_LEAD.pattern}[{_NEXT}]")
_MOJIBAKE = re.compile("|".join(_CERTAIN))


def _unscramble(text: str, counts: Counter[str]) -> str:
    def read(match: re.Match[str]) -> str:
        try:
            again = match[0].translate(_BYTES).encode("latin-1").decode()
        except UnicodeDecodeError:
            return match[0]
        counts["mojibake"] += 1
        return again

    return _MOJIBAKE.sub(read, text)
