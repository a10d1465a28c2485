"""The verbs of `gnomon heads`: what a model says of questions, learned anew without touching the model."""

from pathlib import Path
from typing import Annotated

import typer

from gnomon.verbs.common import Json, RunPath, print_json
from gnomon.verbs.questions import Vectors, WordNet

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
    epochs: Annotated[int, typer.Option(min=1, help="At most; ends before where held-out questions say so.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of new heads, the order of questions, and dropout.")] = 1337,
    as_json: Json = False,
) -> None:
    """Learn the heads of a trained model from questions, and write a new run; the model's own weights stay bit for bit.

    Also for a run that was trained without heads. Heads of which the questions say nothing stay as they are. A teacher
    that was taught with WordNet or vectors needs them here.

    Examples:

      gnomon heads fit runs/first --questions trec.jsonl --out runs/typed

      gnomon heads fit runs/first --questions trec.jsonl --questions mine.jsonl --teacher teacher --out runs/typed
    """
    from gnomon.bundle import load_bundle
    from gnomon.data.questions.knowledge import load_knowledge
    from gnomon.data.questions.teacher import load_teacher
    from gnomon.export.refit import described, read_asked, refit, refuse_there, write_refitted
    from gnomon.observe.console import Console
    from gnomon.train.refit import Lessons

    refuse_there(out)
    console, bundle = Console(), load_bundle(run)
    asked = read_asked(bundle, questions, load_teacher(teacher, load_knowledge(wordnet, vectors)) if teacher else None)
    model, learned, marks = refit(bundle, asked, Lessons(epochs=epochs, seed=seed), console.progress)
    found = described(asked, learned, marks)
    said = {"questions": len(asked.tokens), "labelled_by_teacher": asked.soft, "heads_seed": seed}
    written = write_refitted(bundle, model, out, said)
    console.finish()
    if as_json:
        print_json({"run": str(written.folder), "heads": model.heads.kinds if model.heads else [], **found})
        return
    soft = f", {asked.soft:,} labelled by the teacher" if asked.soft else ""
    typer.echo(f"{found['questions']:,} questions{soft}; {marks:,} marks")
    after = f"{learned.loss:.4f} after {learned.epoch} epochs, its least"
    typer.echo(f"loss {learned.loss_before:.4f} before, {after}, on questions held out to say when to end")
    typer.echo(str(written.folder))
