"""A run whose router learns what its model knows: labels are what plain generation says, and a kill changes nothing."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.seeds import derive
from gnomon.bundle import Bundle, load_bundle
from gnomon.config import make_config
from gnomon.data.forms.questions import MOST_RECITED
from gnomon.data.questions.match import is_accepted
from gnomon.evaluate.measured import TEMPERATURE
from gnomon.events.journal import Journal, read_events
from gnomon.model.answers import chances
from gnomon.pipeline import train, verify
from gnomon.store.runs import Run
from tests.world import gnomon

SAMPLES, EVERY = 2, 4
COLOURS = ("red", "blue")


def colour(lamp: int) -> str:
    return COLOURS[lamp % 7 % 2]


def records(lamps: range, *, shown: bool) -> list[dict[str, Any]]:
    """Return questions about lamps: as they are shown, or with passages that say whether they are enough."""
    found: list[dict[str, Any]] = []
    for lamp in lamps:
        passages = [f"Lamp {lamp} is {colour(lamp)}.", f"Lamp {lamp + 1} is {colour(lamp + 1)}."]
        one: dict[str, Any] = {"id": f"q{lamp}", "question": f"Which colour has lamp {lamp}?", "well_posed": True}
        one |= {"answerable": lamp % 5 > 0, "answers": [colour(lamp)] if lamp % 5 else []}
        one |= {"recitation": f"It is {colour(lamp)}."} if lamp % 5 else {}
        if shown:
            found += [one, {**one, "evidence": passages[:1], "answerable": True, "answers": [colour(lamp)]}]
        else:
            told = [{"text": text, "sufficient": not at} for at, text in enumerate(passages)]
            found.append({**one, "evidence": told[0 if lamp % 5 else 1 :]})
    return found


def written(folder: Path, out: str, save_every: int = 6, recite: bool = False, **heads: Any) -> Path:
    """Write the config of a run, and its texts, and return its path."""
    draw = random.Random(0)
    if not (folder / "shown.jsonl").exists():
        shown = records(range(60), shown=True)
        draw.shuffle(shown)
        lines = [json.dumps({**one, "id": f"s{i}"}) for i, one in enumerate(shown)]
        (folder / "shown.jsonl").write_text("\n".join(lines))
        (folder / "asked.jsonl").write_text("\n".join(map(json.dumps, records(range(10, 60), shown=False))))
    measured = {"questions": [str(folder / "asked.jsonl")], "every": EVERY, "at_once": 12, "samples": SAMPLES}
    config = {
        "data": {
            "sources": [{"paths": [str(folder / "shown.jsonl")], "form": "questions", "recite": recite}],
            "root": str(folder / "datasets"),
        },
        "size": "1M",
        "budget": "10K tokens",
        "out": str(folder / out),
        "model": {"width": 64, "layers": 2, "feed_forward": 96, "context": 128 if recite else 64},
        "tokenizer": {"vocabulary": 448},
        "train": {"batch_tokens": 512, "micro_rows": 4, "threads": 1, "dtype": "fp32", "compile": False,
                  "supervise": False, "background_saves": False, "save_every": save_every, "keep_every": EVERY,
                  "log_every": 1, "dropout": 0.1, "lr": 0.01, "exact": True},
        "export": {"gguf": [], "hf": False},
        "heads": {"router": True, "detached_share": 0.3, "measured": measured, **heads},
    }  # fmt: skip
    path = folder / f"{out}.json"
    path.write_text(json.dumps(config))
    return path


def go(path: Path) -> dict[str, Any]:
    return train(make_config(json.loads(path.read_text())))


def weights(run: Run) -> dict[str, np.ndarray]:
    last = run.checkpoints.all()[-1]
    return {name: a for kind in ("model", "optimizer") for name, a in last.tensors(kind).items()}


def answer(bundle: Bundle, prompt: list[int], number: int, sample: int, seed: int, more: int = 0) -> str | None:
    """Return the answer to one prompt alone: the likeliest, or of a sample above 0 one that is drawn by hand. After a
    recitation, of `more` tokens at most with two marks and the likeliest, it is what comes behind that.
    """
    opening = bundle.tokenizer.special_id("<|a|>")
    stops = (bundle.tokenizer.special_id("<|/a|>"), bundle.tokenizer.end_of_text)
    most, ids = max(len(bundle.tokenizer.encode(word)) for word in COLOURS) + 8 + more, list[int]()
    for at in range(most):
        with torch.no_grad():
            scores = bundle.model.logits(bundle.model(torch.tensor([prompt + ids])).hidden[0, -1])
        token = int(scores.argmax())
        if sample and (not more or opening in ids):
            place = len(ids) - ids.index(opening) - 1 if more else at  # of the answer, behind what is recited once
            u = chances(np.array([number]), np.array([sample]), place, seed)[0]
            rising = np.cumsum(np.exp(torch.log_softmax(scores.double() / TEMPERATURE, 0).numpy()))
            token = int(np.searchsorted(rising, u * rising[-1], side="right"))
        if token in stops:
            text = bundle.tokenizer.decode(ids, specials=True)
            return text if not more else text.partition("<|a|>")[2] if "<|a|>" in text else None
        ids.append(token)
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was never stopped, `whole`."""
    path = tmp_path_factory.mktemp("measured")
    go(written(path, "whole", save_every=EVERY))
    return path


@pytest.mark.parametrize("recite", [False, True])
def test_labels_are_what_plain_generation_from_that_checkpoint_says(folder: Path, recite: bool) -> None:
    if recite:
        go(written(folder, "reciting", save_every=EVERY, recite=True))
    run, seen = Run(folder / ("reciting" if recite else "whole")), set[tuple[int, bool | None]]()
    by_step = {c.step: c for c in run.checkpoints.all()}
    asked = [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]
    entries = [entry for entry in Journal(run.journal_path).entries if "measured" in entry]
    events = [e for e in read_events(run.events_path) if e["kind"] == "questions_measured"]
    assert [e["file"] for e in events] == [*(entry["measured"] for entry in entries), None] and len(entries) >= 3
    numbers = [one.number for e in entries for one in run.measured.read(e["measured"]).answered]
    assert len(set(numbers[:36])) == 36, "each question once before any comes again"
    for entry in entries[1:]:
        measurement = run.measured.read(entry["measured"])
        bundle = load_bundle(by_step[measurement.step].path)
        mark, seed = bundle.tokenizer.special_id, derive(bundle.plan["seed"], "measured", measurement.step)
        for one in measurement.answered:
            record = asked[one.number]
            question = [bundle.tokenizer.end_of_text, mark("<|q|>"), *bundle.tokenizer.encode(" " + record["question"])]
            closed = [*question, mark("<|/q|>"), mark("<|fact|>" if recite else "<|a|>")]
            more = MOST_RECITED + 2 if recite else 0
            said = [answer(bundle, closed, one.number, sample, seed, more) for sample in range(1 + SAMPLES)]
            rights = [is_accepted(text, record["answers"]) for text in said]
            assert one.known == pytest.approx(sum(rights) / len(rights))
            assert one.said[0].right == rights[0]
            if not record["answers"]:
                assert (one.known, one.retrieve) == (0, False)
                continue
            passage = [mark("<|ctx|>"), mark("<|doc|>"), *bundle.tokenizer.encode(" " + record["evidence"][0]["text"])]
            shown = [*closed[:-1], *passage, mark("<|/doc|>"), mark("<|/ctx|>"), mark("<|a|>")]
            helped = is_accepted(answer(bundle, shown, one.number, 0, seed), record["answers"])
            assert next(s for s in one.said if s.evidence == 1).right == helped
            undecided = None if any(rights) else True
            assert one.retrieve is (False if rights[0] or not helped else undecided)
            seen.add((round(one.known * 3), one.retrieve))
    print(sorted(seen, key=str))
    assert len({known for known, _ in seen}) > 1, "some were known and some were not"


@pytest.mark.parametrize(
    ("fault", "processes"), [("measured.written=kill@3", 1), ("checkpoint.manifest_written=kill@3", 2)]
)
def test_a_kill_between_a_measurement_and_the_next_checkpoint_changes_nothing(
    folder: Path, fault: str, processes: int
) -> None:
    """Also where several processes go on with it, each of which measures some of the questions."""
    name = fault.partition(".")[0]
    path, run = written(folder, name), Run(folder / name)
    assert gnomon("train", path, GNOMON_FAULTS=fault, OMP_NUM_THREADS="1").returncode == -9
    entries = [entry for entry in Journal(run.journal_path).entries if "measured" in entry]
    assert entries, "the kill came after a measurement"
    at = max(c.state()["row"] for c in run.checkpoints.all())
    assert name == "measured" or entries[-1]["at_row"] > at, "and what was measured is ahead of the checkpoint"
    if processes == 1:
        go(path)
    else:
        said = gnomon("train", path, f"train.processes={processes}", "train.supervise=true", OMP_NUM_THREADS="1")
        assert said.returncode == 0, said.stderr
    whole = Run(folder / "whole")
    ours, theirs = weights(whole), weights(run)
    assert ours.keys() == theirs.keys() and all(ours[n].tobytes() == theirs[n].tobytes() for n in ours)
    assert Journal(run.journal_path).entries == Journal(whole.journal_path).entries


def test_heads_fitted_anew_leave_a_run_with_all_that_was_measured(folder: Path) -> None:
    out = folder / "fitted"
    done = gnomon("heads", "fit", folder / "whole", "--questions", folder / "shown.jsonl", "--out", out)
    assert done.returncode == 0, done.stderr
    found = verify(out)
    assert not found.damage, found.damage
    kept = {path.name: path.read_bytes() for path in (folder / "whole" / "measured").iterdir()}
    assert kept and {path.name: path.read_bytes() for path in (out / "measured").iterdir()} == kept


def test_training_text_is_known_again_however_its_path_is_written(folder: Path) -> None:
    written_ = json.loads(written(folder, "again").read_text())
    for path in (f"{folder}/./shown.jsonl", str(folder)):
        sources = [{"paths": [path], "form": "questions"}]
        asked = {"measured": {"questions": [str(folder / "shown.jsonl")]}, "router": True}
        with pytest.raises(ConfigError, match="trained on as text"):
            make_config({**written_, "data": {"sources": sources}, "heads": asked})


def test_while_heads_are_detached_the_language_is_untouched(folder: Path) -> None:
    with_, without = Run(folder / "with"), Run(folder / "without")
    go(written(folder, "with", detached_share=1))
    go(written(folder, "without", detached_share=1, measured={}))
    ours, theirs = weights(with_), weights(without)
    trunk = [name for name in ours if "heads." not in name and "budget." not in name]
    assert len(trunk) > 20 and all(ours[n].tobytes() == theirs[n].tobytes() for n in trunk)
    assert any(ours[n].tobytes() != theirs[n].tobytes() for n in ours)
    tokens = [[e["tokens"] for e in read_events(run.events_path) if e["kind"] == "step"] for run in (with_, without)]
    assert tokens[0] == tokens[1]


def test_what_cannot_be_measured_and_what_was_lost_is_said_before_training(folder: Path) -> None:
    path = written(folder, "broken")
    (folder / "silent.jsonl").write_text('{"question": "Why?"}\n')
    for questions, why in (("nowhere.jsonl", "no such file"), ("silent.jsonl", "has answers")):
        with pytest.raises(DataError, match=why):
            go(written(folder, "broken", measured={"questions": [str(folder / questions)]}))
    with pytest.raises(ConfigError, match="teach a router"):
        go(written(folder, "broken", router=False, types=True))
    with pytest.raises(ConfigError, match="trained on as text"):
        go(written(folder, "broken", measured={"questions": [str(folder / "shown.jsonl")]}))
    (folder / "long.jsonl").write_text(json.dumps({"question": "Why? " * 90, "answers": ["so"]}))
    with pytest.raises(DataError, match="context of 64"):
        go(written(folder, "broken", measured={"questions": [str(folder / "long.jsonl")]}))
    assert not path.with_suffix("").joinpath("plan.json").exists()
    run = Run(folder / "with")
    damaged = sorted(run.measured.folder.glob("*.json"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert [d.file for d in verify(run.folder).damage] == [f"measured/{damaged.name}"]
    (run.folder / "events.jsonl").write_text("")  # so that it is not finished
    with pytest.raises(IntegrityError, match="does not hold what was written"):
        go(written(folder, "with", detached_share=1))
