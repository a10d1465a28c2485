"""The main job as a user does it: one command, again, interrupted, with other forms of config, and what it
leaves behind.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnomon.bundle import continue_each, continue_text
from gnomon.events.journal import read_events
from gnomon.model.generate import Sampling
from tests.world import gnomon, small_config, write_corpus


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a finished run."""
    folder = tmp_path_factory.mktemp("world")
    write_corpus(folder / "texts")
    done = gnomon("train", small_config(folder), "--json")
    assert done.returncode == 0, done.stderr
    (folder / "result.json").write_text(done.stdout.splitlines()[-1])
    return folder


def result(world: Path) -> dict[str, object]:
    return json.loads((world / "result.json").read_text())


def test_one_command_leaves_everything(world: Path) -> None:
    said = result(world)
    for key in (
        "run",
        "dataset",
        "steps",
        "tokens",
        "val_loss",
        "val_bits_per_byte",
        "checkpoint",
        "exports",
        "seconds",
    ):
        assert key in said
    run = world / "run"
    for name in (
        "config.json",
        "plan.json",
        "tokenizer.json",
        "events.jsonl",
        "report.html",
        "eval/validation.json",
    ):
        assert (run / name).is_file(), name
    for name in ("run-f16.gguf", "Modelfile", "hf/config.json", "hf/model.safetensors"):
        assert (run / "export" / name).is_file(), name
    steps = [e for e in read_events(run / "events.jsonl") if e["kind"] == "step"]
    assert [e["step"] for e in steps] == list(range(1, int(str(said["steps"])) + 1))
    assert steps[-1]["loss"] < steps[0]["loss"] - 1.0


def test_the_same_command_again_does_nothing_and_says_the_same(world: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (world / "run" / "checkpoints").rglob("*")}
    done = gnomon("train", world / "config.json", "--json")
    assert done.returncode == 0
    again = json.loads(done.stdout.splitlines()[-1])
    was = result(world)
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in was.items() if k != "seconds"}
    assert before == {p: p.stat().st_mtime_ns for p in (world / "run" / "checkpoints").rglob("*")}


def test_the_report_shows_the_run_and_the_reasons(world: Path) -> None:
    page = (world / "run" / "report.html").read_text()
    for part in ("Curves", "Samples", "Exports", "Plan", "bits per byte", "run-f16.gguf", "preset 1M"):
        assert part in page, part


def test_generate_is_repeatable_and_streams_what_it_says(world: Path) -> None:
    ask = ("generate", world / "run", "--prompt", "The lamp", "--max-tokens", "20", "--seed", "4")
    first, second = gnomon(*ask, "--json"), gnomon(*ask, "--json")
    assert first.stdout == second.stdout
    text = json.loads(first.stdout)["text"]
    assert gnomon(*ask).stdout == f"The lamp{text}\n"


def test_chat_says_that_a_base_model_continues_text(world: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gnomon", "chat", str(world / "run"), "--max-tokens", "8"],
        input="She counted\n\n", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "continues your text rather than chats" in done.stderr
    assert len(done.stdout.strip("> \n")) > 0


def test_eval_scores_the_run_and_other_text(world: Path) -> None:
    scored = json.loads(gnomon("eval", world / "run", "--json").stdout)
    assert scored["loss"] == result(world)["val_loss"]
    (world / "other.txt").write_text((world / "texts" / "one.txt").read_text())
    other = json.loads(gnomon("eval", world / "run", "--data", world / "other.txt", "--json").stdout)
    assert other["bytes"] == len((world / "other.txt").read_bytes())
    assert 0 < other["bits_per_byte"] < 8


def test_a_step_is_explained_by_the_texts_it_was_trained_on(world: Path) -> None:
    run, texts = world / "run", (world / "texts" / "stories.jsonl").read_text().splitlines()
    said = json.loads(gnomon("data", "explain", run, "--step", "3", "--json").stdout.splitlines()[-1])
    (event,) = [e for e in read_events(run / "events.jsonl") if e["kind"] == "step" and e["step"] == 3]
    assert (said["first_row"], said["rows"]) == (event["row"], event["rows"])
    assert {piece["row"] for piece in said["pieces"]} == set(range(event["row"], event["row"] + event["rows"]))
    for piece in said["pieces"]:
        text = (world / "texts" / "one.txt").read_text()
        if piece["origin"] != "one.txt:1":
            text = json.loads(texts[int(piece["origin"].split(":")[1]) - 1])["text"]
        assert piece["text"] in text
        assert piece["start"] > 0 or text.startswith(piece["text"])
    refused = gnomon("data", "explain", run, "--step", "100000")
    assert refused.returncode == 2
    assert "the record has no step 100,000" in refused.stderr


def test_plan_explains_every_number_and_trains_nothing(world: Path) -> None:
    done = gnomon("plan", world / "config.json", "out=" + str(world / "never"), "--json")
    planned = json.loads(done.stdout.splitlines()[-1])
    for key in (
        "parameters",
        "memory_bytes",
        "flops",
        "seconds",
        "disk_bytes",
        "steps",
        "lr",
        "dtype",
        "threads",
    ):
        assert planned[key], key
        assert planned["reasons"][key], key
    assert not (world / "never").exists()
    assert "preset 1M" in gnomon("plan", world / "config.json").stdout


def test_json_toml_and_overrides_train_the_same_model(world: Path, tmp_path: Path) -> None:
    four = tmp_path / "four.json"
    four.write_text(
        json.dumps({"data": str(world / "texts"), "size": "1M", "budget": "4K tokens", "out": str(tmp_path / "a")})
    )
    toml = tmp_path / "same.toml"
    toml.write_text(f'data = "{world}/texts"\nsize = "5M"\nbudget = "4K tokens"\nout = "{tmp_path}/b"\n')
    common = [f"data.root={tmp_path}/datasets", "export.gguf=[]", "export.hf=false", "model.context=64"]
    common += ["train.dtype=fp32"]  # else each run takes what is measured to be faster
    first = gnomon("train", four, *common, "--json")
    second = gnomon("train", toml, *common, "size=1M", "--json")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    losses = [json.loads(d.stdout.splitlines()[-1])["val_loss"] for d in (first, second)]
    assert losses[0] == losses[1]


def test_ctrl_c_saves_and_the_same_command_goes_on_to_the_same_end(world: Path, tmp_path: Path) -> None:
    exports = {"gguf": [], "hf": False}
    config = small_config(
        world, out=str(tmp_path / "stopped"), budget="100K tokens", export=exports, train={"dtype": "fp32"}
    )
    command = [sys.executable, "-m", "gnomon", "train", str(config), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    events = tmp_path / "stopped" / "events.jsonl"
    while process.poll() is None and not (events.exists() and '"step"' in events.read_text()):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "everything is saved" in said
    assert list((tmp_path / "stopped" / "checkpoints").glob("0*"))
    done = gnomon("train", config, "--json")
    whole = gnomon("train", config, f"out={tmp_path}/whole", "--json")
    assert (done.returncode, whole.returncode) == (0, 0)
    ends = [json.loads(d.stdout.splitlines()[-1])["val_loss"] for d in (done, whole)]
    assert ends[0] == ends[1]


def test_a_second_process_cannot_write_the_same_run(world: Path, tmp_path: Path) -> None:
    import fcntl

    handle = os.open(world / "run" / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = gnomon("train", small_config(world))
    finally:
        os.close(handle)
    assert done.returncode == 2
    assert "another process is writing this run" in done.stderr


def test_the_python_interface_is_the_same_job(world: Path) -> None:
    import asyncio

    import gnomon as package

    config = json.loads(small_config(world).read_text())
    said = asyncio.run(package.train_async(config))
    assert said["val_loss"] == result(world)["val_loss"]
    text = package.generate(said["run"], "The lamp", max_tokens=8, seed=4)
    assert text == package.generate(package.load(said["run"]), "The lamp", max_tokens=8, seed=4)
    assert package.plan_run(config).parameters > 0
    bundle, drawing = package.load(said["run"]), Sampling(temperature=5.0, seed=4)  # also halves of characters
    prompts = ["The lamp", "A", "On the third day of the fair"]
    alone = ["".join(continue_text(bundle.model, bundle.tokenizer, prompt, 30, drawing)) for prompt in prompts]
    assert continue_each(bundle.model, bundle.tokenizer, prompts, 30, drawing) == alone
    assert continue_each(bundle.model, bundle.tokenizer, [], 30, drawing) == []
