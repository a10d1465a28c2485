"""Compiled kernels of the training step, generated for this processor by torch's inductor.

One layer is compiled, and serves all: their shapes are the same. What is compiled has fixed shapes, so that the same
batch gives the same bits in every process; sums whose order a thread could change (the embedding's gradient) stay out.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

import gnomon
from gnomon.base.errors import DependencyError
from gnomon.config import Dtype
from gnomon.model.block import Block
from gnomon.model.lm import Kernels
from gnomon.model.loss import logit_gradient
from gnomon.model.rotary import Rotary
from gnomon.presets import Shape

MOST_SHAPES = 64  # that one process may compile: fewer rows after short memory, a last pass of fewer rows


def no_compiler() -> str | None:
    """Return why nothing can be compiled on this machine, or None."""
    if os.name != "posix":
        return "compiling is not supported on this system"
    asked = os.environ.get("CXX")
    if not any(shutil.which(name) for name in ([asked] if asked else ["g++", "clang++", "c++"])):
        return "there is no C++ compiler (on Debian: apt install g++)"
    return None


def refuse_without_compiler() -> None:
    """Raise DependencyError where nothing can be compiled."""
    if missing := no_compiler():
        raise DependencyError(
            missing,
            where="train.compile",
            do="install one; or train without, train.compile=false, in an `out` folder of its own",
        )


def compile_kernels() -> Kernels:
    """Return kernels that are compiled when they first meet a shape; what was compiled before is found again, by this
    process at once, by another in the cache on disk.

    Raises DependencyError where nothing can be compiled.
    """
    refuse_without_compiler()
    return _kernels()


@cache
def _kernels() -> Kernels:
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    return Kernels(
        layer=torch.compile(_layer, dynamic=False, fullgraph=True),
        logits=torch.compile(logit_gradient, dynamic=False, fullgraph=True),
    )


def are_known(shape: Shape, rows: int, dtype: Dtype) -> bool:
    """Return whether kernels for passes of so many rows were compiled here before, and remembered."""
    place = _known(shape, rows, dtype)
    return place is not None and place.exists()


def remember(shape: Shape, rows: int, dtype: Dtype) -> None:
    """Keep in mind, beside the kernels on disk, that they are there; where that cannot be written, do not."""
    if place := _known(shape, rows, dtype):
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


def _known(shape: Shape, rows: int, dtype: Dtype) -> Path | None:
    if not (folder := os.environ.get("TORCHINDUCTOR_CACHE_DIR")):
        return None
    what = repr((shape, rows, dtype, torch.get_num_threads(), torch.__version__, gnomon.__version__))
    return Path(folder) / "known" / hashlib.sha256(what.encode()).hexdigest()[:16]


@contextmanager
def compile_errors() -> Iterator[None]:
    """Raise DependencyError where torch says that it cannot compile: a compiler that fails, no room for its files."""
    try:
        yield
    except compile_failures() as e:
        raise DependencyError(
            f"a training step could not be compiled: {first_line(e):.200}",
            where=os.environ.get("TORCHINDUCTOR_CACHE_DIR", "the compiler"),
            do="mend what it says, or remove this folder, which is a cache; then run the same command again",
        ) from e


def compile_failures() -> tuple[type[Exception], ...]:
    """Return what torch raises where it cannot compile. Its compiler, which takes a second to load, is not loaded."""
    if "torch._dynamo" not in sys.modules:
        return ()
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    return TorchDynamoException, FailOnRecompileLimitHit


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, without colour."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__


def _layer(block: Block, x_BTW: Tensor, turn: Rotary, pieces_BT: Tensor) -> Tensor:
    return block(x_BTW, turn, pieces_BT, None, None)
