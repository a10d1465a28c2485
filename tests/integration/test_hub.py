"""Data sets come from a Hub that speaks as the real one does, whole or not at all, and never by waiting without end."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zstandard

from gnomon.base.errors import DataError, DependencyError, GnomonError
from gnomon.base.progress import silent
from gnomon.data.document import Removed
from gnomon.data.reading import hub as hub_module
from gnomon.data.reading.hub import fetch, hub_source, read_source
from gnomon.data.reading.hub_address import HubAddress
from gnomon.data.reading.read import find_sources, read_documents
from gnomon.verbs.fetch import fetch as fetch_verb
from tests.hub import COMMIT, FakeHub, fake_hub

pa = pytest.importorskip("pyarrow", reason="pip install 'gnomon[data]'")
pytest.importorskip("datasets", reason="pip install 'gnomon[data]'")

CARD = b"""---
license: mit
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train-*}
  - {split: test, path: main/test-*}
- config_name: socratic
  data_files: socratic/*
---
"""
MATHS = "hf:openai/gsm8k?config=main"
SHARD = "main/train-0.parquet"


def parquet(first: int) -> bytes:
    import pyarrow.parquet

    rows = range(first, first + 50)
    columns = {"question": [f"q{i}" for i in rows], "answer": [f"a{i}" for i in rows], "n": list(rows)}
    columns["question"][7] = None
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), packed, row_group_size=20)
    return packed.getvalue()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    maths = {
        "README.md": CARD,
        SHARD: parquet(0),
        "main/train-1.parquet": parquet(50),
        "main/test-0.parquet": parquet(100),
    }
    lines = b"".join(b'{"text": "line %d"}\n' % i for i in range(9))
    repositories = {
        "openai/gsm8k": maths | {"socratic/all.parquet": parquet(0)},
        "some/lines": {"data.jsonl": lines},
        "some/script": {"script.py": b"", "README.md": b""},
        "some/nothing": {"data.jsonl": b""},
    }
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 1)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    with fake_hub(repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def get(address: str) -> Path:
    return fetch(HubAddress.parse(address), Path("datasets"), silent)


def texts(rows: Path) -> list[str | None]:
    with zstandard.open(rows, "rt") as lines:
        return [json.loads(line)["text"] for line in lines]


def refused(address: str, tree: type[GnomonError], *says: str) -> GnomonError:
    """Check that a fetch fails soon, with everything that decides it, and leaves nothing; return the error."""
    began = time.monotonic()
    with pytest.raises(tree) as caught:
        get(address)
    asked = HubAddress.parse(address)
    dataset = f"dataset {asked.dataset}, config {asked.config or '(its own)'}, split {asked.split}, revision "
    said = str(caught.value)
    for part in (
        *says,
        dataset,
        "looked for in datasets/.hub/",
        "HF_HOME=",
        "HF_ENDPOINT=http://127.0.0.1",
        "\n  do  ",
    ):
        assert part in said
    assert caught.value.where == str(asked)
    assert time.monotonic() - began < 20
    assert not list(Path("datasets/.hub").iterdir())
    return caught.value


def test_rows_come_once_with_their_origin_and_are_read_as_a_file(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("openai/gsm8k").mkdir(parents=True)  # `datasets` would take it for the data set
    Path("datasets.py").write_text("raise RuntimeError('this is not the library')")
    address = MATHS + r"&template={question}\n= {answer} ({n})"
    rows = get(address)
    wanted = [f"q{i}\n= a{i} ({i})" if i % 50 != 7 else None for i in range(100)]
    assert texts(rows) == wanted
    said = read_source(rows)
    assert (said["commit"], said["license"], said["rows"]) == (COMMIT, "mit", 100)
    assert (said["config"], said["split"], said["columns"]) == ("main", "train", ["question", "answer", "n"])
    assert said["fetched_with"].keys() == {"gnomon", "datasets", "huggingface_hub", "python"}
    assert sorted(p.name for p in rows.parent.iterdir()) == ["rows.jsonl.zst", "source.json"]
    fetch_verb(address, out=Path("out/maths.jsonl.zst"), root=Path("datasets"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"file": "out/maths.jsonl.zst", **said}
    assert texts(Path("out/maths.jsonl.zst")) == wanted
    assert sorted(p.name for p in Path("out").iterdir()) == ["maths.jsonl.zst", "maths.jsonl.zst.source.json"]
    hub.asked.clear()
    hub.refuse = 500
    source = hub_source(HubAddress.parse(address), Path("datasets"), silent)
    assert (source.path, hub.asked) == (rows, []), "the second call asks nobody"
    bad: list[Removed] = []
    documents = list(read_documents(source, "body", None, bad.append, lambda _: None))
    assert [d.text for d in documents] == [text for text in wanted if text]
    assert [b.origin for b in bad] == [f"openai/gsm8k@{COMMIT[:12]}/main/train:{line}" for line in (8, 58)]


def test_what_is_not_asked_for_is_what_the_data_set_has_only_one_of(hub: FakeHub) -> None:
    assert texts(get("hf:some/lines")) == [f"line {i}" for i in range(9)]


def test_an_answer_that_is_cut_is_asked_for_again(hub: FakeHub) -> None:
    hub.cut = "main/test-0.parquet"
    assert texts(get(f"{MATHS}&split=test&field=answer&revision={COMMIT}")) == [f"a{i}" for i in range(100, 150)]
    assert hub.cut == ""


@pytest.mark.parametrize(
    ("address", "says", "do"),
    [
        ("hf:openai/gsm8k", "several configs, and none was asked for; it has main, socratic", "config=main"),
        ("hf:openai/gsm8k?config=mian", "no config mian; it has main, socratic", "config=main"),
        (MATHS + "&split=dev", "no split dev; it has train, test", "split=train"),
        (MATHS + "&revision=v9", "no revision v9; it has main", "revision=main"),
        (MATHS, "several columns of text, and none was asked for; it has question, answer", "field=question"),
        (MATHS + "&field=body", "no column body; it has question, answer, n", "field=question"),
        (MATHS + "&field=n", "column n holds int64, no text; it has question, answer", "field=question"),
        ("hf:some/script", "made by a program of its own (script.py)", "revision=refs/convert/parquet"),
        ("hf:some/nothing", "the data set has no rows", "see https://huggingface.co/datasets/some/nothing"),
        ("hf:some/none", "shows this account no such data set (status 401)", "`hf auth login` or HF_TOKEN"),
    ],
)
def test_what_the_hub_has_not_is_an_error_that_names_what_it_has(
    hub: FakeHub, address: str, says: str, do: str
) -> None:
    assert do in str(refused(address, DataError, says).do)


def test_a_gated_data_set_says_where_to_ask_and_shows_no_token(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy")
    hub.gated = True
    error = refused(MATHS, DependencyError, "only to accounts that may see it (status 403)", "HF_TOKEN (set)")
    assert "ask for access at https://huggingface.co/datasets/openai/gsm8k" in str(error.do)
    assert "secret" not in str(error)


def test_a_hub_that_fails_refuses_or_is_not_there(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.refuse = 503
    refused(MATHS, DependencyError, "the Hub answered with status 503")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = refused(MATHS, DependencyError, "cannot be reached, or broke off: Connection refused")
    assert f"gnomon data fetch '{HubAddress.parse(MATHS)}' --out rows.jsonl.zst" in str(error.do)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = refused(MATHS, DependencyError, "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE forbids", "HF_HUB_OFFLINE=1")
    assert "unset HF_HUB_OFFLINE" in str(error.do)


def test_a_hub_that_never_answers_is_not_waited_for(hub: FakeHub) -> None:
    hub.sleep_seconds = 60
    error = refused(MATHS, DependencyError, "the Hub did not answer in time (ReadTimeout)")
    assert "gnomon data fetch" in str(error.do)


def test_a_stall_that_no_library_notices_ends(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "STALLED_SECONDS", 2)
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 1000)
    hub.stuck = SHARD
    error = refused(MATHS + "&field=answer", DependencyError, "nothing has come from the Hub for 2 seconds")
    assert "gnomon data fetch" in str(error.do)


def test_a_killed_fetch_leaves_nothing_and_is_done_again(hub: FakeHub) -> None:
    hub.stuck = SHARD
    address = MATHS + "&field=answer"
    code = (
        "from pathlib import Path; from gnomon.data.reading.hub import fetch; "
        "from gnomon.data.reading.hub_address import HubAddress; "
        f"fetch(HubAddress.parse({address!r}), Path('datasets'), lambda *_: None)"
    )
    package = str(Path(hub_module.__file__).parents[3])
    fetching = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": package})
    while not any(SHARD in line for line in hub.asked):
        time.sleep(0.05)
    (child,) = psutil.Process(fetching.pid).children()
    fetching.send_signal(signal.SIGKILL)
    fetching.wait()
    child.wait(5)
    (staged,) = Path("datasets/.hub").glob(".staging-*")
    assert not list(Path("datasets/.hub").glob("*/source.json")) or staged
    hub.stuck = ""
    rows = get(address)
    assert texts(rows)[:2] == ["a0", "a1"]
    assert {p.name for p in Path("datasets/.hub").iterdir()} == {rows.parent.name, f".{rows.parent.name}.lock"}


def test_a_data_set_that_was_saved_to_a_folder_is_read_there(tmp_path: Path) -> None:
    import datasets

    wanted = [f"text {i}" for i in range(9)]
    datasets.Dataset.from_dict({"text": wanted}).save_to_disk(tmp_path / "saved", num_shards=2)
    sources = find_sources([str(tmp_path / "saved")])
    assert [s.name for s in sources] == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    read = [d.text for s in sources for d in read_documents(s, "text", None, lambda _: None, lambda _: None)]
    assert read == wanted
