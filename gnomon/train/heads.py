"""How heads learn beside the language: their part of a pass's loss, and how much of their gradient reaches the stream.

At first none of it does, so that the weights are, bit for bit, those of a run without heads. Then it is multiplied by
such a share that its norm is at most a part of that of the language loss. Both norms are taken where the gradients
enter the stream, on their way back through it, at every step: the heads' as the sum of those at all layers, which is
the most that they can be together. The share follows from the steps before, so that it does not depend on how a batch
is cut into passes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gnomon.data.streaming.stream import Batch
from gnomon.data.streaming.targets import Targets
from gnomon.model.head_loss import head_losses
from gnomon.model.heads import Heads, Marks
from gnomon.model.lm import Output
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, HEAD_LOSSES, ROUTER_SIGNALS

MEMORY = 0.9  # of the language's squared norm, an average, and of the heads' largest norm


class Budget:
    """The norms that the share follows from: part of the run's state.

    No gradient of the heads goes into the stream in the first `detached` steps of the schedule; after them its norm is
    at most `part` of the language's.
    """

    def __init__(self, device: str, states: int, detached: float, part: float) -> None:
        self.detached, self.part, self.states = detached, part, states
        self._device = torch.device(device)
        self._tensors = {
            name: torch.zeros((), dtype=torch.float64, device=self._device) for name in ("language", "heads")
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return all of the state, live, by name."""
        return self._tensors

    def start_over(self) -> None:
        """Put the state before the first step back, in place."""
        for tensor in self._tensors.values():
            tensor.zero_()

    @property
    def figures(self) -> int:
        """How many numbers a pass adds to the step's sums: losses, and squared norms."""
        return len(HEAD_LOSSES) + self.states + 1

    def share(self, done: float) -> Tensor | None:
        """Return the share of the heads' gradient that goes on, float32, after so many steps; None: nothing does."""
        if done < self.detached:
            return None
        t = self._tensors
        share = (self.part * t["language"].sqrt() / t["heads"]).clamp(max=1.0)
        return torch.where(t["heads"] > 0, share, 0.0).float()

    @torch.no_grad()
    def measure(self, squares: Tensor, ok: Tensor) -> None:
        """Take in a step's squared norms [states + 1]; nothing changes where `ok` is false or no place had a label."""
        t, language = self._tensors, squares[-1].double()
        heads = squares[:-1].double().sqrt().sum()
        counts = ok & (heads > 0)
        known = torch.where(t["language"] > 0, MEMORY * t["language"] + (1 - MEMORY) * language, language)
        t["language"].copy_(torch.where(counts, known, t["language"]))
        t["heads"].copy_(torch.where(counts, torch.maximum(heads, MEMORY * t["heads"]), t["heads"]))


class HeadPass:
    """One micro-batch's heads: where they are read, and after the forward pass what they lose."""

    def __init__(self, budget: Budget, targets: Targets | None, share: Tensor | None) -> None:
        self._budget, device = budget, budget.tensors()["heads"].device
        self._targets = no_targets(device) if targets is None else targets  # so that there is a gradient, of zeros
        self._squares = torch.zeros(budget.states + 1, device=device)
        self._losses = torch.zeros(len(HEAD_LOSSES), device=device)
        self.marks = Marks(self._targets.places, self._targets.kinds, share, self._squares)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return this pass's share of the heads' mean losses in the batch."""
        t = self._targets
        sums = head_losses(output.signals, t.router, t.weight, t.coarse, t.fine)
        counts = label_counts(batch)
        each = torch.stack([one * (1 / n if n else 0.0) for one, n in zip(sums.unbind(), counts, strict=True)])
        self._losses = each.detach()
        return each.sum()

    def figures(self, scale: Tensor) -> Tensor:
        """Return, after the backward pass, losses and squared norms; the gradients were `scale` times what they are."""
        return torch.cat([self._losses, self._squares / scale.square()])


def label_counts(batch: Batch) -> tuple[int, ...]:
    """Return by how many labels of the whole batch each of HEAD_LOSSES is divided; none where nothing is labelled."""
    return tuple(batch.labelled.get("coarse" if name == "agreement" else name, 0) for name in HEAD_LOSSES)


def no_targets(device: torch.device) -> Targets:
    """Return the targets of a micro-batch without questions."""
    sizes = (len(ROUTER_SIGNALS), len(ROUTER_SIGNALS), len(ANSWER_TYPES), len(FINE_TYPES))
    nowhere = torch.zeros(0, dtype=torch.int64, device=device)
    return Targets(nowhere, nowhere, *(torch.zeros(0, size, device=device) for size in sizes))


def apart(heads: Heads | None, gradients: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of the trunk, and those of the heads, which come last."""
    trunk = len(gradients) - (0 if heads is None else len(list(heads.parameters())))
    return list(gradients[:trunk]), list(gradients[trunk:])


def clip_(gradients: list[Tensor], norm: Tensor, most: Tensor) -> None:
    """Scale the heads' gradients, of this norm, down to at most `most`: by themselves, as the language's are."""
    torch._foreach_mul_(gradients, (most / norm).clamp(max=1.0))  # pyright: ignore[reportPrivateImportUsage]
