"""The verb that shows near duplicates and repeated lines in files."""

from typing import TYPE_CHECKING, Annotated

import typer

from gnomon.verbs.common import Json, print_json

if TYPE_CHECKING:
    from gnomon.data.duplicates.files import Duplicates
    from gnomon.data.duplicates.line_files import RepeatedLines

SHOWN_CLUSTERS, SHOWN_RECORDS, SHOWN_CHARACTERS = 5, 4, 60
SHOWN_LINE = 100


def dedup(
    files: Annotated[list[str], typer.Argument(help="Files and folders of .txt, .md, .jsonl, also .gz or .zst.")],
    threshold: Annotated[
        float, typer.Option(help="Jaccard value of word 5-grams, 0.2 to 1, from which two texts count as the same.")
    ] = 0.7,
    lines: Annotated[
        int | None, typer.Option(min=1, help="Show instead the lines that stand in more records than this.")
    ] = None,
    line_characters: Annotated[
        int, typer.Option(min=1, help="With --lines: characters that a line must have, white space apart.")
    ] = 30,
    text_field: Annotated[str, typer.Option(help="The field of .jsonl records that holds the text.")] = "text",
    as_json: Json = False,
) -> None:
    """Show which records of files are near duplicates of one another, or which lines many have; nothing is changed.

    A record goes by its "id", or by file:line where it has none or others have the same. The line of counts says how
    alike the compared pairs are: a good threshold stands where there are few.

    Examples:

      gnomon data dedup corpus/ --threshold 0.8

      gnomon data dedup corpus/ --lines 10
    """
    from gnomon.data.duplicates.files import find_duplicates
    from gnomon.data.duplicates.line_files import find_lines
    from gnomon.observe.console import Console

    console = Console()

    def told(stage: str, done: int) -> None:
        console.progress(stage, done, None, "documents")

    if lines is not None:
        stand = find_lines(files, lines, line_characters, text_field, told=told)
        console.finish()
        if as_json:
            print_json(stand.as_dict())
        else:
            typer.echo("\n".join(_repeated(stand, lines)))
        return
    found = find_duplicates(files, threshold, text_field, told)
    console.finish()
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo("\n".join(_lines(found, threshold)))


def _lines(found: "Duplicates", threshold: float) -> list[str]:
    from gnomon.data.duplicates.files import histogram

    near, total = found.near, sum(found.sizes)
    members, share = sum(map(len, near.clusters)), found.copies_bytes() / max(1, total)
    lines = [
        f"{near.documents:,} documents, {total / 2**20:,.1f} MiB of text",
        f"{len(near.clusters):,} clusters of {members:,} documents at {threshold:g} or more; "
        f"{share:.1%} of the bytes are copies of another",
    ]
    if found.removed:
        lines.append(f"records that could not be read: {len(found.removed):,}, the first {found.removed[0].origin}")
    if len(near.seen):
        counts = "  ".join(f"{tenth / 10:.1f}: {n:,}" for tenth, n in enumerate(histogram(near.seen)))
        lines.append(f"pairs compared, by Jaccard value from  {counts}")
    shown = [cluster[:SHOWN_RECORDS] for cluster in found.largest(SHOWN_CLUSTERS)]
    openings = found.openings({i for cluster in shown for i in cluster}, SHOWN_CHARACTERS) if shown else {}
    for cluster, part in zip(found.largest(SHOWN_CLUSTERS), shown, strict=True):
        lines.append(f"\n{len(cluster):,} documents")
        width = min(40, max(len(found.ids[i]) for i in part))
        lines += [f"  {found.ids[i]:<{width}}  {openings[i]}" for i in part]
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
