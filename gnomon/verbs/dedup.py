"""The verb that shows near and semantic duplicates, and repeated lines, in files."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gnomon.verbs.common import Json, print_json

if TYPE_CHECKING:
    from gnomon.data.duplicates.files import Duplicates
    from gnomon.data.duplicates.likeness import Likeness
    from gnomon.data.duplicates.line_files import RepeatedLines

USUAL, LINE_CHARACTERS = 0.7, 30
SHOWN_CLUSTERS, SHOWN_RECORDS, SHOWN_CHARACTERS = 5, 4, 60
SHOWN_LINE = 100


def dedup(
    files: Annotated[list[str], typer.Argument(help="Files and folders of .txt, .md, .jsonl, also .gz or .zst.")],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="From where on two texts count as the same: a Jaccard value of word 5-grams, 0.2 to 1 (0.7 unless "
            "given); with --semantic a cosine, 0.5 to 1.",
            show_default=False,
        ),
    ] = None,
    semantic: Annotated[
        bool, typer.Option("--semantic", help="Compare what texts say; without --threshold show how like they are.")
    ] = False,
    embedder: Annotated[
        str | None,
        typer.Option(
            help="With --semantic: static, learned from the text; or a sentence model: a folder, or name@commit. "
            "[default: static]"
        ),
    ] = None,
    lines: Annotated[
        int | None, typer.Option(min=1, help="Show instead the lines that stand in more records than this.")
    ] = None,
    line_characters: Annotated[
        int | None,
        typer.Option(min=1, help="With --lines: characters that a line must have, white space apart. [default: 30]"),
    ] = None,
    text_field: Annotated[str, typer.Option(help="The field of .jsonl records that holds the text.")] = "text",
    as_json: Json = False,
) -> None:
    """Show which records of files are near duplicates of one another, semantic ones, or which lines many have; nothing
    is changed.

    A record goes by its "id", or by file:line where it has none or others have the same. The line of counts says how
    alike the compared pairs are: a good threshold stands where there are few. With --semantic alone, examples of every
    level help to choose one; --semantic --threshold 0.93 then lists what goes.

    Examples:

      gnomon data dedup corpus/ --threshold 0.8

      gnomon data dedup corpus/ --semantic

      gnomon data dedup corpus/ --lines 10
    """
    from gnomon.observe.console import Console

    if lines is not None and (semantic or threshold is not None):
        raise typer.BadParameter("lines are compared as they are: give it without --semantic and --threshold")
    if embedder is not None and not semantic:
        raise typer.BadParameter("only what texts say is compared with an embedder: add --semantic")
    if line_characters is not None and lines is None:
        raise typer.BadParameter("only lines have so many characters: add --lines")
    console = Console()

    def told(stage: str, done: int) -> None:
        console.progress(stage, done, None, "documents")

    if lines is not None:
        from gnomon.data.duplicates.line_files import find_lines

        found = find_lines(files, lines, line_characters or LINE_CHARACTERS, text_field, told=told)
        say = partial(_repeated, found, lines)
    elif semantic:
        from gnomon.data.duplicates.likeness import find_alike

        found = find_alike(files, threshold, text_field, embedder or "static", told)
        say = partial(_likeness_lines, found)
    else:
        from gnomon.data.duplicates.files import find_duplicates

        least = USUAL if threshold is None else threshold
        found = find_duplicates(files, least, text_field, told)
        say = partial(_lines, found, least)
    console.finish()
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo("\n".join(say()))


def _lines(found: "Duplicates", threshold: float) -> list[str]:
    from gnomon.data.duplicates.files import histogram
    from gnomon.data.reading.unread import said_of_unread

    near, total = found.near, sum(found.sizes)
    members, share = sum(map(len, near.clusters)), found.copies_bytes() / max(1, total)
    lines = [
        f"{near.documents:,} documents, {total / 2**20:,.1f} MiB of text",
        f"{len(near.clusters):,} clusters of {members:,} documents at {threshold:g} or more; "
        f"{share:.1%} of the bytes are copies of another",
    ]
    if found.removed:
        lines.append(said_of_unread(found.removed))
    if len(near.seen):
        counts = "  ".join(f"{tenth / 10:.1f}: {n:,}" for tenth, n in enumerate(histogram(near.seen)))
        lines.append(f"pairs compared, by Jaccard value from  {counts}")
    return lines + _clusters(found.largest(SHOWN_CLUSTERS), found.ids, found.openings)


def _clusters(
    largest: list[list[int]], ids: list[str], openings: Callable[[set[int], int], dict[int, str]]
) -> list[str]:
    """Return the lines that show the largest clusters."""
    lines = []
    shown = [cluster[:SHOWN_RECORDS] for cluster in largest]
    begun = openings({i for cluster in shown for i in cluster}, SHOWN_CHARACTERS) if shown else {}
    for cluster, part in zip(largest, shown, strict=True):
        lines.append(f"\n{len(cluster):,} documents")
        width = min(40, max(len(ids[i]) for i in part))
        lines += [f"  {ids[i]:<{width}}  {begun[i]}" for i in part]
        if len(cluster) > len(part):
            lines.append(f"  and {len(cluster) - len(part):,} more")
    return lines


def _repeated(found: "RepeatedLines", more_than: int) -> list[str]:
    share = found.cut_bytes / max(1, found.bytes)
    lines = [
        f"{found.documents:,} documents, {found.bytes / 2**20:,.1f} MiB of text",
        f"{found.repeated:,} lines stand in more than {more_than:,} records; cut out of all but the first of these,"
        f" {found.cut_documents:,} documents would lose {found.cut_lines:,} lines, {share:.1%} of all bytes",
    ]
    if found.unread:
        lines.append(f"records that could not be read: {len(found.unread):,}, the first {found.unread[0]}")
    return lines + [f"{records:>10,}  {line[:SHOWN_LINE]}" for line, records in found.most]


def _likeness_lines(found: "Likeness") -> list[str]:
    from gnomon.data.reading.unread import said_of_unread

    total = sum(found.sizes)
    lines = [f"{len(found.ids):,} documents, {total / 2**20:,.1f} MiB of text"]
    if found.removed:
        lines.append(said_of_unread(found.removed))
    tenths = [sum(found.histogram[i : i + 5]) for i in range(0, 50, 5)]
    counts = "  ".join(f"{tenth / 10:.1f}: {n:,}" for tenth, n in enumerate(tenths))
    lines.append(f"documents by their highest cosine with another, from  {counts}")
    fine = "  ".join(f"{(40 + i) / 50:.2f}: {n:,}" for i, n in enumerate(found.histogram[40:]))
    lines.append(f"of these from 0.8 on  {fine}")
    if found.threshold is None:
        begun = found.openings({i for _, shown in found.examples for _, a, b in shown for i in (a, b)})
        for level, shown in found.examples:
            if shown:
                lines.append(f"\nfrom {level:g}")
            for value, a, b in shown:
                lines += [f"  {value:.3f}  {found.ids[a]}  {begun[a]}", f"         {found.ids[b]}  {begun[b]}"]
        lines.append("\nchoose the cosine from which such pairs say the same, and see what goes: --threshold 0.93")
        return lines
    share = found.goes_bytes() / max(1, total)
    lines.append(f"{len(found.goes):,} documents go at {found.threshold:g}, {share:.1%} of the bytes")
    return lines + _clusters(found.groups()[:SHOWN_CLUSTERS], found.ids, found.openings)
