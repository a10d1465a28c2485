"""GGUF for llama.cpp and Ollama, written directly: their own converter refuses tokenizers that it does not
know by hash.

The graph is llama.cpp's `qwen3` or `gptneox`. Every document in training begins with end-of-text, so the file asks
for it to be put first (`add_bos_token`), and a prompt is read there as it was in training.
"""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import quantize
from torch import Tensor

from gnomon.base.errors import ConfigError
from gnomon.bundle import Bundle, bundle_metadata
from gnomon.export.chat import SAID, TEMPLATE, TURN_END, reads_chat
from gnomon.export.fit import why_unfit
from gnomon.export.pieces import Pieces, pieces_of
from gnomon.presets import GGUF_DTYPES, Shape
from gnomon.taxonomy import PAD
from gnomon.tokenizer.tokenizer import Tokenizer, is_byte_piece

ARCHITECTURES = {"qwen3": "qwen3", "gpt-neox": "gptneox"}
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
NO_MERGE = f"{PAD} {PAD}"
"""Of a tokenizer without merges, since llama.cpp reads no empty list: two parts that no text is ever cut into."""

TEMPERATURE, TOP_P = 0.8, 0.95
"""How clients sample where the user says nothing."""


def temperature_of(bundle: Bundle) -> float:
    """Return the temperature at which clients sample where the user says nothing: 0 for a model of conversations, since
    what it says of a question is a decision and not to be drawn by chance.
    """
    return 0.0 if reads_chat(bundle) else TEMPERATURE


_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.qkv": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(bundle: Bundle, path: Path, dtype: str) -> None:
    """Write the model to `path`: matrices in `dtype` (f32 f16 bf16 q8_0), gains and biases in f32.

    The head is the embedding again, and left out where llama.cpp knows that. Raises ConfigError for a model or dtype
    that GGUF cannot hold; an OSError of the disk comes through as it is.
    """
    refuse_what_gguf_cannot_hold(bundle, dtype)
    writer = gguf.GGUFWriter(path, ARCHITECTURES[bundle.shape.block])
    try:
        _add_origin(writer, bundle)
        _add_shape(writer, bundle.shape, dtype)
        _add_tokenizer(writer, bundle)
        for name, tensor in _tensors(bundle):
            _add_tensor(writer, name, tensor, TYPES[dtype][0])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def refuse_what_gguf_cannot_hold(bundle: Bundle, dtype: str) -> None:
    """Raise ConfigError when the dtype is not known, or llama.cpp could not read the tokenizer back as it is."""
    if dtype not in GGUF_DTYPES:
        raise ConfigError(f"a GGUF is not written in {dtype!r}", where="dtype", do=f"choose {', '.join(GGUF_DTYPES)}")
    tokenizer = bundle.tokenizer
    if why := why_unfit(tokenizer):
        raise _unfit(why, bundle)
    if tokenizer.tokens > bundle.shape.vocabulary:
        raise _unfit(
            f"the tokenizer has {tokenizer.tokens:,} ids and the model {bundle.shape.vocabulary:,} rows for them",
            bundle,
        )


def _unfit(why: str, bundle: Bundle) -> ConfigError:
    return ConfigError(
        f"GGUF cannot hold this model: {why}",
        where=str(bundle.run.tokenizer_path),
        do="export it as `hf`; or, if tokenizer.json was changed, put back the one that the model was trained with",
    )


def token_kinds(tokenizer: Tokenizer, vocabulary: int, *, chat: bool = False) -> list[gguf.TokenType]:
    """Return what llama.cpp shall take each id of a vocabulary for.

    Special tokens are CONTROL: it would find USER_DEFINED ones in plain text, where training had none. Those that the
    assistant of a `chat` says are USER_DEFINED all the same, since CONTROL would not be printed; in the text of a chat,
    which is read with its marks, it finds either.
    """
    kinds = [gguf.TokenType.NORMAL if part else gguf.TokenType.UNUSED for part in tokenizer.token_bytes]
    if not tokenizer.is_byte_level:
        for i, text in enumerate(tokenizer.token_texts):
            if is_byte_piece(text):
                kinds[i] = gguf.TokenType.BYTE
            elif " " in text:  # the name of an id that was left out: no text becomes it
                kinds[i] = gguf.TokenType.UNUSED
    for i in tokenizer.added_ids:
        hidden = i in tokenizer.special_ids and not (chat and tokenizer.token_texts[i] in SAID)
        kinds[i] = gguf.TokenType.CONTROL if hidden else gguf.TokenType.USER_DEFINED
    return kinds + [gguf.TokenType.UNUSED] * (vocabulary - tokenizer.tokens)


def _add_origin(writer: gguf.GGUFWriter, bundle: Bundle) -> None:
    writer.add_type("model")
    writer.add_name(bundle.name)
    writer.add_size_label(f"{bundle.shape.parameters / 1e6:.3g}M")
    writer.add_sampling_temp(temperature_of(bundle))
    writer.add_sampling_top_p(TOP_P)
    for key, value in bundle_metadata(bundle).items():
        writer.add_string(key, value)


def _add_shape(writer: gguf.GGUFWriter, shape: Shape, dtype: str) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.rotary_width)
    writer.add_rope_freq_base(shape.rope_theta)
    if shape.block == "gpt-neox":
        writer.add_layer_norm_eps(shape.norm_epsilon)
        writer.add_parallel_residual(True)
    else:
        writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(TYPES[dtype][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, bundle: Bundle) -> None:
    tokenizer = bundle.tokenizer
    # no learned token can bear these names: a space is written Ġ there, or ▁
    unused = [f"<|unused {i}|>" for i in range(tokenizer.tokens, bundle.shape.vocabulary)]
    chat = reads_chat(bundle)
    kinds = token_kinds(tokenizer, bundle.shape.vocabulary, chat=chat)
    writer.add_token_list(tokenizer.token_texts + unused)
    if tokenizer.is_byte_level:
        assert tokenizer.pretokenizer is not None
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(tokenizer.pretokenizer)
        writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges] or [NO_MERGE])
    else:
        pieces = pieces_of(tokenizer)
        assert not isinstance(pieces, str)
        _add_pieces(writer, pieces, len(unused))
        kinds[pieces.unknown] = gguf.TokenType.UNKNOWN
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokenizer.end_of_text)
    writer.add_eos_token_id(tokenizer.end_of_text)
    # else llama.cpp picks one by its name
    writer.add_eot_token_id(tokenizer.special_id(TURN_END) if chat else tokenizer.end_of_text)
    writer.add_pad_token_id(tokenizer.special_id(PAD))
    writer.add_add_bos_token(True)
    if chat:
        writer.add_chat_template(TEMPLATE)


def _add_pieces(writer: gguf.GGUFWriter, pieces: Pieces, unused: int) -> None:
    writer.add_tokenizer_model(pieces.model)
    writer.add_tokenizer_pre("default")
    writer.add_token_scores(pieces.scores + [0.0] * unused)
    writer.add_unk_token_id(pieces.unknown)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(pieces.leads_with_space)
    if pieces.model == "t5":
        writer.add_remove_extra_whitespaces(pieces.joins_spaces)
        if pieces.characters:
            writer.add_precompiled_charsmap(pieces.characters)


def _tensors(bundle: Bundle) -> Iterator[tuple[str, Tensor]]:
    """Yield the model's tensors under the names that llama.cpp gives them.

    In `gptneox` query, key and value are one tensor, one after the other, and the head, which llama.cpp asks for there,
    is the embedding once more.
    """
    own = bundle.weights
    for name, tensor in own.items():
        part, _, kind = name.rpartition(".")
        if part == "embed_tokens":
            yield "token_embd.weight", tensor
            if bundle.shape.block == "gpt-neox":
                yield "output.weight", tensor
        elif part == "norm":
            yield f"output_norm.{kind}", tensor
        else:
            _, layer, inner = part.split(".", 2)
            if bundle.shape.block == "gpt-neox" and inner in ("self_attn.k_proj", "self_attn.v_proj"):
                continue
            if bundle.shape.block == "gpt-neox" and inner == "self_attn.q_proj":
                inner = "self_attn.qkv"
                tensor = torch.cat([own[name.replace(".q_proj", f".{one}_proj")] for one in "qkv"])
            yield f"blk.{layer}.{_PARTS[inner]}.{kind}", tensor


def _add_tensor(writer: gguf.GGUFWriter, name: str, tensor: Tensor, kind: gguf.GGMLQuantizationType) -> None:
    data = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
    if data.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, data)
    else:
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what does not fit becomes infinite, and is refused when read back
            writer.add_tensor(name, quantize(data, kind), raw_dtype=kind)
