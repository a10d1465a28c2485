"""What the presets say of a model is what is built; a plan needs none of it."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import get_args

import pytest
import torch

from gnomon import pipeline
from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.machine import Machine, this_machine
from gnomon.config import make_config
from gnomon.model.lm import LanguageModel
from gnomon.observe.console import Console
from gnomon.plan import asked_vocabulary, refuse_too_large, shape_of
from gnomon.presets import PRESETS, BlockKind, Shape, read_shape

PARTS = {
    "embed_tokens": "embedding", "self_attn": "attention", "mlp": "feed_forward", "embed_positions": "positions",
    "depth": "halting",
}  # fmt: skip


@pytest.mark.parametrize("block", get_args(BlockKind))
@pytest.mark.parametrize("size", PRESETS)
def test_parameters_are_those_of_the_model_part_by_part(size: str, block: BlockKind) -> None:
    shape = shape_of(make_config({"data": "texts", "size": size, "model": {"block": block}}))
    assert shape.block == block and (block == PRESETS[size].block) == (shape == PRESETS[size])
    with torch.device("meta"):
        model = LanguageModel(shape)
    counted = Counter[str]()
    for name, parameter in model.named_parameters():
        counted[next((part for word, part in PARTS.items() if word in name.split(".")), "norms")] += parameter.numel()
    assert counted == shape.parameter_table()


def test_what_follows_from_the_block_gpt_neox_gives_way_to_what_is_asked_and_is_refused_where_it_cannot_be() -> None:
    def shape(**model: int) -> Shape:
        return shape_of(make_config({"data": "texts", "size": "5M", "model": {"block": "gpt-neox", **model}}))

    assert (shape().kv_heads, shape().head_width, shape().feed_forward, shape().rotary_width) == (4, 64, 1024, 16)
    assert (shape(width=512, heads=16).head_width, shape(width=512).feed_forward) == (32, 2048)
    assert shape(feed_forward=512).feed_forward == 512
    for wrong, key in (({"kv_heads": 2}, "kv_heads"), ({"heads": 3}, "heads"), ({"head_width": 32}, "heads")):
        with pytest.raises(ConfigError) as caught:
            shape(**wrong)
        assert caught.value.where == f"model.{key}"


def test_a_shape_of_before_there_was_a_choice_is_a_qwen3() -> None:
    said = PRESETS["5M"].as_dict()
    assert said.pop("block") == "qwen3"
    assert read_shape(said, "a test") == PRESETS["5M"]
    for block in ("gpt-j", 3, None):
        with pytest.raises(IntegrityError, match="block"):
            read_shape(said | {"block": block}, "a test")


NAMED_AFTER = {
    "350M": 0.35, "1B": 1.0, "1.3B": 1.3, "3B": 3.0, "7B": 7.0, "unified-164m": 0.1645,
    "codette-1.3b": 1.3, "codette-2.7b": 2.7, "codette-5.3b": 5.3,
}  # fmt: skip


@pytest.mark.parametrize(("size", "billions"), NAMED_AFTER.items())
def test_a_size_has_about_the_parameters_that_it_is_named_after(size: str, billions: float) -> None:
    assert PRESETS[size].parameters / 1e9 == pytest.approx(billions, rel=0.01)


def test_vocabularies_and_heads_are_those_that_were_asked_for() -> None:
    rows = {size: shape.vocabulary for size, shape in PRESETS.items()}
    assert [rows.pop(size) for size in ("1M", "5M", "15M", "unified-164m")] == [4096, 4096, 8192, 50304]
    assert set(rows.values()) == {32768}
    assert {shape.heads for size, shape in PRESETS.items() if "codette" in size} == {32}
    assert all(shape.width % 256 == 0 for size, shape in PRESETS.items() if size not in ("1M", "adaptive-25m"))
    unified = make_config({"data": "texts", "size": "unified-164m"})
    assert (asked_vocabulary(unified), shape_of(unified).vocabulary) == (50257, 50304)


@pytest.mark.parametrize("size", [size for size in NAMED_AFTER if PRESETS[size].parameters > pipeline.MOST_TRIED])
def test_a_large_model_is_planned_without_being_built(
    tmp_path: Path, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: object, **__: object) -> None:
        raise AssertionError("the model was built")

    machine = Machine(**{**this_machine().as_dict(), "memory_bytes": 24 << 30})
    monkeypatch.setattr(pipeline, "this_machine", lambda: machine)
    monkeypatch.setattr(LanguageModel, "__init__", built)
    config = make_config({"data": str(tmp_path), "size": size, "budget": "10B tokens", "train": {"threads": 1}})
    plan = pipeline.plan_of(config, None, Console(quiet=True))
    assert plan.parameters == PRESETS[size].parameters
    assert 16 * plan.parameters < plan.memory_bytes < 100 * plan.parameters
    assert 4 * plan.parameters < plan.inference_bytes < plan.memory_bytes
    assert plan.flops > 6e10 * plan.parameters and plan.disk_bytes > 12 * plan.parameters
    assert "guess" in plan.reasons["tokens_per_second"]
    fits = plan.memory_bytes <= machine.memory_bytes
    assert ("would refuse to train it" in plan.reasons["memory_bytes"]) is not fits
    with nullcontext() if fits else pytest.raises(ConfigError, match=r"needs about .* and the machine has"):
        refuse_too_large(plan, machine)
