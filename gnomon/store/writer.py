"""The process that writes checkpoints, so that training does not wait for hashes and disks. It knows no torch.

    python -m gnomon.store.writer ARENA_FD

reads one JSON request a line from standard input and answers each with one line on standard output. The bytes to be
written lie in shared memory, the arena; they are not touched by anybody else until the answer has been given.
"""

import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.errors import GnomonError, IntegrityError
from gnomon.base.heartbeat import ask_for_parents_end
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
from gnomon.store.manifest import Damage
from gnomon.store.runs import fence
from gnomon.store.tensors import not_finite

NICENESS = 10  # below training


def carry_out(request: dict[str, Any], arena: memoryview) -> dict[str, Any]:
    """Write what a request asks for and return the answer: `checkpoint`, `bytes`, `seconds`, or `error` and its kind.

    A rank above 0 writes its share and answers without a checkpoint. A state that is not finite is not written.
    """
    start = time.monotonic()
    files = {f["name"]: arena[f["offset"] : f["offset"] + f["bytes"]] for f in request["files"]}
    facts, told = Facts(**request["facts"]), []

    def on_damage(checkpoint: Checkpoint, damage: list[Damage]) -> None:
        told.append([checkpoint.path.name, str(damage[0])])

    run = Path(request["run"])
    store = CheckpointStore(run / "checkpoints", fence=fence(run, facts.attempt))
    try:
        if wrong := [w for name, data in files.items() if name.endswith(".safetensors") for w in not_finite(data)]:
            raise IntegrityError(f"the state is not finite and was not saved: {wrong[0]}")
        faults.point("writer.begins")
        if request["rank"] > 0:
            store.write_part(files, facts, name=request["name"], rank=request["rank"])
            return {"checkpoint": None, "bytes": 0, "seconds": time.monotonic() - start, "damaged": []}
        checkpoint = store.commit(files, facts, name=request["name"], world=request["world"])
        size, seconds = checkpoint.size, time.monotonic() - start
        try:
            store.retain(Retention(**request["retention"]), on_damage)
        except (GnomonError, OSError) as e:
            told.append([checkpoint.path.name, f"older checkpoints could not be removed: {e}"])
        return {"checkpoint": checkpoint.path.name, "bytes": size, "seconds": seconds, "damaged": told}
    except (GnomonError, OSError) as e:
        kind = "integrity" if isinstance(e, IntegrityError) else "storage"
        return {"error": str(e).splitlines()[0], "error_kind": kind}


def main() -> None:
    """Answer requests until standard input ends."""
    handle = int(sys.argv[1])
    ask_for_parents_end()  # a parent that ended before has closed standard input
    for number in (signal.SIGINT, signal.SIGTERM):  # a Ctrl-C is the trainer's affair: it waits for the save
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    for line in sys.stdin:
        request = json.loads(line)
        with mmap.mmap(handle, request["arena_bytes"], access=mmap.ACCESS_READ) as mapped:
            with memoryview(mapped) as arena:
                answer = carry_out(request, arena)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
