"""How weights, gradients and the optimizer's state lie over the processes of a run, and how these make one step of it.

`Whole`: all of them whole in every process. `OwnedState` (ZeRO-1): of every parameter's optimizer state there is one,
with its owner, who updates the parameter and hands it to the others. `FullShards` (ZeRO-3, by torch's FSDP2): some rows
of everything.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnomon.config import ShardingKind
from gnomon.model.lm import LanguageModel
from gnomon.train.optim import Optimizer
from gnomon.train.parallel import ALONE, World, rows_of


class Held(NamedTuple):
    """A tensor of the run, and what of it this process holds."""

    whole: Tensor  # says its shape and type; may be without values
    local: Tensor | None  # live; None where only others hold it
    start: int = 0  # the first of its rows that `local` holds
    everywhere: bool = True  # whether every process holds the same of it


def lay_out(
    how: ShardingKind,
    world: World,
    device: str,
    model: Callable[[], LanguageModel],
    optimizer: Callable[..., Optimizer],
) -> tuple[LanguageModel, Optimizer, "Sharding"]:
    """Return a model, without its first weights, and its optimizer, as this process of the run holds them.

    `optimizer` takes parameters by name, and `owned`, `rows` and `world` as Optimizer does.
    """
    if how == "none" or world.size == 1:
        whole = model().to(torch.device(device))
        return whole, optimizer(dict(whole.named_parameters())), Whole(world)
    with torch.device("meta"):
        bare = model()
        outline = optimizer(dict(bare.named_parameters()))
    if how == "full":
        shards = FullShards(world, bare, outline, device)
        return bare, optimizer(shards.local, rows=shards.rows, world=world), shards
    whole = model().to(torch.device(device))
    owned = OwnedState(world, whole, outline)
    return whole, optimizer(dict(whole.named_parameters()), owned=owned.owned), owned


class Sharding(ABC):
    """What differs between the ways to lay a run's state over its processes."""

    lockstep = False  # whether the processes meet within every forward pass

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def gradients(self, model: LanguageModel) -> list[Tensor]:
        """Return the gradients of what the optimizer updates in this process."""

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
    def weights(self, model: LanguageModel) -> dict[str, Held]:
        """Return the model's tensors by name."""

    @abstractmethod
    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        """Return the optimizer's tensors, of all processes, by name."""


class Whole(Sharding):
    """Every process holds everything."""

    def __init__(self, world: World = ALONE) -> None:
        super().__init__(world)

    def gradients(self, model: LanguageModel) -> list[Tensor]:
        return [p.grad for p in model.parameters() if p.grad is not None]

    def sum_(self, loss: Tensor, gradients: list[Tensor], *, exact: bool) -> None:
        self.world.sum_([loss, *gradients], exact=exact)

    def norm(self, gradients: list[Tensor]) -> Tensor:
        return torch.stack(torch._foreach_norm(gradients)).norm()  # pyright: ignore[reportPrivateImportUsage]

    def settle(self) -> None:
        pass

    def weights(self, model: LanguageModel) -> dict[str, Held]:
        return {name: Held(t.detach(), t.detach()) for name, t in model.state_dict().items()}

    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        return {name: Held(tensor, tensor) for name, tensor in optimizer.tensors().items()}


class OwnedState(Whole):
    """Weights and gradients everywhere, each parameter's optimizer state with its owner.

    `outline` is the optimizer of the whole run, without values.
    """

    def __init__(self, world: World, model: LanguageModel, outline: Optimizer) -> None:
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


class FullShards(Sharding):
    """Every process holds some rows (`rows_of`) of every weight, gradient and moment.

    A block's weights are put together when a pass comes to it, and dropped behind it; those outside of blocks stay for
    the whole pass. Gradients are summed on their way back to their shards, at every pass.
    """

    lockstep = True

    def __init__(self, world: World, model: LanguageModel, outline: Optimizer, device: str) -> None:
        """Shard a model without values, whose weights then have memory on `device`; `outline` is its optimizer."""
        super().__init__(world)
        from torch.distributed.device_mesh import init_device_mesh  # these take a second to load
        from torch.distributed.fsdp import fully_shard

        self._outline = outline.tensors()
        shapes = {name: p.detach() for name, p in model.named_parameters()}
        mesh = init_device_mesh(device, (world.size,))
        self._modules = [fully_shard(module, mesh=mesh) for module in (*model.layers, model)]
        for module in self._modules:
            module.set_gradient_divide_factor(1.0)  # the loss is that of the whole batch
            module.set_force_sum_reduction_for_comms(True)
        model.to_empty(device=torch.device(device))
        self._sharded: dict[str, Any] = dict(model.named_parameters())
        self.local = {name: p.detach().to_local() for name, p in self._sharded.items()}
        self.rows = {name: len(whole) for name, whole in shapes.items()}
        self._weights = {name: self._held(shapes[name], local) for name, local in self.local.items()}

    def gradients(self, model: LanguageModel) -> list[Tensor]:
        """Return the gradients of this process's shards, handed over to them."""
        for name, parameter in self._sharded.items():
            if parameter.grad is not None:
                self.local[name].grad, parameter.grad = parameter.grad.to_local(), None
        return [p.grad for p in self.local.values() if p.grad is not None]

    def sum_(self, loss: Tensor, gradients: list[Tensor], *, exact: bool) -> None:
        """Replace the loss by its sum; the gradients have been summed."""
        assert not exact, "the order of these sums is not ours to choose"
        self.world.sum_([loss], exact=False)

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """Return the norm of the gradients, of which every process has some, the same bits in all of them."""
        norms = torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
        square = norms.double().square().sum()
        self.world.sum_([square], exact=False)
        return square.sqrt().float()

    def settle(self) -> None:
        pass

    def weights(self, model: LanguageModel) -> dict[str, Held]:
        """Return the model's tensors by name. They may be changed: what passes have put together of them is dropped."""
        for module in self._modules:
            module.reshard()
        return self._weights

    def moments(self, optimizer: Optimizer) -> dict[str, Held]:
        """Return the optimizer's tensors by name; what is one number for a parameter is the same everywhere."""
        whole = self._outline
        return {n: self._held(whole[n], t) if t.ndim else Held(t, t) for n, t in optimizer.tensors().items()}

    def _held(self, whole: Tensor, local: Tensor) -> Held:
        start, stop = rows_of(len(whole), self.world.rank, self.world.size)
        assert len(local) == stop - start, "the rows of a shard are not where they should be"
        return Held(whole, local, start, everywhere=False)


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
