"""How text is cut before merging: the rules that llama.cpp has a name for, and how a tokenizer.json writes them."""

from typing import Any

_WORDS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

PRETOKENIZERS = {
    "qwen2": rf"{_WORDS}|\p{{N}}|{_REST}",
    "llama-bpe": rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}",
    "gpt-2": _GPT_2,
}
"""How text is cut before merging, by the name that llama.cpp has for it. Other rules cannot be read back
there. Each takes every character of any text.

Cases are spelled out as llama.cpp does: `(?i:'s)` would also take the long s (U+017F), and ids would
differ.
"""

_ANY_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_OTHER_SPELLINGS = {pattern.replace(_WORDS.split("|[^")[0], _ANY_CASE): name for name, pattern in PRETOKENIZERS.items()}
"""As Llama 3 and Qwen2 write them. llama.cpp reads these too by name, and differs in the long s after an apostrophe."""

_BYTES = {"type": "ByteLevel", "add_prefix_space": False}


def name_of(pre_tokenizer: Any) -> str | None:
    """Return llama.cpp's name for the `pre_tokenizer` of a tokenizer.json; None for a rule that has none there."""
    steps = _steps(pre_tokenizer)
    if not steps or not _is(steps[-1], **_BYTES):
        return None
    cuts_itself = steps[-1].get("use_regex", True)
    match steps[:-1]:
        case []:
            return "gpt-2" if cuts_itself else None
        case [digits] if cuts_itself and _is(digits, type="Digits", individual_digits=True):
            return "starcoder"
        case [split] if not cuts_itself and _is(split, type="Split", behavior="Isolated", invert=False):
            pattern = split["pattern"].get("Regex")
            spelled = {pattern: name for name, pattern in PRETOKENIZERS.items()} | _OTHER_SPELLINGS
            return spelled.get(pattern)
    return None


def pattern_of(pre_tokenizer: Any) -> str | None:
    """Return the one expression that a byte-level `pre_tokenizer` cuts by, if llama.cpp has a name for it."""
    name, first = name_of(pre_tokenizer), (_steps(pre_tokenizer) or [{}])[0]
    if name and first["type"] == "Split":
        return first["pattern"]["Regex"]
    return PRETOKENIZERS.get(name or "")


def splitting(pattern: str) -> dict[str, Any]:
    """Return the `pre_tokenizer` of a byte-level tokenizer.json that cuts by an expression."""
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _BYTES | {"trim_offsets": True, "use_regex": False}]}


def _steps(pre_tokenizer: Any) -> list[dict[str, Any]]:
    if pre_tokenizer is None:
        return []
    return pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]


def _is(step: dict[str, Any], **values: Any) -> bool:
    return all(step.get(key) == value for key, value in values.items())
