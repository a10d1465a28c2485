"""`gnomon data world`: one JSON object, the folder made once and then found again."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from gnomon.verbs.world import world


def call(*words: str) -> str:
    app = typer.Typer()
    app.command()(world)
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_world_is_made_once_and_then_found_again(tmp_path: Path) -> None:
    out, words = tmp_path / "w", ("--entities", "40", "--questions", "100", "--held-out", "50", "--seed", "3")
    first = json.loads(call(str(out), *words, "--json").splitlines()[-1])
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = json.loads(call(str(out), *words, "--json").splitlines()[-1])
    assert first == again | {"made": True} and not again["made"]
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times
    assert times.keys() == first["files"].keys() | {"world.json"}
    assert "was there already" in call(str(out), *words)
