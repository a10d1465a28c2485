"""The verb `gnomon data synth`: writes synthetic samples, or checks a file of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.common import Json, print_json


def synth(
    out: Annotated[Path | None, typer.Option(help="The folder to write train.jsonl and test.jsonl to.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many samples in all.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed, other samples.")] = 1337,
    families: Annotated[
        str | None, typer.Option(help="Some of perspectives, tools, knowledge, reasoning, with commas between.")
    ] = None,
    check: Annotated[Path | None, typer.Option(help="Check this file instead of writing any.", metavar="FILE")] = None,
    as_json: Json = False,
) -> None:
    """Write synthetic samples: perspectives, tool use, self-knowledge, reasoning; every answer computed and checked.

    The same seed gives the same files. With --check, reads a file, checks every record and says where one is wrong.

    Examples:

      gnomon data synth --out synthetic --samples 10000

      gnomon data synth --check synthetic/train.jsonl
    """
    if check is not None:
        _check(check, as_json)
        return
    if out is None:
        raise typer.BadParameter("give a folder to write to, or a file to check", param_hint="--out")
    from gnomon.base.files import pretty_json, write_atomic
    from gnomon.data.synthesis.jsonl import write_samples
    from gnomon.data.synthesis.report import report
    from gnomon.data.synthesis.sample import FAMILIES, SPLITS
    from gnomon.data.synthesis.synthesize import synthesize
    from gnomon.observe.console import Console

    console, made = Console(), []
    wanted = FAMILIES if families is None else tuple(name.strip() for name in families.split(","))
    for sample in synthesize(samples, seed, wanted):
        made.append(sample)
        if len(made) % 200 == 0 or len(made) == samples:
            console.progress("synthesis", len(made), samples, "samples")
    for split in SPLITS:
        write_samples(out / f"{split}.jsonl", (sample for sample in made if sample.split == split))
    found = report(made)
    write_atomic(out / "report.json", pretty_json(found))
    console.finish()
    if as_json:
        print_json({"out": str(out), **found})
    else:
        typer.echo(_summary(found, out))


def _check(file: Path, as_json: bool) -> None:
    from gnomon.data.synthesis.jsonl import read_samples

    checked = sum(1 for _ in read_samples(file))
    if as_json:
        print_json({"file": str(file), "samples": checked})
    else:
        typer.echo(f"{file}: {checked:,} samples, all right")


def _summary(found: dict[str, Any], out: Path) -> str:
    lines = [f"{out}: {found['splits']['train']:,} samples to train on, {found['splits']['test']:,} to test with"]
    for family, one in found["families"].items():
        templates, lengths = one["templates"], one["characters"]
        lines.append(
            f"  {family:<13}{one['samples']:>7,}  {one['answerable']:>6,} answerable  {lengths['50%']:>5,} "
            f"characters in the "
            f"middle  {templates['train']} + {templates['test']} phrasings  distinct 2-grams {one['distinct'][2]:.1%}"
        )
    lines.append("  types: " + ", ".join(f"{name} {count:,}" for name, count in found["types"].items()))
    if "overlap" in found:
        words = found["overlap"]
        lines.append(
            f"  words of questions in their documents: {words['answerable']:.1%} answerable, "
            f"{words['unanswerable']:.1%} unanswerable; told apart by the question alone: "
            f"{found['question_alone_accuracy']:.1%}"
        )
    return "\n".join(lines)
