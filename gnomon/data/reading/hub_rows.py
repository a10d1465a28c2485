"""The process that fetches the rows of a data set from the Hugging Face Hub. The only file that knows `datasets`.

    python -m gnomon.data.reading.hub_rows ADDRESS FOLDER

It writes rows.jsonl.zst into FOLDER, and says on its standard output, a JSON object a line, how far it is (`stage`,
`rows`, `bytes`), and at its end either what it fetched (`done`) or why it could not (`error`). It ends with the process
that started it.
"""

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard

from gnomon import __version__
from gnomon.base.errors import GnomonError
from gnomon.base.files import sha256_file
from gnomon.base.optional import need
from gnomon.data.reading.hub_address import HubAddress

ROWS = "rows.jsonl.zst"
EMPTY = "the data set has no rows"
WHY = "fetching a data set from the Hub"
BETWEEN_WORDS_SECONDS = 0.5


class Refused(Exception):
    """Why rows cannot be had: `kind` is a key of the remedies in hub.py, `there` what could be asked for instead."""

    def __init__(self, kind: str, what: str, there: list[str] | None = None) -> None:
        super().__init__(what)
        self.kind, self.there = kind, there or []


class Channel:
    """What this process says to the one that started it."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)  # what libraries print goes elsewhere
        self._last, self._lock = 0.0, threading.Lock()
        self.stage, self.rows, self.bytes = "", 0, 0

    def say(self, **words: Any) -> None:
        """Send one object."""
        with self._lock:
            os.write(self._out, orjson.dumps(words) + b"\n")

    def enter(self, stage: str) -> None:
        """Say what begins."""
        self.stage = stage
        self.moved(now=True)

    def moved(self, *, rows: int = 0, received: int = 0, now: bool = False) -> None:
        """Say that work moves on, not too often."""
        self.rows += rows
        self.bytes += received
        if now or time.monotonic() - self._last > BETWEEN_WORDS_SECONDS:
            self._last = time.monotonic()
            self.say(stage=self.stage, rows=self.rows, bytes=self.bytes)


def main(arguments: list[str]) -> None:
    """Fetch the rows of the address into the folder."""
    channel = Channel()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        done = fetch_rows(HubAddress.parse(arguments[0]), Path(arguments[1]), channel)
    except Refused as e:
        channel.say(error={"kind": e.kind, "what": str(e), "there": e.there})
    except GnomonError as e:
        channel.say(error={"kind": "ours", "what": e.what, "where": e.where, "do": e.do})
    except Exception as e:
        kind, what = _why(e)
        channel.say(error={"kind": kind, "what": what, "there": []})
        raise
    else:
        channel.say(done=done)
    os._exit(0)  # threads of libraries are not waited for


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def fetch_rows(address: HubAddress, folder: Path, channel: Channel) -> dict[str, Any]:
    """Write the rows as .jsonl and return where they come from. Raises Refused and what the libraries raise."""
    channel.enter("loading the library")
    hub, library = need("huggingface_hub", extra="data", why=WHY), need("datasets", extra="data", why=WHY)
    if library.config.HF_HUB_OFFLINE:
        raise Refused("offline", "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE forbids to ask the Hub")
    _watch(hub, channel)
    library.config.STREAMING_READ_MAX_RETRIES = library.config.STREAMING_OPEN_MAX_RETRIES = 3
    library.config.STREAMING_READ_RETRY_INTERVAL = library.config.STREAMING_OPEN_RETRY_INTERVAL = 1
    library.config.STREAMING_READ_SERVER_UNAVAILABLE_RETRY_INTERVAL = 5
    channel.enter("asking the Hub")
    info = _info(hub, address)
    config = _config(library, address, info.sha, folder)
    loaded = library.load_dataset(
        address.dataset, config, revision=info.sha, streaming=True, cache_dir=str(folder / "cache")
    )  # a cache of its own: `datasets` would give what an older fetch left, of any revision, rather than an error
    if address.split not in loaded:
        raise Refused("split", f"the data set has no split {address.split}", list(loaded))
    channel.enter("fetching rows")
    columns, fields = _columns(loaded[address.split], address)
    rows = _write(folder / ROWS, _texts(loaded[address.split].select_columns(fields), address, fields), channel)
    if not rows:
        raise Refused("empty", EMPTY)
    path = folder / ROWS
    return {
        "dataset": address.dataset,
        "config": config,
        "split": address.split,
        "revision": address.revision,
        "commit": info.sha,
        "license": getattr(info.card_data, "license", None),
        "columns": columns,
        "text": address.template or fields[0],
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256_file(path),
        "endpoint": hub.constants.ENDPOINT,
        "fetched_with": {
            "gnomon": __version__,
            "datasets": library.__version__,
            "huggingface_hub": hub.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
        },
    }


def _watch(hub: Any, channel: Channel) -> None:
    """Give every request a time limit, as some of the libraries' have none, and say when bytes arrive."""
    client = hub.get_session()
    http = sys.modules[type(client).__module__.partition(".")[0]]  # httpx, under the name it has there
    seconds = float(os.environ["HF_HUB_DOWNLOAD_TIMEOUT"])

    class Counted(http.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            for piece in self._stream:
                channel.moved(received=len(piece))
                yield piece

        def close(self) -> None:
            self._stream.close()

    def limit(request: Any) -> None:
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), seconds)

    def count(response: Any) -> None:
        channel.moved()
        response.stream = Counted(response.stream)

    hooks = client.event_hooks
    client.event_hooks = {"request": [*hooks["request"], limit], "response": [*hooks["response"], count]}


def _info(hub: Any, address: HubAddress) -> Any:
    """Return what the Hub knows about the data set. Raises Refused, with what there is instead."""
    api = hub.HfApi()
    try:
        info = api.dataset_info(address.dataset, revision=address.revision)
    except hub.errors.RevisionNotFoundError:
        refs = api.list_repo_refs(address.dataset, repo_type="dataset")
        there = [ref.name for ref in [*refs.branches, *refs.tags]]
        raise Refused("revision", f"the data set has no revision {address.revision}", there) from None
    if info.gated or info.private:
        api.auth_check(address.dataset, repo_type="dataset")
    scripts = [f"{address.dataset.rpartition('/')[2]}.py"]
    if found := [file.rfilename for file in info.siblings or [] if file.rfilename in scripts]:
        raise Refused("script", f"the data set is made by a program of its own ({found[0]}), which is not run")
    return info


def _config(library: Any, address: HubAddress, commit: str, folder: Path) -> str:
    there = library.get_dataset_config_names(address.dataset, revision=commit, cache_dir=str(folder / "cache"))
    if address.config is not None and address.config not in there:
        raise Refused("config", f"the data set has no config {address.config}", there)
    if address.config is None and len(there) > 1 and "default" not in there:
        raise Refused("config", "the data set has several configs, and none was asked for", there)
    return address.config or ("default" if "default" in there else there[0])


def _columns(rows: Any, address: HubAddress) -> tuple[list[str], list[str]]:
    """Return the columns of the data set, and those that the text is made of."""
    kinds = _kinds(rows)
    columns, texts = list(kinds), [name for name, kind in kinds.items() if kind in ("string", "large_string")]
    if not columns:
        raise Refused("empty", EMPTY)
    fields = list(address.columns) or (["text"] if "text" in texts else texts)
    if not address.columns and len(fields) != 1:
        what = "has several columns of text, and none was asked for" if texts else "has no column of text"
        raise Refused("field", f"the data set {what}", texts or columns)
    if unknown := [field for field in fields if field not in columns]:
        raise Refused("field", f"the data set has no column {unknown[0]}", columns)
    if not address.template and fields[0] not in texts:
        raise Refused("field", f"column {fields[0]} holds {kinds[fields[0]]}, no text", texts)
    return columns, fields


def _kinds(rows: Any) -> dict[str, str]:
    """Return the kind of each column, as far as the data set's card or its first row tells."""
    if rows.features:
        return {name: getattr(kind, "dtype", type(kind).__name__) for name, kind in rows.features.items()}
    first = next(iter(rows.take(1)), {})
    return {name: "string" if isinstance(value, str | None) else type(value).__name__ for name, value in first.items()}


def _texts(rows: Any, address: HubAddress, fields: list[str]) -> Iterator[str | None]:
    """Yield the text of each row; None where a part of it is missing."""
    for row in rows:
        values = [row[field] for field in fields]
        if any(value is None for value in values):
            yield None
        elif not address.template:
            yield values[0]
        elif odd := [f for f, v in zip(fields, values, strict=True) if not isinstance(v, str | int | float)]:
            raise Refused("field", f"column {odd[0]} holds {type(row[odd[0]]).__name__}, which no template takes")
        else:
            yield address.fill(row)


def _write(path: Path, texts: Iterator[str | None], channel: Channel) -> int:
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
        for text in texts:
            out.write(orjson.dumps({"text": text}) + b"\n")
            channel.moved(rows=1)
    return channel.rows


def _why(error: BaseException) -> tuple[str, str]:
    """Return the kind and a sentence of what the libraries raised, looking for the cause under their wrapping."""
    if isinstance(error, StopIteration):  # what `datasets` makes of files without a row
        return "empty", EMPTY
    cause, seen = error, 0
    while cause is not None and seen < 20:
        if found := _known(cause):
            return found
        cause, seen = cause.__cause__ or cause.__context__, seen + 1
    return "failed", f"`datasets` failed: {type(error).__name__}: {_first_line(error)}"


def _known(error: BaseException) -> tuple[str, str] | None:
    """Return what one error says, by its name: the library that raises it has gone by two."""
    names, status = {c.__name__ for c in type(error).__mro__}, getattr(_answer(error), "status_code", None)
    if names & {"DataFilesNotFoundError", "EmptyDatasetError"}:
        return "empty", f"the data set has no files of rows: {_first_line(error)}"
    if "OfflineModeIsEnabled" in names:
        return "offline", "HF_HUB_OFFLINE forbids to ask the Hub"
    if "GatedRepoError" in names or status == 403:
        return "gated", f"the Hub gives the data set only to accounts that may see it (status {status})"
    if "RepositoryNotFoundError" in names:
        return "dataset", f"the Hub shows this account no such data set (status {status})"
    if "HfHubHTTPError" in names:
        return "network", f"the Hub answered with status {status}: {_first_line(error)}"
    if "TimeoutException" in names:
        return "network", f"the Hub did not answer in time ({type(error).__name__})"
    if "TransportError" in names or isinstance(error, ConnectionError):
        said = re.sub(r"^.Errno -?[0-9]+. ", "", _first_line(error))
        return "network", f"the Hub cannot be reached, or broke off: {said}"
    return None


def _answer(error: BaseException) -> Any:
    return getattr(error, "response", None)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


if __name__ == "__main__":
    main(sys.argv[1:])
