"""Heads lie beside a model in an export, are read back as they were, and leave the model's own files alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from gnomon.base.errors import IntegrityError
from gnomon.base.files import read_json
from gnomon.base.progress import silent
from gnomon.bundle import Bundle, load_bundle
from gnomon.export.heads import heads_differ, read_heads
from gnomon.export.write import export, verify_export
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, MARKS, ROUTER_SIGNALS
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(heads=["router", "types"]), tokenizer)


@pytest.fixture(scope="module")
def out(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    export(bundle, folder, ["f32"], True, silent)
    return folder


def test_what_is_read_back_says_what_the_model_says(bundle: Bundle, out: Path) -> None:
    heads, states = read_heads(out / "hf", TINY), torch.randn(TINY.layers + 1, 4, TINY.width).unbind()
    assert bundle.model.heads is not None
    ours, theirs = bundle.model.heads(states, torch.arange(4)), heads(states, torch.arange(4))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert verify_export(out) == []


def test_the_words_beside_them_are_enough_to_compute_them(bundle: Bundle, out: Path) -> None:
    """As somebody would who has the two files, NumPy, and the hidden states of transformers."""
    said, w = read_json(out / "hf" / "heads" / "heads.json"), load_file(out / "hf" / "heads" / "heads.safetensors")
    states = np.random.default_rng(0).standard_normal((TINY.layers + 1, TINY.width)).astype(np.float32)
    mixed = dict[str, np.ndarray]()
    for name in ("router", "opening", "types"):
        mix = np.exp(w[f"mix.{name}"]) / np.exp(w[f"mix.{name}"]).sum()
        x = [a * h / np.sqrt(np.mean(h * h) + said["epsilon"]) for a, h in zip(mix, states, strict=True)]
        mixed[name] = np.sum(x, axis=0)
    assert bundle.model.heads is not None
    states_N = [torch.from_numpy(h).expand(len(MARKS), -1) for h in states]
    ours = bundle.model.heads(states_N, torch.arange(len(MARKS)))  # one place, as if it were each kind of mark
    found = dict[str, np.ndarray]()
    for name in said["outputs"]:
        x = mixed[name if name in mixed else "types"]
        up = w[f"{name}.up_proj.weight"] @ x + w[f"{name}.up_proj.bias"]
        found[name] = w[f"{name}.down_proj.weight"] @ (up / (1 + np.exp(-up))) + w[f"{name}.down_proj.bias"]
    for name, logits in ours.items():
        for mark, of_mark in zip(MARKS, logits.detach().numpy(), strict=True):
            here = found["opening" if name == "router" and mark == "<|a|>" else name]
            assert np.allclose(here, of_mark, atol=1e-5)
    signals = list(ROUTER_SIGNALS)
    types = {"coarse": list(ANSWER_TYPES), "fine": list(FINE_TYPES)}
    assert said["outputs"] == {"router": signals, "opening": signals} | types
    assert said["marks"] == {mark: bundle.tokenizer.special_id(mark) for mark in MARKS}
    assert bundle.marks == {id_: kind for kind, id_ in enumerate(said["marks"].values())}
    assert said["read_at"]["known"] == ["<|/q|>", "<|a|>"] and said["read_at"]["sufficient"] == ["<|/ctx|>", "<|a|>"]
    assert said["read_at"]["correct"] == ["<|/a|>"] and said["read_at"]["fine"] == ["<|/q|>"]


def test_the_model_s_own_files_are_those_of_a_model_without_heads_but_for_a_note(bundle: Bundle, out: Path) -> None:
    plain = saved_bundle(bundle.run.folder.parent / "plain" / "noisy", noisy_model(), bundle.tokenizer)
    export(plain, out / "plain", ["f32"], True, silent)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (out / "hf" / name).read_bytes() == (out / "plain" / "hf" / name).read_bytes()
    assert not (out / "plain" / "hf" / "heads").exists()
    assert "heads" in read_json(out / "hf" / "config.json")["gnomon"]
    assert "heads" not in read_json(out / "plain" / "hf" / "config.json")["gnomon"]


def test_heads_that_say_something_else_are_found(bundle: Bundle, out: Path) -> None:
    path = out / "hf" / "heads" / "heads.safetensors"
    whole, weights = path.read_bytes(), load_file(path)
    weights["coarse.down_proj.bias"] = weights["coarse.down_proj.bias"] + 1e-3
    save_file(weights, path)
    assert heads_differ(bundle, out / "hf") == "its heads differ in coarse"
    path.write_bytes(whole[:-9])
    with pytest.raises(IntegrityError, match="not whole heads"):
        heads_differ(bundle, out / "hf")
    path.write_bytes(whole)
    assert heads_differ(bundle, out / "hf") is None


def test_a_bundle_loads_heads_and_refuses_a_plan_that_names_others(bundle: Bundle) -> None:
    assert bundle.model.heads is not None and bundle.model.heads.kinds == ["router", "types"]
    path, written = bundle.run.plan_path, bundle.run.plan_path.read_text()
    for said, why in (('["router"]', "do not fit"), ("[]", "do not fit"), ('["types", "router"]', "heads are")):
        path.write_text(written.replace('[\n    "router",\n    "types"\n  ]', said))
        with pytest.raises(IntegrityError, match=why):
            load_bundle(bundle.run.folder)
    path.write_text(written)
