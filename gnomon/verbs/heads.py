"""The verbs of `gnomon heads`: what a model says of questions, learned anew, without touching the model or with it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.verbs.common import Json, RunPath, print_json
from gnomon.verbs.questions import Encoder, Vectors, WordNet

heads_app = typer.Typer(help="Teach a model's heads.", no_args_is_help=True, rich_markup_mode=None)


@heads_app.callback()
def _heads() -> None:
    """Teach the heads of a trained model: types of answers, and what a router says."""


@heads_app.command()
def fit(
    run: RunPath,
    questions: Annotated[
        list[Path], typer.Option("--questions", help="A file of questions; give several.", metavar="FILE")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new run.")],
    teacher: Annotated[
        Path | None,
        typer.Option(help="Label questions without types, by what `gnomon questions teach` wrote.", metavar="FOLDER"),
    ] = None,
    wordnet: WordNet = None,
    vectors: Vectors = None,
    encoder: Encoder = None,
    trunk: Annotated[bool, typer.Option("--trunk", help="Let the model's own weights learn too.")] = False,
    language: Annotated[
        float, typer.Option(min=0, help="With --trunk: what the run's text counts beside questions.")
    ] = 0.25,
    altered: Annotated[
        int, typer.Option(min=0, help="With --trunk and a teacher: altered questions for each with a fine type.")
    ] = 25,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="40 at most, and as many as held-out questions ask for; with --trunk 3."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of new heads, the order of questions, and dropout.")] = 1337,
    as_json: Json = False,
) -> None:
    """Learn the heads of a trained model from questions, and write a new run; the model's own weights stay bit for bit.

    Also for a run that was trained without heads. Heads of which the questions say nothing stay as they are. A teacher
    that was taught with WordNet, vectors or an encoder needs them here. With --trunk the model's weights learn too:
    types are told far better, and what that cost the language is said, where the run's dataset is still there.

    Examples:

      gnomon heads fit runs/first --questions trec.jsonl --out runs/typed

      gnomon heads fit runs/first --questions trec.jsonl --questions mine.jsonl --teacher teacher --out runs/typed

      gnomon heads fit runs/first --trunk --questions trec.jsonl --questions mine.jsonl --teacher teacher --out runs/new
    """
    from gnomon.bundle import load_bundle
    from gnomon.data.questions.knowledge import load_knowledge
    from gnomon.data.questions.teacher import load_teacher
    from gnomon.observe.console import Console
    from gnomon.refit.heads import described, read_asked, refit, refuse_there, write_refitted
    from gnomon.refit.trunk import tuned
    from gnomon.train.refit import Lessons
    from gnomon.train.tune import Course

    refuse_there(out)
    console, bundle = Console(), load_bundle(run)
    labels = load_teacher(teacher, load_knowledge(wordnet, vectors, encoder)) if teacher else None
    asked = read_asked(bundle, questions, labels, console.progress)
    said: dict[str, bool | float | str | None] = {"questions": len(asked.tokens), "labelled_by_teacher": asked.soft}
    if trunk:
        course = Course(epochs=epochs or 3, language=language, seed=seed)
        one = tuned(bundle, asked, labels, altered, course, console.progress)
        model, learned, marks = one.model, one.learned, one.marks
        cost = {"altered": one.altered, "language_before": one.language_before, "language": one.language}
    else:
        model, learned, marks = refit(bundle, asked, Lessons(epochs=epochs or 40, seed=seed), console.progress)
        cost = {}
    written = write_refitted(bundle, model, out, said | cost | {"heads_seed": seed})
    console.finish()
    found = described(asked, learned, marks) | cost
    if as_json:
        print_json({"run": str(written.folder), "heads": model.heads.kinds if model.heads else [], **found})
        return
    for line in _lines(found):
        typer.echo(line)
    typer.echo(str(written.folder))


def _lines(found: dict[str, Any]) -> list[str]:
    """Return what came of it, for people."""
    soft = f", {found['labelled_by_teacher']:,} labelled by the teacher" if found["labelled_by_teacher"] else ""
    soft += f", and {found['altered']:,} altered ones" if found.get("altered") else ""
    lines = [f"{found['questions']:,} questions{soft}; {found['marks']:,} marks"]
    after, why = f"{found['loss']:.4f} after {found['epoch']} epochs", "to say when to end"
    if "language" in found:
        why = "to say how sure types are"
    else:
        after += ", its least"
    lines.append(f"loss {found['loss_before']:.4f} before, {after}, on questions held out {why}")
    if "language" in found and found["language"] is None:
        lines.append("what that cost the language is not known: the run's dataset is not there")
    elif "language" in found:
        then, now = found["language_before"], found["language"]
        lines.append(
            f"the language: a loss of {then:.4f} nats a token before, {now:.4f} now, on the run's held-out text"
        )
    return lines
