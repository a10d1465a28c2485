"""Whether an answer is one of those that are accepted: the same words, but for case, punctuation and articles."""

import re
import unicodedata
from collections.abc import Iterable

_ARTICLE = re.compile(r"\b(a|an|the)\b")


def is_accepted(answer: str | None, accepted: Iterable[str]) -> bool:
    """Return whether an answer, None for an abstention, says what an accepted one does: exact match as SQuAD scores it.

    Signs and points inside numbers stay, so that -5 is not 5 and 3.5 is not 35.
    """
    said = "" if answer is None else plain_answer(answer)
    return said != "" and any(said == plain_answer(one) for one in accepted)


def plain_answer(text: str) -> str:
    """Return a text in lower case without punctuation, articles and repeated space; as it is, where that is nothing."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c if _stays(folded, at) else " " if c in "-–—/" else "" for at, c in enumerate(folded))
    return " ".join(_ARTICLE.sub(" ", kept).split()) or " ".join(folded.split())


def _stays(text: str, at: int) -> bool:
    """Whether a character is no punctuation, or a sign before a number, or a point inside one."""
    c, after = text[at], text[at + 1 : at + 2]
    if unicodedata.category(c)[0] != "P":
        return True
    before = text[at - 1 : at] if at else ""
    if c in "-–" and after.isdigit():
        return not before.strip()
    return c == "." and after.isdigit() and (before.isdigit() or not before.strip())
