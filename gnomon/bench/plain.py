"""A plain training loop over a prepared dataset with a model of others: random crops, AdamW, warm-up and cosine.

python -m gnomon.bench.plain    # one line of JSON in, lines of JSON out; `loss.py` speaks to it
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gnomon.base.errors import DataError
from gnomon.base.machine import this_machine
from gnomon.base.seeds import derive
from gnomon.bench.peers import make_peer, optimizer_of, train_step
from gnomon.presets import Shape
from gnomon.store.datasets import Split, open_dataset

SCORED_WINDOWS = 512
WARMUP, FLOOR = 100, 0.1  # steps at most; of the rate, at the end


def main() -> None:
    """Train as the first line asks; tell the seconds since the process was begun, without those of scoring."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # others may print
    asked = json.loads(sys.stdin.readline())
    torch.set_num_threads(this_machine().cores)
    torch.manual_seed(asked["seed"])
    shape, steps, rows = Shape(**asked["shape"]), asked["steps"], asked["rows"]
    dataset = open_dataset(Path(asked["dataset"]))
    text = torch.from_numpy(np.concatenate([np.asarray(s, dtype=np.int64) for s in dataset.split("train").shards]))
    held_out = windows(dataset.split("validation"), shape.context)
    peer = make_peer(asked["kind"], shape, **asked["options"])
    optimizer = optimizer_of(peer, asked["lr"])
    crops, scoring = torch.Generator().manual_seed(derive(asked["seed"], "crops")), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = asked["lr"] * share_of_rate(step, steps)
        starts = torch.randint(len(text) - shape.context, (rows, 1), generator=crops) + torch.arange(shape.context)
        train_step(peer, optimizer, text[starts], text[starts + 1])
        if (step + 1) % asked["every"] == 0 or step + 1 == steps:
            now = time.time()
            loss = score(lambda tokens: peer.logits(tokens), held_out)
            told = {"seconds": now - asked["began"] - scoring, "loss": loss, "step": step + 1}
            answers.write(json.dumps(told) + "\n")
            scoring += time.time() - now


def share_of_rate(step: int, steps: int) -> float:
    """Return the rate at a step as a share of the highest: linear to it, then a cosine to `FLOOR` of it."""
    warmup = min(WARMUP, max(1, steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def windows(split: Split, length: int) -> Tensor:
    """Return the first windows of `length` tokens, and the one that follows, that lie within one document.

    Raises DataError where no document is so long.
    """
    found: list[np.ndarray] = []
    for document in range(split.documents):
        ids = np.asarray(split.tokens(document), dtype=np.int64)
        found += [ids[i : i + length + 1] for i in range(0, len(ids) - length, length)]
        if len(found) >= SCORED_WINDOWS:
            break
    if not found:
        raise DataError(
            f"no held-out document has more than {length:,} tokens, so that nothing can be scored",
            where="validation",
            do="hold out longer documents, or ask for a shorter model.context",
        )
    return torch.from_numpy(np.stack(found[:SCORED_WINDOWS]))


@torch.inference_mode()
def score(logits: Callable[[Tensor], Tensor], held_out: Tensor) -> float:
    """Return the loss in nats a token over windows [windows, length + 1], in float32."""
    sums = [
        F.cross_entropy(logits(rows[:, :-1]).float().flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")
        for rows in held_out.split(8)
    ]
    return float(sum(sums)) / held_out[:, 1:].numel()


if __name__ == "__main__":
    main()
