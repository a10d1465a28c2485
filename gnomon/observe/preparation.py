"""One HTML page that shows a dataset: what came in, what went out and why, duplicates side by side, how long texts are.

Opens offline. It is made from what the dataset's folder holds and can be made again at any time.
"""

from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from gnomon.observe.report import STYLE
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import packed_lines

MORE_STYLE = """
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: .6rem 0 1.4rem }
.pair pre { margin: 0; font-size: 13px } mark { background: #fde7b0 } td.number { text-align: right }
"""


def preparation_html(dataset: Dataset) -> str:
    """Return the page of a dataset version."""
    body = dataset.manifest
    title = f"{dataset.name} {dataset.version}"
    figures = [("Where the text went", _flow(body["flow"])), ("Tokens of a document", _lengths(dataset))]
    if body.get("languages"):
        figures.append(("Languages", _languages(body["languages"])))
    if body["near"] and body["near"]["compared"]:
        limit = body["config"]["data"]["dedup"]["near"]
        figures.append(("How like the compared pairs are", _likeness(body["near"]["histogram"], limit)))
    if said := body.get("semantic"):
        limit = body["config"]["data"]["dedup"]["semantic"]
        figures.append(("How like texts are to their nearest other", _meanings(said["histogram"], limit)))
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
        f"<style>{STYLE}{MORE_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p class=quiet>digest {dataset.digest}</p>",
        _facts(body),
    ]
    for number, (heading, figure) in enumerate(figures):
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        parts.append(f"<h2>{heading}</h2>{drawn}")
    ids, lines = _repeated(body.get("repeated_ids", {})), _repeated_lines(body.get("lines"))
    return "\n".join([*parts, _sources(dataset), ids, lines, _samples(dataset), _inputs(body)])


def _facts(body: dict[str, Any]) -> str:
    train, held = body["splits"]["train"], body["splits"]["validation"]
    came = sum(flow["in"][0] for flow in body["flow"].values())
    facts = [
        ("documents in", f"{came:,}"),
        ("documents to train on", f"{train['documents']:,}"),
        ("held out", f"{held['documents']:,}"),
        ("tokens to train on", f"{train['tokens'] / 1e6:,.2f}M"),
        ("bytes a token", f"{train['bytes'] / train['tokens']:.2f}"),
        ("records without use", f"{sum(body['quarantined'].values()):,}"),
    ]
    return "<div class=facts>" + "".join(f"<div>{escape(k)}<b>{escape(v)}</b></div>" for k, v in facts) + "</div>"


def _flow(flow: dict[str, Any]) -> go.Figure:
    """Return the stream of bytes from each source to training, validation and every reason of removal."""
    whole = ["train", "validation", *(["cut"] if any(said.get("cut", [0])[0] for said in flow.values()) else [])]
    ends = [*whole, *sorted({reason for said in flow.values() for reason in said["removed"]})]
    names = [*flow, *(f"{end} out of documents" if end == "cut" else end for end in ends)]
    links = [
        (i, len(flow) + ends.index(end), said.get(end) if end in whole else said["removed"].get(end))
        for i, said in enumerate(flow.values())
        for end in ends
    ]
    links = [(a, b, count) for a, b, count in links if count and count[0]]
    figure = go.Figure(
        go.Sankey(
            node={"label": names, "pad": 18, "thickness": 16},
            link={
                "source": [a for a, _, _ in links],
                "target": [b for _, b, _ in links],
                "value": [count[1] for _, _, count in links],
                "customdata": [count[0] for _, _, count in links],
                "hovertemplate": "%{customdata:,} documents, %{value:,} bytes<extra></extra>",
            },
        )
    )
    return figure.update_layout(height=120 + 40 * len(names), margin={"t": 20, "b": 20})


def _languages(said: dict[str, Any]) -> go.Figure:
    """Return, for each language, the documents of each source, and those of them that were left out."""
    figure = go.Figure()
    for source, counts in said["sources"].items():
        gone = {code: came - kept for code, (came, kept) in counts.items() if came > kept}
        figure.add_bar(x=list(counts), y=[kept for _, kept in counts.values()], name=source)
        if gone:
            figure.add_bar(x=list(gone), y=list(gone.values()), name=f"{source}, left out", marker_opacity=0.4)
    order = {"categoryorder": "total descending"}
    layout = {"barmode": "stack", "height": 340, "margin": {"t": 20}, "xaxis": order}
    return figure.update_layout(**layout, yaxis_title="documents", xaxis_title=f"by {said['by']}")


def _lengths(dataset: Dataset) -> go.Figure:
    figure = go.Figure()
    for source, split in dataset.sources("train").items():
        sizes = np.concatenate([np.diff(offsets.astype(np.int64)) for offsets in split.shard_offsets])
        counts = np.bincount(np.log2(np.maximum(sizes, 1)).astype(int))
        labels = [f"{2**i:,} to {2 ** (i + 1) - 1:,}" for i in range(len(counts))]
        figure.add_bar(x=labels, y=counts.tolist(), name=source)
    return figure.update_layout(height=340, margin={"t": 20}, yaxis_title="documents", xaxis_title="tokens")


def _meanings(histogram: list[int], limit: float) -> go.Figure:
    return _likeness(histogram, limit).update_layout(
        xaxis_title="highest cosine with another text, before any was removed for it", yaxis_title="documents"
    )


def _likeness(histogram: list[int], limit: float) -> go.Figure:
    width = 1 / len(histogram)
    middles = [(i + 0.5) * width for i in range(len(histogram))]
    figure = go.Figure(go.Bar(x=middles, y=histogram, width=width))
    figure.add_vline(limit, line_dash="dash", annotation_text=f"duplicates from {limit:g} on")
    return figure.update_layout(
        height=320, margin={"t": 30}, xaxis_title="Jaccard value of word 5-grams", yaxis_title="pairs", yaxis_type="log"
    )


def _sources(dataset: Dataset) -> str:
    known = {source["name"]: source for source in dataset.manifest["sources"]}
    rows = []
    for name, split in dataset.sources("train").items():
        said = known.get(name, {})
        cells = [name, said.get("domain") or "", said.get("licence") or "not said", f"{split.documents:,}"]
        rows.append([*cells, f"{split.n_tokens:,}", f"{split.n_tokens / dataset.split('train').n_tokens:.1%}"])
    return "<h2>Sources</h2>" + _table(["source", "domain", "licence", "documents", "tokens", "share"], rows)


def _repeated(found: dict[str, dict[str, Any]]) -> str:
    """Return the ids under which different texts stand, a few of each source."""
    if not found:
        return ""
    rows = [[source, *example] for source, said in found.items() for example in said["examples"]]
    count = sum(said["ids"] for said in found.values())
    head = f"<h2>Ids of more than one text: {count:,}</h2>"
    return head + _table(["source", "id", "one text", "another"], rows)


def _repeated_lines(lines: dict[str, Any] | None) -> str:
    """Return what was cut out of documents by source, and the lines that stood in the most of them."""
    if not lines:
        return ""
    cut = [[name, *(f"{n:,}" for n in counts)] for name, counts in lines["cut"].items()]
    said = f"<p>{lines['repeated']:,} lines stood in too many records; the first of these keeps each.</p>"
    most = [[line, f"{records:,}"] for line, records in lines["most"]]
    shown = _table(["source", "documents cut", "lines", "bytes"], cut) + _table(["line", "records"], most)
    return f"<h2>Repeated lines</h2>{said}{shown}"


def _samples(dataset: Dataset) -> str:
    shown: list[str] = []
    last = None
    for said in packed_lines(dataset.folder / "samples.jsonl.zst"):
        if said["reason"] != last:
            last = said["reason"]
            shown.append(f"<h2>Removed: {escape(last)}</h2>")
        detail = f" <span class=quiet>{escape(said['detail'])}</span>" if said.get("detail") else ""
        left = f"<div><b>{escape(said['origin'])}</b>{detail}<pre>{escape(said['text'])}</pre></div>"
        right = ""
        if "kept_text" in said:
            right = f"<div><b>kept: {escape(said['kept_origin'])}</b><pre>{_marked(said)}</pre></div>"
        shown.append(f"<div class=pair>{left}{right}</div>")
    return "\n".join(shown)


def _marked(said: dict[str, str]) -> str:
    """Return the kept text with the words marked that the removed one has not."""
    other = set(said["text"].split())
    words = ((escape(word), set(word.split()) <= other) for word in said["kept_text"].split(" "))
    return " ".join(word if there else f"<mark>{word}</mark>" for word, there in words)


def _inputs(body: dict[str, Any]) -> str:
    rows = [[i["source"], i["name"], i["split"], f"{i['bytes']:,}", i["sha256"][:16]] for i in body["inputs"]]
    return "<h2>Files</h2>" + _table(["source", "file", "split", "bytes", "SHA-256"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
