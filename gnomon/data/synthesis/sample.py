"""A synthetic sample: what is asked and answered, and the little world from which the answer was computed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gnomon.taxonomy import ANSWER_TYPES, SPECIAL_TOKENS

FAMILIES = ("perspectives", "tools", "knowledge", "reasoning")
"""Perspectives, tool use, self-knowledge, mixed reasoning."""

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Question:
    """What is asked, what is right, and what a router and a schema head should say about it.

    `evidence` is a list of `{"document", "start", "end", "text"}`, characters of `documents[document]`. `None` where a
    label does not apply: `sufficient` without documents, `fine_type` of a boolean.
    """

    question: str
    answer: str
    answers: tuple[str, ...]
    type: str
    fine_type: str | None = None
    answerable: bool = True
    well_posed: bool = True
    known: bool | None = None
    retrieve: bool | None = None
    sufficient: bool | None = None
    documents: tuple[str, ...] = ()
    evidence: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Sample:
    """One sample of a family. `messages` and `tools` are OpenAI's; `world` is what a checker computes from."""

    family: str
    kind: str
    split: str
    template: str
    phrases: tuple[str, ...]
    question: Question
    messages: tuple[dict[str, Any], ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    world: dict[str, Any] = field(default_factory=dict)


def as_record(sample: Sample) -> dict[str, Any]:
    """Return the sample as plain JSON values."""
    record = asdict(sample)
    for holder, name in ((record, "phrases"), (record, "messages"), (record, "tools")):
        holder[name] = list(holder[name])
    for name in ("answers", "documents", "evidence"):
        record["question"][name] = list(record["question"][name])
    return record


def from_record(record: Mapping[str, Any]) -> Sample:
    """Return the sample of a record. Raises ValueError that says which field is wrong and how."""
    shape(record, _SAMPLE, "record")
    shape(record["question"], _QUESTION, "question")
    _one_of(record["family"], FAMILIES, "family")
    _one_of(record["split"], SPLITS, "split")
    _one_of(record["question"]["type"], ANSWER_TYPES, "question.type")
    question: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record["question"].items()}
    for message in record["messages"]:
        _check_message(message)
    _no_special_tokens(record)
    _check_evidence(record["question"])
    taken = {f.name: record[f.name] for f in fields(Sample) if f.name != "question"}
    taken |= {name: tuple(record[name]) for name in ("phrases", "messages", "tools")}
    return Sample(**taken, question=Question(**question))


_TEXT, _TEXTS, _OBJECTS, _FLAG = str, (list, str), (list, dict), (bool, type(None))
_SAMPLE = {
    "family": _TEXT, "kind": _TEXT, "split": _TEXT, "template": _TEXT, "phrases": _TEXTS, "question": dict,
    "messages": _OBJECTS, "tools": _OBJECTS, "world": dict, "id": _TEXT,
}  # fmt: skip
_QUESTION = {
    "question": _TEXT, "answer": _TEXT, "answers": _TEXTS, "type": _TEXT, "fine_type": (str, type(None)),
    "answerable": bool, "well_posed": bool, "known": _FLAG, "retrieve": _FLAG, "sufficient": _FLAG,
    "documents": _TEXTS, "evidence": _OBJECTS,
}  # fmt: skip
_MESSAGE = {
    "system": {"role": _TEXT, "content": _TEXT},
    "user": {"role": _TEXT, "content": _TEXT},
    "assistant": {"role": _TEXT, "content": _TEXT},
    "tool": {"role": _TEXT, "content": _TEXT, "tool_call_id": _TEXT, "name": _TEXT},
}


def shape(value: Any, wanted: Mapping[str, Any], where: str) -> None:
    """Raise ValueError unless `value` is an object with exactly the wanted fields, each of its type."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is not an object")
    if missing := sorted(wanted.keys() - value.keys()):
        raise ValueError(f"{where} lacks {missing[0]}")
    if extra := sorted(value.keys() - wanted.keys()):
        raise ValueError(f"{where} has an unknown field {extra[0]}")
    for name, kind in wanted.items():
        got = value[name]
        if isinstance(kind, tuple) and kind[0] is list:
            good = isinstance(got, list) and all(isinstance(one, kind[1]) for one in got)
        else:
            good = isinstance(got, kind)
        if not good:
            raise ValueError(f"{where}.{name} has the wrong type")


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise ValueError(f"{where} is {value!r}, not one of {', '.join(allowed)}")


def _check_message(message: dict[str, Any]) -> None:
    _one_of(str(message.get("role")), tuple(_MESSAGE), "message.role")
    wanted: dict[str, Any] = dict(_MESSAGE[message["role"]])
    if message["role"] == "assistant" and "tool_calls" in message:
        wanted["tool_calls"] = _OBJECTS
    shape(message, wanted, "message")
    for call in message.get("tool_calls", ()):
        shape(call, {"id": _TEXT, "type": _TEXT, "function": dict}, "tool_call")
        shape(call["function"], {"name": _TEXT, "arguments": _TEXT}, "tool_call.function")


def _no_special_tokens(value: Any) -> None:
    """Raise where a text holds a special token's letters: rendered, it would be read as the token."""
    if isinstance(value, str):
        if ("<" in value) and (found := next((t for t in SPECIAL_TOKENS if t in value), None)):
            raise ValueError(f"a text holds the special token {found}")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            _no_special_tokens(name)
            _no_special_tokens(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _no_special_tokens(one)


def _check_evidence(question: Mapping[str, Any]) -> None:
    for one in question["evidence"]:
        shape(one, {"document": int, "start": int, "end": int, "text": str}, "evidence")
        if not 0 <= one["document"] < len(question["documents"]):
            raise ValueError("evidence names a document that is not there")
        if question["documents"][one["document"]][one["start"] : one["end"]] != one["text"] or not one["text"]:
            raise ValueError("evidence is not the text at its place")
    if question["answerable"] and not question["answers"]:
        raise ValueError("an answerable question has no answer")
    if question["answerable"] and question["answer"] not in question["answers"]:
        raise ValueError("the answer is not among the answers")
