"""The verbs that look at what lies on disk: verify, checkpoints, report. `cli.py` adds them to the command line."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.verbs.common import Json, print_json

RunFolder = Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")]


def verify(
    path: Annotated[Path, typer.Argument(help="A dataset, run, checkpoint or export folder.")],
    as_json: Json = False,
) -> None:
    """Check every file of an artifact against its manifest, and name what is damaged, where. Exit code 5 when damaged.

    Of a run that is: every checkpoint, settings, tokenizer, record, pins, exports, and the dataset if it is there.

    Example:  gnomon verify runs/first
    """
    from gnomon.pipeline import verify as check

    found = check(path)
    if as_json:
        damaged = [d.as_dict() for d in found.damage]
        print_json({"ok": not damaged, "damaged": damaged, "notes": found.notes})
    else:
        places = f"damaged in {len(found.damage)} place{'s' * (len(found.damage) > 1)}" if found.damage else "whole"
        lines = [f"{path}: {places}", *(f"  damaged  {d}" for d in found.damage), *(f"  {n}" for n in found.notes)]
        typer.echo("\n".join(lines))
    if found.damage:
        raise typer.Exit(IntegrityError.exit_code)


def checkpoints(
    run: RunFolder,
    pin: Annotated[str | None, typer.Option(help="Keep this checkpoint, whatever happens.", metavar="NAME")] = None,
    unpin: Annotated[str | None, typer.Option(help="Let it go when its time comes.", metavar="NAME")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte and say which are whole.")] = False,
    as_json: Json = False,
) -> None:
    """List a run's checkpoints, and those in quarantine with the reason; pin those that must stay.

    Examples:

      gnomon checkpoints runs/first --verify

      gnomon checkpoints runs/first --pin 000012-step-00001000
    """
    from gnomon.store.inventory import inventory, set_pin

    store = run_at(run).checkpoints
    for name, keep in ((pin, True), (unpin, False)):
        if name is not None:
            set_pin(store, name, keep=keep)
    rows, aside = inventory(store, verify=verify), store.quarantined()
    if as_json:
        print_json({"checkpoints": [asdict(row) for row in rows], "quarantine": aside})
        return
    for row in rows:
        size = "?" if row.bytes is None else f"{row.bytes / 2**20:.1f}"
        typer.echo(f"{row.name}  {row.reason or '?':<11} {size:>9} MiB  {row.marks}".rstrip())
    for name, why in aside.items():
        typer.echo(f"{name}  in quarantine: {why}")


def report(run: RunFolder, as_json: Json = False) -> None:
    """Write the run's report.html anew, from its record; works while the run trains.

    Example:  gnomon report runs/first
    """
    target = run_at(run)
    from gnomon.pipeline import write_report

    path = str(write_report(target))
    if as_json:
        print_json({"report": path})
    else:
        typer.echo(path)


def run_at(folder: Path) -> Any:
    """Return the run in a folder. Raises ConfigError where there is none."""
    from gnomon.store.runs import Run

    run = Run(folder)
    if not run.plan_path.exists():
        raise ConfigError("this folder holds no run", where=str(folder), do="give a folder that `gnomon train` wrote")
    return run
