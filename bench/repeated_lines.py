"""Repeated lines: speed beside a plain dict of lines and datatrove's sentence deduplication on lines.

    python bench/repeated_lines.py wikipedia.jsonl.zst --megabytes 20

The same text for each, with lines planted that many records have, one process with one thread each, in turn, medians
of processor time. Hashing is from text to a number for each line; the whole is from text to texts without the lines
that stand in more than one record (the first keeps them). The dict and ours must cut the same bytes; datatrove folds
lines in its own way and knows no shortest line. A peer that is not installed is told and left out.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from gnomon.data.duplicates.lines import lines_of, repeated, without
from gnomon.data.reading.read import find_sources, read_records

PEERS = {"ours": "numpy", "dict": "json", "datatrove": "datatrove spacy xxhash"}
CHARACTERS = 30
BATCH_TEXTS = 1000


def texts_of(path: str, megabytes: float) -> list[str]:
    """Return the first texts of a file, this much of them, a third of them with one to three lines of boilerplate."""
    draw, texts, size = random.Random(0), list[str](), 0
    often = [
        f"{i}: share this page with your friends, read our terms, and subscribe to the letter." for i in range(300)
    ]
    records = (r for s in find_sources([path]) for r in read_records(s, "text", lambda _: None, lambda _: None))
    for record in records:
        lines = record.text.split("\n")
        for line in draw.choices(often, k=draw.randrange(1, 4)) if draw.random() < 1 / 3 else ():
            lines.insert(draw.randrange(len(lines) + 1), line)
        texts.append("\n".join(lines))
        size += len(texts[-1].encode())
        if size >= megabytes * 1e6:
            break
    return texts


def ours(texts: list[str], whole: bool) -> int:
    """Return how many lines count, or the bytes that are cut."""
    parts = [lines_of(texts[i : i + BATCH_TEXTS], CHARACTERS) for i in range(0, len(texts), BATCH_TEXTS)]
    if not whole:
        return sum(len(part.at) for part in parts)
    records = [part.text[part.at] + i * BATCH_TEXTS for i, part in enumerate(parts)]
    found = repeated(np.concatenate([part.hashes for part in parts]), np.concatenate(records), 1)
    cut = 0
    for i, part in enumerate(
        parts
    ):  # texts that lose a line are hashed again, for a preparation keeps no lines in memory
        losing = np.unique(records[i][found.goes(part.hashes, records[i])])
        some = [texts[record] for record in losing]
        again = lines_of(some, CHARACTERS)
        changed = without(some, again, found.goes(again.hashes, losing[again.text[again.at]]))
        cut += sum(len(some[n].encode()) - len(left.encode()) for n, (left, _) in changed.items())
    return cut


def folded(line: str) -> str:
    """Return what equal lines have in common, in plain Python."""
    line = line if line.isascii() else unicodedata.normalize("NFC", line).casefold()
    return "".join(line.lower().split())


def plain(texts: list[str], whole: bool) -> int:
    """Do it with one dict: in how many records each line is, and the first of them."""
    known: dict[bytes, list[int]] = {}
    number_of = 0
    for record, text in enumerate(texts):
        for line in text.split("\n"):
            if len(key := folded(line)) >= CHARACTERS:
                number_of += 1
                said = known.setdefault(key.encode(), [0, record, -1])
                said[0], said[2] = said[0] + (said[2] != record), record
    cut = 0
    for record, text in enumerate(texts if whole else ()):
        kept, lost, blank = list[str](), False, list[str]()
        parts = [line + "\n" for line in text.split("\n")]
        parts[-1] = parts[-1][:-1]
        for line in parts:
            if not (key := folded(line)):
                blank += [] if lost else [line]
                continue
            count, first, _ = known.get(key.encode(), (0, record, 0))
            lost = count > 1 and first != record
            if not lost:
                kept += [*blank, line]
                blank.clear()
        cut += len(text.encode()) - len("".join(kept if lost else kept + blank).encode())
    return cut if whole else number_of


def datatrove(texts: list[str], whole: bool) -> int:
    """Run datatrove's own steps, which write to a folder."""
    from datatrove.data import Document  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.dedup import sentence_dedup as theirs  # pyright: ignore[reportMissingImports]
    from datatrove.utils.logging import logger  # pyright: ignore[reportMissingImports]

    logger.remove()
    config = theirs.SentDedupConfig(
        n_sentences=1, split_sentences=False, only_dedup_in_index=False, min_doc_words=0, min_num_sentences=0
    )
    with tempfile.TemporaryDirectory() as folder:
        signatures, found = f"{folder}/signatures", f"{folder}/found"
        documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
        theirs.SentenceDedupSignature(signatures, config=config).run(documents)  # pyright: ignore[reportArgumentType]
        if not whole:
            return len(texts)
        theirs.SentenceFindDedups(signatures, found, config=config).run()
        left = theirs.SentenceDedupFilter(found, config=config).run(documents)  # pyright: ignore[reportArgumentType]
        return sum(len(text.encode()) for text in texts) - sum(len(d.text.encode()) for d in left)


RUNS: dict[str, Callable[[list[str], bool], int]] = {"ours": ours, "dict": plain, "datatrove": datatrove}


def one(arguments: argparse.Namespace) -> dict[str, float]:
    """Return what one takes of the text, in this process."""
    texts, run = texts_of(arguments.file, arguments.megabytes), RUNS[arguments.one]
    run(texts[:20], arguments.whole)  # loads what is loaded once
    start = time.process_time()
    answer = run(texts, arguments.whole)
    seconds = time.process_time() - start
    return {"mb_s": sum(len(t.encode()) for t in texts) / 1e6 / seconds, "answer": answer}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="records with a text")
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=sorted(PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments)))
        return
    names = [name for name, packages in PEERS.items() if all(map(find_spec, packages.split()))]
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, arguments.file, "--megabytes", str(arguments.megabytes), "--one"]
    found: dict[str, Any] = {"not installed": sorted(set(PEERS) - set(names))}
    for step, more in (("hashing", ()), ("whole", ("--whole",))):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for name in names * arguments.rounds:
            done = subprocess.run([*command, name, *more], check=True, stdout=subprocess.PIPE, text=True, env=single)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
        found[step] = {n: {k: statistics.median(r[k] for r in rs) for k in rs[0]} for n, rs in runs.items()}
    assert found["whole"]["ours"]["answer"] == found["whole"]["dict"]["answer"], "the same bytes are cut"
    if arguments.json:
        print(json.dumps(found))
        return
    for step in ("hashing", "whole"):
        first = found[step]["ours"]["mb_s"]
        for name, value in found[step].items():
            rate = f"{value['mb_s']:8.2f} MB/s"
            said = f"{value['answer']:12,.0f} {'bytes cut' if step == 'whole' else 'lines'}"
            print(f"{step:9}{name:11}{rate}{said}   ours {first / value['mb_s']:.1f} times as fast")
    print("not installed:", ", ".join(found["not installed"]) or "none")


if __name__ == "__main__":
    main()
