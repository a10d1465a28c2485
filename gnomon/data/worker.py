"""A process that does jobs for `engine/`: one line of JSON in, one or more out. It ends when its input does."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gnomon.base.errors import GnomonError
from gnomon.base.files import storage_errors
from gnomon.base.heartbeat import ask_for_parents_end

Tell = Callable[[int], None]
"""Called with how much of a job is done, in the unit of its weight."""


TELL_SECONDS = 0.1


def do(call: str, args: dict[str, Any], tell: Tell) -> Any:
    """Return what the function `module:name` returns for these arguments: plain values, as JSON has them."""
    module, _, name = call.partition(":")
    return getattr(importlib.import_module(module), name)(args, tell)


def answer(line: bytes, tell: Tell) -> bytes:
    """Return the outcome of one job, `{"done": …}` or `{"failed": …}`, as a line."""
    job = orjson.loads(line)
    try:
        with storage_errors(Path(job["args"].get("folder", job["call"]))):
            return orjson.dumps({"done": do(job["call"], job["args"], tell)}) + b"\n"
    except GnomonError as e:
        return failed(e)


def failed(error: GnomonError) -> bytes:
    """Return the outcome of a job that raised this, as a line."""
    said = {"kind": type(error).__name__, "what": error.what, "where": error.where, "do": error.do}
    return orjson.dumps({"failed": said}) + b"\n"


def main() -> None:
    """Do jobs until the input ends. What libraries print goes to standard error."""
    ask_for_parents_end()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", 0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    told = 0.0

    def tell(at: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= TELL_SECONDS:
            told = now
            out.write(orjson.dumps({"at": at}) + b"\n")

    for line in sys.stdin.buffer:
        out.write(answer(line, tell))


if __name__ == "__main__":
    main()
