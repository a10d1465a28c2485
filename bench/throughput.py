"""Training speed beside `transformers` and `litgpt`: the same shape, batch and optimizer, in turn, in one run.

    python bench/throughput.py --size 5M --rounds 7
    python bench/throughput.py --size 15M --json
    pip install --no-deps litgpt lightning lightning-utilities torchmetrics jsonargparse    # for litgpt's row

Prints tokens a second (median, lowest, highest of the rounds) of Gnomon as a long run of `gnomon train` sets it up, but
with AdamW, as all others have it; without compiling; and with Muon; of a Qwen3 model from `transformers` in its own
float32 and in bfloat16 autocast; and, where it is installed, of litgpt's in bfloat16 and compiled; and the ratios of
medians. Rounds are interleaved, so that a machine that slows down slows all. All of them run with the allocator's
setting that Gnomon makes for itself.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch

from gnomon.base.machine import keep_compiled_kernels, keep_freed_memory, this_machine
from gnomon.config import OptimizerKind, make_config
from gnomon.measure import trial
from gnomon.presets import PRESETS, Shape
from gnomon.train.precision import choose_dtype
from gnomon.train.step import step

STEPS_A_ROUND = 3


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=PRESETS, default="5M")
    parser.add_argument("--rows", type=int, default=16, help="rows of one step")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--default-allocator", action="store_true", help="leave the C library's allocator as it is")
    arguments = parser.parse_args()
    if not arguments.default_allocator:
        keep_freed_memory()
    keep_compiled_kernels()
    torch.set_num_threads(this_machine().cores)
    shape = PRESETS[arguments.size]
    tokens = torch.randint(shape.vocabulary, (arguments.rows, shape.context + 1))
    runners = {
        "gnomon": gnomon_step(shape, len(tokens), compiled=True),
        "gnomon, not compiled": gnomon_step(shape, len(tokens), compiled=False),
        "gnomon, with Muon": gnomon_step(shape, len(tokens), compiled=True, optimizer="muon"),
        "transformers, float32": transformers_step(shape, tokens, autocast=False),
        "transformers, bfloat16 autocast": transformers_step(shape, tokens, autocast=True),
    }
    if find_spec("litgpt"):
        runners["litgpt, bfloat16, compiled"] = litgpt_step(shape, tokens)
    speeds: dict[str, list[float]] = {name: [] for name in runners}
    for once in runners.values():
        once()
    for _ in range(arguments.rounds):
        for name, once in runners.items():
            start = time.perf_counter()
            for _ in range(STEPS_A_ROUND):
                once()
            speeds[name].append(STEPS_A_ROUND * arguments.rows * shape.context / (time.perf_counter() - start))
    ours = statistics.median(speeds["gnomon"])
    rows = {
        name: {
            "median": statistics.median(s),
            "lowest": min(s),
            "highest": max(s),
            "ratio": ours / statistics.median(s),
        }
        for name, s in speeds.items()
    }
    if arguments.json:
        print(json.dumps({"size": arguments.size, "rows": arguments.rows, "tokens_per_second": rows}))
        return
    print(f"{arguments.size}: {arguments.rows} rows of {shape.context} tokens a step, {this_machine().processor}")
    for name, r in rows.items():
        spread = f"({r['lowest']:,.0f} to {r['highest']:,.0f})"
        print(f"{name:<34}{r['median']:>10,.0f} tokens/s {spread:<20} gnomon {r['ratio']:.2f}x")


def gnomon_step(shape: Shape, rows: int, *, compiled: bool, optimizer: OptimizerKind = "adamw") -> Callable[[], object]:
    """Return a function that takes one of our training steps."""
    config = make_config({"data": "none is read", "train": {"lr": 1e-3, "optimizer": optimizer}})
    state, batch = trial(config, shape, rows, "cpu", choose_dtype("cpu", "auto")[0], compiled=compiled)
    return lambda: (step(state, batch), state.readback.drain())


def transformers_step(shape: Shape, tokens: torch.Tensor, *, autocast: bool) -> Callable[[], object]:
    """Return a function that takes one training step of the same model in `transformers`, with clip and fused AdamW."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
            head_dim=shape.head_width, max_position_embeddings=shape.context, tie_word_embeddings=True, use_cache=False,
        )
    )  # fmt: skip
    inputs = tokens[:, :-1].contiguous()
    return _plain_step(model, lambda: model(input_ids=inputs, labels=inputs).loss, autocast=autocast)


def litgpt_step(shape: Shape, tokens: torch.Tensor) -> Callable[[], object]:
    """Return a function that takes one training step of the same model in litgpt, as its `pretrain` computes it."""
    from litgpt.config import Config  # pyright: ignore[reportMissingImports]
    from litgpt.model import GPT  # pyright: ignore[reportMissingImports]
    from litgpt.utils import chunked_cross_entropy  # pyright: ignore[reportMissingImports]

    model = GPT(
        Config(
            name="bench", block_size=shape.context, n_layer=shape.layers, n_embd=shape.width, n_head=shape.heads,
            n_query_groups=shape.kv_heads, head_size=shape.head_width, norm_qk=True, vocab_size=shape.vocabulary,
            padded_vocab_size=shape.vocabulary, norm_class_name="RMSNorm", bias=False, rotary_percentage=1.0,
            parallel_residual=False, mlp_class_name="LLaMAMLP", intermediate_size=shape.feed_forward,
        )
    )  # fmt: skip
    model.transformer.wte.weight = model.lm_head.weight
    forward, inputs, labels = torch.compile(model), tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    return _plain_step(model, lambda: chunked_cross_entropy(forward(inputs), labels), autocast=True)


def _plain_step(model: torch.nn.Module, loss_of: Callable[[], torch.Tensor], *, autocast: bool) -> Callable[[], object]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def once() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return once


if __name__ == "__main__":
    main()
