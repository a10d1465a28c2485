"""The verbs of `gnomon mix`. `cli.py` adds them to the command line."""

import typer

from gnomon.verbs.common import ConfigPath, Json, Overrides, config_of, print_json

mix_app = typer.Typer(help="See how the sources of a text are mixed.", no_args_is_help=True, rich_markup_mode=None)


@mix_app.callback()
def _mix() -> None:
    """See how the sources of a text are mixed."""


@mix_app.command()
def simulate(config: ConfigPath, overrides: Overrides = None, as_json: Json = False) -> None:
    """Print what a run would read of each source, exactly, before anything is trained: rows, tokens, share, epochs.

    Uses the prepared text, and the run's plan where it has begun. Where it has not, only a budget in time needs this
    machine's speed, which is then measured as `gnomon plan` does it.

    Examples:

      gnomon mix simulate my.json

      gnomon mix simulate my.json mix.temperature=2 budget="2B tokens"
    """
    from gnomon.observe.console import Console
    from gnomon.pipeline import simulate_mix

    found = simulate_mix(config_of(config, overrides), Console())
    if as_json:
        print_json(found)
        return
    width = max(len("source"), *(len(each["source"]) for each in found["sources"]))
    typer.echo(f"{'source':<{width}} {'rows':>14} {'tokens':>18} {'share':>8} {'epochs':>8}")
    for each in found["sources"]:
        numbers = f"{each['rows']:>14,} {each['tokens']:>18,} {each['share']:>8.2%} {each['epochs']:>8.2f}"
        typer.echo(f"{each['source']:<{width}} {numbers}")
    typer.echo(f"{'all':<{width}} {found['rows']:>14,} {found['tokens']:>18,}   in {found['steps']:,} steps")
    typer.echo(found["why"])
