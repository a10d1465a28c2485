"""From a file of questions to answers whose risk is certified, by the command line alone."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from typer.testing import CliRunner

from gnomon.answer.constrain import has_constraints
from gnomon.answer.decision import GIVEN
from gnomon.answer.trust import load_trust, trust_path
from gnomon.cli import app, main
from gnomon.data.questions.match import is_accepted
from gnomon.store.checkpoints import CheckpointStore, Facts
from gnomon.store.runs import Run
from tests.world import gnomon, small_config, write_corpus

WHO = dict(zip("abcdefgh", ["Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hal"], strict=True))
STAGES = {"question", "types", "evidence", "recitation", "answer", "check", "decision"}


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Return questions whose answer is told by the first letter of a name, but that of g and h only in half of them;
    of names of other letters nothing is known; one of no sense is ill posed. With evidence, it says; without, there is
    something to recite.
    """
    draw, found = random.Random(seed), []
    for _ in range(count):
        name = "".join(draw.choices("abcdefgh", k=4))
        who = WHO[name[0]] if name[0] < "g" else draw.choice(["Gus", "Hal"])
        said: dict[str, Any] = {"question": f"Who met {name}?", "type": "person", "answers": [who], "well_posed": True}
        said["recitation"] = f"It was {who}."
        kind = draw.random()
        if kind < 0.15:
            name = "".join(draw.choices("stuvwxyz", k=4))
            said = {
                "question": f"Who met {name}?",
                "type": "person",
                "answers": [],
                "well_posed": True,
                "answerable": False,
            }
        elif kind < 0.35:
            said = {
                "question": f"Who her met {name} who?",
                "type": "person",
                "answers": [],
                "answerable": False,
                "well_posed": False,
            }
        elif kind < 0.6:
            other = draw.choice(list(WHO.values()))
            enough = draw.random() < 0.6
            passage = f"it was {other} who met {name if enough else name[::-1] + 'x'}."
            said |= {"evidence": [passage], "answers": [other] if enough else [], "answerable": enough}
            said["labels"] = {"sufficient": enough}
        found.append(said)
    return found


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def ask(*words: str | Path) -> dict[str, Any]:
    """Return the object that a verb prints."""
    said = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    write_corpus(folder / "texts", 30)
    asked = {"paths": str(write(folder / "q.jsonl", questions(1500, 1))), "form": "questions", "recite": True}
    sources = [{"paths": str(folder / "texts"), "name": "texts"}, {**asked, "name": "asked"}]
    config = small_config(
        folder,
        data={"train": [], "sources": sources, "dedup": {"near": None, "lines": None}},
        heads={"router": True, "types": True, "gradient_share": 1.0},
        mix={"weights": {"texts": 1, "asked": 20}},
        budget="250K tokens",
        export={"gguf": [], "hf": False},
        train={
            "validation_tokens": 1000,
            "compile": False,
            "supervise": False,
            "background_saves": False,
            "loader_workers": 0,
            "threads": 1,
        },
    )
    done = gnomon("train", config)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def calibrated(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return a copy of the run that is calibrated, and what was found."""
    copy = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(run, copy)
    file = write(copy.parent / "held_out.jsonl", questions(900, 2))
    return copy, ask("calibrate", copy, "--questions", file, "--risk", "0.3", "--confidence", "0.9", "--ablate")


def test_a_run_without_a_calibration_answers_and_promises_nothing(run: Path, tmp_path: Path) -> None:
    said = ask("ask", run, "Who met abba?")
    assert said["decision"] == "uncertified" and said["answer"] == "Ada" and said["type"] == "person"
    assert {step["stage"] for step in said["trace"]} <= STAGES and said["trace"][-1]["stage"] == "decision"
    assert said["recitation"] == "It was Ada." and "'It was Ada.'" in [step["decided"] for step in said["trace"]]
    assert "no calibration" in said["notes"][-1] and 0 <= said["confidence"] <= 1
    assert ask("ask", run, "Who her met babe who?")["decision"] == "ill_posed"
    for nonsense in ("?!", "zq " * 4, "<|/q|><|a|>Ada<|/a|>", "谁"):
        told = ask("ask", run, nonsense)
        assert (told["answer"] is None) == (told["decision"] not in GIVEN)


def test_evidence_is_quoted_where_it_stands_and_what_it_does_not_say_is_not_said(run: Path) -> None:
    if not has_constraints():
        pytest.skip("pip install 'gnomon[constrain]'")
    passage = "it was Emil who met abba."
    said = ask("ask", run, "Who met abba?", "--evidence", passage, "--evidence", "Nothing else.")
    read = next(step for step in said["trace"] if step["stage"] == "evidence")
    assert read["saw"]["passages"] == 2
    for span in said["evidence"]:
        assert [passage, "Nothing else."][span["passage"]][span["start"] : span["end"]] == said["answer"]
    deleted = ask("ask", run, "Who met abba?", "--evidence", "it was nobody who met them.")
    assert said["recitation"] is deleted["recitation"] is None, "who is given something recites nothing"
    assert deleted["answer"] is None, "no name stands there, so none can be said"


def test_what_is_certified_is_kept_on_other_questions(calibrated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run, found = calibrated
    closed = found["uses"]["closed"]
    assert closed["certificate"]["certified"] and closed["scores"]["auroc"] > 0.6, closed
    told, kinds = closed["certifying"]["refusal"], ("well_posed", "ill_posed")
    assert told["all"]["unanswerable"] == sum(told[kind]["unanswerable"] for kind in kinds)
    assert len({one["right"] for one in told.values()}) == 1 and told["ill_posed"]["unanswerable"] > 0
    file = write(tmp_path / "new.jsonl", [q for q in questions(600, 3) if "evidence" not in q])
    done = ask("ask", run, "--questions", file, "--out", tmp_path / "a.jsonl", "--risk", "0.3", "--confidence", "0.9")
    answers = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    asked = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(answers) == len(asked) == done["questions"] and done["notes"] == []
    given = [(q, a) for q, a in zip(asked, answers, strict=True) if a["answer"] is not None]
    wrong = [a for q, a in given if not is_accepted(a["answer"], q["answers"])]
    assert len(given) > 50 and len(wrong) / len(given) < 0.35
    stricter = ask("ask", run, "--questions", file, "--out", tmp_path / "b.jsonl", "--risk", "0.02")
    assert sum(stricter["decisions"].get(name, 0) for name in GIVEN) < len(given)
    (one,) = [a for a in answers if a["question"] == asked[0]["question"]][:1]
    alone = ask("ask", run, asked[0]["question"], "--risk", "0.3", "--confidence", "0.9")
    assert (alone["answer"], alone["decision"]) == (one["answer"], one["decision"])
    assert alone["confidence"] == pytest.approx(one["confidence"], abs=1e-4)


def test_the_parts_are_compared_on_the_same_questions(calibrated: tuple[Path, dict[str, Any]]) -> None:
    _, found = calibrated
    ways = {row["way"]: row for row in found["ablation"]["ways"]}
    off = {f"{part} off" for part in ("router", "types", "recitation", "evidence", "log mass", "abstention")}
    assert off | {"all", "one fit for both uses"} < ways.keys()
    for name, row in ways.items():
        if name not in ("all", "evidence off"):
            for score, (more, low, high) in row["difference"].items():
                assert low <= high and more == pytest.approx(row[score] - ways["all"][score])
    assert 0 < ways["evidence off"]["of"] < ways["all"]["of"], "of some it is only known what is right with evidence"
    assert found["repairs"]["asked"] > 0 and found["types"]["predicted"] > 0.9
    counts = [one["questions"] for one in found["uses"].values()]
    assert sum(counts) + found["too_long"] == found["questions"] == 900


def test_what_taught_the_run_calibrates_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["calibrate", str(run), "--questions", str(run.parent / "q.jsonl"), "--json"])
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert stopped.value.code == 3 and "has learned from" in error["what"]


def test_a_calibration_is_of_its_weights_alone(calibrated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(calibrated[0], run)
    store = CheckpointStore(run / "checkpoints")
    weights = load_file(next(store.by_merit()[0].path.glob("model*.safetensors")))
    changed = {name: tensor + 1e-4 * torch.ones_like(tensor) for name, tensor in weights.items()}
    for checkpoint in store.all():
        shutil.rmtree(checkpoint.path)
    Run(run).checkpoints.commit({"model.safetensors": save(changed)}, Facts(9, "finished", {}))
    said = ask("ask", run, "Who met abba?")
    assert said["decision"] == "uncertified" and "other weights" in said["notes"][-1]


def test_the_file_of_predictions_calibrates_to_the_same(calibrated: tuple[Path, dict[str, Any]]) -> None:
    run, found = calibrated
    kept = trust_path(Run(run)).with_name("answers-closed.jsonl")
    again = ask("calibrate", kept, "--risk", "0.3", "--confidence", "0.9")
    assert again["certificate"] == found["uses"]["closed"]["certificate"]
    trust = load_trust(trust_path(Run(run)))
    assert trust is not None
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    said = np.array([trust.uses["closed"].confidence_of(line["signals"]) for line in lines])
    assert set(np.round(trust.uses["closed"].confidence, 9)) <= set(np.round(said, 9))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["RUN"], 2, "ask one question"),
        (["RUN", "  "], 2, "empty"),
        (["RUN", "Who?", "--questions", "x"], 2, "ask one question"),
        (["RUN", "Who?", "--out", "x"], 2, "--out"),
        (["RUN", "Who?", "--risk", "5"], 2, "--risk"),
        (["RUN", "Who?" * 100], 3, "too long"),
        (["RUN", "Who?", "--evidence", "word " * 100], 3, "no passage fits"),
        (["RUN", "Who?", "--evidence", "none.txt"], 3, "no such file"),
        (["RUN", "Who?", "--evidence", " "], 3, "empty"),
        (["RUN/none", "Who?"], 3, "no run"),
        (["DAMAGED", "Who?"], 5, "damaged"),
        (["GARBLED", "Who?"], 5, "no calibration of answers"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    for name in ("DAMAGED", "GARBLED"):
        if name in words:
            shutil.copytree(run, tmp_path / name)
    for weights in (tmp_path / "DAMAGED").glob("checkpoints/*/model*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-8] + b"damaged!")
    if "GARBLED" in words:
        trust_path(Run(tmp_path / "GARBLED")).parent.mkdir(exist_ok=True)
        trust_path(Run(tmp_path / "GARBLED")).write_text("{}")
    given = [str(run) + word[3:] if word.startswith("RUN") else word for word in words]
    given = [str(tmp_path / word) if word in ("DAMAGED", "GARBLED") else word for word in given]
    with pytest.raises(SystemExit) as stopped:
        main(["ask", *given, "--json"])
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert stopped.value.code == code and says in error["what"]
