"""What an assessment means, in sentences for people."""

from typing import Any


def of_certificate(said: dict[str, Any]) -> str:
    """Return what a certificate promises, or what is missing for one."""
    risk, trust = plain(said["risk"]), plain(said["confidence"])
    given = f"{said['wrong']:,} of {said['answered']:,} answers were wrong"
    bounded = f"{given}, which bounds the risk by {share(said['bound'])} at {trust} confidence"
    if said["certified"]:
        above = "every question" if said["threshold"] is None else f"from a confidence of {said['threshold']:.4f} on"
        rule = f"answer {above}, {share(said['coverage'])} of all"
        return f"A risk of {risk} is certified: {rule}. Of {said['questions']:,} certifying questions, {bounded}."
    first = f"No threshold can be certified for a risk of {risk}: at the first tested, {bounded}."
    if said["hopeless"]:
        return f"{first} More questions would not help: even the surest answers are wrong more often."
    if said["enough_questions"] is None:
        few = f"{said['fewest_questions']:,} answers, none of them wrong, are the least that can certify it"
        return f"{first} How many would do is not to be told from these; {few}."
    about = f"about {said['enough_questions']:,} certifying questions"
    if said["more_questions"]:
        return f"{first} With {about}, {said['more_questions']:,} more, one is to be had in four of five cases."
    return f"{first} That was bad luck: {about} do in four of five cases, and there are {said['questions']:,}."


def of_resplits(said: dict[str, Any], risk: float, trust: float) -> str:
    """Return how often certificates from half of the questions kept their promise."""
    if not said["certified"]:
        return f"None of {said['times']} certificates from random halves certified anything."
    verdict = "as promised" if said["kept"] >= trust else f"LESS than the {plain(trust)} promised"
    return (
        f"Of {said['times']} certificates from random halves, {said['kept_pool']} kept a risk of {plain(risk)} on all "
        f"certifying questions together ({share(said['kept'])}, {verdict}), {said['kept_rest']} on the other half "
        f"alone, whose own chance comes on top. {said['certified']} certified something; mean coverage "
        f"{share(said['coverage'])}."
    )


def of_shift(said: dict[str, Any], risk: float) -> str:
    """Return what becomes of the promise on questions of another kind."""
    others = f"On {said['questions']:,} other questions"
    if said["verdict"] is None:
        return f"{others} there is nothing to break, as nothing was certified."
    if not said["answered"]:
        return f"{others} nothing is sure enough to be answered."
    given = f"{said['wrong']:,} of {said['answered']:,} answers given ({share(said['coverage'])} of all) are wrong"
    seen = f"{others} {given}: a risk of {share(said['risk'])}, at least {share(said['low'])}"
    return {
        "broken": f"{seen}. The certificate is BROKEN there: {said['times']:.1f} times the {plain(risk)} promised.",
        "open": f"{seen} and at most {share(said['high'])}. Whether {plain(risk)} holds there is open.",
        "kept": f"{seen} and at most {share(said['high'])}. The promised {plain(risk)} holds there too.",
    }[said["verdict"]]


def share(value: float) -> str:
    """Return a measured share in percent."""
    return f"{100 * value:.2f} %"


def plain(value: float) -> str:
    """Return a chosen share in percent, as it was written."""
    return f"{100 * value:g} %"
