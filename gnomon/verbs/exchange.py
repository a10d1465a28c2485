"""The verbs that take documents in and out as ids."""

from pathlib import Path
from typing import Annotated

import typer

from gnomon.verbs.common import Json, print_json


def import_ids(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files and folders of ids, or one that was exported. SOURCE=PATH names their source, such as web/news."
        ),
    ],
    tokenizer: Annotated[
        str | None,
        typer.Option(help="That made the ids: a folder, a tokenizer.json, or what `tokenizer import` takes."),
    ] = None,
    validation: Annotated[
        list[str] | None, typer.Option(help="Files and folders to hold out; else a share of the documents is.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="auto, megatron, datatrove, bin (nanoGPT's and llm.c's), jsonl or parquet.")
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Of the dataset; else the first path's.")] = None,
    key: Annotated[str, typer.Option(help="The key or column of ids in .jsonl, .parquet and .arrow.")] = "input_ids",
    dtype: Annotated[
        str | None, typer.Option(help="Of ids in a .bin that does not say it: uint16, uint32, int32 or int64.")
    ] = None,
    end: Annotated[
        list[int] | None, typer.Option(help="An id that ends documents there, besides the tokenizer's end-of-text.")
    ] = None,
    ignore_masks: Annotated[
        bool, typer.Option(help="Train on ids too that a mask (.ds.loss) leaves out of the loss.")
    ] = False,
    validation_share: Annotated[
        float, typer.Option(help="Of the documents, held out by the hash of their ids.", min=1e-6, max=0.5)
    ] = 0.02,
    root: Annotated[Path, typer.Option(help="The folder that holds all datasets.")] = Path("datasets"),
    workers: Annotated[int | None, typer.Option(help="Processes; else one a core.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Make a dataset version of documents that are ids already. A config trains on it as data.prepared.

    Documents end at end-of-text and where the files say so; equal ones are kept once.

    Examples:

      gnomon data import corpus_text_document.bin --tokenizer gpt2/ --name corpus

      gnomon data import train.bin --validation val.bin --tokenizer gpt2/tokenizer.json --name openwebtext
    """
    from gnomon.data.exchange.version import Intake
    from gnomon.data.exchange.version import import_ids as take
    from gnomon.observe.console import Console

    wanted = Intake(
        paths,
        name or Path(paths[0].rpartition("=")[2]).resolve().name.split(".")[0],
        validation or [],
        tokenizer,
        format,
        key,
        dtype,
        tuple(end or ()),
        ignore_masks,
        validation_share,
        str(root),
        workers,
    )
    console = Console()
    dataset = take(wanted, console.progress)
    console.finish()
    body = dataset.manifest
    if as_json:
        splits = {
            split: {what: said[what] for what in ("documents", "tokens", "bytes")}
            for split, said in body["splits"].items()
        }
        print_json(
            {"dataset": str(dataset.folder), "digest": dataset.digest, "splits": splits, "removed": body["removed"]}
        )
        return
    typer.echo(f"{dataset.folder}\ndigest {dataset.digest}\n")
    typer.echo((dataset.folder / "card.md").read_text())


def export_ids(
    folder: Annotated[Path, typer.Argument(help="A dataset version's folder.", metavar="VERSION")],
    out: Annotated[Path, typer.Option(help="The folder to write; it must not be there.")],
    format: Annotated[
        str, typer.Option(help="megatron, datatrove, bin (nanoGPT's), llmc (bin with a head), jsonl or parquet.")
    ] = "megatron",
    split: Annotated[list[str] | None, typer.Option(help="train or validation; else both.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="The name of a source; else all.")] = None,
    text: Annotated[bool, typer.Option("--text", help="With jsonl: texts instead of ids.")] = False,
    as_json: Json = False,
) -> None:
    """Write a dataset version as other programs read it, with its tokenizer.json; whole, or not at all.

    Examples:

      gnomon data export datasets/books/3f9c0a1b2c3d --format megatron --out books-megatron

      gnomon data export datasets/books/3f9c0a1b2c3d --format jsonl --text --out books-texts
    """
    from gnomon.base.errors import ConfigError
    from gnomon.data.exchange.export import export_ids as write
    from gnomon.observe.console import Console
    from gnomon.store.datasets import open_dataset

    if text and format != "jsonl":
        raise ConfigError("texts are written as jsonl only", where="--text", do="add --format jsonl")
    console = Console()
    wanted = "text" if text else format
    said = write(open_dataset(folder), wanted, out, split or [], source or [], console.progress)
    console.finish()
    if as_json:
        print_json({"out": str(out), **said})
        return
    typer.echo(str(out))
    for name, part in said["splits"].items():
        files = [file for names in part["sources"].values() for file in names]
        typer.echo(f"{name:<12}{part['documents']:>14,} documents{part['tokens']:>18,} tokens  {', '.join(files)}")
