"""The verb that fetches a data set from the Hugging Face Hub. `cli.py` adds it to `gnomon data`."""

from pathlib import Path
from typing import Annotated

import typer

from gnomon.verbs.common import Json, print_json

ADDRESS_HELP = "hf:NAME, with ?config= &split= &revision= and &field=COLUMN or &template=TEXT where they are needed."


def fetch(
    address: Annotated[str, typer.Argument(help=ADDRESS_HELP, metavar="ADDRESS")],
    out: Annotated[Path | None, typer.Option(help="Copy the rows there, to take elsewhere: a .jsonl.zst file.")] = None,
    root: Annotated[Path, typer.Option(help="The folder that holds datasets.")] = Path("datasets"),
    as_json: Json = False,
) -> None:
    """Fetch the rows of a data set from the Hugging Face Hub; done once, then found again. Exit code 4 without network.

    Needs `pip install 'gnomon[data]'`. In a template, {COLUMN} stands for a row's value and \\n for a line end.

    Examples:

      gnomon data fetch hf:roneneldan/TinyStories

      gnomon data fetch 'hf:openai/gsm8k?config=main&template={question}\\n{answer}' --out gsm8k.jsonl.zst
    """
    from gnomon.base.errors import ConfigError
    from gnomon.data.reading.hub import copy_out, read_source
    from gnomon.data.reading.hub import fetch as fetch_rows
    from gnomon.data.reading.hub_address import HubAddress
    from gnomon.observe.console import Console

    if out is not None and not out.name.endswith(".jsonl.zst"):
        raise ConfigError(f"{out.name} does not say what it holds", where="--out", do="end its name in .jsonl.zst")
    console = Console()
    rows = fetch_rows(HubAddress.parse(address), root, console.progress)
    console.finish()
    source = read_source(rows)
    if out is not None:
        copy_out(rows, out)
        rows = out
    if as_json:
        print_json({"file": str(rows), **source})
        return
    kind = f", licence {source['license']}" if source["license"] else ", no licence named"
    typer.echo(f"{rows}: {source['rows']:,} rows of {source['dataset']} at {source['commit'][:12]}{kind}")
