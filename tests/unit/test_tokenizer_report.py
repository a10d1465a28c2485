"""What a report says of a tokenizer, counted by hand."""

from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.report import report
from gnomon.tokenizer.train import SMALLEST, train_tokenizer
from tests.world import SENTENCES


def test_counts_are_those_of_the_text() -> None:
    tokenizer = train_tokenizer(SENTENCES * 5, SMALLEST, "qwen2")  # bytes alone
    texts = {"plain": ["ab cd", "é"], "marked": [f"{END_OF_TEXT} <pad><pad>"], "none": []}
    found = report(tokenizer, texts)
    plain, marked = found.domains["plain"], found.domains["marked"]
    assert (plain.texts, plain.bytes, plain.words, plain.tokens, plain.fragments) == (2, 7, 3, 7, 2)
    assert plain.as_dict()["bytes_per_token"] == 1 and plain.as_dict()["tokens_per_word"] == 7 / 3
    assert (plain.changed, plain.used, plain.special_names) == (0, 7, {})
    assert marked.special_names == {END_OF_TEXT: 1, "<pad>": 2} and marked.changed == 0
    assert found.domains["none"].as_dict()["bytes_per_token"] is None
    assert found.total.bytes == plain.bytes + marked.bytes and found.total.special_names == marked.special_names
    used = {b for ones in texts.values() for text in ones for b in text.encode()}
    assert found.total.used == len(used)
    assert len(found.unused) == 256 - len(used) and min(found.unused) >= len(SPECIAL_TOKENS)


def test_the_longest_tokens_are_shown_and_merges_shorten_text() -> None:
    tokenizer = train_tokenizer([" international cooperation" * 50], 400, "qwen2")
    found = report(tokenizer, {"all": [" international cooperation" * 50]})
    assert found.longest[0] == " international" and found.total.tokens == 100
    assert found.as_dict()["domains"]["all"]["bytes_per_token"] == 13
