"""A folder that `transformers` loads as Qwen3 without custom code: safetensors, config, tokenizer."""

from pathlib import Path
from typing import Any

from safetensors.torch import save

from gnomon.base.files import pretty_json, write_synced
from gnomon.bundle import Bundle, bundle_metadata
from gnomon.presets import Shape
from gnomon.taxonomy import END_OF_TEXT, PAD, SPECIAL_TOKENS


def write_hf(bundle: Bundle, folder: Path) -> None:
    """Write the model in float32 into `folder`, which exists and is empty."""
    tensors = {f"model.{name}": tensor for name, tensor in bundle.model.state_dict().items()}
    write_synced(folder / "model.safetensors", save(tensors, {"format": "pt"} | bundle_metadata(bundle)))
    write_synced(folder / "config.json", pretty_json(_config(bundle)))
    end = bundle.tokenizer.end_of_text
    write_synced(
        folder / "generation_config.json",
        pretty_json({"bos_token_id": end, "eos_token_id": end, "pad_token_id": bundle.tokenizer.special_id(PAD)}),
    )
    write_synced(folder / "tokenizer.json", bundle.tokenizer.to_json().encode())
    write_synced(folder / "tokenizer_config.json", pretty_json(_tokenizer_config(bundle)))


def _config(bundle: Bundle) -> dict[str, Any]:
    shape, end = bundle.shape, bundle.tokenizer.end_of_text
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,  # read by transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},  # read by transformers 5
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": bundle.tokenizer.special_id(PAD),
        "torch_dtype": "float32",
        "dtype": "float32",
    }


def _tokenizer_config(bundle: Bundle) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "additional_special_tokens": [t for t in SPECIAL_TOKENS if t not in (END_OF_TEXT, PAD)],
        "model_max_length": bundle.shape.context,
        "clean_up_tokenization_spaces": False,
    }


def shape_from_hf(config: dict[str, Any]) -> Shape:
    """Return the shape that a config.json describes."""
    return Shape(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        head_width=config["head_dim"],
        feed_forward=config["intermediate_size"],
        context=config["max_position_embeddings"],
        rope_theta=config["rope_parameters"]["rope_theta"],
        norm_epsilon=config["rms_norm_eps"],
    )
