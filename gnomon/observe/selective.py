"""One HTML page that shows how well a predictor knows what it knows. Opens offline."""

from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gnomon.observe.report import STYLE

MORE_STYLE = """
.verdict { border-left: 5px solid #2f855a; background: #f0f7f2; padding: .7rem 1rem; border-radius: 4px }
.verdict.bad { border-color: #c2410c; background: #fdf1ec }
td:not(:first-child), th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums }
"""
BLUE, PALE, RED, GREEN, GREY = "#3b6fb6", "#9db4d8", "#c2410c", "#2f855a", "#98a2b3"
NAMES = {
    "questions": "questions",
    "accuracy": "accuracy when all are answered",
    "auroc": "AUROC, right against wrong",
    "average_precision": "average precision",
    "aurc": "AURC",
    "excess_aurc": "excess AURC",
    "coverage_at_1": "coverage at a risk of 1 %, as seen",
    "coverage_at_5": "coverage at a risk of 5 %, as seen",
    "coverage_at_10": "coverage at a risk of 10 %, as seen",
    "refusal_recall": "refusal recall at 5 % false refusal",
    "auroc_to_answer": "AUROC, to be answered or not",
    "ece": "ECE, 15 bins of equal mass",
    "ece_low": "ECE, low end of the 95 % interval",
    "ece_high": "ECE, high end",
    "ece_by_chance": "ECE of a perfect one with as many questions",
    "brier": "Brier score",
    "brier_calibration": "Brier, calibration part",
    "brier_refinement": "Brier, refinement part",
    "log_loss": "log loss, nats",
    "excess_log_loss": "excess log loss, nats",
}
SHOWN_CLASSES = 60


def selective_html(name: str, found: dict[str, Any]) -> str:
    """Return the page of an assessment, as `gnomon calibrate --json` prints it; `name` is its title."""
    certificate, shift = found["certificate"], found.get("shift")
    parts = ", ".join(f"{count:,} to {part}" for part, count in found["parts"].items())
    grouped = sum(found["parts"].values()) != found["questions"] or found["units"] < certificate["questions"]
    head = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(name)}</title>",
        f"<style>{STYLE}{MORE_STYLE}</style><h1>{escape(name)}</h1>",
        f"<p class=quiet>{found['questions']:,} questions: {escape(parts)}. All figures are of those that certify.</p>",
        _verdict(found["says"]["certificate"], certificate["certified"]),
        _verdict(found["says"]["resplits"], found["resplits"]["kept"] >= certificate["confidence"]),
        _verdict(found["says"]["shift"], shift["verdict"] == "kept") if shift else "",
        f"<p class=quiet>{_GROUPED.format(found['units'])}</p>" if grouped else "",
    ]
    figures = [("Risk and coverage", _risk(found)), ("Reliability", _reliability(found)), ("Confidence", _sure(found))]
    for number, (heading, figure) in enumerate(figures):
        drawn = figure.to_html(
            full_html=False, include_plotlyjs=number == 0, div_id=f"figure-{number}", config={"displaylogo": False}
        )
        head.append(f"<h2>{heading}</h2>{drawn}")
    return "\n".join([*head, _scores(found), _signals(found["signals"]), _types(found), _classes(found)])


_GROUPED = (
    "Some questions belong together: there are {:,} groups among those that certify. The bound takes questions as "
    "drawn one by one; the resplits, which draw groups, show what it is worth here."
)


def _verdict(sentence: str, good: bool) -> str:
    return f'<p class="verdict{"" if good else " bad"}">{escape(sentence)}</p>'


def _risk(found: dict[str, Any]) -> go.Figure:
    """Return risk over coverage, with the bound, what was asked for, what was certified, and the shift."""
    figure, certificate, curve = go.Figure(), found["certificate"], found["curve"]
    x, trust = curve["coverage"], f"{certificate['confidence']:.0%}"
    figure.add_scatter(x=x, y=curve["bound"], name=f"upper bound of one test, {trust}", line={"color": PALE})
    figure.add_scatter(x=x, y=curve["risk"], name="risk seen", line={"color": BLUE})
    if shift := found.get("shift"):
        other = shift["curve"]
        figure.add_scatter(x=other["coverage"], y=other["risk"], name="risk seen under shift", line={"color": RED})
        if shift.get("risk") is not None:
            at = {"x": [shift["coverage"]], "y": [shift["risk"]]}
            figure.add_scatter(**at, name="the threshold, shifted", mode="markers", marker=_mark(RED, "x"))
    if certificate["certified"]:
        at = {"x": [certificate["coverage"]], "y": [certificate["bound"]]}
        name = "certified: its bound"
        figure.add_scatter(**at, name=name, mode="markers", marker=_mark(GREEN, "diamond"))
        figure.add_vline(certificate["coverage"], line_dash="dot", line_color=GREEN)
    risk = certificate["risk"]
    figure.add_hline(risk, line_dash="dash", line_color=GREY, annotation_text=f"risk asked for: {risk:.3g}")
    wrong = 1 - found["scores"]["confidence"]["accuracy"]
    top = max(2.5 * risk, 1.3 * wrong, 1.1 * max(found["shift"]["curve"]["risk"][-1:], default=0) if shift else 0.0)
    return figure.update_layout(
        height=420, margin={"t": 30}, template="plotly_white", xaxis_title="coverage: share of questions answered",
        yaxis_title="risk: share of wrong answers", yaxis_range=[0, min(1.0, top)], xaxis_range=[0, 1],
    )  # fmt: skip


def _mark(color: str, symbol: str) -> dict[str, Any]:
    return {"color": color, "size": 11, "symbol": symbol}


def _reliability(found: dict[str, Any]) -> go.Figure:
    """Return what came true over what was said, bin by bin, with how many questions each bin has."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.05)
    figure.add_scatter(x=[0, 1], y=[0, 1], name="perfect", line={"color": GREY, "dash": "dash"}, row=1, col=1)
    for name, key, color in (("as given", "bins_given", PALE), ("confidence", "bins", BLUE)):
        if bins := found.get(key):
            shown = {"x": bins["said"], "customdata": bins["counts"]}
            figure.add_scatter(
                **shown, y=bins["true"], name=name, mode="lines+markers", line={"color": color},
                hovertemplate="said %{x:.3f}, true %{y:.3f}, %{customdata:,} questions", row=1, col=1,
            )  # fmt: skip
    bins = found["bins"]
    figure.add_bar(
        x=bins["said"], y=bins["counts"], name="questions in the bin", marker_color=BLUE, width=0.012, row=2, col=1
    )
    figure.update_yaxes(title_text="share that came true", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="questions", row=2, col=1)
    figure.update_xaxes(title_text="mean confidence of the bin", range=[0, 1], row=2, col=1)
    return figure.update_layout(height=520, margin={"t": 30}, template="plotly_white")


def _sure(found: dict[str, Any]) -> go.Figure:
    """Return how many right and wrong answers have each confidence."""
    figure, counts = go.Figure(), found["histogram"]
    width = 1 / len(counts["right"])
    x = [(i + 0.5) * width for i in range(len(counts["right"]))]
    figure.add_bar(x=x, y=counts["right"], name="right", marker_color=BLUE, width=width)
    figure.add_bar(x=x, y=counts["wrong"], name="wrong", marker_color=RED, width=width)
    if (threshold := found["certificate"]["threshold"]) is not None and found["certificate"]["certified"]:
        figure.add_vline(threshold, line_dash="dash", line_color=GREEN, annotation_text="answered from here on")
    return figure.update_layout(
        barmode="stack", height=320, margin={"t": 30}, template="plotly_white", xaxis_title="confidence",
        yaxis_title="questions", xaxis_range=[0, 1],
    )  # fmt: skip


def _scores(found: dict[str, Any]) -> str:
    columns = dict(found["scores"])
    if shift := found.get("shift"):
        columns["under shift"] = shift["scores"]
    rows = [[label, *(_show(one[key]) for one in columns.values())] for key, label in NAMES.items()]
    return "<h2>Scores</h2>" + _table(["", *columns], rows)


def _signals(signals: dict[str, dict[str, Any]]) -> str:
    rows = [
        [name, *(_show(said.get(key)) for key in ("auroc", "ece", "ece_calibrated", "weight", "a", "b", "c"))]
        for name, said in signals.items()
    ]
    head = ["signal", "AUROC", "ECE as given", "ECE calibrated", "weight", "a", "b", "c"]
    return "<h2>Signals, each by itself</h2>" + _table(head, rows)


def _types(found: dict[str, Any]) -> str:
    rows = [
        [name, _show(s["questions"]), f"{s['right'] / s['questions']:.1%}", f"{s['answered'] / s['questions']:.1%}",
         f"{s['wrong'] / s['answered']:.1%}" if s["answered"] else "–"]
        for name, s in found.get("types", {}).items()
    ]  # fmt: skip
    head = ["type", "questions", "right when all are answered", "answered", "wrong among these"]
    return "<h2>Types</h2>" + _table(head, rows) if rows else ""


def _classes(found: dict[str, Any]) -> str:
    """Return accuracy and macro-F1 of the classes named, and which are taken for which."""
    if not (said := found.get("classes")):
        return ""
    line = f"<p>accuracy {said['accuracy']:.2%}, macro-F1 {said['macro_f1']:.4f} over all questions of the file</p>"
    labels = said["labels"]
    if len(labels) > SHOWN_CLASSES:
        return f"<h2>Classes</h2>{line}"
    figure = go.Figure(go.Heatmap(z=said["confusion"], x=labels, y=labels, colorscale="Blues", showscale=False))
    figure.update_layout(
        height=220 + 22 * len(labels), margin={"t": 20}, template="plotly_white", xaxis_title="named",
        yaxis_title="true", yaxis_autorange="reversed",
    )  # fmt: skip
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, div_id="classes", config={"displaylogo": False})
    return f"<h2>Classes</h2>{line}{drawn}"


def _show(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
