"""Conversations as ChatML with Hermes tool calls; loss is borne by what the assistant says, with the mark that ends it.

A record has OpenAI's `messages`, with `tools`, `tool_calls` and results of tools; or `prompt` and `completion`; or
`instruction`, `input` and `output`. A turn is

    <|im_start|>user\\nHow warm is it?<|im_end|>\\n

and tools stand behind the system's words as one JSON object a line between `<tools>` and `</tools>`. A call is the
JSON of its name and arguments between `<tool_call>` and `</tool_call>`, each on a line of its own; its result is a turn
of the user between `<tool_response>` and `</tool_response>`. What an assistant says of a question before it answers,
`"control": ["<|type:date|>", "<|known|>"]` of its message, stands before its words as those tokens; and before these,
between `<|fact|>` and `<|/fact|>`, what it recites from memory, `"recitation": "The bridge was built in 1912."`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gnomon.data.document import Part
from gnomon.data.forms.questions import FACT, FACT_END, GAP
from gnomon.data.questions.spoken import decision_of
from gnomon.taxonomy import CHAT, ROUTER, TOOLS, TYPES

START, END = CHAT
CALL, CALL_END, RESULT, RESULT_END, LIST, LIST_END = TOOLS
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
FORM = '"messages", "prompt" and "completion", or "instruction" and "output"'


def chat_parts(record: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a conversation. Raises ValueError with the reason for a record that is none, or in which
    the assistant says nothing.
    """
    messages = _messages(record)
    tools = record.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise ValueError('"tools" is no list of objects')
    parts: list[Part] = []
    if tools:
        said = _text(messages[0]) if messages[0]["role"] in ("system", "developer") else None
        messages = messages if said is None else messages[1:]
        parts += [_mark(START), _frame("system\n"), *([_content(said), _frame("\n\n")] if said else []), _mark(LIST)]
        parts += [_frame("\n" + "\n".join(map(_tool, tools)) + "\n"), _mark(LIST_END), _mark(END), _frame("\n")]
    for message in messages:
        parts += _turn(message)
    said = any(part.loss and part.kind == "content" and part.text.strip() for part in parts)
    if not said and not any(message.get("control") for message in messages):
        raise ValueError("the assistant says nothing in it, so that nothing bears loss")
    return parts


def spoken_in(parts: Sequence[Part]) -> str:
    """Return the control tokens of a conversation, by which it differs from another, or a question, of equal text."""
    return "".join(part.text for part in parts if part.kind == "mark" and part.text in _CONTROL)


_CONTROL = frozenset((*ROUTER, *TYPES))


def asked_parts(words: str) -> list[Part]:
    """Return the parts of a prompt: a user's words, and the beginning of the assistant's turn."""
    return [*_turn({"role": "user", "content": words}), _mark(START), _frame("assistant\n")]


def _turn(message: Mapping[str, Any]) -> list[Part]:
    role = message["role"]
    for name in ("control", "recitation"):
        if message.get(name) is not None and role != "assistant":
            raise ValueError(f'a message of the role {role!r} has "{name}", which only an assistant says')
    if role == "assistant":
        return [_mark(START), _frame("assistant\n"), *_said(message), Part("mark", END, True), _frame("\n")]
    if role in ("tool", "function"):
        result = [_mark(RESULT), _frame("\n"), _content(_text(message)), _frame("\n"), _mark(RESULT_END)]
        return [_mark(START), _frame("user\n"), *result, _mark(END), _frame("\n")]
    who = "system" if role == "developer" else role
    return [_mark(START), _frame(f"{who}\n"), _content(_text(message)), _mark(END), _frame("\n")]


def _said(message: Mapping[str, Any]) -> list[Part]:
    """Return what the assistant says: a recitation, control tokens, its words, then calls, each on lines of its own."""
    text, parts = _text(message), list[Part]()
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ValueError('"tool_calls" is no list')
    first = _recitation(message) + _control(message, text, calls)
    for call in [None, *calls] if text or not calls else calls:
        if parts:
            parts.append(Part("frame", "\n", True))
        if call is None:
            parts.append(Part("content", text, True))
            continue
        parts += [Part("mark", CALL, True), Part("frame", "\n", True), Part("content", _call(call), True)]
        parts += [Part("frame", "\n", True), Part("mark", CALL_END, True)]
    return first + parts


def _recitation(message: Mapping[str, Any]) -> list[Part]:
    """Return what a message recites; raises ValueError where that is no text or nothing is decided behind it."""
    text = message.get("recitation")
    if text is None:
        return []
    if not isinstance(text, str) or not text.strip() or message.get("control") is None:
        raise ValueError('"recitation" is no text, or has no "control" beside it, which is said behind it')
    said = [Part("frame", GAP, True), Part("content", text, True)]
    return [Part("mark", FACT, True), *said, Part("mark", FACT_END, True)]


def _control(message: Mapping[str, Any], text: str, calls: Sequence[Any]) -> list[Part]:
    """Return the control tokens of a message; raises ValueError where its words belie them."""
    control = message.get("control")
    if control is None:
        return []
    if not isinstance(control, list):
        raise ValueError('"control" is no list')
    decision = decision_of(control)
    if decision.answers and not text.strip():
        raise ValueError(f"a message is {decision.state} and says no answer")
    if text.strip() and not decision.answers:
        raise ValueError(f"a message is {decision.state} and has words: no answer follows that")
    if calls and decision.state != "retrieve":
        raise ValueError(f"a message is {decision.state} and calls a tool: only one that wants to retrieve does")
    return [Part("mark", token, True) for token in control]


def _call(call: Any) -> str:
    """Return a call as the JSON of its name and arguments."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError("a tool call has no name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments) and arguments
        except orjson.JSONDecodeError:
            raise ValueError(f"the arguments of a call of {function['name']:.40} are no JSON") from None
    given = arguments if isinstance(arguments, str) and arguments else _json(arguments)
    return f'{{"name": {_json(function["name"])}, "arguments": {given}}}'


def _tool(tool: Mapping[str, Any]) -> str:
    """Return a tool's description as JSON: name first, and what it takes in an order that no copy of it can change."""
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError("a tool has no name")
    first = {name: function[name] for name in ("name", "description") if name in function}
    if "parameters" in function:
        first["parameters"] = json.loads(json.dumps(function["parameters"], sort_keys=True))
    return _json({"type": "function", "function": first})


def _messages(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the turns of a conversation, each with a role that is known."""
    messages = record.get("messages")
    if messages is None and "completion" in record:
        messages = [_plain("user", record, "prompt"), _plain("assistant", record, "completion")]
    elif messages is None and "output" in record:
        asked, more = _plain("user", record, "instruction"), record.get("input") or ""
        if not isinstance(more, str):
            raise ValueError('"input" is no text')
        asked["content"] += f"\n\n{more}" if more else ""
        messages = [asked, _plain("assistant", record, "output")]
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"it has no {FORM}")
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, Mapping) else message
            raise ValueError(f"a message has the role {role!r:.40}: roles are {', '.join(ROLES)}")
    return messages


def _plain(role: str, record: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(record.get(key), str):
        raise ValueError(f'"{key}" is no text')
    return {"role": role, "content": record[key]}


def _text(message: Mapping[str, Any]) -> str:
    """Return the words of a message; "" where it has none."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    every = content if isinstance(content, list) else [content]
    texts = [one.get("text") if isinstance(one, Mapping) else None for one in every]
    if not isinstance(content, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a message holds something else than text")
    return "".join(map(str, texts))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _mark(name: str) -> Part:
    return Part("mark", name)


def _frame(text: str) -> Part:
    return Part("frame", text)


def _content(text: str) -> Part:
    return Part("content", text)
