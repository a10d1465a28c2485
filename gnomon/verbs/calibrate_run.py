"""What `gnomon calibrate` does where it is given a run: answers a file of questions, and keeps what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from gnomon.verbs.common import print_json

if TYPE_CHECKING:
    from gnomon.evaluate.selective.confident import Choice


def calibrate_answers(
    run: Path,
    questions: Path,
    evidence: Literal["shown", "none"],
    choice: "Choice",
    constrain: bool | None,
    ablate: bool,
    as_json: bool,
) -> None:
    """Answer the questions with a run, fit and certify its confidence, and keep that beside the run."""
    from gnomon.answer.constrain import has_constraints
    from gnomon.bundle import load_bundle
    from gnomon.evaluate.ablation import ablate as without_each
    from gnomon.evaluate.answers import calibrate_run, keep
    from gnomon.observe.console import Console

    console, bundle = Console(), load_bundle(run)
    constrained = has_constraints() if constrain is None else constrain
    made = calibrate_run(bundle, questions, choice, console.progress, constrain=constrained, evidence=evidence)
    written = [str(path) for path in keep(bundle, made)]
    found: dict[str, Any] = {**made.found, "constrained": constrained}
    if ablate:
        found["ablation"] = without_each(bundle, made.answered, made.trust.settings, choice, console.progress)
    console.finish()
    if as_json:
        print_json({**found, "written": written})
        return
    typer.echo("\n".join([*_lines(found), *(_table(found["ablation"]) if ablate else [])]))
    for path in written:
        typer.echo(f"written      {path}")


def _lines(found: dict[str, Any]) -> list[str]:
    longer = f", {found['too_long']:,} more than fit into the context" if found["too_long"] else ""
    lines = [f"{found['questions']:,} questions{longer}, {'' if found['constrained'] else 'not '}constrained"]
    for use, one in found["uses"].items():
        name = {"closed": "without evidence", "shown": "with evidence"}[use]
        lines.append(
            f"\n{name}: {one['questions']:,} questions, {one['answerable']:,} can be answered; {one['ill_posed']:,} "
            f"taken for ill posed, {one['abstained']:,} without an answer that holds, {one['answers']:,} answered, "
            f"{one['right']:,} of these rightly; by itself the model would abstain from {one['declined']:,} of them"
        )
        if use in found["not_fitted"]:
            lines.append(f"not fitted: {found['not_fitted'][use]}")
            continue
        score, held = one["scores"], one["certifying"]
        ranked = "–" if score["auroc"] is None else f"{score['auroc']:.4f}"
        lines.append(f"AUROC {ranked}, AURC {score['aurc']:.4f}, ECE {score['ece']:.4f}, Brier {score['brier']:.4f}")
        lines += one["says"].values()
        refused = held["unanswerable_refused"]
        lines.append(
            f"So of all {held['questions']:,} certifying questions {held['given']:,} get an answer, {held['right']:,} "
            "of them a right one"
            + ("" if refused is None else f"; of those that cannot be answered {refused:.1%} get none")
            + f": {', '.join(f'{name} {count:,}' for name, count in held['decisions'].items())}."
        )
        told = held["refusal"]["all"]
        if told["refused"] is not None:
            lines.append(
                f"A threshold that refuses {told['false_refusal']:.0%} of its {told['right']:,} right answers refuses "
                f"{told['refused']:.1%} of the {told['unanswerable']:,} questions without one "
                f"(AUROC {told['auroc']:.4f}): {_kinds(held['refusal'])}."
            )
    fixed, types = found["repairs"], found["types"]
    lines.append(
        f"\nrepairs      {fixed['repaired']:,} answers tried again: {fixed['fixed']:,} wrong ones became right "
        f"({fixed['fix_rate']:.2%}), {fixed['harmed']:,} right ones did not stay ({fixed['harm_rate']:.2%}): "
        + ("worth it, and on" if fixed["worth_it"] else "not worth it, and off")
    )
    if types["predicted"] is not None:
        said = "" if types["answered"] is None else f", that of an answer in {types['answered']:.1%}"
        lines.append(
            f"types        the likeliest is right in {types['predicted']:.1%}, among those that are open in "
            f"{types['open']:.1%}{said}"
        )
    return lines


def _table(found: dict[str, Any]) -> list[str]:
    """Return the ablation, a way of answering a line, with differences and their intervals."""
    lines = [
        f"\nWithout each part, on {found['questions']:,} questions of {found['units']:,} units, fitted anew; in "
        f"brackets the difference with its 95 % interval, of {found['draws']} draws:",
        f"{'':<22} {'questions':>9} {'answers':>7} {'right':>6}  {'AURC':<34} {'excess AURC':<34} coverage at 5 %",
    ]
    for row in found["ways"]:
        if "aurc" not in row:
            continue  # of no question is it known what would be right
        cells = [_cell(row, score) for score in ("aurc", "excess_aurc", "coverage_at_5")]
        counts = f"{row['of']:>9,} {row['answers']:>7,} {row['right']:>6,}"
        lines.append(f"{row['way']:<22} {counts}  {cells[0]:<34} {cells[1]:<34} {cells[2]}")
    for row in (row for row in found["ways"][1:] if "difference" in row):
        lines.append(f"{row['way']:<22} {_says(row)}")
    return lines


def _kinds(told: dict[str, Any]) -> str:
    """Return how many of each kind of questions without an answer are refused."""
    kinds = {"well_posed": "that are well posed", "ill_posed": "that are ill posed"}
    shares = [
        f"{told[name]['refused']:.1%} of the {told[name]['unanswerable']:,} {words} (AUROC {told[name]['auroc']:.4f})"
        for name, words in kinds.items()
        if told[name]["refused"] is not None
    ]
    return ", ".join(shares)


def _cell(row: dict[str, Any], score: str) -> str:
    if "difference" not in row:
        return f"{row[score]:.4f}"
    more, low, high = row["difference"][score]
    return f"{row[score]:.4f} ({more:+.4f}, {low:+.4f} to {high:+.4f})"


def _says(row: dict[str, Any]) -> str:
    """Return what a row comes to: whether it is worse, better, or as good without, as far as can be told."""
    worse, better = [], []
    for score, (_, low, high) in row["difference"].items():
        less_is_more = score != "coverage_at_5"
        if low > 0 or high < 0:
            (worse if (low > 0) == less_is_more else better).append(score.replace("_", " "))
    if not worse and not better:
        return "makes no difference that can be told: what it takes away adds nothing here"
    said = [f"worse in {', '.join(worse)}"] if worse else []
    return "; ".join(said + ([f"better in {', '.join(better)}"] if better else []))
