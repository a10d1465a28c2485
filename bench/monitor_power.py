"""What the monitor finds of what is planted in real text, by kind and strength, and what it says of healthy text.

    python bench/monitor_power.py wikipedia.jsonl.zst novels.jsonl.zst addresses.jsonl.gz --trials 4

Each file is a source. Trials give a source's rows as training would, epoch after epoch, with a fault from the third
window on: rows of another source (drift), rows drawn from 100 or from one of its own (repetition), or its rarest kinds
of tokens that make up so much of it changed for frequent ones (collapse). Prints how many were found in 16 windows, how
many windows after the fault began, and how many were named as what they were; and false alarms in healthy streams:
each source by itself, and all together with weights that change, with rows left out, and as one process of two sees.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from any_text import texts_of

from gnomon.base.machine import this_machine
from gnomon.data.monitoring.monitor import EVERY, WINDOW_TOKENS, Finding, Monitor
from gnomon.data.monitoring.shift import Reference, Text
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer

LENGTH, BATCH, BEGINS, WINDOWS = 512, 512, 2, 16
STRENGTHS = (0.01, 0.02, 0.05, 0.1)
Sources = dict[str, Reference]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="one source each")
    parser.add_argument("--vocabulary", type=int, default=16384)
    parser.add_argument("--trials", type=int, default=2, help="of each source, kind and strength")
    parser.add_argument("--healthy", type=int, default=4, help="streams of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the streams")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sources = read(arguments.files, arguments.vocabulary)
    found = {
        "planted": power(sources, arguments.trials, arguments.seed),
        "healthy": healthy(sources, arguments.healthy, arguments.seed),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{', '.join(f'{name} ({of.text_rows:,} rows)' for name, of in sources.items())}; {this_machine().processor}")
    for row in found["planted"]:
        said = f"{row['kind']:22} {row['strength']:4.0%}  found {row['found']:3} of {row['trials']:3}"
        print(f"{said}  rightly named {row['right']:3}  after {row['windows']} windows")
    for row in found["healthy"]:
        said = f"{row['alarms']} alarms in {row['windows']:,} windows; {row['bare']} without margin and least distance"
        print(f"healthy, {row['stream']:34} {said}")
        for cause in row["causes"]:
            print(f"  {cause}")


def read(files: Sequence[str], vocabulary: int) -> Sources:
    """Return the text of each file as what windows are compared with."""
    texts = {Path(file).name.split(".")[0]: [text for text in texts_of(file) if text] for file in files}
    tokenizer = train_tokenizer((t for own in texts.values() for t in own[:600]), vocabulary, "qwen2")
    return {name: _reference(own, tokenizer, vocabulary) for name, own in texts.items()}


def _reference(texts: list[str], tokenizer: Tokenizer, vocabulary: int) -> Reference:
    end = tokenizer.end_of_text
    parts = [np.array([end, *ids], np.uint16) for at in range(0, len(texts), 64) for ids in _ids(texts, at, tokenizer)]
    offsets, ids = np.concatenate([[0], np.cumsum([len(part) for part in parts])]), np.concatenate(parts)
    text = Text(len(ids), end, lambda: offsets, lambda i: ids[offsets[i] : offsets[i + 1]])
    counts = np.bincount(ids, minlength=vocabulary).astype(np.uint64)
    return Reference(counts, text, length=LENGTH, rows=WINDOW_TOKENS // LENGTH, every=EVERY)


def _ids(texts: list[str], at: int, tokenizer: Tokenizer) -> list[list[int]]:
    return tokenizer.encode_batch(texts[at : at + 64])


def rows_of(reference: Reference, seed: int, count: int) -> np.ndarray:
    """Return rows as a run is given them, epoch after epoch."""
    return np.concatenate(list(islice(reference.walk(seed, 1), count))).astype(np.uint16)


def power(sources: Sources, trials: int, seed: int) -> list[dict]:
    """Return what is found of each kind and strength."""
    window = EVERY * WINDOW_TOKENS // LENGTH
    outcomes: dict[tuple[str, float], list[tuple[int | None, bool]]] = defaultdict(list)
    for name, reference in sources.items():
        for trial in range(trials):
            rows = rows_of(reference, seed + 1000 + trial, window * WINDOWS)
            others = sorted((of for key, of in sources.items() if key != name), key=lambda of: -of.text_rows)
            other = others[trial % 2 if len(others) > 1 else 0]  # the larger ones, so that it need not be repeated
            foreign = rows_of(other, seed + 2000 + trial, min(len(rows) // 10 + window, other.text_rows))
            for strength in STRENGTHS:
                for kind, planted in _plant(rows, foreign, reference, strength, trial, window * BEGINS):
                    first = _first(reference, planted)
                    right = first is not None and first.kind == kind.split(",")[0]
                    after = first is not None and first.row >= window * BEGINS  # else it is a false alarm
                    at = max(1, first.window - BEGINS + 1) if first is not None and after else None
                    outcomes[kind, strength].append((at, right and after))
    return [
        {
            "kind": kind,
            "strength": strength,
            "trials": len(some),
            "found": sum(at is not None for at, _ in some),
            "right": sum(right for _, right in some),
            "windows": median([at for at, _ in some if at is not None] or [0]),
        }
        for (kind, strength), some in sorted(outcomes.items())
    ]


def _plant(rows: np.ndarray, foreign: np.ndarray, of: Reference, strength: float, seed: int, begin: int):
    """Yield each kind of fault and the rows with it from row `begin` on."""
    rng = np.random.default_rng(seed)
    chosen = begin + np.flatnonzero(rng.random(len(rows) - begin) < strength)
    if len(foreign) >= len(chosen):  # else they would be repeated
        changed = rows.copy()
        changed[chosen] = foreign[: len(chosen)]
        yield "drift", changed
    for pool in (1, 100):
        changed = rows.copy()
        changed[chosen] = rows[rng.integers(0, pool, len(chosen))]
        yield f"repetition, of {pool}", changed
    counts = of.counts.astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    rare = np.isin(np.arange(len(counts)), order[counts[order].cumsum() > (1 - strength) * counts.sum()])
    changed = rows.copy()
    part = changed[begin:]
    part[rare[part]] = rng.choice(order[1:40], int(rare[part].sum()))
    yield "collapse", changed


def _first(reference: Reference, rows: np.ndarray) -> Finding | None:
    monitor = Monitor({"text": reference})
    for at in range(0, len(rows), BATCH):
        some = rows[at : at + BATCH]
        if found := monitor.add(np.arange(at, at + len(some)), np.zeros(len(some), np.int64), some):
            return found[0]
    return None


def healthy(sources: Sources, streams: int, seed: int) -> list[dict]:
    """Return how often healthy streams raise an alarm."""
    window, found = EVERY * WINDOW_TOKENS // LENGTH, []
    total = window * WINDOWS * 2
    for name, reference in sources.items():
        each = []
        for number in range(seed, seed + streams):
            rows = rows_of(reference, 3000 + number, total)
            each.append(_alarms({name: reference}, np.arange(total), np.zeros(total, np.int64), rows))
        found.append(_said(f"{name}, {total / reference.text_rows:.1f} epochs", each))
    for stream in ("mixed, weights change", "mixed, rows left out", "mixed, one process of 2"):
        each = []
        for number in range(seed, seed + streams):
            rng = np.random.default_rng(number)
            weights = rng.dirichlet(np.ones(len(sources)), 4)
            of = np.concatenate([rng.choice(len(sources), total // 4, p=p) for p in weights])
            rows = np.empty((total, LENGTH), np.uint16)
            for source, reference in enumerate(sources.values()):
                rows[of == source] = rows_of(reference, 4000 + number, int((of == source).sum()))
            ids = np.arange(total)
            kept = ids % 128 < 64 if "2" in stream else ~((ids > total // 2) & (ids < total // 2 + window))
            kept |= stream == "mixed, weights change"
            each.append(_alarms(sources, ids[kept], of[kept], rows[kept]))
        found.append(_said(stream, each))
    return found


@dataclass(frozen=True)
class Healthy:
    """What is said of a healthy stream, and what would be without a margin for real text; windows compared."""

    found: list[Finding]
    bare: list[Finding]
    windows: int


def _alarms(references: Sources, ids: np.ndarray, of: np.ndarray, rows: np.ndarray) -> Healthy:
    monitor, bare = Monitor(references), Monitor(references, margin=1.0, least_distance=1.0)
    found: tuple[list[Finding], list[Finding]] = ([], [])
    for at in range(0, len(rows), BATCH):
        for one, said in zip((monitor, bare), found, strict=True):
            said += one.add(ids[at : at + BATCH], of[at : at + BATCH], rows[at : at + BATCH])
    return Healthy(*found, sum(monitor.windows(number) for number in range(len(references))))


def _said(stream: str, each: list[Healthy]) -> dict:
    alarms = [finding for one in each for finding in one.found]
    bare = [finding for one in each for finding in one.bare]
    return {
        "stream": stream,
        "streams": len(each),
        "alarms": len(alarms),
        "bare": len(bare),
        "windows": sum(one.windows for one in each),
        "causes": [f"window {f.window}, {f.windows} together: {f.cause}" for f in alarms],
        "bare_causes": [f"window {f.window}, {f.windows} together: {f.cause}" for f in bare],
    }


if __name__ == "__main__":
    main()
