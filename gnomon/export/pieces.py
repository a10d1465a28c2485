"""A tokenizer of SentencePiece's kind as llama.cpp holds it: BPE whose pieces have scores, or Unigram.

llama.cpp's `llama` merges the two pieces whose union has the highest score, and writes bytes for a character that is no
piece. Its `t5` takes the way to cut a text with the highest sum of scores, after the model's own rules for characters
and spaces. What else SentencePiece can be told has no place in a GGUF.
"""

import base64
import re
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from gnomon.tokenizer.sentencepiece import cut_in_name, cut_in_words, normalizer_steps
from gnomon.tokenizer.tokenizer import Tokenizer, is_byte_piece


@dataclass(frozen=True)
class Pieces:
    """What a GGUF says of pieces besides their texts: `scores` by id, the rules for characters and for spaces."""

    model: Literal["llama", "t5"]
    scores: list[float]
    unknown: int
    characters: bytes
    leads_with_space: bool
    joins_spaces: bool


def pieces_of(tokenizer: Tokenizer) -> Pieces | str:
    """Return how llama.cpp holds a tokenizer of pieces; or why it cannot, where the ids would not be the same.

    Three things are let pass, in Unigram models. Rules that replace characters are applied by `tokenizers` to what
    readers take for one, which differs in a few combining marks (1 of 2,700 made lines). Where spaces are joined, a ▁
    of the text itself goes at its end as a space does, and stays in llama.cpp. And text that names a control piece is
    cut after the first character, where a piece might reach over the cut.
    """
    description: Any = tokenizer.description
    model, rules = description["model"], _rules(description["normalizer"])
    if rules is None:
        return "its normalizer is none of SentencePiece's rules; import its tokenizer.model instead, if it has one"
    if model["type"] not in ("BPE", "Unigram"):
        return "its tokens are neither bytes nor pieces of SentencePiece's kind"
    if not _cuts_nothing_else(tokenizer):
        return "its pre-tokenizer cuts where SentencePiece does not"
    characters, leads, joins = rules
    if why := _why_unfit(tokenizer, characters, leads, joins):
        return why
    unknown = model["unk_id"] if model["type"] == "Unigram" else tokenizer.special_id(model["unk_token"])
    scores = _unigram_scores(tokenizer) if model["type"] == "Unigram" else _bpe_scores(tokenizer)
    if isinstance(scores, str):
        return scores
    return Pieces("t5" if model["type"] == "Unigram" else "llama", scores, unknown, characters, leads, joins)


def _why_unfit(tokenizer: Tokenizer, characters: bytes, leads: bool, joins: bool) -> str | None:
    """Return the setting that llama.cpp cannot be told, by SentencePiece's name for it."""
    description: Any = tokenizer.description
    model = description["model"]
    sought = [token["content"] for token in description["added_tokens"] if not token["special"]]
    if model["type"] == "BPE":
        reasons = {
            "normalization_rule_name, where it is not identity": bool(characters),
            "remove_extra_whitespaces=true": joins,
            "byte_fallback=false": not model["byte_fallback"] or not _has_all_bytes(tokenizer),
            "dropout, a prefix or a suffix of words": any(model[key] for key in _ODD),
        }
    else:
        reasons = {
            "remove_extra_whitespaces=true without add_dummy_prefix": joins and not leads,
            "add_dummy_prefix=true without remove_extra_whitespaces": leads and not joins,
            # `tokenizers` takes \r\n for one character, which then becomes one space
            "normalization_rule_name without remove_extra_whitespaces, where it is not identity": bool(characters)
            and not joins,
            "byte_fallback=true": bool(model["byte_fallback"]),
        }
    reasons["user_defined_symbols beside add_dummy_prefix, or with spaces in them"] = bool(sought) and (
        leads or any(" " in text or "▁" in text for text in sought)
    )
    kind = "BPE" if model["type"] == "BPE" else "Unigram"
    return next(
        (f"llama.cpp has no {name} in a {kind} model of SentencePiece" for name, so in reasons.items() if so), None
    )


_ODD = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")


def _has_all_bytes(tokenizer: Tokenizer) -> bool:
    return sum(map(is_byte_piece, tokenizer.token_texts)) == 256


def _rules(normalizer: Any) -> tuple[bytes, bool, bool] | None:
    """Return rules for characters, whether a space comes before a text, and whether spaces are joined; None for a
    normalizer that does something else.
    """
    steps = normalizer["normalizers"] if normalizer and normalizer["type"] == "Sequence" else [normalizer]
    first = steps[0] if steps and steps[0] and steps[0]["type"] == "Precompiled" else None
    characters = base64.b64decode(first["precompiled_charsmap"]) if first else b""
    for leads, joins in product((True, False), repeat=2):
        if steps == normalizer_steps(characters, leads, joins):
            return characters, leads, joins
    return None


def _cuts_nothing_else(tokenizer: Tokenizer) -> bool:
    """Return whether the cuts before pieces are chosen are those that an import makes, which change no id."""
    description: Any = tokenizer.description
    cutting, model = description["pre_tokenizer"], description["model"]
    steps = [] if cutting is None else cutting.get("pretokenizers", [cutting])
    hidden = [text for text in _in_model(model) if len(text) > 1 and not _is_plain(tokenizer, text)]
    names = {cut_in_name(name) for name in hidden}
    for step in steps:
        if step == cut_in_words():
            if any("▁" in text[1:] for text in _in_model(model) if _is_plain(tokenizer, text)):
                return False
        elif step.get("behavior") != "MergedWithPrevious" or model["type"] != "Unigram":
            return False
        elif not names.issuperset(re.split(r"(?<!\\)\|", step["pattern"].get("Regex", ""))):
            return False
    return True


def _in_model(model: dict[str, Any]) -> list[str]:
    return list(model["vocab"]) if model["type"] == "BPE" else [text for text, _ in model["vocab"]]


def _is_plain(tokenizer: Tokenizer, text: str) -> bool:
    return not is_byte_piece(text) and tokenizer.special_id(text) not in tokenizer.special_ids


def _unigram_scores(tokenizer: Tokenizer) -> list[float] | str:
    model: Any = tokenizer.description["model"]
    scores = np.array([score for _, score in model["vocab"]], np.float64)
    held = scores.astype(np.float32).astype(np.float64)
    if not np.allclose(scores, held, rtol=1e-15, atol=0):  # `tokenizers` reads some of them one bit off
        return "its scores are finer than the float32 of a GGUF"
    return held.tolist() + [0.0] * (tokenizer.tokens - len(held))


def _bpe_scores(tokenizer: Tokenizer) -> list[float] | str:
    """Return minus the turn in which each piece is merged; a reason where merges say more than such scores can.

    There any two parts that spell a piece become it at its turn, so each such pair must be a merge here. A part is a
    character, or what is merged itself.
    """
    turn: dict[str, int] = {}
    last = ""
    for left, right in tokenizer.merges:
        text = left + right
        if text != last and text in turn:
            return f"its merges come in an order that no scores have, at {text!r}"
        last = text
        turn.setdefault(text, len(turn))
    pairs = set(tokenizer.merges)
    for text in tokenizer.token_texts:
        for i in range(1, len(text)):
            parts = text[:i], text[i:]
            if parts not in pairs and all(len(part) == 1 or part in turn for part in parts):
                return f"llama.cpp would merge {parts[0]!r} and {parts[1]!r}, which the tokenizer does not"
    return [-float(turn.get(text, 0)) for text in tokenizer.token_texts]
