"""Compares what a written export says, once it has been read back, with what the model says."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnomon.base.errors import GnomonError, IntegrityError
from gnomon.base.seeds import derive
from gnomon.bundle import Bundle
from gnomon.data.streaming.stream import validation_rows
from gnomon.export.chat import SAID, TEMPLATE, TURN_END, end_ids, reads_chat
from gnomon.export.heads import heads_differ
from gnomon.export.pieces import pieces_of
from gnomon.export.read import read_gguf, read_hf
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape
from gnomon.store.datasets import open_dataset
from gnomon.taxonomy import PAD
from gnomon.tokenizer.tokenizer import Tokenizer, is_byte_piece

PROBE_TOKENS = 2048
CHUNK_TOKENS = 256
"""Rows of logits compared at once: at a vocabulary of 32,768 and double precision, 64 MiB an array."""


@dataclass(frozen=True)
class Gate:
    """What an export may differ by: mean KL divergence in nats, share of equal likeliest tokens, largest logit."""

    mean_kl: float
    top1: float
    max_abs: float | None


GATES = {
    "f32": Gate(1e-9, 1.0, 1e-4),
    "f16": Gate(1e-5, 0.99, None),
    "bf16": Gate(5e-4, 0.97, None),
    "q8_0": Gate(5e-3, 0.93, None),
}
"""About ten times the divergence that models of 0.2M to 5M parameters, trained on text, showed at most: f16
7e-7, bf16 4e-5, q8_0 4e-4, with 99.9, 99.5 and 97.9 % equal top tokens. It is what rounding may cost; that
every weight is the model's own, rounded once, is checked weight by weight beside it, so that these need
not be tight to find a mistake.
"""


@dataclass(frozen=True)
class Verdict:
    """How an export compares with the model: largest difference of a logit, mean KL in nats, share of equal
    top tokens.
    """

    file: str
    format: str
    dtype: str
    max_abs: float
    mean_kl: float
    top1: float

    @property
    def tolerance(self) -> Gate:
        return GATES[self.dtype]

    @property
    def ok(self) -> bool:
        """Whether every figure is within the gate of its number format."""
        gate = self.tolerance
        near = gate.max_abs is None or self.max_abs <= gate.max_abs
        return near and self.mean_kl <= gate.mean_kl and self.top1 >= gate.top1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok, "tolerance": asdict(self.tolerance)}

    def __str__(self) -> str:
        top1 = f"top token equal {100 * self.top1:.2f} %"
        return f"mean KL {self.mean_kl:.1e}, {top1}, largest logit difference {self.max_abs:.1e}"


def verify_gguf(bundle: Bundle, path: Path, name: str, dtype: str) -> Verdict:
    """Return the verdict on a GGUF file. Raises IntegrityError that names what differs: words, weights or figures."""
    shape, weights, said = read_gguf(path)
    _same_words(name, said, _gguf_words(bundle, dtype))
    return _judge(bundle, shape, weights, name, "gguf", dtype)


def verify_hf(bundle: Bundle, folder: Path, name: str, dtype: str) -> Verdict:
    """Return the verdict on a Hugging Face folder. Raises IntegrityError that names what differs."""
    shape, weights, said = read_hf(folder)
    _same_words(name, said, _hf_words(bundle, dtype))
    verdict = _judge(bundle, shape, weights, name, "hf", dtype)
    if (why := heads_differ(bundle, folder)) is not None:
        raise _refusal(name, why)
    return verdict


def _gguf_words(bundle: Bundle, dtype: str) -> dict[str, Any]:
    """Return what the metadata of a GGUF must say besides the shape."""
    tokenizer, spare = bundle.tokenizer, bundle.shape.vocabulary - bundle.tokenizer.tokens
    neox = bundle.shape.block == "gpt-neox"
    graph, chat = "gptneox" if neox else "qwen3", reads_chat(bundle)
    more = ({"gptneox.use_parallel_residual": True} if neox else {}) | (
        {"tokenizer.chat_template": TEMPLATE} if chat else {}
    )
    return more | {
        "general.architecture": graph,
        "general.name": bundle.name,
        "general.file_type": {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7}[dtype],
        "general.quantization_version": 2,
        f"{graph}.attention.value_length": bundle.shape.head_width,
        f"{graph}.rope.dimension_count": bundle.shape.rotary_width,
        "tokenizer.ggml.tokens": tokenizer.token_texts + [f"<|unused {tokenizer.tokens + i}|>" for i in range(spare)],
        "tokenizer.ggml.bos_token_id": tokenizer.end_of_text,
        "tokenizer.ggml.eos_token_id": tokenizer.end_of_text,
        "tokenizer.ggml.eot_token_id": tokenizer.special_id(TURN_END) if chat else tokenizer.end_of_text,
        "tokenizer.ggml.padding_token_id": tokenizer.special_id(PAD),
        "tokenizer.ggml.add_bos_token": True,
        **(_byte_words if tokenizer.is_byte_level else _piece_words)(tokenizer, spare, chat),
    }


_NORMAL, _UNKNOWN, _CONTROL, _SOUGHT, _UNUSED, _BYTE = range(1, 7)
"""What a token is, as llama.cpp counts it."""


def _byte_words(tokenizer: Tokenizer, spare: int, chat: bool) -> dict[str, Any]:
    plain = [_NORMAL if part else _UNUSED for part in tokenizer.token_bytes]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": tokenizer.pretokenizer,
        "tokenizer.ggml.token_type": _types(tokenizer, plain, chat) + [_UNUSED] * spare,
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in tokenizer.merges] or [f"{PAD} {PAD}"],
    }


def _piece_words(tokenizer: Tokenizer, spare: int, chat: bool) -> dict[str, Any]:
    pieces = pieces_of(tokenizer)
    assert not isinstance(pieces, str)
    plain = [_BYTE if is_byte_piece(t) else _UNUSED if " " in t else _NORMAL for t in tokenizer.token_texts]
    types = _types(tokenizer, plain, chat)
    types[pieces.unknown] = _UNKNOWN
    of_unigram: dict[str, Any] = {"tokenizer.ggml.remove_extra_whitespaces": pieces.joins_spaces}
    if pieces.characters:
        of_unigram["tokenizer.ggml.precompiled_charsmap"] = list(pieces.characters)
    return {
        "tokenizer.ggml.model": pieces.model,
        "tokenizer.ggml.token_type": types + [_UNUSED] * spare,
        "tokenizer.ggml.scores": pieces.scores + [0.0] * spare,
        "tokenizer.ggml.unknown_token_id": pieces.unknown,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": pieces.leads_with_space,
    } | (of_unigram if pieces.model == "t5" else {})


def _types(tokenizer: Tokenizer, plain: list[int], chat: bool) -> list[int]:
    """Return what each token is: as said in `plain`, but for those that were added."""
    shown = SAID if chat else frozenset[str]()
    hidden = {i for i in tokenizer.special_ids if tokenizer.token_texts[i] not in shown}
    return [
        plain[i] if i not in tokenizer.added_ids else _CONTROL if i in hidden else _SOUGHT
        for i in range(tokenizer.tokens)
    ]


def _hf_words(bundle: Bundle, dtype: str) -> dict[str, Any]:
    """Return what the JSON files of a Hugging Face folder must say besides the shape."""
    ids = {
        "bos_token_id": bundle.tokenizer.end_of_text,
        "eos_token_id": bundle.tokenizer.end_of_text,
        "pad_token_id": bundle.tokenizer.special_id(PAD),
    }
    ends = ids | ({"eos_token_id": end_ids(bundle)} if reads_chat(bundle) else {})
    word = {"f32": "float32", "bf16": "bfloat16"}[dtype]
    theta = bundle.shape.rope_theta
    qwen3 = {
        "architectures": ["Qwen3ForCausalLM"],
        "hidden_act": "silu",
        "attention_bias": False,
        "use_sliding_window": False,
        "rope_theta": theta,
    }
    neox = {
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_act": "gelu_pytorch_tanh",
        "attention_bias": True,
        "use_parallel_residual": True,
        "rotary_emb_base": theta,
        "rotary_pct": 0.25,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": 0.25},
    }
    return (
        ids
        | (neox if bundle.shape.block == "gpt-neox" else qwen3)
        | {
            "tie_word_embeddings": True,
            "torch_dtype": word,
            "dtype": word,
            "weights": [word],
            "generation": ends,
            **({"chat_template": TEMPLATE, "template": TEMPLATE} if reads_chat(bundle) else {}),
            "tokenizer": bundle.tokenizer.digest,
            "model_max_length": bundle.shape.context,
            "bos_token": bundle.tokenizer.end_name,
            "eos_token": bundle.tokenizer.end_name,
            "pad_token": PAD,
        }
    )


def _same_words(name: str, said: dict[str, Any], meant: dict[str, Any]) -> None:
    wrong = [key for key, value in meant.items() if key not in said or said[key] != value]
    if wrong:
        raise _refusal(name, f"it differs in {', '.join(wrong)}")


def _judge(
    bundle: Bundle, shape: Shape, weights: dict[str, torch.Tensor], name: str, format: str, dtype: str
) -> Verdict:
    """Return the verdict on what was read back. Raises IntegrityError where shape, weights or figures are not
    the model's.
    """
    for field in fields(Shape):
        is_, meant = getattr(shape, field.name), getattr(bundle.shape, field.name)
        if isinstance(meant, str):
            if is_ != meant:
                raise _refusal(name, f"its {field.name} is {is_} and the model's {meant}")
        elif np.float32(is_) != np.float32(meant):  # GGUF keeps numbers in float32
            raise _refusal(name, f"its {field.name} is {is_:g} and the model's {meant:g}")
    for key, tensor in weights.items():
        if not tensor.isfinite().all():
            raise _refusal(name, f"{key} holds a number that is not finite in {dtype}")
    verdict = compare(bundle.model, revive(shape, weights, bundle, name), probe(bundle), name, format, dtype)
    if not verdict.ok:
        raise _refusal(name, str(verdict))
    for key, ours in bundle.weights.items():
        if not _is_rounding(ours.cpu(), weights[key], dtype if ours.ndim == 2 or format == "hf" else "f32"):
            raise _refusal(name, f"{key} differs by more than rounding to {dtype}")
    return verdict


def _refusal(name: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{name} does not say what the model says: {why}",
        do="nothing was kept under its name; run the export again, and report this if it stays",
    )


def revive(shape: Shape, weights: dict[str, torch.Tensor], bundle: Bundle, name: str) -> LanguageModel:
    """Return a model of what was read back, where the bundle's own model is. Raises IntegrityError for unfit
    weights.
    """
    twin = LanguageModel(shape)
    try:
        twin.load_state_dict(weights, strict=True)
    except RuntimeError as e:
        raise _refusal(name, str(e)) from None
    return twin.eval().to(bundle.model.head.device)


def _is_rounding(ours: torch.Tensor, theirs: torch.Tensor, dtype: str) -> bool:
    """Return whether every weight is the model's, rounded as `dtype` does and no further."""
    size, off = ours.double().abs(), (ours.double() - theirs.double()).abs()
    match dtype:
        case "f32":
            return torch.equal(ours, theirs)
        case "f16":
            limit = size * 2**-11 + 2**-25  # half a unit in the last of 11 places; the latter below 2^-14
        case "bf16":
            limit = size * 2**-8 + 2**-134
        case "q8_0":
            largest = size.reshape(-1, 32).amax(1, keepdim=True).expand(-1, 32).reshape(size.shape)
            # half a step of 1/127 of the block's largest, and 127 times the rounding of that step to float16
            limit = largest * (1 / 254 + 2**-11) * (1 + 1e-5) + 127 * 2**-25
        case _:
            raise AssertionError(dtype)
    return bool((off <= limit).all())


@torch.inference_mode()
def compare(
    model: LanguageModel, twin: LanguageModel, tokens: torch.Tensor, file: str, format: str, dtype: str
) -> Verdict:
    """Return how the logits of two models on one device differ on token ids [rows, length]."""
    device = model.head.device
    ours, theirs = (m(tokens.to(device)).hidden.flatten(0, 1).split(CHUNK_TOKENS) for m in (model, twin))
    largest, kl, same = [], 0.0, 0
    for our_hidden, their_hidden in zip(ours, theirs, strict=True):
        a, b = model.logits(our_hidden).double().cpu(), twin.logits(their_hidden).double().cpu()
        log_p, log_q = a.log_softmax(1), b.log_softmax(1)
        largest.append((a - b).abs().max())
        kl += float((log_p.exp() * (log_p - log_q)).sum())
        same += int((a.argmax(1) == b.argmax(1)).sum())
    return Verdict(
        file, format, dtype, float(torch.stack(largest).max()), max(kl, 0.0) / tokens.numel(), same / tokens.numel()
    )


def probe(bundle: Bundle) -> torch.Tensor:
    """Return token ids to compare on, [rows, context]: held-out text where it is at hand, else a fixed
    mixture of ids.
    """
    length = bundle.shape.context
    rows = max(1, PROBE_TOKENS // length)
    folder = bundle.plan.get("dataset_folder")
    if folder and (Path(folder) / "manifest.json").exists():
        try:
            return next(validation_rows(open_dataset(Path(folder)), length, rows, None)).tokens
        except GnomonError:
            pass  # damaged, or of another version: any ids will do
    generator = torch.Generator().manual_seed(derive(0, "probe"))
    return torch.randint(bundle.tokenizer.tokens, (rows, length), generator=generator)
