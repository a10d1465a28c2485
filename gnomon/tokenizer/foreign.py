"""Tokenizers brought along from elsewhere: Hugging Face, `tiktoken`, SentencePiece. Their ids never change."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from gnomon.base.disk import read_bytes
from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS, name_of, splitting
from gnomon.tokenizer.ranks import merges_of_ranks
from gnomon.tokenizer.sentencepiece import read_sentencepiece
from gnomon.tokenizer.tokenizer import ENDS, MAX_BYTES, Tokenizer, byte_alphabet

FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""What is looked for in a folder, first to last."""

_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_O200K = "|".join(
    [
        *(
            rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]{upper}"
            rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]{lower}(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            for upper, lower in ("*+", "+*")
        ),
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
ENCODINGS: dict[str, tuple[str, dict[str, int]]] = {
    "r50k_base": (PRETOKENIZERS["gpt-2"], {END_OF_TEXT: 50256}),
    "p50k_base": (PRETOKENIZERS["gpt-2"], {END_OF_TEXT: 50256}),
    "cl100k_base": (
        _CL100K,
        {
            END_OF_TEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": (_O200K, {END_OF_TEXT: 199999, "<|endofprompt|>": 200018}),
}
"""Expression and special tokens of OpenAI's encodings, which a `.tiktoken` file does not hold, by its name."""


def import_tokenizer(source: Path, pattern: str | None = None, specials: Mapping[str, int] | None = None) -> Tokenizer:
    """Return the tokenizer of a folder or file from elsewhere, with the special tokens that it lacks after its own ids.

    `source` is a Hugging Face folder, a tokenizer.json, a SentencePiece .model or a .tiktoken file. The last holds
    neither the expression that cuts the text, `pattern` (or llama.cpp's name for it), nor special tokens, `specials`;
    they are known where it is named like one of ENCODINGS.

    Text encodes to the ids that it has there, except that names of special tokens in it stay text. Raises DataError
    for a source that is missing, IntegrityError for one that is damaged, ConfigError for one that cannot be held.
    """
    file = _file(source)
    data = _read(file)
    if file.name == "vocab.json":
        description = _gpt_2(data, _read(file.with_name("merges.txt")), str(file))
    elif data.lstrip()[:1] == b"{":
        description = _json(data, str(file))
    elif _RANK.match(data):
        description = _tiktoken(file, data, pattern, specials)
    else:
        description = read_sentencepiece(data, str(file))
    return adopt(description, str(file))


def any_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer in a tokenizer.json of our own making, or in what `import_tokenizer` takes."""
    if path.suffix == ".json":
        try:
            return Tokenizer.load(path)
        except IntegrityError:
            pass  # not one of ours; what is wrong with it is said below
    return import_tokenizer(path)


def adopt(description: dict[str, Any], where: str) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json from elsewhere, with the special tokens that it lacks appended.

    Raises IntegrityError for one that is damaged, ConfigError for a kind that is no BPE or Unigram.
    """
    model, ids = description.get("model"), _ids(description, where)
    if not isinstance(model, dict) or model.get("type") not in ("BPE", "Unigram"):
        raise ConfigError(
            "only BPE and Unigram tokenizers can be brought along", where=where, do="choose another, or train one"
        )
    added: list[dict[str, Any]] = [dict(token) for token in description["added_tokens"]]
    filled = _filled(model, ids)
    for token in added:
        token["special"] |= token["content"] in (*SPECIAL_TOKENS, *ENDS)
    _append_what_is_missing(added, filled, model, where)
    end = next(name for name in ENDS if name in {token["content"] for token in added})
    whole = description | {
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "post_processor": _end_first(end, filled[end]),
        "model": model,
    }
    tokenizer = Tokenizer.from_json(json.dumps(whole, ensure_ascii=False))
    moved = [name for name, i in filled.items() if tokenizer.special_id(name) != i]
    if moved or tokenizer.tokens != len(filled):
        raise IntegrityError(f"the ids of this tokenizer contradict each other: {moved[:3]}", where=where)
    return tokenizer


def _ids(description: dict[str, Any], where: str) -> dict[str, int]:
    """Return the id of every token. Raises IntegrityError where there are none."""
    try:
        model, added = description["model"], description["added_tokens"]
        listed = model["vocab"]
        ids = dict(listed) if isinstance(listed, dict) else {text: i for i, (text, _) in enumerate(listed)}
        return ids | {token["content"]: token["id"] for token in added}
    except (KeyError, TypeError, ValueError) as e:
        raise IntegrityError(f"not a whole tokenizer.json: {e!r}", where=where, do="copy it again") from e


def _filled(model: dict[str, Any], ids: dict[str, int]) -> dict[str, int]:
    """Return the ids with a name for each that is left out; `model` then holds them all, so that none moves.

    The names hold a space, so that no text becomes them: in every kind of tokenizer it is written otherwise.
    """
    gaps = sorted(set(range(max(ids.values()) + 1)) - set(ids.values()))
    if not gaps:
        return ids
    filled = ids | {f"<|unused {i}|>": i for i in gaps}
    if model["type"] == "BPE":
        model["vocab"] = filled
    else:
        by_id = {i: name for name, i in filled.items()}
        known = model["vocab"]
        model["vocab"] = known + [[by_id[i], 0.0] for i in range(len(known), len(filled))]  # 0.0: no new least score
    return filled


def _append_what_is_missing(
    added: list[dict[str, Any]], ids: dict[str, int], model: dict[str, Any], where: str
) -> None:
    """Add our special tokens to `added` and `ids`; end-of-text only where there is none of another name."""
    names = {token["content"] for token in added}
    for name in SPECIAL_TOKENS:
        if name in names or (name == END_OF_TEXT and any(end in names for end in ENDS)):
            continue
        if name in ids and _can_be_text(name, model):
            raise ConfigError(
                f"a token that text becomes has the name of the special token {name}",
                where=where,
                do="choose another tokenizer, or train one",
            )
        added += _specials({name: ids.setdefault(name, len(ids))})


def _can_be_text(name: str, model: dict[str, Any]) -> bool:
    if model["type"] == "BPE":
        return any(left + right == name for left, right in model["merges"])
    return model["vocab"].index(next(e for e in model["vocab"] if e[0] == name)) != model["unk_id"]


def _end_first(end: str, number: int) -> dict[str, Any]:
    """Return the rule by which other libraries put end-of-text before a text, as documents in training begin."""
    token, text = {"SpecialToken": {"id": end, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    second = [{"SpecialToken": {"id": end, "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": [token, text],
        "pair": [token, text, *second],
        "special_tokens": {end: {"id": end, "ids": [number], "tokens": [end]}},
    }


def _file(source: Path) -> Path:
    if not source.exists():
        raise DataError("there is no such file or folder", where=str(source), do="check the path")
    if source.is_file():
        return source
    found = next((source / name for name in FILES if (source / name).is_file()), None)
    if found is None:
        raise DataError(
            "no tokenizer is in this folder", where=str(source), do=f"give one that holds {', '.join(FILES)}"
        )
    return found


def _read(file: Path) -> bytes:
    try:
        return read_bytes(file, MAX_BYTES)
    except OSError as e:
        raise DataError(f"the tokenizer cannot be read: {e}", where=str(file), do="check the file") from e


def _json(data: bytes, where: str) -> dict[str, Any]:
    """Return the content of a tokenizer.json as `tokenizers` writes it today, whatever version wrote it."""
    try:
        return json.loads(tokenizers.Tokenizer.from_str(data.decode()).to_str())
    except Exception as e:  # the library raises plain Exception
        raise IntegrityError(f"not a tokenizer.json: {e!s:.200}", where=where, do="copy it again") from e


def _gpt_2(vocabulary: bytes, merges: bytes, where: str) -> dict[str, Any]:
    """Return the tokenizer.json of vocab.json and merges.txt, the form in which GPT-2 came."""
    try:
        ids = json.loads(vocabulary)
        lines = [line for line in merges.decode().split("\n") if line and not line.startswith("#version")]
        pairs = [line.split(" ") for line in lines]
        description = _byte_level(PRETOKENIZERS["gpt-2"], ids, pairs, {})
        ends = {name: ids[name] for name in ENDS if name in ids}
        return description | {"added_tokens": _specials(ends)}
    except (ValueError, AttributeError, TypeError) as e:
        raise IntegrityError(f"not a vocab.json and merges.txt: {e}", where=where, do="copy them again") from e


_RANK = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")


def _tiktoken(file: Path, data: bytes, pattern: str | None, specials: Mapping[str, int] | None) -> dict[str, Any]:
    known = ENCODINGS.get(file.stem, (None, {}))
    expression = PRETOKENIZERS.get(pattern or "", pattern) or known[0]
    if expression is None:
        raise ConfigError(
            "a .tiktoken file does not say how text is cut",
            where=str(file),
            do=f"give the expression, or one of {', '.join(PRETOKENIZERS)}, with --pattern",
        )
    try:
        lines = [line.split() for line in data.splitlines() if line]
        ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    except ValueError as e:
        raise IntegrityError(f"not a .tiktoken file: {e}", where=str(file), do="copy it again") from e
    if len(set(ranks.values())) < len(ranks) or any(bytes([b]) not in ranks for b in range(256)):
        raise IntegrityError("ranks are given twice, or a byte has none", where=str(file), do="copy it again")
    return _of_ranks(ranks, in_oniguruma(expression, str(file)), specials if specials is not None else known[1])


def _of_ranks(ranks: dict[bytes, int], expression: str, specials: Mapping[str, int]) -> dict[str, Any]:
    letters = {token: "".join(map(_LETTER.__getitem__, token)) for token in ranks}
    pairs = merges_of_ranks(ranks)
    merges = [[letters[pair[0]], letters[pair[1]]] for pair in pairs.values() if pair]
    ids = {letters[token]: rank for token, rank in ranks.items()}
    description = _byte_level(expression, ids, merges, specials)
    # a word that is a token is that token, which makes a difference only where no merging ends in it; but llama.cpp
    # looks for it so under one name
    whole_words = None in pairs.values() or name_of(description["pre_tokenizer"]) == "llama-bpe"
    description["model"]["ignore_merges"] = whole_words
    return description


_LETTER = byte_alphabet()


def _byte_level(
    expression: str, ids: dict[str, int], merges: list[list[str]], specials: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _specials(specials),
        "normalizer": None,
        "pre_tokenizer": splitting(expression),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": merges,
        },
    }


def _specials(ids: Mapping[str, int]) -> list[dict[str, Any]]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": i, "content": name} | flags for name, i in sorted(ids.items(), key=lambda item: item[1])]


def in_oniguruma(expression: str, where: str) -> str:
    r"""Return an expression as `tiktoken` reads it, written for Oniguruma, which `tokenizers` cuts by.

    There `$` is the end of a line too, here `\z`; and `{1,3}+` is a repeated repeat, not a possessive one. Raises
    ConfigError for a possessive repeat that cannot be written as a plain one because something follows it.
    """
    parts = re.split(r"(\\.|\[(?:\\.|[^\]\\])*\])", expression)
    parts[::2] = [part.replace("$", r"\z") for part in parts[::2]]
    said = "".join(parts)
    found = re.search(r"\{\d+(?:,\d*)?\}\+(?![|)]|\Z)", said)
    if found:
        raise ConfigError(f"the expression {found[0]!r} cannot be held: a possessive repeat inside it", where=where)
    return re.sub(r"(\{\d+(?:,\d*)?\})\+", r"\1", said)
