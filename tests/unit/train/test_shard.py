"""Who holds what; and what a process says whose others wait within a pass."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnomon.assemble import build_state
from gnomon.base.errors import ConfigError, TrainingError
from gnomon.config import make_config
from gnomon.model.lm import LanguageModel
from gnomon.train.parallel import rows_of
from gnomon.train.shard import Whole, owners
from gnomon.train.step import step
from tests.unit.train.test_step import as_batch
from tests.world import TINY, packed_rows, plain_optimizer, plain_state, start


@pytest.mark.parametrize("rows", [0, 1, 5, 8, 64, 65])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_rows_are_shared_out_as_torch_chunks_them(rows: int, size: int) -> None:
    mine = [rows_of(rows, rank, size) for rank in range(size)]
    theirs = [chunk.tolist() for chunk in torch.arange(rows).chunk(size)]
    assert [list(range(*each)) for each in mine if each[0] < each[1]] == [each for each in theirs if each]
    assert mine[0][0] == 0 and mine[-1][1] == rows


def test_what_muon_finds_together_has_one_owner_whatever_the_order_of_processes() -> None:
    with torch.device("meta"):
        model = LanguageModel(TINY)
        outline = plain_optimizer(model, "muon")
    owner = owners(outline, 3)
    assert owner.keys() == dict(model.named_parameters()).keys()
    assert set(owner.values()) == {0, 1, 2}
    assert all(len({owner[name] for name in unit}) == 1 for unit in outline.units())
    assert owner == owners(outline, 3)


def test_where_the_others_wait_within_a_pass_short_memory_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lockstep(Whole):
        lockstep = True

    def short(*_: object, **__: object) -> None:
        raise MemoryError("no more")

    state = replace(plain_state(), sharding=Lockstep())
    monkeypatch.setattr(state.model, "forward", short)
    with pytest.raises(TrainingError, match="memory was short in a pass of 8 rows: no more"):
        step(state, as_batch(packed_rows([[40, 24]], length=64)))


def test_a_run_that_began_compiled_is_not_shared_out_fully(tmp_path: Path) -> None:
    one = start(tmp_path)
    one.close()
    plan = one.plan.model_copy(update={"compile": True})
    config = make_config(one.config.model_dump(mode="json") | {"train": {"sharding": "full"}})
    with pytest.raises(ConfigError, match="began with compiled kernels"):
        build_state(plan, config)
