"""GGUF for llama.cpp and Ollama, written directly: their own converter refuses tokenizers that it does not
know by hash.

The graph is llama.cpp's `qwen3`. Every document in training begins with end-of-text, so the file asks for it
to be put first (`add_bos_token`), and a prompt is read there as it was in training.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import quantize

from gnomon.bundle import Bundle, bundle_metadata
from gnomon.presets import Shape
from gnomon.taxonomy import PAD, SPECIAL_TOKENS

ARCHITECTURE = "qwen3"
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_names(layers: int) -> dict[str, str]:
    """Return the GGUF name of every parameter of a model with so many layers."""
    names = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
    for i in range(layers):
        names |= {f"layers.{i}.{ours}.weight": f"blk.{i}.{theirs}.weight" for ours, theirs in _PARTS.items()}
    return names


def write_gguf(bundle: Bundle, path: Path, dtype: str) -> None:
    """Write the model to `path`: matrices in `dtype` (f32 f16 bf16 q8_0), gains of norms in f32."""
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    _add_shape(writer, bundle.shape, dtype)
    writer.add_name(bundle.name)
    for key, value in bundle_metadata(bundle).items():
        writer.add_string(key, value)
    _add_tokenizer(writer, bundle)
    names = gguf_names(bundle.shape.layers)
    for ours, tensor in bundle.model.state_dict().items():
        data = tensor.numpy()
        kind = TYPES[dtype][0] if data.ndim == 2 else gguf.GGMLQuantizationType.F32
        if kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(names[ours], np.ascontiguousarray(data, dtype=np.float32))
        else:
            writer.add_tensor(names[ours], quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, shape: Shape, dtype: str) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(TYPES[dtype][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, bundle: Bundle) -> None:
    tokenizer = bundle.tokenizer
    unused = [f"<|unused_{i}|>" for i in range(tokenizer.tokens, bundle.shape.vocabulary)]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIAL_TOKENS)
    kinds += [gguf.TokenType.NORMAL] * (tokenizer.tokens - len(SPECIAL_TOKENS))
    kinds += [gguf.TokenType.UNUSED] * len(unused)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.pretokenizer)
    writer.add_token_list(tokenizer.token_texts + unused)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.end_of_text)
    writer.add_eos_token_id(tokenizer.end_of_text)
    writer.add_pad_token_id(tokenizer.special_id(PAD))
    writer.add_add_bos_token(True)


def read_gguf(path: Path) -> tuple[Shape, dict[str, np.ndarray], dict[str, Any]]:
    """Return what a GGUF file says: shape, float32 tensors by their GGUF names, and all metadata."""
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}

    def value(key: str) -> Any:
        return fields[f"{ARCHITECTURE}.{key}"]

    shape = Shape(
        vocabulary=value("vocab_size"),
        width=value("embedding_length"),
        layers=value("block_count"),
        heads=value("attention.head_count"),
        kv_heads=value("attention.head_count_kv"),
        head_width=value("attention.key_length"),
        feed_forward=value("feed_forward_length"),
        context=value("context_length"),
        rope_theta=value("rope.freq_base"),
        norm_epsilon=value("attention.layer_norm_rms_epsilon"),
    )
    tensors = {
        t.name: gguf.quants.dequantize(t.data, t.tensor_type).reshape(tuple(reversed(t.shape.tolist())))
        for t in reader.tensors
    }
    return shape, tensors, fields
