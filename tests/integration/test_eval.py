"""`gnomon eval` on a trained run: proof of parity, windows, two texts compared; and each in JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError
from gnomon.bundle import load_bundle
from gnomon.cli import app
from gnomon.evaluate.held_out import score_by_windows
from gnomon.model import attention
from gnomon.store.checkpoint import Checkpoint
from tests.world import start

TEXT = "The lamp stood on the table by the window. Nobody had seen the old man since the winter.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eval")
    begun = start(folder, budget="6K tokens", save_every=6, validate_every=6)
    begun.train()
    begun.close()
    lines = [json.dumps({"text": f"{i}. {TEXT * (1 + i % 4)}"}) + "\n" for i in range(24)]
    (folder / "raw.jsonl").write_text("".join(lines))
    (folder / "clean.jsonl").write_text("".join(lines[4:]))
    (folder / "short.txt").write_text(TEXT)
    return folder


def said(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["eval", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def test_parity_holds_on_a_trained_model_and_its_exit_code_says_when_it_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = said(folder / "run", "--parity")
    assert (code, found["holds"]) == (0, True)
    assert all(v["holds"] and abs(v["difference"]) <= v["limit"] for v in found["variants"])
    assert found["tokens"] == said(folder / "run")[1]["tokens"] and found["cut"] > 0
    monkeypatch.setattr(attention, "_by_segment", lambda q, k, v, segments: attention.attend(q, k, v, None))
    code, found = said(folder / "run", "--parity", "--data", folder / "raw.jsonl")
    assert (code, found["holds"]) == (5, False)
    table = CliRunner().invoke(app, ["eval", str(folder / "run"), "--parity"])
    assert table.exit_code == 5 and "packed, 8 rows at once" in table.stdout and "DIFFERS by more" in table.stdout


def test_parity_of_a_part_says_what_was_compared_and_still_finds_what_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"text": f"{i}. {TEXT * (1 + i % 4)}"}) + "\n" for i in range(60)]
    (folder / "more.jsonl").write_text("".join(lines))
    words = [folder / "run", "--parity", "--data", folder / "more.jsonl"]
    _, whole = said(*words, "--limit", "all")
    code, found = said(*words, "--limit", "1600")
    assert (code, found["holds"]) == (0, True)
    assert 0 < found["tokens"] <= 1600 < whole["tokens"] == whole["all_tokens"] == found["all_tokens"]
    assert found["documents"] < whole["documents"] == whole["all_documents"] == found["all_documents"]
    missing = {v["name"] for v in whole["variants"]} - {v["name"] for v in found["variants"]}
    assert missing <= {"packed, documents in several pieces"}, "the first rows need not have one"
    table = CliRunner().invoke(app, ["eval", *map(str, words), "--limit", "1.6K"])
    assert f"compared: {found['tokens']:,} of {found['all_tokens']:,} tokens" in table.stdout
    assert "--limit all compares the whole" in table.stdout
    for wrong in (["--parity", "--limit", "some"], ["--limit", "5K"]):
        with pytest.raises(ConfigError) as caught:
            CliRunner().invoke(app, ["eval", str(folder / "run"), *wrong], catch_exceptions=False)
        assert caught.value.where == "--limit"
    monkeypatch.setattr(attention, "_by_segment", lambda q, k, v, segments: attention.attend(q, k, v, None))
    assert said(*words, "--limit", "1600")[0] == 5


def test_windows_see_more_with_a_smaller_stride_and_all_where_it_fits(folder: Path) -> None:
    bundle, context = load_bundle(folder / "run"), 64
    short = [score_by_windows(bundle, folder / "short.txt", stride).loss for stride in (8, context)]
    assert short[0] == pytest.approx(short[1], abs=1e-6)
    assert short[0] == pytest.approx(said(folder / "run", "--data", folder / "short.txt")[1]["loss"], abs=1e-5)
    _, plain = said(folder / "run")
    code, found = said(folder / "run", "--stride", "16")
    assert (code, found["stride"], found["tokens"], found["bytes"]) == (0, 16, plain["tokens"], plain["bytes"])
    assert found["loss"] == pytest.approx(plain["loss"], abs=0.2) and found["loss"] != plain["loss"]
    assert CliRunner().invoke(app, ["eval", str(folder / "run"), "--stride", "65"]).exit_code != 0


def test_two_texts_are_compared_with_what_they_share(folder: Path) -> None:
    code, found = said(folder / "run", "--data", folder / "raw.jsonl", "--compare", folder / "clean.jsonl")
    assert code == 0
    assert (found["documents_a"], found["documents_b"], found["shared"]) == (24, 20, 20)
    assert found["low"] <= found["delta"] <= found["high"]
    assert found["delta"] == pytest.approx(found["b"] - found["a"])
    whole = CliRunner().invoke(app, ["eval", str(folder / "run"), "--compare", str(folder / "raw.jsonl")])
    assert whole.exit_code == 0 and "95 % interval" in whole.stdout


def test_the_model_of_a_run_is_its_best_checkpoint_or_the_newest_where_that_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_bundle(folder / "run").run
    every = run.checkpoints.all()
    assert len(every) > 1
    monkeypatch.setattr(Checkpoint, "is_best", property(lambda self: self.step == every[0].step))
    assert load_bundle(run.folder).checkpoint.path == every[0].path
    written = json.loads(run.config_path.read_text())
    try:
        run.config_path.write_text(json.dumps(written | {"train": written["train"] | {"result": "newest"}}))
        assert load_bundle(run.folder).checkpoint.path == every[-1].path
        assert [one.path for one in run.candidates()] == [one.path for one in reversed(every)]
    finally:
        run.config_path.write_text(json.dumps(written))
