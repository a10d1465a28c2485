"""The form of a source's records: how each becomes a document of parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gnomon.data.document import Document, Part, plain_text
from gnomon.data.forms.chat import chat_parts
from gnomon.data.forms.questions import question_labels, question_parts, read_question


@dataclass(frozen=True)
class Form:
    """How records are read: `name` is `text`, `chat` or `questions`; `question_loss` says whether a question's own
    tokens bear loss.
    """

    name: str = "text"
    question_loss: bool = True

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


TEXT = Form()


def document_of(record: Mapping[str, Any], form: Form, origin: str) -> Document:
    """Return the document that a record of a structured form is. Raises ValueError with the reason where it is none."""
    if not isinstance(record, Mapping):
        raise ValueError("this is no object")
    if form.name == "chat":
        return _document(chat_parts(record), origin)
    question, record = read_question(record, origin)
    document = _document(question_parts(question, form.question_loss), origin)
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
