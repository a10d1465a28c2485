"""A rotation is the product of complex numbers, forward and backward."""

import pytest
import torch

from gnomon.model.rotary import rotary, rotate

THETA = 1e4


@pytest.mark.parametrize("turned", [16, 4])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_halves_of_a_head_turn_as_complex_numbers_do_and_so_do_gradients(
    turned: int, dtype: torch.dtype, off: float
) -> None:
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(2, 9, 3, 16, generator=draw).to(dtype)
    direction = torch.randn(x.shape, generator=draw).to(dtype)
    places = torch.randint(50, (2, 9), generator=draw)
    turn = rotary(places, turned, THETA)
    mine, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    with torch.no_grad():
        unseen = rotate(x, turn)
    out = rotate(mine, turn)
    out.mul(direction).sum().backward()

    angles = places[:, :, None, None] * THETA ** -(torch.arange(0, turned, 2, dtype=torch.float64) / turned)
    numbers = torch.complex(exact[..., : turned // 2], exact[..., turned // 2 : turned])
    numbers = numbers * torch.polar(torch.ones_like(angles), angles)
    wanted = torch.cat([numbers.real, numbers.imag, exact[..., turned:]], dim=-1)
    wanted.mul(direction.double()).sum().backward()
    assert out.dtype == dtype and mine.grad is not None and exact.grad is not None
    for found, right in [(out, wanted), (unseen, wanted), (mine.grad, exact.grad)]:
        assert (found - right).abs().max() < off
