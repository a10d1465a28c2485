"""A real llama.cpp as the tests see it: a server on a free port of this machine, asked over HTTP."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A running llama-server with one model."""

    address: str

    def ask(self, route: str, **body: Any) -> Any:
        """Return the answer of a route to a JSON body."""
        request = urllib.request.Request(self.address + route, json.dumps(body).encode() if body else None)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of a text; names of special tokens in it stay text."""
        return self.ask("/tokenize", content=text, add_special=False, parse_special=False)["tokens"]

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """Return the `count` likeliest tokens after the prompt's ids, one after the other, past any end."""
        answer = self.ask(
            "/completion", prompt=prompt, n_predict=count, temperature=0, top_k=1, ignore_eos=True,
            cache_prompt=False, return_tokens=True, repeat_penalty=1.0, samplers=["top_k"],
        )  # fmt: skip
        return answer["tokens"]

    def likeliest(self, prompt: list[int], count: int) -> dict[int, float]:
        """Return the log-probabilities of the `count` likeliest tokens after the prompt's ids."""
        answer = self.ask(
            "/completion", prompt=prompt, n_predict=1, temperature=0, n_probs=count, cache_prompt=False,
            post_sampling_probs=False,
        )  # fmt: skip
        return {t["id"]: t["logprob"] for t in answer["completion_probabilities"][0]["top_logprobs"]}


@dataclass(frozen=True)
class LlamaCpp:
    """An installed llama.cpp."""

    program: str

    @classmethod
    def find(cls) -> "LlamaCpp | None":
        """Return the one named by $LLAMA_CPP, of scripts/install-llama-cpp.sh, or on the PATH; None without any."""
        own = ROOT / ".clients" / "llama.cpp" / "bin" / "llama-server"
        found = os.environ.get("LLAMA_CPP") or (str(own) if own.exists() else shutil.which("llama-server"))
        return cls(found) if found else None

    @contextmanager
    def serve(self, model: Path, kv: str = "f32", context: int = 512) -> Iterator[Server]:
        """Run a server with `model` and keys and values in `kv`, without flash attention, for the block."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            self.program, "--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--ctx-size", str(context),
            "--cache-type-k", kv, "--cache-type-v", kv, "--flash-attn", "off", "--parallel", "1",
            "--threads", "2", "--no-webui",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        server = Server(f"http://127.0.0.1:{port}")
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise RuntimeError(f"llama-server ended: {process.communicate()[0][-2000:]}")
                try:
                    if server.ask("/health")["status"] == "ok":
                        break
                except OSError:
                    time.sleep(0.1)
            yield server
        finally:
            process.kill()
            process.communicate()
