"""A second and a third try for an answer that did not hold, and what such tries are worth.

Off unless asked for: a repair can also take a right answer away. `Tally` says how often either happened on questions
whose answers are known, and whether repairing is worth it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

MOST_REPAIRS = 2
MOST_HARM = 0.005
"""The share of right answers that repairing may cost."""


@dataclass(frozen=True)
class Attempt:
    """What a model is asked for: an answer of one of the types, likeliest first, from the passages, best first, that is
    none of the banned. `evidence` None: from what it knows. `repair`: what was changed since the attempt before.
    """

    types: tuple[str, ...]
    evidence: tuple[str, ...] | None = None
    banned: frozenset[str] = frozenset()
    repair: str | None = None


@dataclass(frozen=True)
class Reply:
    """What came of an attempt: an answer and its type, or None for an abstention."""

    answer: str | None
    type: str | None = None


@dataclass(frozen=True)
class Tried:
    """An attempt, its reply, and what is wrong with it; None for a reply that holds, and for an abstention."""

    attempt: Attempt
    reply: Reply
    problem: str | None = None


def next_attempt(failed: Tried, repair: int) -> Attempt | None:
    """Return what to ask for in repair 1 or 2 after a try that failed; None where nothing is left to ask for.

    Its answer is banned; the second repair also leaves out the best passage, or, where there is no other, the type of
    the answer.
    """
    attempt, answer = failed.attempt, failed.reply.answer
    assert answer is not None
    banned = replace(attempt, banned=attempt.banned | {answer}, repair="without that answer")
    if repair == 1:
        return banned
    if attempt.evidence and len(attempt.evidence) > 1:
        return replace(banned, evidence=attempt.evidence[1:], repair="with the next evidence")
    refused = failed.reply.type or attempt.types[0]
    others = tuple(type_ for type_ in attempt.types if type_ != refused)
    return replace(banned, types=others, repair="with the next type") if others else None


@dataclass
class Tally:
    """Counts of questions whose right answers are known: what repairing changed."""

    asked: int = 0
    repaired: int = 0  # of which the first answer had a problem
    right_first: int = 0
    fixed: int = 0  # wrong at first, right in the end
    harmed: int = 0  # right at first, and not in the end
    by_repair: dict[str, int] = field(default_factory=dict)  # how often each kind of repair was the one that fixed

    def add(self, tried: list[Tried], final: Reply, is_right: Callable[[str], bool]) -> None:
        """Count a question. An abstention is not right."""
        before, after = (reply.answer is not None and is_right(reply.answer) for reply in (tried[0].reply, final))
        self.asked += 1
        self.repaired += len(tried) > 1
        self.right_first += before
        self.fixed += after and not before
        self.harmed += before and not after
        if after and not before and tried[-1].attempt.repair:
            kind = tried[-1].attempt.repair
            self.by_repair[kind] = self.by_repair.get(kind, 0) + 1

    @property
    def fix_rate(self) -> float:
        """The share of first answers that were wrong and became right; 0 where none was wrong."""
        wrong = self.asked - self.right_first
        return self.fixed / wrong if wrong else 0.0

    @property
    def harm_rate(self) -> float:
        """The share of first answers that were right and did not stay; 0 where none was right."""
        return self.harmed / self.right_first if self.right_first else 0.0

    @property
    def worth_it(self) -> bool:
        """Whether repairing may be switched on: it fixes more than it harms, and harms at most MOST_HARM."""
        return self.fixed > self.harmed and self.harm_rate <= MOST_HARM


def tally(of: Iterable[tuple[list[Tried], Reply, Callable[[str], bool]]]) -> Tally:
    """Return the counts over questions: what was tried, what stood in the end, and what tells a right answer."""
    found = Tally()
    for tried, final, is_right in of:
        found.add(tried, final, is_right)
    return found
