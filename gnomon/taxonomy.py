"""Every special token, in the order of its id, and the answer types. Ids never change once released: only append.

The first tokens of every vocabulary trained here are SPECIAL_TOKENS, so id = place in this list.
"""

ANSWER_TYPES = (
    "person", "group", "location", "entity", "date", "duration", "number", "money", "percent", "distance",
    "count", "code", "boolean", "abbreviation", "definition", "description", "manner", "reason",
)  # fmt: skip
"""The 18 coarse answer types that a schema head or a control token can name."""

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
ROUTER = (
    "<|answerable|>", "<|unanswerable|>", "<|ill_posed|>", "<|known|>", "<|unknown|>",
    "<|retrieve|>", "<|no_retrieve|>", "<|sufficient|>", "<|insufficient|>", "<|answer|>", "<|abstain|>",
)  # fmt: skip
TYPES = tuple(f"<|type:{name}|>" for name in ANSWER_TYPES)
RESERVED = tuple(f"<|reserved_{i}|>" for i in range(64))

SPECIAL_TOKENS = TEXT + SYNTHETIC + CHAT + TOOLS + QUESTION + ROUTER + TYPES + RESERVED
"""All of them; `SPECIAL_TOKENS.index(token)` is the token's id in a vocabulary trained here."""
