"""Real runs of one or several processes, as torchrun would start them, from a test.

    python -m tests.ranks FOLDER '{"stop_at": 12, "save_every": 5}'

trains the run in FOLDER and prints, from rank 0, one line of JSON: how it ended and the digest of its whole state.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def run_ranks(processes: int, folder: Path, **options: Any) -> dict[str, Any]:
    """Train the run in `folder` with so many processes and return what rank 0 said."""
    meeting = free_port()
    ranks = [start_rank(rank, processes, meeting, folder, options) for rank in range(processes)]
    said = [rank.communicate(timeout=240) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * processes, said
    return json.loads(said[0][0].splitlines()[-1])


def free_port() -> int:
    """Return a port where the processes of a run can meet."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_rank(
    rank: int, processes: int, meeting: int, folder: Path, options: dict[str, Any]
) -> "subprocess.Popen[str]":
    """Start one rank of a run."""
    environment = {
        "RANK": str(rank), "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ranks", str(folder), json.dumps(options)],
        env=os.environ | (environment if processes > 1 else {"OMP_NUM_THREADS": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    from gnomon.events.types import Check, Event, InterruptAsked
    from gnomon.train.hands import settle
    from gnomon.train.loop import run as train_loop
    from gnomon.train.parallel import join
    from gnomon.train.rollback import restore
    from gnomon.train.state import State, numbers_of, tensors_of
    from tests.world import start

    def digest(state: State) -> str:
        hashed = hashlib.sha256()
        for tensors in tensors_of(state).values():
            for name, tensor in sorted(tensors.items()):
                hashed.update(name.encode() + tensor.numpy().tobytes())
        numbers = numbers_of(state, 0)
        return hashed.hexdigest() + json.dumps(numbers, sort_keys=True)

    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    stop_at = options.pop("stop_at", None)
    world = join("cpu")
    one = start(folder, world, **options)

    def interrupted(_: object, step: int) -> Iterable[Event]:
        if step == stop_at:
            yield InterruptAsked(step=step, signal="SIGTERM")

    restore(one.state, one.hands)
    loaded = digest(one.state)
    stop = train_loop(one.state, [Check("interrupts", 1, interrupted), *one.checks()], one.hands)
    settle(one.hands.saver.wait(), one.state, one.hands)
    one.close()
    if world.first:
        print(json.dumps({"reason": stop.reason, "step": one.state.step, "loaded": loaded, "ended": digest(one.state)}))
    world.leave()


if __name__ == "__main__":
    main()
