"""Answers out of a model, kept to what their constraints allow, with how much of its own will that took."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gnomon.answer.constrain import Constraint, constraints_of
from gnomon.model.generate import Sampling, generate
from gnomon.model.lm import LanguageModel
from gnomon.tokenizer.tokenizer import Tokenizer

MOST_TOKENS = 96
"""Of an answer. What is not whole by then is an abstention; the open types end after 200 characters by themselves."""


@dataclass(frozen=True)
class Decoded:
    """What a model said: an answer, or None where it abstained or did not finish.

    `log_masses`: of each token, the stop included, the log of the probability that the model, left to itself, gave to
    all the tokens that were allowed there. A low one means that the answer was forced.
    """

    text: str | None
    log_masses: tuple[float, ...]
    finished: bool = True

    @property
    def log_mass(self) -> float:
        """The log of the allowed mass of the whole."""
        return sum(self.log_masses)


@dataclass
class Guide:
    """Narrows what a batch may say next, a constraint a row, for `generate`; None leaves a row free."""

    constraints: Sequence[Constraint | None]
    log_masses: list[list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.log_masses = [[] for _ in self.constraints]

    def __call__(self, row: int, drawn: Sequence[int], scores_V: Tensor) -> Tensor:
        """Return a row's logits, float32 [V], with -inf for what is not allowed after `drawn`, and note the mass."""
        constraint = self.constraints[row]
        if constraint is None:
            return scores_V
        if drawn:
            constraint.advance(drawn[-1])
        known_V = torch.from_numpy(constraint.allowed())[: len(scores_V)]
        allowed_V = torch.nn.functional.pad(known_V, (0, len(scores_V) - len(known_V)))
        mass = float(scores_V[allowed_V].logsumexp(0) - scores_V.logsumexp(0))
        self.log_masses[row].append(min(mass, 0.0))  # above 0 by rounding, where all is allowed
        return scores_V.masked_fill(~allowed_V, -torch.inf)


def decode(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    constraints: Sequence[Constraint],
    sampling: Sampling | None = None,
    max_tokens: int = MOST_TOKENS,
) -> list[Decoded]:
    """Return the answer to each prompt, which is the ids up to and with `<|a|>`, under a fresh constraint each."""
    special = constraints_of(tokenizer)
    guide = Guide(constraints)
    said: list[list[int]] = [[] for _ in prompts]
    steps = generate(model, prompts, max_tokens, sampling or Sampling(temperature=0), frozenset([special.stop]), guide)
    for drawn in steps:
        for ids, token in zip(said, drawn, strict=True):
            ids.extend([] if token is None else [token])
    return [
        Decoded(_text(tokenizer, ids, special.abstain) if finished else None, tuple(masses), finished)
        for ids, masses in zip(said, guide.log_masses, strict=True)
        for finished in [len(masses) > len(ids)]  # the stop has a mass and is no part of what was said
    ]


def _text(tokenizer: Tokenizer, ids: list[int], abstain: int) -> str | None:
    return None if ids == [abstain] else tokenizer.decode_bytes(ids).decode().strip()
