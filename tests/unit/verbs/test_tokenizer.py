"""The verbs of `gnomon tokenizer`: one learned, compared with one brought along, and what they refuse."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Theirs
from tokenizers import decoders, models, pre_tokenizers, trainers
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.verbs.tokenizer import tokenizer_app
from tests.world import SENTENCES


def run(*words: object) -> dict:
    result = CliRunner().invoke(tokenizer_app, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for name, lines in (("a", SENTENCES), ("b", ["for i in range(10): print(i)"] * 9)):
        rows = (json.dumps({"text": f"{line} {i}"}) + "\n" for i, line in enumerate(lines * 40))
        (tmp_path / f"{name}.jsonl").write_text("".join(rows))
    return tmp_path


def test_domains_get_their_shares_and_the_same_text_gives_the_same_file(texts: Path) -> None:
    words = ("train", f"prose={texts / 'a.jsonl'}", texts / "b.jsonl", "--vocabulary", 512, "--sample-bytes", 4000)
    shares = ("--domain", "prose=3", "--domain", "b=1")
    first = run(*words, *shares, "--out", texts / "one.json")
    again = run(*words, *shares, "--out", texts / "two.json")
    assert first["digest"] == again["digest"] == Tokenizer.load(texts / "one.json").digest
    assert first["sample_bytes"]["prose"] == pytest.approx(3000, abs=200)
    assert first["sample_bytes"]["b"] == pytest.approx(1000, abs=60)
    assert run(*words, "--out", texts / "three.json")["digest"] != first["digest"]
    with pytest.raises(ConfigError, match="differ"):
        run(*words, "--domain", "prose=3", "--out", texts / "x.json")
    with pytest.raises(ConfigError, match="a number from 0 up"):
        run(*words, "--domain", "prose=nan", "--out", texts / "x.json")


def test_words_are_learned_and_measured_domain_by_domain(texts: Path) -> None:
    files = (texts / "a.jsonl", f"code={texts / 'b.jsonl'}")
    made = run("train", *files, "--kind", "words", "--vocabulary", 448, "--out", texts / "words.json")
    assert (made["kind"], made["pretokenizer"], made["tokens"]) == ("words", "llama-bpe", 448)
    (found,) = run("eval", texts / "words.json", *files)["tokenizers"].values()
    assert found["total"]["changed"] == 0
    assert all(fit["bytes_per_token"] > 2 for fit in found["domains"].values()) and set(found["domains"]) == {
        "a",
        "code",
    }
    for words, why in ((("--kind", "letters"), "kind 'letters'"), (("--pretokenizer", "qwen2"), "as llama-bpe")):
        with pytest.raises(ConfigError, match=why):
            run("train", *files, "--kind", "words", *words, "--out", texts / "x.json")


def test_one_brought_along_is_compared_side_by_side(texts: Path) -> None:
    theirs = Theirs(models.BPE())
    theirs.pre_tokenizer, theirs.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    theirs.save(str(texts / "theirs.json"))
    made = run("import", texts / "theirs.json", "--out", texts / "brought.json")
    assert (made["pretokenizer"], made["end_of_text"]) == ("gpt-2", "<|endoftext|>")
    assert made["tokens"] > theirs.get_vocab_size()
    compared = run(
        "eval", texts / "brought.json", texts / "theirs.json", texts / "a.jsonl", f"code={texts / 'b.jsonl'}"
    )
    brought, same = compared["tokenizers"].values()
    assert brought == same
    assert set(brought["domains"]) == {"a", "code"} and brought["total"]["changed"] == 0
    with pytest.raises(ConfigError, match="some text"):
        run("eval", texts / "brought.json")
