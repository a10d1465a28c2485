"""Any text comes back from its ids, and text that looks like a special token stays text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.taxonomy import SPECIAL_TOKENS
from gnomon.tokenizer.tokenizer import StreamDecoder, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer
from tests.world import SENTENCES

anything = st.lists(st.one_of(st.text(), st.sampled_from(SPECIAL_TOKENS), st.sampled_from(SENTENCES))).map("".join)


def learned(pretokenizer: str) -> Tokenizer:
    return train_tokenizer(iter(SENTENCES * 5), 512, pretokenizer)


TOKENIZERS = {name: learned(name) for name in ("qwen2", "llama-bpe")}


@settings(max_examples=300)
@given(text=anything, name=st.sampled_from(sorted(TOKENIZERS)))
def test_text_comes_back_and_holds_no_special_token(text: str, name: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(i >= len(SPECIAL_TOKENS) for i in ids)
    assert tokenizer.encode_batch([text, text]) == [ids, ids]


@given(anything)
def test_streaming_gives_the_same_text_in_whole_characters(text: str) -> None:
    tokenizer = TOKENIZERS["qwen2"]
    decoder = StreamDecoder(tokenizer)
    pieces = [decoder.push(i) for i in tokenizer.encode(text)]
    assert "".join(pieces) + decoder.finish() == text
    assert not any("\ufffd" in p for p in pieces) or "\ufffd" in text


@given(st.sampled_from(SPECIAL_TOKENS))
def test_special_tokens_are_single_ids_when_asked_for(token: str) -> None:
    tokenizer = TOKENIZERS["qwen2"]
    assert tokenizer.encode(token, specials=True) == [SPECIAL_TOKENS.index(token)] == [tokenizer.special_id(token)]
    assert tokenizer.decode([tokenizer.special_id(token)], specials=True) == token
    assert tokenizer.decode([tokenizer.special_id(token)]) == ""


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_a_saved_tokenizer_is_the_same(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    again = Tokenizer.from_json(tokenizer.to_json())
    assert (again.digest, again.pretokenizer, again.end_of_text) == (tokenizer.digest, name, 0)
    assert again.encode(" ".join(SENTENCES)) == tokenizer.encode(" ".join(SENTENCES))


def test_a_small_text_gives_a_smaller_vocabulary_in_blocks_of_64() -> None:
    tokenizer = train_tokenizer(iter(["abc abc"]), 4096, "qwen2")
    assert tokenizer.tokens < 400
    assert tokenizer.vocabulary == SMALLEST
    assert tokenizer.decode([tokenizer.vocabulary - 1]) == ""


def test_digits_are_cut_as_the_pretokenizer_says() -> None:
    digits = iter(["1234567890 " * 50])
    single = train_tokenizer(digits, 512, "qwen2")
    assert len(single.encode("123456")) == 6
    grouped = train_tokenizer(iter(["123456 " * 50]), 512, "llama-bpe")
    assert len(grouped.encode("123456")) == 2
