"""Objects that are no entities: drawn from wide ranges or dealt from long lists, so that none is common."""

from collections.abc import Callable

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.words import MONTHS, day_text
from gnomon.data.world.relation import Relation

LISTS = {
    "instrument": tuple(
        """accordion bagpipe balalaika banjo bassoon bugle celesta cello clarinet cornet cymbal dulcimer fiddle flute
        gong guitar harmonica harp harpsichord horn lute lyre mandolin marimba oboe ocarina organ piano recorder sarod
        saxophone sitar tambourine theremin trombone trumpet tuba ukulele viola violin xylophone zither""".split()
    ),
    "animal": tuple(
        """badger bear beaver bee bison boar bull camel cat crane crow deer dolphin donkey dove duck eagle elk falcon
        ferret fox goat goose hare hawk hedgehog heron horse leopard lion lizard lynx mole otter owl panther pelican
        raven salmon seal stag stork swan tiger trout turtle walrus wolf""".split()
    ),
}


def _day(low: int, high: int) -> Callable[[Draw], str]:
    return lambda draw: day_text(draw.between(low, high), draw.between(1, 12), draw.between(1, 28))


VALUES: dict[str, Callable[[Draw], str]] = {
    "birthday": _day(1900, 2009),
    "founding": _day(1700, 2009),
    "height": lambda draw: f"{draw.between(1450, 2050) / 10:.1f} centimetres",
    "staff": lambda draw: f"{draw.between(120, 1999) if draw.chance(50) else draw.between(2050, 29_999):,}",
    "turnover": lambda draw: f"{draw.between(11, 9999) / 10:.1f} million crowns",
    "area": lambda draw: f"{draw.between(12, 1999)} square kilometres",
    "runtime": lambda draw: f"{draw.between(61, 420)} minutes",
    "code": lambda draw: f"{draw.pick('BCDFGHKLMNPRSTVZ')}{draw.pick('BCDFGHKLMNPRSTVZ')}-{draw.between(1000, 9999)}",
}
"""Drawers of values, by the name that relations call them. No year from 2030 on: those are of documents."""

STATION = {"yes": "a railway station", "no": "no railway station"}
"""How sentences say the answers of the boolean relation."""


def said(relation: Relation, object_: str) -> str:
    """Return an object as sentences have it."""
    return STATION[object_] if relation.object == "station" else object_


def answers(relation: Relation, object_: str) -> tuple[str, ...]:
    """Return the object and other ways to write it, all of them right."""
    if relation.type == "date":
        day, month, year = object_.split()
        number = MONTHS.index(month) + 1
        return object_, f"{month} {day}, {year}", f"{year}-{number:02}-{int(day):02}"
    if relation.type == "count" and "," in object_:
        return object_, object_.replace(",", "")
    return (object_,)
