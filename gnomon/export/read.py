"""Reads a written export back, apart from the writer.

Names are looked up in llama.cpp's own table and the shape is taken from the file, so that a mistake of the
writer is not made a second time here.
"""

import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gnomon.base.errors import GnomonError, IntegrityError
from gnomon.base.files import read_json
from gnomon.model.lm import LanguageModel
from gnomon.presets import BlockKind, Shape
from gnomon.tokenizer.tokenizer import Tokenizer


def read_gguf(path: Path) -> tuple[Shape, dict[str, torch.Tensor], dict[str, Any]]:
    """Return what a GGUF file says: shape, float32 weights by the model's own names, and all metadata.

    Raises IntegrityError for a file that is cut, or that does not hold a whole model and nothing else.
    """
    try:
        reader = gguf.GGUFReader(path)
        said = {name: field.contents() for name, field in reader.fields.items()}
        block = _ARCHITECTURES[said["general.architecture"]]
        names = _GGUF_SHAPE | {"norm_epsilon": _GGUF_EPSILON[block]}
        sizes = {ours: said[f"{said['general.architecture']}.{theirs}"] for ours, theirs in names.items()}
        shape = Shape(**sizes, block=block)
        arrays = {
            t.name: gguf.dequantize(t.data, t.tensor_type).reshape(t.shape[::-1].tolist()) for t in reader.tensors
        }
    except (ValueError, KeyError, IndexError, TypeError, GnomonError) as e:
        raise IntegrityError(f"not a whole GGUF file of a model: {e!r}", where=str(path)) from e
    graph = gguf.MODEL_ARCH.GPTNEOX if block == "gpt-neox" else gguf.MODEL_ARCH.QWEN3
    table = gguf.get_tensor_name_map(graph, shape.layers)
    weights = {}
    for known in _transformers_names(shape):
        theirs = table.get_name(known, try_suffixes=(".weight", ".bias"))
        if theirs not in arrays:
            raise IntegrityError(f"the tensor {theirs} is missing", where=str(path))
        weights[known] = torch.from_numpy(np.array(arrays.pop(theirs), dtype=np.float32))
    if block == "gpt-neox":
        head = arrays.pop("output.weight", None)
        if head is None or not np.array_equal(head, weights["gpt_neox.embed_in.weight"].numpy()):
            raise IntegrityError("the head is not the embedding again", where=str(path))
    if arrays:
        raise IntegrityError(f"there are tensors too many: {', '.join(sorted(arrays)[:3])}", where=str(path))
    return shape, _own_weights(shape, weights, by_head=False), said


def read_hf(folder: Path) -> tuple[Shape, dict[str, torch.Tensor], dict[str, Any]]:
    """Return what a Hugging Face folder says: shape, float32 weights by the model's own names, and words to check.

    Raises IntegrityError for files that are missing or cut.
    """
    try:
        config = read_json(folder / "config.json")
        block = _MODEL_TYPES[config["model_type"]]
        names = _HF_SHAPE | _HF_SHAPES[block]
        sizes = {ours: config[theirs] for ours, theirs in names.items()}
        if block == "gpt-neox":
            sizes["head_width"] = sizes["width"] // sizes["heads"]
        shape = Shape(rope_theta=config["rope_parameters"]["rope_theta"], block=block, **sizes)
        tensors = load_file(folder / "model.safetensors")
        words = read_json(folder / "tokenizer_config.json") | {
            "generation": read_json(folder / "generation_config.json")
        }
        if (template := folder / "chat_template.jinja").exists():
            words["template"] = template.read_text("utf-8")
        digest = Tokenizer.load(folder / "tokenizer.json").digest
    except (OSError, KeyError, TypeError, SafetensorError) as e:
        raise IntegrityError(f"not a whole Hugging Face folder of a model: {e!r}", where=str(folder)) from e
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values()})
    weights = _own_weights(shape, {name: tensor.float() for name, tensor in tensors.items()}, by_head=True)
    return shape, weights, config | words | {"weights": kinds, "tokenizer": digest}


def _transformers_names(shape: Shape) -> list[str]:
    """Return the names that `transformers` has for the tensors of a model, but for its head."""
    with torch.device("meta"):
        names = [f"model.{name}" for name in LanguageModel(shape).state_dict()]
    if shape.block == "gpt-neox":
        for theirs, ours in _NEOX_NAMES.items():
            names = [name.replace(ours, theirs) for name in names]
        names = [re.sub(r"self_attn\.[qkv]_proj", _QKV, name) for name in names]
    return list(dict.fromkeys(names))


def _own_weights(shape: Shape, weights: dict[str, torch.Tensor], *, by_head: bool) -> dict[str, torch.Tensor]:
    """Return under the model's own names what has those of `transformers`.

    The queries, keys and values of a GPT-NeoX lie in one tensor, head by head or one after the other.
    """
    if shape.block == "qwen3":
        return {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    own = {}
    for name, tensor in weights.items():
        for theirs, ours in _NEOX_NAMES.items():
            name = name.replace(theirs, ours)
        name = name.removeprefix("model.")
        if _QKV not in name or len(tensor) != 3 * shape.width:
            own[name] = tensor
            continue
        heads, rest = shape.heads if by_head else 1, tensor.shape[1:]
        for one, part in zip("qkv", tensor.unflatten(0, (heads, 3, -1)).unbind(1), strict=True):
            own[name.replace(_QKV, f"self_attn.{one}_proj")] = part.reshape(shape.width, *rest)
    return own


_QKV = "attention.query_key_value"
_NEOX_NAMES = {
    "gpt_neox.embed_in.": "model.embed_tokens.",
    "gpt_neox.final_layer_norm.": "model.norm.",
    "gpt_neox.layers.": "model.layers.",
    ".attention.dense.": ".self_attn.o_proj.",
    ".mlp.dense_h_to_4h.": ".mlp.up_proj.",
    ".mlp.dense_4h_to_h.": ".mlp.down_proj.",
}
"""What `transformers` and what the model calls the parts of a GPT-NeoX, where that differs."""

_ARCHITECTURES: dict[str, BlockKind] = {"qwen3": "qwen3", "gptneox": "gpt-neox"}
_MODEL_TYPES: dict[str, BlockKind] = {"qwen3": "qwen3", "gpt_neox": "gpt-neox"}
_GGUF_EPSILON = {"qwen3": "attention.layer_norm_rms_epsilon", "gpt-neox": "attention.layer_norm_epsilon"}
_GGUF_SHAPE = {
    "vocabulary": "vocab_size",
    "width": "embedding_length",
    "layers": "block_count",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "head_width": "attention.key_length",
    "feed_forward": "feed_forward_length",
    "context": "context_length",
    "rope_theta": "rope.freq_base",
}
_HF_SHAPE = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "context": "max_position_embeddings",
}
_HF_SHAPES = {
    "qwen3": {"kv_heads": "num_key_value_heads", "head_width": "head_dim", "norm_epsilon": "rms_norm_eps"},
    "gpt-neox": {"kv_heads": "num_attention_heads", "norm_epsilon": "layer_norm_eps"},
}
