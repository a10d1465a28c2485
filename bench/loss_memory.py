"""Memory at the loss: ours, which never holds all logits, beside `F.cross_entropy` on all of them.

    python bench/loss_memory.py --vocabulary 32768 --width 512 --tokens 8192

Each takes the loss and its gradients once in a process of its own. Prints how far the process's peak rises above what
it holds before (Linux), the two losses, and the ratios. In float32; `--bf16` for products in bfloat16.
"""

import argparse
import json
import subprocess
import sys

import torch
import torch.nn.functional as F

from gnomon.base.machine import peak_memory_bytes
from gnomon.model.loss import next_token_loss


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the loss, nats a token, and the bytes by which the peak rose."""
    torch.manual_seed(0)
    hidden = torch.randn(arguments.tokens, arguments.width, requires_grad=True)
    head = (torch.randn(arguments.vocabulary, arguments.width) * 0.02).requires_grad_()
    labels = torch.randint(arguments.vocabulary, (arguments.tokens,))
    hidden.grad, head.grad = torch.zeros_like(hidden), torch.zeros_like(head)  # whoever takes the loss has these
    torch.mm(hidden[:64].detach(), head[:64].detach().T)  # loads what products need
    before = peak_memory_bytes()
    with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
        if arguments.one == "ours":
            loss, _ = next_token_loss(hidden, head, labels)
        else:
            loss = F.cross_entropy(F.linear(hidden, head).float(), labels, reduction="sum")
    (loss / arguments.tokens).backward()
    return {"loss": loss.item() / arguments.tokens, "bytes": peak_memory_bytes() - before}


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=32768)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=8192, help="of one pass")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=["ours", "plain"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--one"]
    found = {
        name: json.loads(subprocess.run([*command, name], check=True, capture_output=True, text=True).stdout)
        for name in ("ours", "plain")
    }
    ours, plain = found["ours"], found["plain"]
    if arguments.json:
        print(json.dumps(found))
        return
    for name, one in found.items():
        print(f"{name:6}{one['bytes'] / 2**20:8,.0f} MiB   loss {one['loss']:.7f}")
    print(f"memory {ours['bytes'] / plain['bytes']:.0%}, loss differs by {abs(ours['loss'] / plain['loss'] - 1):.1e}")


if __name__ == "__main__":
    main()
