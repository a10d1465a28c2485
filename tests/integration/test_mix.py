"""A run over several sources: each is validated, one that is being forgotten comes more often, and a kill changes
nothing.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gnomon import pipeline
from gnomon.assemble import build_hands, build_state
from gnomon.base.errors import IntegrityError
from gnomon.config import MixConfig
from gnomon.data.streaming.stream import NUMBERING
from gnomon.data.streaming.weights import Stages
from gnomon.events.types import Event, Replan, Request, SourcesValidated, StepDone, Validated, WeightsChanged
from gnomon.observe.console import Console
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.datasets import Dataset
from gnomon.train import state as state_module
from gnomon.train.loop import run as train_loop
from gnomon.train.rollback import restore
from gnomon.train.state import read_numbers
from gnomon.verbs.mix import mix_app
from tests.stops import in_pieces, stop_at
from tests.unit.train.test_act import assert_equal
from tests.world import ROOT, Started, dataset_of, start

WEIGHTS: Stages = [(0, {"a": 1 << 18, "b": 1 << 19, "c": 1 << 18})]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(tmp_path_factory.mktemp("sources"), {"a": 400, "b": 200, "c": 80})


def asks(event: Event) -> Iterable[Request]:
    """Ask once for other weights and shorter pieces, and once for weights of a source that is not there."""
    if isinstance(event, StepDone) and event.step == 6:
        more = {"at_row": event.row + 60, "seen_row": event.row + event.rows}
        yield Replan(why="a test", weights={"a": 0.0, "b": 1.0, "c": 1.0}, length=20, **more)  # pyright: ignore[reportArgumentType]
        yield Replan(why="a test", weights={"z": 1.0}, **more)  # pyright: ignore[reportArgumentType]


def begin(folder: Path, sources: Dataset, weights: Stages = WEIGHTS) -> Started:
    one = start(folder, budget="100K tokens", log_every=2, validate_every=8, save_every=5, micro_rows=4)
    config = one.config.model_copy(
        update={"mix": MixConfig(rebalance="loss", reference={"a": 1.0}), "prompts": ["The lamp"]}
    )
    plan = one.plan.model_copy(update={"weights": weights, "validation_tokens": 2000})
    seen: list[Event] = []
    hands = build_hands(one.run, plan, config, sources, one.hands.world, one.run.begin_attempt(), seen.append)
    hands.bus.observers.append(asks)
    one.close()
    return Started(one.run, plan, config, sources, build_state(plan, config), hands, seen)


def pieces(folder: Path, sources: Dataset, stops: set[int]) -> tuple[Started, list[Event]]:
    every = in_pieces(lambda: begin(folder, sources), stops)
    return every[-1], [event for one in every for event in one.seen]


def test_sources_are_validated_rebalanced_and_a_kill_changes_no_bit(tmp_path: Path, sources: Dataset) -> None:
    whole, told = pieces(tmp_path / "whole", sources, set())
    each = [event for event in told if isinstance(event, SourcesValidated)]
    together = [event for event in told if isinstance(event, Validated)]
    assert len(each) == len(together) > 3
    for one, all_ in zip(each, together, strict=True):
        assert set(one.losses) == {"a", "b", "c"} and one.row > 0
        assert min(one.losses.values()) < all_.loss < max(one.losses.values())
    changed = [event for event in told if isinstance(event, WeightsChanged)]
    assert any(event.why == "a test" for event in changed)
    assert any("validation losses above" in event.why and event.weights["a"] > 0.25 for event in changed)
    last = whole.hands.loader.stream.take(whole.state.row)
    assert max(int(rows.positions.max()) for rows in last.micros) <= 19

    stopped, told_again = pieces(tmp_path / "stopped", sources, {3, 7, 8, 13, 21})
    assert_equal(stopped.state, whole.state)
    assert stopped.hands.journal.entries == whole.hands.journal.entries
    assert [(e.at_row, e.weights) for e in told_again if isinstance(e, WeightsChanged)] == [
        (e.at_row, e.weights) for e in changed
    ]


@pytest.mark.parametrize(
    ("numbering", "step", "refused"),
    [(1, 36, "weights changed at row 256, and the older"), (1, 30, None), (2, 36, None), (3, 30, "update gnomon")],
)
def test_rows_that_another_rule_numbered_are_not_gone_on_from_after_a_change_of_weights(
    tmp_path: Path, sources: Dataset, monkeypatch: pytest.MonkeyPatch, numbering: int, step: int, refused: str | None
) -> None:
    weights: Stages = [*WEIGHTS, (250, {"a": 1 << 19, "b": 1 << 18, "c": 1 << 18})]
    one = begin(tmp_path, sources, weights)
    one.hands.bus.observers.remove(asks)
    with monkeypatch.context() as patch:
        patch.setattr(state_module, "NUMBERING", numbering)
        train_loop(one.state, [stop_at({step})], one.hands)
        one.hands.saver.wait()
    one.close()
    (saved,) = one.run.checkpoints.all()
    assert read_numbers(saved).numbering == numbering and (saved.path / "state.json").stat().st_size <= 4096
    again = begin(tmp_path, sources, weights)
    if refused:
        with pytest.raises(IntegrityError, match=refused) as caught:
            restore(again.state, again.hands)
        assert caught.value.where == str(saved.path) and caught.value.do
        assert again.state.row == 0 and one.run.checkpoints.all() == [saved], "nothing was touched"
    else:
        assert restore(again.state, again.hands) == saved.path.name
        assert again.state.row == one.state.row == 8 * step
    again.close()


def test_a_checkpoint_from_before_the_rule_was_kept_is_of_the_first() -> None:
    folder = ROOT / "tests" / "fixtures" / "checkpoints" / "schema-2" / "checkpoints"
    found = [read_numbers(checkpoint).numbering for checkpoint in CheckpointStore(folder).all()]
    assert found == [1, 1] and NUMBERING > 1


def test_simulate_foretells_what_a_run_then_reads(tmp_path: Path) -> None:
    one = start(tmp_path, budget="20K tokens")
    said = CliRunner().invoke(mix_app, ["simulate", str(tmp_path / "config.json"), "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout.splitlines()[-1])
    assert one.train().reason == "finished"
    one.close()
    assert (found["steps"], found["rows"], found["tokens"]) == (one.state.step, one.state.row, one.state.tokens)
    (source,) = found["sources"]
    assert source["source"] == one.dataset.name and source["share"] == 1
    assert source["epochs"] == pytest.approx(one.state.tokens / one.dataset.split("train").n_tokens)
    table = CliRunner().invoke(mix_app, ["simulate", str(tmp_path / "config.json")]).stdout
    assert f"{found['tokens']:,}" in table and "epochs" in table


@pytest.mark.parametrize("options", [{}, {"batch_tokens": 1024, "batch_ramp": "fixed"}], ids=["plain", "ramp"])
def test_simulate_measures_no_speed_for_a_budget_in_tokens_and_says_what_the_plan_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    def measured(*_: Any, **__: Any) -> None:
        raise AssertionError("the speed is measured")

    one = start(tmp_path, budget="20K tokens", **options)
    one.close()
    monkeypatch.setattr(pipeline, "measure_speed", measured)
    config = one.config.model_copy(update={"out": str(tmp_path / "none")})  # a run that has not begun
    found, stream = pipeline.simulate_mix(config, Console(quiet=True)), one.hands.loader.stream
    assert found["rows"] - one.plan.rows_per_step < one.plan.steps * one.plan.rows_per_step <= found["rows"]
    assert found["steps"] == stream.batches_between(0, found["rows"])
    assert (found["why"], found["tokens"]) == (one.plan.reasons["weights"], stream.shares(found["rows"])[0].tokens)
    with pytest.raises(AssertionError, match="is measured"):  # since nothing else says how many steps a minute has
        pipeline.simulate_mix(config.model_copy(update={"budget": "1m"}), Console(quiet=True))
