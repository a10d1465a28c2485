"""The verbs of `gnomon bench`. `cli.py` adds them to the command line."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gnomon.verbs.common import Json, print_json

bench_app = typer.Typer(
    help="Measure this machine beside others: training speed, time to a loss, generation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Out = Annotated[Path, typer.Option(help="The folder for results: JSON, and a page with a chart.")]


@bench_app.command()
def speed(
    size: Annotated[
        list[str] | None,
        typer.Option(help="A preset, or S, M or L: 6M, 27M and 124M as others shape them. May be repeated."),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of a step. [default: about 4,096 tokens' worth]")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of everyone.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of one turn, about.")] = 2.0,
    nanogpt: Annotated[str | None, typer.Option(help="A checkout of nanoGPT.", metavar="FOLDER")] = None,
    nanochat: Annotated[str | None, typer.Option(help="A checkout of nanochat.", metavar="FOLDER")] = None,
    out: Out = Path("bench-results"),
    as_json: Json = False,
) -> None:
    """Measure training speed beside transformers, litgpt, nanoGPT and nanochat, as they come and tuned, in turn.

    Everyone trains the same shape and batch in a process of its own; those that are not installed are left out. Beside
    them stand one large matrix product, and a step's products, attention and optimizer with nothing in between.

    Examples:

      gnomon bench speed

      gnomon bench speed --size S --size M --size L --nanogpt ../nanoGPT --out results
    """
    from gnomon.bench.speed import lines
    from gnomon.bench.speed import speed as measure

    found = measure(
        size or ["5M"],
        out,
        rows=rows,
        rounds=rounds,
        seconds=seconds,
        nanogpt=nanogpt,
        nanochat=nanochat,
        tell=_tell,
    )
    if as_json:
        print_json(found)
        return
    typer.echo(found["machine"]["processor"])
    for name, one in found["sizes"].items():
        typer.echo("\n" + "\n".join(lines(name, one)))
    typer.echo(f"\nwritten      {out / 'speed.json'}, {out / 'speed.html'}")


@bench_app.command()
def loss(
    config: Annotated[Path, typer.Argument(help="A .json or .toml file, with a budget in tokens.", metavar="CONFIG")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Options laid over the file.", metavar="KEY=VALUE")
    ] = None,
    peer: Annotated[
        Literal["transformers", "litgpt"], typer.Option(help="Whose model the plain loop trains.")
    ] = "transformers",
    tuned: Annotated[bool, typer.Option(help="The plain loop in bfloat16, compiled.")] = False,
    lr: Annotated[float, typer.Option(help="The plain loop's rate.")] = 1e-3,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the plain loop's steps.")] = 2048,
    share: Annotated[float, typer.Option(min=0.01, help="Of the budget that Gnomon is given.")] = 0.5,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    out: Out = Path("bench-results"),
    as_json: Json = False,
) -> None:
    """Measure the time to a loss: a plain AdamW loop on the whole budget, Gnomon on a share of it.

    Text, shape and scorer are the same. Times run from the start of each process to its last step: with preparation of
    the machine, compiling, validations and saves for Gnomon, without scoring for the plain loop; the text is prepared
    before. Gnomon runs with no kernels known, and again. A kill loses at most a pair of runs; with another share the
    plain loop's runs stand.

    Example:  gnomon bench loss my.json budget="1M tokens" --share 0.5
    """
    from gnomon.bench.loss import Plain, lines, time_to_loss
    from gnomon.config import load_config
    from gnomon.observe.console import Console
    from gnomon.pipeline import prepare_data

    loaded = load_config(config, overrides)
    plain = Plain(peer, lr, batch_tokens, tuned)
    dataset = prepare_data(loaded, Console())
    found = time_to_loss(loaded, dataset, out, plain, share=share, rounds=rounds, tell=_tell)
    if as_json:
        print_json(found)
        return
    typer.echo("\n".join(lines(found)))
    typer.echo(f"\nwritten      {out / 'loss.json'}, {out / 'loss.html'}")


@bench_app.command()
def generate(
    size: Annotated[str, typer.Option(help="A preset.")] = "5M",
    prompt: Annotated[int, typer.Option(min=1, help="Tokens of the prompt.")] = 64,
    tokens: Annotated[int, typer.Option(min=2, help="To be generated.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of everyone.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of one turn, about.")] = 1.0,
    out: Out = Path("bench-results"),
    as_json: Json = False,
) -> None:
    """Measure generation beside transformers: tokens a second, the time to the first one, and memory.

    Example:  gnomon bench generate --size 15M
    """
    from gnomon.bench.generation import generation, lines

    found = generation(size, out, prompt=prompt, tokens=tokens, rounds=rounds, seconds=seconds, tell=_tell)
    if as_json:
        print_json(found)
        return
    typer.echo(found["machine"]["processor"])
    for title, one in found["sizes"].items():
        typer.echo("\n" + "\n".join(lines(title, one, prompt)))
    typer.echo(f"\nwritten      {out / 'generate.json'}, {out / 'generate.html'}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)
