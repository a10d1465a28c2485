"""`gnomon data plan`: what a mixture needs of each source, before text is prepared or after."""

from typing import Annotated

import typer

from gnomon.verbs.common import ConfigPath, Json, Overrides, config_of, print_json, tokens_of

Tokens = Annotated[str, typer.Option("--tokens", help="That the run shall read, such as 2B or 400M.")]


def plan_data(config: ConfigPath, tokens: Tokens, overrides: Overrides = None, as_json: Json = False) -> None:
    """Tell what a run of so many tokens needs of each source: how often it is read, what is missing, what to do.

    Counts the tokens of the prepared text; where there is none, estimates them from 1 MiB of each source.

    Examples:

      gnomon data plan my.json --tokens 2B

      gnomon data plan my.json --tokens 400M mix.max_epochs=4
    """
    from dataclasses import asdict

    from gnomon.data.streaming.needs import needs_of
    from gnomon.data.supply import estimate_supply
    from gnomon.observe.console import Console
    from gnomon.pipeline import prepared
    from gnomon.plan import asked_vocabulary, shape_of

    wanted = tokens_of(tokens)
    read, console = config_of(config, overrides), Console()
    dataset = prepared(read)
    if dataset is not None:
        supply = {name: split.n_tokens for name, split in dataset.sources("train").items()}
    else:
        supply = estimate_supply(read.data, read.tokenizer, asked_vocabulary(read), console.progress)
        console.finish()
    found = needs_of(read.mix, supply, wanted, shape_of(read).context)
    basis = "estimated from a sample" if dataset is None else str(dataset.folder)
    if as_json:
        sources = [asdict(need) | {"over": need.over} for need in found.sources]
        print_json(asdict(found) | {"sources": sources, "basis": basis, "feasible": not found.short})
        return
    width = max(len("source"), *(len(need.source) for need in found.sources))
    typer.echo(
        f"{'source':<{width}} {'tokens':>16} {'wanted':>16} {'share':>8} {'epochs':>8} {'limit':>6} {'given':>16}"
    )
    for need in found.sources:
        limit = "" if need.limit is None else f"{need.limit:g}"
        given = "" if need.given is None else f"{need.given:,}"
        row = f"{need.source:<{width}} {need.tokens:>16,} {need.wanted:>16,} {need.wanted / found.tokens:>8.2%}"
        typer.echo(f"{row} {need.epochs:>8.2f} {limit:>6} {given:>16}{'  over' if need.over else ''}")
    typer.echo(f"{'all':<{width}} {sum(n.tokens for n in found.sources):>16,} {found.tokens:>16,}   {basis}")
    if found.remedy:
        typer.echo(found.remedy)
