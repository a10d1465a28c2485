"""Reads a written export back, apart from the writer.

Names are looked up in llama.cpp's own table and the shape is taken from the file, so that a mistake of the
writer is not made a second time here.
"""

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
from gnomon.presets import Shape
from gnomon.tokenizer.tokenizer import Tokenizer


def read_gguf(path: Path) -> tuple[Shape, dict[str, torch.Tensor], dict[str, Any]]:
    """Return what a GGUF file says: shape, float32 weights by the model's own names, and all metadata.

    Raises IntegrityError for a file that is cut, or that does not hold a whole qwen3 model and nothing else.
    """
    try:
        reader = gguf.GGUFReader(path)
        said = {name: field.contents() for name, field in reader.fields.items()}
        shape = Shape(**{ours: said[f"qwen3.{theirs}"] for ours, theirs in _GGUF_SHAPE.items()})
        arrays = {
            t.name: gguf.dequantize(t.data, t.tensor_type).reshape(t.shape[::-1].tolist()) for t in reader.tensors
        }
    except (ValueError, KeyError, IndexError, TypeError, GnomonError) as e:
        raise IntegrityError(f"not a whole GGUF file of a qwen3 model: {e!r}", where=str(path)) from e
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, shape.layers)
    weights = {}
    for ours in LanguageModel(shape).state_dict():
        theirs = table.get_name(f"model.{ours}", try_suffixes=(".weight",))
        if theirs not in arrays:
            raise IntegrityError(f"the tensor {theirs} is missing", where=str(path))
        weights[ours] = torch.from_numpy(np.array(arrays.pop(theirs), dtype=np.float32))
    if arrays:
        raise IntegrityError(f"there are tensors too many: {', '.join(sorted(arrays)[:3])}", where=str(path))
    return shape, weights, said


def read_hf(folder: Path) -> tuple[Shape, dict[str, torch.Tensor], dict[str, Any]]:
    """Return what a Hugging Face folder says: shape, float32 weights by the model's own names, and words to check.

    Raises IntegrityError for files that are missing or cut.
    """
    try:
        config = read_json(folder / "config.json")
        shape = Shape(
            rope_theta=config["rope_parameters"]["rope_theta"],
            **{ours: config[theirs] for ours, theirs in _HF_SHAPE.items()},
        )
        tensors = load_file(folder / "model.safetensors")
        words = read_json(folder / "tokenizer_config.json") | {
            "generation": read_json(folder / "generation_config.json")
        }
        digest = Tokenizer.load(folder / "tokenizer.json").digest
    except (OSError, KeyError, TypeError, SafetensorError) as e:
        raise IntegrityError(f"not a whole Hugging Face folder of a qwen3 model: {e!r}", where=str(folder)) from e
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values()})
    weights = {name.removeprefix("model."): tensor.float() for name, tensor in tensors.items()}
    return shape, weights, config | words | {"weights": kinds, "tokenizer": digest}


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
    "norm_epsilon": "attention.layer_norm_rms_epsilon",
}
_HF_SHAPE = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_width": "head_dim",
    "feed_forward": "intermediate_size",
    "context": "max_position_embeddings",
    "norm_epsilon": "rms_norm_eps",
}
