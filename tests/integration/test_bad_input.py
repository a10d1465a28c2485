"""Each kind of bad input gives one clear error, with its exit code, and loses nothing."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from gnomon.store.checkpoints import CheckpointStore
from tests.world import gnomon, small_config, write_corpus


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder / "texts")
    done = gnomon("train", small_config(folder, budget="8K tokens"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def world(trained: Path, tmp_path: Path) -> Path:
    """A copy of a small corpus with a finished run, to be spoiled."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    small_config(tmp_path, budget="8K tokens")
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    for key, value in (("train", "texts"), ("root", "datasets")):
        written["data"][key] = [str(tmp_path / value)] if key == "train" else str(tmp_path / value)
    (tmp_path / "run" / "config.json").write_text(json.dumps(written))
    return tmp_path


def assert_refused(code: int, *says: str, arguments: tuple[str | Path, ...], **environment: str) -> str:
    """Run the command, check that it ends with `code` and one message that holds `says`, and return the message."""
    done = gnomon(*arguments, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in says:
        assert part in done.stderr
    assert "  do  " in done.stderr, "the message does not say what to do next"
    return done.stderr


def test_unknown_key(world: Path) -> None:
    assert_refused(2, "unknown key 'trian'", "'train'", arguments=("train", small_config(world, trian={})))


def test_missing_data(world: Path) -> None:
    assert_refused(
        3,
        "nowhere",
        arguments=("train", world / "config.json", f"data={world}/nowhere", "out=" + str(world / "x")),
    )


def test_empty_corpus(world: Path) -> None:
    (world / "empty").mkdir()
    (world / "empty" / "nothing.txt").write_text("")
    assert_refused(
        3, "empty", arguments=("train", world / "config.json", f"data.train={world}/empty", f"out={world}/x")
    )


def test_corpus_smaller_than_one_batch(world: Path) -> None:
    arguments = ("train", world / "config.json", "train.batch_tokens=1000000", f"out={world}/x")
    assert_refused(3, "one batch needs", arguments=arguments)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that even root cannot read")
def test_unreadable_file(world: Path) -> None:
    (world / "texts" / "sick.txt").symlink_to("/proc/self/mem")
    assert_refused(3, "cannot be read", "sick.txt", arguments=("train", world / "config.json", f"out={world}/x"))


def test_cut_compressed_file(world: Path) -> None:
    import gzip

    whole = gzip.compress((world / "texts" / "stories.jsonl").read_bytes())
    (world / "texts" / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert_refused(3, "cut.jsonl.gz", arguments=("train", world / "config.json", f"out={world}/x"))


def test_invalid_utf8(world: Path) -> None:
    (world / "texts" / "latin.txt").write_bytes(b"caf\xe9 au lait " * 50)
    (world / "texts" / "latin2.txt").write_bytes(b"na\xefve " * 50)
    assert_refused(3, "UTF-8", "latin.txt", arguments=("train", world / "config.json", f"out={world}/x"))


def test_vocabulary_larger_than_the_text_supports(world: Path) -> None:
    arguments = ("train", world / "config.json", "tokenizer.vocabulary=32768", f"out={world}/x")
    assert_refused(3, "vocabulary", arguments=arguments)


def test_no_space_left(world: Path) -> None:
    arguments = ("train", small_config(world, budget="4K tokens"), f"out={world}/x", f"data.root={world}/new")
    assert_refused(6, "no space left", arguments=arguments, GNOMON_FAULTS="folder.before_rename=ENOSPC")
    assert not list((world / "new").rglob("manifest.json")), "nothing half is left"
    assert gnomon(*arguments).returncode == 0, "with space again the same command goes through"


def test_no_space_left_while_training_keeps_the_run_going_until_its_last_save(world: Path) -> None:
    arguments = ("train", small_config(world, budget="4K tokens"), f"out={world}/x")
    assert_refused(6, "no space left", "no checkpoint could be written", arguments=arguments,
            GNOMON_FAULTS="checkpoint.file_written=ENOSPC@5")  # fmt: skip
    store = CheckpointStore(world / "x" / "checkpoints")
    assert store.all()
    assert all(c.damage() == [] for c in store.all())
    assert gnomon(*arguments).returncode == 0


def test_existing_run_with_another_config(world: Path) -> None:
    before = (world / "run" / "config.json").read_bytes()
    said = assert_refused(2, "another config", arguments=("train", world / "config.json", "train.lr=0.123"))
    assert "train.lr" in said
    assert "0.123" in said
    assert (world / "run" / "config.json").read_bytes() == before


def test_a_config_that_failed_before_the_run_began_may_be_mended(world: Path) -> None:
    out = f"out={world}/fresh"
    assert_refused(
        3, "nowhere", arguments=("train", small_config(world, budget="4K tokens"), out, f"data.train={world}/nowhere")
    )
    done = gnomon("train", world / "config.json", out)
    assert done.returncode == 0, done.stderr


def test_changed_text_under_a_run(world: Path) -> None:
    with (world / "texts" / "stories.jsonl").open("a") as f:
        f.write(json.dumps({"text": "One more story, that was not there before."}) + "\n")
    assert_refused(2, "the text has changed", arguments=("train", world / "config.json"))


def test_damaged_checkpoint(world: Path) -> None:
    best = CheckpointStore(world / "run" / "checkpoints").best()
    assert best is not None
    path = best.path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert_refused(5, "damaged", "model.safetensors", arguments=("generate", best.path, "--prompt", "x"))
    passed_over = gnomon("generate", world / "run", "--prompt", "x")
    assert passed_over.returncode == 0
    assert "model.safetensors" in passed_over.stderr and "is used instead" in passed_over.stderr
    checked = gnomon("verify", world / "run", "--json")
    assert checked.returncode == 5
    (damage,) = json.loads(checked.stdout)["damaged"]
    assert damage["file"].endswith("model.safetensors")
    assert damage["offset"] == 0


def test_interrupted_export(world: Path) -> None:
    shutil.rmtree(world / "run" / "export")
    done = gnomon("export", world / "run", "--format", "gguf", GNOMON_FAULTS="export.verified=kill")
    assert done.returncode == -9
    assert not list((world / "run" / "export").glob("*.gguf")), "nothing has its name before it is whole"
    again = gnomon("export", world / "run", "--format", "gguf", "--json")
    assert again.returncode == 0, again.stderr
    assert Path(json.loads(again.stdout)["files"][0]).exists()
    assert gnomon("verify", world / "run" / "export").returncode == 0
    assert not list((world / "run" / "export").glob(".staging*"))


def test_a_folder_that_is_no_run(world: Path) -> None:
    assert_refused(3, "neither a run", arguments=("generate", world / "texts"))
    assert_refused(3, "there is no run", arguments=("chat", world / "nowhere"))
    assert_refused(3, "no manifest", arguments=("verify", world / "texts"))


def test_wrong_options_are_usage_errors(world: Path) -> None:
    assert gnomon("generate", world / "run", "--temperature", "warm").returncode == 2
    assert gnomon("trian").returncode == 2
