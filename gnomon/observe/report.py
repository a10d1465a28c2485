"""One HTML page that shows a run: curves, samples, scores, exports, and the plan with its reasons. Opens offline."""

from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1060px; margin: 2rem auto; padding: 0 1rem; color: #1d2433; }
h1 { margin-bottom: 0 } h2 { margin-top: 2.2rem } .quiet { color: #667085 }
.facts { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0 }
.facts div { background: #f3f5f9; border-radius: 10px; padding: .7rem 1.1rem }
.facts b { display: block; font-size: 1.4rem }
pre { white-space: pre-wrap; background: #f8f6f0; border-left: 4px solid #d9a441; padding: .8rem 1rem;
  border-radius: 4px }
pre i { color: #667085; font-style: normal }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .35rem .6rem; vertical-align: top;
  border-bottom: 1px solid #e4e7ec } td:nth-child(2) { font-variant-numeric: tabular-nums; white-space: nowrap }
"""
HIDDEN = ("reasons", "parameter_table", "dataset_folder")


def report_html(
    name: str,
    plan: dict[str, Any],
    events: list[dict[str, Any]],
    evaluation: dict[str, Any] | None,
    exports: list[dict[str, Any]],
) -> str:
    """Return the page. `events` are those of `read_events`, `exports` rows with name, bytes and what was verified."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(name)}</title><style>{STYLE}</style>",
        f"<h1>{escape(name)}</h1>",
        f"<p class=quiet>{plan['parameters']:,} parameters, dataset {escape(str(plan['dataset']))}</p>",
        _facts(plan, events, evaluation),
        "<h2>Curves</h2>",
        _curves(events).to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False}),
        _measured(events),
        _samples(events),
        _exports(exports),
        _plan(plan),
        _what_happened(events),
    ]
    return "\n".join(parts)


def _of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [e for e in events if e["kind"] == kind]


def _facts(plan: dict[str, Any], events: list[dict[str, Any]], evaluation: dict[str, Any] | None) -> str:
    steps = _of(events, "step")
    facts = [("steps", "none yet")]
    if steps:
        last, done = steps[-1]["step"], steps[-1]["done"]
        of = (
            f"of {plan['steps']:,}"
            if done in (None, last)
            else f"of several sizes, {done / plan['steps']:.0%} of the run"
        )
        facts = [("steps", f"{last:,} {of}")]
        facts.append(("tokens seen", f"{steps[-1]['tokens'] / 1e6:.2f}M"))
        speeds = sorted(s["tokens_per_second"] for s in steps)
        facts.append(("tokens a second, median", f"{speeds[len(speeds) // 2]:,.0f}"))
        facts.append(("most memory", f"{max(s['memory_bytes'] for s in steps) / 2**20:,.0f} MiB"))
    if evaluation:
        facts.append(("validation loss", f"{evaluation['loss']:.4f}"))
        facts.append(("bits per byte", f"{evaluation['bits_per_byte']:.4f}"))
    return "<div class=facts>" + "".join(f"<div>{escape(k)}<b>{escape(v)}</b></div>" for k, v in facts) + "</div>"


def _curves(events: list[dict[str, Any]]) -> go.Figure:
    figure = make_subplots(
        rows=2,
        cols=2,
        subplot_titles=("Loss (nats a token)", "Learning rate", "Tokens a second", "Gradient norm"),
    )
    steps, validations = _of(events, "step"), _of(events, "validated")
    x = [s["step"] for s in steps]
    for row, col, key, color in (
        (1, 1, "loss", "#9db4d8"),
        (1, 2, "lr", "#3b6fb6"),
        (2, 1, "tokens_per_second", "#3b6fb6"),
        (2, 2, "grad_norm", "#9db4d8"),
    ):
        label = "training" if key == "loss" else key
        figure.add_trace(
            go.Scatter(x=x, y=[s[key] for s in steps], name=label, line={"color": color, "width": 1.3}),
            row,
            col,
        )
    figure.add_trace(
        go.Scatter(
            x=[v["step"] for v in validations],
            y=[v["loss"] for v in validations],
            name="validation",
            mode="lines+markers",
            line={"color": "#c2410c"},
            customdata=[v["bits_per_byte"] for v in validations],
            hovertemplate="step %{x}: %{y:.4f} nats a token, %{customdata:.4f} bits per byte",
        ),
        1,
        1,
    )
    figure.update_layout(
        height=680, margin={"l": 50, "r": 20, "t": 40, "b": 30}, showlegend=False, template="plotly_white"
    )
    return figure


def _samples(events: list[dict[str, Any]]) -> str:
    samples = _of(events, "sampled")
    if not samples:
        return ""
    last = max(s["step"] for s in samples)
    shown = [s for s in samples if s["step"] == last]
    texts = "".join(f"<pre><i>{escape(s['prompt'])}</i>{escape(s['text'])}</pre>" for s in shown)
    return f"<h2>Samples</h2><p class=quiet>After step {last:,}; what was given is grey.</p>{texts}"


def _measured(events: list[dict[str, Any]]) -> str:
    """Return what the heads said of questions before the model was asked them, against what it then answered."""
    measured = _of(events, "questions_measured")
    if not measured:
        return ""
    signals = list(dict.fromkeys(name for e in measured for name in e["forecast"]))
    rows = "".join(
        f"<tr><td>{e['step']:,}<td>{e['questions']:,}<td>{e['again']:,}<td>{e['known']:.1%}"
        + "".join(f"<td>{_scored(e['forecast'].get(name))}" for name in signals)
        for e in measured
    )
    heads = "".join(f"<th>{escape(name)}" for name in signals)
    return (
        "<h2>What it knows that it knows</h2><p class=quiet>Questions that it was asked while it trained. Under each"
        " signal, AUROC and calibration error of what the heads had said before it was measured. Measured again: these"
        " had been asked before, and what was measured then is what the heads learn from.</p><table><tr><th>step"
        f"<th>questions<th>measured again<th>answered rightly{heads}{rows}</table>"
    )


def _scored(said: dict[str, float | None] | None) -> str:
    if not said:
        return ""
    return ("–" if (found := said["auroc"]) is None else f"{found:.3f}") + f", {said['ece']:.3f}"


def _exports(exports: list[dict[str, Any]]) -> str:
    if not exports:
        return ""
    rows = "".join(
        f"<tr><td>{escape(e['name'])}<td>{e['bytes'] / 2**20:,.1f} MiB<td>{escape(e['verified'])}" for e in exports
    )
    return f"<h2>Exports</h2><table><tr><th>file<th>size<th>checked against the model{rows}</table>"


def _plan(plan: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(key)}<td>{escape(show(key, value))}<td>{escape(plan['reasons'].get(key, ''))}"
        for key, value in plan.items()
        if key not in HIDDEN
    )
    return f"<h2>Plan</h2><table><tr><th>what<th>value<th>why{rows}</table>"


def _what_happened(events: list[dict[str, Any]]) -> str:
    kinds = (
        "run_started", "checkpoint_damaged", "save_failed", "data_skipped", "micro_rows_changed", "rolled_back",
        "rows_changed", "length_changed", "weights_changed", "request_refused", "text_shifted", "gave_up",
        "run_stopped",
    )  # fmt: skip
    rows = "".join(
        "<tr><td>"
        + escape(e["kind"].replace("_", " "))
        + f"<td>{e.get('step', '')}<td>"
        + escape(str(e.get("why") or e.get("cause") or e.get("reason") or e.get("resumed_from") or ""))
        for e in events
        if e["kind"] in kinds
    )
    return f"<h2>What happened</h2><table><tr><th>event<th>step<th>detail{rows}</table>" if rows else ""


def show(key: str, value: Any) -> str:
    """Return a plan's value as a person writes it: bytes in MiB, seconds as a time, large numbers with separators."""
    if key == "init":
        return f"{value['run']}, {value['checkpoint']}" if value else "none: weights from the seed"
    if value is None:
        return "not prepared yet"
    if key == "shape":
        size = f"{value['layers']} layers of {value['width']}"
        size += f", up to {value['loops']} loops" if "loops" in value else ""
        return f"{size}, vocabulary {value['vocabulary']:,}, context {value['context']}"
    if key.endswith("_bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if key == "seconds":
        return (
            f"{value:,.0f} s" if value < 120 else f"{value / 60:,.1f} min" if value < 7200 else f"{value / 3600:,.1f} h"
        )
    if key == "flops":
        return f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
    return str(value)
