"""How much of a batch's gradient is chance: the simple noise scale tr(Σ)/|G|², measured on the device without waiting.

A batch of N tokens, in passes of n_1 … n_m, has the gradient g = g_1 + … + g_m, where g_i is the pass's share of it.
With A = Σ|g_i|², B = |g|² and q = Σ(n_i/N)², the expected values are A = q|G|² + tr(Σ)/N and B = |G|² + tr(Σ)/N. So

    |G|² = (B - A) / (1 - q)        tr(Σ) = N (A - qB) / (1 - q)

are unbiased, however the passes differ in size; with equal ones they are those of McCandlish et al. 2018, arXiv
1812.06162, appendix A.1. Both are averaged over the steps before the ratio is taken. The unit is a token, and what is
alike within a row counts as noise of the row: the scale says how many tokens of rows like these a batch should have.
"""

import torch
from torch import Tensor

MEMORY = 0.98  # of an average, a step; so it reaches back about 50 steps
FEWEST = 50  # steps before it is told


class Noise:
    """The two averages, over steps that were not refused: part of the run's state."""

    def __init__(self, device: str) -> None:
        self._tensors = {
            "signal": torch.zeros((), dtype=torch.float64),  # |G|²
            "noise": torch.zeros((), dtype=torch.float64),  # tr(Σ), of a token
            "count": torch.zeros((), dtype=torch.int64),  # steps in them
        }
        self._tensors = {name: t.to(torch.device(device)) for name, t in self._tensors.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return all of the state, live, by name."""
        return self._tensors

    def start_over(self) -> None:
        """Put the state before the first step back, in place."""
        for tensor in self._tensors.values():
            tensor.zero_()

    @torch.no_grad()
    def measure(self, squares: Tensor, norm: Tensor, ok: Tensor, *, tokens: int, evenness: float) -> Tensor:
        """Take one step in and return the noise scale in tokens, a float64 scalar: NaN while it is not known, infinite
        where no signal is found in the noise.

        `squares` is A, `norm` the root of B, `evenness` q; where `ok` is false, or there was one pass, nothing changes.
        """
        t = self._tensors
        if evenness < 1.0:
            a, b = squares.double(), norm.double().square()
            found = {"signal": (b - a) / (1 - evenness), "noise": tokens * (a - evenness * b) / (1 - evenness)}
            for name, value in found.items():
                t[name].copy_(torch.where(ok, MEMORY * t[name] + (1 - MEMORY) * value, t[name]))
            t["count"] += ok
        scale = torch.where(t["signal"] > 0, t["noise"].clamp(min=0) / t["signal"], torch.inf)
        return torch.where(t["count"] >= FEWEST, scale, torch.nan)


def square(gradients: list[Tensor]) -> Tensor:
    """Return the squared norm of a list of tensors, a float32 scalar."""
    return torch.stack(torch._foreach_norm(gradients)).square().sum()  # pyright: ignore[reportPrivateImportUsage]
