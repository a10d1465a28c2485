"""What this machine is: cores, memory, processor, and the one allocator setting that doubles CPU training speed."""

import ctypes
import hashlib
import os
import platform
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

KERNELS = 128
"""Products that oneDNN keeps compiled. 400 steps of size 1M in pieces of up to 256 tokens hold 907 MiB with 64, 943
with 256, and 1,056 with the usual 1,024, then still growing; the speed is the same.
"""


@dataclass(frozen=True)
class Machine:
    """A machine's figures; `flags` holds the processor features that matter here."""

    system: str
    processor: str
    cores: int  # physical cores this process may use
    memory_bytes: int
    flags: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@cache
def this_machine() -> Machine:
    """Return the figures of the machine this process runs on; a container's limits count, not the host's."""
    name, flags = _processor()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=name,
        cores=_usable_cores(),
        memory_bytes=min(psutil.virtual_memory().total, _container_memory()),
        flags=flags,
    )


def has_fast_bf16(machine: Machine) -> bool:
    """Return whether the processor multiplies bfloat16 in hardware (AMX or AVX512-BF16)."""
    return bool({"amx_bf16", "avx512_bf16"} & set(machine.flags))


def peak_memory_bytes() -> int:
    """Return the most memory this process has held so far (resident set), or what it holds now on Windows."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().rss
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks instead of handing them back to the kernel; return whether it took the setting.

    A training step frees and takes the same large blocks over and over; by default glibc unmaps them and the
    kernel clears the pages again at every step. To be called before the first tensor is made.
    Peak memory stays that of one step, since blocks are reused.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # musl has none
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    taken = [mallopt(m_mmap_max, 0), mallopt(m_trim_threshold, 2**31 - 1), mallopt(m_top_pad, 64 << 20)]
    return all(taken)


def bound_kernel_caches() -> None:
    """Have oneDNN, and torch above it, keep KERNELS products each, unless the environment says how many.

    They make one for every new shape, of 0.3 MiB and more, and keep 1,024 by default: a step whose pieces have lengths
    of their own makes new ones all the time. Making one takes a millisecond. To be called before the first product.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(KERNELS))


def return_freed_memory() -> bool:
    """Hand what glibc keeps of freed blocks back to the kernel, once; return whether any was.

    Between works that take blocks of other sizes: what one frees in pieces, the other cannot use, and both are held.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False  # musl has none


def keep_compiled_kernels() -> None:
    """Have torch keep compiled kernels in the user's cache folder, where the next run on such a processor finds them.

    To be called before torch looks for its folder, which is when the first optimizer is made. A folder that is named
    in TORCHINDUCTOR_CACHE_DIR stays. Each kind of processor has its own: torch does not tell them apart, and a kernel
    made for wider vectors computes nonsense elsewhere.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    machine = this_machine()
    kind = hashlib.sha256(repr((machine.system, machine.processor, machine.flags)).encode()).hexdigest()[:12]
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "gnomon" / "kernels" / kind
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a user without a home
        return  # torch's own place, in the folder for temporary files
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


def _usable_cores() -> int:
    logical = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    return max(1, min(logical, physical))


def _container_memory() -> int:
    try:
        with open("/sys/fs/cgroup/memory.max") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 2**63


def _processor() -> tuple[str, tuple[str, ...]]:
    wanted = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "bf16"}
    name, flags = platform.processor() or platform.machine(), ()
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() in ("flags", "Features") and not flags:
                    flags = tuple(sorted(wanted & set(value.split())))
    except OSError:
        pass  # not Linux: the name alone
    return name, flags
