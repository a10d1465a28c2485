"""A tokenizer from elsewhere keeps its ids, gains our special tokens, and never takes text for one of them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.taxonomy import END_OF_TEXT, PAD, SPECIAL_TOKENS
from gnomon.tokenizer.foreign import adopt, import_tokenizer, in_oniguruma
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS
from gnomon.tokenizer.ranks import merges_of_ranks, says_the_same
from gnomon.tokenizer.tokenizer import StreamDecoder, Tokenizer, byte_alphabet
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES

HARD = ("  ", "\n\n", "é", "e\u0301", "日本語", "🇩🇪", "▁", "<0x41>", "</s>", "<s>", "<unk>", "'ſ", "12345", "\u00a0")
anything = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from((*SPECIAL_TOKENS[:30], *HARD, *SENTENCES))), max_size=8
).map("".join)
TEXT = [*SENTENCES * 5, *HARD * 3, "  two  spaces  ", "日本語 テスト"]


def byte_level(cutting: Any, specials: dict[str, bool]) -> tokenizers.Tokenizer:
    """Return a tokenizer that another library might have made; the special tokens come after the rest."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = cutting, decoders.ByteLevel()
    inner.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    )
    inner.add_tokens([tokenizers.AddedToken(name, special=special) for name, special in specials.items()])
    return inner


def pieces(kind: str) -> tokenizers.Tokenizer:
    """Return a tokenizer of SentencePiece's kind: ▁ before a text and for a space, bytes for what it does not know."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    text = [f"▁{line.replace(' ', '▁')}" for line in TEXT]
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    inner.train_from_iterator(text, trainers.BpeTrainer(vocab_size=200))
    learned = json.loads(inner.to_str())["model"]
    vocabulary = names + sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    if kind == "bpe":
        ids = {name: i for i, name in enumerate(vocabulary)}
        merges = [tuple(pair) for pair in learned["merges"]]
        inner = tokenizers.Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    else:
        scored = [(name, 0.0 if i < len(names) else -4.0 - i / 50) for i, name in enumerate(vocabulary)]
        inner = tokenizers.Tokenizer(models.Unigram(scored, 0, True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(steps)
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    return inner


GPT_2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
ORIGINALS = {
    "gpt-2": byte_level(GPT_2, {END_OF_TEXT: True, "   ": False, "<tool_call>": False}),
    "starcoder": byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT_2]), {"<|end_of_text|>": True}
    ),
    "bpe pieces": pieces("bpe"),
    "unigram pieces": pieces("unigram"),
}
BROUGHT = {name: adopt(json.loads(inner.to_str()), name) for name, inner in ORIGINALS.items()}
for original in ORIGINALS.values():
    original.encode_special_tokens = True


@settings(max_examples=150, deadline=None)
@given(text=anything, name=st.sampled_from(sorted(ORIGINALS)))
def test_ids_are_those_of_the_original(text: str, name: str) -> None:
    tokenizer, theirs = BROUGHT[name], ORIGINALS[name]
    ids = tokenizer.encode(text)
    if name != "gpt-2" or "<tool_call>" not in text:  # there the original takes the text for the token
        assert ids == theirs.encode(text, add_special_tokens=False).ids
    assert tokenizer.encode_batch([text]) == [ids]
    if name != "unigram pieces":  # which itself takes the name of a control piece for it
        assert not tokenizer.special_ids.intersection(ids)
        assert tokenizer.decode(ids) == (text if name in ("gpt-2", "starcoder") else text.replace("▁", " "))
        stream = StreamDecoder(tokenizer)
        streamed = "".join([*map(stream.push, ids), stream.finish()])
        assert streamed == tokenizer.decode_bytes(ids).decode()


@pytest.mark.parametrize("name", sorted(ORIGINALS))
def test_special_tokens_come_after_what_is_there(name: str, tmp_path: Path) -> None:
    theirs, path = ORIGINALS[name], tmp_path / "tokenizer.json"
    BROUGHT[name].save(path)
    tokenizer = Tokenizer.load(path)
    had = theirs.get_vocab()
    assert {token: tokenizer.special_id(token) for token in had} == had
    assert tokenizer.tokens == len(had | dict.fromkeys(SPECIAL_TOKENS, 0)) - (END_OF_TEXT not in had)
    assert [tokenizer.special_id(t) for t in SPECIAL_TOKENS if t not in had and t != END_OF_TEXT] == list(
        range(len(had), tokenizer.tokens)
    )
    assert tokenizer.end_name in had
    assert {tokenizer.special_id(t) for t in (*SPECIAL_TOKENS[1:], tokenizer.end_name)} <= tokenizer.special_ids
    assert tokenizer.decode([tokenizer.end_of_text, tokenizer.special_id(PAD)]) == ""
    assert tokenizer.encode(PAD, specials=True) == [tokenizer.special_id(PAD)]
    assert tokenizer.pretokenizer == (name if name in ("gpt-2", "starcoder") else None)
    again = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert again.encode("a").ids == [tokenizer.end_of_text, *tokenizer.encode("a")]


def test_gaps_among_ids_are_filled_and_nothing_moves() -> None:
    description = json.loads(ORIGINALS["gpt-2"].to_str())
    theirs = {token["content"]: token["id"] + 7 * i + 3 for i, token in enumerate(description["added_tokens"])}
    for token in description["added_tokens"]:
        token["id"] = theirs[token["content"]]
    tokenizer = adopt(description, "gaps")
    assert {name: tokenizer.special_id(name) for name in theirs} == theirs
    gap = max(theirs.values()) - 1
    assert tokenizer.decode([gap]) == "" and tokenizer.token_bytes[gap] == b""
    assert all(i < len(tokenizer.token_texts) and tokenizer.token_texts[i] for i in range(tokenizer.tokens))


def test_merges_are_what_their_order_says() -> None:
    """Against BPE done plainly: every merge in its turn, over every token."""
    tokenizer = train_tokenizer(TEXT, 500, "qwen2")
    parts = [p for i, p in enumerate(tokenizer.token_bytes) if i not in tokenizer.special_ids]
    ranks = {part: i for i, part in enumerate(parts)}
    letter = byte_alphabet()
    back = {
        tuple("".join(map(letter.__getitem__, p)) for p in pair) for pair in merges_of_ranks(ranks).values() if pair
    }
    assert back == set(tokenizer.merges)
    pairs = [pair for pair in merges_of_ranks(ranks).values() if pair]
    assert says_the_same(ranks, pairs)
    assert not says_the_same(ranks, [*pairs[1:], pairs[0]])
    assert merges_of_ranks({b"a": 0, b"b": 1, b"c": 2, b"abc": 3, b"ab": 4}) == {b"abc": None, b"ab": (b"a", b"b")}
    assert not says_the_same(
        {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4, b"abc": 5}, [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")]
    )


def test_a_folder_of_gpt_2_and_a_file_of_ranks_are_read(tmp_path: Path) -> None:
    theirs = train_tokenizer(TEXT, 500, "gpt-2")
    plain = {t: i - len(SPECIAL_TOKENS) for i, t in enumerate(theirs.token_texts) if i not in theirs.special_ids}
    (tmp_path / "vocab.json").write_text(json.dumps(plain | {END_OF_TEXT: len(plain)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in theirs.merges))
    folder = import_tokenizer(tmp_path)
    ranks = {theirs.token_bytes[i + len(SPECIAL_TOKENS)]: i for i in plain.values()}
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())
    (tmp_path / "r50k_base.tiktoken").write_text("".join(lines))
    file = import_tokenizer(tmp_path / "r50k_base.tiktoken", specials={END_OF_TEXT: len(plain)})
    assert folder.token_texts == file.token_texts and folder.special_ids == file.special_ids
    shifted = [i - len(SPECIAL_TOKENS) for i in theirs.encode(" ".join(TEXT))]
    assert folder.encode(" ".join(TEXT)) == file.encode(" ".join(TEXT)) == shifted
    assert folder.end_of_text == len(plain)


def test_what_cannot_be_brought_along_is_said(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, "<unk>"))
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.tiktoken").write_text("IQ== 0\n")
    (tmp_path / "b.model").write_bytes(b"\x0a\x05\x0a\x03abc")
    (tmp_path / "c.json").write_text("{}")
    for file, error, why in (
        ("tokenizer.json", ConfigError, "only BPE and Unigram"),
        ("a.tiktoken", ConfigError, "how text is cut"),
        ("b.model", ConfigError, "unknown piece"),
        ("c.json", IntegrityError, "not a tokenizer.json"),
        ("none", DataError, "no such file"),
    ):
        with pytest.raises(error, match=why):
            import_tokenizer(tmp_path / file)
    with pytest.raises(IntegrityError, match="byte has none"):
        import_tokenizer(tmp_path / "a.tiktoken", pattern="gpt-2")
    with pytest.raises(ConfigError, match="possessive"):
        in_oniguruma(r"\p{N}{1,3}+a", "x")
    assert in_oniguruma(r"\p{N}{1,3}+|[$]\$\s++$", "x") == r"\p{N}{1,3}|[$]\$\s++\z"
    with pytest.raises(IntegrityError, match="without") as caught:
        Tokenizer.from_json(ORIGINALS["gpt-2"].to_str())
    assert "tokenizer import" in str(caught.value)
    assert set(PRETOKENIZERS) >= {"gpt-2", "qwen2", "llama-bpe"}
