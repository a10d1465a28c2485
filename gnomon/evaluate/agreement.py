"""How far what a model says of questions, in its own words, agrees with what heads say of them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gnomon.base.errors import DataError
from gnomon.base.files import read_json
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.data.forms.chat import END, asked_parts
from gnomon.data.forms.questions import MOST_RECITED, opened, question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.match import is_accepted
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.questions.spoken import (
    Decision,
    Thresholds,
    decide,
    read_spoken,
    recited_in,
    thresholds_said,
    user_words,
)
from gnomon.evaluate.readings import TOGETHER, readings_of
from gnomon.evaluate.speaking import speak
from gnomon.model.generate import Sampling, generate

MOST_CONTROL = 3
"""Tokens that a decision has."""


def most_said(bundle: Bundle) -> int:
    """Return how many tokens a model says at most until it has said its decision, which may be behind a recitation."""
    return MOST_CONTROL + (MOST_RECITED + 2 if bundle.plan.get("recites") is True else 0)


def asked_ids(bundle: Bundle, questions: Sequence[Question]) -> list[list[int]]:
    """Return the prompt of each question: a conversation up to where the assistant begins to speak."""
    end = bundle.tokenizer.end_of_text
    every = encode_parts([asked_parts(user_words(question)) for question in questions], bundle.tokenizer)
    return [[end, *ids] for ids, _ in every]


def said_of(bundle: Bundle, questions: Sequence[Question], progress: Progress) -> list[str]:
    """Return what the model says of each question when it is asked in a conversation, likeliest token by token, up to
    its decision at least; "" for a question that does not fit into the context.

    Raises DataError for a model that has read no conversations.
    """
    if bundle.plan.get("chat") is not True:
        do = "train it on what `gnomon questions speak` writes, with `init`: see docs/spoken.md"
        raise DataError("the model has read no conversations", where=str(bundle.run.folder), do=do)
    prompts, found = asked_ids(bundle, questions), [""] * len(questions)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    most, ends = most_said(bundle), frozenset([bundle.tokenizer.special_id(END), bundle.tokenizer.end_of_text])
    order = [i for i in order if len(prompts[i]) <= bundle.shape.context - MOST_CONTROL]
    for first in range(0, len(order), TOGETHER):
        some = order[first : first + TOGETHER]
        steps = generate(bundle.model, [prompts[i] for i in some], most, Sampling(temperature=0), ends)
        drawn = [[token for token in row if token is not None] for row in zip(*steps, strict=True)]
        for i, ids in zip(some, drawn, strict=True):
            found[i] = bundle.tokenizer.decode(ids, specials=True)
        progress("asking", first + len(some), len(order), "questions")
    return found


def heads_behind(
    bundle: Bundle, questions: Sequence[Question], texts: Sequence[str], at: Thresholds, progress: Progress
) -> list[Decision | None]:
    """Return what the heads make of each question behind what is recited in a text about it; None for one that is
    longer than the context with that.
    """
    parts = [
        opened(question_parts(Question("", q.question, evidence=q.evidence, recitation=recited_in(text)), recite=True))
        for q, text in zip(questions, texts, strict=True)
    ]
    found: list[Decision | None] = []
    for question, readings in zip(questions, readings_of(bundle, parts, progress), strict=True):
        router = {name: p for reading in readings or () for name, p in reading.router.items()}
        made = decide(router, readings[0].coarse, bool(question.evidence), at) if readings else None
        found.append(made)
    return found


def agree_with_heads(bundle: Bundle, path: Path, progress: Progress) -> dict[str, Any]:
    """Return how far what a model says of a file's questions agrees with what its own heads make of them behind what it
    recited: see `agreement` and, for the `thresholds` of these, `thresholds_of`. `asked` is the same beside what they
    make of them when it is asked in the layout of questions, where it may recite otherwise; `rights` what its words are
    worth by themselves, see there.
    """
    questions, at = list(read_questions(path)), thresholds_of(bundle, path)
    texts = said_of(bundle, questions, progress)
    said = [read_spoken(text)[0] for text in texts]
    found = agreement(said, heads_behind(bundle, questions, texts, at, progress))
    if bundle.plan.get("recites") is True:
        found["asked"] = agreement(said, [one.decision for one in speak(bundle, questions, at, progress)])
    return {**found, "rights": rights(questions, texts), "thresholds": asdict(at)}


def thresholds_of(bundle: Bundle, path: Path) -> Thresholds:
    """Return the thresholds that a file of questions was spoken by, else those of the conversations that a run learned
    from, where its config names them and they are still there, else 0.5 each.
    """
    config: Any = read_json(bundle.run.config_path) if bundle.run.config_path.exists() else {}
    sources = config.get("data", {}).get("sources", [])
    chats = [Path(name) for source in sources if source.get("form") == "chat" for name in source.get("paths", [])]
    files = [path, *(chat for chat in chats if chat.is_file() and ".jsonl" in chat.suffixes)]
    return next((at for file in files if (at := thresholds_said(file)) is not None), Thresholds())


def agreement(said: Sequence[Decision | None], meant: Sequence[Decision | None]) -> dict[str, Any]:
    """Return how often what is said is what heads mean: `questions` of which they say something, `spoken` the share of
    which something is said; and of all of them the share with the same `type` (where heads name one), the same word on
    whether an `answer` follows, the same on whether to `retrieve`, and the same `decision`.
    """
    pairs = [(a, b) for a, b in zip(said, meant, strict=True) if b is not None]
    typed = [(a, b) for a, b in pairs if b.type is not None]
    return {
        "questions": len(pairs),
        "spoken": _share([a is not None for a, _ in pairs]),
        "type": _share([a is not None and a.type == b.type for a, b in typed]),
        "answer": _share([a is not None and a.answers == b.answers for a, b in pairs]),
        "retrieve": _share([a is not None and (a.state == "retrieve") == (b.state == "retrieve") for a, b in pairs]),
        "decision": _share([a == b for a, b in pairs]),
        "answered": _share([b.answers for _, b in pairs]),
    }


def rights(questions: Sequence[Question], texts: Sequence[str]) -> dict[str, int]:
    """Return, of the questions of which it is known, how many have an answer (`answerable`) and have none
    (`unanswerable`), how many are `answered` in texts, how many of those `rightly`, and how many of those that have
    none are `refused`.
    """
    found: dict[str, int] = dict.fromkeys(("answerable", "unanswerable", "answered", "rightly", "refused"), 0)
    for question, text in zip(questions, texts, strict=True):
        none = question.answerable is False or question.well_posed is False
        if not none and not question.answers:
            continue
        said, words = read_spoken(text)
        answers = said is not None and said.answers
        found["unanswerable" if none else "answerable"] += 1
        found["answered"] += answers
        found["rightly"] += answers and not none and is_accepted(words, question.answers)
        found["refused"] += none and said is not None and not answers
    return found


def _share(true: Sequence[bool]) -> float | None:
    return sum(true) / len(true) if true else None
