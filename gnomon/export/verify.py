"""Reads a written export back, independently of the writer, and compares what it says with what the model says."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from gnomon.base.errors import IntegrityError
from gnomon.base.files import read_json
from gnomon.base.seeds import derive
from gnomon.bundle import Bundle
from gnomon.data.stream import validation_rows
from gnomon.export.gguf import gguf_names, read_gguf
from gnomon.export.hf import shape_from_hf
from gnomon.model.lm import LanguageModel
from gnomon.presets import Shape
from gnomon.store.datasets import open_dataset
from gnomon.tokenizer.tokenizer import Tokenizer

GATES = {"f32": (1e-9, 1.0), "f16": (1e-5, 0.995), "bf16": (3e-4, 0.97), "q8_0": (1e-3, 0.96)}
"""For each number format: the largest mean KL divergence (nats) and the smallest share of equal likeliest tokens.
About ten times what trained models of 1M to 5M parameters show; float32 must also agree within 1e-4 in every logit."""

MAX_ABS_F32 = 1e-4
PROBE_TOKENS = 2048


@dataclass(frozen=True)
class Verdict:
    """How an export compares with the model: largest logit difference, mean KL in nats, share of equal top tokens."""

    file: str
    dtype: str
    max_abs: float
    mean_kl: float
    top1: float

    @property
    def ok(self) -> bool:
        kl, top1 = GATES[self.dtype]
        exact = self.dtype != "f32" or self.max_abs <= MAX_ABS_F32
        return exact and self.mean_kl <= kl and self.top1 >= top1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ok": self.ok}

    def __str__(self) -> str:
        top1 = f"top token equal {100 * self.top1:.2f} %"
        return f"mean KL {self.mean_kl:.1e}, {top1}, largest logit difference {self.max_abs:.1e}"


def verify_gguf(bundle: Bundle, path: Path, name: str, dtype: str) -> Verdict:
    """Return the verdict on a GGUF file. Raises IntegrityError for wrong names, tokens or figures."""
    shape, tensors, fields = read_gguf(path)
    _check_tokens(bundle, fields, name)
    back = {theirs: ours for ours, theirs in gguf_names(shape.layers).items()}
    unknown = tensors.keys() ^ back.keys()
    if unknown:
        raise IntegrityError(f"{name} has tensors too many or too few: {sorted(unknown)[:3]}", where=str(path))
    found = {back[n]: torch.from_numpy(np.array(t, dtype=np.float32)) for n, t in tensors.items()}
    return _judge(bundle, shape, found, name, dtype)


def verify_hf(bundle: Bundle, folder: Path, name: str) -> Verdict:
    """Return the verdict on a Hugging Face folder. Raises IntegrityError for wrong names, tokens or figures."""
    tensors = {n.removeprefix("model."): t for n, t in load_file(folder / "model.safetensors").items()}
    if Tokenizer.load(folder / "tokenizer.json").digest != bundle.tokenizer.digest:
        raise IntegrityError(f"{name} holds another tokenizer", where=str(folder))
    return _judge(bundle, shape_from_hf(read_json(folder / "config.json")), tensors, name, "f32")


def _check_tokens(bundle: Bundle, fields: dict[str, Any], name: str) -> None:
    tokenizer = bundle.tokenizer
    expected = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": tokenizer.pretokenizer,
        "tokenizer.ggml.bos_token_id": tokenizer.end_of_text,
        "tokenizer.ggml.eos_token_id": tokenizer.end_of_text,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in tokenizer.merges],
    }
    wrong = [key for key, value in expected.items() if fields.get(key) != value]
    if fields["tokenizer.ggml.tokens"][: tokenizer.tokens] != tokenizer.token_texts:
        wrong.append("tokenizer.ggml.tokens")
    if wrong:
        raise IntegrityError(f"{name} says something else than the tokenizer in {', '.join(wrong)}")


def _judge(bundle: Bundle, shape: Shape, tensors: dict[str, torch.Tensor], name: str, dtype: str) -> Verdict:
    twin = LanguageModel(shape)
    try:
        twin.load_state_dict(tensors, strict=True)
    except RuntimeError as e:
        raise IntegrityError(f"{name} does not hold this model: {e}") from e
    verdict = compare(bundle.model, twin.eval(), probe(bundle), name, dtype)
    if not verdict.ok:
        raise IntegrityError(
            f"{name} does not say what the model says: {verdict}",
            do="nothing was kept under its name; run the export again, and report this if it stays",
        )
    return verdict


@torch.inference_mode()
def compare(model: LanguageModel, twin: LanguageModel, tokens: torch.Tensor, name: str, dtype: str) -> Verdict:
    """Return how the logits of two models differ on token ids [rows, length]."""
    ours, theirs = (m.logits(m(tokens).hidden).flatten(0, 1).double() for m in (model, twin))
    log_p, log_q = ours.log_softmax(1), theirs.log_softmax(1)
    return Verdict(
        file=name,
        dtype=dtype,
        max_abs=float((ours - theirs).abs().max()),
        mean_kl=max(0.0, float((log_p.exp() * (log_p - log_q)).sum(1).mean())),
        top1=float((ours.argmax(1) == theirs.argmax(1)).double().mean()),
    )


def probe(bundle: Bundle) -> torch.Tensor:
    """Return ids to compare on, [rows, context]: held-out text where it is at hand, else a fixed mixture."""
    length = bundle.shape.context
    rows = max(1, PROBE_TOKENS // length)
    folder = Path(str(bundle.plan.get("dataset_folder")))
    if (folder / "manifest.json").exists():
        return next(validation_rows(open_dataset(folder), length, rows, None)).tokens
    generator = torch.Generator().manual_seed(derive(0, "probe"))
    return torch.randint(bundle.tokenizer.tokens, (rows, length), generator=generator)
