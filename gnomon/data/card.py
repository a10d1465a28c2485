"""The card of a dataset: what it holds and what was left out, for people to read."""

from typing import Any


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
    lines += ["", f"Tokenizer: {learned['tokens']:,} tokens, cut as `{learned['pretokenizer']}`."]
    lines[-1] += f" The training text has {train['bytes'] / train['tokens']:.2f} bytes a token."
    if learned["vocabulary"] < learned["requested"]:
        lines[-1] += f" The text supports no more: {learned['requested']:,} were wanted."
    for title, counts in (("Left out", body["removed"]), ("Could not be used", body["quarantined"])):
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{n:,} ({reason})" for reason, n in counts.items()) + ".")
    lines += [
        "",
        "Sources:",
        *(f"- {s['name']} ({s['bytes']:,} bytes, {s['split']})" for s in body["inputs"]),
    ]
    return "\n".join(lines) + "\n"
