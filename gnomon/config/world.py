"""Options of made-up worlds that a run writes for itself before the text is read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class WorldConfig(BaseModel):
    """A world, made where its folder is not there yet; `data` names its files, such as FOLDER/documents.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    folder: str = Field(min_length=1)  # that holds its documents and questions
    entities: int = 400  # persons, organisations, places and works in all
    facts: int = 4  # of each that documents state, 2 to 4
    statements: int | None = None  # in all documents; None: ten a fact
    questions: int = 4000  # to train on, at most
    held_out: int = 1500  # questions of dev and of test each, at most
    seed: int = 1337  # another seed, another world
    homonyms: int = 5  # percent of entities that share their name with another
    false: int = 3  # percent of statements that are false, in unconfirmed sources
    updates: int = 5  # percent of facts that a later document changes
    head_from: int = 30  # facts stated so often are of the head
    tail_to: int = 4  # facts stated no more often are of the tail
    shows: Literal["both", "closed", "evidence"] = "both"  # how training questions are: with their passages or without
    two_passages: int = 50  # percent of questions with evidence that show a second passage
    crowded: int = 40  # percent of passages that tell of another entity too
