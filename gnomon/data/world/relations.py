"""All relations, in the order in which a world draws them."""

from gnomon.data.world.organisations import ORGANISATION
from gnomon.data.world.persons import PERSON
from gnomon.data.world.places import PLACE
from gnomon.data.world.relation import dealt
from gnomon.data.world.works import WORK

OF_KIND = {"person": PERSON, "organisation": ORGANISATION, "place": PLACE, "work": WORK}
"""The relations of each kind of entities."""

RELATIONS = (*PERSON, *ORGANISATION, *PLACE, *WORK)

PRESUPPOSING = dealt(
    "presupposing",
    """Given that {clause}, {question}
    Since {clause}, {question}
    Knowing that {clause}, {question}
    As {clause}, tell me: {question}
    We have read that {clause}; {question}
    Considering that {clause}, {question}
    If, as we are told, {clause}, {question}
    It is true, as said, that {clause}; {question}
    Seeing how {clause}, {question}
    Granted, {clause}; {question}
    Seeing that {clause}, {question}
    It is said that {clause}: {question}
    If it is true that {clause}, {question}
    Granted that {clause}, {question}""",
    (10, 2, 2),
)
"""Questions that take something for granted, true or not."""
