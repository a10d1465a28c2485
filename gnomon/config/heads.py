"""Options of heads: which there are, how far they reach into the model, and labels that it measures itself."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gnomon.base.files import covers
from gnomon.taxonomy import HEAD_OUTPUTS, HeadKind


class MeasuredConfig(BaseModel):
    """Questions that the model is asked while it trains: what it answers rightly are labels of the router."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    questions: list[str] = []  # files of questions with answers, none of which is trained on as text; empty: off
    every: int | None = Field(default=None, gt=0)  # steps between measurements; null: twenty in a run, or fewer
    at_once: int = Field(default=256, gt=0)  # questions of a measurement
    samples: int = Field(default=4, ge=0, le=64)  # answers drawn to each, at a temperature of 0.7, beside the likeliest
    buffer: int = Field(default=4096, gt=0)  # questions whose newest measurements are learned from
    alone: bool = True  # once something was measured, what texts say is known, or worth retrieval, counts no more
    rows_share: float = Field(default=0.0625, gt=0, le=1)  # rows of them beside a batch, of its rows; one or more


class HeadsConfig(BaseModel):
    """Heads that say of a question what the model knows, beside the language; they learn where texts have questions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    router: bool = False  # is it well posed, known, worth retrieval; is the evidence enough; is the answer right
    types: bool = False  # the type of its answer, of 18 coarse and 50 fine ones
    detached_share: float = Field(default=0.1, ge=0, le=1)  # of the steps, at first, in which only the heads learn
    decay_share: float = Field(default=0.1, ge=0, le=1)  # of the steps, at the end, in which their rate falls
    gradient_share: float = Field(default=0.1, ge=0, le=1)  # of the language's gradient that theirs may come to after
    measured: MeasuredConfig = MeasuredConfig()

    @model_validator(mode="after")
    def _measured_for_a_router(self) -> "HeadsConfig":
        if self.measured.questions and not self.router:
            raise ValueError("measured.questions teach a router; set heads.router=true, or leave them out")
        return self

    @property
    def kinds(self) -> list[HeadKind]:
        """The kinds of heads that are asked for."""
        return [kind for kind in HEAD_OUTPUTS if getattr(self, kind)]


def why_not_measured(heads: HeadsConfig, sharding: str, texts: set[str]) -> str | None:
    """Return why labels cannot be measured as asked, None where they can; `texts` are the paths that are trained on."""
    asked = heads.measured.questions
    if asked and sharding == "full":
        return "heads.measured asks each process for other questions, and train.sharding=full has no passes of its own"
    if both := [path for path in asked if any(covers(text, Path(path)) for text in texts)]:
        return f"heads.measured.questions has {both[0]!r}, which is trained on as text: ask others"
    return None
