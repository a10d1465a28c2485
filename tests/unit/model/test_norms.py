"""A norm is what its formula says, forward and backward, by whichever way it is found."""

import pytest
import torch

from gnomon.model.norms import RMSNorm


@pytest.mark.parametrize("size", [(3, 5, 64), (2, 7, 4, 16), (1, 33)])
def test_rms_norm_and_its_gradients_are_those_of_the_formula_in_double_precision(size: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(3)
    x, direction = (10 * torch.randn(size, generator=draw) for _ in range(2))
    norm = RMSNorm(size[-1], 1e-3)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(size[-1], generator=draw))
    mine, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    gain = norm.weight.detach().double().requires_grad_()
    with torch.no_grad():
        unseen = norm(x)
    out = norm(mine)
    out.mul(direction).sum().backward()
    wanted = exact / (exact.square().mean(-1, keepdim=True) + 1e-3).sqrt() * gain
    wanted.mul(direction.double()).sum().backward()
    for found, right in [(out, wanted), (unseen, wanted), (mine.grad, exact.grad), (norm.weight.grad, gain.grad)]:
        assert found is not None and right is not None
        assert (found - right).abs().max() < 2e-6 * right.abs().max()


def test_what_comes_in_two_bytes_leaves_in_two_and_is_normed_in_four() -> None:
    x = (300 * torch.randn(4, 64)).bfloat16().requires_grad_()
    out = RMSNorm(64, 1e-6)(x)
    out.sum().backward()
    assert out.dtype == torch.bfloat16 and x.grad is not None and x.grad.dtype == torch.bfloat16
    assert torch.equal(out, RMSNorm(64, 1e-6)(x.float()).bfloat16())


def test_gradients_have_the_same_bits_whatever_the_threads() -> None:
    x, norm, found = torch.randn(700, 64), RMSNorm(64, 1e-6), []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            mine, norm.weight.grad = x.clone().requires_grad_(), None
            norm(mine).sin().sum().backward()
            assert mine.grad is not None and norm.weight.grad is not None
            found.append(torch.cat([mine.grad.flatten(), norm.weight.grad]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("size", [(64,), (0, 64)])
def test_one_vector_and_none_are_normed_too(size: tuple[int, ...]) -> None:
    x = torch.randn(size, requires_grad=True)
    RMSNorm(64, 1e-6)(x).sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape
