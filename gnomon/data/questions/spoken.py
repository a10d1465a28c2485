"""What is said of a question before it is answered, as control tokens: which there are, in which order, who decides.

    <|type:date|><|known|>1912                   the answer is known
    <|type:date|><|retrieve|>                    it is not, and evidence would help: it is asked for
    <|type:date|><|unknown|><|abstain|>          neither
    <|type:date|><|sufficient|>1912              the evidence that is given is enough
    <|type:date|><|insufficient|><|abstain|>     it is not
    <|ill_posed|><|abstain|>                     nothing could answer this

First the type of the answer, then one word of how matters stand, then the answer or why there is none. These are all:
18 types with five states, and the ill-posed question, which wants no type. A model that recites does so before them,
`<|fact|> The bridge was built in 1912.<|/fact|><|type:date|><|known|>1912`, for it knows better behind it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from gnomon.data.questions.question import Question, each_record
from gnomon.taxonomy import ANSWER_TYPES, QUESTION

State = Literal["known", "retrieve", "unknown", "sufficient", "insufficient", "ill_posed"]

ANSWERED: tuple[State, ...] = ("known", "sufficient")
"""States in which an answer follows."""

_REST: dict[State, tuple[str, ...]] = {
    "known": ("<|known|>",),
    "retrieve": ("<|retrieve|>",),
    "unknown": ("<|unknown|>", "<|abstain|>"),
    "sufficient": ("<|sufficient|>",),
    "insufficient": ("<|insufficient|>", "<|abstain|>"),
    "ill_posed": ("<|ill_posed|>", "<|abstain|>"),
}


@dataclass(frozen=True)
class Decision:
    """What is made of a question: `type` is one of ANSWER_TYPES, None where it is ill posed."""

    state: State
    type: str | None = None

    @property
    def answers(self) -> bool:
        """Whether an answer follows."""
        return self.state in ANSWERED

    @property
    def control(self) -> tuple[str, ...]:
        """The control tokens that say it, in their order."""
        first = () if self.type is None else (f"<|type:{self.type}|>",)
        return first + _REST[self.state]


EVERY: dict[tuple[str, ...], Decision] = {
    made.control: made
    for made in (
        *(Decision(state, type_) for state in _REST if state != "ill_posed" for type_ in ANSWER_TYPES),
        Decision("ill_posed"),
    )
}
"""All decisions, by the control tokens that say them."""


_NAME = re.compile(r"<\|[a-z_:]+\|>")
_NAMES = re.compile(r"(<\|[a-z_:]+\|>)+")
_RECITED = re.compile("{}(.*?){}".format(*map(re.escape, QUESTION[4:6])), re.DOTALL)


@dataclass(frozen=True)
class Thresholds:
    """From which probability on a signal counts as yes."""

    well_posed: float = 0.5
    known: float = 0.5
    retrieve: float = 0.5
    sufficient: float = 0.5


def decision_of(control: Sequence[str]) -> Decision:
    """Return the decision that control tokens say. Raises ValueError for any that say none."""
    made = EVERY.get(tuple(control)) if all(isinstance(token, str) for token in control) else None
    if made is None:
        raise ValueError(
            f"the control tokens {' '.join(map(str, control))!r:.80} say nothing: they are a type and a state, such as "
            "<|type:date|> <|known|>"
        )
    return made


def read_spoken(text: str) -> tuple[Decision | None, str]:
    """Return the decision with which an answer begins and what follows it; None, and all of it, where it begins with
    none. What is recited before is in neither.
    """
    recited = _RECITED.match(text)
    text = text[recited.end() :] if recited else text
    names = _NAMES.match(text)
    said = tuple(_NAME.findall(names.group())) if names else ()
    found = next((n for n in (3, 2) if said[:n] in EVERY), None)
    return (EVERY[said[:found]], text[sum(map(len, said[:found])) :]) if found else (None, text)


def recited_in(text: str) -> str | None:
    """Return what is recited before the decision with which an answer begins; None where nothing is."""
    recited = _RECITED.match(text)
    return recited.group(1).strip() if recited else None


def decide(
    router: Mapping[str, float], coarse: Mapping[str, float], evidence: bool, at: Thresholds = Thresholds()
) -> Decision:
    """Return the decision that probabilities come to: of the router's signals, and of the answer types. `evidence` says
    whether there was some.
    """
    if router["well_posed"] < at.well_posed:
        return Decision("ill_posed")
    type_ = max(coarse, key=coarse.__getitem__)
    if evidence:
        return Decision("sufficient" if router["sufficient"] >= at.sufficient else "insufficient", type_)
    if router["known"] >= at.known:
        return Decision("known", type_)
    return Decision("retrieve" if router["retrieve"] >= at.retrieve else "unknown", type_)


def thresholds_said(path: Path) -> Thresholds | None:
    """Return the thresholds by which a file was spoken, as its first record has them; None where it has none.

    Raises DataError for a file that cannot be read, and for thresholds that are no probabilities.
    """
    return next(each_record(path, _thresholds), None)


def _thresholds(record: Any, name: str) -> Thresholds | None:
    said = record.get("thresholds") if isinstance(record, Mapping) else None
    if said is None:
        return None
    names = sorted(field.name for field in fields(Thresholds))
    whole = isinstance(said, Mapping) and sorted(said) == names
    if not whole or not all(isinstance(said[n], int | float) and 0 <= said[n] <= 1 for n in names):
        raise ValueError(f'"thresholds" is {said!r:.60}: {name} wants a probability for each of {", ".join(names)}')
    return Thresholds(**{n: float(said[n]) for n in names})


def user_words(question: Question) -> str:
    """Return a question as a person types it: its words, and behind them each passage, after `Evidence:`."""
    return "\n\n".join([question.question, *(f"Evidence: {passage}" for passage in question.evidence)])
