"""A run whose state is shared out over its processes is the run that it would be otherwise, and takes less memory."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.model.lm import LanguageModel
from gnomon.presets import PRESETS
from gnomon.train.shard import owners
from tests.ranks import run_all
from tests.world import plain_optimizer

OPTIONS = {
    "budget": "9K tokens",
    "micro_rows": 2,
    "dropout": 0.1,
    "save_every": 5,
    "validate_every": 4,
    "validation_tokens": 1800,  # of which not all processes have the same number of passes
    "log_every": 3,
}
OPTIMIZERS = ("muon", "adamw")
STOP = 9
POISONED = 5
SAVED = 80
LONG = {"budget": "51200 tokens", "dropout": 0.0, "save_every": SAVED, "validate_every": 30, "digest_at": [SAVED]}
RATES = {"muon": 1e-4, "adamw": 3e-4}  # so low that roundings do not grow from step to step
NEAR = {"losses": 1e-6, "norms": 5e-6}  # relative

Said = dict[str, Any]  # of one run, as `tests/ranks.py` says it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sharding")


def train(folder: Path, processes: int, runs: dict[str, Said]) -> dict[str, Said]:
    """Train runs by name, with these options beside the usual, and return what came of each."""
    for name in runs:
        (folder / name).mkdir(exist_ok=True)
    said = run_all(processes, [(folder / name, OPTIONS | options) for name, options in runs.items()])
    return dict(zip(runs, said, strict=True))


@pytest.fixture(scope="module")
def plain(folder: Path) -> dict[str, Said]:
    """One process, exact, both optimizers; and stopped half-way."""
    exact = {kind: {"exact": True, "optimizer": kind} for kind in OPTIMIZERS}
    stopped = {f"1-stopped-{kind}": options | {"stop_at": STOP} for kind, options in exact.items()}
    return train(folder, 1, {f"1-exact-{kind}": options for kind, options in exact.items()} | stopped)


@pytest.fixture(scope="module", params=[2, 4])
def several(request: pytest.FixtureRequest, folder: Path, plain: dict[str, Said]) -> dict[str, Any]:
    """The runs of several processes, by name without their number."""
    n, runs = request.param, {}
    for kind in OPTIMIZERS:
        some = {"optimizer": kind}
        shared = some | {"sharding": "optimizer"}
        runs |= {
            f"{n}-none-{kind}": some,
            f"{n}-optimizer-{kind}": shared,
            f"{n}-exact-{kind}": shared | {"exact": True},
            f"{n}-poison-{kind}": shared
            | {"poison": [1, POISONED], "digest_at": [POISONED, POISONED + 1], "log_every": 1},
            f"{n}-stopped-{kind}": shared | {"exact": True, "stop_at": STOP},
            f"{n}-goes-on-{kind}": shared | {"exact": True},
        }
        shutil.copytree(folder / f"1-stopped-{kind}", folder / f"{n}-goes-on-{kind}")
    return {name.removeprefix(f"{n}-"): said for name, said in train(folder, n, runs).items()} | {"processes": n}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_with_the_optimizer_shared_out_a_run_has_the_same_bits(several: dict[str, Any], kind: str) -> None:
    assert several[f"optimizer-{kind}"]["ended"] == several[f"none-{kind}"]["ended"]
    assert several[f"optimizer-{kind}"]["losses"] == several[f"none-{kind}"]["losses"]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_exact_and_shared_out_a_run_has_the_bits_of_one_process(
    several: dict[str, Any], plain: dict[str, Said], kind: str
) -> None:
    assert several[f"exact-{kind}"]["ended"] == plain[f"1-exact-{kind}"]["ended"]
    assert several[f"exact-{kind}"]["losses"] == plain[f"1-exact-{kind}"]["losses"]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_saved_by_one_process_a_run_goes_on_shared_out(
    several: dict[str, Any], plain: dict[str, Said], kind: str
) -> None:
    assert several[f"goes-on-{kind}"]["loaded"] == plain[f"1-stopped-{kind}"]["ended"]
    assert several[f"goes-on-{kind}"]["ended"] == plain[f"1-exact-{kind}"]["ended"]


def test_saved_shared_out_a_run_goes_on_with_fewer_processes(
    several: dict[str, Any], plain: dict[str, Said], folder: Path
) -> None:
    n = several["processes"]
    for fewer in {1, n // 2}:
        names = {kind: f"{n}-then-{fewer}-{kind}" for kind in OPTIMIZERS}
        for kind, name in names.items():
            shutil.copytree(folder / f"{n}-stopped-{kind}", folder / name)
        shared = {"exact": True, "sharding": "optimizer" if fewer > 1 else "none"}
        said = train(folder, fewer, {name: shared | {"optimizer": kind} for kind, name in names.items()})
        for kind, name in names.items():
            assert said[name]["loaded"] == several[f"stopped-{kind}"]["ended"]
            assert said[name]["ended"] == plain[f"1-exact-{kind}"]["ended"]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_gradient_that_is_not_finite_in_one_process_changes_nothing_in_any(
    several: dict[str, Any], kind: str
) -> None:
    said = several[f"poison-{kind}"]
    assert [i for i, verdict in enumerate(said["verdicts"]) if verdict != "ok"] == [POISONED]
    before, after = said["digests"].values()
    assert before == after


@pytest.fixture(scope="module")
def long(folder: Path) -> dict[str, Said]:
    """A hundred steps of one process, with a checkpoint before the last twenty."""
    return train(folder, 1, {f"1-long-{kind}": LONG | {"optimizer": kind, "lr": rate} for kind, rate in RATES.items()})


@pytest.fixture(scope="module", params=[2, 4])
def full(request: pytest.FixtureRequest, folder: Path, long: dict[str, Said]) -> dict[str, Any]:
    """The runs of several processes that share everything out, by name without their number."""
    n, runs = request.param, {}
    for kind, rate in RATES.items():
        shared = LONG | {"optimizer": kind, "lr": rate, "sharding": "full"}
        poison = {"poison": [1, POISONED], "digest_at": [POISONED, POISONED + 1], "log_every": 1, "start_over": True}
        runs |= {
            f"{n}-long-{kind}": shared,
            f"{n}-full-goes-on-{kind}": shared,
            f"{n}-full-poison-{kind}": {"optimizer": kind, "sharding": "full", **poison},
        }
        copy_before_the_end(folder / f"1-long-{kind}", folder / f"{n}-full-goes-on-{kind}")
    return {name.removeprefix(f"{n}-"): said for name, said in train(folder, n, runs).items()} | {"processes": n}


def copy_before_the_end(run: Path, to: Path) -> None:
    """Copy a long run as it was before its last twenty steps."""
    shutil.copytree(run, to)
    for checkpoint in (to / "run" / "checkpoints").glob("*-step-*"):
        if int(checkpoint.name.split("-")[-1]) > SAVED:
            shutil.rmtree(checkpoint)


def assert_near(said: Said, other: Said) -> None:
    """Check that losses and gradient norms of a run are, but for roundings, the last ones of another."""
    for key, most in NEAR.items():
        pairs = zip(said[key], other[key][-len(said[key]) :], strict=True)
        far = max(abs(a - b) / b for a, b in pairs)
        print(f"{key} of {len(said[key])} steps differ by {far:.1e}")
        assert far < most, key


@pytest.mark.parametrize("kind", RATES)
def test_with_everything_shared_out_a_run_is_that_of_one_process(
    full: dict[str, Any], long: dict[str, Said], kind: str
) -> None:
    one, several = long[f"1-long-{kind}"], full[f"long-{kind}"]
    assert several["loaded"] == one["loaded"]
    assert len(several["losses"]) == 100 and one["losses"][-1] < 0.9 * one["losses"][0]
    assert_near(several, one)


@pytest.mark.parametrize("kind", RATES)
def test_saved_by_one_process_a_run_goes_on_with_everything_shared_out(
    full: dict[str, Any], long: dict[str, Said], kind: str
) -> None:
    said = full[f"full-goes-on-{kind}"]
    assert len(said["losses"]) == 20
    assert_near(said, long[f"1-long-{kind}"])


def test_saved_with_everything_shared_out_a_run_goes_on_in_other_ways(
    full: dict[str, Any], long: dict[str, Said], folder: Path
) -> None:
    n = full["processes"]
    for fewer, sharding in ((1, "none"), (2, "full" if n == 4 else "optimizer")):
        names = {kind: f"{n}-full-then-{fewer}-{kind}" for kind in RATES}
        for kind, name in names.items():
            copy_before_the_end(folder / f"{n}-long-{kind}", folder / name)
        said = train(
            folder,
            fewer,
            {name: LONG | {"lr": RATES[k], "optimizer": k, "sharding": sharding} for k, name in names.items()},
        )
        for kind, name in names.items():
            assert said[name]["loaded_weights"] == full[f"long-{kind}"]["digests"][str(SAVED)]
            assert_near(said[name], long[f"1-long-{kind}"])


@pytest.mark.parametrize("rows", [1, 4])
def test_rows_of_a_pass_make_no_difference_where_everything_is_shared_out(
    folder: Path, long: dict[str, Said], rows: int
) -> None:
    shared = LONG | {"sharding": "full", "micro_rows": rows, "stop_at": 20}
    runs = {f"2-rows-{rows}-{kind}": shared | {"optimizer": kind, "lr": rate} for kind, rate in RATES.items()}
    for (name, said), kind in zip(train(folder, 2, runs).items(), RATES, strict=True):
        assert len(said["losses"]) == 20, name
        assert_near(said, {key: long[f"1-long-{kind}"][key][:20] for key in NEAR})


@pytest.mark.parametrize("kind", RATES)
def test_a_shared_out_gradient_that_is_not_finite_changes_nothing_in_any(full: dict[str, Any], kind: str) -> None:
    said = full[f"full-poison-{kind}"]
    assert [i for i, verdict in enumerate(said["verdicts"]) if verdict != "ok"] == [POISONED]
    before, after = said["digests"].values()
    assert before == after


@pytest.mark.parametrize("kind", RATES)
def test_a_pass_sees_the_weights_that_were_put_back(full: dict[str, Any], kind: str) -> None:
    first, last, again = full[f"full-poison-{kind}"]["validations"]
    assert last < first
    assert again == first


@pytest.mark.parametrize("kind", RATES)
def test_each_process_holds_its_share_of_everything(full: dict[str, Any], long: dict[str, Said], kind: str) -> None:
    for key in ("moment_bytes", "weight_bytes"):
        (whole,), shares = long[f"1-long-{kind}"][key], full[f"long-{kind}"][key]
        assert sum(shares) == whole
        assert max(shares) <= 1.02 * whole / full["processes"]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_each_process_holds_its_share_of_the_moments(several: dict[str, Any], kind: str) -> None:
    n = several["processes"]
    whole, shares = several[f"none-{kind}"]["moment_bytes"], several[f"optimizer-{kind}"]["moment_bytes"]
    assert whole == [whole[0]] * n
    assert sum(shares) == whole[0]
    embedding = 2 * 4 * 512 * 64  # the largest that has one owner
    assert max(shares) <= max(1.05 * whole[0] / n, embedding + 0.02 * whole[0])


@pytest.mark.parametrize("size", ["124M"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_large_models_are_shared_out_evenly(size: str, kind: Any) -> None:
    with torch.device("meta"):
        outline = plain_optimizer(LanguageModel(PRESETS[size]), kind)
    sizes = {key: tensor.numel() for key, tensor in outline.tensors().items()}
    for processes in (1, 2, 4):
        held = [0] * processes
        for name, rank in owners(outline, processes).items():
            held[rank] += sum(size for key, size in sizes.items() if key.partition(".")[2] == name)
        assert sum(held) == sum(sizes.values())
        assert max(held) <= max(1.03 * sum(held) / processes, 2.01 * 32768 * 768)
