"""Named points in the code where a test can make the world fail. Without GNOMON_FAULTS they cost one dict look-up.

GNOMON_FAULTS="checkpoint.before_rename=kill"           die there as if by kill -9, the first time it is reached
GNOMON_FAULTS="files.before_rename=ENOSPC@3"            raise that OSError the third time, and from then on
"""

import errno
import os
import signal


def _parse(text: str) -> dict[str, tuple[str, int]]:
    armed = {}
    for part in filter(None, text.split(",")):
        name, _, what = part.partition("=")
        what, _, nth = what.partition("@")
        armed[name.strip()] = (what.strip(), int(nth or 1))
    return armed


_armed = _parse(os.environ.get("GNOMON_FAULTS", ""))
_reached: dict[str, int] = {}


def arm(text: str) -> None:
    """Set the faults of this process, in the form of GNOMON_FAULTS, and forget which points were reached."""
    _armed.clear()
    _armed.update(_parse(text))
    _reached.clear()


def point(name: str) -> None:
    """Fail here if a test asked for it; otherwise return at once."""
    if name not in _armed:
        return
    what, nth = _armed[name]
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] < nth:
        return
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = getattr(errno, what)
    raise OSError(code, os.strerror(code))
