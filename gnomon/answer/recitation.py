"""What a model says from memory before it answers, row by row of a session: as a text would have it.

It has learned to say the answer only behind that, so a fact that it can go on with in a text is one that it can answer
with. Whether it recites is its own choice between two marks.
"""

from collections.abc import Sequence

import numpy as np
import torch

from gnomon.answer.constrain import ABSTAIN
from gnomon.answer.session import Session
from gnomon.answer.utterance import ANSWER, Utterance, say, text_of
from gnomon.answer.validate import is_quoted
from gnomon.data.forms.questions import FACT, FACT_END, MOST_RECITED
from gnomon.tokenizer.tokenizer import Tokenizer


class Recited:
    """No constraint but that it is text, up to the mark that ends it."""

    may_stop = True

    def __init__(self, tokenizer: Tokenizer, vocabulary: int) -> None:
        self._allowed_V = text_of(tokenizer, vocabulary)
        self._allowed_V[tokenizer.special_id(FACT_END)] = True

    def allowed(self) -> np.ndarray:
        """Return, for each id of the vocabulary, whether it may come next."""
        return self._allowed_V

    def advance(self, token: int) -> None:
        """Take the token that came."""


@torch.no_grad()
def who_recites(session: Session, tokenizer: Tokenizer, rows: Sequence[bool], weighed: bool) -> list[bool]:
    """Return which of some rows, read up to the end of their questions, would sooner recite than answer at once. With
    `weighed`, than answer at once anything but an abstention.
    """
    recite, answer, abstain = (tokenizer.special_id(name) for name in (FACT, ANSWER, ABSTAIN))
    log_BV = session.scores_BV.log_softmax(-1)
    recites_B, answers_B = log_BV[:, recite].clone(), log_BV[:, answer].clone()
    if weighed:
        behind = session.place
        session.read([[answer] if row else [] for row in rows])
        abstains_B = session.scores_BV.log_softmax(-1)[:, abstain]
        session.rewind(behind)
        answers_B += torch.log1p(-abstains_B.exp().clamp(max=1 - 1e-7))
    return [row and more for row, more in zip(rows, (recites_B > answers_B).tolist(), strict=True)]


def recite(session: Session, tokenizer: Tokenizer, rows: Sequence[bool], room: Sequence[int]) -> list[Utterance | None]:
    """Return what some rows recite, likeliest token first, and leave each where its answer follows; None for others.

    `room` is how many tokens a row may have at most; what has not come to its end by then is ended.
    """
    end, free = tokenizer.special_id(FACT_END), Recited(tokenizer, session.scores_BV.shape[1])
    most = [min(left, MOST_RECITED) for left in room]
    found = say(session, tokenizer, [free if row else None for row in rows], most, marks=(FACT, FACT_END))
    cut = [one is not None and not one.finished for one in found]
    if any(cut):
        session.read([[end] if row else [] for row in cut])
    for one in found:
        if one is not None:
            one.text = tokenizer.decode_bytes(one.ids).decode(errors="replace").strip()
    return found


def signals_of(recitation: Utterance | None, said: Utterance) -> dict[str, float]:
    """Return what speaks for what a model said first and the answer behind it, and against them, as numbers by name:
    whether the answer's words are in the recitation (1 where there was none), the logs of the probabilities of all its
    tokens, of those in which the answer first stands (of the least likely token where its tokens stand nowhere), of all
    in the mean and of the least likely one, and less the mean entropy. Where nothing was recited, these are the
    answer's own: who answers at once is no surer for it.
    """
    first = said if recitation is None else recitation
    logs = first.log_probs
    stands = place_of(said.ids, first.ids)
    return {
        "recited_answer": float(recitation is None or is_quoted(said.text or "", recitation.text or "")),
        "recited_log_prob": sum(logs),
        "recited_answer_log_prob": min(logs) if stands is None else sum(logs[stands]),
        "recited_mean_log_prob": sum(logs) / len(logs),
        "recited_min_log_prob": min(logs),
        "recited_expected_log_prob": -sum(first.entropies) / len(logs),
    }


def place_of(some: Sequence[int], of: Sequence[int]) -> slice | None:
    """Return where `some` tokens first stand in others; None where they do not, or are none."""
    ends = range(len(some), len(of) + 1) if some else ()
    return next((slice(end - len(some), end) for end in ends if of[end - len(some) : end] == some), None)
