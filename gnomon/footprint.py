"""How much memory and disk a model of some shape takes, from its shape alone."""

import math
from collections.abc import Sequence

from gnomon.config import Config, Dtype, OptimizerKind
from gnomon.presets import Shape
from gnomon.taxonomy import HEAD_OUTPUTS, MIXES, HeadKind

MUON_TOGETHER = 1 << 20  # weights whose step Muon finds at once, as in train/muon.py
MUON_BYTES = 32  # for each of them
WEIGHT_BYTES = 8  # float32 weight and gradient
COMPILER_BYTES = 100 << 20  # what torch loads to compile, measured as the next line is
PROCESS_BYTES = 350 << 20  # Python and torch themselves, measured on Linux with torch 2.13
TRAINER_BYTES = 80 << 20  # what torch loads to train, and what its allocator cannot use again
PIECES = 3.0  # times the weights of whole rows: pieces are filled up, and of many sizes, which do not fit in again
SHORT_KEYS = 512  # of a piece whose attention keeps its weights on a CPU, as in model/attention.py
LOOP_STREAMS = 3.0  # more copies of the stream that a layer in a loop keeps, measured with 4 layers and 4 loops
LOSS_TOKENS, LOSS_PART = 2048, 1 << 20  # tokens that have logits at once, and logits in float32, as in model/loss.py


def head_table(shape: Shape, kinds: Sequence[HeadKind]) -> dict[str, int]:
    """Return the number of parameters of the heads, as `Shape.parameter_table` does; nothing where there are none."""
    outputs = [size for kind in kinds for size in HEAD_OUTPUTS[kind].values()]
    inner = shape.mark_width or shape.width
    each = (inner * (shape.width + 1) + (inner + 1) * size for size in outputs)
    mixes = sum(len(MIXES[kind]) for kind in kinds)
    return {"heads": mixes * shape.states + sum(each)} if outputs else {}


def head_words(shape: Shape, kinds: Sequence[HeadKind]) -> str:
    """Return what heads cost, in words."""
    if not (table := head_table(shape, kinds)):
        return "none are asked for"
    size = table["heads"] / 1e6
    return f"{size:.2f}M parameters; {6 * size:.1f} MFLOP at each marked place, which are not in flops"


def training_bytes(
    config: Config,
    shape: Shape,
    micro_rows: int,
    dtype: Dtype,
    optimizer: OptimizerKind,
    processes: int,
    *,
    device: str,
    compiled: bool,
) -> tuple[int, str]:
    """Return the bytes of training in one of the processes, and their parts in words."""
    product = 4 if dtype == "fp32" else 2
    tokens = micro_rows * shape.context
    beside = math.ceil(micro_rows * config.heads.measured.rows_share) if config.heads.measured.questions else 0
    keys = 0.0  # whose weights attention keeps, of each query
    if device == "cpu" and dtype == "bf16":  # longer pieces keep none: the longer the context, the more of them
        keys = PIECES * min(shape.context, SHORT_KEYS**2 / shape.context)
    if compiled:  # which is tried beside the plain way: there it is those up to the end of each block of 128 queries
        keys = max(keys, (shape.context + 128) / 2)
    per_layer = layer_bytes(shape, product) + shape.heads * keys * product
    passes = shape.passes + (shape.loops - 1) * (shape.halting == "ponder")  # which passes the last layer every time
    held = tokens + beside * shape.context  # with the rows from which only heads learn
    activations = round(held * (passes * per_layer + LOOP_STREAMS * 4 * shape.width * (shape.passes - shape.layers)))
    scored = min(LOSS_TOKENS, tokens) * shape.vocabulary
    logits = scored * product * (1 + compiled) + 12 * (LOSS_PART if device == "cpu" else scored)
    largest = shape.width * max(shape.feed_forward, shape.heads * shape.head_width)
    muon = MUON_BYTES * max(min(MUON_TOGETHER, _matrices(shape)), largest) if optimizer == "muon" else 0
    copies = 0 if dtype == "fp32" else shape.parameters * product
    heads = sum(head_table(shape, config.heads.kinds).values())
    parts = {
        "weights and optimizer": _state_bytes(config, shape, optimizer, processes) + copies + muon,
        "heads": (WEIGHT_BYTES + 8) * heads,
        "activations": activations,
        "logits": logits,
        "gradients of a pass by themselves": 4 * shape.parameters * (config.train.batch_ramp == "noise"),
        "a checkpoint on its way to the disk": (_saved_bytes(shape, optimizer) + 12 * heads)
        * config.train.background_saves
        // processes,
        "the program itself": PROCESS_BYTES + TRAINER_BYTES + COMPILER_BYTES * compiled,
    }
    return sum(parts.values()), ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in parts.items() if size)


def layer_bytes(shape: Shape, product: int) -> int:
    """Return the bytes that a layer keeps of each token for the backward pass, but for the weights of its attention.

    `product` is the bytes of a number in the products' format.
    """
    inner, stream = shape.head_width * (shape.heads + 2 * shape.kv_heads), 4
    if shape.block == "gpt-neox":  # one copy of the stream for both parts, and no gate
        return (
            shape.width * (stream + 3 * product) + inner * (product + stream) + shape.feed_forward * 3 * product
        )  # fmt: skip
    normed = stream * shape.head_width * (shape.heads + shape.kv_heads)
    mixed = product * shape.head_width * shape.heads
    stream_copies = shape.width * (2 * stream + 5 * product)  # as it is, and for every product that reads it
    kept = stream_copies + normed + inner * product + mixed + 4 * shape.feed_forward * product
    return round(1.05 * kept)  # and places, and roots of mean squares


def _matrices(shape: Shape) -> int:
    table = shape.parameter_table()
    return table["attention"] + table["feed_forward"]


def _moment_bytes(shape: Shape, optimizer: OptimizerKind) -> int:
    """Return the bytes of moments, float32: two of each weight, of Muon's matrices one."""
    return 8 * shape.parameters - 4 * _matrices(shape) * (optimizer == "muon")


def _saved_bytes(shape: Shape, optimizer: OptimizerKind) -> int:
    """Return the bytes of a checkpoint: weights and moments."""
    return 4 * shape.parameters + _moment_bytes(shape, optimizer)


def _state_bytes(config: Config, shape: Shape, optimizer: OptimizerKind, processes: int) -> int:
    """Return the bytes of weights, gradients and moments in one of the processes."""
    table, moments = shape.parameter_table(), _moment_bytes(shape, optimizer)
    if config.train.sharding == "full" and processes > 1:
        block = _matrices(shape) // shape.layers
        together = WEIGHT_BYTES * (table["embedding"] + 2 * block)  # whole for a pass; the block and the one after
        return (WEIGHT_BYTES * shape.parameters + moments) // processes + together
    if config.train.sharding == "optimizer" and processes > 1:
        moments = max(moments // processes, 8 * table["embedding"])  # which has one owner
    return WEIGHT_BYTES * shape.parameters + moments


def inference_bytes(shape: Shape, kinds: Sequence[HeadKind] = ()) -> int:
    """Return the bytes of memory for generating: float32 weights, and keys and values of one full context."""
    cache = 8 * shape.passes * shape.kv_heads * shape.head_width * shape.context
    return PROCESS_BYTES + 4 * (shape.parameters + sum(head_table(shape, kinds).values())) + cache


def disk_bytes(config: Config, shape: Shape, optimizer: OptimizerKind) -> int:
    """Return the most bytes of a run's folder: checkpoints that are kept, one being written, and exports."""
    kept = config.train.keep_last + 2  # the best one, and the one being written
    per_weight = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32}
    exports = sum(per_weight[d] for d in config.export.gguf) + 4 * config.export.hf
    heads = 0.0
    if shape.block == "gpt-neox":  # of which a GGUF has the head beside the embedding
        heads = sum(per_weight[d] for d in config.export.gguf) * shape.parameter_table()["embedding"]
    parts = sum(head_table(shape, config.heads.kinds).values())
    return round(
        (_saved_bytes(shape, optimizer) + 12 * parts) * kept
        + shape.parameters * exports
        + heads
        + 4 * parts * config.export.hf
    )
