"""How fast text becomes a dataset, in how much memory, and whether the digest is the same whatever happens on the way.

python bench/preparation.py TEXTS --megabytes 1000 --kills 3    one run undisturbed, one killed and begun again
python bench/preparation.py TEXTS --megabytes 100 --engines     with 1 and 2 workers and on Ray, a worker of it killed

The texts are repeated until there is enough; of each repeat 2 % stay as they are (equal texts), 8 % get a word in a
hundred changed (near duplicates), and the rest every fourth word exchanged (other texts). Every run is a process of its
own.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil

from gnomon.data.reading.read import find_sources, read_records

PROGRAM = """
import json, sys, time
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
stages, start = {}, time.monotonic()
def told(stage, done, total, unit):
    now = time.monotonic()
    said = stages.setdefault(stage, [now, now, 0, unit])
    said[1:3] = now, done
config = DataConfig.model_validate(json.loads(sys.argv[1]))
dataset = prepare(config, TokenizerConfig(), 32768, told)
stages = {k: [round(b - a, 2), done, unit] for k, (a, b, done, unit) in stages.items()}
said = {"digest": dataset.digest, "seconds": round(time.monotonic() - start, 2), "stages": stages}
said |= {k: dataset.manifest[k] for k in ("removed",)}
said["tokens"] = dataset.manifest["splits"]["train"]["tokens"]
print(json.dumps(said))
"""
FILES = 16


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", help="files or folders of text")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0, help="of the whole preparation, at random moments")
    parser.add_argument("--engines", action="store_true", help="compare 1 and 2 workers and Ray")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", help="folder for texts and datasets; the system's place for such by default")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        folder = Path(scratch)
        size = write_texts(asked.texts, folder / "texts", asked.megabytes * 1_000_000, asked.seed)
        runs = {"2 workers": run(folder, "two", workers=2)}
        if asked.kills:
            runs[f"2 workers, {asked.kills} kills"] = run(
                folder, "killed", workers=2, kills=asked.kills, seed=asked.seed
            )
        if asked.engines:
            runs["1 worker"] = run(folder, "one", workers=1)
            runs["Ray"] = run(folder, "ray", workers=2, engine="ray")
            runs["Ray, a worker killed"] = run(folder, "ray-killed", workers=2, engine="ray", kill_worker=True)
    result = {"bytes": size, "same_digest": len({r["digest"] for r in runs.values()}) == 1, "runs": runs}
    if asked.json:
        print(json.dumps(result))
        return
    first, tokens = runs["2 workers"], runs["2 workers"]["tokens"]
    print(f"{size / 1e6:,.0f} MB in {FILES} files; removed: {first['removed']}; {tokens:,} tokens to train on\n")
    print("| stage | seconds | MB/s |\n|---|---:|---:|")
    for stage, (seconds, done, unit) in first["stages"].items():
        speed = f"{done / 1e6 / seconds:,.0f}" if unit == "bytes" and seconds else ""
        print(f"| {stage} | {seconds:.1f} | {speed} |")
    print("\n| run | seconds | MB/s | most memory of a process, MiB | of all at once | digest |")
    print("|---|---:|---:|---:|---:|---|")
    for name, r in runs.items():
        speed = size / 1e6 / r["seconds"]
        print(f"| {name} | {r['seconds']:.0f} | {speed:.1f} | {r['one']:,} | {r['all']:,} | {r['digest'][:12]} |")
    print("\nthe same digest" if result["same_digest"] else "\nTHE DIGESTS DIFFER")


def write_texts(paths: list[str], folder: Path, size: int, seed: int) -> int:
    """Write so many bytes of the texts, repeated and changed, into FILES files of JSON lines; return how many."""
    folder.mkdir()
    base = [r.text for s in find_sources(paths) for r in read_records(s, "text", lambda _: None, lambda _: None)]
    rng, written = random.Random(seed), 0
    rng.shuffle(base)
    files = [(folder / f"part-{i:02d}.jsonl").open("wb") for i in range(FILES)]
    for number, text in enumerate(_changed(base, rng)):
        line = orjson.dumps({"text": text}) + b"\n"
        files[number % FILES].write(line)
        written += len(line)
        if written >= size:
            break
    for file in files:
        file.close()
    return written


def _changed(base: list[str], rng: random.Random) -> Iterator[str]:
    yield from base
    while True:
        for text in base:
            kind, words = rng.random(), text.split(" ")
            if kind >= 0.1:
                for i in range(0, len(words), 4):
                    words[i] = words[rng.randrange(len(words))]
            elif kind >= 0.02:
                for _ in range(max(1, len(words) // 100)):
                    words[rng.randrange(len(words))] = f"w{rng.randrange(10**6)}"
            yield " ".join(words)


def run(folder: Path, name: str, *, kills: int = 0, seed: int = 0, kill_worker: bool = False, **data: Any) -> Any:
    """Prepare in a process of its own, killed and begun again so many times; return what it says, and its memory."""
    config = {"train": str(folder / "texts"), "root": str(folder / name), **data}
    rng, start, one, together = random.Random(seed), time.monotonic(), 0, 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(config)], stdout=subprocess.PIPE, text=True
        )
        until = time.monotonic() + rng.uniform(3, 40) if kills else float("inf")
        while process.poll() is None:
            sizes = list(_memory(process.pid))
            one, together = max([one, *sizes]), max(together, sum(sizes))
            if time.monotonic() > until:
                process.send_signal(signal.SIGKILL)
            if kill_worker and (worker := _ray_worker()):
                os.kill(worker, signal.SIGKILL)
                kill_worker = False
            time.sleep(0.05)
        out = process.stdout.read() if process.stdout else ""
        if process.returncode == -signal.SIGKILL and kills:
            kills -= 1
            continue
        if process.returncode:
            sys.exit(f"the preparation ended with exit code {process.returncode}")
        said = json.loads(out.splitlines()[-1])
        wall = round(time.monotonic() - start, 2)
        return said | {
            "seconds": wall,
            "one": one >> 20,
            "all": together >> 20,
            "kills_left": kills,
            "spared": kill_worker,
        }


def _memory(pid: int) -> Iterator[int]:
    """Yield the resident memory of a process and of its children."""
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            yield process.memory_info().rss
    except psutil.Error:
        return


def _ray_worker() -> int | None:
    for process in psutil.process_iter(["pid", "cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::_answer_on_ray"):
            return process.info["pid"]
    return None


if __name__ == "__main__":
    main()
