"""An export folder: what is there is not written again, what is damaged is, and what is another's stays."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.progress import silent
from gnomon.bundle import Bundle, load_bundle
from gnomon.export import write
from gnomon.export.write import export, verify_export
from gnomon.store.checkpoints import Facts
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle

ALL = ["f32", "f16", "bf16", "q8_0"]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return saved_bundle(tmp_path / "noisy", noisy_model(TINY), train_tokenizer(SENTENCES * 5, 500, "qwen2"))


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return identity and content of every file: one written again shows even if it says the same."""
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def next_checkpoint(bundle: Bundle) -> Bundle:
    weights = {name: tensor + 0.01 for name, tensor in bundle.model.state_dict().items()}
    bundle.run.checkpoints.commit({"model.safetensors": save(weights)}, Facts(2, "finished", {}))
    return load_bundle(bundle.run.folder)


def test_an_export_holds_what_was_asked_and_says_how_near_it_is(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = export(bundle, out, ALL, True, silent)
    names = [f"noisy-{dtype}.gguf" for dtype in ALL]
    assert [p.name for p in result.files] == [*names, "hf", "Modelfile"]
    assert all(p.exists() for p in result.files)
    assert [(v["file"], v["dtype"], v["ok"]) for v in result.verdicts] == [
        (n, d, True) for n, d in zip([*names, "hf"], [*ALL, "f32"], strict=True)
    ]
    sizes = {row["name"]: row["bytes"] for row in result.table}
    assert all(sizes[name] == (out / name).stat().st_size for name in names)
    assert sizes["noisy-f32.gguf"] > sizes["noisy-f16.gguf"] == sizes["noisy-bf16.gguf"] > sizes["noisy-q8_0.gguf"]
    assert "FROM ./noisy-q8_0.gguf" in (out / "Modelfile").read_text()
    assert verify_export(out) == []
    assert not list(out.glob(".staging*"))


def test_the_same_call_again_touches_nothing_and_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    first = export(bundle, tmp_path / "out", ["f16"], True, silent)
    before = seen(tmp_path / "out")
    assert export(bundle, tmp_path / "out", ["f16"], True, silent) == first
    assert seen(tmp_path / "out") == before


def test_another_dtype_is_added_beside_what_is_there(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(bundle, out, ["f16"], "bf16", silent)
    before = seen(out)
    assert "FROM ./noisy-f16.gguf" in (out / "Modelfile").read_text()
    result = export(bundle, out, ["q8_0"], False, silent)
    assert [p.name for p in result.files] == ["noisy-q8_0.gguf", "Modelfile"]
    assert "FROM ./noisy-q8_0.gguf" in (out / "Modelfile").read_text()
    after = seen(out)
    changing = ("Modelfile", "manifest.json", "manifest.json.sha256")
    assert all(after[name] == before[name] for name in before if name not in changing)
    assert "hf-bf16/model.safetensors" in after
    table = json.loads((out / "manifest.json").read_text())["table"]
    assert [row["name"] for row in table] == ["noisy-q8_0.gguf", "noisy-f16.gguf", "hf-bf16"]


def test_a_newer_checkpoint_replaces_what_is_asked_and_the_old_rest_is_not_shown(
    bundle: Bundle, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(bundle, out, ["f32", "q8_0"], True, silent)
    before, newer = seen(out), next_checkpoint(bundle)
    export(newer, out, ["f32"], True, silent)
    after = seen(out)
    assert after["noisy-f32.gguf"] != before["noisy-f32.gguf"]
    assert after["hf/model.safetensors"] != before["hf/model.safetensors"]
    assert after["noisy-q8_0.gguf"] == before["noisy-q8_0.gguf"]
    assert "FROM ./noisy-f32.gguf" in (out / "Modelfile").read_text()
    table = json.loads((out / "manifest.json").read_text())["table"]
    assert [row["name"] for row in table] == ["noisy-f32.gguf", "hf"]
    assert verify_export(out) == []


@pytest.mark.parametrize("name", ["noisy-f16.gguf", "hf/model.safetensors", "hf/config.json", "Modelfile"])
def test_what_is_damaged_is_found_and_written_anew(bundle: Bundle, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    export(bundle, out, ["f16", "q8_0"], True, silent)
    before = seen(out)
    data = bytearray((out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (out / name).write_bytes(data)
    (damage,) = verify_export(out)
    assert (damage.file, damage.offset) == (name, 0)
    export(bundle, out, ["f16", "q8_0"], True, silent)
    assert verify_export(out) == []
    after = seen(out)
    assert {n: content for n, (_, content) in after.items()} == {n: content for n, (_, content) in before.items()}
    assert after["noisy-q8_0.gguf"] == before["noisy-q8_0.gguf"]


def test_damage_of_every_other_kind_is_found(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(bundle, out, ["f16"], True, silent)
    (out / "stranger.gguf").write_bytes(b"GGUF")
    (out / "hf" / "tokenizer.json").unlink()
    assert {d.file for d in verify_export(out)} == {"stranger.gguf", "hf/tokenizer.json"}
    (out / "manifest.json").write_bytes((out / "manifest.json").read_bytes().replace(b"noisy", b"nosey", 1))
    assert [d.file for d in verify_export(out)] == ["manifest.json"]


def test_a_folder_of_something_else_is_left_alone(bundle: Bundle) -> None:
    for body in ({"schema": 1}, []):
        (bundle.run.folder / "manifest.json").write_text(json.dumps(body))
        before = seen(bundle.run.folder)
        with pytest.raises(ConfigError, match="something else than exports"):
            export(bundle, bundle.run.folder, ["f16"], False, silent)
        assert seen(bundle.run.folder) == before
    with pytest.raises(DataError):
        verify_export(bundle.checkpoint.path)


def test_what_was_written_wrongly_never_gets_its_name(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrongly(right: Callable[..., None]) -> Callable[..., None]:
        sick = noisy_model(TINY)
        with torch.no_grad():
            sick.get_parameter("layers.1.mlp.up_proj.weight")[3] *= 1.01
        return lambda b, path, dtype: right(replace(b, model=sick), path, dtype)

    out = tmp_path / "out"
    export(bundle, out, ["f16"], False, silent)
    before = seen(out)
    monkeypatch.setattr(write, "write_gguf", wrongly(write.write_gguf))
    monkeypatch.setattr(write, "write_hf", wrongly(write.write_hf))
    for gguf, hf in ((["f32"], False), (["q8_0"], False), ([], True), ([], "bf16")):
        with pytest.raises(IntegrityError, match="does not say what the model says"):
            export(bundle, out, gguf, hf, silent)
    assert seen(out) == before
