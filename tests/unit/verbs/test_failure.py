"""Under --json every verb that fails prints one object on standard output, and keeps its exit code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gnomon import cli
from gnomon.base import errors
from gnomon.base.errors import DataError, GnomonError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GnomonError)]
NOWHERE = (
    ("train",), ("plan",), ("eval",), ("generate",), ("verify",), ("checkpoints",), ("report",), ("data", "prepare"),
    ("data", "show"), ("data", "stats"), ("data", "report"), ("data", "dedup"), ("tokenizer", "train"),
    ("tokenizer", "import"), ("mix", "simulate"), ("bench", "loss"),
)  # fmt: skip


def verbs(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every verb that takes --json, with the words that call it."""
    for name, one in getattr(command, "commands", {}).items():
        yield from verbs(one, *words, name)
    if any("--json" in parameter.opts for parameter in command.params):
        yield words, command


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, Any, str]:
    """Return the exit code, what stands on standard output, read as one JSON object, and what on standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    out, err = capsys.readouterr()
    return ended.value.code, json.loads(out) if out else None, err


def test_every_verb_says_every_error_of_ours_as_one_object_and_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root: Any = typer.main.get_command(cli.app)
    monkeypatch.setattr(cli, "app", root)
    found = dict(verbs(root))
    assert {(), ("data",), ("chat",)}.isdisjoint(found) and len(found) > 30
    errors = [kind("it is gone", where="here\udce9", do="look \u00fcber there") for kind in KINDS] + [DataError("no")]
    for words, verb in found.items():
        verb.params = [parameter for parameter in verb.params if "--json" in parameter.opts]  # the rest may be missing
        for error in errors:

            def fails(error: GnomonError = error, **_: Any) -> None:
                raise error

            verb.callback = fails
            code, object_, err = said([*words, "--json"], capsys)
            where = error.where and "here\\udce9"
            wanted = {"kind": type(error).__name__, "what": error.what, "where": where, "do": error.do}
            assert object_ == {"error": {**wanted, "exit_code": error.exit_code}}, words
            assert code == error.exit_code and str(error) in err
            assert said([*words], capsys)[:2] == (error.exit_code, None), "without --json there are words alone"


@pytest.mark.parametrize("words", NOWHERE, ids=" ".join)
def test_what_is_nowhere_is_said_as_an_object(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, object_, err = said([*words, str(tmp_path / "nowhere"), "--json"], capsys)
    assert object_["error"]["exit_code"] == code and code in (2, 3)
    assert object_["error"]["what"] in err


def test_other_ends_are_objects_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, object_, _ = said(["eval", "--json", "--colour"], capsys)
    assert (code, object_["error"]["kind"]) == (2, "UsageError") and "--colour" in object_["error"]["what"]
    assert said(["chat", "--", "--json"], capsys)[1] is None, "what stands after -- is no option"
    for raised, kind, wanted in ((KeyboardInterrupt(), "Interrupted", 130), (ValueError("odd"), "ValueError", 1)):

        def app(*_: Any, raised: BaseException = raised, **__: Any) -> None:
            raise raised

        monkeypatch.setattr(cli, "app", app)
        code, object_, err = said(["verify", "--json"], capsys)
        assert (code, object_["error"]["kind"], object_["error"]["exit_code"]) == (wanted, kind, wanted)
        assert err or kind == "ValueError"  # which is logged
    monkeypatch.setattr(cli, "app", lambda *_, **__: 5)
    assert said(["verify", "--json"], capsys)[:2] == (5, None), "a finding is its own answer"
