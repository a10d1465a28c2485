"""A benchmark's chart: one page that opens offline."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

OURS, THEIRS, LIMIT = "#1f5fa8", "#b4551d", "#9aa3b2"


def chart(found: dict[str, Any]) -> str:
    """Return a page with tokens a second of everyone, one panel a size; whiskers reach to the lowest and highest."""
    sizes = found["sizes"]
    figure = make_subplots(rows=len(sizes), cols=1, subplot_titles=[f"{name}: tokens a second" for name in sizes])
    for panel, size in enumerate(sizes.values(), start=1):
        rows = sorted(size["table"].items(), key=lambda item: item[1]["tokens_per_second"])
        medians = [row["tokens_per_second"] for _, row in rows]
        figure.add_trace(
            go.Bar(
                x=medians,
                y=[name for name, _ in rows],
                orientation="h",
                marker_color=[_colour(name, row) for name, row in rows],
                error_x={
                    "array": [row["highest"] - row["tokens_per_second"] for _, row in rows],
                    "arrayminus": [row["tokens_per_second"] - row["lowest"] for _, row in rows],
                },
                text=[f"{median:,.0f}" for median in medians],
            ),
            row=panel,
            col=1,
        )
    figure.update_layout(height=90 + 380 * len(sizes), showlegend=False, template="plotly_white")
    return figure.to_html(include_plotlyjs=True, config={"displaylogo": False})


def curves(runs: dict[str, list[tuple[float, float]]]) -> str:
    """Return a page with the loss of every run, (seconds, nats), against the time since its process began."""
    figure = go.Figure()
    for name, points in runs.items():
        seconds, losses = zip(*points, strict=True)
        colour = OURS if name.startswith("Gnomon") else THEIRS
        figure.add_trace(go.Scatter(x=seconds, y=losses, name=name, mode="lines+markers", line_color=colour))
    figure.update_layout(
        xaxis_title="seconds since the process began",
        yaxis_title="loss on held-out text, nats a token",
        template="plotly_white",
    )
    return figure.to_html(include_plotlyjs=True, config={"displaylogo": False})


def _colour(name: str, row: dict[str, Any]) -> str:
    if row["parameters"] is None:
        return LIMIT
    return OURS if name.startswith("Gnomon") else THEIRS
