"""Writes tests/fixtures/checkpoints/schema-N for the N of today: a tiny run's plan, tokenizer and two checkpoints.

python -m scripts.make_schema_fixture

One checkpoint has the files of one process, the other those of two. `expected.json` says what is in them. A fixture is
written once, when a schema is new, and kept for ever: `tests/unit/store/test_schema.py` loads every one of them.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gnomon.assemble import build_hands, build_state
from gnomon.base.files import canonical_json, pretty_json, read_json, sha256_bytes
from gnomon.config import make_config
from gnomon.observe.console import Console
from gnomon.pipeline import prepare_data, settle_plan
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts
from gnomon.store.runs import Run
from gnomon.store.schema import SCHEMA
from gnomon.store.tensors import layout
from gnomon.train.loop import run as train_loop
from gnomon.train.parallel import ALONE
from gnomon.train.state import State, file_name, held_of, numbers_of, shares

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures" / "checkpoints"
SENTENCE = "In the year {} a letter with {} seals came to the house by the river, and nobody opened it."


def main() -> int:
    """Write the folder; return the exit code, 1 when it is there already."""
    target = FIXTURES / f"schema-{SCHEMA}"
    if target.exists():
        print(f"{target} is there already, and what was released stays as it is")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        run = _trained(Path(folder))
        run.checkpoints.folder.joinpath("LATEST").unlink()
        target.mkdir(parents=True)
        shutil.copytree(run.checkpoints.folder, target / "checkpoints")
        for name in ("config.json", "plan.json", "tokenizer.json"):
            (target / name).write_text((run.folder / name).read_text().replace(folder + "/", ""))
    held = {c.path.name: contents(c) for c in CheckpointStore(target / "checkpoints").all()}
    (target / "expected.json").write_bytes(pretty_json(held))
    return 0


def contents(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a checkpoint holds: its numbers, and of each tensor the SHA-256 of its little-endian bytes."""
    tensors = checkpoint.tensors("model") | checkpoint.tensors("optimizer")
    return {"numbers": checkpoint.state(), "tensors": {n: sha256_bytes(a.tobytes()) for n, a in tensors.items()}}


def _trained(folder: Path) -> Run:
    """Return a run of the config that all fixtures share, with two checkpoints of its last step."""
    (folder / "texts").mkdir()
    lines = (json.dumps({"text": " ".join(SENTENCE.format(i, j * i % 97) for j in range(9))}) for i in range(99))
    (folder / "texts" / "letters.jsonl").write_text("\n".join(lines))
    told = read_json(FIXTURES / "schema-1" / "config.json")
    told["data"] |= {"train": [str(folder / "texts")], "root": str(folder / "datasets")}
    config = make_config(told | {"out": str(folder / "run")})
    run, console = Run(folder / "run"), Console(quiet=True)
    run.settle_config(config.model_dump(mode="json"), {})
    dataset = prepare_data(config, console)
    plan = settle_plan(run, config, dataset, console)
    state = build_state(plan, config)
    hands = build_hands(run, plan, config, dataset, ALONE, run.begin_attempt(), console)
    train_loop(state, [], hands)
    hands.saver.close()
    hands.loader.close()
    _save_by_two(run, state)
    return run


def _save_by_two(run: Run, state: State) -> None:
    """Save the state as two processes would, each its share of the rows."""
    name, facts = run.checkpoints.next_name(state.step), Facts(state.step, "finished", {"is_best": False}, 1, 2)
    for rank in (1, 0):
        files: dict[str, bytes] = {}
        for kind, tensors in held_of(state).items():
            specs, views = shares(tensors, rank, 2)
            data = b"".join(view.contiguous().numpy().tobytes() for view in views)
            files[file_name(kind, rank, 2)] = layout(specs).head + data
        if rank:
            run.checkpoints.write_part(files, facts, name=name, rank=rank)
        else:
            files["state.json"] = canonical_json(numbers_of(state, 0))
            run.checkpoints.commit(files, facts, name=name, world=2)


if __name__ == "__main__":
    sys.exit(main())
