"""A folder that `transformers` loads as Qwen3 or GPT-NeoX without custom code: safetensors, config, tokenizer."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_synced
from gnomon.bundle import Bundle, bundle_metadata
from gnomon.export.chat import TEMPLATE, end_ids, reads_chat
from gnomon.export.heads import write_heads
from gnomon.presets import Shape
from gnomon.taxonomy import PAD
from gnomon.tokenizer.tokenizer import Tokenizer

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def write_hf(bundle: Bundle, folder: Path, dtype: str) -> None:
    """Write the model in `dtype` (f32 bf16) into `folder`, which exists and is empty; heads into a folder within it.

    The output head is the embedding again and left out. Raises ConfigError for another dtype; an OSError of the disk
    comes through.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"a Hugging Face folder is not written in {dtype!r}", where="dtype", do="choose f32 or bf16")
    end, pad = bundle.tokenizer.end_of_text, bundle.tokenizer.special_id(PAD)
    own = {name: t.detach().to("cpu", DTYPES[dtype]).contiguous() for name, t in bundle.weights.items()}
    if bundle.shape.block == "gpt-neox":
        weights = _neox_weights(own, bundle.shape)
    else:
        weights = {f"model.{name}": t for name, t in own.items()}
    write_synced(folder / "model.safetensors", save(weights, {"format": "pt"}))
    write_synced(folder / "config.json", pretty_json(_config(bundle, dtype)))
    chat = reads_chat(bundle)
    generation = {"bos_token_id": end, "eos_token_id": end_ids(bundle) if chat else end, "pad_token_id": pad}
    write_synced(folder / "generation_config.json", pretty_json(generation))
    write_synced(folder / "tokenizer.json", bundle.tokenizer.to_json().encode())
    write_synced(folder / "tokenizer_config.json", pretty_json(_tokenizer_config(bundle)))
    if chat:
        write_synced(folder / "chat_template.jinja", TEMPLATE.encode())
    write_synced(folder / "special_tokens_map.json", pretty_json(_special_tokens(bundle.tokenizer)))
    write_heads(bundle, folder)


def _config(bundle: Bundle, dtype: str) -> dict[str, Any]:
    shape, end = bundle.shape, bundle.tokenizer.end_of_text
    word = str(DTYPES[dtype]).removeprefix("torch.")
    return (_neox_shape(shape) if shape.block == "gpt-neox" else _qwen3_shape(shape)) | {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": shape.context,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": bundle.tokenizer.special_id(PAD),
        "torch_dtype": word,  # read by transformers 4
        "dtype": word,  # read by transformers 5
        # not in the safetensors' own metadata, whose order differs from one writing to the next
        "gnomon": {key.removeprefix("gnomon."): value for key, value in bundle_metadata(bundle).items()},
    }


def _qwen3_shape(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "hidden_act": "silu",
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,  # read by transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},  # read by transformers 5
        "attention_bias": False,
        "use_sliding_window": False,
    }


def _neox_shape(shape: Shape) -> dict[str, Any]:
    turned = shape.rotary_width / shape.head_width
    return {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": shape.norm_epsilon,
        "rotary_emb_base": shape.rope_theta,  # this and the next are read by transformers 4
        "rotary_pct": turned,
        "rope_parameters": {  # read by transformers 5
            "rope_type": "default",
            "rope_theta": shape.rope_theta,
            "partial_rotary_factor": turned,
        },
        "attention_bias": True,
        "hidden_dropout": 0.0,
        "use_parallel_residual": True,
    }


_NEOX_PARTS = {
    "input_layernorm": "input_layernorm",
    "self_attn.o_proj": "attention.dense",
    "post_attention_layernorm": "post_attention_layernorm",
    "mlp.up_proj": "mlp.dense_h_to_4h",
    "mlp.down_proj": "mlp.dense_4h_to_h",
}


def _neox_weights(own: dict[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """Return the model's weights as GPT-NeoX has them: query, key and value are one matrix, head by head."""
    weights = {"gpt_neox.embed_in.weight": own["embed_tokens.weight"]}
    for kind in ("weight", "bias"):
        weights[f"gpt_neox.final_layer_norm.{kind}"] = own[f"norm.{kind}"]
        for i in range(shape.layers):
            layer, theirs = f"layers.{i}.", f"gpt_neox.layers.{i}."
            for part, name in _NEOX_PARTS.items():
                weights[f"{theirs}{name}.{kind}"] = own[f"{layer}{part}.{kind}"]
            each = (own[f"{layer}self_attn.{one}_proj.{kind}"] for one in "qkv")
            by_head = torch.stack([t.unflatten(0, (shape.heads, shape.head_width)) for t in each], dim=1)
            weights[f"{theirs}attention.query_key_value.{kind}"] = by_head.flatten(0, 2)
    return weights


def _special_tokens(tokenizer: Tokenizer) -> dict[str, Any]:
    names = [tokenizer.token_texts[i] for i in sorted(tokenizer.special_ids)]
    return {
        "bos_token": tokenizer.end_name,
        "eos_token": tokenizer.end_name,
        "pad_token": PAD,
        "additional_special_tokens": [name for name in names if name not in (tokenizer.end_name, PAD)],
    }


def _tokenizer_config(bundle: Bundle) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_special_tokens(bundle.tokenizer),
        "model_max_length": bundle.shape.context,
        "clean_up_tokenization_spaces": False,
        **({"chat_template": TEMPLATE} if reads_chat(bundle) else {}),
    }
