"""The verbs of `gnomon data classify`: classifiers of domains."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gnomon.verbs.common import Json, print_json

log = logging.getLogger(__name__)
classify_app = typer.Typer(help="Train classifiers of domains.", no_args_is_help=True, rich_markup_mode=None)

Labelled = Annotated[
    list[str],
    typer.Argument(help="NAME=PATH: texts of one label; PATH: records that name theirs.", metavar="LABELLED..."),
]


@classify_app.callback()
def _classify() -> None:
    """Train classifiers of domains."""


@classify_app.command()
def train(
    texts: Labelled,
    out: Annotated[Path, typer.Option("--out", help="File to write, for data.domain_classifier.")],
    text_field: Annotated[str, typer.Option(help="Key of the text in .jsonl.")] = "text",
    label_field: Annotated[str, typer.Option(help="Key of the label, where PATH has no NAME.")] = "domain",
    as_json: Json = False,
) -> None:
    """Train a classifier that says of which domain a text is, and tell how good it is on texts it has not seen.

    Examples:

      gnomon data classify train news=crawl/news fiction=novels.jsonl --out kinds.bin

      gnomon data classify train labelled.jsonl --label-field topic --out kinds.bin
    """
    from gnomon.data.classification.classifier import describe, train_classifier

    trained = train_classifier(labelled(texts, text_field, label_field))
    trained.classifier.save(out)
    if as_json:
        print_json(describe(trained) | {"file": str(out)})
        return
    for label, count in trained.texts.items():
        typer.echo(f"{label:<24} {count:>10,} texts")
    typer.echo(f"accuracy {trained.accuracy:.4f}, macro-F1 {trained.macro_f1:.4f} on texts not trained on\n{out}")


def labelled(words: Sequence[str], text_field: str, label_field: str) -> Iterator[tuple[str, str]]:
    """Yield the texts that `NAME=PATH` or `PATH` name, and the label of each. Raises DataError for records without, and
    labels that cannot name a domain.
    """
    from gnomon.base.errors import DataError
    from gnomon.base.names import PLAIN, no_domain
    from gnomon.data.document import Removed
    from gnomon.data.reading.read import find_sources, read_documents
    from gnomon.data.reading.unread import refuse_unread, said_of_unread

    for word in words:
        count, unread = 0, list[Removed]()
        name, _, path = word.rpartition("=")
        if name and (fault := no_domain(name)):
            raise DataError(fault, where=word, do=f"use a plain name, as {PLAIN}")
        for source in find_sources([path]):
            fields = [] if name else [label_field]
            for document in read_documents(source, text_field, None, unread.append, lambda _: None, fields=fields):
                label = name or (document.fields or ("",))[0]
                if not label:
                    do = "give NAME=PATH, or the key of the labels with --label-field"
                    raise DataError(f"the record names no {label_field!r}", where=document.origin, do=do)
                if fault := no_domain(label):
                    do = f"give NAME=PATH, another --label-field, or a plain name, as {PLAIN}"
                    raise DataError(fault, where=document.origin, do=do)
                count += 1
                yield document.text, label
        if not count:
            raise refuse_unread(unread, path)
        if unread:
            log.warning("%s", said_of_unread(unread))
