"""Text to ids, MB/s: ours beside plain `tokenizers` and `datasets.map` (where installed), in turn, on 1 core and 2.

    python bench/tokenizing.py wikipedia_train.jsonl.zst --megabytes 32
    python bench/tokenizing.py wikipedia_train.jsonl.zst novels_train.jsonl.zst --train 1000 --json

Each measures in a process of its own, twice through, and the best of --rounds counts: what comes first pays for caches,
and ours for the proof that its faster encoder gives the same ids. Two cores are two processes with half of the text
each, as preparation works; `tokenizers` is measured with two threads as well. With --train, the time and memory of
learning a vocabulary from that many MB instead. Where the files hold less, they come again and again, one word in 100
with two letters exchanged, so that the number of different words grows too.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gnomon.data.reading.read import find_sources, read_documents
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer

BATCH = 256
CONTENDERS = {
    "ours": 1,
    "ours, without tiktoken": 1,
    "tokenizers": 1,
    "datasets.map": 1,
    "ours, 2 processes": 2,
    "ours, without tiktoken, 2 processes": 2,
    "tokenizers, 2 threads": 2,
    "datasets.map, 2 processes": 2,
}


def main() -> None:
    """Measure each in turn and print."""
    arguments = _arguments()
    if arguments.one:
        print(json.dumps(_train(arguments) if arguments.one == "train" else _one(arguments)))
        return
    if arguments.train:
        found = _child("train", sys.argv[1:])
        said = f"{found['bytes'] / 1e6:,.0f} MB to {found['tokens']:,} tokens: {found['seconds']:.1f} s,"
        said += f" {found['cpu']:.1f} s of processor, peak {found['peak'] / 2**20:,.0f} MiB"
        print(json.dumps(found) if arguments.json else said)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        train_tokenizer(_texts(arguments.files, 16 << 20), arguments.vocabulary, arguments.pretokenizer).save(path)
        words = [*sys.argv[1:], "--tokenizer", str(path)]
        names = [name for name in CONTENDERS if find_spec("datasets") or not name.startswith("datasets")]
        best: dict[str, dict[str, Any]] = {}
        for _ in range(arguments.rounds):
            for name in names:
                found = _child(name, words)
                if name not in best or found["rate"] > best[name]["rate"]:
                    best[name] = found
    if arguments.json:
        print(json.dumps(best))
        return
    for name, found in best.items():
        base = best["tokenizers" if CONTENDERS[name] == 1 else "tokenizers, 2 threads"]["rate"]
        rate, start = found["rate"], found["start"]
        of_cpu = f"   {found['of_cpu']:.2f} MB a second of processor" if CONTENDERS[name] == 1 else ""
        print(f"{name:38}{rate:8.2f} MB/s  {rate / base:6.2f} x tokenizers   start {start:5.2f} s{of_cpu}")
    print("ids equal" if len({found["ids"] for found in best.values()}) == 1 else "IDS DIFFER")


def _one(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return MB/s of the second time through, how much longer the first took, and a hash of the ids."""
    texts = list(_texts(arguments.files, int(arguments.megabytes * 1e6)))
    size = sum(len(text.encode()) for text in texts)
    name, path = arguments.one, Path(arguments.tokenizer)
    if name.startswith("datasets"):
        go = _datasets(texts, path, CONTENDERS[name])
    elif name.endswith("2 processes"):
        return _halves(arguments, texts, name.removesuffix(", 2 processes"), size)
    else:
        encode = _encoder(name, path)

        def go() -> Callable[[], int]:
            mark = sum(_mark(encode(texts[i : i + BATCH])) for i in range(0, len(texts), BATCH))
            return lambda: mark

    return _timed(go, size)


def _encoder(name: str, path: Path) -> Callable[[list[str]], list[list[int]]]:
    tokenizer = Tokenizer.load(path)
    if name == "ours, without tiktoken":
        tokenizer.__dict__["_fast"] = None
    if name.startswith("ours"):
        return tokenizer.encode_batch
    import tokenizers

    inner = tokenizers.Tokenizer.from_file(str(path))
    inner.encode_special_tokens = True
    return lambda texts: [e.ids for e in inner.encode_batch(texts, add_special_tokens=False)]


def _datasets(texts: list[str], path: Path, processes: int) -> Callable[[], Callable[[], int]]:
    datasets = import_module("datasets")
    datasets.disable_progress_bars()
    datasets.disable_caching()
    data = datasets.Dataset.from_dict({"text": texts})
    encode = _encoder("tokenizers", path)

    def go() -> Callable[[], int]:
        made = data.map(
            lambda rows: {"ids": encode(rows["text"])}, batched=True, batch_size=BATCH, remove_columns=["text"],
            num_proc=processes if processes > 1 else None,
        )  # fmt: skip
        return lambda: _mark(list(made["ids"]))

    return go


def _halves(arguments: argparse.Namespace, texts: list[str], name: str, size: int) -> dict[str, Any]:
    """Time two processes, each with every other batch of the text, from a common start to the last one's end."""
    ready = [os.pipe() for _ in range(2)]
    begin, results, children = [os.pipe() for _ in range(2)], [os.pipe() for _ in range(2)], []
    for k in range(2):
        if (pid := os.fork()) == 0:
            encode = _encoder(name, Path(arguments.tokenizer))
            mine = [texts[i : i + BATCH] for i in range(k * BATCH, len(texts), 2 * BATCH)]
            began = time.perf_counter()
            [encode(batch) for batch in mine]
            first = time.perf_counter() - began
            os.write(ready[k][1], b"x")
            os.read(begin[k][0], 1)
            began = time.perf_counter()
            mark = sum(_mark(encode(batch)) for batch in mine)
            took = time.perf_counter() - began
            os.write(results[k][1], json.dumps([first, took, mark]).encode())
            os._exit(0)
        children.append(pid)
    for read, _ in ready:
        os.read(read, 1)
    began = time.perf_counter()
    for _, write in begin:
        os.write(write, b"x")
    said = [json.loads(os.read(read, 4096)) for read, _ in results]
    seconds = time.perf_counter() - began
    for pid in children:
        os.waitpid(pid, 0)
    start = max(first - took for first, took, _ in said)
    return {"rate": size / seconds / 1e6, "start": start, "ids": sum(mark for *_, mark in said) % 2**32}


def _timed(go: Callable[[], Callable[[], int]], size: int) -> dict[str, Any]:
    """Return the figures of `go`, which encodes all and returns what tells a hash of the ids."""
    times, marks, used = [], [], 0.0
    for _ in range(2):
        began, used = time.perf_counter(), time.process_time()
        marks.append(go())
        times.append(time.perf_counter() - began)
        used = time.process_time() - used
    figures = {"rate": size / times[1] / 1e6, "of_cpu": size / used / 1e6, "start": times[0] - times[1]}
    return figures | {"ids": marks[1]() % 2**32}


def _mark(ids: list[list[int]]) -> int:
    """Return a number that other ids would change, cheaply: the sum of each text's length, and its first and last."""
    return sum(len(one) + 7919 * one[0] + 104729 * one[-1] for one in ids if one)


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    size, limit, draw = 0, int(arguments.train * 1e6), random.Random(0)

    def enough() -> Iterator[str]:
        nonlocal size
        for again in count():
            for text in _texts(arguments.files, limit):
                text = _misspelt(text, draw) if again else text
                size += len(text.encode())
                yield text
                if size >= limit:
                    return

    began, before = time.perf_counter(), time.process_time()
    learned = train_tokenizer(enough(), arguments.vocabulary, arguments.pretokenizer)
    seconds, cpu = time.perf_counter() - began, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"bytes": size, "tokens": learned.tokens, "seconds": seconds, "cpu": cpu, "peak": peak}


def _misspelt(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for _ in range(len(words) // 100):
        i = draw.randrange(len(words))
        at = draw.randrange(max(1, len(words[i])))
        words[i] = words[i][:at] + words[i][at : at + 2][::-1] + words[i][at + 2 :]
    return " ".join(words)


def _texts(files: list[str], limit: int) -> Any:
    done = 0
    for source in find_sources(files):
        for document in read_documents(source, "text", None, lambda bad: None, lambda at: None):
            yield document.text
            done += len(document.text.encode())
            if done >= limit:
                return


def _child(name: str, words: list[str]) -> dict[str, Any]:
    each = "1" if name != "tokenizers, 2 threads" else "2"
    environment = os.environ | {"RAYON_NUM_THREADS": each if name != "train" else str(os.cpu_count())}
    if name != "train":
        environment |= {"TOKENIZERS_PARALLELISM": "false" if each == "1" else "true"}
    ran = subprocess.run(
        [sys.executable, __file__, *words, "--one", name],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return json.loads(ran.stdout.splitlines()[-1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help=".txt .md .jsonl, also .gz and .zst")
    parser.add_argument("--megabytes", type=float, default=32, help="of text that is encoded")
    parser.add_argument("--vocabulary", type=int, default=32768)
    parser.add_argument("--pretokenizer", default="qwen2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", type=float, help="MB to learn a vocabulary from, instead")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--tokenizer", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
