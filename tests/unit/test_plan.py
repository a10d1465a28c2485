"""What a plan says of memory."""

from pathlib import Path

import pytest

from gnomon.base.machine import this_machine
from gnomon.config import make_config
from gnomon.plan import Plan, make_plan


def planned(tmp_path: Path, size: str, processes: int, **train: object) -> Plan:
    options = {"batch_tokens": 1 << 20, "micro_rows": 1, "background_saves": False, **train}
    return make_plan(
        make_config({"data": str(tmp_path), "size": size, "train": options}),
        this_machine(),
        device="cuda",  # which no memory of this machine bounds
        dtype=("fp32", "a test"),
        tokens_per_second=(1e4, "a test"),
        processes=processes,
    )


@pytest.mark.parametrize(("size", "processes", "most"), [("124M", 2, 0.5), ("124M", 4, 0.25), ("5M", 4, 0.25)])
def test_memory_is_that_of_one_process(tmp_path: Path, size: str, processes: int, most: float) -> None:
    whole = planned(tmp_path, size, processes)
    shared = planned(tmp_path, size, processes, sharding="optimizer")
    owned = max(1 / processes, whole.parameter_table["embedding"] / whole.parameters)
    assert owned <= most
    assert whole.memory_bytes - shared.memory_bytes == pytest.approx(8 * whole.parameters * (1 - owned), abs=8)


@pytest.mark.parametrize("processes", [2, 8])
def test_with_everything_shared_out_a_process_has_its_share_and_what_a_pass_puts_together(
    tmp_path: Path, processes: int
) -> None:
    whole = planned(tmp_path, "124M", processes)
    table, parameters = whole.parameter_table, whole.parameters
    block = (table["attention"] + table["feed_forward"]) // 16
    saved = whole.memory_bytes - planned(tmp_path, "124M", processes, sharding="full").memory_bytes
    assert saved == 16 * parameters - 16 * parameters // processes - 8 * (table["embedding"] + 2 * block)


def test_alone_nothing_is_shared(tmp_path: Path) -> None:
    alone, *asked = (planned(tmp_path, "1M", 1, sharding=how).memory_bytes for how in ("none", "optimizer", "full"))
    assert all(memory == alone for memory in asked)
    assert planned(tmp_path, "1M", 2).memory_bytes == alone


def test_a_checkpoint_on_its_way_is_a_share_of_the_run(tmp_path: Path) -> None:
    without, with_one = (planned(tmp_path, "1M", 4, background_saves=saves) for saves in (False, True))
    assert with_one.memory_bytes - without.memory_bytes == 12 * without.parameters // 4
