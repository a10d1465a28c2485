"""An answer as a person reads it: what it is, how sure, where it stands, or why there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BAR = 24
HEADS = {
    "answer": ("answer", "green"),
    "uncertified": ("answer, uncertified", "yellow"),
    "abstain": ("no answer: it abstains", "red"),
    "ill_posed": ("no answer: the question is ill posed", "red"),
    "needs_evidence": ("no answer: it needs evidence", "red"),
    "insufficient": ("no answer: the evidence is not enough", "red"),
}
AROUND = 60
"""Characters of a passage that are shown before and behind an answer."""


def show_answer(result: dict[str, Any], passages: Sequence[str], console: RichConsole | None = None) -> None:
    """Print the panel of an answer on standard output."""
    out = console or RichConsole(highlight=False)
    title, colour = HEADS[result["decision"]]
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column()
    if result["answer"] is not None:
        rows.add_row("answer", Text(result["answer"], style=f"bold {colour}"))
    rows.add_row("type", result["type"])
    if result["confidence"] is not None:
        rows.add_row("confidence", _bar(result, colour))
    rows.add_row("why", Text(result["why"]))
    for span in result["evidence"][:3]:
        number: int = span["passage"]
        rows.add_row(f"passage {number + 1}", _quoted(passages[number], span["start"], span["end"]))
    for note in result["notes"]:
        rows.add_row("note", Text(note, style="yellow"))
    steps = Table.grid(padding=(0, 2))
    for style in ("dim", "", "dim"):
        steps.add_column(style=style)
    for step in result["trace"]:
        steps.add_row(step["stage"], Text(step["decided"]), f"{step['milliseconds']:.1f} ms")
    body = Group(Text(result["question"], style="bold"), Text(), rows, Text(), steps)
    out.print(Panel(body, title=title, title_align="left", border_style=colour, expand=False))


def _bar(result: dict[str, Any], colour: str) -> Text:
    """Return the confidence as a bar, with a mark where answers begin to be given."""
    confidence, threshold = result["confidence"], result["trace"][-1]["saw"]["threshold"]
    full = round(BAR * confidence)
    bar = Text("█" * full, style=colour) + Text("░" * (BAR - full), style="dim")
    said = f" {confidence:.1%}" + ("" if threshold is None else f", answered from {threshold:.1%} on")
    return bar + Text(said)


def _quoted(passage: str, start: int, end: int) -> Text:
    before, behind = max(0, start - AROUND), min(len(passage), end + AROUND)
    head = ("…" if before else "") + passage[before:start]
    tail = passage[end:behind] + ("…" if behind < len(passage) else "")
    return Text(head) + Text(passage[start:end], style="bold underline") + Text(tail)


def answer_lines(found: dict[str, Any], out: Path | None) -> list[str]:
    """Return what is said of a file of questions that was answered."""
    asked, seconds = found["questions"], found["seconds"]
    said = ", ".join(f"{count:,} {name}" for name, count in found["decisions"].items())
    lines = [f"{asked:,} questions in {seconds:.1f} s, {1000 * seconds / asked:.1f} ms each: {said}"]
    lines += [f"note     {note}" for note in found["notes"]]
    return lines + ([] if out is None else [f"written  {out}"])
