"""What verbs say of files that hold nothing they can read, and of configs and folders that are none."""

import json
import logging
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError, DataError, GnomonError, IntegrityError, StorageError
from gnomon.base.files import write_atomic
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import DataConfig, TokenizerConfig, load_config, make_config
from gnomon.data.classification.classifier import load_classifier
from gnomon.data.prepare import prepare


def refused(kind: type[GnomonError], *words: object) -> GnomonError:
    """Return the error of `gnomon data` with these words."""
    with pytest.raises(kind) as caught:
        CliRunner().invoke(app, ["data", *map(str, words)], catch_exceptions=False)
    return caught.value


def test_files_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    (file := tmp_path / "a.jsonl").write_text('{"body": "one"}\n{"body": "two"}\n')
    (suite := tmp_path / "suite.jsonl").write_text('{"question": "what is the answer to all of this at last?"}\n')
    out = tmp_path / "kinds.bin"
    for words in (
        ("dedup", file), ("dedup", file, "--semantic"), ("dedup", file, "--lines", 2),
        ("decontaminate", file, "--against", suite), ("classify", "train", f"a={file}", "--out", out),
    ):  # fmt: skip
        error = refused(DataError, *words)
        assert "records that could not be read: 2, the first a.jsonl:1: " in error.what
        assert error.do == "name the key that holds the text with --text-field"


def test_configs_and_classifiers_that_are_none(tmp_path: Path) -> None:
    for text, says in ((None, "this is a folder"), ("  \n", "is empty"), ("[]", "this is a list")):
        path = tmp_path if text is None else tmp_path / "c.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigError, match=says) as caught:
            load_config(path)
        assert caught.value.do
        assert caught.value.do.startswith("write one: {")
    (kinds := tmp_path / "kinds.bin").write_bytes(b'{"format": 1, "labels": ["a"], "buckets": 4}\nnothing packed')
    with pytest.raises(IntegrityError) as damaged:
        load_classifier(kinds)
    assert "zstd" not in str(damaged.value).lower()
    with pytest.raises(ConfigError, match="'apples' is neither mix nor weights of sources") as caught:
        make_config({"data": "x", "tokenizer": {"sample_weights": "apples"}})
    assert "more)" not in caught.value.what


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which even root can make nothing")
@pytest.mark.parametrize("name", ["/proc/none/file", "/proc/file"])
def test_a_folder_that_cannot_be_written_to(name: str) -> None:
    with pytest.raises(StorageError, match="this folder cannot be written to") as caught:
        write_atomic(Path(name), b"")
    assert caught.value.where == name
    assert "--out" in str(caught.value.do)


def test_keys_and_rules_that_nothing_answers_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder := tmp_path / "texts").mkdir()
    lines = (json.dumps({"text": f"story {i} of many words", "kind": "a"}) + "\n" for i in range(40))
    (folder / "a.jsonl").write_text("".join(lines))
    rules = [
        {"domain": "all", "field": "kind", "matches": "a"}, {"domain": "none", "field": "kind", "matches": "b"},
        {"domain": "apart", "path": "b*"}, {"domain": "here", "path": "a*"},
    ]  # fmt: skip
    wanted = {"train": str(folder), "root": str(tmp_path / "made"), "workers": 1, "id_field": "nokey", "domains": rules}
    with caplog.at_level(logging.WARNING):
        prepare(DataConfig.model_validate(wanted), TokenizerConfig(), 320, silent)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "no record has an id under the key 'nokey' (data.id_field)"
    assert [line.split(":")[0] for line in said[1:]] == [f"rule {n} of data.domains is true of no text" for n in (2, 3)]
    little = {
        "sources": [{"paths": str(folder), "name": "a", "tokens": 1}],
        "root": str(tmp_path / "made"),
        "workers": 1,
    }
    with pytest.raises(DataError, match=r"data\.sources\[\]\.tokens leaves no text") as caught:
        prepare(DataConfig.model_validate(little), TokenizerConfig(), 320, silent)
    assert caught.value.do == "raise data.sources[].tokens"
