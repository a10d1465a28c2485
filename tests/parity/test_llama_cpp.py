"""An exported GGUF, run by llama.cpp itself, says what the model says: ids, continuations, probabilities."""

import json
import random
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tokenizers
import torch
import torch.nn.functional as F
from tokenizers import decoders, models, pre_tokenizers, trainers

from gnomon.bundle import Bundle
from gnomon.export.gguf import write_gguf
from gnomon.export.verify import verify_gguf
from gnomon.model import block
from gnomon.model.generate import Sampling, generate
from gnomon.taxonomy import SPECIAL_TOKENS
from gnomon.tokenizer.foreign import adopt
from gnomon.tokenizer.pretokenizer import PRETOKENIZERS
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import SMALLEST, train_tokenizer
from tests.clients.llama import LlamaCpp, LlamaServer
from tests.parity.conftest import EXCERPT
from tests.pieces import sentencepiece
from tests.world import TINY, noisy_model, real_text, saved_bundle

pytestmark = pytest.mark.client

DTYPES = ("f32", "f16", "bf16", "q8_0")
TIE = 1e-4
"""Two logits closer than this may change places between two programs that add in another order."""

GELU_TIE = 5e-3
"""The same where llama.cpp looks the gelu up in a table of float16, and our model does not."""

BOUNDS = {"f32": (1e-10, 1.0), "f16": (5e-6, 0.97), "bf16": (3e-4, 0.96), "q8_0": (3e-3, 0.93)}
"""Mean KL in nats and share of equal likeliest tokens, over 128 places."""

LARGEST = {"qwen3": 1e-4, "gpt-neox": 2e-3}
"""Difference of a log probability in f32. A gelu between two numbers of float16 may be looked up as either."""


@pytest.fixture(scope="module")
def servers(
    llama_cpp: LlamaCpp, reader: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, LlamaServer]]:
    """llama.cpp with the model in every dtype, and a key/value cache in f32."""
    folder = tmp_path_factory.mktemp("gguf")
    with ExitStack() as stack:
        found = {}
        for dtype in DTYPES:
            write_gguf(reader, folder / f"{dtype}.gguf", dtype)
            found[dtype] = stack.enter_context(llama_cpp.server(folder / f"{dtype}.gguf", context=256, threads=1))
        yield found


def prompts(bundle: Bundle, count: int, length: int) -> list[list[int]]:
    """Return what the model has read, as in training: end-of-text, then real text."""
    ids = bundle.tokenizer.encode(real_text()[EXCERPT])
    starts = random.Random(5).sample(range(len(ids) - length), count)
    return [[bundle.tokenizer.end_of_text, *ids[start : start + length - 1]] for start in starts]


def test_the_same_64_greedy_tokens_for_20_prompts(reader: Bundle, servers: dict[str, LlamaServer]) -> None:
    ties, words = 0, set[int]()
    for prompt in prompts(reader, 20, 12):
        ours = [row[0] for row in generate(reader.model, [prompt], 64, Sampling(temperature=0))]
        theirs = servers["f32"].greedy(prompt, 64)
        assert len(ours) == len(theirs) == 64
        words |= set(theirs)
        if ours != theirs:
            at = next(i for i in range(64) if ours[i] != theirs[i])
            logits = our_logits(reader, prompt + theirs[:at])
            gap = float(logits.max() - logits[theirs[at]])
            assert gap < (GELU_TIE if reader.shape.block == "gpt-neox" else TIE), (
                f"at token {at} llama.cpp takes one that is {gap:.1e} below ours"
            )
            ties += 1
    print(f"{20 - ties} of 20 continuations equal, {ties} end in a tie below {TIE}; {len(words)} different tokens")
    assert ties <= 2
    assert len(words) > 100  # a model that says the same word for ever would agree with anything


@pytest.fixture
def _gelu_by_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gelu of llama.cpp's processor kernels: of what has been rounded to float16, and rounded again."""
    exact = F.gelu

    def rounded(x: torch.Tensor, approximate: str) -> torch.Tensor:
        return exact(x.half().float(), approximate=approximate).half().float()

    monkeypatch.setattr(block.F, "gelu", rounded)


def test_the_table_of_the_gelu_costs_little(reader: Bundle, servers: dict[str, LlamaServer]) -> None:
    if reader.shape.block != "gpt-neox":
        pytest.skip("there is no gelu")
    kl, top1, largest = nearness(reader, servers["f32"])
    print(f"f32: mean KL {kl:.1e}, top token equal {100 * top1:.2f} %, largest log-probability off by {largest:.1e}")
    assert kl <= 1e-6 and top1 >= 0.99 and largest <= 1e-2


@pytest.mark.usefixtures("_gelu_by_table")
@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_near(reader: Bundle, servers: dict[str, LlamaServer], dtype: str) -> None:
    kl, top1, largest = nearness(reader, servers[dtype])
    print(
        f"{dtype}: mean KL {kl:.1e}, top token equal {100 * top1:.2f} %, largest log-probability off by {largest:.1e}"
    )
    limit, least = BOUNDS[dtype]
    assert kl <= limit and top1 >= least
    assert dtype != "f32" or largest <= LARGEST[reader.shape.block]


def nearness(reader: Bundle, server: LlamaServer) -> tuple[float, float, float]:
    """Return mean KL in nats, share of equal likeliest tokens, largest difference of a log probability."""
    vocabulary = reader.shape.vocabulary
    kls, same, largest = [], 0, 0.0
    for prompt in prompts(reader, 128, 24):
        meant = our_logits(reader, prompt).double().log_softmax(0)
        said = server.logprobs(prompt, vocabulary)
        assert len(said) == vocabulary
        theirs = torch.tensor([said[i] for i in range(vocabulary)], dtype=torch.float64).log_softmax(0)
        kls.append(float((meant.exp() * (meant - theirs)).sum()))
        same += int(meant.argmax()) == max(said, key=said.__getitem__)
        largest = max(largest, float((meant - theirs).abs().max()))
    return sum(kls) / len(kls), same / len(kls), largest


def test_a_prompt_of_text_is_read_as_in_training(reader: Bundle, servers: dict[str, LlamaServer]) -> None:
    text = "An instance of the class"
    asked = [reader.tokenizer.end_of_text, *reader.tokenizer.encode(text)]
    assert servers["f32"].greedy(text, 16) == servers["f32"].greedy(asked, 16)
    assert servers["f32"].greedy(text, 16) != servers["f32"].greedy(asked[1:], 16)
    assert reader.tokenizer.end_of_text in servers["f32"].end_tokens()


@pytest.mark.parametrize("pretokenizer", sorted(PRETOKENIZERS))
def test_ids_of_a_thousand_lines_are_equal(llama_cpp: LlamaCpp, tmp_path: Path, pretokenizer: str) -> None:
    assert same_ids(llama_cpp, tmp_path, train_tokenizer(real_text().split("\n\n"), 1000, pretokenizer)) == 1000


@pytest.mark.parametrize("vocabulary", [SMALLEST, 4000])
def test_ids_of_words_are_equal(llama_cpp: LlamaCpp, tmp_path: Path, vocabulary: int) -> None:
    words = train_tokenizer(real_text().split("\n\n"), vocabulary, "llama-bpe", kind="words")
    assert words.merges == [] and words.kind == ("words" if vocabulary > SMALLEST else "bpe")
    assert same_ids(llama_cpp, tmp_path, words) == 1000


@pytest.mark.parametrize("pretokenizer", ["gpt-2", "starcoder", "llama-bpe"])
def test_ids_of_a_tokenizer_from_elsewhere_are_equal(llama_cpp: LlamaCpp, tmp_path: Path, pretokenizer: str) -> None:
    """Its special tokens come last, an id is left out, and one added token is looked for in plain text."""
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pretokenizer != "llama-bpe")
    llama_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)" + PRETOKENIZERS["llama-bpe"].partition("[dD])")[2]
    first = {
        "gpt-2": [],
        "starcoder": [pre_tokenizers.Digits(individual_digits=True)],
        "llama-bpe": [pre_tokenizers.Split(tokenizers.Regex(llama_3), "isolated")],
    }
    inner = tokenizers.Tokenizer(models.BPE(ignore_merges=pretokenizer == "llama-bpe"))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Sequence([*first[pretokenizer], bytes_]), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        real_text().split("\n\n"), trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet)
    )
    inner.add_tokens([tokenizers.AddedToken("snake", normalized=False), tokenizers.AddedToken("</s>", special=True)])
    description = json.loads(inner.to_str())
    description["added_tokens"][-1]["id"] += 1
    tokenizer = adopt(description, "theirs")
    assert tokenizer.pretokenizer == pretokenizer and tokenizer.end_name == "</s>"
    assert tokenizer.special_id("snake") in tokenizer.encode("_snake_case")
    assert (
        same_ids(llama_cpp, tmp_path, tokenizer, but="\u017f") > 900
    )  # which llama.cpp takes for no s after an apostrophe


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_ids_of_a_sentencepiece_model_are_equal(llama_cpp: LlamaCpp, tmp_path: Path, kind: str, prefix: bool) -> None:
    """With the settings of Llama 2 and of T5; and each without a space before a text, but with tokens of its own."""
    replaced = kind == "unigram" and prefix
    _, tokenizer = sentencepiece(
        tmp_path / "theirs", model_type=kind, normalization_rule_name="nmt_nfkc" if replaced else "identity",
        remove_extra_whitespaces=replaced, add_dummy_prefix=prefix, byte_fallback=kind == "bpe",
        user_defined_symbols=[] if prefix else ["<sep>", "été"], split_by_whitespace=prefix,
        max_sentencepiece_length=12,
    )  # fmt: skip
    bundle = gguf_of(tokenizer, tmp_path)
    verify_gguf(bundle, tmp_path / "words.gguf", "words.gguf", "f32")
    lines = [line for line in (*thousand_lines(), "a<sep>b été", "<s> </s> <0x41>", " ", "\r\n ", "x▁y", "▁▁z")]
    with llama_cpp.server(tmp_path / "words.gguf", threads=1) as server:
        for line in lines:
            if replaced and any(map(unicodedata.combining, line)):
                continue  # `tokenizers` looks for what is replaced in parts of the text
            assert server.tokenize(line) == tokenizer.encode(line), repr(line)
            assert server.tokenize(line, special=True) == tokenizer.encode(line, specials=True), repr(line)
        if kind == "bpe":
            for line in lines[::5]:
                said = tokenizer.decode(tokenizer.encode(line))
                assert server.detokenize(tokenizer.encode(line)) == " " * prefix + said


def same_ids(llama_cpp: LlamaCpp, tmp_path: Path, tokenizer: Tokenizer, but: str = "\0") -> int:
    """Check that llama.cpp has the ids of `tokenizer` for a thousand lines, without those that hold `but`; return how
    many they were.
    """
    gguf_of(tokenizer, tmp_path)
    lines = [line for line in thousand_lines() if but not in line]
    with llama_cpp.server(tmp_path / "words.gguf", threads=1) as server:
        for line in lines:
            assert server.tokenize(line) == tokenizer.encode(line), repr(line)
        for line in lines[::5]:
            assert server.tokenize(line, special=True) == tokenizer.encode(line, specials=True), repr(line)
            assert server.detokenize(tokenizer.encode(line)) == line
    return len(lines)


def gguf_of(tokenizer: Tokenizer, folder: Path) -> Bundle:
    """Return a model with a tokenizer, written to words.gguf."""
    shape = type(TINY)(**{**TINY.as_dict(), "vocabulary": tokenizer.vocabulary})
    bundle = saved_bundle(folder / "words", noisy_model(shape), tokenizer)
    write_gguf(bundle, folder / "words.gguf", "f32")
    return bundle


def our_logits(bundle: Bundle, ids: list[int]) -> torch.Tensor:
    """Return the logits after `ids`, [vocabulary]."""
    with torch.inference_mode():
        return bundle.model.logits(bundle.model(torch.tensor([ids])).hidden[0, -1])


def thousand_lines() -> list[str]:
    """Return real lines, and made ones of what tokenizers stumble over."""
    draw = random.Random(11)
    lines = draw.sample([line for line in real_text().splitlines() if line.strip()], 600)
    hard = [
        "12345678901", "3.14159", "1,000,000", "    ", "\t\t", " \t ", "\r\n", "\n\n\n", "  \n  ",
        "'s", "'LL", "I'VE", "ſ's",
        "naïve café", "Straße", "ΑΒΓ αβγ", "Русский текст", "中文分词", "日本語のテスト", "한국어",
        "العربية", "עברית", "हिन्दी", "ไทย",
        "👩‍👩‍👧‍👦", "🇩🇪🏳️‍🌈", "e\u0301 vs é", "\u00a0\u2003\u3000", "\u200b\u200d\ufeff", "²³¼Ⅷ٣",
        "_snake_case", "x==y!=z",
        "https://example.org/?q=a%20b#c", "```python\n", "...!?", "—–-", "<|", "|>", *SPECIAL_TOKENS[:40],
    ]  # fmt: skip
    while len(lines) < 900:
        lines.append(draw.choice(["", " ", "  ", "\n"]).join(draw.choices(hard, k=draw.randrange(1, 7))))
    while len(lines) < 1000:
        points = (draw.randrange(draw.choice([0x80, 0x800, 0x3000, 0x10000, sys.maxunicode + 1])) for _ in range(20))
        lines.append("".join(chr(p) for p in points if p and not 0xD800 <= p < 0xE000))
    return [line for line in lines if line]
