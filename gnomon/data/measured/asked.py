"""Questions that a model is asked while it trains: from files, with their prompts and accepted answers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_bytes
from gnomon.data.document import Part
from gnomon.data.forms.questions import (
    A_END,
    ABSTAIN,
    FACT,
    MOST_RECITED,
    A,
    question_labels,
    question_parts,
    read_question,
)
from gnomon.data.parts import encode_parts
from gnomon.data.questions.question import Question, each_record
from gnomon.store.labels import WIDTH
from gnomon.tokenizer.tokenizer import Tokenizer

LONGEST_ANSWER = 64  # tokens; where accepted answers are shorter, fewer are drawn
MORE_TOKENS = 8  # than the longest accepted answer has, for articles and the like


@dataclass(frozen=True)
class Record:
    """A question as a file has it: `enough` is evidence that suffices, `short` evidence that does not; () where there
    is none. No `answers`: nothing that a model could say is right. `labels` are those of the question by itself.
    """

    question: Question
    answers: tuple[str, ...]
    enough: tuple[str, ...]
    short: tuple[str, ...]
    labels: tuple[float, ...]


@dataclass(frozen=True)
class Asked:
    """A question in tokens: prompts that end with `<|a|>`, the first without evidence, then with some that is enough,
    and with some that is not; None where there is none, or it does not fit. The first ends with `<|fact|>` where the
    model is to recite before it answers. `labels` are a row of store/labels.py.
    """

    answers: tuple[str, ...]
    prompts: tuple[list[int], list[int] | None, list[int] | None]
    labels: np.ndarray

    @property
    def question_end(self) -> int:
        """The place of `<|/q|>` in each prompt."""
        return len(self.prompts[0]) - 2


@dataclass(frozen=True)
class Asking:
    """All questions of a run, numbered in the order of the files, and the ids that answers are made of."""

    questions: list[Asked]
    digest: str  # of the files
    most_tokens: int  # of an answer
    end_of_text: int
    answer: int
    answer_end: int
    abstain: int
    recites: bool = False  # without evidence

    def most_after(self, evidence: int) -> int:
        """Return how many tokens may follow a prompt, 0 the closed one."""
        return self.most_tokens + (MOST_RECITED + 2 if self.recites and not evidence else 0)

    def answer_in(self, ids: Sequence[int], evidence: int) -> list[int] | None:
        """Return the answer in what followed a prompt; None where the model recited and did not come to one."""
        if not self.recites or evidence:
            return list(ids)
        return list(ids[ids.index(self.answer) + 1 :]) if self.answer in ids else None


def read_records(paths: Sequence[str]) -> list[Record]:
    """Return the questions of files whose answers are known, or known not to exist. Raises DataError where a file
    cannot be read or has none, and for what is no question.
    """
    found: list[Record] = []
    for path in paths:
        if not Path(path).is_file():
            do = "give files of questions with answers in heads.measured.questions, as `gnomon data world` makes them"
            raise DataError("there is no such file of questions to measure with", where=path, do=do)
        some = [one for one in each_record(Path(path), _record) if one is not None]
        if not some:
            do = 'give "answers", or "answerable": false where a question has none'
            raise DataError("no question in it has answers to measure with", where=path, do=do)
        found += some
    return found


def _record(record: Any, name: str) -> Record | None:
    """Return a question; None where nothing says what would be right without evidence."""
    if not isinstance(record, Mapping):
        raise ValueError("this is no object")
    question, record = read_question(record, name)
    enough, short, told_apart = _evidence(question, record)
    refused = question.answerable is False or question.well_posed is False
    if refused and short and not told_apart and question.well_posed is not False:
        return None  # of the evidence shown it is known that it is not enough, of the question nothing
    if not refused and not question.answers:
        return None
    bare = replace(question, evidence=(), recitation=None)
    labels = question_labels(bare, {**record, "labels": _of_question(record)})
    return Record(bare, () if refused else question.answers, enough, short, labels)


def _evidence(question: Question, record: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return passages that are enough, others that are not, and whether the record tells them apart."""
    listed = record.get("evidence")
    every = listed if isinstance(listed, list) else []
    flags = [one.get("sufficient") for one in every if isinstance(one, Mapping)]
    if flags and len(flags) == len(every) and all(isinstance(flag, bool) for flag in flags):
        enough = [text for text, flag in zip(question.evidence, flags, strict=True) if flag]
        short = [text for text, flag in zip(question.evidence, flags, strict=True) if not flag]
        pick = int.from_bytes(hashlib.sha256(question.id.encode()).digest()[:4]) % max(1, len(short))
        return tuple(enough[:1]), tuple(short[pick : pick + 1]), True
    if not question.evidence:
        return (), (), False
    holds = (record.get("labels") or {}).get("sufficient", question.answerable)
    return ((), question.evidence, False) if holds is False or holds == 0 else (question.evidence, (), False)


def _of_question(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of a record that are of the question alone, and not what is measured here."""
    given = record.get("labels")
    kept = ("well_posed", "coarse", "fine")
    return {name: given[name] for name in kept if name in given} if isinstance(given, Mapping) else {}


def ask(records: Sequence[Record], tokenizer: Tokenizer, context: int, recites: bool = False) -> Asking:
    """Return the questions that fit, with an answer, into a context of so many tokens; a model that `recites` is to do
    so first where it is given nothing. Raises DataError where none does or the tokenizer has not the marks of the
    layout.
    """
    end = tokenizer.end_of_text
    try:
        answer, answer_end, abstain = (tokenizer.special_id(mark) for mark in (A, A_END, ABSTAIN))
        plain = [parts for one in records for parts in _parts(one, recites)]
        ids = [[end, *found] for found, _ in encode_parts(plain, tokenizer)]
    except KeyError as e:
        raise DataError(
            f"the tokenizer has no {e.args[0]}, and questions are asked with it",
            do="train with a tokenizer of Gnomon's own, or without heads.measured",
        ) from None
    accepted = [text for one in records for text in one.answers]
    longest = max(map(len, tokenizer.encode_batch(accepted)), default=0) if accepted else 0
    most = min(LONGEST_ANSWER, longest + MORE_TOKENS)
    coming, asked = iter(ids), list[Asked]()
    empty = Asking([], "", most, end, answer, answer_end, abstain, recites)
    for one in records:
        prompts = [next(coming) if there else None for there in (True, bool(one.enough), bool(one.short))]
        closed, enough, short = (
            p if p is not None and len(p) + empty.most_after(i) + 1 <= context else None for i, p in enumerate(prompts)
        )
        if closed is not None:
            labels = np.full(WIDTH, np.nan, np.float32)
            labels[: len(one.labels)] = one.labels
            asked.append(Asked(one.answers, (closed, enough, short), labels))
    if not asked:
        raise DataError(
            f"no question to measure with fits, with {empty.most_after(0)} tokens more, into a context of {context}",
            where="heads.measured.questions",
            do="give shorter questions, or a longer model.context",
        )
    digest = sha256_bytes("\n".join(map(repr, records)).encode())
    return replace(empty, questions=asked, digest=digest)


def digest_of(paths: Sequence[str], tokenizer: Tokenizer, context: int) -> str | None:
    """Return the digest of the questions in files, None without files. Raises DataError as reading and asking do."""
    return ask(read_records(paths), tokenizer, context).digest if paths else None


def _parts(record: Record, recites: bool) -> list[list[Part]]:
    """Return the parts of a question's prompts: closed, with enough evidence, with too little."""
    texts = [(), *(evidence for evidence in (record.enough, record.short) if evidence)]
    unanswered = replace(record.question, answers=(), answerable=None, well_posed=None)
    return [
        [*question_parts(replace(unanswered, evidence=text)), Part("mark", FACT if recites and not text else A)]
        for text in texts
    ]
