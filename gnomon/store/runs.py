"""A run's folder: what lies where, that only one process writes it, and that it stays the run it was.

runs/first/  config.json  plan.json  tokenizer.json  events.jsonl  journal.jsonl  checkpoints/  measured/  eval/
             export/  report.html  lock  attempts/  supervisor.jsonl
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from gnomon.base.disk import DISK, open_plain
from gnomon.base.errors import ConfigError, IntegrityError, StorageError
from gnomon.base.files import pretty_json, read_json, storage_errors, write_atomic
from gnomon.base.progress import Progress
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.measured import MeasuredStore

ATTEMPTS = "attempts"
_ATTEMPT = re.compile(r"\d{6,15}", re.ASCII)
MOST_TOLD = 8  # keys of a config that differ
LOCK_SECONDS = 3.0  # for a process that is just ending to let go of its run

FREE_TO_CHANGE = (
    "export",
    "prompts",
    "data.root",
    "data.prepared",
    "train.result",
    "train.keep_last",
    "train.keep_every",
    "train.background_saves",
    "train.loader_workers",
    "train.supervise",
    "train.processes",
    "train.sharding",
    "train.restarts",
    "train.hang_seconds",
)
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
        self.measured = MeasuredStore(folder / "measured")

    def settle_config(self, config: dict[str, Any], defaults: dict[str, Any]) -> None:
        """Write the config of a run that has not begun, or make sure that one that has begun has the same.

        A key that was not there when the run began has its default in it. Raises ConfigError that names the keys that
        differ, with both values, and leaves the run as it is.
        """
        if self.plan_path.exists() and self.config_path.exists():
            written = read_json(self.config_path)
            if not isinstance(written, dict) or not written:
                raise IntegrityError("the run's config is no object with keys", where=str(self.config_path))
            before = _flat(defaults) | _flat(written)
            now = _flat(config)
            differing = [
                f"{key:.100}: the run has {json.dumps(before.get(key)):.100}, asked is {json.dumps(now.get(key)):.100}"
                for key in sorted(before.keys() | now.keys())
                if before.get(key) != now.get(key) and not key.startswith(FREE_TO_CHANGE) and key != "out"
            ]
            if differing:
                raise ConfigError(
                    "this folder holds a run with another config\n      " + "\n      ".join(differing[:MOST_TOLD]),
                    where=str(self.folder),
                    do="give this run its own folder with out=runs/another, or put the old values back",
                )
        write_atomic(self.config_path, pretty_json(config))

    def candidates(self) -> list[Checkpoint]:
        """Return the checkpoints in the order in which they are the run's model: as its config asks for, the newest
        first, else those first that were the best at their validation.
        """
        written = read_json(self.config_path) if self.config_path.exists() else {}
        train = written.get("train") if isinstance(written, dict) else None
        newest = isinstance(train, dict) and train.get("result") == "newest"
        return self.checkpoints.all()[::-1] if newest else self.checkpoints.by_merit()

    def begin_attempt(self) -> int:
        """Return the number of this attempt to train the run, taken so that no other process can have it too.

        From here on a writer of an earlier attempt, wherever it still runs, is refused at its next commit. Raises
        StorageError.
        """
        folder = self.folder / ATTEMPTS
        with storage_errors(folder):
            while True:
                number = newest_attempt(self.folder) + 1
                try:
                    (folder / f"{number:06d}").mkdir(parents=True)
                except FileExistsError:
                    continue
                DISK.sync_folder(folder)
                return number

    def lock(self) -> "RunLock":
        """Return the run's lock, to be used in a `with`."""
        return RunLock(self.folder / "lock")


def newest_attempt(folder: Path) -> int:
    """Return the number of a run's newest attempt, 0 before the first."""
    return max((int(name) for name in DISK.names(folder / ATTEMPTS) if _ATTEMPT.fullmatch(name)), default=0)


def fence(folder: Path, attempt: int) -> Callable[[], None]:
    """Return what a store calls around a commit: it raises StorageError once the run is gone, or another attempt's.

    A run's folder that was moved away is not made anew: what was moved back would then be beside it, or inside.
    """

    def check() -> None:
        with storage_errors(folder):
            newest = newest_attempt(folder)
        if newest < attempt:
            raise StorageError(
                f"the run's folder has been taken away from under attempt {attempt}",
                where=str(folder),
                do="put the folder back, or run the same command again to train it anew",
            )
        if newest > attempt:
            raise StorageError(
                f"attempt {newest} has taken this run over from attempt {attempt}",
                where=str(folder),
                do="leave it to the newer process",
            )

    return check


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
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = open_plain(self._path, os.O_RDWR | os.O_CREAT)
        deadline = time.monotonic() + LOCK_SECONDS
        while not (taken := _try_lock(self._handle)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not taken:
            holder = os.read(self._handle, 100).decode(errors="replace").strip()
            os.close(self._handle)
            raise ConfigError(
                f"another process is writing this run ({holder or 'unknown'})",
                where=str(self._path.parent),
                do="wait for it, stop it, or give this run another `out` folder",
            )
        with contextlib.suppress(OSError):  # a word for people; the lock holds without it
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"pid {os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def names_its_file(self) -> bool:
        """Return whether the file that is locked still has its name: whoever had it before may have removed it."""
        assert self._handle is not None
        try:
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        except FileNotFoundError:
            return False


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


@contextlib.contextmanager
def only_writer(folder: Path, doing: str, progress: Progress) -> Iterator[None]:
    """Hold a lock beside `folder`, which need not be there yet; wait, and say so, while another process has it.

    Where the work fails and there is no folder, the lock's file is removed again.
    """
    path = folder.with_name(f".{folder.name}.lock")
    with storage_errors(folder), contextlib.ExitStack() as held:
        while True:
            try:
                lock = held.enter_context(RunLock(path))
                if lock.names_its_file():
                    break
                held.pop_all().close()
            except ConfigError:
                progress(f"waiting for another process that {doing}", 0, None, "")
                time.sleep(0.5)
        try:
            yield
        except BaseException:
            if not folder.exists():
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
