"""The card of a dataset: what it holds and what was left out, for people to read."""

from collections import Counter
from typing import Any

MOST_FILES = 20  # that the card names
_KINDS = {"words": ", whole words and bytes", "unigram": " chosen by score"}


def card_of(body: dict[str, Any]) -> str:
    """Return the page in Markdown that says what a dataset holds, from its manifest."""
    lines = [
        f"# {body['name']}",
        "",
        "| split | documents | tokens | bytes of text |",
        "|---|---:|---:|---:|",
    ]
    for name, split in body["splits"].items():
        lines.append(f"| {name} | {split['documents']:,} | {split['tokens']:,} | {split['bytes']:,} |")
    train, learned = body["splits"]["train"], body["tokenizer"]
    rule = f"cut as `{learned['pretokenizer']}`" if learned["pretokenizer"] else "cut by a rule of its own"
    lines += ["", f"Tokenizer: {learned['tokens']:,} tokens{_KINDS.get(learned.get('kind', ''), '')}, {rule}."]
    lines[-1] += f" The training text has {train['bytes'] / train['tokens']:.2f} bytes a token."
    if learned["vocabulary"] < learned["requested"]:
        lines[-1] += f" The text supports no more: {learned['requested']:,} were wanted."
    said = {
        "Left out": body["removed"],
        "Could not be used": body["quarantined"],
        "Mended": body["repaired"],
        "Replaced": body["replaced"],
    }
    if held := body["contamination"]:
        suites = ", ".join(held["suites"])
        lines.append(f"Searched for {held['searched']:,} texts of {suites}: {held['documents']:,} documents hold some.")
        lines[-1] += f" {held['too_short']:,} items are too short to be searched for."
    for source, repeated in body["repeated_ids"].items():
        ids, records, (own, first, second) = repeated["ids"], repeated["records"], repeated["examples"][0]
        lines.append(f"{ids:,} ids of source {source} stand for more than one text, in {records:,} records:")
        lines[-1] += f" `{own}` in {first} and {second}."
    if found := body.get("lines"):
        documents, cut, size = (sum(column) for column in zip([0, 0, 0], *found["cut"].values(), strict=True))
        lines.append(f"Cut out as found: {cut:,} lines of {documents:,} documents, {size:,} bytes.")
    if told := body.get("languages"):
        languages = Counter[str]()
        for counts in told["sources"].values():
            languages.update({code: came for code, (came, _) in counts.items()})
        said = {f"Languages, by {told['by']}": dict(languages.most_common())} | said
    for title, counts in said.items():
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{n:,} ({reason})" for reason, n in counts.items()) + ".")
    lines += [
        "",
        "| source | documents in | to train on | held out | left out | licence |",
        "|---|---:|---:|---:|---:|---|",
    ]
    licences = {source["name"]: source["licence"] for source in body["sources"]}
    for name, flow in body["flow"].items():
        gone = sum(count for count, _ in flow["removed"].values())
        counts = [flow["in"][0], flow["train"][0], flow["validation"][0], gone]
        lines.append(f"| {name} | " + " | ".join(f"{n:,}" for n in counts) + f" | {licences.get(name) or 'not said'} |")
    for name, flow in body["flow"].items():
        if flow["in"][0] and not flow["train"][0] + flow["validation"][0]:
            why = ", ".join(f"{count:,} {reason}" for reason, (count, _) in flow["removed"].items())
            lines += ["", f"**Nothing of source {name} is left**: {why}."]
    shown = [f"- {s['source']}: {s['name']} ({s['bytes']:,} bytes, {s['split']})" for s in body["inputs"][:MOST_FILES]]
    more = len(body["inputs"]) - len(shown)
    lines += ["", "Files:", *shown, *([f"- and {more:,} more, see manifest.json"] if more else [])]
    return "\n".join(lines) + "\n"
