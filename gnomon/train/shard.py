"""How weights, gradients and the optimizer's state lie over the processes of a run, and how these make one step of it.

`Whole`: all of them whole in every process. `OwnedState` (ZeRO-1): of every parameter's optimizer state there is one,
with its owner, who updates the parameter and hands it to the others.
"""

from abc import ABC, abstractmethod
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gnomon.train.optim import Optimizer
from gnomon.train.parallel import ALONE, World


class Held(NamedTuple):
    """A tensor of the run, and what of it this process holds."""

    whole: Tensor  # says its shape and type; may be without values
    local: Tensor | None  # live; None where only others hold it
    start: int = 0  # the first of its rows that `local` holds
    everywhere: bool = True  # whether every process holds the same of it


class Sharding(ABC):
    """What differs between the ways to lay a run's state over its processes."""

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def sum_(self, loss: Tensor, gradients: list[Tensor], *, exact: bool) -> None:
        """Replace the loss and this process's gradients by their sums over all processes."""

    @abstractmethod
    def norm(self, gradients: list[Tensor]) -> Tensor:
        """Return the norm of the summed gradients, the same bits in every process."""

    @abstractmethod
    def settle(self) -> None:
        """Give every process the weights it should hold after the optimizer's step."""

    @abstractmethod
    def weights(self, model: nn.Module) -> dict[str, Held]:
        """Return the model's tensors by name."""

    @abstractmethod
    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        """Return the optimizer's tensors, of all processes, by name."""


class Whole(Sharding):
    """Every process holds everything."""

    def __init__(self, world: World = ALONE) -> None:
        super().__init__(world)

    def sum_(self, loss: Tensor, gradients: list[Tensor], *, exact: bool) -> None:
        self.world.sum_([loss, *gradients], exact=exact)

    def norm(self, gradients: list[Tensor]) -> Tensor:
        return torch.stack(torch._foreach_norm(gradients)).norm()  # pyright: ignore[reportPrivateImportUsage]

    def settle(self) -> None:
        pass

    def weights(self, model: nn.Module) -> dict[str, Held]:
        return {name: Held(t.detach(), t.detach()) for name, t in model.state_dict().items()}

    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        return {name: Held(tensor, tensor) for name, tensor in optimizer.tensors().items()}


class OwnedState(Whole):
    """Weights and gradients everywhere, each parameter's optimizer state with its owner.

    `outline` is the optimizer of the whole run, on the meta device.
    """

    def __init__(self, world: World, model: nn.Module, outline: Optimizer) -> None:
        super().__init__(world)
        self._outline = outline.tensors()
        owner = owners(outline, world.size)
        self.owned = {name for name, rank in owner.items() if rank == world.rank}
        parameters = dict(model.named_parameters())
        self._shares = [[p for name, p in parameters.items() if owner[name] == rank] for rank in range(world.size)]

    def settle(self) -> None:
        self.world.spread_(self._shares)

    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        """Return the optimizer's tensors by name; each is live with its owner alone."""
        live = optimizer.tensors()
        return {name: Held(whole, live.get(name), everywhere=False) for name, whole in self._outline.items()}


def owners(outline: Optimizer, processes: int) -> dict[str, int]:
    """Return the rank that owns each parameter, by the parameter's name: a function of names and shapes alone.

    What the optimizer finds together has one owner, so that it is found as it is in one process, bit for bit. The
    largest is given away first, each to the rank that has least; so no rank has more than a fair share and one unit.
    """
    sizes: dict[str, int] = {}
    for key, tensor in outline.tensors().items():
        name = key.partition(".")[2]
        sizes[name] = sizes.get(name, 0) + prod(tensor.shape)
    units = sorted(outline.units(), key=lambda unit: (-sum(sizes[name] for name in unit), unit[0]))
    owner, held = {}, [0] * processes
    for unit in units:
        rank = held.index(min(held))
        held[rank] += sum(sizes[name] for name in unit)
        owner |= dict.fromkeys(unit, rank)
    return owner
