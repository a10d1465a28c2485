"""The verbs of `gnomon questions`: what kind of answer questions want."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.verbs.common import Json, RunPath, print_json

if TYPE_CHECKING:
    from gnomon.base.progress import Progress
    from gnomon.data.questions.question import Question
    from gnomon.data.questions.teacher import Teacher

questions_app = typer.Typer(help="Label questions.", no_args_is_help=True, rich_markup_mode=None)

Files = Annotated[
    list[Path], typer.Argument(help="Files of questions: .jsonl, also packed as .gz or .zst.", metavar="FILES...")
]

WordNet = Annotated[
    Path | None,
    typer.Option(help="What kinds of things nouns name: WordNet's 3.x database files.", metavar="FOLDER"),
]
Vectors = Annotated[
    Path | None, typer.Option(help="Vectors of words, such as GloVe's: text, also .gz.", metavar="FILE")
]
Encoder = Annotated[
    str | None,
    typer.Option(help="A sentence encoder that learns too, such as all-MiniLM-L6-v2.", metavar="FOLDER|NAME@COMMIT"),
]


@questions_app.callback()
def _questions() -> None:
    """Learn to label questions with the type of their answer, and label them."""


@questions_app.command()
def teach(
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the teacher to.")],
    wordnet: WordNet = None,
    vectors: Vectors = None,
    encoder: Encoder = None,
    as_json: Json = False,
) -> None:
    """Learn answer types from questions that have one: a teacher, which labels any other question.

    Examples:

      gnomon questions teach trec.jsonl --out teacher

      gnomon questions teach trec.jsonl mine.jsonl.gz --out teacher --json

      gnomon questions teach trec.jsonl --wordnet wordnet/dict --vectors glove.txt --out teacher

      gnomon questions teach trec.jsonl --encoder models/all-MiniLM-L6-v2 --out teacher
    """
    from gnomon.data.questions.knowledge import load_knowledge
    from gnomon.data.questions.teacher import teach as learn
    from gnomon.observe.console import Console

    console, knowledge = Console(), load_knowledge(wordnet, vectors, encoder)
    teacher = learn([question for question, _ in _read(files)], knowledge, console.progress)
    console.finish()
    teacher.save(out)
    if as_json:
        print_json({"teacher": str(out), "questions": teacher.questions, "sha256": teacher.digest})
        return
    typer.echo(f"learned from {teacher.questions:,} questions\n{out}")


@questions_app.command()
def label(
    files: Files,
    teacher: Annotated[Path, typer.Option("--teacher", help="A folder that `gnomon questions teach` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, .jsonl.")],
    wordnet: WordNet = None,
    vectors: Vectors = None,
    encoder: Encoder = None,
    as_json: Json = False,
) -> None:
    """Write questions with the probabilities of their answer types, and how likely their form is well posed.

    What a file says of a question is kept; the labels stand beside it. A teacher that was taught with WordNet, vectors
    or an encoder needs the same here.

    Example:  gnomon questions label mine.jsonl --teacher teacher --out labelled.jsonl
    """
    import orjson

    from gnomon.base.files import write_atomic
    from gnomon.data.questions.knowledge import load_knowledge
    from gnomon.data.questions.teacher import load_teacher
    from gnomon.observe.console import Console

    console, loaded = Console(), load_teacher(teacher, load_knowledge(wordnet, vectors, encoder))
    read = _read(files)
    records, types = _labelled(read, loaded, console.progress)
    console.finish()
    write_atomic(out, b"".join(orjson.dumps(record) + b"\n" for record in records))
    counts = Counter(types)
    if as_json:
        named = dict(sorted(counts.items()))
        print_json({"labelled": str(out), "questions": len(records), "teacher": loaded.digest, "types": named})
        return
    for name, count in counts.most_common():
        typer.echo(f"{name:<14} {count:>10,} questions")
    typer.echo(f"{len(records):,} questions\n{out}")


def _threshold(name: str, meaning: str) -> Any:
    return typer.Option(f"--{name}", min=0.0, max=1.0, help=f"Probability from which on {meaning}.")


@questions_app.command()
def speak(
    run: RunPath,
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="File of conversations to write, .jsonl.")],
    labels: Annotated[
        Path | None, typer.Option(help="File of the same questions to write, with what the heads say as labels.")
    ] = None,
    well_posed: Annotated[float, _threshold("well-posed", "a question is well posed")] = 0.5,
    known: Annotated[float, _threshold("known", "its answer is known without evidence")] = 0.5,
    retrieve: Annotated[float, _threshold("retrieve", "evidence is asked for, where it is not known")] = 0.5,
    sufficient: Annotated[float, _threshold("sufficient", "the evidence is enough")] = 0.5,
    as_json: Json = False,
) -> None:
    """Write questions as conversations in which the assistant first says what the run's heads make of each.

    A question whose answer is known, or in its evidence, gets the answer that the file has; others an abstention or the
    wish to retrieve. A model that recites does so first, here too, and its heads are read behind that. Left out are
    questions longer than the context, those at which the model recites without end, and those that the heads would
    answer and for which the file has no answer. What is written is a source of `form` chat, the labels one of `form`
    questions (with `recite` where the model recites), by which heads go on saying where an answer begins what they say
    now, while the model learns to say it aloud. Both name the thresholds.

    Example:  gnomon questions speak runs/knowing questions.jsonl --out spoken.jsonl --labels said.jsonl
    """
    import orjson

    from gnomon.base.files import write_atomic
    from gnomon.bundle import load_bundle
    from gnomon.data.questions.spoken import Thresholds
    from gnomon.evaluate.speaking import speak as spoken_of
    from gnomon.observe.console import Console

    console, read, at = Console(), _read(files), Thresholds(well_posed, known, retrieve, sufficient)
    every = list(spoken_of(load_bundle(run), [question for question, _ in read], at, console.progress))
    console.finish()
    records = [record for one in every if (record := one.record) is not None]
    write_atomic(out, b"".join(orjson.dumps(record) + b"\n" for record in records))
    if labels:
        pairs = zip(every, read, strict=True)
        said = [one.labelled(record) for one, (_, record) in pairs if one.decision and not one.endless]
        write_atomic(labels, b"".join(orjson.dumps(record) + b"\n" for record in said))
    states = Counter(one.decision.state for one in every if one.decision and one.record is not None)
    left_out = {"too_long": sum(one.decision is None for one in every), "endless": sum(one.endless for one in every)}
    left_out["no_answer"] = len(every) - len(records) - sum(left_out.values())
    found = {"spoken": str(out), "questions": len(records), **left_out, "states": dict(sorted(states.items()))}
    if as_json:
        print_json(found)
        return
    for state, count in states.most_common():
        typer.echo(f"{state:<14} {count:>10,} questions")
    too_long, endless, no_answer = left_out.values()
    told = f"{too_long:,} are too long, {endless:,} recited without end, {no_answer:,} have no answer"
    typer.echo(f"{len(records):,} questions; {told}\n{out}")


def _read(files: Sequence[Path]) -> "list[tuple[Question, dict[str, Any]]]":
    from gnomon.data.questions.question import each_record, question_of

    return [
        pair for path in files for pair in each_record(path, lambda record, name: (question_of(record, name), record))
    ]


def _labelled(
    read: "Sequence[tuple[Question, dict[str, Any]]]", teacher: "Teacher", progress: "Progress"
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the record of each question with labels as the form `questions` reads them, and its likeliest type. What
    the record says itself stands: its types, its labels and what they count.
    """
    from gnomon.data.questions.heuristics import form_of
    from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES

    labels = teacher.label([question.question for question, _ in read], progress)
    records, types = list[dict[str, Any]](), list[str]()
    for (question, record), coarse, fine in zip(read, labels.coarse, labels.fine, strict=True):
        form, type_ = form_of(question.question), ANSWER_TYPES[int(coarse.argmax())]
        said: dict[str, Any] = {} if question.type else {"coarse": _likely(ANSWER_TYPES, coarse)}
        if not question.fine_type and (question.type or type_) != "boolean":
            said["fine"] = _likely(FINE_TYPES, fine)
        weights = {}
        if question.well_posed is None:
            said["well_posed"], weights["well_posed"] = form.well_posed, form.reliability
        found = {
            "labels": said | dict(record.get("labels") or {}),
            "weights": weights | dict(record.get("weights") or {}),
        }
        records.append({"id": question.id, **record, **found, "rule": form.rule})
        types.append(type_)
    return records, types


def _likely(names: Sequence[str], probabilities: Any) -> dict[str, float]:
    """Return the types of at least one in a thousand, the likeliest first."""
    order = sorted(range(len(names)), key=lambda i: (-probabilities[i], i))
    return {names[i]: round(float(probabilities[i]), 4) for i in order if probabilities[i] >= 1e-3}
