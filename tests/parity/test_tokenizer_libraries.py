"""Ids equal to those of the libraries that a tokenizer comes from: `tiktoken`, and `sentencepiece` itself."""

import base64
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.fast import LONGEST, fast_encoder
from gnomon.tokenizer.foreign import ENCODINGS, import_tokenizer
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS
from gnomon.tokenizer.train import train_tokenizer
from tests.pieces import sentencepiece
from tests.world import real_text

HARD = (
    "12345678901", "3.14159", "    ", "\t\t", "\r\n", "\n\n\n", "  \n  ", " \n", "'s", "'LL", "I'VE", "ſ's", "'ſ",
    "naïve café", "Straße", "Русский", "中文分词", "日本語のテスト", "한국어", "العربية", "हिन्दी",
    "ไทย", "👩‍👩‍👧‍👦", "🇩🇪",
    "e\u0301", "\u00a0\u2003\u3000", "\u200b\ufeff", "²³¼Ⅷ٣", "_snake_case", "x==y!=z", "—–-", "<s>", "</s>", "<unk>",
    "<0x41>", "▁", "▁▁", "ǅ", "Ab", "aB", "ﬁ", "½", END_OF_TEXT, *SPECIAL_TOKENS[:6],
)  # fmt: skip
anything = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(HARD), st.just(" ")), max_size=10).map("".join)
TEXT = real_text()


def lines() -> list[str]:
    draw = random.Random(3)
    found = draw.sample([line for line in TEXT.splitlines() if line.strip()], 300)
    for _ in range(700):
        points = (draw.randrange(draw.choice([0x80, 0x800, 0x3000, 0x10000, sys.maxunicode + 1])) for _ in range(12))
        found.append("".join(chr(p) if p % 3 else " " for p in points if not 0xD800 <= p < 0xE000))
        found.append("".join(draw.choices(HARD, k=4)))
    return found


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    learned = train_tokenizer([*TEXT.split("\n\n"), *lines()], 1500, "llama-bpe")
    first = len(SPECIAL_TOKENS)
    return {token: i for i, token in enumerate(learned.token_bytes[first:])}


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_a_tiktoken_file_gives_the_ids_of_tiktoken(name: str, ranks: dict[bytes, int], tmp_path: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="pip install tiktoken")
    pattern, specials = theirs(name)
    assert ENCODINGS[name][1] == specials
    ours = {token: len(ranks) + 3 + i for i, token in enumerate(specials)}
    original = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=ours)
    file = tmp_path / f"{name}.tiktoken"
    file.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
    tokenizer = import_tokenizer(file, specials=ours)
    assert {token: tokenizer.special_id(token) for token in ours} == ours

    @settings(max_examples=300, deadline=None)
    @given(anything)
    def equal(text: str) -> None:
        assert tokenizer.encode(text) == original.encode_ordinary(text)
        assert tokenizer.decode_bytes(tokenizer.encode(text)) == text.encode()

    equal()
    assert [tokenizer.encode(line) for line in lines()] == [original.encode_ordinary(line) for line in lines()]


def theirs(name: str) -> tuple[str, dict[str, int]]:
    """Return the expression and special tokens that the installed `tiktoken` has for an encoding."""
    openai_public = import_module("tiktoken_ext.openai_public")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda *a, **k: {})
        said = getattr(openai_public, name)()
    return said["pat_str"], said["special_tokens"]


@pytest.mark.parametrize("name", sorted(PRETOKENIZERS))
def test_the_fast_encoder_gives_the_same_ids(name: str) -> None:
    pytest.importorskip("tiktoken", reason="pip install tiktoken")
    tokenizer = train_tokenizer([*TEXT.split("\n\n"), *lines()], 1500, name)
    fast = fast_encoder(tokenizer)
    assert fast is not None

    @settings(max_examples=300, deadline=None)
    @given(anything)
    def equal(text: str) -> None:
        assert fast([text, text * 2]) == [tokenizer.encode(text), tokenizer.encode(text * 2)]

    equal()
    every = "".join(chr(c) for c in range(0x30000) if not 0xD800 <= c < 0xE000)
    apart = "".join(f"a{c} 1{c}\n" for c in every[:0x3000])
    for text in (*lines(), *cut(every), *cut(apart), *(c * LONGEST for c in " a\n1!é"), " \n" * 16000, " " * 99999):
        assert fast([text]) == [tokenizer.encode(text)], ascii(text[:40])


def cut(text: str) -> list[str]:
    return [text[i : i + 10_000] for i in range(0, len(text), 10_000)]


@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_sentencepiece_model_gives_the_ids_of_sentencepiece(
    kind: str, prefix: bool, byte_fallback: bool, tmp_path: Path
) -> None:
    original, tokenizer = sentencepiece(
        tmp_path, model_type=kind, normalization_rule_name="identity", remove_extra_whitespaces=not prefix,
        add_dummy_prefix=prefix, byte_fallback=byte_fallback, user_defined_symbols=[] if prefix else ["<sep>", "été"],
        split_by_whitespace=byte_fallback, max_sentencepiece_length=12,
    )  # fmt: skip

    @settings(max_examples=300, deadline=None)
    @given(anything)
    def equal(text: str) -> None:
        text = text.replace("\0", "")  # where theirs ends a text
        ids = tokenizer.encode(text)
        assert agree(kind, original, ids, text)
        if byte_fallback and (prefix or "▁" not in text):  # joining spaces, theirs takes a ▁ at the start for one
            assert tokenizer.decode(ids) == original.decode(ids)
            assert not prefix or tokenizer.decode(ids) == text.replace("▁", " ")

    equal()
    for line in (*lines(), "a<sep>b été"):
        line = line.replace("\0", "")
        assert agree(kind, original, tokenizer.encode(line), line), ascii(line)
    assert tokenizer.end_of_text == original.eos_id()
    assert [tokenizer.token_texts[i] for i in range(len(original))] == [
        original.id_to_piece(i) for i in range(len(original))
    ]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_model_that_replaces_characters_gives_the_same_ids_for_real_text(kind: str, tmp_path: Path) -> None:
    original, tokenizer = sentencepiece(tmp_path, model_type=kind)
    for line in (*TEXT.splitlines(), *HARD, "  ﬁ ½\u00a0①  ＡＢＣ ", "\ttab\n"):
        assert agree(kind, original, tokenizer.encode(line), line), ascii(line)


def agree(kind: str, original: Any, ids: list[int], text: str) -> bool:
    """Return whether ids are those of the library, or, where scores are summed, another way to the same sum."""
    said = original.encode(text)
    return ids == said or (kind == "unigram" and sorted(ids) == sorted(said))
