"""A run whose state is shared out over its processes is the run that it would be otherwise, and takes less memory."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.model.lm import LanguageModel
from gnomon.presets import PRESETS
from gnomon.train.optim import Optimizer
from gnomon.train.shard import owners
from tests.ranks import run_all

OPTIONS = {"budget": "9K tokens", "micro_rows": 2, "dropout": 0.1, "save_every": 5, "validate_every": 4, "log_every": 3}
OPTIMIZERS = ("muon", "adamw")
STOP = 9
POISONED = 5

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


@pytest.mark.parametrize("mode", ["poison"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_gradient_that_is_not_finite_in_one_process_changes_nothing_in_any(
    several: dict[str, Any], kind: str, mode: str
) -> None:
    said = several[f"{mode}-{kind}"]
    assert [i for i, verdict in enumerate(said["verdicts"]) if verdict != "ok"] == [POISONED]
    before, after = said["digests"].values()
    assert before == after


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
        outline = Optimizer(LanguageModel(PRESETS[size]), kind, lr=1e-3, beta1=0.9, beta2=0.95, weight_decay=0.1)
    sizes = {key: tensor.numel() for key, tensor in outline.tensors().items()}
    for processes in (1, 2, 4):
        held = [0] * processes
        for name, rank in owners(outline, processes).items():
            held[rank] += sum(size for key, size in sizes.items() if key.partition(".")[2] == name)
        assert sum(held) == sum(sizes.values())
        assert max(held) <= max(1.03 * sum(held) / processes, 2.01 * 32768 * 768)
