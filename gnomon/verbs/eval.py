"""The verb that scores a model on held-out text: in all, by windows, against other text, and in proof of itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.base.errors import ConfigError, IntegrityError
from gnomon.verbs.common import Json, RunPath, print_json, tokens_of

if TYPE_CHECKING:
    from gnomon.evaluate.delta import Delta
    from gnomon.evaluate.parity import Parity


def eval(
    run: RunPath,
    data: Annotated[Path | None, typer.Option(help="Text to score instead of the run's validation split.")] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Score by windows of the context's length, so many tokens apart.", metavar="TOKENS"),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Other text: how much its loss differs, with an interval.", metavar="FILE")
    ] = None,
    parity: Annotated[
        bool, typer.Option("--parity", help="Prove that the loss does not depend on batching; exit code 5 if it does.")
    ] = False,
    questions: Annotated[
        Path | None, typer.Option(help="Score the heads on questions of which something is known.", metavar="FILE")
    ] = None,
    spoken: Annotated[
        Path | None,
        typer.Option(help="Score how far what it says of questions agrees with its own heads.", metavar="FILE"),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            help="With --parity: compare about so many tokens, such as 100K, or all. [default: 10K]", metavar="TOKENS"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a model on held-out text: loss, perplexity, bits per byte.

    With --stride every token after a document's first window is predicted with at least context - stride tokens before
    it. --compare draws documents anew 2,000 times; those in both texts are drawn for both at once. --parity reads the
    text ten times over, 24 rows of it or more; 10K tokens take a 1M model some 6 s, and a larger one longer.
    --spoken takes the thresholds of `gnomon questions speak` from the file, else from what the run learned from.
    --questions reads JSON lines such as {"question": "Who wrote Emma?", "fine_type": "HUM:ind", "answerable": true}.

    Examples:

      gnomon eval runs/first --data other.txt

      gnomon eval runs/first --data novel.txt --stride 128

      gnomon eval runs/first --data raw.jsonl --compare decontaminated.jsonl

      gnomon eval runs/first --parity

      gnomon eval runs/first --parity --limit all

      gnomon eval runs/knowing --questions questions.jsonl

      gnomon eval runs/spoken --spoken questions.jsonl
    """
    for name, alone in (("--questions", questions), ("--spoken", spoken)):
        others = {"--questions": questions, "--spoken": spoken, "text": parity or stride or compare or data}
        if alone and any(one for other, one in others.items() if other != name):
            raise ConfigError(f"{name} goes with no other way to score", do="ask for one after the other")
    if parity and (stride or compare):
        raise ConfigError("--parity goes with neither --stride nor --compare", do="ask for one after the other")
    if limit is not None and not parity:
        raise ConfigError("only a proof of parity is of so many tokens", where="--limit", do="add --parity")
    if questions:
        _score_heads(run, questions, as_json)
    elif spoken:
        _score_spoken(run, spoken, as_json)
    else:
        _score_text(run, data, stride, compare, parity, limit, as_json)


def _score_text(
    run: Path,
    data: Path | None,
    stride: int | None,
    compare: Path | None,
    parity: bool,
    limit: str | None,
    as_json: bool,
) -> None:
    from gnomon.bundle import load_bundle
    from gnomon.evaluate.held_out import compare_texts, prove_parity, score_by_windows, score_file
    from gnomon.evaluate.parity import MOST_TOKENS
    from gnomon.observe.console import Console
    from gnomon.pipeline import evaluate

    most = MOST_TOKENS if limit is None else None if limit == "all" else tokens_of(limit, "--limit")
    console, bundle = Console(), load_bundle(run)
    if parity:
        proof = prove_parity(bundle, data, most, console.progress)
        console.finish()
        _say(proof.as_dict(), _parity_lines(proof), as_json)
        if proof.broken:
            raise typer.Exit(IntegrityError.exit_code)
        return
    if compare:
        found = compare_texts(bundle, data, compare, stride, console.progress)
        console.finish()
        _say({**found.as_dict(), "stride": stride or bundle.shape.context}, _delta_lines(found), as_json)
        return
    if stride:
        result = {**score_by_windows(bundle, data, stride, console.progress).as_dict(), "stride": stride}
    else:
        result = evaluate(bundle.run, console) if data is None else score_file(bundle, data).as_dict()
    console.finish()
    _say(result, [_loss_line(result)], as_json)


def _score_heads(run: Path, questions: Path, as_json: bool) -> None:
    from gnomon.bundle import load_bundle
    from gnomon.evaluate.questions import score_questions
    from gnomon.observe.console import Console

    console = Console()
    found = score_questions(load_bundle(run), questions, console.progress)
    console.finish()
    _say({"questions": found}, _question_lines(found), as_json)


def _score_spoken(run: Path, questions: Path, as_json: bool) -> None:
    from gnomon.bundle import load_bundle
    from gnomon.evaluate.agreement import agree_with_heads
    from gnomon.observe.console import Console

    console = Console()
    found = agree_with_heads(load_bundle(run), questions, console.progress)
    console.finish()

    def shares(said: dict[str, Any]) -> str:
        return ", ".join(f"{key} {value:.1%}" for key, value in said.items() if isinstance(value, float))

    lines = [f"{found['questions']:,} questions: {shares(found)}"]
    if "asked" in found:
        lines.append(f"beside the heads where the run recites by itself: {shares(found['asked'])}")
    told = found["rights"]
    if told["answerable"] or told["unanswerable"]:
        lines.append(
            f"{told['answered']:,} answered, {told['rightly']:,} rightly, where {told['answerable']:,} have an answer; "
            f"{told['refused']:,} refused of {told['unanswerable']:,} that have none"
        )
    at = ", ".join(f"{name} from {value:g}" for name, value in found["thresholds"].items())
    _say({"spoken": found}, [*lines, f"the heads count as yes: {at}"], as_json)


def _loss_line(result: dict[str, Any]) -> str:
    return (
        f"{result['bits_per_byte']:.4f} bits per byte, loss {result['loss']:.4f} nats a token, "
        f"perplexity {result['perplexity']:.2f} on {result['tokens']:,} tokens"
    )


def _say(value: dict[str, Any], lines: list[str], as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        typer.echo("\n".join(lines))


def _parity_lines(found: "Parity") -> list[str]:
    rows = [*found.variants, *(v.named(f"source {name}, packed") for name, v in found.sources.items())]
    width = max(len(row.name) for row in rows)
    lines = [
        f"compared: {found.tokens:,} of {found.all_tokens:,} tokens, of {found.documents:,} of {found.all_documents:,} "
        f"documents{'' if found.tokens == found.all_tokens else '; --limit all compares the whole'}",
        f"in {found.pieces:,} pieces, each alone: loss {found.loss:.7f} nats a token, perplexity "
        f"{found.perplexity:.4f}, {found.bits_per_byte:.6f} bits per byte",
        f"documents longer than the context or cut to fill a row: {found.cut:,}",
    ]
    for row in rows:
        verdict = "ok" if row.holds else f"DIFFERS by more than {row.limit:g}"
        verdict = verdict if row.complete else "DIFFERS in the number of tokens"
        lines.append(f"{row.name:<{width}}  {row.loss:>11.7f}  {row.difference:>+9.1e}  {row.tokens:>9,}  {verdict}")
    return lines


def _question_lines(found: dict[str, Any]) -> list[str]:
    said = f", {found['too_long']:,} more are longer than the context" if found["too_long"] else ""
    lines, types = [f"{found['questions']:,} questions{said}"], found["types"]
    if "fine_accuracy" in types:
        lines.append(
            f"fine type   {types['fine_accuracy']:.1%} right of {types['questions']:,} (the commonest is "
            f"{types['commonest']:.1%}), six classes {types['coarse_accuracy']:.1%}, macro-F1 {types['macro_f1']:.3f}, "
            f"calibration error {types['ece']:.3f}"
        )
    if "type_accuracy" in types:
        lines.append(f"type        {types['type_accuracy']:.1%} right of {types['of_known_type']:,}")
    for name, of in found["signals"].items():
        ranked = "-" if of["auroc"] is None else f"{of['auroc']:.3f}"
        lines.append(
            f"{name:<11} AUROC {ranked}, Brier {of['brier']:.3f}, calibration error {of['ece']:.3f}, "
            f"{of['yes']:.1%} yes of {of['questions']:,}"
        )
    return lines


def _delta_lines(found: "Delta") -> list[str]:
    return [
        f"{found.a:.4f} nats a token on {found.documents_a:,} documents, {found.b:.4f} on {found.documents_b:,}, of "
        f"which {found.shared:,} are in both",
        f"difference {found.delta:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}: "
        + ("clear" if found.clear else "could be chance"),
    ]
