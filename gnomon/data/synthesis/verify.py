"""Whether a sample is right: its answer computed again from its world, its calls made again, its reply in line."""

import re
from collections.abc import Callable

from gnomon.base.errors import DataError
from gnomon.data.synthesis import check_answers, check_tools, check_views
from gnomon.data.synthesis.sample import Sample

_CHECKS: dict[str, Callable[[Sample], str]] = {
    "belief": check_views.check_belief,
    "seats": check_views.check_seats,
    "speech": check_views.check_speech,
    "retell": check_views.check_retelling,
    "witness": check_views.check_witnesses,
}


def verify(sample: Sample) -> None:
    """Return nothing if the sample is right. Raises DataError that says what is wrong."""
    try:
        if sample.family == "tools":
            check_tools.check_calls(sample)
        elif sample.tools or any("tool_calls" in message for message in sample.messages):
            raise ValueError("tools have no place in this family")
        answer = _answer(sample)
        if answer != sample.question.answer:
            raise ValueError(f"the answer is {answer!r}, the sample says {sample.question.answer!r}")
        if sample.question.answerable != bool(answer):
            raise ValueError("`answerable` does not agree with the answer")
        _check_reply(sample)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, StopIteration) as e:
        raise DataError(f"a {sample.family} sample ({sample.kind}) is wrong: {e or type(e).__name__}") from e


def _answer(sample: Sample) -> str:
    match sample.family:
        case "perspectives":
            return _CHECKS[sample.kind.partition("-")[0]](sample)
        case "tools":
            return check_tools.check_tool_answer(sample)
        case "knowledge":
            return check_answers.check_knowledge(sample)
    return check_answers.check_reasoning(sample)


def _check_reply(sample: Sample) -> None:
    """Raise unless the question is in what the user says, and the answer in what the assistant says last."""
    if not sample.messages:
        return
    asked, answer = sample.question.question, sample.question.answer
    if not any(asked in m["content"] for m in sample.messages if m["role"] == "user"):
        raise ValueError("the user does not ask the question")
    last = sample.messages[-1]
    if last["role"] != "assistant" or "tool_calls" in last:
        raise ValueError("the conversation does not end with an answer")
    if sample.question.type == "boolean":
        found = re.search(r"^(Yes|No)\b|\b(yes|no)\.$", last["content"])
        said = found[0].lower().removesuffix(".") if found else "unknown"
        if answer != said:
            raise ValueError(f"the reply says {said}, the answer is {answer}")
    elif not any(one.lower() in last["content"].lower() for one in sample.question.answers or ("",)):
        raise ValueError("the reply does not hold the answer")
