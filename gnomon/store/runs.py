"""A run's folder: what lies where, that only one process writes it, and that it stays the run it was.

runs/first/  config.json  plan.json  tokenizer.json  events.jsonl  journal.jsonl  checkpoints/  eval/  export/
             report.html  lock
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, read_json, write_atomic
from gnomon.store.checkpoints import CheckpointStore

FREE_TO_CHANGE = ("export", "prompts", "data.root")
"""Keys of a config that do not change what is trained; a run may go on with other values."""


class Run:
    """The paths of one run. Making a Run touches nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.resolve().name
        self.config_path = folder / "config.json"
        self.plan_path = folder / "plan.json"
        self.tokenizer_path = folder / "tokenizer.json"
        self.events_path = folder / "events.jsonl"
        self.journal_path = folder / "journal.jsonl"
        self.evaluation_path = folder / "eval" / "validation.json"
        self.export_folder = folder / "export"
        self.report_path = folder / "report.html"
        self.checkpoints = CheckpointStore(folder / "checkpoints")

    def settle_config(self, config: dict[str, Any]) -> None:
        """Write the config of a run that has not begun, or make sure that one that has begun has the same.

        Raises ConfigError that names the keys that differ, with both values, and leaves the run as it is.
        """
        if self.plan_path.exists() and self.config_path.exists():
            before = _flat(read_json(self.config_path))
            now = _flat(config)
            differing = [
                f"{key}: the run has {json.dumps(before.get(key))}, asked is {json.dumps(now.get(key))}"
                for key in sorted(before.keys() | now.keys())
                if before.get(key) != now.get(key) and not key.startswith(FREE_TO_CHANGE) and key != "out"
            ]
            if differing:
                raise ConfigError(
                    "this folder holds a run with another config\n      " + "\n      ".join(differing),
                    where=str(self.folder),
                    do="give this run its own folder with out=runs/another, or put the old values back",
                )
        write_atomic(self.config_path, pretty_json(config))

    def lock(self) -> "RunLock":
        """Return the run's lock, to be used in a `with`."""
        return RunLock(self.folder / "lock")


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat[prefix + key] = inner
    return flat


class RunLock:
    """Held by the one process that writes a run; the system lets it go when that process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> "RunLock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try_lock(self._handle):
            holder = os.read(self._handle, 100).decode(errors="replace").strip()
            os.close(self._handle)
            raise ConfigError(
                f"another process is writing this run ({holder or 'unknown'})",
                where=str(self._path.parent),
                do="wait for it, stop it, or give this run another `out` folder",
            )
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"pid {os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _try_lock(handle: int) -> bool:
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
