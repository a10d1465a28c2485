"""Which tokenizers of SentencePiece's kind a GGUF holds, and by what name the others are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.export.fit import why_unfit
from gnomon.export.pieces import Pieces, pieces_of
from gnomon.tokenizer.foreign import adopt
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.pieces import sentencepiece

LLAMA_2 = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "bpe": sentencepiece(folder / "bpe", model_type="bpe", **LLAMA_2)[1],
        "unigram": sentencepiece(folder / "unigram", model_type="unigram")[1],
    }


def changed(tokenizer: Tokenizer, **values: Any) -> Tokenizer:
    """Return a tokenizer whose tokenizer.json says something else in its model, or, of a normalizer, in itself."""
    description = json.loads(tokenizer.to_json())
    for key, value in values.items():
        description[key] = description[key] | value if isinstance(value, dict) and key == "model" else value
    return Tokenizer.from_json(json.dumps(description))


def test_the_settings_of_llama_2_and_of_t5_are_held(models: dict[str, Tokenizer]) -> None:
    bpe, unigram = (pieces_of(models[kind]) for kind in ("bpe", "unigram"))
    assert isinstance(bpe, Pieces) and (bpe.model, bpe.characters, bpe.joins_spaces) == ("llama", b"", False)
    assert isinstance(unigram, Pieces) and (unigram.model, unigram.joins_spaces) == ("t5", True)
    assert unigram.characters and unigram.leads_with_space and bpe.leads_with_space
    assert why_unfit(models["bpe"]) is None and why_unfit(models["unigram"]) is None
    ids = {text: i for i, text in enumerate(models["bpe"].token_texts)}
    made = [ids[left + right] for left, right in models["bpe"].merges]
    assert [bpe.scores[i] for i in made] == sorted((bpe.scores[i] for i in made), reverse=True)
    assert bpe.unknown == ids["<unk>"]


@pytest.mark.parametrize(
    ("why", "options"),
    [
        ("no remove_extra_whitespaces=true in a BPE", LLAMA_2 | {"remove_extra_whitespaces": True}),
        ("no normalization_rule_name, where", LLAMA_2 | {"normalization_rule_name": "nfkc"}),
        ("no byte_fallback=false in a BPE", LLAMA_2 | {"byte_fallback": False}),
        ("no byte_fallback=true in a Unigram", {"model_type": "unigram", "byte_fallback": True}),
        ("no add_dummy_prefix=true without", {"model_type": "unigram", "remove_extra_whitespaces": False}),
        ("true without add_dummy_prefix", {"model_type": "unigram", "add_dummy_prefix": False}),
        (
            "normalization_rule_name without",
            {"model_type": "unigram", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
        ),
    ],
)
def test_a_setting_that_llama_cpp_has_not_is_named(why: str, options: dict[str, Any], tmp_path: Path) -> None:
    said = why_unfit(sentencepiece(tmp_path, **({"model_type": "bpe"} | options))[1])
    assert said and why in said and said.startswith("llama.cpp has no ")


def test_what_is_no_sentencepiece_is_refused(models: dict[str, Tokenizer]) -> None:
    bpe, unigram = models["bpe"], models["unigram"]
    merges, vocab = [list(pair) for pair in bpe.merges], json.loads(unigram.to_json())["model"]["vocab"]
    again = next(i for i in range(1, len(merges)) if "".join(merges[i]) == "".join(merges[i - 1]))
    whole = json.loads(bpe.to_json())
    sought = {"id": bpe.tokens, "content": "<sep>", "special": False, "normalized": True}
    sought |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    for tokenizer, why in (
        (changed(bpe, normalizer={"type": "NFC"}), "none of SentencePiece's rules"),
        (changed(bpe, pre_tokenizer={"type": "Whitespace"}), "cuts where SentencePiece does not"),
        (changed(bpe, model={"merges": merges[1:]}), "which the tokenizer does not"),
        (
            changed(bpe, model={"merges": [*merges[:again], *merges[again + 1 :], merges[again]]}),
            "an order that no scores have",
        ),
        (changed(bpe, model={"dropout": 0.1}), "dropout"),
        (changed(unigram, model={"vocab": [[text, score + 1e-11] for text, score in vocab]}), "finer than the float32"),
        (adopt(whole | {"added_tokens": [*whole["added_tokens"], sought]}, "x"), "user_defined_symbols beside"),
    ):
        assert why in (why_unfit(tokenizer) or ""), why
