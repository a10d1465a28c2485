"""`data check` finds nothing in a dataset beside itself, and names what a version has that another has not."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gnomon.base.errors import DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.monitoring.check import check_text
from gnomon.data.prepare import prepare
from gnomon.events.types import TextShifted
from gnomon.observe.console import Console
from gnomon.store.datasets import Dataset
from gnomon.verbs.monitor import check
from tests.world import write_corpus


def made(folder: Path, name: str, seed: int) -> Dataset:
    write_corpus(folder / name, documents=60, seed=seed)
    config = {"train": str(folder / name), "root": str(folder / "datasets"), "name": name, "workers": 1}
    return prepare(DataConfig.model_validate(config), TokenizerConfig(), 512, silent)


def test_a_dataset_is_checked_beside_itself_and_not_beside_other_tokenizers(tmp_path: Path) -> None:
    dataset = made(tmp_path, "one", 0)
    found = check_text(dataset, None, silent, window_tokens=2048)
    assert found.findings == ()
    (windows,) = found.windows.values()
    assert windows == -(-dataset.split("train").n_tokens // 512) // 4 > 0
    with pytest.raises(DataError, match="different tokenizers"):
        check_text(dataset, made(tmp_path, "two", 1), silent)

    app = typer.Typer()
    app.command()(check)
    said = CliRunner().invoke(app, [str(dataset.folder), "--json"])
    assert json.loads(said.stdout.splitlines()[-1]) == {"findings": [], "windows": {"one": 0}, "left_out": []}
    assert "too short for a window" in CliRunner().invoke(app, [str(dataset.folder)]).stdout


def test_the_console_says_what_a_run_found(capsys: pytest.CaptureFixture[str]) -> None:
    event = TextShifted(step=7, source="web", what="drift", value=0.2, limit=0.1, cause="more: ' Mr'")
    Console()(event)
    assert "step 7: drift in the text: more: ' Mr'" in capsys.readouterr().err
