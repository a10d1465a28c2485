"""The verbs of `gnomon data` say what they cannot mean, before any work, and leave nothing behind."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError, DataError, GnomonError
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import MixConfig, make_config, parse_tokens
from gnomon.data.exchange.export import export_ids
from gnomon.data.exchange.version import Intake, import_ids
from gnomon.data.streaming.needs import needs_of
from gnomon.observe.console import Console
from gnomon.pipeline import prepare_data
from gnomon.store.lineage import trace
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.world import small_dataset


def refused(kind: type[GnomonError], *words: object) -> GnomonError:
    """Return the error of `gnomon data` with these words."""
    with pytest.raises(kind) as caught:
        CliRunner().invoke(app, ["data", *map(str, words)], catch_exceptions=False)
    assert caught.value.do
    return caught.value


@pytest.mark.parametrize("text", ["0", "0.4", "-5", "apples", "10m tokens more", "1e400", "", "nan"])
def test_what_is_no_number_of_tokens_is_refused_before_any_work(tmp_path: Path, text: str) -> None:
    for words in (("plan", tmp_path / "none.json"), ("stats", tmp_path / "none")):
        error = refused(ConfigError, *words, f"--tokens={text}")
        assert f"{text!r} is no number of tokens" in error.what
        assert error.do == "write an amount such as 400K, 50M or 2B"
    with pytest.raises(ConfigError, match="is no number of tokens: write an amount"):
        make_config({"data": {"sources": [{"paths": "x", "tokens": text}]}})


def test_numbers_of_tokens() -> None:
    told = {"50M": 50_000_000, "2B tokens": 2 * 10**9, "1e6": 10**6, "300000": 300_000, "400k tok": 400_000, "1": 1}
    assert {text: parse_tokens(text) for text in told} == told


def test_a_failed_import_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    dataset, root = small_dataset(tmp_path / "made", 40), tmp_path / "root"
    (empty := tmp_path / "empty.bin").touch()
    export_ids(dataset, "jsonl", tmp_path / "held", ["validation"], [], silent)
    root.mkdir()
    tokenizer = str(dataset.tokenizer_path)
    for path, says in ((empty, "the file is empty"), (tmp_path / "held", "hold out, and none to train on")):
        with pytest.raises(DataError, match=says):
            import_ids(Intake([str(path)], "ids", [], tokenizer, root=str(root)), silent)
        assert not list(root.iterdir())
    (tmp_path / "some").mkdir()
    ids = Tokenizer.load(dataset.tokenizer_path).encode
    lines = (json.dumps({"input_ids": ids(f"word {i}")}) + "\n" for i in range(20))
    (tmp_path / "some" / "a.jsonl").write_text("".join(lines))
    (tmp_path / "some" / "b.jsonl").touch()
    import_ids(Intake([str(tmp_path / "some")], "ids", [], tokenizer, root=str(root)), silent)
    with pytest.raises(DataError):
        import_ids(Intake([str(tmp_path / "held")], "ids", [], tokenizer, root=str(root)), silent)
    assert sorted(p.name for p in root.iterdir()) == [".ids.lock", "ids"], "a name that has versions keeps its lock"


def test_names_that_nothing_has(tmp_path: Path) -> None:
    dataset = small_dataset(tmp_path, 40)
    with pytest.raises(ConfigError, match="not named"):
        trace(dataset, "")
    assert "there is no folder" in refused(ConfigError, "ls", tmp_path / "nope").what
    listed = CliRunner().invoke(app, ["data", "ls", str(dataset.folder.parents[1]), "--json"], catch_exceptions=False)
    (row,) = json.loads(listed.stdout)["datasets"]
    train = dataset.split("train")
    assert (row["tokens"], row["documents"]) == (train.n_tokens, train.documents)
    assert row["made"][:2] == "20"
    config = {"data": {"sources": [{"name": "a", "paths": "none"}], "root": str(tmp_path)}}
    with pytest.raises(ConfigError, match="there is no source 'b'"):
        prepare_data(make_config(config | {"mix": {"weights": {"a": 1, "b": 1}}}), Console())
    with pytest.raises(DataError, match="there is no file"):  # a domain of a source may yet be found
        prepare_data(make_config(config | {"mix": {"weights": {"a/news": 1}}}), Console())


def test_options_that_would_say_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    for words in (("--embedder", "x"), ("--line-characters", "4")):
        assert CliRunner().invoke(app, ["data", "dedup", str(tmp_path), *words]).exit_code == 2
    done = CliRunner().invoke(app, ["tokenizer", "train", str(tmp_path), "--sample-bytes", "-5"])
    assert done.exit_code == 2
    assert "--sample-bytes" in done.output


def test_the_first_advice_is_to_ask_for_less() -> None:
    needs = needs_of(MixConfig(max_epochs=1), {"a": 1000}, 10**7, 128)
    assert needs.remedy.startswith("ask for 1,000 tokens at most, or add text")
