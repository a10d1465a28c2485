"""The verb that asks a run questions: an answer with its type, its confidence and where it stands, or why there is
none.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from gnomon.base.errors import ConfigError, DataError
from gnomon.verbs.common import Json, RunPath, print_json

LOOKS_LIKE_A_FILE = (".txt", ".md", ".json", ".jsonl", ".gz", ".zst")


def ask(
    run: RunPath,
    question: Annotated[
        str | None, typer.Argument(help="The question; - reads it from standard input.", metavar="QUESTION")
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            help="A passage to answer from, or a text file of them, parted by empty lines; may be given several times.",
            metavar="FILE|TEXT",
        ),
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Answer all questions of a file of JSON lines; - reads them.", metavar="FILE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --questions: write answers here.", metavar="FILE")] = None,
    risk: Annotated[float, typer.Option(help="The largest share of wrong answers among those given.")] = 0.05,
    confidence: Annotated[float, typer.Option(help="How sure it is to be that the risk holds.")] = 0.95,
    constrain: Annotated[
        bool | None,
        typer.Option(
            "--constrain/--free",
            help="Keep answers to their types token by token; as far as it is installed if not given.",
        ),
    ] = None,
    repairs: Annotated[
        int | None,
        typer.Option(min=0, max=2, help="Further tries at an answer; as many as were measured to be worth it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a run a question: the answer, how sure it is, where it stands, or why there is none.

    The decision is answer, abstain, ill_posed, needs_evidence or insufficient; uncertified while nothing is known of
    how often the run is wrong, which `gnomon calibrate RUN --questions FILE` finds out.

    Examples:

      gnomon ask runs/knowing "Where was Ada King born?"

      gnomon ask runs/knowing "Where was Ada King born?" --evidence "Ada King was born in London." --json

      gnomon ask runs/knowing --questions questions.jsonl --out answers.jsonl --risk 0.01
    """
    if (question is None) == (questions is None):
        raise ConfigError("ask one question, or name a file with --questions", do='gnomon ask RUN "Who wrote Emma?"')
    if questions is None and out is not None:
        raise ConfigError("--out is for the answers to a file", do="leave it out, or give --questions FILE")
    if questions is not None and evidence:
        raise ConfigError(
            "the questions of a file have their own evidence", do='leave --evidence out, or put it into "evidence"'
        )
    if question is not None:
        _one(run, question, evidence or [], (risk, confidence, constrain, repairs), as_json)
    elif questions is not None:
        _all(run, questions, out, (risk, confidence, constrain, repairs), as_json)


Asking = tuple[float, float, bool | None, int | None]


def _one(run: Path, question: str, evidence: list[str], asking: Asking, as_json: bool) -> None:
    from gnomon.answer.ask import Asked
    from gnomon.answer.result import ask_each
    from gnomon.observe.answer import show_answer

    text = (sys.stdin.read() if question == "-" else question).strip()
    if not text:
        raise ConfigError("the question is empty", do="ask something: gnomon ask RUN QUESTION")
    passages = [passage for given in evidence for passage in _passages(given)]
    bundle, terms = _opened(run, asking)
    (result,) = ask_each(bundle, [Asked(text, tuple(passages))], terms)
    if result["type"] is None:
        do = "give less text, or passages of a paragraph each; a larger model.context takes more"
        raise DataError(result["why"], where=str(run), do=do)
    result = {"question": text, **result}
    if as_json:
        print_json(result)
    else:
        show_answer(result, passages)


def _all(run: Path, path: Path, out: Path | None, asking: Asking, as_json: bool) -> None:
    from gnomon.answer.ask import Asked
    from gnomon.answer.result import ask_each
    from gnomon.base.files import canonical_json, write_atomic
    from gnomon.data.questions.question import read_questions
    from gnomon.observe.answer import answer_lines
    from gnomon.observe.console import Console

    with _file(path) as file:
        every = list(read_questions(file))
    if not every:
        raise DataError("there is no question in this file", where=str(path), do='write lines of {"question": "…"}')
    console, (bundle, terms) = Console(), _opened(run, asking)
    started = time.perf_counter()
    results = ask_each(bundle, [Asked(q.question, q.evidence) for q in every], terms, console.progress)
    seconds = time.perf_counter() - started
    console.finish()
    records = [{"id": q.id, "question": q.question, **result} for q, result in zip(every, results, strict=True)]
    lines = [canonical_json(record) for record in records]
    if out:
        write_atomic(out, b"".join(line + b"\n" for line in lines))
    decisions = dict(Counter(record["decision"] for record in records).most_common())
    notes = Counter(note for record in records for note in record["notes"])
    said = [note if n == len(records) else f"{note} ({n:,} questions)" for note, n in notes.items()]
    found = {"questions": len(every), "decisions": decisions, "seconds": round(seconds, 3), "notes": said}
    if as_json:
        print_json({**found, "out": None if out is None else str(out), **({} if out else {"answers": records})})
        return
    if out is None:
        typer.echo("\n".join(line.decode() for line in lines))
    console.say("\n".join(answer_lines(found, out)))


def _opened(run: Path, asking: Asking) -> Any:
    """Return the bundle of a run, and on which terms it answers."""
    from gnomon.answer.constrain import constraints_of
    from gnomon.answer.result import terms_of
    from gnomon.bundle import load_bundle, refuse_without_heads
    from gnomon.evaluate.selective.confident import Choice

    risk, confidence, constrain, repairs = asking
    Choice(risk, confidence)
    bundle = load_bundle(run)
    refuse_without_heads(bundle, ("router",))
    if constrain:
        constraints_of(bundle.tokenizer)
    return bundle, terms_of(bundle, risk, confidence, constrain, repairs)


def _passages(given: str) -> list[str]:
    """Return the passages of a file, parted by empty lines, or the one that the text itself is."""
    path = Path(given)
    is_file = os.path.isfile(given)  # a Path raises where a passage is too long for a name
    if not is_file:
        if given.endswith(LOOKS_LIKE_A_FILE) and not any(c.isspace() for c in given):
            raise DataError("there is no such file", where=given, do="check the path, or give the passage itself")
        parts = [given]
    else:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise DataError(f"the evidence cannot be read: {e}", where=given, do="give a text file in UTF-8") from None
        parts = text.replace("\r\n", "\n").split("\n\n")
    found = [" ".join(part.split("\n")).strip() for part in parts]
    if not any(found):
        raise DataError("the evidence is empty", where=given[:80], do="give a passage, or leave --evidence out")
    return [part for part in found if part]


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    """Give the file that is meant: the path, or what comes on standard input."""
    if str(path) != "-":
        yield path
        return
    with TemporaryDirectory() as folder:
        held = Path(folder) / "stdin"
        held.write_bytes(sys.stdin.buffer.read())
        yield held
