"""How long the pieces of a run's rows may be, from which row on, and why."""

import math

from gnomon.base.errors import ConfigError
from gnomon.config.options import TrainConfig


def planned_lengths(train: TrainConfig, context: int, rows: int) -> tuple[list[tuple[int, int]], str]:
    """Return from which of a run's rows on a piece has at most how many tokens, and why; nothing where it is always the
    context's. Raises ConfigError for lengths and strides that do not fit into it.

    Source: Li et al. 2022, arXiv 2108.06084.
    """
    if train.stride is not None and train.stride >= context:
        raise ConfigError(
            f"windows {train.stride} tokens apart do not overlap in a context of {context}",
            where="train.stride",
            do="ask for fewer tokens, or leave train.stride out",
        )
    if train.length_ramp == "none":
        return [], "every piece of a document may be as long as the context"
    if train.length_from >= context:
        raise ConfigError(
            f"pieces of {train.length_from} tokens are as long as the context of {context}",
            where="train.length_from",
            do="ask for fewer tokens, or leave train.length_ramp out",
        )
    stages = math.ceil(math.log2(context / train.length_from))
    part = rows * train.length_share / stages
    lengths = [(round(i * part), min(context, train.length_from << i)) for i in range(stages + 1)]
    return lengths, f"doubled over the first {train.length_share:.0%} of the rows"
