"""An export that is wrong in any one respect is refused, and nothing is left under its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.base import faults
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.progress import silent
from gnomon.bundle import Bundle
from gnomon.export import write as write_module
from gnomon.export.verify import compare, probe
from gnomon.export.write import export
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape

State = dict[str, torch.Tensor]


def swapped(first: str, second: str) -> Callable[[State], None]:
    def mutate(state: State) -> None:
        state[first], state[second] = state[second], state[first]

    return mutate


def turned(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[State], None]:
    def mutate(state: State) -> None:
        state[name] = change(state[name])

    return mutate


L = "layers.0."
WRONG: dict[str, Callable[[State], None]] = {
    "gate and up swapped": swapped(f"{L}mlp.gate_proj.weight", f"{L}mlp.up_proj.weight"),
    "q-norm and k-norm swapped": swapped(f"{L}self_attn.q_norm.weight", f"{L}self_attn.k_norm.weight"),
    "norms of a layer swapped": swapped(f"{L}input_layernorm.weight", f"{L}post_attention_layernorm.weight"),
    "layers swapped": swapped(f"{L}mlp.down_proj.weight", "layers.1.mlp.down_proj.weight"),
    "final norm lost": turned("norm.weight", torch.ones_like),
    "output projection reversed": turned(f"{L}self_attn.o_proj.weight", lambda w: w.flip(1)),
    "key heads swapped": turned(f"{L}self_attn.k_proj.weight", lambda w: w.roll(len(w) // 2, 0)),
    "rotary halves interleaved": turned(
        f"{L}self_attn.q_proj.weight", lambda w: w.view(4, 2, -1, w.shape[1]).transpose(1, 2).reshape(w.shape)
    ),
    "one matrix rounded": turned(f"{L}mlp.up_proj.weight", lambda w: w.bfloat16().float()),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_weight_is_seen(bundle: Bundle, name: str) -> None:
    state = {n: t.clone() for n, t in bundle.model.state_dict().items()}
    WRONG[name](state)
    twin = LanguageModel(bundle.shape)
    twin.load_state_dict(state)
    assert not compare(bundle.model, twin, probe(bundle), name, "f32").ok


@pytest.mark.parametrize("change", [{"rope_theta": 1e6}, {"norm_epsilon": 1e-4}])
def test_a_wrong_number_of_the_shape_is_seen(bundle: Bundle, change: dict[str, Any]) -> None:
    twin = LanguageModel(Shape(**(bundle.shape.as_dict() | change)))
    twin.load_state_dict(bundle.model.state_dict())
    assert not compare(bundle.model, twin, probe(bundle), "x", "f32").ok


def test_the_model_itself_passes_with_no_difference(bundle: Bundle) -> None:
    verdict = compare(bundle.model, bundle.model, probe(bundle), "x", "f32")
    assert verdict.ok
    assert verdict.max_abs == 0.0


def test_a_refused_export_leaves_nothing_under_its_name(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = write_module.write_gguf

    def wrong(b: Bundle, path: Path, dtype: str) -> None:
        before = b.model.norm.weight.detach().clone()
        with torch.no_grad():
            b.model.norm.weight.mul_(1.1)
            honest(b, path, dtype)
            b.model.norm.weight.copy_(before)

    monkeypatch.setattr(write_module, "write_gguf", wrong)
    with pytest.raises(IntegrityError, match="does not say what the model says"):
        export(bundle, tmp_path, ["f32"], False, silent)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept_and_what_is_spoiled_is_written_anew(bundle: Bundle, tmp_path: Path) -> None:
    first = export(bundle, tmp_path, ["f16"], True, silent)
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.gguf")}
    second = export(bundle, tmp_path, ["f16", "q8_0"], True, silent)
    assert set(first.files) < set(second.files)
    assert all(p.stat().st_mtime_ns == t for p, t in stamps.items())
    path = tmp_path / f"{bundle.name}-f16.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    export(bundle, tmp_path, ["f16"], True, silent)
    data[-1] ^= 1
    assert path.read_bytes() == bytes(data)


def test_a_full_disk_keeps_the_exports_that_were_whole(bundle: Bundle, tmp_path: Path) -> None:
    export(bundle, tmp_path, ["f16"], False, silent)
    faults.arm("files.before_rename=ENOSPC")
    try:
        with pytest.raises(StorageError, match="no space left"):
            export(bundle, tmp_path, ["f16", "q8_0"], False, silent)
    finally:
        faults.arm("")
    assert (tmp_path / f"{bundle.name}-f16.gguf").exists()
    assert not list(tmp_path.glob("*q8_0*"))
    assert export(bundle, tmp_path, ["f16", "q8_0"], False, silent).files
