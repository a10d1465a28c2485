"""Which number format the matrix products use, found by asking the machine rather than its name."""

import time
from contextlib import AbstractContextManager
from typing import Literal

import torch

from gnomon.base.machine import has_fast_bf16, this_machine
from gnomon.config import Dtype

TORCH_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def matmul_rate(dtype: Dtype, device: str = "cpu", size: int = 1024) -> float:
    """Return the floating-point operations a second of square matrix products, the median of seven."""
    a = torch.ones(size, size, dtype=TORCH_DTYPES[dtype], device=device)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        torch.mm(a, a)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / sorted(times[2:])[3]


def choose_dtype(device: str, asked: Literal["auto", "bf16", "fp16", "fp32"]) -> tuple[Dtype, str]:
    """Return the format for matrix products and the reason. Weights, moments, norms and loss are float32 either way."""
    if asked != "auto":
        return asked, "train.dtype asks for it"
    if device == "cuda":
        return ("bf16", "the GPU has it") if torch.cuda.is_bf16_supported() else ("fp32", "the GPU has no bf16")
    if not has_fast_bf16(this_machine()):
        return "fp32", "the processor has no bf16 arithmetic (neither AMX nor AVX512-BF16)"
    gain = matmul_rate("bf16") / matmul_rate("fp32")
    if gain >= 1.3:
        return "bf16", f"measured {gain:.1f} times as fast as fp32 on this processor"
    return "fp32", f"bf16 measured only {gain:.1f} times as fast on this processor"


def autocast(device: str, dtype: Dtype) -> AbstractContextManager[object]:
    """Return the context in which matrix products run in `dtype`."""
    return torch.autocast(device, dtype=TORCH_DTYPES[dtype], enabled=dtype != "fp32")
