"""A SentencePiece `.model`, read without its library, as the tokenizer.json that gives the same ids.

The file is a protocol buffer; the few fields that matter are read here. Its format:
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

import base64
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from gnomon.base.errors import ConfigError, IntegrityError


class Kind(IntEnum):
    """What a piece is."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """A token: its text with ▁ for a space, its log probability or minus its rank, and what it is."""

    text: str
    score: float
    kind: Kind


@dataclass
class _Model:
    pieces: list[Piece] = field(default_factory=list)
    algorithm: int = 1
    byte_fallback: bool = False
    space_after: bool = False
    characters: bytes = b""  # compiled rules for replacing characters
    leads_with_space: bool = True
    joins_spaces: bool = True
    escapes_spaces: bool = True


_UNIGRAM, _BPE = 1, 2


def read_sentencepiece(data: bytes, where: str) -> dict[str, Any]:
    """Return the tokenizer.json of a SentencePiece model, as an object.

    Ids are those of the library for any text where the model's rules replace no characters ("identity"), as in Llama 2,
    Mistral and Gemma. Where they do, `tokenizers` applies them to what readers take for one character, the library to
    the longest match; that differs in a few combining marks. Of two ways to cut a text with the same sum of scores, as
    in a row of equal signs, either may be taken: the library adds in float32, `tokenizers` in float64.

    Raises IntegrityError for bytes that are no such model, ConfigError for one that tokenizer.json cannot hold.
    """
    try:
        model = _parsed(data)
    except (IndexError, ValueError, struct.error) as e:
        raise IntegrityError(f"not a SentencePiece model: {e}", where=where, do="download or copy it again") from e
    if not model.pieces:
        raise IntegrityError("not a SentencePiece model: it has no pieces", where=where, do="copy it again")
    _refuse_what_cannot_be_held(model, where)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(i, piece) for i, piece in enumerate(model.pieces) if piece.kind in (*_SPECIAL, Kind.USER_DEFINED)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": normalizer_steps(model.characters, model.leads_with_space, model.joins_spaces),
        },
        "pre_tokenizer": _pre_tokenizer(model),
        "post_processor": None,
        "decoder": _decoder(model),
        "model": _bpe(model) if model.algorithm == _BPE else _unigram(model),
    }


_SPECIAL, _PLAIN = (Kind.UNKNOWN, Kind.CONTROL), (Kind.NORMAL, Kind.USER_DEFINED)


def _refuse_what_cannot_be_held(model: _Model, where: str) -> None:
    kinds = {piece.kind for piece in model.pieces}
    reasons = {
        "it splits by words or characters": model.algorithm not in (_UNIGRAM, _BPE),
        "it writes a space after a word, not before": model.space_after,
        "it keeps spaces as they are": not model.escapes_spaces,
        "it has pieces that are switched off": Kind.UNUSED in kinds,
        "it puts a space before a text and has user-defined pieces": model.leads_with_space
        and Kind.USER_DEFINED in kinds,
        "it has more or less than one unknown piece": sum(p.kind == Kind.UNKNOWN for p in model.pieces) != 1,
    }
    for reason, so in reasons.items():
        if so:
            raise ConfigError(
                f"this SentencePiece model cannot be brought along exactly: {reason}",
                where=where,
                do="import the tokenizer.json that belongs to the model, or train a tokenizer",
            )


def _added(i: int, piece: Piece) -> dict[str, Any]:
    special = piece.kind in _SPECIAL
    return {
        "id": i, "content": piece.text, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": not special, "special": special,
    }  # fmt: skip


def normalizer_steps(characters: bytes, leads_with_space: bool, joins_spaces: bool) -> list[dict[str, Any]]:
    """Return the steps of the normalizer that does what a model is told: compiled rules for `characters` replace some,
    a space comes before a text, spaces in a row are one.
    """
    steps: list[dict[str, Any]] = []
    if characters:
        rules = base64.b64encode(characters).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": rules})
    if joins_spaces:
        # a ▁ of the text itself is taken for a space at its end only, as SentencePiece does
        steps += [_replace(r"\A +|[ ▁]+\z", ""), _replace(" {2,}", " ")]
    if leads_with_space:
        steps.append({"type": "Prepend", "prepend": "▁"})
    return [*steps, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]


def _replace(expression: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": content}


def _pre_tokenizer(model: _Model) -> dict[str, Any] | None:
    """Return the cuts before merging or choosing.

    One before every ▁, so that words are remembered, unless a piece reaches over it. And where pieces are chosen by
    score, one inside whatever reads as the name of a control piece or byte: the text of it is not that piece.
    """
    steps: list[dict[str, Any]] = []
    if not any("▁" in p.text[1:] for p in model.pieces if p.kind in _PLAIN):
        steps.append(cut_in_words())
    names = [p.text for p in model.pieces if p.kind not in _PLAIN and len(p.text) > 1]
    if model.algorithm == _UNIGRAM and names:
        steps.append(_split({"Regex": "|".join(map(cut_in_name, names))}, "MergedWithPrevious"))
    return {"type": "Sequence", "pretokenizers": steps} if steps else None


def cut_in_words() -> dict[str, Any]:
    """Return the step that cuts before every ▁."""
    return _split({"String": "▁"}, "MergedWithNext")


def cut_in_name(name: str) -> str:
    """Return the expression of the first character of a name, where a cut follows."""
    return f"{re.escape(name[0])}(?={re.escape(name[1:])})"


def _split(pattern: dict[str, str], behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}


def _decoder(model: _Model) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if model.leads_with_space or model.joins_spaces:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}


def _unigram(model: _Model) -> dict[str, Any]:
    # the least score, which counts for what is unknown, is that of the plain pieces
    vocabulary = [[p.text, p.score if p.kind in _PLAIN else 0.0] for p in model.pieces]
    unknown = next(i for i, p in enumerate(model.pieces) if p.kind == Kind.UNKNOWN)
    return {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": model.byte_fallback}


def _bpe(model: _Model) -> dict[str, Any]:
    """Return the model section. A piece may come of any two that spell it, at the turn that its score gives it."""
    score = {p.text: p.score for p in model.pieces if p.kind in _PLAIN}
    ids = {p.text: i for i, p in enumerate(model.pieces)}
    made = sorted((text for text in score if len(text) > 1), key=lambda text: (-score[text], ids[text]))
    merges = [
        [text[:i], text[i:]]
        for text in made
        for i in range(1, len(text))
        if text[:i] in score and text[i:] in score
    ]  # fmt: skip
    unknown = next(p.text for p in model.pieces if p.kind == Kind.UNKNOWN)
    return {
        "type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": model.byte_fallback, "ignore_merges": False,
        "vocab": ids, "merges": merges,
    }  # fmt: skip


def _parsed(data: bytes) -> _Model:
    model = _Model()
    for number, value in _fields(data):
        if number == 1:
            model.pieces.append(_piece(value))
        elif number == 2:
            trainer = dict(_fields(value))
            model.algorithm = trainer.get(3, _UNIGRAM)
            model.space_after = bool(trainer.get(24, False))
            model.byte_fallback = bool(trainer.get(35, False))
        elif number == 3:
            rules = dict(_fields(value))
            model.characters = rules.get(2, b"")
            model.leads_with_space = bool(rules.get(3, True))
            model.joins_spaces = bool(rules.get(4, True))
            model.escapes_spaces = bool(rules.get(5, True))
    return model


def _piece(data: bytes) -> Piece:
    said = dict(_fields(data))
    (score,) = struct.unpack("<f", said.get(2, bytes(4)))
    return Piece(said[1].decode(), score, Kind(said.get(3, Kind.NORMAL)))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a protocol buffer: an int, or the bytes of anything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
            case 1 | 2 | 5 as wire:
                size, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
                value = data[at : at + size]
                at += size
                if at > len(data):
                    raise ValueError("it is cut short")
            case _:
                raise ValueError("its fields are garbled")
        yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
