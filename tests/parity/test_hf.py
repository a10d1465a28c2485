"""An exported folder, loaded by `transformers` itself, says what the model says: logits, ids, continuations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from gnomon.bundle import Bundle
from gnomon.export.hf import write_hf
from gnomon.model.generate import Sampling, generate
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import next_token_loss
from gnomon.taxonomy import END_OF_TEXT, SPECIAL_TOKENS
from gnomon.tokenizer.train import train_tokenizer
from tests.world import EACH_BLOCK, SENTENCES, TINY, noisy_model, saved_bundle

transformers = pytest.importorskip("transformers", reason="pip install transformers")
CLASSES = {"qwen3": "Qwen3ForCausalLM", "gpt-neox": "GPTNeoXForCausalLM"}

anything = st.lists(st.one_of(st.text(), st.sampled_from(SPECIAL_TOKENS), st.sampled_from(SENTENCES))).map("".join)


@pytest.fixture(scope="module", params=EACH_BLOCK, ids=lambda shape: shape.block)
def bundle(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "llama-bpe")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(request.param), tokenizer)


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    write_hf(bundle, folder, "f32")
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def words(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder)


def tokens(rows: int = 4) -> torch.Tensor:
    return torch.randint(TINY.vocabulary, (rows, TINY.context), generator=torch.Generator().manual_seed(3))


def test_logits_agree_in_float32(bundle: Bundle, theirs: Any) -> None:
    with torch.inference_mode():
        said, meant = theirs(tokens()).logits, bundle.model.logits(bundle.model(tokens()).hidden)
    assert type(theirs).__name__ == CLASSES[bundle.shape.block] and theirs.dtype == torch.float32
    largest = float((said - meant).abs().max())
    print(f"largest logit difference {largest:.1e} at a spread of {float(meant.std()):.2f}")
    assert largest <= 1e-4
    assert torch.equal(said.argmax(-1), meant.argmax(-1))


def test_gradients_agree_in_float32(bundle: Bundle, theirs: Any, tmp_path: Path) -> None:
    """Their gradients are found under the names, and in the layout, in which the weights are written."""
    read = tokens().clamp(min=2)  # theirs gives the row of the padding no gradient
    labels = read.roll(-1, 1)
    ours = LanguageModel(bundle.shape)
    ours.load_state_dict(bundle.model.state_dict())
    next_token_loss(ours(read).hidden, ours.head, labels)[0].backward()
    theirs.zero_grad()
    torch.nn.functional.cross_entropy(theirs(read).logits.flatten(0, 1), labels.flatten(), reduction="sum").backward()
    with torch.no_grad():
        for parameter in ours.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    write_hf(replace(bundle, model=ours), tmp_path, "f32")
    meant, said = load_file(tmp_path / "model.safetensors"), dict(theirs.named_parameters())
    largest = {name: float((said[name].grad - grad).abs().max()) for name, grad in meant.items()}
    sizes = {name: float(grad.abs().max()) for name, grad in meant.items()}
    theirs.zero_grad()
    print(f"largest gradient difference {max(largest.values()):.1e}, of gradients up to {max(sizes.values()):.2f}")
    assert set(said) == set(meant) and min(sizes.values()) > 0.1
    assert all(largest[name] <= 1e-5 * max(1.0, sizes[name]) for name in meant), largest


def test_a_bf16_folder_loads_as_bf16_and_stays_near(bundle: Bundle, theirs: Any, tmp_path: Path) -> None:
    write_hf(bundle, tmp_path, "bf16")
    rounded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert rounded.dtype == torch.bfloat16
    for name, weight in theirs.state_dict().items():
        assert torch.equal(rounded.state_dict()[name], weight.bfloat16()), name


def test_the_head_is_the_embedding_and_not_a_copy(theirs: Any, folder: Path) -> None:
    embedding = theirs.get_input_embeddings().weight
    assert theirs.get_output_embeddings().weight.data_ptr() == embedding.data_ptr()
    others = torch.full((1, 8), 3)
    with torch.no_grad():
        before = theirs(others).logits[0, -1, 7]
        embedding[7] *= 2
        after = theirs(others).logits[0, -1, 7]
        embedding[7] /= 2
    assert before != 0 and after == 2 * before
    assert theirs.config.gnomon["run"] == "noisy"
    assert b"lm_head" not in (folder / "model.safetensors").read_bytes()[:4096]


def test_greedy_continuations_are_equal(bundle: Bundle, theirs: Any) -> None:
    prompts = [[0, *bundle.tokenizer.encode(text)] for text in SENTENCES]
    for prompt in prompts:
        ours = [row[0] for row in generate(bundle.model, [prompt], 24, Sampling(temperature=0))]
        asked = torch.tensor([prompt])
        said = theirs.generate(
            asked, attention_mask=torch.ones_like(asked), max_new_tokens=24, min_new_tokens=24, do_sample=False,
            eos_token_id=None,
        )  # fmt: skip
        assert said[0, len(prompt) :].tolist() == ours


@settings(max_examples=400, deadline=None)
@given(text=anything)
def test_ids_are_equal_for_any_text(bundle: Bundle, words: Any, text: str) -> None:
    plain = words(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert plain == bundle.tokenizer.encode(text)
    assert words(text, add_special_tokens=False)["input_ids"] == bundle.tokenizer.encode(text, specials=True)
    assert words(text)["input_ids"] == [bundle.tokenizer.end_of_text, *bundle.tokenizer.encode(text, specials=True)]
    assert words.decode(plain) == text


def test_ids_of_words_are_equal(tmp_path: Path) -> None:
    ours = train_tokenizer(SENTENCES * 5, 416, "llama-bpe", kind="words")
    (tmp_path / "hf").mkdir()
    write_hf(saved_bundle(tmp_path / "words", noisy_model(TINY), ours), tmp_path / "hf", "f32")
    theirs: Any = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")

    @settings(max_examples=200, deadline=None)
    @given(text=anything)
    def equal(text: str) -> None:
        plain = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert plain == ours.encode(text) and theirs.decode(plain) == text

    equal()
    assert any(len(ours.token_bytes[i]) > 1 for i in ours.encode(SENTENCES[0]))


def test_special_tokens_and_length_are_known(bundle: Bundle, words: Any) -> None:
    assert (words.bos_token, words.eos_token, words.pad_token) == (END_OF_TEXT, END_OF_TEXT, "<pad>")
    assert (words.bos_token_id, words.pad_token_id) == (0, 1)
    assert words.model_max_length == TINY.context
    assert set(words.all_special_tokens) == set(SPECIAL_TOKENS)
