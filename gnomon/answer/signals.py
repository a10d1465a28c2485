"""What speaks for an answer and against it, as numbers by name: from these its confidence is fused."""

import math
from collections.abc import Mapping

from gnomon.answer.ask import Found, Try
from gnomon.answer.recitation import signals_of
from gnomon.answer.validate import is_quoted, problem_of

OF_QUESTION = ("well_posed", "known", "retrieve")
"""What the router says of a question."""


def signals(found: Found, one: Try) -> dict[str, float]:
    """Return the signals of an answer; those of evidence only where there was some, and of a recitation only where
    there could have been one.

    What the router says of question and evidence comes as it was behind these and, as `opening_`, where the first
    answer begins. Probabilities lie from 0 to 1, and all other numbers but `tokens` are logs of such, at most 0: of the
    answer, as the model left to itself had it (`log_prob`), and of its tokens (`mean_`, `min_log_prob`), as it would
    have had them in the mean (less their entropy), and, under a constraint, of all that was allowed; and what the fine
    types' would be in the mean, which are sure where it is near 0. `abstain` is how likely the model was to abstain
    instead. `echo` is 1 for an answer that stands in the question itself, which seldom asks for what it says.
    """
    assert found.question is not None and one.utterance.text is not None
    said, logs = one.utterance, one.utterance.log_probs
    every = {name: found.question.router[name] for name in OF_QUESTION} | {"correct": one.correct}
    if one.evidence is not None:
        every["sufficient"] = one.evidence.router["sufficient"]
    names = (*OF_QUESTION, "sufficient") if one.evidence is not None else OF_QUESTION
    every |= {f"opening_{name}": found.router[name] for name in names}
    every |= {
        "abstain": min(1.0, math.exp(said.abstain)),
        "log_prob": sum(logs),
        "mean_log_prob": sum(logs) / len(logs),
        "min_log_prob": min(logs),
        "expected_log_prob": -sum(said.entropies) / len(said.entropies),
        "tokens": float(len(logs)),
        "echo": float(is_quoted(said.text or "", found.asked.question)),
    }
    if found.may_recite:
        every |= signals_of(one.recitation, said)
    if not said.free:
        every["log_mass"] = round(said.log_mass, 4)  # where all is allowed, what is left of it is rounding
    if coarse := found.question.coarse:
        likeliest = max(coarse, key=coarse.__getitem__)
        holds = problem_of(said.text or "", likeliest, one.quotable) is None
        every |= {"type_valid": float(holds), "expected_type_log_prob": -entropy(found.question.fine)}
    return every


def entropy(chances: Mapping[str, float]) -> float:
    """Return the entropy in nats of probabilities that sum to one."""
    return -math.fsum(p * math.log(p) for p in chances.values() if p > 0)
