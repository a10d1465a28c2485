"""Real runs of one or several processes, as torchrun would start them, from a test.

    python -m tests.ranks FOLDER '{"stop_at": 12, "save_every": 5}' [FOLDER OPTIONS ...]

trains the run in each FOLDER and prints, from rank 0, one line of JSON for each: how it ended, its losses, and the
digest of its whole state. Options that are no key of `train`: `stop_at` a step; `digest_at` steps after which weights
and moments are digested too; `heads` as in `tests.world.start`; `poison` a rank and a step, at which this rank's
gradient is not finite; `start_over`: what validation says before the first step, and after the last with the first
weights put back; `sizes` as in `tests.world.asks_for_rows`.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gnomon.train.parallel import World
    from gnomon.train.state import State


def run_ranks(processes: int, folder: Path, **options: Any) -> dict[str, Any]:
    """Train the run in `folder` with so many processes and return what rank 0 said."""
    return run_all(processes, [(folder, options)])[0]


def run_all(processes: int, runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Train runs one after the other with the same processes, each in its folder, and return what rank 0 said."""
    meeting = free_port()
    ranks = [start_rank(rank, processes, meeting, runs) for rank in range(processes)]
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * processes, said
    return [json.loads(line) for line in said[0][0].splitlines()[-len(runs) :]]


def free_port() -> int:
    """Return a port where the processes of a run can meet."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_rank(
    rank: int, processes: int, meeting: int, runs: Sequence[tuple[Path, dict[str, Any]]]
) -> "subprocess.Popen[str]":
    """Start one rank of some runs."""
    arguments = [word for folder, options in runs for word in (str(folder), json.dumps(options))]
    environment = {
        "RANK": str(rank), "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ranks", *arguments],
        env=os.environ | (environment if processes > 1 else {"OMP_NUM_THREADS": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    from gnomon.train.parallel import join, leave_at_once

    world = join("cpu")
    for folder, options in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        said = train(world, Path(folder), json.loads(options))
        if world.first:
            print(json.dumps(said), flush=True)
    world.leave()
    leave_at_once()


def train(world: "World", folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Train one run and return what there is to say of it."""
    from gnomon.events.types import Check, Event, InterruptAsked, StepDone, Validated
    from gnomon.train.hands import settle
    from gnomon.train.loop import run as train_loop
    from gnomon.train.rollback import restore
    from gnomon.train.state import numbers_of, tensors_of
    from tests.world import asks_for_rows, start

    stop_at, digest_at = options.pop("stop_at", None), options.pop("digest_at", [])
    poisoned, again = options.pop("poison", None), options.pop("start_over", False)
    sizes = options.pop("sizes", [])
    one = start(folder, world, **options)
    one.hands.bus.observers.append(asks_for_rows(sizes, one.config.train.log_every))
    state, digests = one.state, {}

    def interrupted(_: object, step: int) -> Iterable[Event]:
        if step in digest_at:
            digests[step] = digest(whole(state, world, guard=False))
        if step == stop_at:
            yield InterruptAsked(step=step, signal="SIGTERM")

    def poison(_: object, __: object, hidden: "Tensor") -> None:
        if hidden.requires_grad and [world.rank, state.step] == poisoned:
            hidden.register_hook(lambda gradient: gradient * float("nan"))

    state.model.norm.register_forward_hook(poison)
    restore(state, one.hands)
    loaded = digest(whole(state, world)) + json.dumps(numbers_of(state, 0), sort_keys=True)
    loaded_weights, checks = digest(whole(state, world, guard=False)), one.checks()

    def validated() -> list[float]:
        validation = next(check for check in checks if check.name == "validation")
        found = [event.loss for event in validation.run(state.model.eval(), 0) if isinstance(event, Validated)]
        state.model.train()
        return found

    validations = validated() if again else []
    stop = train_loop(state, [Check("interrupts", 1, interrupted), *checks], one.hands)
    settle(one.hands.saver.wait(), state, one.hands)
    one.close()
    ended = digest(whole(state, world)) + json.dumps(numbers_of(state, 0), sort_keys=True)
    weights = sum(tensor.nbytes for tensor in tensors_of(state)["model"].values())
    if again:
        validations += validated()
        one.hands.start_over(state)
        validations += validated()
    moments = [name for name in state.optimizer.tensors() if not name.startswith("step.")]
    return {
        "reason": stop.reason,
        "step": state.step,
        "loaded": loaded,
        "loaded_weights": loaded_weights,
        "ended": ended,
        "digests": digests,
        "rows": [event.rows for event in one.events(StepDone)],
        "losses": [event.loss for event in one.events(StepDone)],
        "norms": [event.grad_norm for event in one.events(StepDone)],
        "verdicts": [event.verdict for event in one.events(StepDone)],
        "validations": validations,
        "heads": [event.heads for event in one.events(StepDone)],
        "weight_bytes": world.gather(weights),
        "moment_bytes": world.gather(sum(state.optimizer.tensors()[name].nbytes for name in moments)),
    }


def whole(state: "State", world: "World", *, guard: bool = True) -> "dict[str, np.ndarray]":
    """Return every tensor of the run, put together from what the processes hold; what all hold must be the same."""
    import numpy as np

    from gnomon.train.state import held_of

    here = {
        name: (held.start, held.everywhere, held.local.numpy(), tuple(held.whole.shape))
        for tensors in held_of(state).values()
        for name, held in tensors.items()
        if held.local is not None and (guard or not name.startswith("guard."))
    }
    by_rank, found = world.gather(here), {}
    for name in sorted({name for held in by_rank for name in held}):
        parts = [held[name] for held in by_rank if name in held]
        shape = parts[0][3]
        if parts[0][1]:
            assert len({part[2].tobytes() for part in parts}) == 1 and len(parts) == world.size, f"{name} differs"
            found[name] = parts[0][2]
        else:
            arrays = [part[2] for part in sorted(parts, key=lambda part: part[0])]
            found[name] = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        assert found[name].shape == shape, name
    return found


def digest(tensors: "dict[str, np.ndarray]") -> str:
    """Return the hash of all names and bytes."""
    hashed = hashlib.sha256()
    for name, array in tensors.items():
        hashed.update(name.encode() + array.tobytes())
    return hashed.hexdigest()


if __name__ == "__main__":
    main()
