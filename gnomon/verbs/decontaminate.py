"""The verb `gnomon data decontaminate`. `cli.py` adds it to the command line."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.verbs.common import Json, print_json

if TYPE_CHECKING:
    from gnomon.data.contamination.decontaminate import Hit, Index
    from gnomon.data.contamination.suites import Suite
    from gnomon.data.document import Document, Removed
    from gnomon.data.reading.read import Source

BATCH_DOCUMENTS = 256


def decontaminate(
    files: Annotated[list[str], typer.Argument(help="Files or folders of text.", metavar="FILES")],
    against: Annotated[
        list[Path], typer.Option(help="A suite, as .jsonl, or a folder of them. May be repeated.", metavar="SUITE")
    ],
    fields: Annotated[
        str | None,
        typer.Option(help="The suites' fields, the question's first: question,answer. [default: known names]"),
    ] = None,
    contexts: Annotated[
        bool, typer.Option("--contexts", help="Search for passages that questions are about too.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0.05, max=1, help="The share of a text that must be there. [default: 0.4]")
    ] = None,
    text_field: Annotated[str, typer.Option(help="The field of .jsonl files that holds the text.")] = "text",
    as_json: Json = False,
) -> None:
    """Report which documents hold items of evaluation suites, side by side; changes nothing.

    Examples:

      gnomon data decontaminate texts/ --against gsm8k.jsonl --against arc.jsonl

      gnomon data decontaminate texts/ --against mine.jsonl --fields ask,reply --json
    """
    from gnomon.data.contamination.decontaminate import THRESHOLD, Index
    from gnomon.data.contamination.suites import read_suite, suite_files
    from gnomon.data.reading.read import find_sources
    from gnomon.data.reading.unread import refuse_unread
    from gnomon.observe.console import Console

    sources = find_sources(files)
    suites = [
        read_suite(path, [f.strip() for f in fields.split(",")] if fields else ()) for path in suite_files(against)
    ]
    index = Index.build([item for suite in suites for item in suite.items], contexts=contexts)
    console = Console()
    search = _Search(index, sources, text_field, console.progress)
    search.count()
    if not sum(search.documents):
        raise refuse_unread(search.removed, ", ".join(files))
    rows = [
        {"document": origin, **_row(hit)}
        for origin, hits in search.find(THRESHOLD if threshold is None else threshold)
        for hit in hits
    ]
    console.finish()
    report = _report(index, suites, search, rows)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(_lines(report)))


class _Search:
    """Two passes over files: how common the index's n-grams are in each, then what is found."""

    def __init__(
        self, index: "Index", sources: list["Source"], text_field: str, progress: Callable[[str, int, int, str], None]
    ) -> None:
        self.index, self.sources, self.text_field, self.progress = index, sources, text_field, progress
        self.counts: list[Any] = []
        self.documents: list[int] = []
        self.removed: list[Removed] = []
        self.boilerplate: dict[str, int] = {}

    def count(self) -> None:
        """Count n-grams and documents in every file."""
        for source in self.sources:
            counts, documents = self.index.counts([]), 0
            for batch in self._batches(source, "counting"):
                counts += self.index.counts([document.text for document in batch])
                documents += len(batch)
            self.counts.append(counts)
            self.documents.append(documents)

    def find(self, threshold: float) -> Iterator[tuple[str, list["Hit"]]]:
        """Yield the origin of each document that holds something, and what it holds."""
        from gnomon.data.contamination.decontaminate import boilerplate

        self.removed.clear()  # the first pass counted them too
        total, documents = sum(self.counts, self.index.counts([])), sum(self.documents)
        for source, counts, size in zip(self.sources, self.counts, self.documents, strict=True):
            weights = self.index.weigh(total, documents, boilerplate(counts, size))
            if silenced := self.index.silenced(weights):
                self.boilerplate[source.name] = len(silenced)
            for batch in self._batches(source, "searching"):
                found = self.index.hits([document.text for document in batch], weights, threshold)
                for document, hits in zip(batch, found, strict=True):
                    if hits:
                        yield document.origin, hits

    def _batches(self, source: "Source", stage: str) -> Iterator[list["Document"]]:
        from gnomon.data.reading.read import read_documents

        done = sum(s.bytes for s in self.sources[: self.sources.index(source)])
        total = sum(s.bytes for s in self.sources)

        def at(place: int) -> None:
            self.progress(stage, done + place, total, "bytes")

        batch: list[Document] = []
        for document in read_documents(source, self.text_field, None, self.removed.append, at):
            batch.append(document)
            if len(batch) == BATCH_DOCUMENTS:
                yield batch
                batch = []
        if batch:
            yield batch


def _row(hit: "Hit") -> dict[str, Any]:
    return {
        "suite": hit.suite,
        "item": hit.item,
        "part": hit.part,
        "coverage": round(hit.coverage, 4),
        "start": hit.start,
        "end": hit.end,
        "text": hit.text,
        "found": hit.found,
    }


def _report(index: "Index", suites: list["Suite"], search: _Search, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from gnomon.data.reading.unread import said_of_unread

    unsearched = [suite for suite, _ in index.unsearched]
    return {
        "documents": sum(search.documents),
        "unreadable": len(search.removed),
        "first_unreadable": said_of_unread(search.removed) if search.removed else None,
        "contaminated": len({row["document"] for row in rows}),
        "suites": [
            {
                "suite": suite.name,
                "sha256": suite.sha256,
                "items": len(suite.items),
                "too_short": unsearched.count(suite.name),
                "found": len({row["item"] for row in rows if row["suite"] == suite.name}),
            }
            for suite in suites
        ],
        "boilerplate": search.boilerplate,
        "hits": rows,
    }


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the report as a person reads it."""
    for (document, text, _), group in groupby(report["hits"], lambda hit: (hit["document"], hit["text"], hit["start"])):
        row, *same = group
        more = f" and {len(same)} more" if same else ""
        yield f"{document}  {row['suite']}/{row['item']}{more}  {row['part']} {row['coverage']:.0%}"
        yield f"    item  {' '.join(text.split())}"
        yield f"    text  {' '.join(row['found'].split())}"
    for suite in report["suites"]:
        short = f", {suite['too_short']:,} too short to be searched for" if suite["too_short"] else ""
        yield f"{suite['suite']}: {suite['found']:,} of {suite['items']:,} items found{short}"
    for name, count in report["boilerplate"].items():
        yield f"{name}: {count:,} texts of items are what its documents commonly say, and were not searched for there"
    if report["unreadable"]:
        yield report["first_unreadable"]
    yield f"{report['contaminated']:,} of {report['documents']:,} documents hold something"
