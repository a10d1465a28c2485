"""Judges every step on the device, without making it wait: not finite, far above what was usual, or fine.

The verdict is the kernel's `found_inf`, so that a step that is not fine leaves weights, moments and step count alone,
bit for bit. What was usual are the last 128 losses and gradient norms of steps that were fine: rejected values stay out
of the statistics. All of it is tensors, saved with the run, so that a resumed run judges as one that was not stopped.
"""

import math

import torch
from torch import Tensor

WINDOW = 128  # steps that say what is usual
FEWEST = 32  # of them that are needed before a step can be a spike
DEVIATIONS = 6.0  # robust ones (1.4826 x median absolute deviation) above the median
LEAST_LOSS_RISE = 0.5  # nats a token; a rise below this harms nothing, however unusual it is
LEAST_NORM_RISE = math.log(8.0)  # below this, clipping is enough
RECENT = 200  # steps over which bad ones are counted

OK, NOT_FINITE, SPIKE, OVERFLOW = range(4)
"""Verdicts, in the order of `events.types.Verdict`."""

FIRST_SCALE = 2.0**16
STEPS_TO_GROWTH = 2000
LOWEST_SCALE, HIGHEST_SCALE = 1.0, 2.0**24


class Guard:
    """The statistics of the steps before, and the loss scale where the products are fp16."""

    def __init__(self, device: str, *, fp16: bool) -> None:
        self._fp16 = fp16
        self._tensors = {
            "window": torch.full((2, WINDOW), math.nan),
            "accepted": torch.zeros((), dtype=torch.int64),
            "in_a_row": torch.zeros((), dtype=torch.int64),
            "since_row": torch.zeros((), dtype=torch.int64),
            "recent": torch.zeros(RECENT, dtype=torch.uint8),
            "scale": torch.tensor(FIRST_SCALE if fp16 else 1.0),
            "clean": torch.zeros((), dtype=torch.int64),
        }
        self._tensors = {name: t.to(torch.device(device)) for name, t in self._tensors.items()}
        self._least = torch.tensor([LEAST_LOSS_RISE, LEAST_NORM_RISE], device=device)

    @property
    def scale(self) -> Tensor:
        """What the loss is multiplied with before its gradients are found; 1 unless the products are fp16."""
        return self._tensors["scale"]

    def tensors(self) -> dict[str, Tensor]:
        """Return all of the state, live, by name."""
        return self._tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` returned. Raises KeyError or RuntimeError when it does not fit."""
        for name, tensor in self._tensors.items():
            tensor.copy_(tensors[name])

    def unsound(self, tensors: dict[str, Tensor]) -> list[str]:
        """Return which tensors, of the shapes that `tensors` has, hold what no guard could have come to."""
        sound = {
            "accepted": lambda t: t >= 0,
            "in_a_row": lambda t: t >= 0,
            "since_row": lambda t: t >= 0,
            "recent": lambda t: t <= 1,
            "scale": lambda t: (t >= LOWEST_SCALE) & (t <= HIGHEST_SCALE),
            "clean": lambda t: t >= 0,
            "window": lambda t: ~t.isinf(),
        }
        return [f"guard.{name}: not a guard's" for name, holds in sound.items() if not holds(tensors[name]).all()]

    def forget(self) -> None:
        """Take whatever comes as usual until there are enough values again."""
        self._tensors["window"].fill_(math.nan)
        self._tensors["accepted"].zero_()

    @torch.no_grad()
    def judge(self, loss: Tensor, norm: Tensor, *, step: int, row: int) -> Tensor:
        """Return the verdict on a step with this loss (nats a token) and gradient norm, and remember it.

        `row` is the first of its batch. int64 scalar: 0 ok, 1 not finite, 2 spike, 3 overflow of fp16.
        """
        t = self._tensors
        finite = torch.isfinite(loss) & torch.isfinite(norm)
        values = torch.stack([loss.float(), norm.float().clamp(min=1e-30).log()])
        usual = t["window"].nanmedian(dim=1, keepdim=True).values
        spread = 1.4826 * (t["window"] - usual).abs().nanmedian(dim=1).values
        high = (values - usual[:, 0] > torch.maximum(DEVIATIONS * spread, self._least)).any()
        spike = finite & high & (t["accepted"] >= FEWEST)
        ok = finite & ~spike
        overflow = ~finite & (t["scale"] > LOWEST_SCALE) if self._fp16 else torch.zeros_like(finite)
        bad = ~ok & ~overflow
        place = (t["accepted"] % WINDOW)[None]
        before = t["window"].index_select(1, place)
        t["window"].index_copy_(1, place, torch.where(ok, values[:, None], before))
        t["accepted"] += ok
        t["since_row"].copy_(torch.where(bad & (t["in_a_row"] == 0), row, t["since_row"]))
        t["in_a_row"].copy_(torch.where(overflow, t["in_a_row"], torch.where(bad, t["in_a_row"] + 1, 0)))
        t["recent"][step % RECENT] = bad
        self._rescale(overflow, ok)
        return torch.where(ok, OK, torch.where(overflow, OVERFLOW, torch.where(spike, SPIKE, NOT_FINITE)))

    def _rescale(self, overflow: Tensor, ok: Tensor) -> None:
        """Halve the scale after an overflow; double it after 2,000 steps without one. Source: arXiv 1710.03740."""
        if not self._fp16:
            return
        t = self._tensors
        t["clean"].copy_(torch.where(overflow, 0, t["clean"] + ok))
        grow = t["clean"] >= STEPS_TO_GROWTH
        factor = torch.where(overflow, 0.5, torch.where(grow, 2.0, 1.0))
        t["scale"].copy_((t["scale"] * factor).clamp(LOWEST_SCALE, HIGHEST_SCALE))
        t["clean"].copy_(torch.where(grow, 0, t["clean"]))
