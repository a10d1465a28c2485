"""Data sets of the Hugging Face Hub, fetched once into a file of rows that is read like any other.

    <root>/.hub/<digest of the address>/rows.jsonl.zst     a row a line, its text under `text`
                                        source.json        where it comes from: the commit, the licence, the versions

Another process does it (hub_rows.py), so that no library's retries, threads or waiting can hold this one.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from gnomon.base import faults
from gnomon.base.disk import remove_tree
from gnomon.base.errors import DataError, DependencyError, GnomonError, IntegrityError
from gnomon.base.files import (
    STAGING_PREFIX,
    pretty_json,
    read_json,
    staged_folder,
    sync_tree,
    write_synced,
)
from gnomon.base.progress import Progress
from gnomon.data.reading.hub_address import HubAddress
from gnomon.data.reading.hub_rows import ROWS
from gnomon.data.reading.read import Source
from gnomon.store.runs import only_writer

SOURCE = "source.json"
ANSWER_SECONDS = 10  # for each request, unless HF_HUB_DOWNLOAD_TIMEOUT says otherwise
STALLED_SECONDS = 90  # without a byte or a row: more than the libraries' retries take together
SHOWN = ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE",
         "HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")  # fmt: skip
QUIET = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_PROGRESS_BARS", "TQDM_DISABLE")
TIMEOUTS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
SECRET = ("HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def fetch(address: HubAddress, root: Path, progress: Progress) -> Path:
    """Return the file with the rows of a data set, below `root`; fetched now unless it is there.

    It appears whole by a rename, with source.json beside it. A second call asks nobody: a data set that has changed on
    the Hub since is fetched by the `revision` that is wanted, or after its folder has been removed.

    Raises DependencyError for a missing library, no network, no answer and no permission; DataError for what the Hub
    has not; StorageError for a disk that is full or refuses. None of them is waited for without end.
    """
    final = root / ".hub" / address.digest
    if _is_whole(final):
        return final / ROWS
    with only_writer(final, "fetches this data set", progress):
        if _is_whole(final):
            return final / ROWS
        for leaving in final.parent.glob(f"{STAGING_PREFIX}{address.digest}-*"):
            remove_tree(leaving)
        with staged_folder(final.parent, address.digest) as staged:
            source = _Fetcher(address, root, progress).run(staged.path)
            shutil.rmtree(staged.path / "cache", ignore_errors=True)
            write_synced(staged.path / SOURCE, pretty_json(source))
            faults.point("hub.fetched")
            if final.exists():  # not whole, or it would have been found
                remove_tree(final)
            staged.publish(final)
    return final / ROWS


def read_source(rows: Path) -> dict[str, Any]:
    """Return what source.json says of a file that `fetch` gave. Raises IntegrityError."""
    return read_json(rows.parent / SOURCE)


def hub_source(address: HubAddress, root: Path, progress: Progress) -> Source:
    """Return the rows of a data set as a file of the corpus, fetched now unless it is there; raises as `fetch` does."""
    rows = fetch(address, root, progress)
    said = read_source(rows)
    name = f"{said['dataset']}@{said['commit'][:12]}/{said['config']}/{said['split']}"
    return Source(rows, name, rows.stat().st_size, text_field="text")


def copy_out(rows: Path, out: Path) -> None:
    """Copy a fetched file, for another machine, and source.json beside it. Raises StorageError."""
    beside = out.with_name(f"{out.name}.{SOURCE}")
    with staged_folder(out.parent, out.name) as staged:
        shutil.copyfile(rows, staged.path / out.name)
        shutil.copyfile(rows.parent / SOURCE, staged.path / beside.name)
        sync_tree(staged.path)
        (staged.path / beside.name).replace(beside)
        (staged.path / out.name).replace(out)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / ROWS).stat().st_size == read_json(folder / SOURCE)["bytes"]
    except (OSError, IntegrityError, KeyError, TypeError):
        return False


class _Fetcher:
    """One fetch: the process that does it, what it says, and what its failure means."""

    def __init__(self, address: HubAddress, root: Path, progress: Progress) -> None:
        self.address, self.root, self.progress = address, root, progress

    def run(self, folder: Path) -> dict[str, Any]:
        """Fetch into the folder and return what source.json says."""
        with tempfile.TemporaryFile() as said, self._process(folder, said) as process:
            try:
                for words in self._heard(process):
                    if "done" in words:
                        return words["done"]
                    if "error" in words:
                        raise self._error(**words["error"])
                    done, unit = (words["rows"], "rows") if words["rows"] else (words["bytes"], "bytes")
                    self.progress(f"{words['stage']} ({self.address.dataset})", done, None, unit)
                said.seek(0)
                tail = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise self._error("failed", f"the process that fetches ended with {process.wait()}: {tail[0]}")
            finally:
                process.kill()

    def _process(self, folder: Path, said: IO[bytes]) -> subprocess.Popen[bytes]:
        ways = [str(Path(__file__).parents[3]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        quiet = dict.fromkeys(QUIET, "1") | dict.fromkeys(TIMEOUTS, str(ANSWER_SECONDS))
        quiet |= {"HF_UPDATE_DOWNLOAD_COUNTS": "0", "USE_TORCH": "0"}
        places = {k: str(Path(v).resolve()) for k, v in os.environ.items() if k in SHOWN[:3] and v}
        return subprocess.Popen(
            [sys.executable, "-m", "gnomon.data.reading.hub_rows", str(self.address), "."],
            cwd=folder,  # or a folder here that is named as the data set would be taken for it
            env=quiet
            | dict(os.environ)
            | places
            | {"PYTHONPATH": os.pathsep.join(str(Path(w).resolve()) for w in ways)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )

    def _heard(self, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        """Yield what the process says, until it ends; DependencyError when it says nothing for too long."""
        lines: queue.Queue[bytes | None] = queue.Queue()

        def listen() -> None:
            for line in process.stdout or ():
                lines.put(line)
            lines.put(None)

        threading.Thread(target=listen, daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=STALLED_SECONDS)
            except queue.Empty:
                raise self._error("network", f"nothing has come from the Hub for {STALLED_SECONDS:g} seconds") from None
            if line is None:
                return
            yield orjson.loads(line)

    def _error(
        self, kind: str, what: str, there: list[str] | None = None, where: str | None = None, do: str | None = None
    ) -> GnomonError:
        """Return the error for what the process could not do, with everything that decides it."""
        if kind == "ours":
            return DependencyError(what, where=where, do=do)
        lines = [what + (f"; it has {', '.join(there[:20])}" + ", …" * (len(there) > 20) if there else "")]
        asked = self.address
        lines.append(
            f"dataset {asked.dataset}, config {asked.config or '(its own)'}, split {asked.split}, "
            f"revision {asked.revision or '(the newest)'}"
        )
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        lines.append(
            f"looked for in {self.root / '.hub' / asked.digest}; what other programs left in {home} is not used"
        )
        lines.append(f"in force: {', '.join(_in_force()) or 'no environment variable of the Hub, no proxy'}")
        tree = (
            DataError
            if kind in ("config", "split", "revision", "field", "script", "empty", "dataset")
            else DependencyError
        )
        return tree("\n      ".join(lines), where=str(asked), do=self._remedy(kind, there or []))

    def _remedy(self, kind: str, there: list[str]) -> str:
        carry = (
            f"on a machine with network run `gnomon data fetch '{self.address}' --out rows.jsonl.zst`, copy that file "
            "here and name it in data.train"
        )
        page = f"https://huggingface.co/datasets/{self.address.dataset}"
        log_in = "log in with `hf auth login` or HF_TOKEN"
        example = there[0] if there else "NAME"
        return {
            "network": f"see whether the network and the proxy work, then run it again; or {carry}",
            "offline": f"unset HF_HUB_OFFLINE (and HF_DATASETS_OFFLINE); or {carry}",
            "gated": f"ask for access at {page}, and {log_in}; or name a local copy in data.train",
            "dataset": f"check the name at {page}; if it is private, {log_in}",
            "config": f"ask for one of them, as in config={example}",
            "split": f"ask for one of them, as in split={example}",
            "revision": f"ask for one of them, as in revision={example}, or for a commit",
            "field": f"name one of them, as in field={example}, or several in a template",
            "script": "ask for the rows that the Hub has made of it, with revision=refs/convert/parquet, if it has",
        }.get(kind, f"see {page}; or download its files and name them in data.train")


def _in_force() -> list[str]:
    """Return the environment variables that decide what is asked of whom, without what is secret in them."""
    found = {name: os.environ.get(name) or os.environ.get(name.lower()) for name in SHOWN}
    return [
        f"{name} (set)" if name in SECRET and _is_secret(name, v) else f"{name}={v}" for name, v in found.items() if v
    ]


def _is_secret(name: str, value: str) -> bool:
    return name == "HF_TOKEN" or "@" in value
