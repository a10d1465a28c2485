"""A supervised process's side: signs of life to the parent, and an end when the parent ends.

The parent (`train/supervise.py`) hands down one end of a pipe. A beat is one line on it: the number of the training
step that was done, or nothing where other work moved on. Without a parent everything here does nothing.
"""

import ctypes
import faulthandler
import os
import select
import signal
import stat
import sys

WORKER = "GNOMON_WORKER"
"""Set in the environment of a process that shall do the work itself, and start no parent for it."""

PIPE = "GNOMON_HEARTBEAT"
"""Names, in the environment, the descriptor that beats are written to."""

ECHO_SECONDS = 0.5
"""A stop signal this soon after the first is the same request: a service manager signals parent and child, and the
parent hands on its own. The parent holds a real second one back for as long, so that none is lost.
"""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_pipe: int | None = None


def attach() -> bool:
    """Connect this process with the parent that supervises it, and return whether there is one.

    From here on SIGUSR1 writes the stacks of all threads to standard error, and the process ends with its parent: on
    Linux by SIGKILL at once, elsewhere at the next beat. Call it first thing, from the main thread.
    """
    global _pipe
    written = os.environ.pop(PIPE, "")  # what this process starts in turn has not inherited the pipe
    if _pipe is None and _is_pipe(written):
        _pipe = int(written)
        os.set_inheritable(_pipe, False)
        os.set_blocking(_pipe, False)
        _end_with_parent(_pipe)
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        signal.signal(
            signal.SIGTTOU, signal.SIG_IGN
        )  # a group in the background may write, whatever `stty tostop` says
    return _pipe is not None


def is_supervised() -> bool:
    """Whether a parent watches this process."""
    return _pipe is not None


def beat(step: int | None = None) -> None:
    """Tell the parent that work moves on, with the number of the training step just done, if it was one.

    Takes about a microsecond and never waits: when the parent does not read, the beat is dropped. When the parent is
    gone the process ends here.
    """
    if _pipe is None:
        return
    try:
        os.write(_pipe, b"\n" if step is None else b"%d\n" % step)
    except BlockingIOError:
        pass
    except BrokenPipeError:
        # As abrupt as SIGKILL, which everything on disk is made to survive; nobody is left to read the code.
        os._exit(1)


def _is_pipe(written: str) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(int(written)).st_mode)
    except (ValueError, OSError):
        return False


def ask_for_parents_end() -> None:
    """Have the system kill this process when its parent ends, however that ends. Linux only; elsewhere a pipe tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_parent(pipe: int) -> None:
    ask_for_parents_end()
    # A parent that died before that call sends no signal any more, but then nobody holds the other end of the pipe.
    # Comparing getppid() would need the parent's number, which is another one inside a container.
    look = select.poll()
    look.register(pipe, 0)
    if any(happened & (select.POLLERR | select.POLLHUP) for _, happened in look.poll(0)):
        os._exit(1)
