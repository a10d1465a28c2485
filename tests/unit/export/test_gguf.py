"""What a GGUF says of itself, and which models it cannot hold."""

import json
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
import torch

from gnomon.base.errors import ConfigError
from gnomon.bundle import Bundle
from gnomon.export.gguf import write_gguf
from gnomon.export.hf import write_hf
from gnomon.export.modelfile import modelfile
from gnomon.export.read import read_gguf
from gnomon.presets import GGUF_DTYPES, PRESETS
from gnomon.taxonomy import SPECIAL_TOKENS
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(TINY), tokenizer)


@pytest.mark.parametrize("dtype", GGUF_DTYPES)
def test_matrices_are_in_the_dtype_and_gains_in_f32(bundle: Bundle, tmp_path: Path, dtype: str) -> None:
    write_gguf(bundle, tmp_path / "x.gguf", dtype)
    kinds = {t.name: t.tensor_type.name.lower() for t in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    assert len(kinds) == len(bundle.model.state_dict())
    assert "output.weight" not in kinds
    assert {kinds[n] for n in kinds if "norm" in n} == {"f32"}
    assert {kinds[n] for n in kinds if "norm" not in n} == {dtype}


def test_a_gguf_tells_where_it_comes_from(bundle: Bundle, tmp_path: Path) -> None:
    write_gguf(bundle, tmp_path / "x.gguf", "q8_0")
    shape, _, said = read_gguf(tmp_path / "x.gguf")
    assert (said["general.name"], said["gnomon.run"], said["gnomon.step"]) == ("noisy", "noisy", "1")
    assert json.loads(said["gnomon.shape"]) == TINY.as_dict()
    assert replace(shape, norm_epsilon=TINY.norm_epsilon) == TINY
    assert said["general.sampling.temp"] == pytest.approx(0.8)


def test_every_id_of_the_vocabulary_has_a_name_of_its_own(bundle: Bundle, tmp_path: Path) -> None:
    write_gguf(bundle, tmp_path / "x.gguf", "f32")
    said = read_gguf(tmp_path / "x.gguf")[2]
    names, kinds = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"]
    assert len(set(names)) == len(names) == len(kinds) == TINY.vocabulary > bundle.tokenizer.tokens
    assert set(kinds[: len(SPECIAL_TOKENS)]) == {gguf.TokenType.CONTROL}
    assert set(kinds[bundle.tokenizer.tokens :]) == {gguf.TokenType.UNUSED}


def test_every_preset_can_be_written(bundle: Bundle, tmp_path: Path) -> None:
    for size in ("1M", "5M"):
        shape = replace(PRESETS[size], vocabulary=TINY.vocabulary, layers=1)
        write_gguf(replace(bundle, model=noisy_model(shape)), tmp_path / "x.gguf", "q8_0")
        assert replace(read_gguf(tmp_path / "x.gguf")[0], norm_epsilon=shape.norm_epsilon) == shape


def test_what_gguf_cannot_hold_is_said_before_anything_is_written(bundle: Bundle, tmp_path: Path) -> None:
    for change, why in (
        (lambda d: d.update(normalizer={"type": "Lowercase"}), "without a normalizer"),
        (lambda d: d["model"].update(ignore_merges=True), "otherwise than this one"),
        (lambda d: d["added_tokens"][-1].update(special=False, lstrip=True), "takes the spaces beside it"),
        (
            lambda d: d["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\p{N}{1,2}|\s+|\S+"),
            "pre-tokenizer",
        ),
    ):
        description = json.loads(bundle.tokenizer.to_json())
        change(description)
        other = replace(bundle, tokenizer=Tokenizer.from_json(json.dumps(description)))
        with pytest.raises(ConfigError, match=why) as caught:
            write_gguf(other, tmp_path / "x.gguf", "f32")
        assert "export it as `hf`" in str(caught.value)
    larger = replace(bundle, tokenizer=train_tokenizer([*SENTENCES, "x" * 999] * 9, 700, "qwen2"))
    with pytest.raises(ConfigError, match="rows for them"):
        write_gguf(larger, tmp_path / "x.gguf", "f32")
    with pytest.raises(ConfigError, match="choose f32, f16, bf16, q8_0"):
        write_gguf(bundle, tmp_path / "x.gguf", "q4_0")
    with pytest.raises(ConfigError, match="f16"):
        write_hf(bundle, tmp_path, "f16")
    assert list(tmp_path.iterdir()) == []


def test_the_modelfile_passes_a_prompt_through(bundle: Bundle) -> None:
    text = modelfile(bundle, "noisy-q8_0.gguf")
    assert 'TEMPLATE """{{ .Prompt }}"""' in text
    assert "FROM ./noisy-q8_0.gguf\n" in text
    assert f"PARAMETER num_ctx {TINY.context}\n" in text
    assert 'PARAMETER stop "<|endoftext|>"' in text
    assert "LICENSE" not in text


def test_writing_leaves_the_model_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    for dtype in GGUF_DTYPES:
        write_gguf(bundle, tmp_path / f"{dtype}.gguf", dtype)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bundle.model.state_dict().items())
