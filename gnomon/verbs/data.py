"""The verbs of `gnomon data`. `cli.py` adds them to the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.artifacts import verify
from gnomon.verbs.common import ConfigPath, Json, Overrides, config_of, print_json

data_app = typer.Typer(help="Prepare, list, show and verify datasets.", no_args_is_help=True, rich_markup_mode=None)


@data_app.command("prepare")
def prepare(config: ConfigPath, overrides: Overrides = None, as_json: Json = False) -> None:
    """Clean, split, tokenize and store the text of a config; done once, then found again.

    Example:  gnomon data prepare my.json
    """
    from gnomon.observe.console import Console
    from gnomon.pipeline import prepare_data

    console = Console()
    dataset = prepare_data(config_of(config, overrides), console)
    console.finish()
    _show_dataset(dataset, as_json)


@data_app.command("ls")
def ls(
    root: Annotated[Path, typer.Argument(help="The folder that holds datasets.")] = Path("datasets"),
    as_json: Json = False,
) -> None:
    """List the dataset versions in a folder.

    Example:  gnomon data ls
    """
    from gnomon.store.datasets import list_datasets

    found = list_datasets(root)
    if as_json:
        print_json({"datasets": [{"name": d.name, "version": d.version, "folder": str(d.folder)} for d in found]})
        return
    for d in found:
        typer.echo(f"{d.name:<24} {d.version}  {d.split('train').n_tokens:>14,} tokens  {d.folder}")


@data_app.command("show")
def show(folder: Annotated[Path, typer.Argument(help="A dataset version's folder.")], as_json: Json = False) -> None:
    """Show what a dataset version holds and what was left out.

    Example:  gnomon data show datasets/books/3f9c0a1b2c3d
    """
    from gnomon.store.datasets import open_dataset

    _show_dataset(open_dataset(folder), as_json)


@data_app.command("verify")
def verify_dataset(
    folder: Annotated[Path, typer.Argument(help="A dataset version's folder.")], as_json: Json = False
) -> None:
    """Check every file of a dataset version against its manifest; the same as `gnomon verify`."""
    verify(folder, as_json)


def _show_dataset(dataset: Any, as_json: bool) -> None:
    body = dataset.manifest
    if as_json:
        print_json(
            {
                "dataset": str(dataset.folder),
                "digest": dataset.digest,
                "documents": {name: dataset.split(name).documents for name in ("train", "validation")},
                "tokens": {name: dataset.split(name).n_tokens for name in ("train", "validation")},
                "removed": body["removed"],
            }
        )
        return
    typer.echo((dataset.folder / "card.md").read_text())
