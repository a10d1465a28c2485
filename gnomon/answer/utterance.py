"""What a model says between two marks, row by row of a session, with how sure of each token it was by itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gnomon.answer.constrain import ABSTAIN, STOP, Constraint
from gnomon.answer.session import Session
from gnomon.model.reading import Reading
from gnomon.tokenizer.tokenizer import Tokenizer

ANSWER = "<|a|>"
MOST_TOKENS = 96
"""Of an answer; the open types end after 200 characters by themselves."""


@dataclass
class Utterance:
    """An answer, or a recitation, as it was said: `text`, None for an abstention or where it did not come to its end;
    `ids`, but for the one that ends it.

    Of each token, the one that ends it included: `log_probs`, of the model left to itself, `entropies` of what it would
    have said, and `log_masses`, the log of the probability of all that was allowed there. `abstain` is the log of
    the probability of abstaining instead; `declined`, whether it was likelier than how the answer begins. `reading` is
    the heads' at its end, `opening` where it begins.
    """

    text: str | None = None
    ids: list[int] = field(default_factory=list)
    abstained: bool = False
    finished: bool = False
    log_probs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    log_masses: list[float] = field(default_factory=list)
    abstain: float = -math.inf
    declined: bool = False
    reading: Reading | None = None
    opening: Reading | None = None
    free: bool = False  # under no constraint but to be text

    @property
    def log_mass(self) -> float:
        """The log of the allowed mass of the whole."""
        return sum(self.log_masses)


class Free:
    """No constraint but that an answer is text, or an abstention: control tokens of other use are no part of one."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int) -> None:
        self._abstain, self._stop = tokenizer.special_id(ABSTAIN), tokenizer.special_id(STOP)
        self._text_V = text_of(tokenizer, vocabulary)
        self._said: list[int] = []

    def allowed(self) -> np.ndarray:
        """Return, for each id of the vocabulary, whether it may come next."""
        allowed_V = self._text_V.copy()
        if self._said == [self._abstain]:
            allowed_V[:] = False
        allowed_V[self._stop if self._said else self._abstain] = True
        return allowed_V

    def advance(self, token: int) -> None:
        """Take the token that came."""
        self._said.append(token)

    @property
    def may_stop(self) -> bool:
        """Whether what came so far is a whole answer."""
        return bool(self._said)


def text_of(tokenizer: Tokenizer, vocabulary: int) -> np.ndarray:
    """Return which ids are text: those that the tokenizer knows, and no control tokens."""
    text_V = np.arange(vocabulary) < tokenizer.tokens
    text_V[sorted(tokenizer.special_ids)] = False
    return text_V


@torch.no_grad()
def say(
    session: Session,
    tokenizer: Tokenizer,
    constraints: Sequence[Constraint | None],
    room: Sequence[int],
    weighed: bool = False,
    marks: tuple[str, str] = (ANSWER, STOP),
) -> list[Utterance | None]:
    """Return what each row says between two marks, likeliest token first, under a fresh constraint each; None for a row
    with none.

    `room` is how many tokens a row may have at most. When a row is done, its end is read, so that the heads speak of
    the whole answer. With `weighed` a row abstains only where nothing else is allowed; else it says what it would have
    said if it had not.
    """
    abstain, opening, stop = (tokenizer.special_id(name) for name in (ABSTAIN, *marks))
    found = [None if one is None else Utterance(free=isinstance(one, Free)) for one in constraints]
    opened = session.read([[] if one is None else [opening] for one in constraints])
    for one, readings in zip(found, opened, strict=True):
        if one is not None and readings:
            one.opening = readings[-1]
    running = [row for row, one in enumerate(constraints) if one is not None and room[row] > 0]
    while running:
        log_RV = session.scores_BV[running].log_softmax(-1)
        allowed_RV = _allowed([constraints[row] for row in running], log_RV.shape[1])
        tokens, *figures = _next(log_RV, allowed_RV, abstain if weighed else None)
        abstain_R = log_RV[:, abstain].tolist()
        pieces: list[list[int]] = [[] for _ in constraints]
        going = []
        for row, token, log_prob, entropy, mass, abstains in zip(running, tokens, *figures, abstain_R, strict=True):
            one, constraint = found[row], constraints[row]
            assert one is not None and constraint is not None
            if not one.log_probs:
                one.abstain, one.declined = abstains, abstains >= log_prob
            one.log_probs.append(log_prob)
            one.entropies.append(entropy)
            one.log_masses.append(mass)
            pieces[row] = [token]
            if token == stop:
                one.finished, one.abstained = True, one.ids == [abstain]
                one.text = None if one.abstained else tokenizer.decode_bytes(one.ids).decode(errors="replace").strip()
                continue
            one.ids.append(token)
            if len(one.ids) < room[row]:
                constraint.advance(token)
                going.append(row)
        for row, readings in zip(range(len(pieces)), session.read(pieces), strict=True):
            if readings and (one := found[row]) is not None:
                one.reading = readings[-1]
        running = going
    return found


def _allowed(constraints: Sequence[Constraint | None], vocabulary: int) -> Tensor:
    """Return which tokens each row may say, bool [R, V]; the model may know more of them than the tokenizer."""
    allowed_RV = torch.zeros(len(constraints), vocabulary, dtype=torch.bool)
    for i, one in enumerate(constraints):
        assert one is not None
        known_V = torch.from_numpy(one.allowed())[:vocabulary]
        allowed_RV[i, : len(known_V)] = known_V
    return allowed_RV


def _next(
    log_RV: Tensor, allowed_RV: Tensor, last: int | None
) -> tuple[list[int], list[float], list[float], list[float]]:
    """Return the likeliest allowed token of each row, its log probability and the entropy of what the model would say,
    both left to itself, and the log of the mass of what is allowed. `last` is taken where it alone is allowed.
    """
    kept_RV = log_RV.masked_fill(~allowed_RV, -torch.inf)
    chosen_RV = kept_RV
    if last is not None:
        chosen_RV = kept_RV.clone()
        chosen_RV[allowed_RV.sum(-1) > 1, last] = -torch.inf
    tokens_R = chosen_RV.argmax(-1)
    mass_R = kept_RV.logsumexp(-1).clamp(max=0.0)  # above 0 by rounding, where all is allowed
    return tokens_R.tolist(), *log_probs_and_entropies(log_RV, tokens_R), mass_R.tolist()


def log_probs_and_entropies(log_RV: Tensor, tokens_R: Tensor) -> tuple[list[float], list[float]]:
    """Return the log probability of each row's token, and the entropy of all that could have been said there."""
    log_R = log_RV.gather(-1, tokens_R[:, None])[:, 0]
    return log_R.tolist(), (-(log_RV.exp() * log_RV).sum(-1)).tolist()
