"""Shapes of the models, by name, and which formats can hold them. Arithmetic only: no torch.

Every shape is a decoder with a tied output head that llama.cpp, Ollama, vLLM and `transformers` read without custom
code, but for those with loops or learned positions. Its block is one of two. `qwen3`: pre-RMSNorm with gain, per-head
q/k-norm, grouped-query attention, SwiGLU, rotary positions over the whole head, no biases. `gpt-neox`: attention and
GELU feed-forward (4 times as wide) side by side, each on a LayerNorm of its own, rotary positions over a quarter of the
head, biases everywhere.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from gnomon.base.errors import ConfigError, IntegrityError

BlockKind = Literal["qwen3", "gpt-neox"]

PositionKind = Literal["rotary", "learned"]

HaltingKind = Literal["act", "ponder"]
"""What goes on from a token's loops: the mean of its states by the chances to stop, or the state it stopped with."""


@dataclass(frozen=True)
class Shape:
    """A model's sizes. Widths are multiples of 32 (quantisation blocks), the vocabulary of 64."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    context: int  # tokens the model is trained on at once
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-6
    block: BlockKind = "qwen3"
    positions: PositionKind = "rotary"  # learned: a vector for each of the context's places, added to the embedding
    loops: int = 1  # how often a token passes the layers between the first and the last, at most
    halting: HaltingKind = "act"
    halt_at: float = 0.75  # chance of having stopped from which on a token passes no further loop
    mark_width: int = 0  # inner width of the heads that are read at marks; 0: the stream's

    def __post_init__(self) -> None:
        for name in ("width", "feed_forward"):
            if getattr(self, name) % 32:
                raise ConfigError(
                    f"model.{name} is {getattr(self, name)}, which is no multiple of 32",
                    where=f"model.{name}",
                    do=f"use {round(getattr(self, name) / 32) * 32 or 32}: q8_0 stores blocks of 32",
                )
        if self.vocabulary % 64:
            raise ConfigError(
                f"the vocabulary of {self.vocabulary:,} is no multiple of 64",
                where="tokenizer.vocabulary",
                do=f"use {-(-self.vocabulary // 64) * 64:,}",
            )
        if self.heads % self.kv_heads:
            raise ConfigError(
                f"model.heads ({self.heads}) is no multiple of model.kv_heads ({self.kv_heads})",
                where="model.kv_heads",
                do="every key/value head serves the same number of query heads",
            )
        if self.block == "gpt-neox":
            self._refuse_what_gpt_neox_has_not()
        self._refuse_impossible_loops()
        if self.head_width % 2 or (self.heads * self.head_width) % 32 or (self.kv_heads * self.head_width) % 32:
            raise ConfigError(
                f"model.head_width is {self.head_width}: it must be even, and all heads' widths add up to 32s",
                where="model.head_width",
                do="use 32, 64 or 128",
            )

    def _refuse_what_gpt_neox_has_not(self) -> None:
        if self.kv_heads != self.heads:
            raise ConfigError(
                f"model.kv_heads is {self.kv_heads} and model.heads {self.heads}, and gpt-neox does not group heads",
                where="model.kv_heads",
                do=f"leave it out, or write {self.heads}",
            )
        if self.heads * self.head_width != self.width or self.head_width % 8:
            raise ConfigError(
                f"{self.heads} heads of {self.head_width} do not share out model.width ({self.width}) by multiples of 8"
                ", as the block gpt-neox has it",
                where="model.heads",
                do="choose model.heads so that the width is heads times 32, 64 or 128",
            )

    def _refuse_impossible_loops(self) -> None:
        if self.loops > 1 and self.layers < 3:
            raise ConfigError(
                f"{self.layers} layers have none between the first and the last, which {self.loops} loops could pass",
                where="model.layers",
                do="use 3 or more, or model.loops=1",
            )
        if not 1 <= self.loops <= MAX_LOOPS or not 0 < self.halt_at <= 1:
            raise ConfigError(
                f"model.loops is {self.loops} and model.halt_at {self.halt_at}",
                where="model.loops",
                do=f"use 1 to {MAX_LOOPS} loops, and a chance above 0, of 1 at most",
            )
        if self.positions == "learned" and self.context < MIN_LEARNED:
            raise ConfigError(
                f"a context of {self.context} tokens is too short for learned positions",
                where="model.context",
                do=f"use {MIN_LEARNED} or more, or model.positions=rotary",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes by name; what came later, and is as it was before, is not among them."""
        return {name: value for name, value in asdict(self).items() if LATER.get(name) != value}

    @property
    def plain(self) -> bool:
        """Whether others' programs have such a model: every layer passed once, and rotary positions."""
        return self.loops == 1 and self.positions == "rotary"

    @property
    def core(self) -> int:
        """The layers that are passed in loops: all but the first and the last, where there are loops."""
        return self.layers - 2 if self.loops > 1 else 0

    @property
    def passes(self) -> int:
        """The layers that a token passes at most, each as often as it does."""
        return self.layers + (self.loops - 1) * self.core

    @property
    def states(self) -> int:
        """How many states of the stream are read at marks: the embedding, and what each layer leaves; with loops the
        embedding, and what the first layer, each loop and the last layer leave.
        """
        return self.layers + 1 if self.loops == 1 else self.loops + 3

    def parameter_table(self) -> dict[str, int]:
        """Return the number of parameters of each part; the output head is the embedding again and counts once."""
        table = self._plain_table()
        if self.positions == "learned":
            table["positions"] = self.context * self.width
        if self.loops > 1:  # a norm, weights and a bias for the chance to stop; gains of what enters every loop
            table["halting"] = (2 if self.block == "gpt-neox" else 1) * self.width + self.width + 1 + self.width
        return table

    def _plain_table(self) -> dict[str, int]:
        if self.block == "gpt-neox":
            return {
                "embedding": self.vocabulary * self.width,
                "attention": self.layers * 4 * (self.width * self.width + self.width),
                "feed_forward": self.layers * (2 * self.width * self.feed_forward + self.feed_forward + self.width),
                "norms": self.layers * 4 * self.width + 2 * self.width,
            }
        attention = self.width * self.head_width * (2 * self.heads + 2 * self.kv_heads) + 2 * self.head_width
        return {
            "embedding": self.vocabulary * self.width,
            "attention": self.layers * attention,
            "feed_forward": self.layers * 3 * self.width * self.feed_forward,
            "norms": self.layers * 2 * self.width + self.width,
        }

    @property
    def parameters(self) -> int:
        return sum(self.parameter_table().values())

    @property
    def rotary_width(self) -> int:
        """The part of a head, from its start, that is turned by its position."""
        if self.positions == "learned":
            return 0
        return self.head_width // 4 if self.block == "gpt-neox" else self.head_width

    def flops_per_token(self, length: int) -> int:
        """Return the floating-point operations of forward and backward for one token in rows of `length`.

        6 per weight that is multiplied (the embedding once, as output head) plus 6·width·length per layer for
        causal scores and mixing (half of the full square). Gains and biases of these parts, a thousandth, count as
        weights. With loops every token passes all of them in training; with `ponder` the head reads each, and the
        state at which it stopped. Source: Kaplan et al. 2020; PaLM appendix B.
        """
        table, heads = self.parameter_table(), self.loops + 1 if self.loops > 1 and self.halting == "ponder" else 1
        layers = (table["attention"] + table["feed_forward"]) // self.layers
        coda = (self.loops - 1) * (self.halting == "ponder")  # the last layer too, for every loop
        weights = heads * table["embedding"] + (self.passes + coda) * layers
        return 6 * weights + 6 * (self.passes + coda) * self.heads * self.head_width * length


MAX_LOOPS = 64
MIN_LEARNED = 32
LATER: dict[str, Any] = {"positions": "rotary", "loops": 1, "halting": "act", "halt_at": 0.75, "mark_width": 0}
"""Of a shape: what there was no choice of at first, as it was then."""

MAX_SIZE = 1 << 31
"""Of anything in a shape that is read from a file."""


def read_shape(said: Any, where: str) -> Shape:
    """Return the shape that an artifact describes. Raises IntegrityError, with `where`, for anything that is none."""
    names = [f.name for f in fields(Shape)]
    if isinstance(said, dict) and "block" not in said:
        said = said | {"block": "qwen3"}  # there was no other
    if isinstance(said, dict):
        said = LATER | said
    if not isinstance(said, dict) or sorted(said) != sorted(names):
        raise IntegrityError(f"the shape is not one of {', '.join(names)}", where=where)
    for name, value in said.items():
        if name in KINDS:
            if value not in KINDS[name]:
                raise IntegrityError(f"the shape's {name} is {value!r:.40}", where=where)
            continue
        if name == "mark_width" and value == 0 and type(value) is int:
            continue
        whole = name not in ("rope_theta", "norm_epsilon", "halt_at")
        if type(value) not in ((int,) if whole else (int, float)) or not 0 < value <= MAX_SIZE:
            raise IntegrityError(f"the shape's {name} is {value!r:.40}", where=where)
    try:
        return Shape(**said)
    except ConfigError as e:
        raise IntegrityError(f"the shape cannot be: {e.what}", where=where) from None


KINDS = {"block": get_args(BlockKind), "positions": get_args(PositionKind), "halting": get_args(HaltingKind)}


def gpt_neox_sizes(width: int, heads: int) -> dict[str, int]:
    """Return the sizes that follow from width and heads in the block gpt-neox, where nothing else is said."""
    return {"kv_heads": heads, "head_width": width // heads, "feed_forward": 4 * width}


PRESETS: dict[str, Shape] = {
    "1M": Shape(4096, width=128, layers=3, heads=4, kv_heads=2, head_width=32, feed_forward=256, context=256),
    "5M": Shape(4096, width=256, layers=5, heads=4, kv_heads=2, head_width=64, feed_forward=768, context=256),
    "15M": Shape(8192, width=512, layers=5, heads=8, kv_heads=2, head_width=64, feed_forward=1024, context=512),
    "40M": Shape(32768, width=512, layers=8, heads=8, kv_heads=2, head_width=64, feed_forward=1536, context=512),
    "124M": Shape(32768, width=768, layers=16, heads=12, kv_heads=4, head_width=64, feed_forward=2048, context=1024),
    "350M": Shape(32768, width=1024, layers=28, heads=16, kv_heads=4, head_width=64, feed_forward=2816, context=2048),
    "1B": Shape(32768, width=1792, layers=28, heads=14, kv_heads=2, head_width=128, feed_forward=4864, context=2048),
    "1.3B": Shape(32768, width=2048, layers=28, heads=16, kv_heads=4, head_width=128, feed_forward=5504, context=2048),
    "3B": Shape(32768, width=3072, layers=28, heads=24, kv_heads=8, head_width=128, feed_forward=8448, context=4096),
    "7B": Shape(32768, width=4096, layers=32, heads=32, kv_heads=8, head_width=128, feed_forward=14080, context=4096),
    "unified-164m": Shape(
        50304, width=768, layers=20, heads=12, kv_heads=4, head_width=64, feed_forward=2048, context=1024
    ),
    "adaptive-25m": Shape(
        32768,
        width=384,
        layers=6,
        heads=6,
        kv_heads=6,
        head_width=64,
        feed_forward=1536,
        context=2048,
        block="gpt-neox",
        positions="learned",
        loops=4,
        mark_width=960,
    ),
    "codette-1.3b": Shape(
        32768, width=2048, layers=24, heads=32, kv_heads=8, head_width=64, feed_forward=6656, context=2048
    ),
    "codette-2.7b": Shape(
        32768, width=2560, layers=32, heads=32, kv_heads=8, head_width=80, feed_forward=8448, context=2048
    ),
    "codette-5.3b": Shape(
        32768, width=4096, layers=32, heads=32, kv_heads=8, head_width=128, feed_forward=9728, context=2048
    ),
}

HEADS = {"adaptive-25m": ("router", "types")}
"""Kinds of heads that a size has where the config does not say otherwise."""

TOKENS = {"unified-164m": 50257}
"""Ids in use, where a preset has rows for more: up to the next multiple of 64."""

GGUF_DTYPES = ("f32", "f16", "bf16", "q8_0")
"""Number formats that a GGUF can be written in."""

INIT_RATE = 0.3
"""Of the rate of a run from a seed, for one that begins from trained weights: see docs/spoken.md."""


def law_batch(shape: Shape) -> float:
    """Return the batch in tokens at which a long run of this size is efficient. Source: OLMo-core's model ladder."""
    return 327_680 * (shape.parameters / 108e6) ** (2 / 3)
