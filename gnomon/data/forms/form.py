"""The form of a source's records: how each becomes a document of parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gnomon.config.options import AbstainKind, SourceConfig
from gnomon.data.document import Document, Part, plain_text
from gnomon.data.forms.chat import chat_parts
from gnomon.data.forms.questions import LAYOUT, opened, question_labels, question_parts, read_question


@dataclass(frozen=True)
class Form:
    """How records are read: `name` is `text`, `chat` or `questions`. Of questions, `question_loss` and `evidence_loss`
    say whether their own tokens and those of passages bear loss, `abstain` which of them end in abstention, and
    `recite` whether what is known is said before the answer.
    """

    name: str = "text"
    question_loss: bool = True
    evidence_loss: bool = False
    abstain: AbstainKind = "always"
    recite: bool = False

    @property
    def structured(self) -> bool:
        """Whether records have parts."""
        return self.name != "text"

    @property
    def compared(self) -> bool:
        """Whether records are looked at for likeness: questions of one pattern share most of their words and are
        different questions, so only equal ones are found.
        """
        return self.name != "questions"

    @property
    def said(self) -> dict[str, Any]:
        """What of it decides what a dataset holds: nothing of plain text, and no option of later that is not used."""
        if not self.structured:
            return {}
        later = {"evidence_loss": True} if self.evidence_loss else {}
        later |= {} if self.abstain == "always" else {"abstain": self.abstain}
        later |= {"recite": True} if self.recite else {}
        later |= {"layout": LAYOUT} if self.name == "questions" else {}
        return {"form": self.name, "question_loss": self.question_loss, **later}


TEXT = Form()


def form_of(source: SourceConfig) -> Form:
    """Return the form of a source's records."""
    return Form(source.form, source.question_loss, source.evidence_loss, source.abstain, source.recite)


def document_of(record: Mapping[str, Any], form: Form, origin: str) -> Document:
    """Return the document that a record of a structured form is. Raises ValueError with the reason where it is none."""
    if not isinstance(record, Mapping):
        raise ValueError("this is no object")
    if form.name == "chat":
        return _document(chat_parts(record), origin)
    question, record = read_question(record, origin)
    parts = question_parts(question, form.question_loss, form.evidence_loss, form.abstain, form.recite)
    document = _document(opened(parts), origin)
    labels = question_labels(question, record)
    return Document(document.text, origin, parts=document.parts, labels=labels, group=question.question)


def _document(parts: list[Part], origin: str) -> Document:
    kept = tuple(part for part in parts if part.text)
    for part in kept:
        if "\x00" in part.text:
            raise ValueError("a NUL character is in it")
        try:
            part.text.encode()
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair is in it") from None
    text = plain_text(part.text for part in kept if part.kind == "content")
    if not text.strip():
        raise ValueError("there is no text in it")
    return Document(text, origin, parts=kept)
