"""Near duplicates: speed beside datatrove, datasketch and rensa, and what is found of duplicates that are known.

    python bench/near_duplicates.py wikipedia.jsonl.zst --megabytes 8 --labelled near_duplicates.jsonl.gz

Speed: the same text for each, one process with one thread each, in turn, medians. Signatures are from text to MinHash
band by band (14 bands of 8 rows, as datatrove has them); the whole is from text to clusters (ours at 0.7, every pair
verified; theirs without verification). A peer that is not installed is told and left out.

Quality: edits of several kinds and rates planted in the text, truth by plain Python sets of word 5-grams; and, of
`--labelled` records {a, b, jaccard, relation}, how well "near_duplicate or not" is told at 0.5.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.data.duplicates.minhash import Bands, band_hashes, shingle_sets
from gnomon.data.duplicates.near import clusters, components, jaccard
from gnomon.data.reading.read import find_sources, read_records

PEERS = {"ours": "numpy", "datatrove": "datatrove spacy xxhash", "datasketch": "datasketch", "rensa": "rensa"}
BANDS = Bands(14, 8)
WORD = re.compile(r"[\u3040-\u9fff]|[0-9a-z\u00c0-\u1fff\u2c00-\u2fff\ua000-\U0010ffff]+")
LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
RATES = (0.002, 0.01, 0.03, 0.06, 0.12)


def texts_of(path: str, megabytes: float) -> list[str]:
    """Return the first texts of a file, this much of them."""
    texts, size = [], 0
    for source in find_sources([path]):
        for record in read_records(source, "text", lambda _: None, lambda _: None):
            texts.append(record.text)
            size += len(record.text.encode())
            if size >= megabytes * 1e6:
                return texts
    return texts


def shingles(text: str) -> list[str]:
    """Return word 5-grams in plain Python."""
    words = WORD.findall(text.translate(LOWER))
    return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))] if words else []


def ours(texts: list[str], whole: bool) -> int:
    """Return the number of clusters, or of band hashes."""
    return len(clusters(texts, 0.7).clusters) if whole else band_hashes(texts, BANDS).size


def datatrove(texts: list[str], whole: bool) -> int:
    """Run datatrove's own steps, which write to a folder."""
    from datatrove.data import Document  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.dedup import minhash  # pyright: ignore[reportMissingImports]
    from datatrove.utils.logging import logger  # pyright: ignore[reportMissingImports]

    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        signatures, buckets, removed = (f"{folder}/{name}" for name in ("signatures", "buckets", "removed"))
        documents = (Document(text=text, id=str(i)) for i, text in enumerate(texts))
        minhash.MinhashDedupSignature(signatures).run(documents)  # pyright: ignore[reportArgumentType]
        if whole:
            for band in range(BANDS.count):
                minhash.MinhashDedupBuckets(signatures, buckets).run(None, band, BANDS.count)  # pyright: ignore[reportArgumentType]
            minhash.MinhashDedupCluster(buckets, removed).run()
        return len(os.listdir(folder))


def datasketch(texts: list[str], whole: bool) -> int:
    """Take datasketch's signatures in batches of a document's shingles, then its index."""
    from datasketch import MinHash, MinHashLSH  # pyright: ignore[reportMissingImports]

    index = MinHashLSH(params=(BANDS.count, BANDS.rows), num_perm=BANDS.count * BANDS.rows)
    pairs = []
    for number, text in enumerate(texts):
        one = MinHash(BANDS.count * BANDS.rows)
        one.update_batch([shingle.encode() for shingle in shingles(text)])
        if whole:
            pairs += [(other, number) for other in index.query(one)]
            index.insert(number, one)
    components(len(texts), np.array(pairs, np.int64).reshape(-1, 2))
    return len(pairs)


def rensa(texts: list[str], whole: bool) -> int:
    """Take rensa's signatures, then its index."""
    from rensa import RMinHash, RMinHashLSH  # pyright: ignore[reportMissingImports]

    index = RMinHashLSH(0.7, BANDS.count * BANDS.rows, BANDS.count)
    pairs = []
    for number, text in enumerate(texts):
        one = RMinHash(BANDS.count * BANDS.rows, 0)
        one.update(shingles(text))
        if whole:
            pairs += [(other, number) for other in index.query(one)]
            index.insert(number, one)
    components(len(texts), np.array(pairs, np.int64).reshape(-1, 2))
    return len(pairs)


def one(arguments: argparse.Namespace) -> dict[str, float]:
    """Return what one takes of the text, in this process."""
    texts = texts_of(arguments.file, arguments.megabytes)
    run: Callable[[list[str], bool], int] = globals()[arguments.one]
    run(texts[:20], arguments.whole)  # loads what is loaded once
    start = time.perf_counter()
    run(texts, arguments.whole)
    seconds = time.perf_counter() - start
    return {"mb_s": sum(len(t.encode()) for t in texts) / 1e6 / seconds, "documents_s": len(texts) / seconds}


def speeds(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the medians for each that is installed."""
    found: dict[str, Any] = {}
    names = [name for name, packages in PEERS.items() if all(map(find_spec, packages.split()))]
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, __file__, arguments.file, "--megabytes", str(arguments.megabytes), "--one"]
    for whole in ((), ("--whole",)):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name in names:
                done = subprocess.run(
                    [*command, name, *whole], check=True, stdout=subprocess.PIPE, text=True, env=single
                )
                runs[name].append(json.loads(done.stdout.splitlines()[-1]))
        medians = {n: {k: statistics.median(r[k] for r in rs) for k in rs[0]} for n, rs in runs.items()}
        found["whole" if whole else "signatures"] = medians
    found["not installed"] = sorted(set(PEERS) - set(names))
    return found


def edited(text: str, kind: str, rate: float, draw: random.Random) -> str:
    """Return the text with an edit at this share of its words; "looks" touches no word's letters."""
    out: list[str] = []
    for word in text.split():
        if draw.random() >= rate:
            out.append(word)
        elif kind == "words":
            out.append(f"word{draw.randrange(10**6)}")
        elif kind == "added":
            out += [word, f"word{draw.randrange(10**6)}"]
        elif kind == "looks":
            out.append(draw.choice([word.upper(), word + ",", "“" + word + "”", "\n\n" + word]))
        elif kind == "moved":
            out.insert(draw.randrange(len(out) + 1), word)
    return " ".join(out)


def planted(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return recall, by kind of edit, and precision of pairs at two thresholds."""
    draw, texts, kinds = random.Random(0), [], {}
    for text in islice(texts_of(arguments.file, 4), 400):
        words = text.split()[: draw.randrange(60, 600)]
        texts.append(" ".join(words))
        kind, rate = draw.choice(["words", "added", "left out", "looks", "moved"]), draw.choice(RATES)
        kinds[len(texts) - 1, len(texts)] = kind
        texts.append(edited(texts[-1], kind, rate, draw))
    sets = [set(shingles(text)) for text in texts]
    with_it: dict[str, list[int]] = {}
    for number, one in enumerate(sets):
        for shingle in one:
            with_it.setdefault(shingle, []).append(number)
    both = Counter(pair for numbers in with_it.values() for pair in combinations(numbers, 2))
    true = {(a, b): n / (len(sets[a]) + len(sets[b]) - n) for (a, b), n in both.items()}
    result: dict[str, Any] = {}
    for threshold in (0.5, 0.7, 0.9):
        wanted = {pair for pair, value in true.items() if value >= threshold}
        near = clusters(texts, threshold)
        found = {(a, b): j for (a, b), j in zip(near.pairs.tolist(), near.jaccard.tolist(), strict=True)}
        by_kind = Counter(kinds.get(pair, "unplanted") for pair in wanted)
        hit = Counter(kinds.get(pair, "unplanted") for pair in wanted & found.keys())
        result[f"{threshold}"] = {
            "pairs": len(wanted),
            "recall": len(wanted & found.keys()) / len(wanted),
            "precision": len(wanted & found.keys()) / max(1, len(found)),
            "jaccard differs": max((abs(true.get(p, 0) - j) for p, j in found.items()), default=0.0),
            "compared": len(near.seen),
            "recall by kind": {kind: hit[kind] / n for kind, n in sorted(by_kind.items())},
        }
    return result


def labelled(path: str) -> dict[str, float]:
    """Return how well labelled pairs are told apart at 0.5, by the whole tier and by the Jaccard value alone."""
    import gzip

    data = Path(path).read_bytes()
    records = [json.loads(line) for line in (gzip.decompress(data) if path.endswith(".gz") else data).splitlines()]
    numbers = {text: i for i, text in enumerate(dict.fromkeys(r[side] for r in records for side in "ab"))}
    texts = list(numbers)
    near = clusters(texts, 0.5)
    found = {(a, b) for a, b in near.pairs.tolist()}
    pairs = [(numbers[r["a"]], numbers[r["b"]]) for r in records]
    own = jaccard(np.array(pairs), shingle_sets(texts))
    label = [r["relation"] == "near_duplicate" for r in records]
    told = [a == b or (min(a, b), max(a, b)) in found for a, b in pairs]
    apart = np.abs(own - np.array([r["jaccard"] for r in records]))
    return {
        "pairs": len(records),
        **scores(label, told),
        "macro-F1 by Jaccard alone": scores(label, (own >= 0.5).tolist())["macro-F1"],
        "jaccard differs, most": float(apart.max()),
        "jaccard differs, mean": float(apart.mean()),
    }


def scores(label: list[bool], told: list[bool]) -> dict[str, float]:
    """Return precision and recall of yes, and the mean of the F1 of yes and no."""
    f1 = {}
    for side in (True, False):
        right = sum(a == b == side for a, b in zip(label, told, strict=True))
        f1[side] = 2 * right / max(1, label.count(side) + told.count(side))
    right = sum(a and b for a, b in zip(label, told, strict=True))
    return {
        "precision": right / max(1, sum(told)),
        "recall": right / max(1, sum(label)),
        "macro-F1": (f1[True] + f1[False]) / 2,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="records with a text")
    parser.add_argument("--labelled", help="labelled pairs")
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=sorted(PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments)))
        return
    found: dict[str, Any] = {"speed": speeds(arguments), "planted": planted(arguments)}
    if arguments.labelled:
        found["labelled"] = labelled(arguments.labelled)
    if arguments.json:
        print(json.dumps(found))
        return
    for step in ("signatures", "whole"):
        first = found["speed"][step]["ours"]["mb_s"]
        for name, value in found["speed"][step].items():
            rate = f"{value['mb_s']:8.2f} MB/s {value['documents_s']:10,.0f} documents/s"
            print(f"{step:11}{name:11}{rate}   ours {first / value['mb_s']:.1f} times as fast")
    print("not installed:", ", ".join(found["speed"]["not installed"]) or "none")
    for threshold, value in found["planted"].items():
        print(f"planted at {threshold}: ", json.dumps(value))
    if arguments.labelled:
        print("labelled: ", json.dumps(found["labelled"]))


if __name__ == "__main__":
    main()
