"""What is exported as GGUF is, in a real llama.cpp, the same model and the same tokenizer."""

from pathlib import Path

import pytest
import torch

from gnomon.base.progress import silent
from gnomon.bundle import Bundle
from gnomon.export.write import export
from gnomon.model.generate import Sampling, generate
from tests.clients.llama import LlamaCpp
from tests.parity.lines import thousand_lines

pytestmark = pytest.mark.client
DTYPES = ("f32", "f16", "bf16", "q8_0")
TOLERANCE = {"f16": 0.02, "bf16": 0.15, "q8_0": 0.3}  # of a log-probability, in nats; keys and values are float32
TIE = 1e-4  # logits nearer than this may be told apart either way by another order of summation


@pytest.fixture(scope="module")
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("export")
    export(bundle, out, DTYPES, False, silent)
    return {dtype: out / f"{bundle.name}-{dtype}.gguf" for dtype in DTYPES}


def prompts(bundle: Bundle) -> list[list[int]]:
    """Twenty beginnings of real lines, as the model sees them."""
    lines = thousand_lines()[:20]
    return [[bundle.tokenizer.end_of_text, *bundle.tokenizer.encode(line)][:24] for line in lines]


def test_float32_says_the_same_64_greedy_tokens_for_20_prompts(
    bundle: Bundle, exported: dict[str, Path], llama_cpp: LlamaCpp
) -> None:
    ties, banned = 0, frozenset([bundle.tokenizer.end_of_text])
    with llama_cpp.serve(exported["f32"]) as server:
        for prompt in prompts(bundle):
            ours = [t[0] for t in generate(bundle.model, [prompt], 64, Sampling(temperature=0, banned=banned))]
            theirs = server.greedy(prompt, 64)
            assert len(theirs) == 64
            if ours != theirs:
                first = next(i for i in range(64) if ours[i] != theirs[i])
                tokens = torch.tensor([prompt + [t for t in ours[:first] if t is not None]])
                best = bundle.model.logits(bundle.model(tokens).hidden)[0, -1].topk(2).values
                assert float(best[0] - best[1]) < TIE, f"token {first} differs and is no tie"
                ties += 1
    print(f"20 prompts, {ties} exact ties")
    assert ties <= 2


def test_token_ids_are_equal_for_a_thousand_lines(
    bundle: Bundle, exported: dict[str, Path], llama_cpp: LlamaCpp
) -> None:
    with llama_cpp.serve(exported["q8_0"]) as server:
        for line in thousand_lines():
            assert server.tokenize(line) == bundle.tokenizer.encode(line), repr(line)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "q8_0"])
def test_smaller_formats_load_and_say_nearly_the_same(
    bundle: Bundle, exported: dict[str, Path], llama_cpp: LlamaCpp, dtype: str
) -> None:
    worst = 0.0
    with llama_cpp.serve(exported[dtype]) as server:
        for prompt in prompts(bundle):
            hidden = bundle.model(torch.tensor([prompt])).hidden[0, -1]
            ours = bundle.model.logits(hidden).detach().log_softmax(0)
            theirs = server.likeliest(prompt, 5)
            assert len(theirs) == 5
            worst = max(worst, *(abs(float(ours[token]) - value) for token, value in theirs.items()))
        assert len(server.greedy(prompts(bundle)[0], 8)) == 8
    print(f"{dtype}: largest difference of a log-probability {worst:.4f}")
    assert worst <= TOLERANCE[dtype]
