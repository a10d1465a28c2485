"""A classifier gives the label that naive Bayes gives, and its labels become domains."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import DataConfig, DomainConfig, TokenizerConfig
from gnomon.data.classification.classifier import BUCKETS, SMOOTHING, features, load_classifier, train_classifier
from gnomon.data.prepare import prepare
from gnomon.verbs.classify import labelled

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


@pytest.mark.parametrize("label", ["web/../x\n", ".a", "a/b", "a\tb", "x" * 101, ""])
def test_a_label_that_cannot_name_a_domain_is_refused_where_it_is_learned_and_where_it_is_read(
    tmp_path: Path, label: str
) -> None:
    with pytest.raises(ValidationError, match=r"cannot name a domain|at least 1|at most 100"):
        DomainConfig(domain=label, path="x")
    with pytest.raises(DataError, match="cannot name a domain") as refused:
        train_classifier([("cow", "farm"), ("ship", label)])
    assert repr(label) in refused.value.what and refused.value.where == "example 2"
    good = train_classifier(examples(20, 1)).classifier
    good.save(path := tmp_path / "kinds")
    head, _, packed = path.read_bytes().partition(b"\n")
    path.write_bytes(canonical_json(json.loads(head) | {"labels": ["farm", label]}) + b"\n" + packed)
    with pytest.raises(IntegrityError, match="cannot name a domain") as refused:
        load_classifier(path)
    assert repr(label) in refused.value.what and refused.value.where == str(path)


def test_labels_of_a_file_are_a_list_of_words(tmp_path: Path) -> None:
    train_classifier(examples(20, 1)).classifier.save(path := tmp_path / "kinds")
    head, _, packed = path.read_bytes().partition(b"\n")
    for labels in (["sea", 5], "ab", {"a": 1, "b": 2}):
        path.write_bytes(canonical_json(json.loads(head) | {"labels": labels}) + b"\n" + packed)
        with pytest.raises(IntegrityError):
            load_classifier(path)


def test_the_verb_names_the_record_whose_label_cannot_be(tmp_path: Path) -> None:
    records = [{"text": "cow", "domain": "farm"}, {"text": "ship", "domain": "web/../x\n"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for words, place in (([str(tmp_path / "a.jsonl")], "a.jsonl:2"), ([f".hidden={tmp_path / 'a.jsonl'}"], ".hidden=")):
        with pytest.raises(DataError, match="cannot name a domain") as refused:
            list(labelled(words, "text", "domain"))
        assert place in str(refused.value.where)
    done = CliRunner().invoke(
        app, ["data", "classify", "train", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "k")]
    )
    assert isinstance(done.exception, DataError) and not (tmp_path / "k").exists()
