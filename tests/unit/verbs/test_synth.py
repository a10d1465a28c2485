"""`gnomon data synth`: the same files twice, a report, and a check that names the line."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gnomon.base.errors import DataError
from gnomon.verbs.synth import synth


def call(*words: str) -> str:
    app = typer.Typer()
    app.command()(synth)
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_run_twice_it_writes_the_same_files_and_what_it_wrote_passes_its_check(tmp_path: Path) -> None:
    said = json.loads(call("--out", str(tmp_path / "a"), "--samples", "60", "--json").splitlines()[-1])
    assert sum(said["splits"].values()) == 60
    text = call("--out", str(tmp_path / "b"), "--samples", "60")
    assert "samples to train on" in text
    for name in ("train.jsonl", "test.jsonl", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "all right" in call("--check", str(tmp_path / "a" / "train.jsonl"))


def test_a_file_with_a_wrong_line_fails_and_the_line_is_named(tmp_path: Path) -> None:
    call("--out", str(tmp_path), "--samples", "30", "--families", "reasoning")
    path = tmp_path / "train.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], lines[4].replace('"answerable":true', '"answerable":false'), *lines[5:]]))
    with pytest.raises(DataError, match="answerable") as caught:
        call("--check", str(path))
    assert caught.value.where == f"{path}:5"
