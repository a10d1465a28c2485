"""What a world is made from."""

from dataclasses import dataclass

from gnomon.base.errors import ConfigError

VERSION = 4
"""Of the generator: raised whenever equal settings give other files."""

SHOWS = ("both", "closed", "evidence")
"""How training questions are shown to a model."""


@dataclass(frozen=True)
class Settings:
    """The options of a world. `facts` are those stated of each entity; `statements` are all in the documents, each of
    one fact; `questions` are those to train on, `held_out` those of dev and of test each. `homonyms`, `false` and
    `updates` are percents of entities, statements and facts. `shows` says how training questions are shown: `closed`,
    with `evidence`, as in a world that is there to learn reading and whose documents are not read, or `both`. Of those
    with evidence `two_passages` percent show a second one; `crowded` percent of passages tell of another entity too.
    """

    entities: int = 400
    facts: int = 4
    statements: int | None = None
    questions: int = 4000
    held_out: int = 1500
    seed: int = 1337
    homonyms: int = 5
    false: int = 3
    updates: int = 5
    head_from: int = 30
    tail_to: int = 4
    shows: str = "both"
    two_passages: int = 50
    crowded: int = 40

    def checked(self) -> "Settings":
        """Return the settings with `statements` filled in: ten a fact. Raises ConfigError."""
        stated = self.entities * self.facts
        statements = 10 * stated if self.statements is None else self.statements
        bounds = (
            ("entities", self.entities, 40, 1_000_000),
            ("facts", self.facts, 2, 4),  # every kind has five relations, and one of them stays unstated
            ("statements", statements, 2 * stated, 1_000_000_000),
            ("questions", self.questions, 0, 100_000_000),
            ("held_out", self.held_out, 0, 100_000_000),
            ("homonyms", self.homonyms, 0, 20),
            ("false", self.false, 0, 20),
            ("updates", self.updates, 0, 15),
            ("head_from", self.head_from, 2, 1_000_000_000),
            ("tail_to", self.tail_to, 1, self.head_from - 1),
            ("two_passages", self.two_passages, 0, 100),
            ("crowded", self.crowded, 0, 100),
        )
        if self.shows not in SHOWS:
            raise ConfigError(f"shows is {self.shows!r:.40}", do=f"give one of {', '.join(SHOWS)}")
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value:,}", do=f"give a number from {low:,} to {high:,}")
        return Settings(**{**self.__dict__, "statements": statements})
