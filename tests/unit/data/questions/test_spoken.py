"""What is said before an answer: every decision is read back as itself, from tokens and text; nothing else is one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.forms.chat import chat_parts
from gnomon.data.forms.form import Form, document_of
from gnomon.data.questions.question import Question
from gnomon.data.questions.spoken import EVERY, Decision, Thresholds, decide, decision_of, read_spoken, recited_in
from gnomon.evaluate.speaking import Spoken
from gnomon.taxonomy import ANSWER_TYPES, ROUTER, ROUTER_SIGNALS, TYPES

DECISIONS = [Decision("ill_posed")] + [
    Decision(state, type_)  # type: ignore[arg-type]
    for state in ("known", "retrieve", "unknown", "sufficient", "insufficient")
    for type_ in ANSWER_TYPES
]


@pytest.mark.parametrize("evidence", [(), ("Ada met Ben in 1912.",)])
def test_every_decision_is_read_back_from_its_tokens_its_text_and_its_record(evidence: tuple[str, ...]) -> None:
    assert len(DECISIONS) == 91 == len({d.control for d in DECISIONS}) and set(EVERY) == {d.control for d in DECISIONS}
    for decision in DECISIONS:
        assert decision_of(decision.control) == decision
        for answer in ("", "1912", "<|type:date|>", " <|known|>", "<tool_call>"):
            assert read_spoken("".join(decision.control) + answer) == (decision, answer)
        for recited in (None, "It began\nin 1912. <|known|>"):
            question = Question("q", "When?", answers=("1912",), evidence=evidence)
            record = Spoken(question, decision, Thresholds(), recitation=recited).record
            assert record is not None
            parts = chat_parts(record)
            at = next(i for i, part in enumerate(parts) if part.text == "assistant\n") + 1
            said = [part.text for part in parts[at:] if part.text and part.loss]
            first = ["<|fact|>", " ", recited, "<|/fact|>"] if recited else []
            assert said == [*first, *decision.control, *[" 1912"] * decision.answers, "<|im_end|>"]
            assert read_spoken("".join(said[:-1])) == (decision, " 1912" * decision.answers)
            assert recited_in("".join(said)) == recited
            assert document_of(record, Form("chat"), "here").text.startswith("When?")


tokens = st.sampled_from((*ROUTER, *TYPES, "<|im_end|>", "known", ""))


@given(said=st.lists(tokens, max_size=4), answer=st.sampled_from(["", "1912", " x"]))
def test_no_other_tokens_say_anything(said: list[str], answer: str) -> None:
    if tuple(said) in EVERY:
        return
    with pytest.raises(ValueError, match="say nothing"):
        decision_of(said)
    with pytest.raises(ValueError, match="say nothing"):
        chat_parts({"messages": [user(), {"role": "assistant", "content": "1912", "control": said}]})
    found, rest = read_spoken("".join(said) + answer)
    assert "".join(found.control if found else ()) + rest == "".join(said) + answer


SIGNALS = ("well_posed", "known", "retrieve", "sufficient")


@given(
    router=st.fixed_dictionaries(dict.fromkeys(ROUTER_SIGNALS, st.floats(0, 1))),
    coarse=st.fixed_dictionaries(dict.fromkeys(ANSWER_TYPES, st.floats(0, 1))),
    at=st.tuples(*[st.floats(0, 1)] * 4),
    evidence=st.booleans(),
)
def test_what_is_decided_follows_from_the_first_signal_that_decides(
    router: dict[str, float], coarse: dict[str, float], at: tuple[float, ...], evidence: bool
) -> None:
    made = decide(router, coarse, evidence, Thresholds(*at))
    yes = {name: router[name] >= limit for name, limit in zip(SIGNALS, at, strict=True)}
    assert (made.state == "ill_posed") == (not yes["well_posed"]) == (made.type is None)
    assert made.answers == (yes["well_posed"] and yes["sufficient" if evidence else "known"])
    wishes = yes["well_posed"] and not evidence and not yes["known"] and yes["retrieve"]
    assert (made.state == "retrieve") == wishes
    assert made.type is None or coarse[made.type] == max(coarse.values())
    assert made in DECISIONS


def user(**more: Any) -> dict[str, Any]:
    return {"role": "user", "content": "When?", **more}


KNOWN, RETRIEVE, ABSTAIN = (Decision(s, "date").control for s in ("known", "retrieve", "unknown"))  # type: ignore[arg-type]
CALL = [{"function": {"name": "search", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (user(control=list(KNOWN)), "only an assistant"),
        (user(recitation="It was."), "only an assistant"),
        ({"role": "assistant", "content": "x", "recitation": "It was."}, "said behind it"),
        ({"role": "assistant", "content": "x", "control": list(KNOWN), "recitation": " "}, "no text"),
        ({"role": "assistant", "content": "x", "control": list(KNOWN), "recitation": ["It was."]}, "no text"),
        ({"role": "assistant", "content": "x", "control": "<|known|>"}, "no list"),
        ({"role": "assistant", "content": "x", "control": [KNOWN]}, "say nothing"),
        ({"role": "assistant", "content": "x", "control": []}, "say nothing"),
        ({"role": "assistant", "content": " ", "control": list(KNOWN)}, "says no answer"),
        ({"role": "assistant", "content": "1912", "control": list(ABSTAIN)}, "has words"),
        ({"role": "assistant", "content": "1912", "control": list(RETRIEVE)}, "has words"),
        ({"role": "assistant", "content": "1912", "control": list(KNOWN), "tool_calls": CALL}, "calls a tool"),
    ],
)
def test_a_message_that_belies_itself_is_refused(message: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        chat_parts({"messages": [user(), message, {"role": "assistant", "content": "Well."}]})


def test_a_wish_to_retrieve_may_call_a_tool() -> None:
    message = {"role": "assistant", "content": "", "control": list(RETRIEVE), "tool_calls": CALL}
    said = [part.text for part in chat_parts({"messages": [user(), message]}) if part.loss and part.text]
    assert said[:3] == [*RETRIEVE, "<tool_call>"]


def test_a_question_that_heads_would_answer_and_that_has_no_answer_is_left_out() -> None:
    assert Spoken(Question("q", "When?"), Decision("known", "date"), Thresholds()).record is None
    assert Spoken(Question("q", "When?"), None, Thresholds()).record is None
    assert Spoken(Question("q", "When?"), Decision("unknown", "date"), Thresholds()).record is not None
