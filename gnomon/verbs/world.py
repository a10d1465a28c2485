"""The verb `gnomon data world`: writes a made-up world, its documents and its questions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.common import Json, print_json


def world(
    out: Annotated[Path, typer.Argument(help="The folder to write.", metavar="OUT")],
    entities: Annotated[int, typer.Option(help="Persons, organisations, places and works in all.")] = 400,
    facts: Annotated[int, typer.Option(help="Facts of each that documents state, 2 to 4.")] = 4,
    statements: Annotated[int | None, typer.Option(help="In all documents; 10 a fact if not given.")] = None,
    questions: Annotated[int, typer.Option(help="Questions to train on, at most.")] = 4000,
    held_out: Annotated[int, typer.Option(help="Questions of dev and of test each, at most.")] = 1500,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 1337,
    homonyms: Annotated[int, typer.Option(help="Percent of entities that share their name with another.")] = 5,
    false: Annotated[int, typer.Option(help="Percent of statements that are false, in unconfirmed sources.")] = 3,
    updates: Annotated[int, typer.Option(help="Percent of facts that a later document changes.")] = 5,
    head_from: Annotated[int, typer.Option(help="Facts stated so often are of the head.")] = 30,
    tail_to: Annotated[int, typer.Option(help="Facts stated no more often are of the tail.")] = 4,
    shows: Annotated[str, typer.Option(help="Training questions: closed, with evidence, or both.")] = "both",
    two_passages: Annotated[int, typer.Option(help="Percent of shown evidence with a second passage.")] = 50,
    crowded: Annotated[int, typer.Option(help="Percent of passages that tell of another entity too.")] = 40,
    as_json: Json = False,
) -> None:
    """Write a made-up world: documents that state its facts, and questions whose answers are computed from them.

    The same settings give the same files; a folder that has them already is left as it is.

    Example:  gnomon data world worlds/first --entities 400 --seed 7
    """
    from gnomon.data.world.settings import Settings
    from gnomon.data.world.write import write_world
    from gnomon.observe.console import Console

    settings = Settings(
        entities=entities, facts=facts, statements=statements, questions=questions, held_out=held_out, seed=seed,
        homonyms=homonyms, false=false, updates=updates, head_from=head_from, tail_to=tail_to, shows=shows,
        two_passages=two_passages, crowded=crowded,
    )  # fmt: skip
    console = Console()
    found, made = write_world(out, settings, console.progress)
    console.finish()
    if as_json:
        print_json({"out": str(out), "made": made, **found})
    else:
        typer.echo(_summary(out, made, found))


def _summary(out: Path, made: bool, found: dict[str, Any]) -> str:
    counts, guess = found["counts"], found["baselines"]["majority_by_relation"]
    facts, said, documents = counts["facts"], counts["statements"], counts["documents"]
    lines = [
        f"{out}: digest {found['digest'][:12]}{'' if made else ', was there already'}",
        f"  entities    {sum(counts['entities'].values()):>9,}  "
        + ", ".join(f"{name} {count:,}" for name, count in counts["entities"].items()),
        f"  facts       {facts['stated']:>9,}  head {facts.get('head', 0):,}, torso {facts.get('torso', 0):,}, tail "
        f"{facts.get('tail', 0):,}; {facts['never_stated']:,} more are never stated",
        f"  documents   {documents['all']:>9,}  {documents['unconfirmed']:,} of them unconfirmed",
        f"  statements  {sum(said.values()):>9,}  {said['false']:,} false, {said['former']:,} no longer true",
    ]
    for split, one in counts["questions"].items():
        kinds = ", ".join(f"{name} {count:,}" for name, count in one["by_bucket"].items())
        lines.append(f"  {split:<10}  {one['all']:>9,}  questions: {kinds}")
    if guess["statements"]["all"] is not None:
        lines.append(f"  guessing each relation's commonest object: {guess['statements']['all']:.1%} right")
    return "\n".join(lines)
