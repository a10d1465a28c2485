"""A Hugging Face Hub of a few small repositories on this machine, which can also be slow, cut answers or refuse."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """What the server holds, how it misbehaves, and what it was asked. `refuse` is a status for every file."""

    repositories: dict[str, dict[str, bytes]]
    url: str = ""
    gated: bool = False
    refuse: int = 0  # status of whatever is asked
    sleep_seconds: float = 0.0  # before each answer
    cut: str = ""  # file of which only half arrives, once
    stuck: str = ""  # file of which half arrives, and then nothing more
    asked: list[str] = field(default_factory=list)


@contextmanager
def fake_hub(repositories: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    """Give a Hub with these repositories: name, then path, then content."""
    hub = FakeHub(repositories)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def do_GET(self) -> None:
        self._answer()

    def _answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        time.sleep(self.hub.sleep_seconds)
        api = re.fullmatch(r"/api/datasets/([\w-]+/[\w-]+)(/.*)?", path)
        file = re.fullmatch(r"/datasets/([\w-]+/[\w-]+)/resolve/(\w+)/(.+)", path)
        if self.hub.refuse:
            self._send({"error": "refused"}, status=self.hub.refuse)
        elif api and api[1] in self.hub.repositories:
            self._api(api[1], api[2] or "", body)
        elif file and file[1] in self.hub.repositories:
            self._file(file[1], file[2], file[3])
        else:
            self._send({"error": "Repository not found"}, status=401, code="RepoNotFound")

    def _api(self, name: str, rest: str, body: bytes) -> None:
        files = self.hub.repositories[name]
        kind, _, rest = rest.removeprefix("/").partition("/")
        revision, _, folder = rest.partition("/")
        if kind == "refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
            self._send({"branches": [branch], "tags": [], "converts": []})
        elif kind == "auth-check":
            gate = {"status": 403, "code": "GatedRepo"} if self.hub.gated else {}
            self._send({}, **gate)
        elif kind in ("", "revision") and revision in ("", "main", COMMIT):
            siblings = [{"rfilename": path} for path in files]
            card = {"license": "mit"}
            about = {"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "cardData": card}
            self._send(about | {"gated": "auto" if self.hub.gated else False, "downloads": 0, "likes": 0})
        elif revision != COMMIT:
            self._send({"error": "Invalid rev id"}, status=404, code="RevisionNotFound")
        elif kind == "paths-info":
            asked = parse_qs(body.decode()).get("paths", [])
            found = [_entry(path, files[path]) for path in asked if path in files]
            self._send(found + [_folder(path) for path in asked if path in _folders(files)])
        elif folder and folder not in _folders(files):
            self._send({"error": "no such entry"}, status=404, code="EntryNotFound")
        else:  # tree
            below = f"{folder}/" if folder else ""
            folders = [_folder(path) for path in sorted(_folders(files)) if path.startswith(below)]
            self._send(folders + [_entry(path, data) for path, data in files.items() if path.startswith(below)])

    def _file(self, name: str, revision: str, path: str) -> None:
        data = self.hub.repositories[name].get(path)
        if self.hub.gated:
            self._send({}, status=403, code="GatedRepo")
        elif revision not in ("main", COMMIT):
            self._send({}, status=404, code="RevisionNotFound")
        elif data is None:
            self._send({}, status=404, code="EntryNotFound")
        else:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), int(asked[2] or len(data) - 1)) if asked else (0, len(data) - 1)
            headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if asked:
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._send_bytes(data[first : last + 1], 206 if asked else 200, headers, path)

    def _send(self, value: Any, status: int = 200, code: str = "") -> None:
        headers = {"Content-Type": "application/json"} | (
            {"X-Error-Code": code, "X-Error-Message": code} if code else {}
        )
        self._send_bytes(json.dumps(value).encode(), status, headers)

    def _send_bytes(self, data: bytes, status: int, headers: dict[str, str], path: str = "") -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        spoiled = path and path in (self.hub.cut, self.hub.stuck)
        self.wfile.write(data[: len(data) // 2] if spoiled else data)
        self.wfile.flush()
        if path == self.hub.cut:
            self.hub.cut = ""
        if spoiled:
            time.sleep(3600 if path == self.hub.stuck else 0)
            self.close_connection = True


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}


def _folders(files: dict[str, bytes]) -> set[str]:
    return {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
