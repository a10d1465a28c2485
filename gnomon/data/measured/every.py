"""How often a run measures what its model knows, and what that costs."""

import math

from gnomon.config import Config

FROM_SHARE = 0.1  # of the steps, before which a model knows next to nothing
TIMES, FEWEST = 20, 3  # measurements of a run
COST_SHARE = 0.03  # of a run's time, for all of them; more where the fewest take it
QUESTION_TOKENS = 320  # read for a question of the made-up world: three prompts, two with a passage, and its answers
READ_COST = 1 / 3  # of a token that is only read, in tokens that are learned from


def measuring(config: Config, steps: int, step_tokens: int) -> tuple[int, float, str]:
    """Return the steps from one measurement to the next, 0 where nothing is measured, how many steps are done before
    the first, and why.
    """
    options = config.heads.measured
    if not options.questions:
        return 0, 0.0, "heads.measured names no questions"
    first = FROM_SHARE * steps
    if options.every:
        return options.every, first, "heads.measured.every asks for it"
    cost = options.at_once * QUESTION_TOKENS * READ_COST
    times = max(FEWEST, min(TIMES, round(COST_SHARE * steps * step_tokens / cost)))
    why = f"{times} times in the run, after a tenth of it; twenty, or fewer where that took over {COST_SHARE:.0%} of it"
    return math.ceil(steps / times), first, why


def measuring_reads(config: Config, steps: int, step_tokens: int) -> int:
    """Return how many tokens measurements read, and as many more as learning from them takes as long as."""
    every, first, _ = measuring(config, steps, step_tokens)
    if not every:
        return 0
    times = steps // every - math.ceil(first / every) + 1
    beside = config.heads.measured.rows_share * (steps - first) * step_tokens / READ_COST
    return round(max(0, times) * config.heads.measured.at_once * QUESTION_TOKENS + beside)
