"""A classifier gives the label that naive Bayes gives, and its labels become domains."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.classifier import BUCKETS, SMOOTHING, features, load_classifier, train_classifier
from gnomon.data.prepare import prepare

WORDS = {
    "sea": "wave ship harbour tide sail anchor the and".split(),
    "farm": "cow field plough barn hay the and".split(),
}


def examples(count: int, seed: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    labels = [rng.choice(list(WORDS)) for _ in range(count)]
    return [(" ".join(rng.choices(WORDS[label], k=8)) + f" {i}", label) for i, label in enumerate(labels)]


def test_it_judges_as_naive_bayes_does_and_the_order_of_examples_is_nothing_to_it(tmp_path: Path) -> None:
    given = examples(80, 1)
    trained = train_classifier(given)
    assert trained.accuracy > 0.95
    train_classifier(given[::-1]).classifier.save(tmp_path / "again")
    trained.classifier.save(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "again").read_bytes()
    asked = [text for text, _ in examples(40, 2)] + ["", "?", "the cow the sea"]
    slow = []
    for text in asked:
        scores = []
        for label in sorted(WORDS):
            mine = [set(features(t).tolist()) for t, own in given if own == label]
            total = sum(map(len, mine)) + SMOOTHING * BUCKETS
            score = math.log((len(mine) + 1) / (len(given) + len(WORDS)))
            for bucket in set(features(text).tolist()):
                score += math.log((sum(bucket in held for held in mine) + SMOOTHING) / total)
            scores.append(score)
        slow.append(int(np.argmax(scores)))
    loaded, _ = load_classifier(tmp_path / "one")
    assert loaded.classify(asked).tolist() == slow


def test_its_labels_are_domains_of_what_no_rule_is_true_of(tmp_path: Path) -> None:
    train_classifier(examples(80, 1)).classifier.save(tmp_path / "kinds")
    (tmp_path / "web.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t, _ in examples(60, 3)))
    said = {"train": str(tmp_path / "web.jsonl"), "domain_classifier": str(tmp_path / "kinds"), "name": "web"}
    said |= {"domains": [{"domain": "even", "matches": "[02468]$"}], "dedup": {"near": None}}
    digests = set()
    for workers in (1, 2):
        data = DataConfig.model_validate(said | {"workers": workers, "root": str(tmp_path / f"{workers}")})
        dataset = prepare(data, TokenizerConfig(), 512, silent)
        digests.add(dataset.digest)
    counts = {name: f["in"][0] for name, f in dataset.manifest["flow"].items()}
    odd = [label for i, (_, label) in enumerate(examples(60, 3)) if i % 2]
    assert counts == {"web/even": 30, "web/farm": odd.count("farm"), "web/sea": odd.count("sea")}
    assert len(digests) == 1


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two labels"):
        train_classifier([("a", "x")])
    with pytest.raises(DataError, match="no classifier"):
        load_classifier(tmp_path / "none")
    (tmp_path / "bad").write_text("{}\nxyz")
    with pytest.raises(IntegrityError, match="no classifier"):
        load_classifier(tmp_path / "bad")
