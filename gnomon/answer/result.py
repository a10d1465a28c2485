"""The answer to a question as programs read it: its type, its confidence, what was decided and why, and a trace."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gnomon.answer.ask import Asked, Found, Settings, Try, Unread, answer_each
from gnomon.answer.constrain import has_constraints
from gnomon.answer.decision import ENOUGH_FROM, GIVEN, WISHED_FROM, Decision, Seen, decide, why
from gnomon.answer.signals import OF_QUESTION, signals
from gnomon.answer.spans import spans
from gnomon.answer.trust import CLOSED, SHOWN, Trust, load_trust, trust_path, weights_digest, why_not
from gnomon.answer.utterance import Utterance
from gnomon.base.progress import Progress, silent
from gnomon.bundle import Bundle
from gnomon.model.reading import Reading


@dataclass(frozen=True)
class Terms:
    """On which terms a run answers: how, with which calibration (None: without), at which risk, how sure of it."""

    settings: Settings
    trust: Trust | None
    weights: str
    risk: float = 0.05
    confidence: float = 0.95
    note: str | None = None  # what is said of the settings


def terms_of(
    bundle: Bundle, risk: float, confidence: float, constrain: bool | None = None, repairs: int | None = None
) -> Terms:
    """Return the terms of a run. `constrain` None: as far as the package is there; `repairs` None: as many as were
    measured to be worth it.

    Raises IntegrityError for a calibration that is damaged.
    """
    trust = load_trust(trust_path(bundle.run))
    weights = weights_digest(bundle)
    note = None
    if constrain is None:
        constrain = has_constraints()
        note = None if constrain else "llguidance is not installed: answers are checked, but not constrained"
    made = trust.settings if trust is not None and trust.weights == weights else Settings()
    settings = Settings(constrain, made.repairs if repairs is None else repairs, weighed=made.weighed)
    return Terms(settings, trust, weights, risk, confidence, note)


def result_of(found: Found, terms: Terms) -> dict[str, Any]:
    """Return what is said of a question: `answer`, None unless one is given; `type`, `confidence`, `decision`, `why`,
    `recitation`, `evidence` and `trace`.
    """
    if found.unread is not None:
        return _unread(found.unread)
    use = SHOWN if found.used else CLOSED
    unfit = why_not(terms.trust, terms.weights, terms.settings, use)
    one = found.standing(terms.settings.repairs, final=unfit is not None)  # nothing weighs the model's own abstention
    confidence, threshold, basis = None, None, f"the router's own, uncalibrated: {unfit}"
    if one is not None:
        confidence = one.correct
    if unfit is None and terms.trust is not None:
        test = terms.trust.certificate(use, terms.risk, terms.confidence).certified
        threshold = None if test is None else max(0.0, test.threshold)
        basis = f"fused from the signals, certified on questions {'with' if use == SHOWN else 'without'} evidence"
        if one is not None:
            confidence = terms.trust.uses[use].confidence_of(signals(found, one))
    assert found.question is not None
    read = one if one is not None else found.tries[-1] if found.tries else None
    sufficient = None if read is None or read.evidence is None else read.router["sufficient"]
    seen = Seen(found.ill_posed, confidence, unfit is None, threshold, found.router["retrieve"], sufficient)
    decision = decide(seen)
    text = one.utterance.text if one is not None and decision in GIVEN else None
    return {
        "answer": text,
        "type": one.type if one is not None and one.type else found.types[0],
        "confidence": None if confidence is None else round(confidence, 6),
        "decision": decision,
        "why": why(decision, seen, terms.risk),
        "recitation": one.recitation.text if text and one is not None and one.recitation else None,
        "evidence": [asdict(span) for span in spans(text, found.asked.passages)] if text and found.used else [],
        "trace": [*_trace(found, terms), _decided(seen, decision, basis, terms, one, found)],
    }


def _unread(unread: Unread) -> dict[str, Any]:
    decision: Decision = "insufficient" if unread.part == "evidence" else "abstain"
    given = {"answer": None, "type": None, "confidence": None, "decision": decision}
    trace = [{"stage": unread.part, "saw": {}, "decided": unread.why, "milliseconds": 0.0}]
    return {**given, "why": unread.why, "recitation": None, "evidence": [], "trace": trace}


def _trace(found: Found, terms: Terms) -> list[dict[str, Any]]:
    """Return what each stage saw and decided; what tries have in common is timed in the first of its kind."""
    assert found.question is not None
    spent, router = dict(found.milliseconds), found.question.router
    asked = {name: router[name] for name in OF_QUESTION}
    coarse = found.question.coarse
    steps = [
        _step("question", asked, spent, "ill posed" if found.ill_posed and not found.tries else _wish(found, router)),
        _step("types", {name: coarse[name] for name in found.types if name in coarse}, {}, _open(found)),
    ]
    for number, one in enumerate(found.tries):
        if one.evidence is not None:
            steps.append(_step("evidence", _evidence_saw(found, one, one.evidence), spent, _evidence_said(found, one)))
        if found.may_recite and not number:
            steps.append(_step("recitation", *_recited(one.recitation, spent)))
        said = one.utterance
        opening = {f"opening_{name}": p for name, p in said.opening.router.items()} if said.opening else {}
        figures = {"tokens": len(said.log_probs), "log_prob": sum(said.log_probs), "log_mass": said.log_mass} | opening
        how = "constrained" if terms.settings.constrain else terms.note or "free, and checked"
        steps.append(_step("answer", {**figures, "how": how}, spent, _said(one)))
        if said.text is not None:
            saw = {"correct": one.correct} | ({"repair": one.attempt.repair} if number else {})
            holds = one.fault if terms.settings.repairs else one.problem
            steps.append(_step("check", saw, {}, holds or "it holds"))
    return steps


def _decided(seen: Seen, decision: str, basis: str, terms: Terms, one: Try | None, found: Found) -> dict[str, Any]:
    saw = signals(found, one) if one is not None else {}
    limits = {"confidence": seen.confidence, "threshold": seen.threshold, "risk": terms.risk, "basis": basis}
    return _step("decision", {**limits, "signals": _rounded(saw)}, {}, decision)


def _step(stage: str, saw: dict[str, Any], spent: dict[str, float], decided: str) -> dict[str, Any]:
    """Return one line of a trace; the time of a stage is told once, constraints with the answers they are for."""
    milliseconds = spent.pop(stage, 0.0) + (spent.pop("constraint", 0.0) if stage == "answer" else 0.0)
    return {"stage": stage, "saw": _rounded(saw), "decided": decided, "milliseconds": round(milliseconds, 3)}


def _rounded(saw: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in saw.items()}


def _open(found: Found) -> str:
    many = len(found.types) > 4
    return f"open: {'all' if many else ', '.join(found.types)}"


def _wish(found: Found, router: dict[str, float]) -> str:
    wished = router["retrieve"] >= WISHED_FROM
    if found.asked.passages:
        return "go on with the evidence"
    return "evidence would help, and there is none: closed book" if wished else "closed book"


def _evidence_saw(found: Found, one: Try, reading: Reading) -> dict[str, Any]:
    given = len(one.attempt.evidence or ())
    return {"sufficient": reading.router["sufficient"], "passages": given, "of": len(found.asked.passages)}


def _evidence_said(found: Found, one: Try) -> str:
    assert one.evidence is not None
    said = "enough" if one.evidence.router["sufficient"] >= ENOUGH_FROM else "not enough"
    left_out = len(found.asked.passages) - len(found.used)
    return f"{said}; {left_out} passages do not fit into the context and were left out" if left_out else said


def _recited(one: Utterance | None, spent: dict[str, float]) -> tuple[dict[str, Any], dict[str, float], str]:
    if one is None:
        return {}, spent, "none: it answers at once"
    return {"tokens": len(one.log_probs), "log_prob": sum(one.log_probs)}, spent, repr(one.text)


def _said(one: Try) -> str:
    if one.utterance.text is not None:
        return f"{one.utterance.text!r}, a {one.type}" if one.type else repr(one.utterance.text)
    return "abstained" if one.utterance.abstained else "did not come to an end"


def notes(found: Sequence[Found], terms: Terms) -> list[str]:
    """Return what is to be said of answers beside them: what is not constrained, not calibrated, or was left out."""
    said = [terms.note] if terms.note else []
    used = sorted({SHOWN if one.used else CLOSED for one in found if one.unread is None})
    for use in used:
        if unfit := why_not(terms.trust, terms.weights, terms.settings, use):
            said.append(f"confidence is not calibrated: {unfit}")
    if any(len(one.used) < len(one.asked.passages) for one in found if one.unread is None):
        said.append("not all passages fit into the context")
    return list(dict.fromkeys(said))


def ask_each(bundle: Bundle, asked: Sequence[Asked], terms: Terms, progress: Progress = silent) -> list[dict[str, Any]]:
    """Return what is said of each question, in their order, with what is to be said beside it as `notes`."""
    every = answer_each(bundle, asked, terms.settings, progress)
    return [{**result_of(found, terms), "notes": notes([found], terms)} for found in every]
