"""The weights that a run's sources begin with, and why: from the config, their tokens and the rows of the run."""

from collections.abc import Collection, Mapping
from fractions import Fraction

from gnomon.base.errors import ConfigError
from gnomon.config import MixConfig
from gnomon.data.streaming.mix import BLOCK_ROWS, PARTS, Weights

Stages = list[tuple[int, dict[str, int]]]
"""From which row on each source has which weight, in PARTS."""


def planned_weights(mix: MixConfig, tokens: Mapping[str, int], rows: int, length: int) -> tuple[Stages, str]:
    """Return the weights over a run of so many rows of `length` tokens, and why; none where each source has that of
    its `tokens`.

    Where `mix.max_epochs` would be passed, a source has as much as it may give, and the others share the rest by their
    weights. Raises ConfigError for names that no source has, and where all sources together may not give enough.
    """
    refuse_unknown(mix, tokens)
    stages: Stages = []
    if mix.weights or mix.temperature or mix.schedule or mix.max_epochs or mix.rebalance != "none":
        stages = _stages(mix, tokens, rows, length)
    return stages, _why(mix, tokens, rows * length, shares_of(stages, tokens, rows))


def refuse_unknown(mix: MixConfig, sources: Collection[str], *, domains_too: bool = False) -> None:
    """Raise ConfigError for a name in the mix that no source has; with `domains_too` any domain of one may be there."""
    given = {"mix.weights": mix.weights, "mix.reference": mix.reference}
    given |= {f"mix.schedule.{number}": weights for number, (_, weights) in enumerate(mix.schedule)}
    given["mix.max_epochs"] = mix.max_epochs if isinstance(mix.max_epochs, dict) else {}
    for where, named in given.items():
        for name in sorted(set(named) - set(sources)):
            if not domains_too or name.partition("/")[0] not in sources:
                do = f"the sources are {', '.join(sources)}"
                raise ConfigError(f"there is no source {name!r}", where=where, do=do)


def by_temperature(tokens: Mapping[str, int], temperature: float) -> Weights:
    """Return the weights of sources by their tokens, the more equal the higher the temperature."""
    return {name: count ** (1 / temperature) for name, count in tokens.items()}


def _stages(mix: MixConfig, tokens: Mapping[str, int], rows: int, length: int) -> Stages:
    wanted: list[tuple[int, Weights]] = [(0, mix.weights or by_temperature(tokens, mix.temperature or 1.0))]
    wanted += [(-(-round(share * rows) // BLOCK_ROWS) * BLOCK_ROWS, weights) for share, weights in mix.schedule]
    wanted = list(dict(wanted).items())
    most = _most_rows(mix, tokens, length)
    stages: Stages = []
    for (at, weights), end in zip(wanted, [*(at for at, _ in wanted[1:]), rows], strict=True):
        if at >= rows:
            break
        end = min(end, rows)
        if empty := next((name for name, weight in weights.items() if weight and not tokens[name]), None):
            raise ConfigError(f"the source {empty!r} has no text", where="mix", do="give it no weight")
        parts = _fill({name: Fraction(weights.get(name, 0)) for name in tokens}, end - at, most)
        for name in most:
            most[name] -= -(-parts[name] * (end - at) // PARTS)
        stages.append((at, parts))
    return stages


def _most_rows(mix: MixConfig, tokens: Mapping[str, int], length: int) -> dict[str, int]:
    """Return the rows that a source may give at most, where there is such a number; one less than there are, since the
    order of the rows keeps to the shares only to less than a row.
    """
    limits = mix.max_epochs if isinstance(mix.max_epochs, dict) else dict.fromkeys(tokens, mix.max_epochs)
    most = {name: Fraction(epochs) * tokens[name] / length for name, epochs in limits.items() if epochs is not None}
    return {name: max(0, int(rows) - 1) for name, rows in most.items()}


def _fill(weights: dict[str, Fraction], rows: int, most: Mapping[str, int]) -> dict[str, int]:
    """Return shares of `rows` in PARTS, by weight, none above what a source has left to give."""
    full: dict[str, int] = {}
    while True:
        open_ = {name: weight for name, weight in weights.items() if weight and name not in full}
        room, total = rows - sum(full.values()), sum(open_.values())
        over = {name: most[name] for name, w in open_.items() if name in most and w * room > most[name] * total}
        if not over:
            break
        full |= over
    if room > 0 and not open_:
        raise ConfigError(
            f"the sources give {sum(full.values()):,} rows by mix.max_epochs, and {rows:,} are to be read",
            where="mix.max_epochs",
            do="allow more epochs, add text, or ask for less with a smaller budget",
        )
    parts = dict.fromkeys(weights, 0)
    parts |= {name: PARTS * given // rows for name, given in full.items()}
    parts |= {name: max(1, int(PARTS * weight * room / total / rows)) for name, weight in open_.items()}
    parts[max(open_ or full, key=lambda name: parts[name])] += PARTS - sum(parts.values())
    return parts


def shares_of(stages: Stages, tokens: Mapping[str, int], rows: int) -> dict[str, Fraction]:
    """Return the part of the run's rows that each source gives."""
    if not stages:
        return {name: Fraction(count, sum(tokens.values())) for name, count in tokens.items()}
    ends = [*(at for at, _ in stages[1:]), rows]
    return {
        name: sum(
            (Fraction(parts[name] * (end - at), PARTS * rows) for (at, parts), end in zip(stages, ends, strict=True)),
            Fraction(0),
        )
        for name in tokens
    }


def _why(mix: MixConfig, tokens: Mapping[str, int], run_tokens: int, shares: Mapping[str, Fraction]) -> str:
    how = "mix.weights asks for it" if mix.weights else "by the tokens of each source"
    if mix.temperature:
        how = f"(share of the tokens)^(1/{mix.temperature:g})"
    how += ", changed by mix.schedule" if mix.schedule else ""
    how += ", within mix.max_epochs" if mix.max_epochs else ""
    told = [
        f"{name}: {float(share):.1%}, {float(share * run_tokens / tokens[name]):.1f} epochs"
        if share
        else f"{name}: not read"
        for name, share in shares.items()
    ]
    return f"{how}; {'; '.join(told)}"
