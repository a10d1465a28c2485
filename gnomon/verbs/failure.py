"""What a verb that fails says under --json: the error as one JSON object, where its answer would have been.

On standard output, as its last line, so that a program finds one object there whatever happened, and tells by the exit
code, or by the key `error`, which of the two it is. Standard error keeps the words for people: progress and warnings
stand there too, and a program could not tell the object from them.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gnomon.verbs.common import print_json


@dataclass(frozen=True)
class Failure:
    """An error as programs read it. `kind` is its class in the tree of `base/errors.py`, or UsageError for words that
    the command line does not know; what is outside the tree is a fault of ours.
    """

    kind: str
    what: str
    where: str | None
    do: str | None
    exit_code: int


def wants_json(words: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON. Looks at the words alone, since they may not fit any verb."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def print_failure(failure: Failure) -> None:
    """Print a failure as the last line of standard output: {"error": {"kind", "what", "where", "do", "exit_code"}}."""
    said = {key: _text(value) if isinstance(value, str) else value for key, value in asdict(failure).items()}
    with contextlib.suppress(OSError):  # nobody reads it any more, which may be what failed
        print_json({"error": said})


def _text(value: str) -> str:
    return value.encode(errors="backslashreplace").decode()  # a file's name need not be text
