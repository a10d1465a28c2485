"""What `verify` and `checkpoints` say of a run: everything that is damaged, by name and place, and nothing else."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.bundle import load_bundle
from gnomon.cli import app
from gnomon.events.journal import Journal
from gnomon.observe.console import Console
from gnomon.pipeline import finish, verify
from gnomon.store.checkpoints import Facts, Retention
from gnomon.store.runs import Run
from tests.world import start

DERIVED = ("report.html", "checkpoints/LATEST", "lock", "export/.lock")  # made anew from the rest, or hints


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with exports, a decision in its journal, and its dataset beside it."""
    folder = tmp_path_factory.mktemp("trained")
    begun = start(folder, budget="6K tokens", save_every=3, validate_every=6, keep_last=4)
    for row in (3, 5, 7):
        begun.hands.journal.add({"at_row": row, "skip_rows": 1, "why": "a test"})
    begun.train()
    assert begun.run.checkpoints.all()[-1].state()["decisions"] == 3
    begun.close()
    finish(begun.run, begun.config, begun.dataset, Console(quiet=True))
    assert verify(begun.run.folder).damage == []
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained / "run", tmp_path / "run")))


def spoil(path: Path, at: int | None = None) -> None:
    """Change one byte to one that no JSON holds."""
    data = bytearray(path.read_bytes())
    at = len(data) // 2 if at is None else at
    data[at] = 0xFE if data[at] == 0xFF else 0xFF
    path.write_bytes(data)


def test_a_changed_byte_in_any_file_of_a_run_is_named(run: Run) -> None:
    paths = [p for p in sorted(run.folder.rglob("*")) if p.is_file()]
    names = [p.relative_to(run.folder).as_posix() for p in paths]
    looked_at = [name for name in names if name not in DERIVED]
    assert {"config.json", "plan.json", "tokenizer.json", "events.jsonl", "journal.jsonl"} <= set(looked_at)
    assert sum(name.startswith("checkpoints/") for name in looked_at) > 10
    assert sum(name.startswith("export/") for name in looked_at) > 4
    for name in looked_at:
        whole = (run.folder / name).read_bytes()
        spoil(run.folder / name)
        found = verify(run.folder).damage
        (run.folder / name).write_bytes(whole)
        assert {d.file.removesuffix(".sha256") for d in found} == {name.removesuffix(".sha256")}, name
        (run.folder / name).unlink()
        found = verify(run.folder).damage
        (run.folder / name).write_bytes(whole)
        if name != "eval/validation.json":  # written anew by the next evaluation
            assert {d.file.removesuffix(".sha256") for d in found} == {name.removesuffix(".sha256")}, name
    assert verify(run.folder).damage == []


@pytest.mark.parametrize("name", ["events.jsonl", "journal.jsonl"])
def test_a_garbled_line_is_named_with_its_number_and_offset(run: Run, name: str) -> None:
    lines = (run.folder / name).read_bytes().splitlines(keepends=True)
    start_of_second = len(lines[0])
    spoil(run.folder / name, start_of_second + 3)
    (damage,) = [d for d in verify(run.folder).damage if "line 2" in d.why]
    assert (damage.file, damage.offset) == (name, start_of_second)


@pytest.mark.parametrize("name", ["events.jsonl", "journal.jsonl"])
def test_what_kills_and_full_disks_leave_in_a_log_is_no_damage(run: Run, name: str) -> None:
    path = run.folder / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1][:20] + b"\n", *lines[1:], lines[0][:30]]))
    assert verify(run.folder).damage == []
    if name == "events.jsonl":
        path.write_bytes(b"".join([*lines, lines[3][:30] + b"\n", b'{"kind":"run_started","step":3}\n']))
        assert verify(run.folder).damage == []


def test_a_decision_that_is_gone_is_found_and_the_run_does_not_go_on_without_it(run: Run) -> None:
    first, second, third = run.journal_path.read_bytes().splitlines(keepends=True)
    run.journal_path.write_bytes(first + third)
    (damage,) = verify(run.folder).damage
    assert (damage.file, damage.offset) == ("journal.jsonl", len(first))
    with pytest.raises(IntegrityError, match="decision 2 where 1 should follow"):
        Journal(run.journal_path)
    run.journal_path.write_bytes(first + second + second + third)
    assert verify(run.folder).damage == []
    assert len(Journal(run.journal_path).entries) == 3


def test_the_dataset_is_looked_at_where_it_is_and_missed_where_it_is_not(trained: Path, run: Run) -> None:
    (shard,) = trained.glob("datasets/*/*/train/tokens-00000.npy")
    whole = shard.read_bytes()
    try:
        spoil(shard)
        (damage,) = verify(run.folder).damage
        assert Path(damage.file) == shard.resolve()
        shutil.move(trained / "datasets", trained / "away")
        found = verify(run.folder)
        assert found.damage == []
        assert any("not at" in note for note in found.notes)
    finally:
        shutil.move(trained / "away", trained / "datasets")
        shard.write_bytes(whole)


def test_quarantine_is_told_and_is_no_damage_and_a_lost_pin_is(run: Run) -> None:
    oldest, newer = run.checkpoints.all()[:2]
    run.checkpoints.pin(newer.path.name, keep=True)
    spoil(oldest.path / "state.json")
    run.checkpoints.quarantine(oldest, oldest.damage())
    found = verify(run.folder)
    assert found.damage == []
    assert any(oldest.path.name in note and "state.json at byte 0" in note for note in found.notes)
    shutil.rmtree(newer.path)
    (damage,) = verify(run.folder).damage
    assert damage.file == "checkpoints/pins.json"
    assert newer.path.name in damage.why


def ask(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run a verb with --json and return its exit code and what it said."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.exit_code, json.loads(result.stdout.splitlines()[-1])


def test_verify_says_where_and_ends_with_code_5(run: Run) -> None:
    assert ask("verify", run.folder)[1]["ok"] is True
    weights = run.checkpoints.all()[0].path / "model.safetensors"
    spoil(weights)
    code, said = ask("verify", run.folder)
    assert (code, said["ok"]) == (5, False)
    named = weights.relative_to(run.folder).as_posix()
    assert [(d["file"], d["offset"]) for d in said["damaged"]] == [(named, 0)]
    told = CliRunner().invoke(app, ["verify", str(run.folder)]).stdout
    assert f"{run.folder}: damaged in 1 place\n" in told
    assert f"{named} at byte 0" in told
    assert ask("verify", weights.parent)[0] == 5


def test_checkpoints_are_listed_with_what_is_special_about_them(run: Run) -> None:
    known, best = run.checkpoints.all(), run.checkpoints.best()
    assert best is not None
    code, said = ask("checkpoints", run.folder, "--pin", known[0].path.name)
    rows = said["checkpoints"]
    assert (code, [r["name"] for r in rows]) == (0, [c.path.name for c in known])
    assert [r["bytes"] for r in rows] == [c.size for c in known]
    assert [r["name"] for r in rows if r["best"]] == [best.path.name]
    assert [r["name"] for r in rows if r["pinned"]] == [known[0].path.name]
    assert {r["whole"] for r in rows} == {None}, "nobody looked"
    spoil(known[1].path / "model.safetensors")
    spoil(known[2].path / "manifest.json")
    rows = ask("checkpoints", run.folder, "--verify")[1]["checkpoints"]
    assert [r["whole"] for r in rows] == [c not in known[1:3] for c in known]
    run.checkpoints.quarantine(known[1], known[1].damage())
    assert known[1].path.name in ask("checkpoints", run.folder)[1]["quarantine"]


def test_a_pinned_checkpoint_stays_until_it_is_let_go(run: Run) -> None:
    store, name = run.checkpoints, run.checkpoints.all()[0].path.name
    ask("checkpoints", run.folder, "--pin", name)
    for step in (100, 101, 102):
        store.commit({"a": b"a"}, Facts(step, "rolling", {}))
    store.retain(Retention(1), lambda *_: None)
    assert name in [c.path.name for c in store.all()]
    ask("checkpoints", run.folder, "--unpin", name)
    store.retain(Retention(1), lambda *_: None)
    assert name not in [c.path.name for c in store.all()]
    for option in ("--pin", "--unpin"):
        with pytest.raises(ConfigError, match=name):
            ask("checkpoints", run.folder, option, name)


def test_a_damaged_best_checkpoint_is_passed_over_and_a_named_one_refused(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    order = run.checkpoints.by_merit()
    assert load_bundle(run.folder).checkpoint == order[0]
    assert not caplog.records
    for i, damaged in enumerate(order[:-1]):
        spoil(damaged.path / "model.safetensors")
        with caplog.at_level(logging.WARNING):
            assert load_bundle(run.folder).checkpoint == order[i + 1]
        assert damaged.path.name in caplog.text
        assert f"{order[i + 1].path.name} is used instead" in caplog.text
        with pytest.raises(IntegrityError, match="the checkpoint is damaged"):
            load_bundle(damaged.path)
    spoil(order[-1].path / "model.safetensors")
    with pytest.raises(IntegrityError, match=f"all {len(order)} checkpoints are damaged"):
        load_bundle(run.folder)


def test_decisions_that_checkpoints_know_of_are_missed_in_the_journal(run: Run) -> None:
    run.journal_path.write_bytes(b"".join(run.journal_path.read_bytes().splitlines(keepends=True)[:2]))
    (damage,) = verify(run.folder).damage
    assert (damage.file, damage.why) == ("journal.jsonl", "it has 2 decisions, and checkpoints were made with 3")


def test_a_run_whose_checkpoints_are_all_gone_is_not_whole(run: Run) -> None:
    shutil.rmtree(run.checkpoints.folder)
    assert [d.file for d in verify(run.folder).damage] == ["checkpoints"]
