"""What a model's heads say of questions, as conversations: what an instruction stage teaches it to say aloud."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gnomon.base.progress import Progress
from gnomon.bundle import Bundle, refuse_without_heads
from gnomon.data.forms.questions import GAP, question_parts
from gnomon.data.questions.question import Question
from gnomon.data.questions.spoken import Decision, Thresholds, decide, user_words
from gnomon.evaluate.readings import readings_of


@dataclass(frozen=True)
class Spoken:
    """A question and what the heads make of it, `at` some thresholds: None where it is longer than the context.
    `labels` are what they say of it as the form `questions` reads it: signals, and types of at least one in ten
    thousand.
    """

    question: Question
    decision: Decision | None
    at: Thresholds
    labels: dict[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any] | None:
        """The conversation, as the form `chat` reads it, with the thresholds; None where there is none to write: the
        question is too long, or an answer should follow and none is known.
        """
        made, answers = self.decision, self.question.answers
        if made is None or (made.answers and not answers):
            return None
        content = GAP + answers[0] if made.answers else ""  # as the model has learned to say it
        said = {"role": "assistant", "control": list(made.control), "content": content}
        messages = [{"role": "user", "content": user_words(self.question)}, said]
        return {"id": self.question.id, "messages": messages, "thresholds": asdict(self.at)}


def speak(bundle: Bundle, questions: Sequence[Question], at: Thresholds, progress: Progress) -> Iterator[Spoken]:
    """Yield each question with what the model's heads make of it, in their order.

    They are read in the layout of questions, before any answer. Raises DataError for a model that has not both kinds of
    heads.
    """
    refuse_without_heads(bundle, ("router", "types"))
    bare = [replace(question, answers=(), answerable=None, well_posed=None) for question in questions]
    readings = readings_of(bundle, [question_parts(question) for question in bare], progress)
    for question, said in zip(questions, readings, strict=True):
        if said is None:
            yield Spoken(question, None, at)
            continue
        router = {name: p for reading in said for name, p in reading.router.items()}
        labels: dict[str, Any] = {name: round(p, 4) for name, p in router.items()}
        labels |= {"coarse": _likely(said[0].coarse), "fine": _likely(said[0].fine)}
        yield Spoken(question, decide(router, said[0].coarse, bool(question.evidence), at), at, labels)


def _likely(said: Mapping[str, float]) -> dict[str, float]:
    return {name: round(p, 4) for name, p in said.items() if p >= 1e-4}
