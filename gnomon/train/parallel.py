"""The processes of a run: their sums, their agreement, their order.

Without torchrun or `train.processes` there is one, and nothing here does anything. With several, each trains on its
share of every batch; `shard.py` knows what each holds of the state. Two ways to sum gradients: by all-reduce, which is
quick, and in the fixed order of a binary tree over the batch's micro-batches, which gives the same bits with 1, 2, 4, …
processes.
"""

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from math import prod
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from gnomon.base.errors import ConfigError

SECONDS_TO_MEET = 600


class World:
    """This process among those of the run: `rank` of `size`."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, decides and speaks."""
        return self.rank == 0

    def any(self, here: bool) -> bool:
        """Return whether it is so in any of the processes. Touches no device."""
        if self.size == 1:
            return here
        flag = torch.tensor([here], dtype=torch.int32)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sum_(self, tensors: Sequence[Tensor], *, exact: bool) -> None:
        """Replace every tensor by its sum over the processes, the same bits in all of them.

        `exact` sums pairwise along a binary tree of ranks, whose lower part is `Tree`.
        """
        if self.size == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        if exact:
            self._sum_by_tree(flat)
        else:
            dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def _sum_by_tree(self, flat: Tensor) -> None:
        """Recursive doubling: at each level the sums of two neighbouring blocks are added, and a + b = b + a."""
        distance = 1
        while distance < self.size:
            other = torch.empty_like(flat)
            partner = self.rank ^ distance
            send, receive = dist.isend(flat, partner), dist.irecv(other, partner)
            assert send is not None and receive is not None
            send.wait()
            receive.wait()
            flat += other
            distance *= 2

    @torch.no_grad()
    def spread_(self, shares: Sequence[Sequence[Tensor]]) -> None:
        """Replace the tensors of every rank's share, in the order of ranks, by what that rank holds in them."""
        for owner, tensors in enumerate(shares if self.size > 1 else []):
            if not tensors:
                continue
            if owner == self.rank:
                dist.broadcast(torch.cat([t.reshape(-1) for t in tensors]), owner)
                continue
            flat = torch.empty(sum(t.numel() for t in tensors), dtype=tensors[0].dtype, device=tensors[0].device)
            dist.broadcast(flat, owner)
            for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def exchange(self, parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """Give every rank its part, in the order of ranks, and return what each gave here, of these shapes."""
        sizes = [prod(shape) for shape in shapes]
        given = torch.cat([part.reshape(-1) for part in parts])
        got = torch.empty(sum(sizes), dtype=given.dtype, device=given.device)
        dist.all_to_all_single(got, given, sizes, [part.numel() for part in parts])
        return [flat.view(shape) for flat, shape in zip(got.split(sizes), shapes, strict=True)]

    def leave(self) -> None:
        """Take leave of the other processes, once all of them do. Nobody goes while another still listens to it."""
        if self.size > 1 and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()

    def abandon(self) -> None:
        """Leave without waiting for anybody, after an error; does nothing after `leave`."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


ALONE = World()


def leave_at_once() -> NoReturn:
    """End this process, all its work being done, without the interpreter's own end, in which gloo's threads have been
    seen to abort a process ("terminate called without an active exception").
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Line:
    """Sums lists of tensors one after the other, as gradients that are left in place sum up, holding one list."""

    def __init__(self) -> None:
        self._total: list[Tensor] = []

    def add(self, tensors: list[Tensor]) -> None:
        """Add one more list; the tensors are taken over."""
        if self._total:
            torch._foreach_add_(self._total, tensors)  # pyright: ignore[reportPrivateImportUsage]
        else:
            self._total = tensors

    def total(self) -> list[Tensor]:
        """Return the sum of all lists."""
        return self._total


class Tree:
    """Sums lists of tensors pairwise, in the order of a binary tree, holding one list a level.

    After 2^k lists the sum is one; its order of additions is that of the tree, whatever part of it other processes do.
    """

    def __init__(self) -> None:
        self._levels: list[tuple[int, list[Tensor]]] = []

    def add(self, tensors: list[Tensor]) -> None:
        """Add one more list; the tensors are taken over."""
        level = 0
        while self._levels and self._levels[-1][0] == level:
            _, before = self._levels.pop()
            torch._foreach_add_(before, tensors)  # pyright: ignore[reportPrivateImportUsage]
            tensors, level = before, level + 1
        self._levels.append((level, tensors))

    def total(self) -> list[Tensor]:
        """Return the sum of all lists, from the right where they are no power of two."""
        _, total = self._levels.pop()
        while self._levels:
            _, before = self._levels.pop()
            torch._foreach_add_(before, total)  # pyright: ignore[reportPrivateImportUsage]
            total = before
        return total


def rows_of(rows: int, rank: int, size: int) -> tuple[int, int]:
    """Return which rows of a sharded tensor a rank holds, start and stop: as many as every other, but for the last."""
    each = -(-rows // size)
    return min(rows, rank * each), min(rows, (rank + 1) * each)


def join(device: str) -> World:
    """Return this process's World, after meeting the others if the environment (torchrun's variables) names them.

    Raises ConfigError when they do not meet.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if not dist.is_initialized():
        try:
            backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
            if device == "cuda":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group(backend, timeout=timedelta(seconds=SECONDS_TO_MEET))
        except (RuntimeError, ValueError) as e:
            raise ConfigError(
                f"the {size} processes of this run did not meet: {str(e).splitlines()[0]}",
                do="start them all with the same MASTER_ADDR and MASTER_PORT, as torchrun does",
            ) from None
    return World(dist.get_rank(), dist.get_world_size())
