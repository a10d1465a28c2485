"""The models of others, made in a given shape and trained as their own programs do; nothing of theirs is copied.

`transformers` and `litgpt` come from their packages, nanoGPT and nanochat from checkouts that the user names.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gnomon.base.errors import DependencyError
from gnomon.presets import Shape


@dataclass(frozen=True)
class Peer:
    """A model of others, with tokens and the tokens that follow, both int64 [rows, length], as input.

    `loss` returns the mean of nats a token, `logits` scores [rows, length, vocabulary].
    """

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    autocast: bool
    own_optimizer: torch.optim.Optimizer | None = None
    clips: bool = True

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def make_peer(kind: str, shape: Shape, *, bf16: bool = False, compiled: bool = False, checkout: str = "") -> Peer:
    """Return a peer by name: transformers, litgpt, nanogpt or nanochat; the last two from their `checkout`.

    Raises DependencyError where it is not here.
    """
    makers = {"transformers": _transformers, "litgpt": _litgpt, "nanogpt": _nanogpt, "nanochat": _nanochat}
    return makers[kind](shape, bf16, compiled, checkout)


def why_not(kind: str, checkout: str = "") -> str | None:
    """Return why a peer cannot be had here, with what to do about it, or None."""
    file = {"nanogpt": "model.py", "nanochat": "nanochat/gpt.py"}.get(kind)
    if file is not None:
        return None if (Path(checkout) / file).is_file() else f"there is no {file} in {checkout}"
    if find_spec(kind) is not None:
        return None
    packages = {
        "transformers": "-c constraints.txt transformers",
        "litgpt": "--no-deps litgpt lightning lightning-utilities torchmetrics jsonargparse",
    }
    return f"{kind} is not installed: pip install {packages[kind]}"


def optimizer_of(peer: Peer, lr: float) -> torch.optim.Optimizer:
    """Return the peer's own optimizer, or AdamW with decay of matrices."""
    if peer.own_optimizer is not None:
        return peer.own_optimizer
    groups = [
        {"params": [p for p in peer.model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in peer.model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)


def train_step(peer: Peer, optimizer: torch.optim.Optimizer, tokens: Tensor, following: Tensor) -> Tensor:
    """Take one step as a plain loop does: loss, gradients, clipped to a norm of 1, update. Return the loss."""
    with torch.autocast("cpu", torch.bfloat16, enabled=peer.autocast):
        loss = peer.loss(tokens, following)
    loss.backward()
    if peer.clips:
        torch.nn.utils.clip_grad_norm_(peer.model.parameters(), 1.0)
    optimizer.step()
    peer.model.zero_grad(set_to_none=True)
    return loss.detach()


def _transformers(shape: Shape, bf16: bool, compiled: bool, _: str) -> Peer:
    refuse_missing("transformers")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
            head_dim=shape.head_width, max_position_embeddings=shape.context, tie_word_embeddings=True, use_cache=False,
        )
    )  # fmt: skip
    forward: Any = torch.compile(model) if compiled else model

    def loss(tokens: Tensor, following: Tensor) -> Tensor:
        return forward(input_ids=tokens, labels=following, shift_labels=following).loss

    return Peer(model, loss, lambda tokens: model(input_ids=tokens).logits, bf16)


def _litgpt(shape: Shape, bf16: bool, compiled: bool, _: str) -> Peer:
    refuse_missing("litgpt")
    from litgpt.config import Config  # pyright: ignore[reportMissingImports]
    from litgpt.model import GPT  # pyright: ignore[reportMissingImports]
    from litgpt.utils import chunked_cross_entropy  # pyright: ignore[reportMissingImports]

    model: Any = GPT(
        Config(
            name="bench", block_size=shape.context, n_layer=shape.layers, n_embd=shape.width, n_head=shape.heads,
            n_query_groups=shape.kv_heads, head_size=shape.head_width, norm_qk=True, vocab_size=shape.vocabulary,
            padded_vocab_size=shape.vocabulary, norm_class_name="RMSNorm", bias=False, rotary_percentage=1.0,
            parallel_residual=False, mlp_class_name="LLaMAMLP", intermediate_size=shape.feed_forward,
        )
    )  # fmt: skip
    model.transformer.wte.weight = model.lm_head.weight
    forward: Any = torch.compile(model) if compiled else model
    return Peer(model, lambda tokens, following: chunked_cross_entropy(forward(tokens), following), model, bf16)


def _nanogpt(shape: Shape, bf16: bool, compiled: bool, checkout: str) -> Peer:
    refuse_missing("nanogpt", checkout)
    sys.path.insert(0, checkout)
    theirs = import_module("model")
    model = theirs.GPT(
        theirs.GPTConfig(
            block_size=shape.context, vocab_size=shape.vocabulary, n_layer=shape.layers, n_head=shape.heads,
            n_embd=shape.width, dropout=0.0, bias=False,
        )
    )  # fmt: skip
    forward: Any = torch.compile(model) if compiled else model
    return Peer(
        model,
        lambda tokens, following: forward(tokens, following)[1],
        lambda tokens: model(tokens, tokens)[0],
        bf16,
        None if bf16 else model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu"),
    )


def _nanochat(shape: Shape, bf16: bool, compiled: bool, checkout: str) -> Peer:
    refuse_missing("nanochat", checkout)
    sys.path.insert(0, checkout)
    theirs = import_module("nanochat.gpt")
    with torch.device("meta"):
        model = theirs.GPT(
            theirs.GPTConfig(
                sequence_len=shape.context, vocab_size=shape.vocabulary, n_layer=shape.layers, n_head=shape.heads,
                n_kv_head=shape.kv_heads, n_embd=shape.width, window_pattern="L",
            )
        )  # fmt: skip
    model.to_empty(device="cpu")
    model.init_weights()
    forward: Any = torch.compile(model, dynamic=False) if compiled else model
    return Peer(model, forward, model, autocast=False, own_optimizer=model.setup_optimizer(), clips=False)


def refuse_missing(kind: str, checkout: str = "") -> None:
    """Raise DependencyError where a peer cannot be had here."""
    if why := why_not(kind, checkout):
        raise DependencyError(why, where=kind, do="leave it out, or make it available")
