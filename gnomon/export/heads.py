"""Heads beside an export that cannot hold them: their weights, and in words and numbers how they are read."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from gnomon.base.errors import GnomonError, IntegrityError
from gnomon.base.files import pretty_json, read_json, write_synced
from gnomon.base.seeds import derive
from gnomon.bundle import Bundle
from gnomon.model.heads import Heads
from gnomon.presets import Shape
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, HEAD_OUTPUTS, MARKS, ROUTER_SIGNALS, SIGNAL_KINDS

FOLDER = "heads"
FORMULAS = {
    "states": "H_0 is the embedding of the tokens, H_l the stream behind layer l, before the final norm; p is the place"
    " of a mark",
    "input": "x = sum over l of softmax(mix)_l * H_l[p] / sqrt(mean(H_l[p]^2) + epsilon), with the head's mix:"
    " mix.router for router, mix.opening for opening, mix.types for coarse and fine",
    "head": "logits = down_proj.weight @ silu(up_proj.weight @ x + up_proj.bias) + down_proj.bias, in float32",
    "router": "sigmoid of each logit; at <|a|> of those of opening",
    "coarse": "sigmoid of each logit",
    "fine": "softmax of the logits",
}


def write_heads(bundle: Bundle, folder: Path) -> None:
    """Write `heads/heads.safetensors`, float32, and `heads/heads.json` into an export's folder, where there are heads.

    An OSError of the disk comes through.
    """
    heads = bundle.model.heads
    if heads is None:
        return
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in heads.state_dict().items()}
    marks = {MARKS[kind]: token for token, kind in bundle.marks.items()}
    read_at = dict(zip(ROUTER_SIGNALS, SIGNAL_KINDS, strict=True)) | {"coarse": (0,), "fine": (0,)}
    (folder / FOLDER).mkdir()
    write_synced(folder / FOLDER / "heads.safetensors", save(weights))
    said = {
        "kinds": heads.kinds,
        "epsilon": heads.epsilon,
        "tensors": {name: list(tensor.shape) for name, tensor in weights.items()},
        "marks": marks,
        "read_at": {name: [mark for mark in marks if MARKS.index(mark) in at] for name, at in read_at.items()},
        "outputs": {"router": ROUTER_SIGNALS, "opening": ROUTER_SIGNALS, "coarse": ANSWER_TYPES, "fine": FINE_TYPES},
        "formulas": FORMULAS,
    }
    write_synced(folder / FOLDER / "heads.json", pretty_json(said))


def read_heads(folder: Path, shape: Shape) -> Heads:
    """Return the heads that lie in an export's folder, for a model of this shape. Raises IntegrityError for files that
    are missing, cut, or do not fit it.
    """
    try:
        said: Any = read_json(folder / FOLDER / "heads.json")
        heads = Heads([kind for kind in HEAD_OUTPUTS if kind in said["kinds"]], shape)
        heads.epsilon = float(said["epsilon"])
        heads.load_state_dict(load_file(folder / FOLDER / "heads.safetensors"))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, GnomonError) as e:
        raise IntegrityError(f"not whole heads of this model: {e!r:.200}", where=str(folder / FOLDER)) from e
    return heads


@torch.inference_mode()
def heads_differ(bundle: Bundle, folder: Path) -> str | None:
    """Return why the heads in an export's folder do not say what the model's do; None: they say the same, bit for bit.

    Raises IntegrityError where they cannot be read.
    """
    ours = bundle.model.heads
    if ours is None:
        return None
    theirs = read_heads(folder, bundle.shape).to(ours.device)
    generator = torch.Generator().manual_seed(derive(0, "heads"))
    states = torch.randn(bundle.shape.states, 8, bundle.shape.width, generator=generator).to(ours.device)
    kinds = torch.arange(8, device=ours.device) % len(MARKS)
    meant, found = ours(states.unbind(), kinds), theirs(states.unbind(), kinds)
    wrong = [name for name, logits in meant.items() if name not in found or not torch.equal(logits, found[name])]
    return f"its heads differ in {', '.join(wrong)}" if wrong or found.keys() - meant.keys() else None
