"""The verb that shows a dataset in numbers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.common import Json, print_json, tokens_of

BAR = 40
"""Characters of the longest bar."""


def stats(
    folder: Annotated[Path, typer.Argument(help="A dataset version's folder.")],
    context: Annotated[list[int] | None, typer.Option(help="Tokens in a row, to count rows at.", min=8)] = None,
    tokens: Annotated[str | None, typer.Option(help="A budget, such as 2B: how often is the text read?")] = None,
    as_json: Json = False,
) -> None:
    """Show a dataset version in numbers: tokens, documents and bytes by source, lengths, how ids are used, repeated
    documents, rows at a context, epochs for a budget.

    Example:  gnomon data stats datasets/books/3f9c0a1b2c3d --context 1024 --tokens 2B
    """
    from gnomon.data.stats import measure_dataset
    from gnomon.observe.console import Console
    from gnomon.store.datasets import open_dataset

    budget = None if tokens is None else tokens_of(tokens)
    console = Console()
    found = measure_dataset(open_dataset(folder), context or [512, 1024, 2048, 4096], budget, console.progress)
    console.finish()
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['dataset']} {found['version']}", ""]
    lines.append(f"{'':<24}{'documents':>12}{'tokens':>16}{'bytes':>18}{'bytes/token':>13}")
    for name, split in found["splits"].items():
        lines.append(_counts(name, split))
        if len(split["sources"]) > 1:
            lines += [_counts(f"  {source}", part) for source, part in split["sources"].items()]
    lines += ["", "tokens of a document, by per cent of the documents"]
    heads = list(found["splits"]["train"]["quantiles"])
    lines.append(f"{'':<24}" + "".join(f"{head + '%':>9}" for head in heads))
    for name, split in found["splits"].items():
        lines += [_quantiles(name, split)]
        if len(split["sources"]) > 1:
            lines += [_quantiles(f"  {source}", part) for source, part in split["sources"].items()]
    lines += ["", "documents of the training text, by tokens"]
    most = max((count for _, _, count in found["splits"]["train"]["histogram"]), default=1)
    for first, last, count in found["splits"]["train"]["histogram"]:
        bar = "█" * max(int(count > 0), round(BAR * count / most))
        lines.append(f"{f'{first:,} to {last:,}':>24}{count:>12,}  {bar}")
    return lines + _used(found) + _read(found)


def _counts(name: str, part: dict[str, Any]) -> str:
    ratio = "-" if part["bytes_per_token"] is None else f"{part['bytes_per_token']:.2f}"
    return f"{name:<24.24}{part['documents']:>12,}{part['tokens']:>16,}{part['bytes']:>18,}{ratio:>13}"


def _quantiles(name: str, part: dict[str, Any]) -> str:
    return f"{name:<24.24}" + "".join(f"{length:>9,}" for length in part["quantiles"].values())


def _used(found: dict[str, Any]) -> list[str]:
    said = found["vocabulary"]
    lines = ["", f"{said['tokens']:,} tokens in a vocabulary of {said['ids']:,}, as the training text uses them"]
    for what, name in (("never", "never"), ("rare", f"less than {said['rare_below']} times")):
        lines.append(f"{name:>24}{said[what]:>12,}  {said[what] / said['tokens']:.1%}")
    lines.append("most often")
    lines += [f"{t['id']:>24,}{t['count']:>12,}  {t['share']:6.2%}  {t['text']!r}" for t in found["top"]]
    return lines


def _read(found: dict[str, Any]) -> list[str]:
    lines = ["", "documents with the same ids as an earlier one"]
    lines += [f"{name:>24}{count:>12,}" for name, count in found["repeated"].items()]
    lines += ["", f"{'tokens in a row':>24}{'rows':>12}{'full':>11}{'longer documents':>18}"]
    for context, said in found["rows"].items():
        lines.append(f"{context:>24}{said['rows']:>12,}{said['fill']:>11.3%}{said['longer_documents']:>18.2%}")
    if epochs := found["epochs"]:
        lines += ["", f"{epochs['tokens']:,} tokens read the training text {_times(epochs['all'])} times"]
        if len(epochs["alone"]) > 1:
            lines += [f"{name:>24.24}{_times(times):>12}  alone" for name, times in epochs["alone"].items()]
    return lines


def _times(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
