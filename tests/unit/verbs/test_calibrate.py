"""What `calibrate` prints and writes, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError
from gnomon.cli import app


def test_it_prints_what_scripts_read_and_writes_page_and_calibration(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    p = draw.random(600) ** 0.1
    right = draw.random(600) < p
    lines = [{"id": i, "confidence": p[i], "correct": bool(right[i])} for i in range(600)]
    (file := tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    page, saved = tmp_path / "page.html", tmp_path / "c.json"
    options = ["--risk", "0.2", "--out", str(page), "--save", str(saved), "--shift", str(file)]
    said = CliRunner().invoke(app, ["calibrate", str(file), *options, "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.output.splitlines()[-1])
    assert found["certificate"]["certified"] and found["certificate"]["bound"] <= 0.2
    assert found["written"] == [str(saved), str(page)]
    assert found["says"]["certificate"] in page.read_text()
    certificate = json.loads(saved.read_text())["certificate"]
    assert certificate["threshold"] == found["certificate"]["threshold"]
    assert len(certificate["certified_on"]) == found["parts"]["certify"]
    plainly = CliRunner().invoke(app, ["calibrate", str(file), "--risk", "0.2"])
    assert found["says"]["certificate"] in plainly.output
    with pytest.raises(ConfigError, match="--as-given"):
        CliRunner().invoke(app, ["calibrate", str(file), "--as-given", "--save", "x"], catch_exceptions=False)
