"""Semantic duplicates: speed, and how well labelled pairs are told apart, beside peers that download no model.

    python bench/semantic_duplicates.py wikipedia.jsonl.zst --documents 20000 --labelled near.jsonl.gz webnlg.jsonl.gz

Speed, one process with one thread, in turn: embedding (ours; scikit-learn's TfidfVectorizer with TruncatedSVD of 256,
if it is installed), and our whole tier from text to what goes at 0.9 (learning included), beside near duplicates at
0.7. Records are cut at lines, and lines of less than 80 characters left out.

Quality: ROC AUC, average precision and the best F1 over all thresholds. Of --labelled records {a, b, relation}, pairs
that are near_duplicate against the others. Of records {triples, texts}, two texts of one record (the same facts in
other words) against texts of records that share a subject and not all facts. "few words": the pairs that share less
than 40 % of their words. Vectors of words are learned from the file of the speed test.
"""

import argparse
import gzip
import json
import os
import random
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # before numpy starts its threads

import numpy as np

from gnomon.data.duplicates.minhash import shingle_sets
from gnomon.data.duplicates.near import clusters, jaccard
from gnomon.data.duplicates.semantic import leaders, search
from gnomon.data.reading.read import find_sources, read_records
from gnomon.embed.embedder import UNIT
from gnomon.embed.place import open_embedder
from gnomon.embed.static import StaticEmbedder

SAMPLE_BYTES = 16 << 20
Pairs = list[tuple[int, int]]


def texts_of(path: str, documents: int) -> list[str]:
    """Return the first lines of a file's records that have 80 characters or more."""
    texts: list[str] = []
    for source in find_sources([path]):
        for record in read_records(source, "text", lambda _: None, lambda _: None):
            texts += [line for line in record.text.splitlines() if len(line) >= 80]
            if len(texts) >= documents:
                return texts[:documents]
    return texts


def sample_of(texts: list[str]) -> list[str]:
    """Return the first 16 MB."""
    sizes = np.cumsum([len(text) for text in texts])
    return texts[: int(np.searchsorted(sizes, SAMPLE_BYTES)) + 1]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and what it returned."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def tfidf(fit: list[str], texts: list[str]) -> tuple[float, np.ndarray]:
    """Return scikit-learn's vectors of length 1, and the seconds of embedding alone."""
    from sklearn.decomposition import TruncatedSVD  # pyright: ignore[reportMissingImports]
    from sklearn.feature_extraction.text import TfidfVectorizer  # pyright: ignore[reportMissingImports]

    words, svd = TfidfVectorizer(max_features=50_000, sublinear_tf=True), TruncatedSVD(256, random_state=0)
    svd.fit(words.fit_transform(fit))
    seconds, found = timed(lambda: svd.transform(words.transform(texts)))
    return seconds, found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def speeds(texts: list[str]) -> tuple[dict[str, Any], StaticEmbedder]:
    """Return documents and MB a second, and seconds of the whole tier."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    learning, embedder = timed(lambda: StaticEmbedder.learned(sample_of(texts)))
    embedder.embed(texts[:100])
    embedding, vectors = timed(lambda: embedder.embed(texts))
    comparing, (found, cells) = timed(lambda: search(vectors, 0.9))
    gone, _ = leaders(found.pairs)
    near, duplicates = timed(lambda: clusters(texts, 0.7))
    result: dict[str, Any] = {"documents": len(texts), "megabytes": round(size, 2), "learning_s": round(learning, 2)}
    result["embedding"] = {"documents_s": round(len(texts) / embedding), "mb_s": round(size / embedding, 1)}
    result["comparing_s"] = round(comparing, 2)
    result["cells"] = 1 if cells is None else int(cells.max()) + 1
    result["whole_s"] = round(learning + embedding + comparing, 2)
    result["goes"] = len(gone)
    result["near_duplicates"] = {"whole_s": round(near, 2), "clusters": len(duplicates.clusters)}
    if find_spec("sklearn"):
        seconds, _ = tfidf(sample_of(texts)[:20_000], texts)
        result["tfidf_svd"] = {"documents_s": round(len(texts) / seconds), "mb_s": round(size / seconds, 1)}
        result["times_as_fast_as_tfidf_svd"] = round(seconds / embedding, 1)
    return result, embedder


def labelled(path: str) -> tuple[list[str], Pairs, Pairs]:
    """Return texts, pairs that say the same, and pairs that do not."""
    data = Path(path).read_bytes()
    records = [json.loads(line) for line in (gzip.decompress(data) if path.endswith(".gz") else data).splitlines()]
    if "relation" in records[0]:
        texts = [record[side] for record in records for side in "ab"]
        label = [record["relation"] == "near_duplicate" for record in records]
        pairs = [(2 * i, 2 * i + 1) for i in range(len(records))]
        return (
            texts,
            [p for p, near in zip(pairs, label, strict=True) if near],
            [p for p, near in zip(pairs, label, strict=True) if not near],
        )
    return _restated(records)


def _restated(records: list[dict[str, Any]]) -> tuple[list[str], Pairs, Pairs]:
    draw, texts, about = random.Random(0), list[str](), dict[str, set[int]]()
    mine: list[list[int]] = []
    for i, record in enumerate(records):
        mine.append(list(range(len(texts), len(texts) + len(record["texts"]))))
        texts += record["texts"]
        for subject, _, _ in record["triples"]:
            about.setdefault(subject, set()).add(i)
    facts = [{tuple(triple) for triple in record["triples"]} for record in records]
    same = [pair for numbers in mine for pair in combinations(numbers, 2)]
    other = []
    for i, record in enumerate(records):
        near = sorted(set().union(*(about[subject] for subject, _, _ in record["triples"])) - {i})
        near = [j for j in near if facts[j] != facts[i]]
        draw.shuffle(near)
        other += [(draw.choice(mine[i]), draw.choice(mine[j])) for j in near[:3]]
    return texts, same, other


def scores(same: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return how well a number that is higher for pairs that say the same tells them from others."""
    values = np.concatenate([same, other])
    ordered = np.sort(values)
    ranks = (np.searchsorted(ordered, same, "left") + np.searchsorted(ordered, same, "right") + 1) / 2
    auc = (ranks.sum() - len(same) * (len(same) + 1) / 2) / (len(same) * len(other))
    found = np.array([(same >= value).sum() for value in np.unique(values)[::-1]])
    told = np.array([(values >= value).sum() for value in np.unique(values)[::-1]])
    average = (np.diff(found, prepend=0) * found / told).sum() / len(same)
    best = int((2 * found / (told + len(same))).argmax())
    return {
        "auc": round(float(auc), 4),
        "average_precision": round(float(average), 4),
        "f1": round(float(2 * found[best] / (told[best] + len(same))), 4),
        "precision": round(float(found[best] / told[best]), 4),
        "recall": round(float(found[best] / len(same)), 4),
        "at": round(float(np.unique(values)[::-1][best]), 3),
    }


def quality(path: str, embedders: dict[str, Any], fit: list[str]) -> dict[str, Any]:
    """Return the scores of each way to compare, over all labelled pairs and over those that share few words."""
    texts, same, other = labelled(path)
    bags = [{word.strip(".,;:!?\"'()").lower() for word in text.split()} for text in texts]
    pairs = np.array(same + other)
    share = np.array([len(bags[a] & bags[b]) / max(1, len(bags[a] | bags[b])) for a, b in pairs])
    values = {"minhash's jaccard": jaccard(pairs, shingle_sets(texts)), "shared words": share}
    for name, embedder in embedders.items():
        vectors = embedder.embed(texts).astype(np.float64)
        values[name] = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1) / UNIT**2
    if find_spec("sklearn"):
        _, vectors = tfidf(fit, texts)
        values["tfidf_svd"] = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1)
    label = np.arange(len(pairs)) < len(same)
    few = share < 0.4
    found: dict[str, Any] = {
        "same": len(same),
        "other": len(other),
        "few words": [int((few & label).sum()), int((few & ~label).sum())],
    }
    for name, value in values.items():
        found[name] = {"all": scores(value[label], value[~label])}
        if (few & label).sum() > 20:
            found[name]["few words"] = scores(value[label & few], value[~label & few])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="texts, as `gnomon data prepare` reads them")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--labelled", nargs="*", default=[], help="files of labelled pairs")
    parser.add_argument("--embedder", help="a sentence model to measure too: a folder, or name@commit")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = texts_of(arguments.file, arguments.documents)
    speed, static = speeds(texts)
    found: dict[str, Any] = {"speed": speed}
    embedders: dict[str, Any] = {"static": static}
    if arguments.embedder:
        embedders["sentence model"] = open_embedder(arguments.embedder)
    for path in arguments.labelled:
        found[Path(path).name] = quality(path, embedders, sample_of(texts)[:20_000])
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(name)
        for what, said in value.items():
            print(f"  {what:20} {json.dumps(said)}")


if __name__ == "__main__":
    main()
