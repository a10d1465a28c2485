"""Options of training a model with loops, and what such a model cannot be asked for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AdaptiveConfig(BaseModel):
    """What training wants of the loops that tokens pass, where `model.loops` is above 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    budget: float | None = Field(default=None, ge=1)  # loops of a token, in a row's mean; null: (1 + model.loops) / 2
    cost: Literal["expected", "graves"] = "expected"  # which loops count: those to expect; graves: taken and remainder
    over: float = Field(default=1.0, ge=0)  # weight of the squared excess over the budget
    every: float = Field(default=0.01, ge=0)  # weight of the loops themselves
    prior: float = Field(default=0.01, ge=0)  # weight of the divergence from a geometric prior, with halting=ponder
    diversity: float = Field(default=0.3, ge=0)  # weight of the loss of tokens that loop alike; 0: none
    spread: float = Field(default=0.5, gt=0)  # deviation of the loops at which it asks for no more
    usefulness: float = Field(default=1.0, ge=0)  # weight, in it, of looping more where it is difficult
    covariance: float = Field(default=0.2, ge=0)  # of loops and difficulty at which it asks for no more
    noise: float = Field(default=0.5, ge=0)  # deviation of the noise on the chances' logits in training


def why_impossible(loops: int, positions: str, budget: float | None, sharding: str, compiled: bool | str) -> str | None:
    """Return why a model with loops or learned positions cannot be trained as asked; None where it can."""
    if loops > 1 and budget is not None and not budget < loops:
        return f"adaptive.budget is {budget:g} and there are {loops} loops: ask for fewer"
    if loops == 1 and positions == "rotary":
        return None
    if sharding == "full":
        return "train.sharding=full cannot hold a model with loops or learned positions; use optimizer or none"
    if compiled is True:
        return "there are no compiled kernels for loops and learned positions; leave train.compile out"
    return None
