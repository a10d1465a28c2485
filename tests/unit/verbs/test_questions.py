"""`gnomon questions`: a file of questions is taught from and labelled, and what it says is kept."""

import json
from pathlib import Path

from typer.testing import CliRunner

from gnomon.cli import app
from gnomon.data.questions.question import read_questions


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
    assert first["labels"]["fine_type"] == "HUM:ind" and first["labels"]["rule"] == "who"
    assert second["labels"]["type"] == "boolean" and second["labels"]["fine_type"] is None
