"""Wrong exports are refused: by what the file says of itself, and also by the logits of what it holds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnomon.base.errors import IntegrityError
from gnomon.bundle import Bundle
from gnomon.export import gguf
from gnomon.export.gguf import write_gguf
from gnomon.export.hf import write_hf
from gnomon.export.read import read_gguf, read_hf
from gnomon.export.verify import compare, probe, revive, verify_gguf, verify_hf
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape
from gnomon.tokenizer.train import train_tokenizer
from tests.world import NEOX, SENTENCES, TINY, noisy_model, saved_bundle

Weights = dict[str, Tensor]
Q, K = "layers.0.self_attn.q_proj.weight", "layers.0.self_attn.k_proj.weight"


def swap(weights: Weights, one: str, other: str) -> None:
    weights[one], weights[other] = weights[other], weights[one]


def permute_for_interleaved_rotation(weights: Weights) -> None:
    for name, heads in ((Q, TINY.heads), (K, TINY.kv_heads)):
        halves = weights[name].view(heads, 2, TINY.head_width // 2, TINY.width)
        weights[name] = halves.transpose(1, 2).reshape(weights[name].shape)


def swap_gate_and_up(weights: Weights) -> None:
    swap(weights, "layers.1.mlp.gate_proj.weight", "layers.1.mlp.up_proj.weight")


def swap_q_norm_and_k_norm(weights: Weights) -> None:
    """Of all layers: in one alone the swap scales queries and keys by the same product and hardly shows."""
    for i in range(TINY.layers):
        swap(weights, f"layers.{i}.self_attn.q_norm.weight", f"layers.{i}.self_attn.k_norm.weight")


def swap_layers(weights: Weights) -> None:
    for name in [n for n in weights if n.startswith("layers.0.")]:
        swap(weights, name, name.replace("layers.0.", "layers.1."))


def drop_the_final_norm(weights: Weights) -> None:
    weights["norm.weight"] = torch.ones(TINY.width)


def transpose_o_proj(weights: Weights) -> None:
    weights["layers.0.self_attn.o_proj.weight"] = weights["layers.0.self_attn.o_proj.weight"].T.contiguous()


def swap_key_value_heads(weights: Weights) -> None:
    """The keys alone: swapped together with the values, and the queries after them, it is the same model."""
    weights[K] = weights[K].view(TINY.kv_heads, -1).flip(0).reshape(weights[K].shape)


def shift_the_embedding_by_one(weights: Weights) -> None:
    weights["embed_tokens.weight"] = weights["embed_tokens.weight"].roll(1, 0)


def round_one_matrix_to_bf16(weights: Weights) -> None:
    weights[Q] = weights[Q].bfloat16().float()


WRONG_WEIGHTS = [
    permute_for_interleaved_rotation, swap_gate_and_up, swap_q_norm_and_k_norm, swap_layers,
    drop_the_final_norm, transpose_o_proj, swap_key_value_heads, shift_the_embedding_by_one,
    round_one_matrix_to_bf16,
]  # fmt: skip
WRONG_NEOX_WEIGHTS = [
    lambda weights: swap(weights, Q, K),
    lambda weights: swap(weights, Q.replace("weight", "bias"), K.replace("weight", "bias")),
    lambda weights: swap(weights, "layers.0.self_attn.v_proj.bias", "layers.0.self_attn.o_proj.bias"),
    lambda weights: swap(weights, "layers.1.input_layernorm.weight", "layers.1.post_attention_layernorm.weight"),
    lambda weights: weights["norm.bias"].zero_(),
    lambda weights: weights["layers.1.mlp.down_proj.bias"].zero_(),
]
WRONG_SHAPES = [
    replace(TINY, rope_theta=100 * TINY.rope_theta),
    replace(TINY, norm_epsilon=10 * TINY.norm_epsilon),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(TINY), tokenizer)


def twisted(bundle: Bundle, shape: Shape, twist: Callable[[Weights], None] = lambda _: None) -> Bundle:
    """Return the bundle with a model that is not what it was."""
    weights = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    twist(weights)
    model = LanguageModel(shape)
    model.load_state_dict(weights)
    return replace(bundle, model=model.eval())


def wrong(bundle: Bundle) -> list[tuple[str, Bundle]]:
    changed = [(twist.__name__, twisted(bundle, TINY, twist)) for twist in WRONG_WEIGHTS]
    return changed + [(str(shape), twisted(bundle, shape)) for shape in WRONG_SHAPES]


@pytest.mark.parametrize("number", range(len(WRONG_WEIGHTS) + len(WRONG_SHAPES)))
def test_a_wrong_export_is_refused_and_its_logits_alone_would_show_it(
    bundle: Bundle, tmp_path: Path, number: int
) -> None:
    name, other = wrong(bundle)[number]
    write_gguf(other, tmp_path / "x.gguf", "f32")
    (tmp_path / "hf").mkdir()
    write_hf(other, tmp_path / "hf", "f32")
    with pytest.raises(IntegrityError, match=r"x\.gguf does not say what the model says"):
        verify_gguf(bundle, tmp_path / "x.gguf", "x.gguf", "f32")
    with pytest.raises(IntegrityError, match="hf does not say what the model says"):
        verify_hf(bundle, tmp_path / "hf", "hf", "f32")
    for shape, weights, _ in (read_gguf(tmp_path / "x.gguf"), read_hf(tmp_path / "hf")):
        verdict = compare(bundle.model, revive(shape, weights, bundle, "x"), probe(bundle), "x", "gguf", "f32")
        print(f"{name}: {verdict}")
        assert not verdict.ok
        assert verdict.max_abs > 1e-4


@pytest.mark.parametrize("dtype", ["f16", "bf16", "q8_0"])
@pytest.mark.parametrize("number", range(len(WRONG_WEIGHTS) + len(WRONG_SHAPES)))
def test_rounding_hides_no_wrong_export(bundle: Bundle, tmp_path: Path, number: int, dtype: str) -> None:
    name, other = wrong(bundle)[number]
    write_gguf(other, tmp_path / "x.gguf", dtype)
    if name == "round_one_matrix_to_bf16" and dtype == "bf16":
        verify_gguf(bundle, tmp_path / "x.gguf", "x.gguf", dtype)  # rounding twice to bf16 is rounding once
    elif not (name == "round_one_matrix_to_bf16" and dtype == "q8_0"):  # finer than the steps of q8_0
        with pytest.raises(IntegrityError, match=r"x\.gguf does not say what the model says"):
            verify_gguf(bundle, tmp_path / "x.gguf", "x.gguf", dtype)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
def test_a_right_export_passes(bundle: Bundle, tmp_path: Path, dtype: str) -> None:
    write_gguf(bundle, tmp_path / "x.gguf", dtype)
    verdict = verify_gguf(bundle, tmp_path / "x.gguf", "x.gguf", dtype)
    assert verdict.ok
    assert (verdict.max_abs == 0) == (dtype == "f32")
    assert verdict.as_dict()["tolerance"]["mean_kl"] >= verdict.mean_kl


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_a_right_folder_passes(bundle: Bundle, tmp_path: Path, dtype: str) -> None:
    write_hf(bundle, tmp_path, dtype)
    assert verify_hf(bundle, tmp_path, "hf", dtype).ok


def test_another_tokenizer_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    reverse = [sentence[::-1] for sentence in SENTENCES] * 5
    other = replace(bundle, tokenizer=train_tokenizer(reverse, bundle.tokenizer.tokens, "qwen2"))
    digits = replace(bundle, tokenizer=train_tokenizer(SENTENCES * 5, bundle.tokenizer.tokens, "llama-bpe"))
    for wrong_one, where in ((other, "tokenizer.ggml.merges"), (digits, "tokenizer.ggml.pre")):
        write_gguf(wrong_one, tmp_path / "x.gguf", "f32")
        with pytest.raises(IntegrityError, match=where):
            verify_gguf(bundle, tmp_path / "x.gguf", "x.gguf", "f32")
        (tmp_path / where).mkdir()
        write_hf(wrong_one, tmp_path / where, "f32")
        with pytest.raises(IntegrityError, match="tokenizer"):
            verify_hf(bundle, tmp_path / where, "hf", "f32")


@pytest.fixture(scope="module")
def neox(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "neox", noisy_model(NEOX), tokenizer)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_a_right_gpt_neox_passes(neox: Bundle, tmp_path: Path, dtype: str) -> None:
    write_gguf(neox, tmp_path / "x.gguf", dtype)
    (tmp_path / "hf").mkdir()
    write_hf(neox, tmp_path / "hf", dtype)
    for verdict in (verify_gguf(neox, tmp_path / "x.gguf", "x", dtype), verify_hf(neox, tmp_path / "hf", "hf", dtype)):
        assert verdict.ok and (verdict.max_abs == 0) == (dtype == "f32")


@pytest.mark.parametrize("number", range(len(WRONG_NEOX_WEIGHTS)))
def test_a_wrong_gpt_neox_is_refused(neox: Bundle, tmp_path: Path, number: int) -> None:
    other = twisted(neox, NEOX, WRONG_NEOX_WEIGHTS[number])
    write_gguf(other, tmp_path / "x.gguf", "f32")
    (tmp_path / "hf").mkdir()
    write_hf(other, tmp_path / "hf", "f32")
    with pytest.raises(IntegrityError, match=r"x\.gguf does not say what the model says"):
        verify_gguf(neox, tmp_path / "x.gguf", "x.gguf", "f32")
    with pytest.raises(IntegrityError, match="hf does not say what the model says"):
        verify_hf(neox, tmp_path / "hf", "hf", "f32")


def test_a_head_that_is_not_the_embedding_is_refused(
    neox: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = gguf._add_tensor

    def other_head(writer: object, name: str, tensor: Tensor, kind: object) -> None:
        written(writer, name, tensor.flip(0) if name == "output.weight" else tensor, kind)  # pyright: ignore

    monkeypatch.setattr(gguf, "_add_tensor", other_head)
    gguf.write_gguf(neox, tmp_path / "x.gguf", "f32")
    with pytest.raises(IntegrityError, match="the head is not the embedding"):
        read_gguf(tmp_path / "x.gguf")


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_cut_file_is_refused(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write_gguf(bundle, folder / "x.gguf", "q8_0")
    whole = (folder / "x.gguf").read_bytes()
    (folder / "x.gguf").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(IntegrityError):
        verify_gguf(bundle, folder / "x.gguf", "x.gguf", "q8_0")
    write_hf(bundle, folder, "f32")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(IntegrityError):
        verify_hf(bundle, folder, "hf", "f32")


def test_weights_that_are_no_numbers_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    for value in (torch.nan, torch.inf, 1e6):  # the last is beyond float16
        sick = twisted(bundle, TINY)
        with torch.no_grad():
            sick.model.get_parameter(Q)[0, 0] = value
        write_gguf(sick, tmp_path / "x.gguf", "f16")
        with pytest.raises(IntegrityError, match=f"{Q} holds a number that is not finite"):
            verify_gguf(sick, tmp_path / "x.gguf", "x.gguf", "f16")
