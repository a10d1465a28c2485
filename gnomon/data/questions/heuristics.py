"""What the form of a question alone says: how likely it is well posed, and its answer type, where a rule decides.

One signal among others, and a weak one: each label names its rule and how far to trust it. The first rule that fits
decides; quoted text is not looked at, and words such as `my` only where they are written small.
"""

import re
from typing import NamedTuple

from gnomon.taxonomy import COARSE_OF


class Form(NamedTuple):
    """How likely a question is well posed, how far to trust that (0 to 1), and the rule that says so."""

    well_posed: float
    reliability: float
    rule: str


class Typed(NamedTuple):
    """The coarse and the fine answer type, None where no rule decides, and the rule that does."""

    type: str | None
    fine_type: str | None
    rule: str | None


_QUOTED = re.compile(r"``.*?''|\"[^\"]*\"|“[^”]*”")
_SENSELESS = Form(0.02, 0.95, "no_words")
_STATEMENT = Form(0.5, 0.2, "no_question")
_FLAWS = {  # where they stand in the question does not count
    "deictic": (Form(0.05, 0.8, "deictic"), r"\b(?:my|mine|me|our|ours|here|today|tonight|yesterday|right now)\b"),
    "future": (
        Form(0.1, 0.7, "future"),
        r"^Will\b|\b(?:will|tomorrow|is going to|are going to|next (?:year|month|week|decade|century))\b",
    ),
    "opinion": (
        Form(0.2, 0.7, "opinion"),
        r"\b(?:should|do you (?:think|like|prefer|believe)|your view|favou?rite|opinion|worst|better"
        r"|(?:the|some) best(?! (?:actor|actress|picture|known|selling))"
        r"|(?:most|more) (?:beautiful|interesting|important))\b",
    ),
}
_OPENINGS = {
    "who": (
        Form(1.0, 0.9, "who"),
        r"(?:by |to |for |of |with |from )?who(?:m|se|'s)?\b|(?:which|what) (?:\w+ )?(?:person|man|woman|people)\b",
    ),
    "where": (Form(0.95, 0.9, "where"), r"(?:from )?where(?:'s)?\b"),
    "when": (
        Form(0.9, 0.9, "when"),
        r"when\b|(?:(?:in|on|by) )?(?:what|which) (?:year|date|day|month|century|decade)\b",
    ),
    "how_many": (
        Form(0.95, 0.9, "how_many"),
        r"how (?:many|much|long|far|tall|high|deep|old|fast|big|large|wide|heavy|often|hot|cold)\b",
    ),
    "why": (Form(0.6, 0.5, "why"), r"why\b"),
    "how": (Form(0.6, 0.5, "how"), r"how\b"),
    "what": (
        Form(0.85, 0.5, "what"),
        r"(?:(?:in|on|at|by|for|from|of|to|with|under|during|after) )?(?:what|which)(?:'s)?\b",
    ),
    "name": (Form(0.85, 0.5, "name"), r"(?:name|list|define|give|tell|identify)\b"),
    "yes_no": (
        Form(0.8, 0.4, "yes_no"),
        r"(?:is|are|was|were|am|do|does|did|can|could|has|have|had|would|may|might|must)\b",
    ),
    "what_within": (Form(0.8, 0.4, "what_within"), r".*\b(?:what|which|who|whom|whose|when|where|how)\b"),
}
_FLAW = re.compile("|".join(f"(?P<{name}>{pattern})" for name, (_, pattern) in _FLAWS.items()))
_OPENING = re.compile(
    "|".join(f"(?P<{name}>{pattern})" for name, (_, pattern) in _OPENINGS.items()), re.IGNORECASE | re.DOTALL
)

_IS = r"(?:is|are|was|were|'s)"
_WHAT = rf"(?:what|which)(?: {_IS})?(?: the)?(?: \w+)?"
_TYPES = (
    ("ABBR:exp", r".*\bstands? for\b|what (?:does|do) (?:the )?(?:abbreviation|acronym|initials)"),
    ("ABBR:abb", rf"what {_IS} (?:the|an|another) (?:abbreviation|acronym)"),
    ("NUM:count", r"how many\b|what is the (?:population|number)"),
    ("NUM:money", r"how much (?:does|did|do|is|was|money|would|are|were)\b|what (?:is|was) the (?:price|cost"
     r"|salary|wage)"),
    ("NUM:dist", r"how (?:far|tall|high|deep|wide)\b|.*\b(?:what is|what was) the (?:distance|height|length"
     r"|width|depth|wingspan)\b"),
    ("NUM:period", r"how (?:long|old)\b|what (?:is|was) the (?:age|life ?span|life expectancy)"),
    ("NUM:speed", r"how fast\b|what (?:is|was) the (?:\w+ )?speed"),
    ("NUM:temp", r"how (?:hot|cold)\b|.*\btemperature\b"),
    ("NUM:volsize", r"how (?:big|large)\b"),
    ("NUM:weight", r"how (?:heavy\b|much (?:\w+ )*weigh)"),
    ("NUM:perc", r".*\b(?:what percent|percentage|what fraction|what (?:are|is) the odds)\b"),
    ("NUM:code", r"what (?:is|was) (?:the |\w+ 's )?(?:\w+ )*(?:zip code|area code|phone number|telephone number)"),
    ("NUM:date", r"when\b|.*\b(?:what|which) (?:year|date|day|month|century|decade|birthday)\b|what (?:is"
     r"|was) the (?:date|year)"),
    ("DESC:reason", r"why\b|what (?:\w+ )?(?:causes?|caused)\b|what (?:is|was|are|were) the (?:reason|cause|purpose)"),
    ("DESC:manner", r"how (?:do|does|did|can|could|to|would|should|is|are|was|were|has|have)\b"),
    ("LOC:city", rf".*\b{_WHAT} (?:city|town|capital)\b"),
    ("LOC:country", rf".*\b{_WHAT} (?:country|countries|nation)\b"),
    ("LOC:state", rf".*\b{_WHAT} (?:state|province)\b"),
    ("LOC:mount", rf"{_WHAT} (?:mountain|mountains|volcano|peak)\b"),
    ("LOC:other", rf"(?:from )?where\b|.*\b{_WHAT} (?:continent|county|river|lake|ocean|sea|island|planet"
     rf"|street|bridge)\b"),
    ("HUM:desc", r"who (?:is|was|are|were) [\w. -]{2,30}$"),
    ("HUM:gr", rf"{_WHAT} (?:company|team|organization|band|university|college|agency|corporation)\b"),
    ("HUM:title", rf"{_WHAT} (?:profession|occupation|title|rank)\b"),
    ("HUM:ind", rf"(?:\w+ )?who(?:m|se|'s)?\b|{_WHAT} (?:president|actor|actress|author|singer|player|king"
     rf"|queen|man|woman|person|composer)\b"),
    ("ENTY:color", rf".*\b{_WHAT} colou?rs?\b"),
    ("ENTY:animal", rf"{_WHAT} (?:animal|bird|fish|insect|mammal|reptile|dog|horse)s?\b"),
    ("ENTY:lang", rf".*\b{_WHAT} languages?\b"),
    ("ENTY:currency", rf".*\b{_WHAT} (?:currency|monetary unit)\b"),
    ("ENTY:cremat", rf"{_WHAT} (?:book|novel|movie|film|song|play|opera|poem|painting|magazine|newspaper|show"
     rf"|album)\b"),
    ("ENTY:sport", rf"{_WHAT} (?:sport|game)\b"),
    ("ENTY:religion", rf"{_WHAT} religion\b"),
    ("ENTY:instru", rf"{_WHAT} (?:musical )?instrument\b"),
    ("ENTY:letter", rf"{_WHAT} letter\b"),
    ("ENTY:dismed", rf"{_WHAT} (?:disease|illness|drug|medicine)\b"),
    ("ENTY:food", rf"{_WHAT} (?:food|drink|fruit|vegetable|beverage)\b"),
    ("ENTY:substance", rf"{_WHAT} (?:metal|element|substance|mineral|gas)\b"),
    ("ENTY:event", rf"{_WHAT} (?:war|battle|event|holiday)\b"),
    ("ENTY:termeq", r".*\b(?:what (?:is|are|do you) (?:\w+ )*called?$|(?:another|other) (?:name|word|term) for"
     r"|synonym)"),
    ("DESC:def", r"(?:what (?:is|are|was|were|'s) (?:a |an |the )?[\w-]+(?: [\w-]+)?$|define\b|what (?:does"
     r"|do) .* mean$)"),
)  # fmt: skip
_TYPE = re.compile("|".join(f"(?P<t{i}>{pattern})" for i, (_, pattern) in enumerate(_TYPES)))
_UNDECIDED = Typed(None, None, None)
_TYPED = {f"t{i}": Typed(COARSE_OF[fine], fine, fine) for i, (fine, _) in enumerate(_TYPES)}
_YES_NO = re.compile(_OPENINGS["yes_no"][1] + r"(?!.*\bor\b)")
_YES = Typed("boolean", None, "yes_no")


def form_of(question: str) -> Form:
    """Return how likely a question is well posed, judged by its form."""
    plain = _QUOTED.sub('"', question).strip()
    if not any(map(str.isalpha, question)):
        return _SENSELESS
    if (found := _FLAW.search(plain)) and found.lastgroup:
        return _FLAWS[found.lastgroup][0]
    if (found := _OPENING.match(plain)) and found.lastgroup:
        return _OPENINGS[found.lastgroup][0]
    return _STATEMENT


def type_of(question: str) -> Typed:
    """Return the answer type of a question where a rule decides it."""
    plain = (
        question.lower().rstrip(" ?.!").replace("’", "'").replace(" 's", "'s").replace("'s", " 's")
    )  # as TREC has it
    if _YES_NO.match(plain):
        return _YES
    found = _TYPE.match(plain)
    return _TYPED[found.lastgroup] if found and found.lastgroup else _UNDECIDED
