"""The words of a passage: where a span that is quoted from it may begin and end."""

import unicodedata


def chunks(passage: str) -> list[str]:
    """Return the passage cut into words and single other characters; joined they are the passage.

    A word is a run of letters, digits and their marks, with a point, comma or dash inside a number (3.5, 555-1234), a
    point inside an acronym (U.S) and an apostrophe inside a name (O'Neill), but for a possessive s, which is a word.
    """
    cuts = [at for at in range(1, len(passage)) if not _bound(passage, at)]
    return [passage[a:b] for a, b in zip([0, *cuts], [*cuts, len(passage)], strict=True) if a < b]


def _bound(text: str, at: int) -> bool:
    """Whether the characters on both sides of a place belong to one word."""
    left, right = text[at - 1], text[at]
    if is_word(left):
        return is_word(right) or (at + 1 < len(text) and is_word(text[at + 1]) and _joins(text, at))
    return is_word(right) and at >= 2 and is_word(text[at - 2]) and _joins(text, at - 1)


def _joins(text: str, at: int) -> bool:
    """Whether the character here, which has word characters on both sides, joins them."""
    digits = text[at - 1].isdigit() + text[at + 1].isdigit()
    match text[at]:
        case "'" | "’":
            return not (text[at + 1] in "sS" and not (at + 2 < len(text) and is_word(text[at + 2])))
        case ".":
            return digits != 1
        case "," | ":" | "/":
            return digits == 2
        case "-":
            return digits > 0
    return False


def is_word(character: str) -> bool:
    """Return whether a character is a letter, a digit, an underscore, or a mark on one of them."""
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
