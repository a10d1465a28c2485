"""Packed documents do not see each other, and the efficient way equals the obvious one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gnomon.data.streaming.rows import Rows
from gnomon.model import blocked
from gnomon.model.attention import Pieces, Segments
from gnomon.model.lm import LanguageModel, Output
from gnomon.model.loss import next_token_loss
from gnomon.presets import Shape
from tests.world import EACH_BLOCK, NEOX, TINY, noisy_model, packed_rows


def by_length(rows: Rows) -> Pieces:
    return Segments(rows.buckets, rows.inverse)


def by_number(rows: Rows) -> Pieces:
    return rows.segments


either_way = pytest.mark.parametrize("pieces", [by_length, by_number])
either_format = pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
either_block = pytest.mark.parametrize("shape", EACH_BLOCK, ids=lambda shape: shape.block)


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "BLOCK", 24)  # does not divide the rows' 64


def dense_oracle(model: LanguageModel, tokens: Tensor, positions: Tensor, segments: Tensor) -> Output:
    """Attention with an explicit mask: the same piece, and not later."""
    places = torch.arange(tokens.shape[1])
    mask = (segments[:, :, None] == segments[:, None, :]) & (places[:, None] >= places[None, :])
    return model(tokens, positions, mask_BTS=mask)


@pytest.mark.parametrize("shape", [TINY, replace(TINY, kv_heads=TINY.heads), NEOX], ids=["grouped", "each", "neox"])
@either_way
def test_attention_by_pieces_equals_a_dense_mask_in_outputs_and_gradients(
    pieces: Callable[[Rows], Pieces], shape: Shape
) -> None:
    model = noisy_model(shape)
    rows = packed_rows([[31, 5, 28], [64], [1, 2, 3, 40, 10], [17]], length=64)
    used = rows.segments >= 0
    outputs, gradients = [], []
    for dense in (False, True):
        model.zero_grad()
        if not dense:
            out = model(rows.tokens, rows.positions, pieces(rows)).hidden
        else:
            out = dense_oracle(model, rows.tokens, rows.positions, rows.segments).hidden
        loss, _ = next_token_loss(out, model.head, rows.labels)
        loss.backward()
        outputs.append(out[used].detach())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.allclose(outputs[0], outputs[1], atol=1e-5)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("shape", [TINY, replace(TINY, kv_heads=TINY.heads), NEOX], ids=["grouped", "each", "neox"])
@either_way
def test_in_bfloat16_pieces_are_as_near_to_float32_as_a_dense_mask_is(
    pieces: Callable[[Rows], Pieces], shape: Shape
) -> None:
    model = noisy_model(replace(shape, context=600))
    rows = packed_rows([[31, 5, 300, 264], [600], [1, 2, 3, 40, 10, 512]], length=600)
    used = rows.segments >= 0

    def found(*, bf16: bool, dense: bool) -> tuple[Tensor, Tensor]:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if dense:
                out = dense_oracle(model, rows.tokens, rows.positions, rows.segments).hidden
            else:
                out = model(rows.tokens, rows.positions, pieces(rows)).hidden
            loss, _ = next_token_loss(out, model.head, rows.labels)
        loss.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return out[used].detach().float(), torch.cat(gradients)

    right, usual, mine = found(bf16=False, dense=True), found(bf16=True, dense=True), found(bf16=True, dense=False)
    for exact, dense, by_pieces in zip(right, usual, mine, strict=True):
        assert 0 < (by_pieces - exact).norm() < 1.3 * (dense - exact).norm() < 0.05 * exact.norm()


@either_block
@either_way
@either_format
def test_changing_a_document_leaves_the_logits_of_its_row_mates_bit_equal(
    pieces: Callable[[Rows], Pieces], shape: Shape, bf16: bool
) -> None:
    model = noisy_model(shape)
    rows = packed_rows([[20, 24, 20], [64]], length=64)
    changed = rows.tokens.clone()
    second = (rows.segments == 1) & (torch.arange(2)[:, None] == 0)
    changed[second] = (changed[second] + 7) % model.shape.vocabulary
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        before = model.logits(model(rows.tokens, rows.positions, pieces(rows)).hidden)
        after = model.logits(model(changed, rows.positions, pieces(rows)).hidden)
    assert torch.equal(before[~second], after[~second])
    assert not torch.equal(before[second], after[second])


@either_block
@either_way
@either_format
def test_no_gradient_flows_from_one_document_to_another(
    pieces: Callable[[Rows], Pieces], shape: Shape, bf16: bool
) -> None:
    model = noisy_model(shape)
    rows = packed_rows([[20, 24, 20]], length=64)
    labels = rows.labels.where(rows.segments == 2, torch.tensor(-100))
    embedded = model.embed_tokens(rows.tokens).detach().requires_grad_()
    hook = model.embed_tokens.register_forward_hook(lambda *_: embedded)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        hidden = model(rows.tokens, rows.positions, pieces(rows)).hidden
        loss, _ = next_token_loss(hidden, model.head, labels)
    hook.remove()
    loss.backward()
    assert embedded.grad is not None
    assert torch.count_nonzero(embedded.grad[rows.segments != 2]) == 0
    assert torch.count_nonzero(embedded.grad[rows.segments == 2]) > 0


@either_block
@either_way
def test_a_packed_document_has_the_loss_it_has_alone(pieces: Callable[[Rows], Pieces], shape: Shape) -> None:
    model = noisy_model(shape)
    together = packed_rows([[20, 24, 20]], length=64)
    hidden = model(together.tokens, together.positions, pieces(together)).hidden
    packed, _ = next_token_loss(hidden, model.head, together.labels)
    alone = 0.0
    for piece in range(3):
        here = together.segments[0] == piece
        hidden = model(together.tokens[:, here]).hidden
        alone += next_token_loss(hidden, model.head, together.labels[:, here])[0].item()
    assert abs(packed.item() - alone) / alone < 1e-5
