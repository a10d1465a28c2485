"""A folder that `transformers` loads as Qwen3 without custom code: safetensors, config, tokenizer."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_synced
from gnomon.bundle import Bundle, bundle_metadata
from gnomon.taxonomy import END_OF_TEXT, PAD, SPECIAL_TOKENS

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def write_hf(bundle: Bundle, folder: Path, dtype: str) -> None:
    """Write the model in `dtype` (f32 bf16) into `folder`, which exists and is empty.

    The head is the embedding again and left out. Raises ConfigError for another dtype; an OSError of the disk
    comes through.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"a Hugging Face folder is not written in {dtype!r}", where="dtype", do="choose f32 or bf16")
    end, pad = bundle.tokenizer.end_of_text, bundle.tokenizer.special_id(PAD)
    weights = {
        f"model.{name}": t.detach().to("cpu", DTYPES[dtype]).contiguous()
        for name, t in bundle.model.state_dict().items()
    }
    write_synced(folder / "model.safetensors", save(weights, {"format": "pt"}))
    write_synced(folder / "config.json", pretty_json(_config(bundle, dtype)))
    generation = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": pad}
    write_synced(folder / "generation_config.json", pretty_json(generation))
    write_synced(folder / "tokenizer.json", bundle.tokenizer.to_json().encode())
    write_synced(folder / "tokenizer_config.json", pretty_json(_tokenizer_config(bundle)))
    write_synced(folder / "special_tokens_map.json", pretty_json(_special_tokens()))


def _config(bundle: Bundle, dtype: str) -> dict[str, Any]:
    shape, end = bundle.shape, bundle.tokenizer.end_of_text
    word = str(DTYPES[dtype]).removeprefix("torch.")
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
        "torch_dtype": word,  # read by transformers 4
        "dtype": word,  # read by transformers 5
        # not in the safetensors' own metadata, whose order differs from one writing to the next
        "gnomon": {key.removeprefix("gnomon."): value for key, value in bundle_metadata(bundle).items()},
    }


def _special_tokens() -> dict[str, Any]:
    return {
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "additional_special_tokens": [t for t in SPECIAL_TOKENS if t not in (END_OF_TEXT, PAD)],
    }


def _tokenizer_config(bundle: Bundle) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_special_tokens(),
        "model_max_length": bundle.shape.context,
        "clean_up_tokenization_spaces": False,
    }
