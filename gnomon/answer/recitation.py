"""What a model says from memory before it answers, row by row of a session: as a text would have it.

It has learned to say the answer only behind that, so a fact that it can go on with in a text is one that it can answer
with. Whether it recites is its own choice between two marks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from gnomon.answer.constrain import ABSTAIN
from gnomon.answer.session import Session
from gnomon.answer.utterance import ANSWER, Utterance, log_probs_and_entropies
from gnomon.answer.validate import is_quoted
from gnomon.data.forms.questions import FACT, FACT_END
from gnomon.tokenizer.tokenizer import Tokenizer

MOST_TOKENS = 96


@dataclass
class Recitation:
    """What was recited, `text` of `ids`, with the log probability of each token, its end included, and the entropy of
    what the model would have said there.
    """

    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)


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


@torch.no_grad()
def recite(
    session: Session, tokenizer: Tokenizer, rows: Sequence[bool], room: Sequence[int]
) -> list[Recitation | None]:
    """Return what some rows recite, likeliest token first, and leave each where its answer follows; None for others.

    `room` is how many tokens a row may have at most; what has not come to its end by then is ended.
    """
    opening, stop = tokenizer.special_id(FACT), tokenizer.special_id(FACT_END)
    barred_V = torch.ones(session.scores_BV.shape[1], dtype=torch.bool)
    barred_V[: tokenizer.tokens] = False
    barred_V[sorted(tokenizer.special_ids - {stop})] = True
    found = [Recitation() if row else None for row in rows]
    session.read([[opening] if row else [] for row in rows])
    running = [row for row, wanted in enumerate(rows) if wanted]
    while running:
        log_RV = session.scores_BV[running].log_softmax(-1)
        tokens_R = log_RV.masked_fill(barred_V, -torch.inf).argmax(-1)
        pieces: list[list[int]] = [[] for _ in rows]
        going = []
        for row, token, log_prob, entropy in zip(
            running, tokens_R.tolist(), *log_probs_and_entropies(log_RV, tokens_R), strict=True
        ):
            one = found[row]
            assert one is not None
            one.log_probs.append(log_prob)
            one.entropies.append(entropy)
            pieces[row] = [token]
            if token != stop:
                one.ids.append(token)
                if len(one.ids) < min(room[row], MOST_TOKENS):
                    going.append(row)
                else:
                    pieces[row].append(stop)
        session.read(pieces)
        running = going
    for one in found:
        if one is not None:
            one.text = tokenizer.decode_bytes(one.ids).decode(errors="replace").strip()
    return found


def signals_of(recitation: Recitation | None, said: Utterance) -> dict[str, float]:
    """Return what speaks for what a model said first and the answer behind it, and against them, as numbers by name:
    whether the answer's words are in the recitation (1 where there was none), the logs of the probabilities of all its
    tokens, of them in the mean and of the least likely one, and less the mean entropy. Where nothing was recited, these
    are the answer's own: who answers at once is no surer for it.
    """
    first = said if recitation is None else recitation
    logs = first.log_probs
    return {
        "recited_answer": float(recitation is None or is_quoted(said.text or "", recitation.text)),
        "recited_log_prob": sum(logs),
        "recited_mean_log_prob": sum(logs) / len(logs),
        "recited_min_log_prob": min(logs),
        "recited_expected_log_prob": -sum(first.entropies) / len(logs),
    }
