"""A checkpoint of every schema that was ever released loads for ever, and is never written to.

A new schema needs its fixture, `python -m scripts.make_schema_fixture`, and a migration from the one before.
"""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from gnomon.assemble import build_state
from gnomon.base.errors import IntegrityError
from gnomon.base.files import read_json, sha256_bytes
from gnomon.bundle import load_bundle
from gnomon.config import make_config
from gnomon.data.streaming.rows import make_rows
from gnomon.data.streaming.stream import Batch
from gnomon.plan import Plan
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts
from gnomon.store.schema import MIGRATIONS, SCHEMA, check_manifest, renamed
from gnomon.taxonomy import HeadKind
from gnomon.tokenizer.train import train_tokenizer
from gnomon.train.state import State, load_checkpoint, tensors_of
from gnomon.train.step import step
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"
RUNS = sorted(FIXTURES.glob("schema-*"))
CHECKPOINTS = [c for run in RUNS for c in CheckpointStore(run / "checkpoints").all()]


def run_of(checkpoint: Checkpoint) -> Path:
    return checkpoint.path.parent.parent


def label(checkpoint: Checkpoint) -> str:
    return f"{run_of(checkpoint).name}-{checkpoint.sequence}"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hashes(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    return {name: sha256_bytes(tensor.numpy().tobytes()) for name, tensor in tensors.items()}


def expected(checkpoint: Checkpoint) -> dict[str, Any]:
    return read_json(run_of(checkpoint) / "expected.json")[checkpoint.path.name]


def fresh_state(run: Path) -> State:
    """Return a state of the run's shape that has not begun, with room for more steps than were planned."""
    plan = Plan.model_validate(read_json(run / "plan.json"))
    torch.set_num_threads(plan.threads)
    state = build_state(plan, make_config(read_json(run / "config.json")))
    state.schedule = replace(state.schedule, steps=2 * plan.steps)
    return state


def test_every_schema_has_its_fixture_and_every_older_one_its_migration() -> None:
    assert [run.name for run in RUNS] == [f"schema-{version}" for version in range(1, SCHEMA + 1)]
    assert {checkpoint.manifest.written_schema for checkpoint in CHECKPOINTS} == set(range(1, SCHEMA + 1))
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA))


def test_there_are_files_of_one_process_and_of_several() -> None:
    assert {checkpoint.manifest.world for checkpoint in CHECKPOINTS} == {1, 2}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=label)
def test_a_model_is_loaded_as_it_was_written_and_speaks(checkpoint: Checkpoint) -> None:
    before = content(run_of(checkpoint))
    bundle = load_bundle(checkpoint.path)
    loaded = hashes(bundle.model.state_dict())
    wanted = expected(checkpoint)["tensors"]
    assert loaded == {name: wanted[name] for name in loaded}
    ids = bundle.tokenizer.encode("In the year 12 a letter")
    assert bundle.tokenizer.decode(ids) == "In the year 12 a letter"
    assert load_bundle(run_of(checkpoint)).checkpoint.step == checkpoint.step
    assert content(run_of(checkpoint)) == before


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=label)
def test_a_state_is_loaded_as_it_was_written_and_trains_on(checkpoint: Checkpoint) -> None:
    before, wanted = content(run_of(checkpoint)), expected(checkpoint)
    state = fresh_state(run_of(checkpoint))
    load_checkpoint(state, checkpoint)
    live = {name: tensor for part in tensors_of(state).values() for name, tensor in part.items()}
    assert {name: digest for name, digest in hashes(live).items() if name in wanted["tensors"]} == wanted["tensors"]
    assert all(name in wanted["tensors"] for name in live if not name.startswith("guard."))
    numbers = wanted["numbers"]
    assert (state.step, state.row, state.tokens) == (numbers["step"], numbers["row"], numbers["tokens"])
    assert (state.best_loss, state.since_best) == (float(numbers["best_loss"]), numbers["since_best"])
    state.guard.forget()  # made-up rows are a surprise to a model that has read others
    started, first = state.step, loss_after_a_step(state)
    assert min(loss_after_a_step(state) for _ in range(5)) < first, "the same rows over and over are learned"
    assert state.step == started + 6
    assert content(run_of(checkpoint)) == before


def loss_after_a_step(state: State) -> float:
    """Take a step on four rows, the same every time, and return the loss before it."""
    length = state.model.shape.context
    tokens = torch.randint(1, 99, (4, length + 1), generator=torch.Generator().manual_seed(3)).numpy()
    micro = make_rows(tokens[:, :-1], tokens[:, 1:], [[length]] * 4)
    step(state, Batch((micro,), micro.loss_tokens, state.row, state.row + 4, (0, 1, 2, 3), 4))
    (done,) = state.readback.drain()
    assert getattr(done, "verdict", None) == "ok"
    return float(getattr(done, "loss", "nan"))


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=label)
def test_a_migration_changes_nothing_but_what_it_returns(checkpoint: Checkpoint) -> None:
    body = json.loads((checkpoint.path / "manifest.json").read_bytes())
    before = deepcopy(body)
    manifest = check_manifest(body, checkpoint.path)
    assert body == before
    assert (manifest.version, manifest.written_schema) == (SCHEMA, before["schema"])
    assert [entry.model_dump() for entry in manifest.files] == before["files"]


def test_heads_of_before_they_had_mixes_of_their_own_begin_with_the_one_that_they_had_in_common(tmp_path: Path) -> None:
    kinds: list[HeadKind] = ["router", "types"]
    made = saved_bundle(
        tmp_path / "run", noisy_model(heads=kinds), train_tokenizer(SENTENCES, TINY.vocabulary, "qwen2")
    )
    weights = made.model.state_dict()
    mix = weights["heads.mix.router"] + 1
    old = {name: tensor for name, tensor in weights.items() if "heads.mix" not in name and "opening" not in name}
    old |= {"heads.mix": mix}
    moments = {f"exp_avg.{name}": 2 * tensor + i for i, (name, tensor) in enumerate(old.items())}
    files = {"model.safetensors": save(old), "optimizer.safetensors": save(moments)}
    made.run.checkpoints.commit(files, Facts(2, "finished", {}))
    found = load_bundle(made.run.checkpoints.all()[-1].path).model.state_dict()
    assert found.keys() == weights.keys()
    was = {name: mix if "heads.mix" in name else old[name.replace(".opening.", ".router.")] for name in found}
    assert all(torch.equal(found[name], tensor) for name, tensor in was.items())
    states = made.run.checkpoints.all()[-1].tensors("optimizer")
    assert states.keys() == {f"exp_avg.{name}" for name in weights}
    for name, tensor in states.items():
        of = "exp_avg.heads.mix" if "heads.mix" in name else name.replace(".opening.", ".router.")
        assert np.array_equal(tensor, moments[of].numpy())
    latest = {name: tensor for name, tensor in weights.items() if "opening" not in name}
    made.run.checkpoints.commit({"model.safetensors": save(latest)}, Facts(3, "finished", {}))
    found = load_bundle(made.run.checkpoints.all()[-1].path).model.state_dict()
    assert all(torch.equal(found[name], weights[name.replace("opening", "router")]) for name in weights)
    cut = {name: tensor for name, tensor in weights.items() if name != "heads.opening.up_proj.bias"}
    made.run.checkpoints.commit({"model.safetensors": save(cut)}, Facts(4, "finished", {}))
    with pytest.raises(IntegrityError, match=r"its model has|opening\.up_proj\.bias is missing"):
        load_bundle(made.run.checkpoints.all()[-1].path)
    router = saved_bundle(tmp_path / "one", noisy_model(heads=["router"]), made.tokenizer).model.state_dict()
    old = {name.removesuffix(".router"): t.numpy() for name, t in router.items() if "opening" not in name}
    assert renamed(old).keys() == router.keys()
