"""From files of questions to heads that know their types, by the command line alone; and their scores, found slowly."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.base.errors import ConfigError
from gnomon.base.progress import silent
from gnomon.bundle import load_bundle, mark_kinds
from gnomon.evaluate.questions import score_questions
from gnomon.model.reading import read
from gnomon.refit.heads import digest_of
from gnomon.train.state import read_numbers
from tests.world import gnomon, small_config, write_corpus

FORMS = {"Who met {}?": "HUM:ind", "When did {} begin?": "NUM:date", "How many had {}?": "NUM:count"}


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        form, fine = draw.choice(list(FORMS.items()))
        posed = draw.random() < 0.5
        name = "".join(draw.choices("abcdefgh", k=4)) if posed else "".join(draw.choices("stuvwxyz", k=4))
        found.append({"question": form.format(name), "fine_type": fine, "well_posed": posed})
    return found


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    write_corpus(folder / "texts")
    sources = [
        {"paths": str(folder / "texts"), "name": "texts"},
        {"paths": str(write(folder / "q.jsonl", questions(600, 1))), "name": "asked", "form": "questions"},
    ]
    config = small_config(
        folder,
        data={"train": [], "sources": sources, "dedup": {"near": None}},
        heads={"router": True, "types": True, "gradient_share": 1.0},
        mix={"weights": {"texts": 1, "asked": 3}},
        budget="120K tokens",
        export={"gguf": [], "hf": False},
    )
    done = gnomon("train", config)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_what_was_in_the_labels_is_said_of_new_questions(run: Path, tmp_path: Path) -> None:
    done = gnomon("eval", run, "--questions", write(tmp_path / "new.jsonl", questions(300, 2)), "--json")
    found = json.loads(done.stdout.splitlines()[-1])["questions"]
    print(found)
    assert found["questions"] == 300 and found["too_long"] == 0
    assert found["types"]["fine_accuracy"] > 0.9 > 2 * found["types"]["commonest"]
    assert found["types"]["coarse_accuracy"] >= found["types"]["fine_accuracy"]
    asked = {"well_posed", "known", "retrieve"}  # nothing ill posed is known or found
    assert found["signals"].keys() == asked | {f"opening_{name}" for name in asked}
    assert found["signals"]["known"]["auroc"] is None, "no question is labelled as known"
    assert found["signals"]["well_posed"]["auroc"] > 0.9


def test_scores_are_those_counted_by_hand(run: Path, tmp_path: Path) -> None:
    records = [*questions(40, 3), {"question": "Why " * 90}, {"question": "And what is unknown?"}]
    records[0] |= {"type": "person"}
    bundle = load_bundle(run)
    found = score_questions(bundle, write(tmp_path / "some.jsonl", records), silent)
    assert (found["questions"], found["too_long"]) == (41, 1)
    kinds, right, six, sure, brier = mark_kinds(bundle.tokenizer), 0, 0, [], 0.0
    for record in records[:40]:
        ids = bundle.tokenizer.encode(" " + record["question"])
        mark = {kind: i for i, kind in kinds.items()}[0]
        opening = bundle.tokenizer.special_id("<|q|>")
        (said,) = read(bundle.model, [bundle.tokenizer.end_of_text, opening, *ids, mark], kinds)[1]
        best = max(said.fine, key=lambda name: said.fine[name])
        sums = {c: math.fsum(p for n, p in said.fine.items() if n.startswith(c)) for c in ("HUM", "NUM", "DESC")}
        right += best == record["fine_type"]
        six += max(sums, key=lambda c: sums[c]) == record["fine_type"].partition(":")[0]
        sure.append(said.router["well_posed"])
        brier += (said.router["well_posed"] - record["well_posed"]) ** 2
    assert found["types"]["fine_accuracy"] == pytest.approx(right / 40)
    assert found["types"]["coarse_accuracy"] == pytest.approx(six / 40)
    assert found["signals"]["well_posed"]["brier"] == pytest.approx(brier / 40, abs=1e-5)
    assert found["signals"]["well_posed"]["yes"] == sum(record["well_posed"] for record in records[:40]) / 40


@pytest.mark.parametrize(
    ("lines", "why"),
    [('{"question": "Who?"}\n', "nothing is known"), ('{"question": "Who?"}\n{"text": 1}\n', ":2"), ("", "nothing")],
)
def test_files_without_use_are_refused(run: Path, tmp_path: Path, lines: str, why: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(lines)
    done = gnomon("eval", run, "--questions", path)
    assert done.returncode == 3 and why in done.stderr


def others(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with other types than the run has learned, each for one."""
    other = {"HUM:ind": "HUM:gr", "NUM:date": "NUM:money", "NUM:count": "NUM:dist"}
    return [record | {"fine_type": other[record["fine_type"]]} for record in records]


def test_heads_fitted_anew_are_a_run_of_their_own_over_the_same_weights(run: Path, tmp_path: Path) -> None:
    asked, out = write(tmp_path / "more.jsonl", others(questions(1200, 4))), tmp_path / "fitted"
    done = gnomon("heads", "fit", run, "--questions", asked, "--epochs", "40", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    before, after = load_bundle(run), load_bundle(out)
    assert all(torch.equal(tensor, after.weights[name]) for name, tensor in before.weights.items())
    was, said = before.checkpoint.manifest.metrics, after.checkpoint.manifest.metrics
    assert said["trunk"] == said["trunk_before"] == digest_of(before.weights)
    assert was.items() <= said.items() and after.checkpoint.state() == before.checkpoint.state()
    assert not all(torch.equal(after.model.state_dict()[n], t) for n, t in before.model.state_dict().items())
    assert gnomon("verify", out).returncode == 0
    assert score_questions(after, asked, silent)["types"]["fine_accuracy"] > 0.9
    assert gnomon("heads", "fit", run, "--questions", asked, "--out", out).returncode == ConfigError.exit_code


def test_a_model_that_learned_too_is_a_run_of_its_own_and_says_what_that_cost(run: Path, tmp_path: Path) -> None:
    asked, out = write(tmp_path / "more.jsonl", others(questions(300, 4))), tmp_path / "tuned"
    done = gnomon("heads", "fit", run, "--trunk", "--questions", asked, "--epochs", "24", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    found, before, after = json.loads(done.stdout.splitlines()[-1]), load_bundle(run), load_bundle(out)
    assert not any(torch.equal(t, after.weights[name]) for name, t in before.weights.items() if name != "norm.weight")
    said = after.checkpoint.manifest.metrics
    assert said["trunk"] == digest_of(after.weights) and said["trunk_before"] == digest_of(before.weights)
    validated = {"best_loss", "is_best"}
    assert validated <= before.checkpoint.manifest.metrics.keys() and not validated & said.keys()
    numbers = read_numbers(after.checkpoint)
    assert numbers.best_loss == "inf" and numbers.step == before.checkpoint.step
    assert found["altered"] == 0 and found["epoch"] == 24 and found["language"] == said["language"]
    whole = json.loads(gnomon("eval", run, "--json").stdout.splitlines()[-1])
    assert found["language_before"] == pytest.approx(whole["loss"], rel=0.02), "nearly all of so short a held-out part"
    assert gnomon("verify", out).returncode == 0
    assert score_questions(after, asked, silent)["types"]["fine_accuracy"] > 0.9
