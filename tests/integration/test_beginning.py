"""A run that begins from another's weights: those and no others, once, on the record, and only where they fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.assemble import start_over
from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.config import Config, make_config
from gnomon.events.types import RunStopped, Save
from gnomon.plan import shape_of
from gnomon.train.act import act
from gnomon.train.beginning import begin_with, beginning_of, first_weights, has_learned, settled, tokenizer_of
from gnomon.train.state import load_checkpoint
from tests.unit.train.test_act import assert_equal, go
from tests.world import Started, start

HEADS = {"router": True, "types": True}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Started:
    """A run that has gone three steps, is saved and says that it has finished."""
    one = start(tmp_path_factory.mktemp("first") / "before", heads=HEADS)
    go(one, 3)
    act([Save(why="rolling")], one.state, one.hands)
    one.hands.bus.publish(RunStopped(step=3, reason="finished", seconds=1.0))
    return one


def begun(folder: Path, before: Path, heads: dict[str, Any] | None = None) -> Started:
    """Return a run of its own seed that begins from the checkpoint, about to take its first step."""
    shutil.copytree(before.parent / "texts", folder / "texts", dirs_exist_ok=True)
    shutil.copytree(before.parent / "datasets", folder / "datasets", dirs_exist_ok=True)
    other = start(folder, heads=heads, lr=1e-4)
    plan = other.plan.model_copy(update={"init": beginning_of(str(before)).as_dict(), "seed": 99})
    write_atomic(other.run.plan_path, pretty_json(plan.model_dump(mode="json")))
    return resumed(folder, heads)


def copied(before: Started, folder: Path) -> Path:
    shutil.copytree(before.run.folder.parent, folder / "copy")
    return folder / "copy" / before.run.folder.name


def resumed(folder: Path, heads: dict[str, Any] | None = None) -> Started:
    return start(folder, heads=heads, lr=1e-4)


def test_it_begins_with_the_weights_of_the_checkpoint_and_starts_over_with_them(
    tmp_path: Path, before: Started
) -> None:
    meant = {name: tensor.clone() for name, tensor in before.state.model.state_dict().items()}
    one = begun(tmp_path / "next", before.run.folder, HEADS)
    start_over(one.state)
    assert all(torch.equal(t, meant[name]) for name, t in one.state.model.state_dict().items())
    go(one, 1)
    assert not torch.equal(one.state.model.head, meant["embed_tokens.weight"])
    start_over(one.state)
    assert all(torch.equal(t, meant[name]) for name, t in one.state.model.state_dict().items())
    without = begun(tmp_path / "without", before.run.folder)
    start_over(without.state)
    assert all(torch.equal(t, meant[name]) for name, t in without.state.model.state_dict().items())
    assert without.state.model.heads is None


def test_it_is_resumed_with_the_same_bits_when_the_other_run_is_gone(tmp_path: Path, before: Started) -> None:
    one = begun(tmp_path / "next", copy := copied(before, tmp_path))
    start_over(one.state)
    go(one, 2)
    act([Save(why="rolling")], one.state, one.hands)
    go(one, 3)
    shutil.rmtree(copy)
    twin = resumed(tmp_path / "next")
    load_checkpoint(twin.state, one.run.checkpoints.all()[-1])
    go(twin, 3)
    assert_equal(one.state, twin.state)
    with pytest.raises(IntegrityError, match="is gone"):
        start_over(twin.state)


def test_weights_that_are_not_what_the_plan_says_are_refused(tmp_path: Path, before: Started) -> None:
    copy = copied(before, tmp_path)
    said = beginning_of(str(copy)).as_dict()
    assert first_weights(said)
    with pytest.raises(IntegrityError, match="not what it was"):
        first_weights(said | {"digest": "0" * 64})
    (path,) = copy.glob("checkpoints/*/model.safetensors")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="not what it was"):
        first_weights(said)


def asking(before: Started, **more: Any) -> Config:
    written = {"data": str(before.run.folder), "out": str(before.run.folder.parent / "none"), **more}
    return make_config({"init": str(before.run.folder), **written})


def test_shape_heads_and_tokenizer_are_taken_over(before: Started) -> None:
    config = settled(asking(before))
    assert shape_of(config, before.plan.shape["vocabulary"]).as_dict() == before.plan.shape
    assert config.heads.kinds == ["router", "types"] and settled(config) == config
    assert tokenizer_of(config).path == str(before.run.tokenizer_path)
    without = settled(asking(before, heads={"router": False}))
    assert without.heads.kinds == []
    plain = make_config({"data": "x"})
    assert settled(plain) is plain and tokenizer_of(plain) == plain.learned


def test_a_shape_is_taken_over_where_its_size_stands_for_another_today(before: Started) -> None:
    plan = before.run.plan_path.read_text()
    shape = {**before.plan.shape, "mark_width": 80}
    try:
        before.run.plan_path.write_text(json.dumps({**json.loads(plan), "shape": shape}))
        config = settled(asking(before))
        assert shape_of(config, shape["vocabulary"]).as_dict() == shape and config.model.mark_width == 80
    finally:
        before.run.plan_path.write_text(plan)


def test_what_is_taken_over_is_checked_with_the_rest_and_conversations_are_remembered(before: Started) -> None:
    run = before.run
    config, plan = run.config_path.read_text(), run.plan_path.read_text()
    assert not any(has_learned(asking(before), what) for what in ("chat", "recites"))
    try:
        run.config_path.write_text(json.dumps({**json.loads(config), "model": {"loops": 3}, "heads": {}}))
        run.plan_path.write_text(json.dumps({**json.loads(plan), "chat": True}))
        with pytest.raises(ConfigError, match="sharding=full cannot hold a model with loops"):
            settled(asking(before, train={"sharding": "full"}))
        assert [has_learned(asking(before), what) for what in ("chat", "recites")] == [True, False]
    finally:
        run.config_path.write_text(config)
        run.plan_path.write_text(plan)


def test_another_shape_or_tokenizer_is_refused_and_named(before: Started) -> None:
    config = settled(asking(before))
    shape = shape_of(config, before.plan.shape["vocabulary"])
    assert begin_with(config, shape, before.dataset) == beginning_of(str(before.run.folder)).as_dict()
    other = asking(before, model={"width": 96, "layers": 2})
    with pytest.raises(ConfigError, match="width is 96 here and 64 there"):
        begin_with(other, shape_of(other), None)
    with pytest.raises(ConfigError, match="asks for a tokenizer"):
        settled(asking(before, tokenizer={"vocabulary": 512}))
    said = before.dataset.manifest
    foreign = replace(before.dataset, manifest={**said, "tokenizer": {**said["tokenizer"], "digest": "0" * 64}})
    with pytest.raises(ConfigError, match="another tokenizer"):
        begin_with(config, shape, foreign)


def test_what_is_no_finished_run_is_refused_but_its_checkpoint_is_not(tmp_path: Path, before: Started) -> None:
    with pytest.raises(ConfigError, match="no run to begin from"):
        beginning_of(str(tmp_path / "nothing"))
    going = start(tmp_path / "going")
    go(going, 1)
    act([Save(why="rolling")], going.state, going.hands)
    with pytest.raises(ConfigError, match="not finished"):
        beginning_of(str(going.run.folder))
    single = going.run.checkpoints.all()[-1]
    assert beginning_of(str(single.path)).checkpoint == single
    assert beginning_of(str(before.run.folder)).digest != beginning_of(str(single.path)).digest
