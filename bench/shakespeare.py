"""Time to the loss of nanoGPT's documented CPU run: Shakespeare by characters, at most 0.80M parameters, context 64.

    python bench/shakespeare.py tinyshakespeare_train.txt.gz tinyshakespeare_valid.txt.gz
    python bench/shakespeare.py tinyshakespeare_train.txt.gz tinyshakespeare_valid.txt.gz --rounds 3 --json

The target is what a plain loop with the published settings (4 layers, 4 heads, 128 wide, 12 rows of 64, 2,000
iterations, AdamW at 1e-3) reaches; its time is that of its process, from start to the last step, without validation.
Then `gnomon train` runs with an empty cache of compiled kernels, and again with a full one. Both models are scored by
the same function, in float32, on the same windows of the validation text, in nats a character.
"""

import argparse
import gzip
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.bundle import load_bundle
from gnomon.store.checkpoints import CheckpointStore
from gnomon.tokenizer.train import SMALLEST

CONTEXT, ROWS, STEPS, WIDTH, LAYERS, HEADS = 64, 12, 2000, 128, 4, 4
MOST_PARAMETERS = 800_000
GNOMON = {
    "size": "1M",
    "budget": "190K tokens",
    "train": {"batch_tokens": 1024, "lr": 0.012},
    "tokenizer": {"vocabulary": SMALLEST},
    "model": {
        "width": 128,
        "layers": 4,
        "heads": 4,
        "kv_heads": 4,
        "head_width": 32,
        "feed_forward": 288,
        "context": 64,
    },
    "export": {"gguf": [], "hf": False},
}


class Layer(nn.Module):
    """GPT-2's block without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.attn, self.attn_out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.fc, self.fc_out = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [rows, length, width] after attention and feed-forward."""
        b, t, w = x.shape
        q, k, v = (z.view(b, t, HEADS, w // HEADS).transpose(1, 2) for z in self.attn(self.ln_1(x)).split(w, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_out(y.transpose(1, 2).reshape(b, t, w))
        return x + self.fc_out(F.gelu(self.fc(self.ln_2(x))))


class Gpt(nn.Module):
    """GPT-2 with learned positions and a tied head."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.layers, self.norm = nn.ModuleList(Layer() for _ in range(LAYERS)), nn.LayerNorm(WIDTH, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if "_out" in name else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Return scores [rows, length, vocabulary] of the characters that follow `ids`."""
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.tokens.weight)


def plain_loop(train: str, valid: str, seed: int) -> float:
    """Train by the published settings and return the loss on `valid`; prints a line when the last step is done."""
    torch.manual_seed(seed)
    letters = {c: i for i, c in enumerate(sorted(set(train + valid)))}
    ids = torch.tensor([letters[c] for c in train])
    model = Gpt(len(letters))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    for step in range(STEPS):
        cosine = 0.5 * (1 + math.cos(math.pi * (step - 100) / (STEPS - 100)))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (step + 1) / 101 if step < 100 else 1e-4 + cosine * 9e-4
        starts = torch.randint(len(ids) - CONTEXT, (ROWS, 1)) + torch.arange(CONTEXT)
        loss = F.cross_entropy(model(ids[starts]).flatten(0, 1), ids[starts + 1].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print("trained", flush=True)
    return score(model.eval(), [letters[c] for c in valid])


@torch.inference_mode()
def score(logits: Callable[[Tensor], Tensor], ids: list[int]) -> float:
    """Return the nats a character over windows of 64 that cover the text; each but the first is predicted once."""
    whole = (len(ids) - 1) // CONTEXT * CONTEXT
    inputs, wanted = torch.tensor(ids[:whole]).view(-1, CONTEXT), torch.tensor(ids[1 : whole + 1]).view(-1, CONTEXT)
    losses = [
        F.cross_entropy(logits(i).float().flatten(0, 1), w.flatten(), reduction="sum")
        for i, w in zip(inputs.split(64), wanted.split(64), strict=True)
    ]
    return float(sum(losses)) / whole


def run_plain(arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run the plain loop in a process of its own; return seconds until its last step, and its loss."""
    command = [sys.executable, __file__, str(arguments.train), str(arguments.valid), "--plain", str(seed)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": float(process.stdout.readline())}


def run_gnomon(arguments: argparse.Namespace, seed: int, cache: Path) -> dict[str, float]:
    """Run `gnomon train`; return seconds until its last checkpoint was there and until it ended, and the loss."""
    with tempfile.TemporaryDirectory() as folder:
        config = GNOMON | {
            "data": {"train": str(arguments.train), "validation": str(arguments.valid), "root": f"{folder}/datasets"},
            "out": f"{folder}/run",
            "seed": seed,
        }
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "gnomon", "train", str(path), *arguments.override, "--json"]
        began, start = time.time(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"XDG_CACHE_HOME": str(cache)})
        seconds = time.perf_counter() - start
        newest = CheckpointStore(Path(folder) / "run" / "checkpoints").all()[-1]
        trained = (newest.path / "manifest.json").stat().st_mtime - began
        bundle = load_bundle(newest.path)
        ids = bundle.tokenizer.encode(read(arguments.valid))
        assert len(ids) == len(read(arguments.valid).encode()), "the tokenizer has merges"
        assert bundle.shape.parameters <= MOST_PARAMETERS, f"{bundle.shape.parameters:,} parameters"
        model = bundle.model
        loss = score(lambda tokens: model.logits(model(tokens).hidden), ids)
        return {"seconds": trained, "command_seconds": seconds, "loss": loss}


def read(path: Path) -> str:
    """Return a text file's text, also of a .gz."""
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def main() -> None:
    """Run all in turn, as often as asked, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--override", nargs="*", default=[], help="key=value words for `gnomon train`")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain is not None:
        print(plain_loop(read(arguments.train), read(arguments.valid), arguments.plain))
        return
    found: dict[str, list[dict[str, float]]] = {"plain loop": [], "gnomon, cold": [], "gnomon, warm": []}
    with tempfile.TemporaryDirectory() as cache:
        for seed in range(arguments.rounds):
            found["plain loop"].append(run_plain(arguments, seed))
            shutil.rmtree(cache)
            found["gnomon, cold"].append(run_gnomon(arguments, seed, Path(cache)))
            found["gnomon, warm"].append(run_gnomon(arguments, seed, Path(cache)))
    if arguments.json:
        print(json.dumps(found))
        return
    baseline = statistics.median(r["seconds"] for r in found["plain loop"])
    for name, runs in found.items():
        seconds = sorted(r["seconds"] for r in runs)
        losses = ", ".join(f"{r['loss']:.3f}" for r in runs)
        print(f"{name:14}{statistics.median(seconds):7.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})  "
              f"{statistics.median(seconds) / baseline:5.2f} of the plain loop's time; losses {losses}")  # fmt: skip


if __name__ == "__main__":
    main()
