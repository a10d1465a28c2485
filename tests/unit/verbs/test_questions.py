"""`gnomon questions`: a file of questions is taught from and labelled, and what it says is kept."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from gnomon.cli import app
from gnomon.data.forms.form import Form, document_of
from gnomon.data.questions.question import read_questions
from gnomon.store.labels import COARSE, FINE, ROUTER, WEIGHT
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, ROUTER_SIGNALS


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["questions", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_labelled_questions_keep_what_their_file_says_and_are_questions_again(tmp_path: Path) -> None:
    gold, mine = tmp_path / "gold.jsonl", tmp_path / "mine.jsonl"
    asks = {"HUM:ind": "Who found thing {}?", "NUM:date": "When was thing {} found?"}
    records = [{"question": ask.format(i), "fine_type": fine} for i in range(30) for fine, ask in asks.items()]
    gold.write_text("\n".join(map(json.dumps, records)))
    mine.write_text(
        '{"id": "a", "question": "Who found the stone?", "answers": ["Ann"], "answerable": true, "type": "entity"}\n'
        '{"id": "b", "question": "Is it found?"}\n'
    )
    taught = run("teach", str(gold), "--out", str(tmp_path / "teacher"))
    assert taught["questions"] == 60
    out = tmp_path / "labelled.jsonl"
    said = run("label", str(mine), "--teacher", str(tmp_path / "teacher"), "--out", str(out))
    assert said["types"] == {"boolean": 1, "person": 1} and said["teacher"] == taught["sha256"]
    assert list(read_questions(out)) == list(read_questions(mine))
    first, second = map(json.loads, out.read_text().splitlines())
    assert first["rule"] == "who" and first["answers"] == ["Ann"] and "coarse" not in first["labels"], "its own stands"
    assert max(first["labels"]["fine"], key=first["labels"]["fine"].__getitem__) == "HUM:ind"
    assert max(second["labels"]["coarse"], key=second["labels"]["coarse"].__getitem__) == "boolean"
    assert "fine" not in second["labels"]


def test_labelled_files_are_read_as_labels_and_what_was_said_is_kept(tmp_path: Path) -> None:
    gold, mine, out = (tmp_path / name for name in ("gold.jsonl", "mine.jsonl", "out.jsonl"))
    asks = {"HUM:ind": "Who found thing {}?", "NUM:date": "When was thing {} found?"}
    records = [{"question": ask.format(i), "fine_type": fine} for i in range(30) for fine, ask in asks.items()]
    gold.write_text("\n".join(map(json.dumps, records)))
    said = {"question": "When was it found?", "labels": {"known": 0.4}, "weights": {"known": 0.5}, "source": "mine"}
    mine.write_text(json.dumps(said))
    run("teach", str(gold), "--out", str(tmp_path / "teacher"))
    run("label", str(mine), "--teacher", str(tmp_path / "teacher"), "--out", str(out))
    record = json.loads(out.read_text())
    assert record["source"] == "mine" and record["labels"]["known"] == 0.4
    row = np.array(document_of(record, Form("questions"), "out.jsonl:1").labels)
    assert row[FINE].argmax() == FINE_TYPES.index("NUM:date") and row[COARSE].argmax() == ANSWER_TYPES.index("date")
    known, posed = ROUTER_SIGNALS.index("known"), ROUTER_SIGNALS.index("well_posed")
    assert row[ROUTER][known] == 0.4 and row[WEIGHT][known] == 0.5
    assert (
        row[ROUTER][posed] == record["labels"]["well_posed"] and row[WEIGHT][posed] == record["weights"]["well_posed"]
    )
