"""The verb that looks for what is odd in a dataset's text."""

from pathlib import Path
from typing import Annotated

import typer

from gnomon.verbs.common import Json, print_json


def check(
    folder: Annotated[Path, typer.Argument(help="A dataset version's folder.")],
    against: Annotated[
        Path | None, typer.Option(help="Another version, with the same tokenizer, whose text it shall be like.")
    ] = None,
    window: Annotated[int, typer.Option(min=1 << 14, help="Tokens that are compared at a time.")] = 1 << 18,
    as_json: Json = False,
) -> None:
    """Look through a dataset's training text for other tokens than usual, missing kinds of tokens and repeated rows.

    Each source is compared, window by window, with all of its text, or with that of the other version.

    Example:  gnomon data check datasets/books/3f9c0a1b2c3d --against datasets/books/9ae41c22d07b
    """
    from gnomon.data.monitoring.check import check_text
    from gnomon.observe.console import Console
    from gnomon.store.datasets import open_dataset

    console = Console()
    other = None if against is None else open_dataset(against)
    found = check_text(open_dataset(folder), other, console.progress, window)
    console.finish()
    if as_json:
        print_json(found.as_dict())
        return
    for finding in found.findings:
        typer.echo(f"{finding.kind} in window {finding.window + 1:,} of {finding.source}: {finding.cause}\n")
    for name, windows in found.windows.items():
        count = sum(finding.source == name for finding in found.findings)
        said = f"{windows:,} windows compared, {count:,} findings" if windows else "too short for a window"
        typer.echo(f"{name:<24} {said}")
    for name in found.left_out:
        typer.echo(f"{name:<24} not in the other version")
