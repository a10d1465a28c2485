"""A sample as one text with special tokens, and which of its characters the model is to learn to say."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from gnomon.data.synthesis.sample import Sample

MARKERS = {"perspectives": "<perspective>", "tools": "<tool>", "knowledge": "<consciousness>", "reasoning": ""}


@dataclass(frozen=True)
class Rendered:
    """A text, and the character spans `(start, end)` that bear loss, in order, without overlap."""

    text: str
    spans: tuple[tuple[int, int], ...]


def render(sample: Sample) -> Rendered:
    """Return the sample's text: ChatML with Hermes tool calls, or, for a question without messages, the question
    layout.

    Loss is borne by what the model itself says: its turns with the mark that ends them; in the question layout the
    control tokens after `<|/q|>` and `<|/ctx|>` and all from behind `<|a|>` on.
    """
    parts = _chat(sample) if sample.messages else _asked(sample)
    text, spans = [MARKERS[sample.family]], []
    at = len(text[0])
    for part, bears in parts:
        if bears and part:
            if spans and spans[-1][1] == at:
                spans[-1] = (spans[-1][0], at + len(part))
            else:
                spans.append((at, at + len(part)))
        text.append(part)
        at += len(part)
    return Rendered("".join(text), tuple(spans))


def sample_id(sample: Sample, rendered: Rendered) -> str:
    """Return the family and 16 hex digits of the SHA-256 of the rendered text."""
    return f"{sample.family}-{hashlib.sha256(rendered.text.encode()).hexdigest()[:16]}"


def _chat(sample: Sample) -> Iterator[tuple[str, bool]]:
    messages = list(sample.messages)
    if sample.tools:
        first = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
        listed = "\n".join(map(_tool, sample.tools))
        head = f"{first}\n\n" if first else ""
        yield f"<|im_start|>system\n{head}<tools>\n{listed}\n</tools><|im_end|>\n", False
    for message in messages:
        if message["role"] == "assistant":
            yield "<|im_start|>assistant\n", False
            yield _said(message) + "<|im_end|>", True
            yield "\n", False
        elif message["role"] == "tool":
            yield f"<|im_start|>user\n<tool_response>\n{message['content']}\n</tool_response><|im_end|>\n", False
        else:
            yield f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n", False


def _tool(tool: dict) -> str:
    """Return a tool's description as JSON: name first, and below that in an order that no copy of it can change."""
    function = tool["function"]
    parameters = json.loads(json.dumps(function["parameters"], sort_keys=True))
    first = {"name": function["name"], "description": function["description"], "parameters": parameters}
    return json.dumps({"type": tool["type"], "function": first}, ensure_ascii=False)


def _said(message: dict) -> str:
    calls = [
        f'<tool_call>\n{{"name": {json.dumps(call["function"]["name"], ensure_ascii=False)}, '
        f'"arguments": {call["function"]["arguments"]}}}\n</tool_call>'
        for call in message.get("tool_calls", ())
    ]
    return "\n".join([*([message["content"]] if message["content"] else []), *calls])


def _asked(sample: Sample) -> Iterator[tuple[str, bool]]:
    asked = sample.question
    yield f"<|q|>{asked.question}<|/q|>", False
    if asked.well_posed:
        known = "" if asked.known is None else "<|known|>" if asked.known else "<|unknown|>"
        retrieve = "" if asked.retrieve is None else "<|retrieve|>" if asked.retrieve else "<|no_retrieve|>"
        yield f"{known}<|type:{asked.type}|>{retrieve}", True
    else:
        yield "<|ill_posed|>", True
    if asked.documents:
        yield "<|ctx|>" + "".join(f"<|doc|>{document}<|/doc|>" for document in asked.documents) + "<|/ctx|>", False
        if asked.sufficient is not None:
            yield "<|sufficient|>" if asked.sufficient else "<|insufficient|>", True
    yield "<|a|>", False
    said = f"<|answerable|><|answer|>{asked.answer}" if asked.answerable else "<|unanswerable|><|abstain|>"
    yield f"{said}<|/a|>", True
