"""A real llama.cpp for tests: find it, start it on a GGUF, ask it for tokens and log probabilities.

`scripts/install-llama-cpp.sh` brings one into .clients/llama.cpp. Nothing in it is ours, so it is an
independent witness of what an export says.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

INSTALL = "scripts/install-llama-cpp.sh"
INSTALLED = Path(__file__).parents[2] / ".clients" / "llama.cpp" / "bin"
START_SECONDS, ANSWER_SECONDS = 60, 120


@dataclass(frozen=True)
class LlamaCpp:
    """An installed llama.cpp; `folder` holds its programs."""

    folder: Path

    @classmethod
    def find(cls) -> "LlamaCpp | None":
        """Return what $LLAMA_CPP (a folder of programs), .clients or PATH offers; None if nothing does."""
        on_path = shutil.which("llama-server")
        asked = os.environ.get("LLAMA_CPP")
        candidates = [Path(asked)] if asked else [INSTALLED, *([Path(on_path).parent] if on_path else [])]
        return next((cls(folder) for folder in candidates if (folder / "llama-server").is_file()), None)

    def program(self, name: str) -> Path | None:
        """Return the path of one program, such as `llama-quantize`, or None where it is missing."""
        path = self.folder / name
        return path if path.is_file() else None

    @contextlib.contextmanager
    def server(
        self, gguf: Path, kv: Literal["f32", "f16"] = "f32", context: int = 512, threads: int = 2
    ) -> Iterator["LlamaServer"]:
        """Yield a server that holds `gguf`, on a free port of this machine; it ends with the block.

        The key/value cache is kept as `kv` and flash attention is off, so that f32 means f32 throughout.
        Raises RuntimeError, with the server's last words, if it does not come up within a minute.
        """
        port = _free_port()
        arguments = {
            "--model": gguf.resolve(), "--host": "127.0.0.1", "--port": port, "--ctx-size": context,
            "--parallel": 1, "--threads": threads, "--cache-type-k": kv, "--cache-type-v": kv, "-fa": "off",
        }  # fmt: skip
        words = [str(word) for pair in arguments.items() for word in pair]
        environment = {key: value for key, value in os.environ.items() if key != "GGML_BACKEND_PATH"}
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [self.folder / "llama-server", *words, "--no-webui"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
            try:
                server = LlamaServer(f"http://127.0.0.1:{port}")
                _wait_until_healthy(server, process, log)
                yield server
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@dataclass(frozen=True)
class LlamaServer:
    """A running llama-server. Every answer is computed anew: nothing is kept between two questions."""

    address: str

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of `text` alone; with `special`, markers in it become control tokens."""
        body = {"content": text, "add_special": False, "parse_special": special}
        return self.ask("/tokenize", body)["tokens"]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, control tokens written out."""
        return self.ask("/detokenize", {"tokens": list(tokens)})["content"]

    def greedy(self, prompt: Sequence[int] | str, count: int) -> list[int]:
        """Return the `count` likeliest next tokens, one after the other; `end_tokens` are passed over.

        Ids are taken as they are; a text gets the begin-of-text that the GGUF asks for.
        """
        return self._complete(prompt, count, ignore_eos=True)["tokens"]

    def end_tokens(self) -> frozenset[int]:
        """Return the tokens that llama.cpp takes for the end of an answer: `greedy` never returns them."""
        settings = self._complete("a", 1, ignore_eos=True)["generation_settings"]
        return frozenset(entry["token"] for entry in settings["logit_bias"])

    def logprobs(self, tokens: Sequence[int], top: int) -> dict[int, float]:
        """Return natural log probabilities of the `top` likeliest tokens after `tokens`, likeliest first.

        Over the whole vocabulary at temperature 1, end-of-text included; `top` may be the vocabulary's size.
        """
        # a letter is forced as the drawn token: answers that end inside a UTF-8 character are held back
        letter = self.tokenize("a")[0]
        answer = self._complete(tokens, 1, n_probs=top, logit_bias=[[letter, 1e6]])
        (place,) = answer["completion_probabilities"]
        return {entry["id"]: entry["logprob"] for entry in place["top_logprobs"]}

    def _complete(self, prompt: Sequence[int] | str, count: int, **more: Any) -> dict[str, Any]:
        body = {"prompt": prompt if isinstance(prompt, str) else list(prompt), "n_predict": count}
        fixed = {"temperature": 0, "top_k": 1, "cache_prompt": False, "return_tokens": True, "stream": False}
        answer = self.ask("/completion", body | fixed | more)
        if len(answer["tokens"]) != count:
            raise RuntimeError(
                f"llama.cpp gave {len(answer['tokens'])} tokens instead of {count}; is the context too short?"
            )
        return answer

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the server's answer to a JSON body, or to a plain GET. Raises RuntimeError if it refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as e:
            with e:
                raise RuntimeError(f"llama.cpp refuses {path}: {e.read().decode(errors='replace')}") from None


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait_until_healthy(server: LlamaServer, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.ask("/health")
            return
        except (OSError, RuntimeError):  # not listening yet, or still loading
            time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"llama-server did not come up:\n{log.read()[-2000:].decode(errors='replace')}")
