"""The verb that calibrates the confidence in a file of predictions, and certifies a threshold of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gnomon.base.errors import ConfigError
from gnomon.verbs.common import Json, print_json

if TYPE_CHECKING:
    from gnomon.evaluate.selective.confident import Choice


def calibrate(
    file: Annotated[
        Path, typer.Argument(help="A .jsonl file of predictions, also .gz or .zst; or a run.", metavar="FILE|RUN")
    ],
    questions: Annotated[
        Path | None, typer.Option(help="Of a run: the questions it is to answer, with their answers.", metavar="FILE")
    ] = None,
    evidence: Annotated[
        Literal["shown", "none"] | None, typer.Option(help="Whether questions keep their evidence. [default: shown]")
    ] = None,
    ablate: Annotated[bool, typer.Option("--ablate", help="Of a run: what each part of answering adds.")] = False,
    constrain: Annotated[
        bool | None,
        typer.Option("--constrain/--free", help="Of a run: keep answers to their types. [default: if it is installed]"),
    ] = None,
    shift: Annotated[
        Path | None, typer.Option(help="Predictions of another kind: what the threshold does there.", metavar="FILE")
    ] = None,
    risk: Annotated[float, typer.Option(help="The largest share of wrong answers among those given.")] = 0.05,
    confidence: Annotated[float, typer.Option(help="How sure it is to be that the risk holds.")] = 0.95,
    kind: Annotated[
        Literal["beta", "temperature"], typer.Option(help="How each signal becomes a probability.")
    ] = "beta",
    as_given: Annotated[
        bool, typer.Option("--as-given", help="Fit nothing: certify the confidence as it stands in the file.")
    ] = False,
    use: Annotated[
        Path | None, typer.Option(help="A saved calibration, fitted on other questions.", metavar="FILE")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the calibration and its certificate here.", metavar="FILE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a page with all figures here.", metavar="HTML")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the parts, the bootstrap and the resplits.")] = 0,
    as_json: Json = False,
) -> None:
    """Calibrate the confidence in a file of predictions, and certify from which confidence on answers hold a risk.

    A line is {"id": "q1", "confidence": 0.93, "correct": true}, or has "signals": {"known": 0.7, "entropy": 1.9} for
    the confidence, which are fused. Questions are parted in three by a hash of their ids: a quarter fits each signal, a
    quarter fuses, half certifies and is what all figures are of. Give 2,000 questions or more.

    Given a run and --questions, the run answers them as `gnomon ask` does, and what is fitted and certified is kept
    beside the run, for `gnomon ask`. Lines are {"question": "Who wrote Emma?", "answers": ["Jane Austen"]}, or
    "answerable": false for an answer.

    Examples:

      gnomon calibrate predictions.jsonl --out report.html

      gnomon calibrate predictions.jsonl --risk 0.01 --confidence 0.9 --shift other.jsonl

      gnomon calibrate predictions.jsonl --save calibration.json

      gnomon calibrate later.jsonl --use calibration.json

      gnomon calibrate runs/knowing --questions held_out.jsonl --risk 0.05 --ablate
    """
    if questions is not None or file.is_dir():
        if questions is None:
            raise ConfigError("a run is calibrated on questions", do="add --questions FILE, with their answers")
        if shift or as_given or use or save or out:
            raise ConfigError("--questions goes with none of --shift, --as-given, --use, --save and --out")
        from gnomon.evaluate.selective.confident import Choice
        from gnomon.verbs.calibrate_run import calibrate_answers

        choice = Choice(risk, confidence, kind, False, seed)
        calibrate_answers(file, questions, evidence or "shown", choice, constrain, ablate, as_json)
        return
    if ablate or evidence or constrain is not None:
        raise ConfigError("--ablate, --evidence and --constrain are for a run", do="give a run and --questions FILE")
    if as_given and (use or save):
        raise ConfigError("--as-given fits nothing that could be used or saved", do="leave it out")
    from gnomon.evaluate.selective.confident import Choice

    _calibrate_file(file, Choice(risk, confidence, kind, as_given, seed), shift, use, save, out, as_json)


def _calibrate_file(
    file: Path,
    choice: "Choice",
    shift: Path | None,
    use: Path | None,
    save: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Calibrate and certify predictions, and write what is asked for."""
    from gnomon.answer.calibration import load_calibration, save_calibration
    from gnomon.base.files import write_atomic
    from gnomon.evaluate.selective.assess import assess
    from gnomon.evaluate.selective.predictions import read_predictions
    from gnomon.observe.selective import selective_html

    fitted = load_calibration(use)[0] if use else None
    others = read_predictions(shift) if shift else None
    done = assess(read_predictions(file), choice, calibration=fitted, shift=others, where=str(file))
    found, written = done.found, []
    if save and done.calibration:
        save_calibration(done.calibration, save, {**found["certificate"], "certified_on": done.certified_on})
        written.append(str(save))
    if out:
        write_atomic(out, selective_html(f"What {file.name} knows that it knows", found).encode())
        written.append(str(out))
    if as_json:
        print_json({**found, "written": written})
        return
    score = found["scores"]["confidence"]
    chance = f"{score['ece_low']:.4f} to {score['ece_high']:.4f}, {score['ece_by_chance']:.4f} if perfect"
    typer.echo(f"accuracy {score['accuracy']:.2%}, AUROC {_number(score['auroc'])}, AURC {score['aurc']:.4f}")
    typer.echo(f"ECE {score['ece']:.4f} ({chance}), Brier {score['brier']:.4f}, log loss {score['log_loss']:.4f}")
    typer.echo("\n".join(found["says"].values()))
    for path in written:
        typer.echo(f"written      {path}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
