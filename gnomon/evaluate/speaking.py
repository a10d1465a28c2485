"""What a model's heads say of questions, as conversations: what an instruction stage teaches it to say aloud."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gnomon.answer.ask import Asked, Settings, answer_each
from gnomon.answer.signals import OF_QUESTION
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle, refuse_without_heads
from gnomon.data.forms.questions import GAP
from gnomon.data.questions.question import Question
from gnomon.data.questions.spoken import Decision, Thresholds, decide, user_words

READ = Settings(constrain=False, answer=False, stop_early=False)


@dataclass(frozen=True)
class Spoken:
    """A question and what the heads make of it, `at` some thresholds: None where it is longer than the context, or not
    all of its evidence fits. `labels` are what they say of it as the form `questions` reads it: signals, and types of
    at least one in ten thousand. `recitation` is what the model says from memory before.
    """

    question: Question
    decision: Decision | None
    at: Thresholds
    labels: dict[str, Any] = field(default_factory=dict)
    recitation: str | None = None
    endless: bool = False  # it came to no end by itself

    @property
    def record(self) -> dict[str, Any] | None:
        """The conversation, as the form `chat` reads it, with the thresholds; None where there is none to write: the
        question is too long, its recitation comes to no end, or an answer should follow and none is known.
        """
        made, answers = self.decision, self.question.answers
        if made is None or self.endless or (made.answers and not answers):
            return None
        content = GAP + answers[0] if made.answers else ""  # as the model has learned to say it
        said = {"role": "assistant", **self._recited, "control": list(made.control), "content": content}
        messages = [{"role": "user", "content": user_words(self.question)}, said]
        return {"id": self.question.id, "messages": messages, "thresholds": asdict(self.at)}

    @property
    def _recited(self) -> dict[str, str]:
        return {"recitation": self.recitation} if self.recitation else {}

    def labelled(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the question's own record with what the heads say as labels, and what the model recites."""
        found = {name: value for name, value in record.items() if name != "recitation"}
        return {**found, **self._recited, "labels": self.labels, "thresholds": asdict(self.at)}


def speak(bundle: Bundle, questions: Sequence[Question], at: Thresholds, progress: Progress) -> Iterator[Spoken]:
    """Yield each question with what the model's heads make of it, in their order.

    They are read in the layout of questions, up to where the answer begins, behind what the model recites, if it does.
    Raises DataError for a model that has not both kinds of heads.
    """
    refuse_without_heads(bundle, ("router", "types"))
    asked = [Asked(question.question, question.evidence) for question in questions]
    for question, found in zip(questions, answer_each(bundle, asked, READ, progress), strict=True):
        if found.unread or found.question is None or len(found.used) < len(question.evidence):
            yield Spoken(question, None, at)
            continue
        router, recited = found.router, found.tries[0].recitation
        of = ("well_posed", "sufficient") if question.evidence else OF_QUESTION
        labels: dict[str, Any] = {name: round(router[name], 4) for name in of}
        labels |= {"coarse": _likely(found.question.coarse), "fine": _likely(found.question.fine)}
        made = decide(router, found.question.coarse, bool(question.evidence), at)
        text, endless = (recited.text, not recited.finished) if recited else (None, False)
        yield Spoken(question, made, at, labels, text, endless)


def _likely(said: Mapping[str, float]) -> dict[str, float]:
    return {name: round(p, 4) for name, p in said.items() if p >= 1e-4}
