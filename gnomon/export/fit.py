"""Whether others' programs read a model as it is: its shape, and for llama.cpp its tokenizer."""

from typing import Any

from gnomon.export.pieces import pieces_of
from gnomon.presets import Shape
from gnomon.tokenizer.tokenizer import Tokenizer


def why_no_export(shape: Shape) -> str | None:
    """Return why no program but this has such a model; None where there are some."""
    if shape.loops > 1:
        return f"its tokens pass {shape.core} layers up to {shape.loops} times, each as often as it needs"
    return None if shape.plain else "its positions are learned"


def why_unfit(tokenizer: Tokenizer) -> str | None:
    """Return why GGUF cannot hold a tokenizer; None where it can."""
    cutting, model = tokenizer.pretokenizer, tokenizer.description["model"]
    if not tokenizer.is_byte_level:
        found = pieces_of(tokenizer)
        return found if isinstance(found, str) else _why_not_found(tokenizer)
    if cutting is None:
        return "the tokenizer's pre-tokenizer is none that llama.cpp knows by name"
    assert isinstance(model, dict)
    if model["type"] != "BPE" or tokenizer.description["normalizer"] is not None:
        return "the tokenizer is no byte-level BPE without a normalizer"
    if bool(model.get("ignore_merges")) != (cutting == "llama-bpe"):
        return f"llama.cpp merges the words of a {cutting} tokenizer otherwise than this one"
    return _why_not_found(tokenizer)


def _why_not_found(tokenizer: Tokenizer) -> str | None:
    """Return why llama.cpp would find the added tokens that are looked for in plain text in other places."""
    added: Any = tokenizer.description["added_tokens"]
    sought = [token for token in added if not token["special"]]
    if any(token[key] for token in sought for key in ("lstrip", "rstrip", "single_word")):
        return "an added token takes the spaces beside it, or whole words only"
    return None
