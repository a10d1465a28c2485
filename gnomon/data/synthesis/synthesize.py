"""As many samples as are wished of each family: different from each other, checked, and the same for the same seed."""

from collections.abc import Callable, Iterator, Sequence

from gnomon.base.errors import ConfigError
from gnomon.base.seeds import derive
from gnomon.data.synthesis.beliefs import make_belief
from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.knowledge import make_knowledge
from gnomon.data.synthesis.phrases import Teller
from gnomon.data.synthesis.problems import make_problem
from gnomon.data.synthesis.puzzles import make_puzzle
from gnomon.data.synthesis.render import render
from gnomon.data.synthesis.retelling import make_retelling, make_witnesses
from gnomon.data.synthesis.sample import FAMILIES, Sample
from gnomon.data.synthesis.seats import make_seats
from gnomon.data.synthesis.speech import make_speech
from gnomon.data.synthesis.tool_use import make_tool_use
from gnomon.data.synthesis.verify import verify

SHARES = {"perspectives": 30, "tools": 25, "knowledge": 25, "reasoning": 20}
"""Percent of all samples."""

TEST_EVERY = 10  # one sample in so many is for testing
_TRIES = 50  # for a sample that is not there yet


def synthesize(samples: int = 10_000, seed: int = 1337, families: Sequence[str] = FAMILIES) -> Iterator[Sample]:
    """Yield the samples, family by family, each checked by `verify`; no two have the same text.

    With fewer families, each keeps its share relative to the others. Raises ConfigError for an unknown family or for
    more samples than there are different ones.
    """
    counts, seen = count_by_family(samples, families), set()
    for family in counts:
        for number in range(counts[family]):
            sample = _new(seed, family, number, seen)
            verify(sample)
            yield sample


def count_by_family(samples: int, families: Sequence[str] = FAMILIES) -> dict[str, int]:
    """Return how many samples each family has, in the order of FAMILIES; together exactly `samples`."""
    if unknown := [family for family in families if family not in FAMILIES]:
        raise ConfigError(f"there is no family {unknown[0]!r}", do=f"choose among {', '.join(FAMILIES)}")
    if samples < 1 or not families:
        raise ConfigError(f"{samples} samples of {len(families)} families are none", do="ask for one or more")
    chosen = [family for family in FAMILIES if family in families]
    total, counts, before = sum(SHARES[f] for f in chosen), {}, 0
    for i, family in enumerate(chosen):
        upto = samples * sum(SHARES[f] for f in chosen[: i + 1]) // total
        counts[family], before = upto - before, upto
    return counts


def _new(seed: int, family: str, number: int, seen: set[str]) -> Sample:
    split = "test" if number % TEST_EVERY == TEST_EVERY - 1 else "train"
    for attempt in range(_TRIES):
        draw = Draw(derive(seed, "synthesis", family, number, attempt))
        sample = _MAKERS[family](draw, Teller(draw, split), number)
        text = render(sample).text
        if text not in seen:
            seen.add(text)
            return sample
    raise ConfigError(f"there are not so many different samples of {family}", do="ask for fewer samples")


def _perspective(draw: Draw, tell: Teller, number: int) -> Sample:
    kind = draw.below(100)
    if kind < 40:
        return make_belief(draw, tell)
    return (make_seats, make_speech, make_retelling, make_witnesses)[(kind - 40) // 15](draw, tell)


def _reasoning(draw: Draw, tell: Teller, number: int) -> Sample:
    return draw.pick((make_problem, make_puzzle))(draw, tell)


_MAKERS: dict[str, Callable[[Draw, Teller, int], Sample]] = {
    "perspectives": _perspective,
    "tools": lambda draw, tell, number: make_tool_use(draw, tell),
    "knowledge": lambda draw, tell, number: make_knowledge(draw, tell, (number + number // TEST_EVERY) % 2 == 0),
    "reasoning": _reasoning,
}
