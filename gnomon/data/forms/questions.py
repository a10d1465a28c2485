"""Questions in the one layout that they have everywhere, and what is known of them as labels.

    <|q|> question<|/q|><|ctx|><|doc|> passage<|/doc|>…<|/ctx|><|a|> answer<|/a|>
    <|q|> question<|/q|><|fact|> recitation<|/fact|><|a|> answer<|/a|>

A space stands before every text, so that a name that begins it is the same tokens as within a sentence: a model can say
what it read, and need not learn each name in two spellings.
Evidence bears no loss unless that is wanted, for the store holds it and the model need not; nor do the marks that who
asks writes. The answer does, with the mark that ends it and the end of the text behind it, and the question does unless
that is not wanted. A model that is to recite says from memory what the answer follows from, as texts say it, and then
answers (recitation-augmented language models, Sun et al. 2023, arXiv 2210.01296); whether it recites is its own choice,
so the marks between which it chooses bear loss.
"""

import math
from collections.abc import Mapping
from typing import Any

from gnomon.config.options import AbstainKind
from gnomon.data.document import Part
from gnomon.data.questions.question import Question, question_of
from gnomon.store import labels
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, QUESTION, ROUTER_SIGNALS

Q, Q_END, CONTEXT, CONTEXT_END, FACT, FACT_END, PASSAGE, PASSAGE_END, A, A_END = QUESTION
ABSTAIN = "<|abstain|>"
GAP = " "
"""Before every text of the layout."""
MOST_RECITED = 96
"""Tokens that a model recites at most, when it is asked."""
LAYOUT = 3
"""Raised whenever equal questions become other parts, or have labels at other marks: what was prepared or calibrated
before holds no more.
"""


def read_question(record: Mapping[str, Any], origin: str) -> tuple[Question, Mapping[str, Any]]:
    """Return the question of a record, and the record whose labels are meant; ValueError where it is none.

    The records of `gnomon data synth` hold it as an object of its own, with what is known of it.
    """
    inner = record.get("question")
    if isinstance(inner, Mapping):
        known = {name: inner[name] for name in ("known", "retrieve", "sufficient") if inner.get(name) is not None}
        passages = {"evidence": list(inner["documents"])} if isinstance(inner.get("documents"), list) else {}
        record = {"id": record.get("id", origin), "labels": known, **inner, **passages}
    return question_of(record, origin), record


def question_parts(
    question: Question,
    question_loss: bool = True,
    evidence_loss: bool = False,
    abstain: AbstainKind = "always",
    recite: bool = False,
) -> list[Part]:
    """Return the parts of a question: the answer is the first accepted one, and abstention where there can be none,
    if such questions are to abstain; no answer is given where none is known. With `recite` a question without passages
    has its recitation before the answer, if there is one.
    """
    parts = [Part("mark", Q), *_text(question.question, question_loss), Part("mark", Q_END)]
    if question.evidence:
        parts.append(Part("mark", CONTEXT))
        for passage in question.evidence:
            parts += [Part("mark", PASSAGE), *_text(passage, evidence_loss), Part("mark", PASSAGE_END)]
        parts.append(Part("mark", CONTEXT_END))
    chosen = recite and not question.evidence  # whether to recite is the model's to say
    if chosen and question.recitation:
        parts += [Part("mark", FACT, True), *_text(question.recitation, True), Part("mark", FACT_END, True)]
    if question.answerable is False or question.well_posed is False:
        if abstain == "never" or (abstain == "evidence" and not question.evidence):
            return parts
        parts += [Part("mark", A, chosen), Part("mark", ABSTAIN, True), Part("mark", A_END, True)]
    elif question.answers:
        parts += [Part("mark", A, chosen), *_text(question.answers[0], True), Part("mark", A_END, True)]
    return parts


def opened(parts: list[Part]) -> list[Part]:
    """Return the parts of a question up to where its answer begins at least: heads are read there of all questions."""
    return parts if any(part.kind == "mark" and part.text == A for part in parts) else [*parts, Part("mark", A)]


def _text(text: str, loss: bool) -> list[Part]:
    return [Part("frame", GAP, loss), Part("content", text, loss)]


def question_labels(question: Question, record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return what is known of a question as a row of the labels' table; () where nothing is.

    Its type and fine type are labels of the schema; `well_posed` is one of the router, and `answerable` says whether
    the evidence is enough or, where there is none, that nothing can be known or found. `labels` of the record, by
    signal, and `coarse` and `fine` in it, by type, stand above these; `weights` say what a signal counts, 1 otherwise.
    Raises ValueError for a label that cannot be.
    """
    said: dict[str, Any] = {}
    if question.well_posed is not None:
        said["well_posed"] = question.well_posed
    answerable = False if question.well_posed is False else question.answerable
    if question.evidence and answerable is not None:
        said["sufficient"] = answerable
    elif answerable is False:
        said |= {"known": False, "retrieve": False}
    types = {"coarse": {question.type: 1} if question.type else {}}
    types["fine"] = {question.fine_type: 1} if question.fine_type else {}
    given, weights = _named(record, "labels"), _named(record, "weights")
    types |= {name: _named(given, name) for name in ("coarse", "fine") if given.get(name)}
    said |= {name: value for name, value in given.items() if name not in types and value is not None}
    _refuse_unknown(said, ROUTER_SIGNALS, "label")
    _refuse_unknown(weights, ROUTER_SIGNALS, "weight")
    router = [_number(said[name], name, 1) if name in said else math.nan for name in ROUTER_SIGNALS]
    counts = [_number(weights.get(name, 1), name, 1000) if name in said else math.nan for name in ROUTER_SIGNALS]
    coarse, fine = _spread(types["coarse"], ANSWER_TYPES), _spread(types["fine"], FINE_TYPES)
    row = (*router, *counts, *coarse, *fine)
    assert len(row) == labels.WIDTH
    return () if all(map(math.isnan, row)) else row


def _named(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f'"{name}" is {value!r:.40}, and must be an object')
    return dict(value or {})


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    if unknown := sorted(given.keys() - set(known)):
        raise ValueError(f"the {what} {unknown[0]!r:.40} is unknown: they are {', '.join(known[:5])}")


def _number(value: Any, name: str, most: float) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"the label or weight {name!r:.40} is {value!r:.40}, and must be from 0 to {most}")
    return float(value)


def _spread(given: Mapping[str, Any], names: tuple[str, ...]) -> list[float]:
    """Return the labels of types: all of them unknown, or 0 for those that are not given."""
    _refuse_unknown(given, names, "type")
    if not given:
        return [math.nan] * len(names)
    return [_number(given.get(name, 0), name, 1) for name in names]
