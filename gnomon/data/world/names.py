"""Pronounceable names that nobody has: all of one make, so that a name alone does not say what it is the name of."""

from gnomon.data.synthesis.draw import Draw

_OPEN = (
    "b", "bl", "br", "d", "dr", "f", "fl", "g", "gl", "gr", "h", "j", "k", "kl", "kr", "l", "m", "n", "p", "pr", "r",
    "s", "sk", "st", "t", "tr", "v", "vl", "w", "z",
)  # fmt: skip
_MIDDLE = (*"aaeeiioouu", "ai", "au", "ei", "ia")
_CLOSE = ("", "", "", "l", "m", "n", "r", "s", "th", "nd", "rk", "sh")


def words(draw: Draw, count: int, taken: set[str]) -> list[str]:
    """Return new words with a capital, of two or three syllables, none of them in `taken`, and add them to it."""
    found: list[str] = []
    while len(found) < count:
        syllables = [draw.pick(_OPEN) + draw.pick(_MIDDLE) for _ in range(2 + draw.chance(25))]
        word = ("".join(syllables) + draw.pick(_CLOSE)).capitalize()
        if word not in taken:
            taken.add(word)
            found.append(word)
    return found
