"""The verb that reports which documents hold items of suites."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from gnomon.verbs.decontaminate import decontaminate

APP = typer.Typer()
APP.command()(decontaminate)

ASKED = "Which of the seven lighthouse keepers counted thirteen ships before the storm came in?"


def test_it_shows_item_and_text_side_by_side_and_changes_nothing(tmp_path: Path) -> None:
    suite, texts = tmp_path / "suite.jsonl", tmp_path / "texts.jsonl"
    suite.write_text("".join(json.dumps({"id": i, "ask": q}) + "\n" for i, q in (("a", ASKED), ("b", "Who?"))))
    lines = [{"text": "Nothing at all. " * 9}, {"text": f"Once: {ASKED.upper()} So it was."}, {"other": 1}]
    texts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = texts.read_bytes()
    arguments = [str(texts), "--against", str(suite), "--fields", "ask"]
    shown = CliRunner().invoke(APP, arguments)
    assert shown.exit_code == 0, shown.output
    assert "texts.jsonl:2  suite/a  question 100%" in shown.stdout
    assert f"item  {ASKED}" in shown.stdout and f"text  {ASKED.upper()[:-1]}\n" in shown.stdout
    assert "suite: 1 of 2 items found, 1 too short" in shown.stdout and "1 of 2 documents" in shown.stdout
    said = json.loads(CliRunner().invoke(APP, [*arguments, "--json"]).stdout.splitlines()[-1])
    assert [(hit["document"], hit["item"], hit["start"]) for hit in said["hits"]] == [("texts.jsonl:2", "a", 6)]
    assert (said["documents"], said["contaminated"], said["unreadable"]) == (2, 1, 1)
    assert texts.read_bytes() == before
