"""Compares the classifier of domains with scikit-learn's on the same folds of labelled texts.

python bench/domain_classifier.py NAME=PATH... [--json]
"""

import argparse
import json
import time
import zlib
from typing import Any

import numpy as np

from gnomon.data.classification.classifier import FOLDS, train_classifier
from gnomon.verbs.classify import labelled


def main() -> None:
    """Print accuracy, macro-F1 and seconds of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("labelled", nargs="+")
    parser.add_argument("--text-field", default="text")
    parser.add_argument("--label-field", default="domain")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    examples = list(dict.fromkeys(labelled(args.labelled, args.text_field, args.label_field)))
    started = time.perf_counter()
    ours = train_classifier(examples)
    taken = time.perf_counter() - started
    found: dict[str, Any] = {"gnomon": [ours.accuracy, ours.macro_f1, taken]}
    found |= peers(examples)
    if args.json:
        print(json.dumps({"texts": ours.texts, "results": found}))
        return
    print(f"{len(examples):,} texts of {len(ours.texts)} labels\n{'':<14} accuracy  macro-F1  seconds")
    for name, (accuracy, f1, seconds) in found.items():
        print(f"{name:<14} {accuracy:>8.4f}  {f1:>8.4f}  {seconds:>7.2f}")


def peers(examples: list[tuple[str, str]]) -> dict[str, list[float]]:
    """Return the same of scikit-learn's classifiers over hashed words and pairs; nothing where it is missing."""
    try:
        from sklearn.feature_extraction.text import HashingVectorizer  # pyright: ignore[reportMissingImports]
        from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingImports]
        from sklearn.metrics import accuracy_score, f1_score  # pyright: ignore[reportMissingImports]
        from sklearn.naive_bayes import MultinomialNB  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    texts, labels = [text[:8192] for text, _ in examples], np.array([label for _, label in examples])
    fold = np.array([zlib.crc32(text.encode()) % FOLDS for text, _ in examples])
    kinds: dict[str, Any] = {
        "MultinomialNB": (MultinomialNB(alpha=0.05), {"binary": True, "norm": None}),
        "logistic": (LogisticRegression(max_iter=200, C=10), {}),
    }
    found = {}
    for name, (model, options) in kinds.items():
        started = time.perf_counter()
        vectors: Any = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 18, alternate_sign=False, **options)
        rows, said = vectors.transform(texts), labels.copy()
        for i in range(FOLDS):
            model.fit(rows[fold != i], labels[fold != i])
            said[fold == i] = model.predict(rows[fold == i])
        scores = [float(accuracy_score(labels, said)), float(f1_score(labels, said, average="macro"))]
        found[name] = [*scores, time.perf_counter() - started]
    return found


if __name__ == "__main__":
    main()
