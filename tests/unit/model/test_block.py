"""What a model of either block begins with, and which of its weights are whose."""

import pytest
import torch

from gnomon.config import OptimizerKind
from gnomon.presets import Shape
from gnomon.train.optim import Optimizer
from tests.world import EACH_BLOCK, NEOX, new_model, noisy_model

either_block = pytest.mark.parametrize("shape", EACH_BLOCK, ids=lambda shape: shape.block)


@either_block
def test_at_first_the_layers_add_nothing_and_norms_only_norm(shape: Shape) -> None:
    model, tokens = new_model(shape, seed=3), torch.arange(40)[None]
    stream = model.embed_tokens(tokens)
    if shape.block == "gpt-neox":
        stream = stream - stream.mean(-1, keepdim=True)
    normed = stream * (stream.square().mean(-1, keepdim=True) + shape.norm_epsilon).rsqrt()
    assert torch.allclose(model(tokens).hidden, normed, atol=1e-5)
    drawn = [p for name, p in model.named_parameters() if name.endswith(("q_proj.weight", "up_proj.weight"))]
    assert all(float(p.detach().std()) * p.shape[1] ** 0.5 == pytest.approx(1, rel=0.1) for p in drawn) and drawn


@pytest.mark.parametrize("kind", ["muon", "adamw"])
@either_block
def test_only_matrices_decay_and_only_they_are_muons(shape: Shape, kind: OptimizerKind) -> None:
    model = noisy_model(shape)
    named = dict(model.named_parameters())
    optimizer = Optimizer(named, kind, lr=0.1, momentum=0.85, beta1=0.9, beta2=0.95, weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in named.items()}
    for parameter in named.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1, torch.ones(()), torch.zeros((), dtype=torch.bool))
    matrices = {name for name in named if name.endswith("_proj.weight")}
    for name, parameter in named.items():
        decayed = before[name] * (1 - 0.1 * 0.5) if name in matrices else before[name]
        assert torch.allclose(parameter, decayed, rtol=1e-6, atol=0), name
    of_muon = {key.removeprefix("momentum.") for key in optimizer.tensors() if key.startswith("momentum.")}
    assert of_muon == (matrices if kind == "muon" else set())


def test_every_weight_of_a_gpt_neox_learns() -> None:
    model = noisy_model(NEOX)
    hidden = model(torch.arange(40)[None]).hidden
    model.logits(hidden).logsumexp(-1).sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert all(grad is not None and grad.any() for grad in grads.values())
