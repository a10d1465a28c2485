"""Every special token, in the order of its id, and the answer types. Ids never change once released: only append.

The first tokens of every vocabulary trained here are SPECIAL_TOKENS, so id = place in this list.
"""

from typing import Literal

ANSWER_TYPES = (
    "person", "group", "location", "entity", "date", "duration", "number", "money", "percent", "distance",
    "count", "code", "boolean", "abbreviation", "definition", "description", "manner", "reason",
)  # fmt: skip
"""The 18 coarse answer types that a schema head or a control token can name."""

_OF_EACH = {
    "ABBR": {"abbreviation": "abb exp"},
    "DESC": {"definition": "def", "description": "desc", "manner": "manner", "reason": "reason"},
    "ENTY": {
        "entity": "animal body color cremat currency dismed event food instru lang letter other plant product religion"
        " sport substance symbol techmeth termeq veh word"
    },
    "HUM": {"person": "desc ind title", "group": "gr"},
    "LOC": {"location": "city country mount other state"},
    "NUM": {
        "code": "code",
        "count": "count",
        "date": "date",
        "distance": "dist",
        "duration": "period",
        "money": "money",
        "number": "ord other speed temp volsize weight",
        "percent": "perc",
    },
}
COARSE_OF = {
    f"{class_}:{fine}": coarse
    for class_, every in _OF_EACH.items()
    for coarse, fines in every.items()
    for fine in fines.split()
}
"""The answer type of each fine one; `boolean` has none. Source of the fine ones: Li and Roth 2002, Learning Question
Classifiers.
"""

FINE_TYPES = tuple(sorted(COARSE_OF))
"""The 50 fine answer types, as `CLASS:fine`; the class is one of six, such as HUM or NUM."""

CLASSES = tuple(_OF_EACH)
"""The six classes of fine types."""

ROUTER_SIGNALS = ("well_posed", "known", "retrieve", "sufficient", "correct")
"""What a router says, each a probability: of the question, that it can be answered at all, that the model answers it
rightly without evidence, that evidence turns a wrong answer into a right one; after the evidence, that it is enough;
after the answer, that it is right. All but the last are said once more where the answer is to begin, behind all that
was read and recited.
"""

SIGNAL_KINDS = ((0, 3), (0, 3), (0, 3), (1, 3), (2,))
"""At which kinds of mark, of MARKS, each router signal is read."""

HeadKind = Literal["router", "types"]

HEAD_OUTPUTS: dict[HeadKind, dict[str, int]] = {
    "router": {"router": len(ROUTER_SIGNALS), "opening": len(ROUTER_SIGNALS)},
    "types": {"coarse": len(ANSWER_TYPES), "fine": len(FINE_TYPES)},
}
"""The heads of each kind, and how many outputs each has. `opening` is the router's where an answer begins."""

MIXES: dict[HeadKind, dict[str, tuple[str, ...]]] = {
    "router": {"router": ("router",), "opening": ("opening",)},
    "types": {"types": ("coarse", "fine")},
}
"""The mixes of layers of each kind, by name, and which heads read each."""

HEAD_LOSSES = (*ROUTER_SIGNALS, "coarse", "fine", "agreement")
"""What heads learn from: of the last, that coarse types and fine ones say the same."""

END_OF_TEXT = "<|endoftext|>"
"""Opens every document and is the target of its last token: begin-of-text and end-of-text in one."""

PAD, UNKNOWN = "<pad>", "<unk>"
TEXT = (END_OF_TEXT, PAD, UNKNOWN, "<bos>", "<eos>")
SYNTHETIC = ("<tool>", "<consciousness>", "<perspective>")
CHAT = ("<|im_start|>", "<|im_end|>")
TOOLS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>")
QUESTION = (
    "<|q|>", "<|/q|>", "<|ctx|>", "<|/ctx|>", "<|fact|>", "<|/fact|>", "<|doc|>", "<|/doc|>", "<|a|>", "<|/a|>",
)  # fmt: skip
MARKS = ("<|/q|>", "<|/ctx|>", "<|/a|>", "<|a|>")
"""Where heads are read, in the order of kinds: behind question, evidence and answer, and where an answer begins."""

FIRST_MARKS = MARKS[:3]
"""Those of runs that name none."""

OPENING = MARKS.index("<|a|>")
"""The kind of mark where an answer begins."""

ROUTER = (
    "<|answerable|>", "<|unanswerable|>", "<|ill_posed|>", "<|known|>", "<|unknown|>",
    "<|retrieve|>", "<|no_retrieve|>", "<|sufficient|>", "<|insufficient|>", "<|answer|>", "<|abstain|>",
)  # fmt: skip
TYPES = tuple(f"<|type:{name}|>" for name in ANSWER_TYPES)
RESERVED = tuple(f"<|reserved_{i}|>" for i in range(64))

SPECIAL_TOKENS = TEXT + SYNTHETIC + CHAT + TOOLS + QUESTION + ROUTER + TYPES + RESERVED
"""All of them; `SPECIAL_TOKENS.index(token)` is the token's id in a vocabulary trained here."""
