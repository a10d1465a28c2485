"""The chunked loss is the plain one, without the memory."""

import pytest
import torch
import torch.nn.functional as F

from gnomon.model import loss as loss_module
from gnomon.model.loss import IGNORE, next_token_loss


@pytest.mark.parametrize("z_weight", [0.0, 1e-3])
@pytest.mark.parametrize("chunk", [7, 64, 10_000])
@pytest.mark.parametrize("part", [1, 900, 1_000_000])
def test_chunked_loss_and_gradients_equal_the_plain_ones(
    z_weight: float, chunk: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_TOKENS", chunk)
    monkeypatch.setattr(loss_module, "PART", part)
    torch.manual_seed(0)
    hidden = torch.randn(3, 50, 32, requires_grad=True)
    head = (torch.randn(100, 32) * 0.3).requires_grad_()
    labels = torch.randint(100, (3, 50))
    labels[:, ::6] = IGNORE
    with torch.no_grad():
        unseen = next_token_loss(hidden, head, labels, z_weight)
    cross, z = next_token_loss(hidden, head, labels, z_weight)
    ((cross + z) / 77).backward()
    assert torch.allclose(torch.stack(unseen), torch.stack([cross, z]).detach(), rtol=1e-6)
    mine = [cross.item(), z.item(), hidden.grad, head.grad]
    hidden.grad = head.grad = None
    logits = (hidden @ head.T).flatten(0, 1)
    plain = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORE, reduction="sum")
    plain_z = z_weight * (logits.logsumexp(1).square() * (labels.flatten() != IGNORE)).sum()
    ((plain + plain_z) / 77).backward()
    assert mine[0] == pytest.approx(plain.item(), rel=1e-6)
    assert mine[1] == pytest.approx(plain_z.item(), rel=1e-6)
    assert hidden.grad is not None and head.grad is not None
    assert torch.allclose(mine[2], hidden.grad, atol=1e-6)
    assert torch.allclose(mine[3], head.grad, atol=1e-6)


def test_rows_without_any_label_have_no_loss_and_no_gradient() -> None:
    hidden = torch.randn(2, 8, 16, requires_grad=True)
    head = torch.randn(20, 16, requires_grad=True)
    cross, _ = next_token_loss(hidden, head, torch.full((2, 8), IGNORE))
    cross.backward()
    assert cross.item() == 0.0
    assert hidden.grad is not None
    assert torch.count_nonzero(hidden.grad) == 0
