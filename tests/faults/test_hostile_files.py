"""Whatever lies where a run's or a dataset's own files should be, and whatever a config says: one clear error, or a
value of the right form.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gnomon.base.errors import ConfigError, GnomonError, IntegrityError, StorageError
from gnomon.base.files import canonical_json, sha256_bytes
from gnomon.config import Config, load_config, make_config
from gnomon.data.streaming.stream import validation_rows
from gnomon.events.journal import EventLog, Journal, read_events
from gnomon.events.types import RolledBack, RunStarted, RunStopped, Sampled, Validated
from gnomon.observe.report import report_html
from gnomon.pipeline import verify
from gnomon.plan import Plan, read_plan
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
from gnomon.store.datasets import Dataset, open_dataset
from gnomon.store.manifest import NAME, describe_bytes
from gnomon.store.runs import Run
from tests.faults.test_hostile import SEED, no_hang, refused
from tests.hostile import NASTY, deep_json, flipped, garbled, misvalued, pickles
from tests.world import ROOT, small_dataset

PLAN = (ROOT / "tests/fixtures/checkpoints/schema-1/plan.json").read_bytes()
WAYS: tuple[Callable[[Random, bytes], bytes], ...] = (misvalued, misvalued, garbled, flipped)


def cases(count: int, whole: bytes) -> list[tuple[str, Random, bytes]]:
    """Return spoiled forms of a file's JSON, each with the words that replay it and the draw that made it."""
    made = []
    for number in range(count):
        draw = Random(f"{SEED}:{number}")
        made.append((f"GNOMON_HOSTILE_SEED={SEED}, case {number}", draw, WAYS[number % len(WAYS)](draw, whole)))
    return made


def outcome(case: str, act: Callable[[], Any], *kinds: type[GnomonError]) -> Any:
    """Return what `act` returns, or None after an error of these kinds; anything else fails and names the case."""
    with no_hang(case):
        try:
            return act()
        except kinds as e:
            refused(e)
        except Exception as e:
            raise AssertionError(case) from e
    return None


def test_a_plan_is_one_or_is_refused(tmp_path: Path) -> None:
    path, loaded = tmp_path / "plan.json", 0
    path.write_bytes(PLAN)
    whole = read_plan(path)
    for case, _, text in cases(400, PLAN):
        path.write_bytes(text)
        plan = outcome(case, lambda: read_plan(path), IntegrityError)
        if plan is not None:
            loaded += 1
            assert plan.steps > 0 and plan.rows_per_step > 0 and plan.lr > 0, case
            assert report_html("run", plan.model_dump(), [], None, []).startswith("<!doctype"), case
        assert plan is None or isinstance(plan, Plan)
    assert 0 < loaded < 200
    path.unlink()
    os.mkfifo(path)
    outcome("a pipe", lambda: read_plan(path), IntegrityError)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert outcome("an endless device", lambda: read_plan(path), IntegrityError) is None
    path.unlink()
    path.write_bytes(PLAN)
    assert read_plan(path) == whole


def test_the_config_of_a_run_is_the_same_or_is_refused_and_stays(tmp_path: Path) -> None:
    run, config = Run(tmp_path), make_config({"data": "x"}).model_dump(mode="json")
    run.settle_config(config, {})
    whole = run.config_path.read_bytes()
    run.plan_path.write_bytes(PLAN)
    for case, _, text in cases(300, whole):
        run.config_path.write_bytes(text)
        if outcome(case, lambda: run.settle_config(config, {}) or True, ConfigError, IntegrityError):
            assert run.config_path.read_bytes() == whole, case
        else:
            assert run.config_path.read_bytes() == text, case


ENTRIES = [
    {"at_row": 8, "skip_rows": 4, "why": "x"},
    {"at_row": 16, "micro_rows": 2, "why": "memory was short"},
    {
        "at_row": 24,
        "roll_back": True,
        "skip_rows": 8,
        "rate_factor": 0.5,
        "until_row": 64,
        "accept": True,
        "before_step": 9,
    },
]


def journal_or_error(case: str, path: Path) -> tuple[Journal | None, str]:
    with no_hang(case):
        try:
            return Journal(path), ""
        except IntegrityError as e:
            refused(e)
            return None, e.what


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_journal_is_understood_or_refused_with_its_line(tmp_path: Path) -> None:
    path, understood = tmp_path / "journal.jsonl", 0
    for case, draw, text in cases(600, canonical_json(ENTRIES[2])):
        place = draw.randrange(3)
        lines = [canonical_json(entry) for entry in ENTRIES]
        lines[place] = text.replace(b"\n", b" ")
        path.write_bytes(b"\n".join(lines) + b"\n")
        journal, why = journal_or_error(case, path)
        if journal is None:
            assert f"line {place + 1}" in why, case
            continue
        understood += 1
        for row in (0, 8, 24, 2**40):  # whatever was let through can be acted on
            assert journal.after_skips(row) >= row, case
            assert 1 <= journal.micro_rows(row, 8) <= 8, case
            assert 0 < journal.rate_factor(row) <= 1, case
            assert isinstance(journal.accepts(row, row + 8) or journal.allow(row, 5, 0), bool), case
        torn = len(journal.entries) == 2  # a line that is no JSON is one that a kill tore
        assert len(journal.entries) == 3 or (torn and not is_json(lines[place])), case
    assert 20 < understood < 400


def test_lines_of_the_record_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for event in (
        RunStarted(run="r", step=0, steps=10),
        Validated(step=5, loss=2.0, bits_per_byte=1.0, tokens=10),
        RolledBack(step=2, from_step=5, checkpoint="c", at_row=8, skip_rows=4, rate_factor=0.5, why="x"),
        Sampled(step=6, prompt="a", text="b"),
        RunStopped(step=10, reason="finished", seconds=1.0),
    ):
        log(event)
    whole = path.read_bytes().splitlines()
    everything, kinds = read_events(path), [json.loads(line)["kind"] for line in whole]
    plan = json.loads(PLAN)
    for number in range(400):
        draw, lines = Random(f"{SEED}:{number}"), list(whole)
        place = number % len(lines)
        lines[place] = WAYS[number // 5 % 4](draw, lines[place]).replace(b"\n", b" ")
        path.write_bytes(b"\n".join(lines) + b"\n")
        case = f"GNOMON_HOSTILE_SEED={SEED}, case {number}"
        events = outcome(case, lambda: read_events(path))
        assert all(e in events for e in everything if e["kind"] != kinds[place]), case
        if number % 20 == 0:
            page = outcome(case, lambda events=events: report_html("run", plan, events, None, []))
            assert page.startswith("<!doctype"), case


def test_pins_that_cannot_be_read_keep_everything(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    for step in range(1, 5):
        store.commit({"a": b"x"}, Facts(step, "rolling", {}))
    store.pin(store.all()[0].path.name, keep=True)
    path = store.folder / "pins.json"
    whole = path.read_bytes()
    for case, _, text in cases(150, b'{"a":' + whole.strip() + b"}"):
        path.write_bytes(text)
        pins = outcome(case, store.pins, IntegrityError)
        assert pins is None
        store.retain(Retention(keep_last=1), lambda *_: None)
        assert len(store.all()) == 4, case
    path.write_bytes(whole)
    store.retain(Retention(keep_last=2), lambda *_: None)
    assert [c.step for c in store.all()] == [1, 3, 4]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("dataset"))


def read_all(folder: Path) -> int:
    """Read a dataset as training and its report would; return the tokens."""
    opened = open_dataset(folder)
    opened.split("train").origin(0)
    return sum(rows.loss_tokens for rows in validation_rows(opened, 64, 4, None))


def reseal(folder: Path, body: Any) -> None:
    text = body if isinstance(body, bytes) else canonical_json(body)
    (folder / NAME).write_bytes(text)
    (folder / f"{NAME}.sha256").write_text(f"{sha256_bytes(text)}\n")


def test_a_dataset_is_whole_or_refused(dataset: Dataset, tmp_path: Path) -> None:
    folder, canary = tmp_path / "copy", tmp_path / "canary"
    shutil.copytree(dataset.folder, folder)
    tokens, whole = read_all(folder), (folder / NAME).read_bytes()
    for case, _, text in cases(300, whole):
        reseal(folder, text)
        outcome(case, lambda: verify(folder), GnomonError)
        outcome(case, lambda: read_all(folder), GnomonError)
    names = [
        entry["path"] for entry in json.loads(whole)["files"] if "tokens" in entry["path"] or "-0" in entry["path"]
    ]
    refusals = 0
    for number in range(300):
        draw, name = Random(f"{SEED}:{number}"), names[number % len(names)]
        path, body = folder / name, json.loads(whole)
        before = path.read_bytes()
        spoiled = draw.choice(
            [flipped(draw, before), before[: draw.randrange(len(before))], *pickles(canary), b"PK\x03\x04"]
        )
        path.write_bytes(spoiled)
        if remade := number % 2 == 0:
            next(entry for entry in body["files"] if entry["path"] == name).update(describe_bytes(name, spoiled))
        reseal(folder, body)
        case = f"GNOMON_HOSTILE_SEED={SEED}, file case {number} ({name})"
        found = outcome(case, lambda: verify(folder).damage, GnomonError)
        refusals += found != []
        assert found != [] or remade or spoiled == before, case
        outcome(case, lambda: read_all(folder), GnomonError)
        path.write_bytes(before)
    for put in (os.mkfifo, lambda p: p.symlink_to("/dev/zero"), lambda p: p.mkdir(), lambda p: None):
        for name in names[:3]:
            (folder / name).rename(tmp_path / "aside")
            put(folder / name)
            assert outcome(name, lambda: verify(folder).damage, GnomonError) != [], name
            outcome(name, lambda: read_all(folder), GnomonError)
            if (folder / name).is_dir():
                (folder / name).rmdir()
            (folder / name).unlink(missing_ok=True)
            (tmp_path / "aside").rename(folder / name)
    assert refusals > 150
    assert not canary.exists(), "code of a dataset has run"
    reseal(folder, whole)
    assert read_all(folder) == tokens and verify(folder).damage == []


def test_a_config_is_meant_or_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    whole = make_config({"data": "texts", "size": "1M", "prompts": ["a"]}).model_dump_json().encode()
    for case, _, text in cases(500, whole):
        path.write_bytes(text)
        config = outcome(case, lambda: load_config(path), ConfigError)
        assert config is None or isinstance(config, Config)
    for number, value in enumerate((*NASTY, deep_json(Random(0)).decode())):
        for key in ("seed", "train.lr", "train.batch_tokens", "model.width", "data.train", "budget", "x.y.z"):
            word = f"{key}={value if isinstance(value, str) else json.dumps(value)}"
            outcome(f"{key}, {number}", lambda word=word: make_config_with(path, word), ConfigError)
    for number, text in enumerate(
        ("a = " + "[" * 10_000, "seed = " + "9" * 5000, "[a" + ".a" * 5000 + "]", "lr = nan")
    ):
        (tmp_path / "c.toml").write_text(text)
        assert outcome(f"toml {number}", lambda: load_config(tmp_path / "c.toml"), ConfigError) is None


def make_config_with(path: Path, word: str) -> Config:
    path.write_text('{"data": "texts"}')
    return load_config(path, [word])


def test_what_is_written_goes_through_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    run, outside = Run(tmp_path / "run"), tmp_path / "outside"
    run.folder.mkdir()
    outside.write_bytes(b"precious")
    (tmp_path / "elsewhere").mkdir()
    entry = {"at_row": 8, "skip_rows": 4}
    for put in (lambda path: path.symlink_to(outside), os.mkfifo):
        for path, act in (
            (run.folder / "lock", lambda: run.lock().__enter__()),
            (run.journal_path, lambda: Journal(run.journal_path).add(entry)),
        ):
            put(path)
            assert outcome(path.name, act, StorageError) is None
            assert outside.read_bytes() == b"precious"
            path.unlink()
    store = CheckpointStore(run.checkpoints.folder)
    checkpoint = store.commit({"a": b"x"}, Facts(1, "rolling", {}))
    (tmp_path / "elsewhere" / checkpoint.path.name).mkdir()
    (store.folder / "quarantine").symlink_to(tmp_path / "elsewhere")
    (checkpoint.path / "a").write_bytes(b"y")
    store.commit({"a": b"x"}, Facts(2, "rolling", {}))
    assert outcome("quarantine", lambda: store.newest_whole(lambda *_: None), StorageError) is not None
    assert (tmp_path / "elsewhere" / checkpoint.path.name).is_dir()
    assert checkpoint.path.is_dir()
