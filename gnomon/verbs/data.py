"""The verbs of `gnomon data`. `cli.py` adds them to the command line."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.artifacts import verify
from gnomon.verbs.classify import classify_app
from gnomon.verbs.common import ConfigPath, Json, Overrides, RunPath, config_of, print_json
from gnomon.verbs.decontaminate import decontaminate
from gnomon.verbs.dedup import dedup
from gnomon.verbs.exchange import export_ids, import_ids
from gnomon.verbs.fetch import fetch
from gnomon.verbs.monitor import check
from gnomon.verbs.plan_data import plan_data
from gnomon.verbs.stats import stats
from gnomon.verbs.synth import synth
from gnomon.verbs.world import world

data_app = typer.Typer(help="Prepare, look into and compare datasets.", no_args_is_help=True, rich_markup_mode=None)
for verb in (fetch, check, dedup, decontaminate, synth, world, stats):
    data_app.command()(verb)
data_app.command("import")(import_ids)
data_app.command("export")(export_ids)
data_app.command("plan")(plan_data)
data_app.add_typer(classify_app, name="classify")

Version = Annotated[Path, typer.Argument(help="A dataset version's folder.")]


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
    from gnomon.base.errors import ConfigError
    from gnomon.store.datasets import list_datasets
    from gnomon.store.manifest import NAME

    if not root.is_dir():
        do = "name the folder of datasets (data.root), or make one: gnomon data prepare my.json"
        raise ConfigError(f"there is no folder {root}", do=do)
    rows = list[dict[str, Any]]()
    for d in list_datasets(root):
        train, made = d.split("train"), datetime.fromtimestamp((d.folder / NAME).stat().st_mtime).astimezone()
        said = {"tokens": train.n_tokens, "documents": train.documents, "made": made.isoformat(timespec="seconds")}
        rows.append({"name": d.name, "version": d.version, "folder": str(d.folder)} | said)
    if as_json:
        print_json({"datasets": rows})
        return
    for row in rows:
        made = row["made"][:16].replace("T", " ")
        typer.echo(f"{row['name']:<24} {row['version']}  {row['tokens']:>14,} tokens  {made}  {row['folder']}")


@data_app.command("show")
def show(folder: Annotated[Path, typer.Argument(help="A dataset version's folder.")], as_json: Json = False) -> None:
    """Show what a dataset version holds and what was left out.

    Example:  gnomon data show datasets/books/3f9c0a1b2c3d
    """
    from gnomon.store.datasets import open_dataset

    _show_dataset(open_dataset(folder), as_json)


@data_app.command("verify")
def verify_dataset(folder: Version, as_json: Json = False) -> None:
    """Check every file of a dataset version against its manifest; the same as `gnomon verify`."""
    verify(folder, as_json)


@data_app.command()
def diff(old: Version, new: Version, as_json: Json = False) -> None:
    """Tell how two dataset versions differ: options, files, tokenizer, and which documents came and went.

    Example:  gnomon data diff datasets/books/3f9c0a1b2c3d datasets/books/8d0e7a6b5c4d
    """
    from gnomon.store.datasets import open_dataset
    from gnomon.store.lineage import diff as compare

    found = compare(open_dataset(old), open_dataset(new))
    if as_json:
        print_json(found)
        return
    if found["same"]:
        typer.echo("the same data")
        return
    for key, (before, after) in found["options"].items():
        typer.echo(f"option     {key}: {before} -> {after}")
    for how, names in found["files"].items():
        for name in names:
            typer.echo(f"file       {name} {how}")
    before, after = found["suites"]
    if before != after:
        typer.echo(f"suites     {', '.join(before) or 'none'} -> {', '.join(after) or 'none'}")
    if found["tokenizer"]:
        typer.echo("tokenizer  another one")
    if found["not_comparable"]:
        typer.echo(found["not_comparable"])
    for split, (before, after) in found["tokens"].items():
        counts, said = (found["documents"] or {}).get(split), ""
        if counts:
            said = f"{counts['came']:,} documents came, {counts['went']:,} went, {counts['stayed']:,} stayed; "
        typer.echo(f"{split:<10} {said}{before:,} -> {after:,} tokens")
    if found["changed_sides"]:
        typer.echo(f"sides      {found['changed_sides']:,} documents changed between train and validation")
    for reason, (before, after) in found["removed"].items():
        typer.echo(f"removed    {reason}: {before or 0:,} -> {after or 0:,}")


@data_app.command()
def trace(
    folder: Version,
    document: Annotated[
        str, typer.Argument(help="A record's own id, its file and line (stories.jsonl:6), or its text's hash.")
    ],
    as_json: Json = False,
) -> None:
    """Tell why a document is in a dataset, or why it is not, what was cut out of it, and what went for being like it.

    Examples:

      gnomon data trace datasets/books/3f9c0a1b2c3d stories.jsonl:6

      gnomon data trace datasets/books/3f9c0a1b2c3d 9f86d081
    """
    from dataclasses import asdict

    from gnomon.store.datasets import open_dataset
    from gnomon.store.lineage import trace as look

    found = look(open_dataset(folder), document)
    if as_json:
        print_json({"documents": [asdict(t) for t in found]})
        return
    for t in found:
        why = f"{t.reason} {t.detail or ''}".rstrip() if t.reason else f"{t.tokens:,} tokens, source {t.source}"
        own = f"id {t.own_id}, " if t.own_id else ""
        typer.echo(f"{t.id or '':<32}  {t.origin:<32} {t.status:<10}  {own}{why}")
        for line in t.cut:
            typer.echo(f"{'':<32}  cut out: {line}")


@data_app.command()
def explain(
    run: RunPath,
    step: Annotated[int, typer.Option(min=1, help="Of the run.")],
    as_json: Json = False,
) -> None:
    """Tell which texts a step of a run was trained on: row by row, with source, document, tokens and first words.

    Example:  gnomon data explain runs/first --step 120
    """
    from gnomon.explain import explain as look
    from gnomon.verbs.artifacts import run_at

    found = look(run_at(run), step)
    if as_json:
        print_json(found)
        return
    rows = f"rows {found['first_row']:,} to {found['first_row'] + found['rows'] - 1:,}"
    typer.echo(f"step {found['step']:,}, loss {found['loss']:.4f}: {rows}")
    for piece in found["pieces"]:
        words = " ".join(piece["text"].split())[:60]
        span = f"{piece['start']:,}-{piece['stop']:,}"
        typer.echo(f"{piece['row']:>8,}  {piece['source']:<12} {piece['origin']:<28} {span:>13}  {words}")


@data_app.command()
def report(folder: Version, as_json: Json = False) -> None:
    """Write the page that shows a dataset: what came in, what went out and why, duplicates side by side, lengths.

    Example:  gnomon data report datasets/books/3f9c0a1b2c3d
    """
    from gnomon.pipeline import write_dataset_report
    from gnomon.store.datasets import open_dataset

    path = str(write_dataset_report(open_dataset(folder)))
    if as_json:
        print_json({"report": path})
    else:
        typer.echo(path)


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
    typer.echo(f"{dataset.folder}\ndigest {dataset.digest}\n")
    typer.echo((dataset.folder / "card.md").read_text())
