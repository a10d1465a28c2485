"""Any text comes back from its ids, and text that looks like a special token stays text."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from gnomon.base.errors import IntegrityError
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.foreign import import_tokenizer
from gnomon.tokenizer.tokenizer import StreamDecoder, Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer
from tests.world import SENTENCES

anything = st.lists(st.one_of(st.text(), st.sampled_from(SPECIAL_TOKENS), st.sampled_from(SENTENCES))).map("".join)


def learned(pretokenizer: str, vocabulary: int = 512) -> Tokenizer:
    return train_tokenizer(SENTENCES * 5, vocabulary, pretokenizer)


TOKENIZERS = {name: learned(name) for name in ("qwen2", "llama-bpe")}
WORDS = train_tokenizer(SENTENCES * 5, 416, "llama-bpe", kind="words")
BYTES = learned("qwen2", SMALLEST)


@settings(max_examples=300)
@given(text=anything, name=st.sampled_from([*sorted(TOKENIZERS), "words"]))
def test_text_comes_back_and_holds_no_special_token(text: str, name: str) -> None:
    tokenizer = WORDS if name == "words" else TOKENIZERS[name]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(i >= len(SPECIAL_TOKENS) for i in ids)
    assert tokenizer.encode_batch([text, text]) == [ids, ids]


@given(anything)
def test_the_least_vocabulary_is_bytes_without_merges(text: str) -> None:
    assert BYTES.decode_bytes(BYTES.encode(text)) == text.encode()
    assert len(BYTES.encode(text)) == len(text.encode())


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


def test_ids_are_specials_then_bytes_then_merges_in_order() -> None:
    tokenizer = TOKENIZERS["qwen2"]
    first = len(SPECIAL_TOKENS)
    assert tokenizer.token_texts[:first] == list(SPECIAL_TOKENS)
    assert sorted(tokenizer.token_bytes[first : first + 256]) == [bytes([b]) for b in range(256)]
    assert [a + b for a, b in tokenizer.merges] == tokenizer.token_texts[first + 256 :]
    assert len(set(tokenizer.token_texts)) == tokenizer.tokens == 512


def test_names_of_special_tokens_in_the_text_are_learned_as_text() -> None:
    tokenizer = train_tokenizer([f"a{END_OF_TEXT}b {SPECIAL_TOKENS[9]}" for _ in range(50)], 512, "qwen2")
    assert tokenizer.end_of_text == SPECIAL_TOKENS.index(END_OF_TEXT)
    assert "endoftext" in "".join(tokenizer.token_texts[len(SPECIAL_TOKENS) + 256 :])
    ids = tokenizer.encode(END_OF_TEXT)
    assert min(ids) >= len(SPECIAL_TOKENS)
    assert tokenizer.decode(ids) == END_OF_TEXT


@settings(max_examples=30)
@given(st.lists(anything, max_size=20), st.integers(SMALLEST, 480))
def test_words_are_the_most_frequent_and_others_are_their_bytes(texts: list[str], vocabulary: int) -> None:
    tokenizer = train_tokenizer(texts, vocabulary, "llama-bpe", kind="words")
    cut = tokenizers.Tokenizer.from_str(tokenizer.to_json()).pre_tokenizer
    assert cut is not None
    counts = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(text))
    first = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    often = sorted((word for word in counts if counts[word] > 1 and len(word) > 1), key=lambda w: (-counts[w], w))
    room = vocabulary - len(first) if vocabulary > SMALLEST else 0
    assert tokenizer.token_texts == [*first, *often[:room]]
    for text in [*texts[:5], "never seen, this"]:
        ids = [i for word, _ in cut.pre_tokenize_str(text) for i in _taken(tokenizer, word)]
        assert tokenizer.encode(text) == ids


def _taken(tokenizer: Tokenizer, word: str) -> list[int]:
    parts = [word] if word in tokenizer.token_texts else list(word)
    return [tokenizer.token_texts.index(part) for part in parts]


def test_words_do_not_depend_on_the_order_of_texts_and_are_known_as_such(tmp_path: Path) -> None:
    assert train_tokenizer(sorted(SENTENCES * 5), 416, "llama-bpe", kind="words").digest == WORDS.digest
    assert [t.kind for t in (WORDS, BYTES, TOKENIZERS["qwen2"])] == ["words", "bpe", "bpe"]
    WORDS.save(tmp_path / "tokenizer.json")
    assert import_tokenizer(tmp_path).digest == WORDS.digest


@given(anything, st.sampled_from([WORDS, TOKENIZERS["qwen2"]]))
def test_others_read_the_file_as_we_do_and_put_end_of_text_first(text: str, tokenizer: Tokenizer) -> None:
    other = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert other.encode(text, add_special_tokens=False).ids == tokenizer.encode(text, specials=True)
    assert other.encode("a").ids == [tokenizer.end_of_text, *tokenizer.encode("a")]
    assert other.decode(tokenizer.encode(text)) == tokenizer.decode(tokenizer.encode(text))


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_words_are_cut_as_llama_cpp_cuts_them(name: str) -> None:
    def cut(text: str) -> list[str]:
        inner = tokenizers.Tokenizer.from_str(TOKENIZERS[name].to_json())
        assert inner.pre_tokenizer is not None
        return [text[a:b] for _, (a, b) in inner.pre_tokenizer.pre_tokenize_str(text)]

    assert cut("it's IT'LL") == ["it", "'s", " IT", "'LL"]
    assert cut("x'\u017fabc") == ["x", "'\u017fabc"], "the long s is no s"
    assert cut("a  b\n\n c!?\n") == ["a", " ", " b", "\n\n", " c", "!?\n"]
    assert TOKENIZERS[name].description["model"]["ignore_merges"] is (name == "llama-bpe")  # type: ignore[index]


def test_parsing_specials_in_one_thread_does_not_parse_them_in_another() -> None:
    tokenizer = learned("qwen2")
    plain = tokenizer.encode(END_OF_TEXT)

    def both(i: int) -> bool:
        return tokenizer.encode(END_OF_TEXT, specials=bool(i % 2)) == ([tokenizer.end_of_text] if i % 2 else plain)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(both, range(2000)))


def test_a_file_that_is_no_tokenizer_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZERS["qwen2"].save(path)
    assert Tokenizer.load(path).digest == TOKENIZERS["qwen2"].digest
    path.write_bytes(path.read_bytes()[:-100])
    for broken in (path, tmp_path / "none.json"):
        with pytest.raises(IntegrityError) as caught:
            Tokenizer.load(broken)
        assert str(broken) == caught.value.where
