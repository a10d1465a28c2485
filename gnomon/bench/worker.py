"""The process of one contestant: makes what its first line asks for, then takes as many steps as each line says.

python -m gnomon.bench.worker    # lines of JSON in, lines of JSON out; `contest.py` speaks to it
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from gnomon.base.machine import (
    bound_kernel_caches,
    keep_compiled_kernels,
    keep_freed_memory,
    peak_memory_bytes,
    this_machine,
)


def main() -> None:
    """Make, warm up, and answer."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # others may print
    settings = json.loads(sys.stdin.readline())
    if settings.get("own_allocator"):
        keep_freed_memory()
        bound_kernel_caches()
    keep_compiled_kernels()
    started = time.perf_counter()
    once, told = make(settings)
    once()
    answers.write(json.dumps(told | {"first_seconds": time.perf_counter() - started}) + "\n")
    once()
    for line in sys.stdin:
        steps, start = json.loads(line)["steps"], time.perf_counter()
        for _ in range(steps):
            once()
        seconds = time.perf_counter() - start
        answers.write(json.dumps({"seconds": seconds, "memory_bytes": peak_memory_bytes()}) + "\n")


def make(settings: dict[str, Any]) -> tuple[Callable[[], object], dict[str, Any]]:
    """Return one step of a contestant as a function, and what is to be told of it."""
    import torch

    from gnomon.bench.bound import bound, ceiling
    from gnomon.bench.peers import make_peer, optimizer_of, train_step
    from gnomon.presets import Shape
    from gnomon.train.precision import choose_dtype

    torch.set_num_threads(this_machine().cores)
    torch.manual_seed(0)
    kind, dtype = settings["kind"], choose_dtype("cpu", "auto")[0]
    if kind == "ceiling":
        product, operations = ceiling(dtype)
        return product, {"operations": operations, "dtype": dtype}
    shape, rows = Shape(**settings["shape"]), settings.get("rows", 1)
    if kind.startswith("generate"):
        return _generate(shape, settings["prompt"], settings["tokens"], theirs=kind != "generate")
    if kind == "bound":
        return bound(shape, rows, dtype), {}
    if kind == "gnomon":
        return _gnomon(shape, rows, dtype, **settings["options"])
    peer = make_peer(kind, shape, **settings["options"])
    optimizer = optimizer_of(peer, lr=1e-3)
    tokens = torch.randint(shape.vocabulary, (rows, shape.context + 1))
    inputs, following = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    return lambda: float(train_step(peer, optimizer, inputs, following)), {"parameters": peer.parameters}


def _gnomon(shape: Any, rows: int, dtype: Any, **options: Any) -> tuple[Callable[[], object], dict[str, Any]]:
    from gnomon.config import make_config
    from gnomon.measure import random_rows, trial
    from gnomon.train.step import step

    config = make_config({"data": "none is read", "train": {"lr": 1e-3, "optimizer": options["optimizer"]}})
    state, batch = trial(config, shape, random_rows(shape, rows), "cpu", dtype, compiled=options["compiled"])
    return lambda: (step(state, batch), state.readback.drain()), {"parameters": shape.parameters}


def _generate(shape: Any, prompt: int, tokens: int, *, theirs: bool) -> tuple[Callable[[], object], dict[str, Any]]:
    import torch

    from gnomon.bench.peers import make_peer
    from gnomon.model.generate import Sampling, generate
    from gnomon.model.lm import LanguageModel

    ids = torch.randint(shape.vocabulary, (1, prompt))
    if not theirs:
        ours = LanguageModel(shape).eval()
        once = Sampling(temperature=0.0)
        return lambda: list(generate(ours, ids.tolist(), tokens, once)), {"parameters": shape.parameters}
    peer = make_peer("transformers", shape)
    model: Any = peer.model.eval()
    asked = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "use_cache": True}
    return lambda: model.generate(ids, attention_mask=torch.ones_like(ids), **asked), {"parameters": peer.parameters}


if __name__ == "__main__":
    main()
