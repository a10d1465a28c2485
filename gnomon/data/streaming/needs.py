"""What a mixture needs of each source: how much of it, how often, and what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from gnomon.base.errors import ConfigError
from gnomon.config import MixConfig
from gnomon.data.streaming.weights import planned_weights, shares_of


@dataclass(frozen=True)
class Need:
    """Of a source: what there is, what the weights ask for, and what it gives where `mix.max_epochs` is kept to; None
    where that cannot be. `limit` are the epochs that it may give.
    """

    source: str
    tokens: int
    wanted: int
    epochs: float
    limit: float | None
    given: int | None

    @property
    def over(self) -> bool:
        """Whether the weights ask for more than it may give."""
        return self.limit is not None and self.wanted > self.limit * self.tokens


@dataclass(frozen=True)
class Needs:
    """Of a run of so many tokens: the need of each source, the tokens that all together cannot give, and what to do."""

    tokens: int
    sources: list[Need]
    short: int
    remedy: str


def needs_of(mix: MixConfig, supply: Mapping[str, int], tokens: int, length: int) -> Needs:
    """Return what a run of `tokens`, in rows of `length`, needs of the sources that have so many tokens each.

    Raises ConfigError for weights of a source that is not there, or that has no text.
    """
    rows = max(1, -(-tokens // length))
    free = mix.model_copy(update={"max_epochs": None})
    wanted = shares_of(planned_weights(free, supply, rows, length)[0], supply, rows)
    limits = mix.max_epochs if isinstance(mix.max_epochs, dict) else dict.fromkeys(supply, mix.max_epochs)
    if unknown := sorted(set(limits) - set(supply)):
        do = f"the sources are {', '.join(supply)}"
        raise ConfigError(f"there is no source {unknown[0]!r}", where="mix.max_epochs", do=do)
    given: Mapping[str, Fraction] | None = None
    short, remedy = _short(wanted, supply, limits, tokens)
    if not short:
        try:
            given = shares_of(planned_weights(mix, supply, rows, length)[0], supply, rows)
        except ConfigError as e:  # a schedule whose stages leave no source that may give more, or by less than a row
            remedy = f"{e.what}: {e.do}"
    needs = [
        Need(
            name,
            count,
            int(wanted[name] * tokens),
            float(wanted[name] * tokens / count) if count else 0.0,
            limits.get(name),
            None if given is None else int(given[name] * tokens),
        )
        for name, count in supply.items()
    ]
    return Needs(tokens, needs, short, remedy or _advice(needs))


def _short(
    wanted: Mapping[str, Fraction], supply: Mapping[str, int], limits: Mapping[str, float | None], tokens: int
) -> tuple[int, str]:
    """Return the tokens that the sources that are read cannot give, and what to do about them."""
    read = [name for name, share in wanted.items() if share]
    if any(limits.get(name) is None for name in read):
        return 0, ""
    most = int(sum(Fraction(limits[name] or 0) * supply[name] for name in read))
    if most >= tokens:
        return 0, ""
    epochs = tokens / max(1, sum(supply[name] for name in read))
    return tokens - most, (
        f"ask for {most:,} tokens at most, or add text: {tokens - most:,} tokens are missing;"
        f" or allow {epochs:,.2f} epochs of every source with mix.max_epochs"
    )


def _advice(needs: list[Need]) -> str:
    over = [need for need in needs if need.over]
    if not over:
        return ""
    missing = (f"{n.source} {int(n.wanted / (n.limit or 1)) - n.tokens:,}" for n in over if n.limit)
    return f"the other sources take what these may not give; to keep the weights, add tokens: {', '.join(missing)}"
