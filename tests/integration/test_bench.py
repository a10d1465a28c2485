"""The benchmark measures what it says: one scorer, one shape, one batch for all; and says what it leaves out."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnomon.base.errors import ConfigError, DataError, TrainingError
from gnomon.bench.contest import Contestant, Entry, standings
from gnomon.bench.loss import COLD, WARM, Plain, time_to_loss
from gnomon.bench.loss import lines as loss_lines
from gnomon.bench.peers import make_peer
from gnomon.bench.plain import score, share_of_rate, windows
from gnomon.bench.speed import CEILING, contestants, speed
from gnomon.bench.speed import OURS as FAST
from gnomon.config import ModelConfig, make_config
from gnomon.data.streaming.rows import make_rows
from gnomon.evaluate.loss import score as score_packed
from gnomon.observe.console import Console
from gnomon.pipeline import prepare_data
from gnomon.store.datasets import Dataset
from tests.world import TINY, noisy_model, write_corpus

SMALL = replace(TINY, context=32)


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Dataset]:
    folder = tmp_path_factory.mktemp("bench")
    corpus = write_corpus(folder / "corpus")
    config = {
        "data": {"train": str(corpus), "root": str(folder / "datasets")},
        "size": "1M",
        "budget": "16K tokens",
        "model": {k: v for k, v in TINY.as_dict().items() if k in ModelConfig.model_fields},
        "tokenizer": {"vocabulary": 512},
        "train": {"batch_tokens": 512, "compile": False, "supervise": False},
    }  # fmt: skip
    return config, prepare_data(make_config(config), Console(quiet=True))


def test_a_peer_has_our_model_s_weights_shape_and_loss() -> None:
    """The same weights in theirs and ours: the same loss by their scorer, by ours, and by our packed one."""
    ours, peer = noisy_model(SMALL), make_peer("transformers", SMALL)
    peer.model.load_state_dict({f"model.{k}": v for k, v in ours.state_dict().items()}, strict=False)
    held_out = torch.randint(1, SMALL.vocabulary, (12, SMALL.context + 1), generator=torch.Generator().manual_seed(0))
    theirs = score(peer.logits, held_out)
    assert peer.parameters == SMALL.parameters
    assert theirs == pytest.approx(score(lambda ids: ours.logits(ours(ids).hidden), held_out), abs=1e-5)
    assert theirs == pytest.approx(peer.loss(held_out[:, :-1], held_out[:, 1:].contiguous()).item(), abs=1e-5)
    rows = make_rows(held_out[:, :-1].numpy(), held_out[:, 1:].numpy(), [[SMALL.context]] * len(held_out))
    assert theirs == pytest.approx(score_packed(ours, [rows], bytes_per_token=1.0).loss, abs=1e-5)


def test_windows_lie_within_documents_and_do_not_overlap(prepared: tuple[dict, Dataset]) -> None:
    split = prepared[1].split("validation")
    found = windows(split, 16)
    expected = []
    for document in range(split.documents):
        ids = split.tokens(document).tolist()
        expected += [ids[i : i + 17] for i in range(0, len(ids) - 16, 16)]
    assert found.tolist() == expected[: len(found)] and len(found) == min(len(expected), 512) > 8


def test_the_plain_rate_rises_then_falls_to_its_floor() -> None:
    for steps in (1, 7, 50, 3000):
        rates = [share_of_rate(step, steps) for step in range(steps)]
        top = rates.index(max(rates))
        assert max(rates) == pytest.approx(1.0) and min(rates) > 0
        assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
        assert steps < 50 or rates[-1] == pytest.approx(0.1, abs=0.01)


def test_everyone_is_timed_on_the_same_tokens(tmp_path: Path) -> None:
    told: list[str] = []
    every = contestants(SMALL, 4, None, None, told.append)
    entries = [e for e in every if "compiled" not in e.name or "not" in e.name]
    plain = {"compiled": False, "optimizer": "adamw"}
    entries = [replace(e, settings=e.settings | {"options": plain}) if e.name == FAST else e for e in entries]
    entries = [e for e in entries if e.name in (FAST, CEILING, "transformers")]
    flops = SMALL.flops_per_token(SMALL.context)
    table = standings(entries, FAST, 4 * SMALL.context, flops, 2, 0.02, quiet)
    assert {FAST, CEILING, "transformers"} <= set(table)
    assert table[FAST]["ratio"] == 1.0 and table[FAST]["parameters"] == SMALL.parameters
    assert table["transformers"]["parameters"] == SMALL.parameters
    for row in table.values():
        assert 0 < row["lowest"] <= row["tokens_per_second"] <= row["highest"]
        assert row["tflops"] == pytest.approx(row["tokens_per_second"] * flops / 1e12)
    assert table[CEILING]["tflops"] > table[FAST]["tflops"], "a step faster than its products"


def test_a_contestant_that_ends_says_why() -> None:
    entry = Entry("nobody", {"kind": "nanogpt", "shape": SMALL.as_dict(), "rows": 2, "options": {"checkout": "/none"}})
    with pytest.raises(TrainingError, match=r"nobody ended.*no model\.py in /none"):
        Contestant(entry)


def test_another_that_ends_is_told_and_left_out_and_ours_is_not() -> None:
    told: list[str] = []
    ours, other = (
        Entry(CEILING, {"kind": "ceiling"}),
        Entry("nobody", {"kind": "none there is", "shape": SMALL.as_dict()}),
    )
    table = standings([ours, other], CEILING, 1, 1e9, 1, 0.01, told.append)
    assert list(table) == [CEILING] and any(line.startswith("left out: nobody ended") for line in told)
    with pytest.raises(TrainingError, match="nobody ended"):
        standings([other], "nobody", 1, 1e9, 1, 0.01, told.append)


def test_who_does_not_fit_beside_the_others_is_timed_after_them_beside_ours() -> None:
    told: list[str] = []
    entries = [Entry(name, {"kind": "ceiling"}) for name in ("first", "ours", "second", "third")]
    table = standings(entries, "ours", 1, 1e9, 2, 0.01, told.append, memory_bytes=1)
    assert set(table) == {"first", "ours", "second", "third"}
    assert [line for line in told if "want of memory" in line] == [
        f"the other {n} come after these, for want of memory" for n in (2, 1)
    ]
    told.clear()
    standings(entries, "ours", 1, 1e9, 2, 0.01, told.append, memory_bytes=1 << 50)
    assert sum(line.startswith("warming up") for line in told) == 4 and not any("memory" in line for line in told)


def test_held_out_text_without_a_long_document_is_refused(prepared: tuple[dict, Dataset]) -> None:
    with pytest.raises(DataError, match="no held-out document"):
        windows(prepared[1].split("validation"), 1 << 20)


def test_what_is_not_there_is_told_and_left_out() -> None:
    told: list[str] = []
    names = [entry.name for entry in contestants(SMALL, 2, "/none", "/neither", told.append)]
    assert not any(name.startswith("nano") for name in names)
    assert any("no model.py in /none" in line for line in told) and any("/neither" in line for line in told)


def test_a_size_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no size XXL"):
        speed(["XXL"], tmp_path, rows=1, rounds=1, seconds=0.1, nanogpt=None, nanochat=None, tell=quiet)


def test_time_to_a_loss_is_of_both_and_goes_on_after_a_kill(prepared: tuple[dict, Dataset], tmp_path: Path) -> None:
    """Both learn, and a round that is done is not done again."""
    settings, dataset = prepared
    config, plain = make_config(settings), Plain("transformers", 3e-3, 512, tuned=False)
    first = time_to_loss(config, dataset, tmp_path, plain, share=1.0, rounds=1, tell=quiet)
    assert (tmp_path / "loss.html").stat().st_size > 10_000
    again = time_to_loss(config, dataset, tmp_path, plain, share=1.0, rounds=1, tell=quiet)
    assert again["rounds"] == json.loads(json.dumps(first["rounds"]))
    known = math.log(512)
    for name, run in first["rounds"][0].items():
        assert 0 < run["loss"] < known - 0.5, f"{name} has learned nothing"
        seconds = [second for second, _ in run["curve"]]
        assert 0 < seconds[0] and seconds == sorted(seconds) and run["seconds"] >= seconds[-1] - 1 > 1
    half = time_to_loss(config, dataset, tmp_path, plain, share=0.5, rounds=1, tell=quiet)
    names = [
        plain.name,
        *(f"Gnomon on {part} of the tokens, {how}" for part in ("100%", "50%") for how in (COLD, WARM)),
    ]
    assert list(half["rounds"][0]) == names, "with another share the plain loop's run stands"
    assert half["rounds"][0] | again["rounds"][0] == half["rounds"][0]
    assert len(list(loss_lines(half))) == 2 + len(names) + len(names) - 1
    with pytest.raises(ConfigError, match="other settings"):
        time_to_loss(config, dataset, tmp_path, replace(plain, lr=1e-4), share=1.0, rounds=1, tell=quiet)
    timed = make_config(settings | {"budget": "2m"})
    with pytest.raises(ConfigError, match="budget"):
        time_to_loss(timed, dataset, tmp_path / "other", plain, share=1.0, rounds=1, tell=quiet)
