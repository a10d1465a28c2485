"""The world itself: entities, and one object for every relation of each, of which some are never stated."""

from dataclasses import dataclass, field

from gnomon.base.seeds import derive
from gnomon.data.synthesis.draw import Draw
from gnomon.data.world import objects
from gnomon.data.world.names import words
from gnomon.data.world.relation import KINDS, SPLITS, Relation
from gnomon.data.world.relations import OF_KIND
from gnomon.data.world.settings import Settings

_SHARES = {"person": 40, "organisation": 20, "place": 20, "work": 20}  # percent of entities
_SPLIT_OF_TEN = (*["train"] * 5, *["dev"] * 2, *["test"] * 3)  # of facts, by who may be asked about them
_PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "his", "him"), "it": ("it", "its", "it")}


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity. `common` is the name that it shares with another one, or its own."""

    number: int
    kind: str
    name: str
    common: str
    pronoun: str

    @property
    def named(self) -> dict[str, str]:
        """Return the words for the gaps of a template."""
        return gaps(self.name)

    @property
    def pronouns(self) -> dict[str, str]:
        """Return the same with pronouns."""
        return dict(zip("spm", _PRONOUNS[self.pronoun], strict=True))


def gaps(name: str) -> dict[str, str]:
    """Return what stands in the gaps of a template for a subject that is called so."""
    return {"s": name, "p": f"{name}'s", "m": name}


@dataclass(slots=True)
class Fact:
    """A subject's object under a relation; `entity` is the object's number where it is one. Questions about the fact
    belong to one split. `former` is what documents before the year `changed` say.
    """

    number: int
    subject: int
    relation: Relation
    object: str
    entity: int | None
    split: str
    stated: bool = False
    former: str | None = None
    changed: int = 0

    @property
    def id(self) -> str:
        """Return the name under which files know it."""
        return f"f{self.number}"

    @property
    def said(self) -> str:
        """Return the object as sentences have it."""
        return objects.said(self.relation, self.object)

    @property
    def answers(self) -> tuple[str, ...]:
        """Return all right answers."""
        return objects.answers(self.relation, self.object)


@dataclass
class World:
    """All entities and facts. `exposures` counts, by fact, the statements of its object in the documents."""

    settings: Settings
    entities: list[Entity]
    of_kind: dict[str, list[int]]
    countries: list[str]
    papers: list[str]
    facts: list[Fact] = field(default_factory=list)
    of_entity: list[dict[str, Fact]] = field(default_factory=list)
    exposures: list[int] = field(default_factory=list)

    def draw(self, *names: str | int) -> Draw:
        """Return the stream of choices for one purpose."""
        return Draw(derive(self.settings.seed, "world", *names))

    @property
    def namesakes(self) -> list[tuple[int, int]]:
        """Return the persons that share their common name, two by two."""
        pairs = zip(self.entities[::2], self.entities[1::2], strict=False)
        return [(one.number, other.number) for one, other in pairs if one.common == other.common]

    def stated(self, entity: int) -> list[Fact]:
        """Return the facts of an entity that documents state."""
        return [fact for fact in self.of_entity[entity].values() if fact.stated]

    def other_object(self, draw: Draw, fact: Fact, *avoid: str | None) -> str:
        """Return an object that the fact does not have, and that is none of `avoid`; of two answers, the other."""
        relation, tries, never = fact.relation, 0, (fact.object, self.entities[fact.subject].name)
        while True:
            if relation.object in KINDS:
                found = self.entities[draw.pick(self.of_kind[relation.object])].name
            elif relation.object in objects.VALUES:
                found = objects.VALUES[relation.object](draw)
            else:
                found = draw.pick(self.listed(relation.object))
            tries += 1
            if found not in never and (found not in avoid or tries > 20):
                return found

    def listed(self, name: str) -> tuple[str, ...]:
        """Return all objects of a relation whose objects are neither entities nor values."""
        if name == "country":
            return tuple(self.countries)
        return tuple(objects.STATION) if name == "station" else objects.LISTS[name]


def make_world(settings: Settings) -> World:
    """Return the world of checked settings: every relation of every entity has an object, `facts` of them are stated.

    Objects are dealt like cards where there is a list of them: no object of a relation is much commoner than another.
    """
    seed, taken = settings.seed, set[str]()
    draw = Draw(derive(seed, "world", "names"))
    countries = words(draw, max(30, settings.entities // 10), taken)
    papers = [
        f"{name} {draw.pick(('Gazette', 'Herald', 'Mail', 'Almanac', 'Review'))}" for name in words(draw, 24, taken)
    ]
    entities = _entities(settings, draw, taken)
    of_kind = {kind: [e.number for e in entities if e.kind == kind] for kind in KINDS}
    world = World(settings, entities, of_kind, countries, papers)
    world.of_entity = [{} for _ in entities]
    for kind in KINDS:
        for relation in OF_KIND[kind]:
            _deal(world, kind, relation)
        _state(world, kind)
    world.exposures = [0] * len(world.facts)
    return world


def _entities(settings: Settings, draw: Draw, taken: set[str]) -> list[Entity]:
    counts = {kind: settings.entities * share // 100 for kind, share in _SHARES.items()}
    counts["person"] += settings.entities - sum(counts.values())
    persons = counts["person"]
    given = words(draw, max(12, int(persons**0.5) * 2), taken)
    family = words(draw, max(12, persons // 2), taken)
    seen, names = set[str](), list[str]()
    while len(names) < persons:
        name = f"{draw.pick(given)} {draw.pick(family)}"
        if name not in seen:
            seen.add(name)
            names.append(name)
    found, shared = list[Entity](), min(persons, settings.entities * settings.homonyms // 100) // 2 * 2
    for i, name in enumerate(names):
        common = names[i - i % 2] if i < shared else name
        full = f"{common} the {'younger' if i % 2 else 'elder'}" if i < shared else name
        found.append(Entity(i, "person", full, common, draw.pick(("she", "he"))))
    for kind in KINDS[1:]:
        for name in words(draw, counts[kind], taken):
            found.append(Entity(len(found), kind, name, name, "it"))
    return found


def _deal(world: World, kind: str, relation: Relation) -> None:
    """Give every entity of a kind its object under a relation, and the fact its split."""
    draw = world.draw("objects", relation.name)
    deck, splits = list[int | str](), list[str]()
    for place, number in enumerate(draw.shuffled(world.of_kind[kind])):
        if place % 10 == 0:
            splits = draw.shuffled(_SPLIT_OF_TEN)
        entity = None
        if relation.object in objects.VALUES:
            name = objects.VALUES[relation.object](draw)
        else:
            if len(deck) < 2:
                deck += draw.shuffled(world.of_kind.get(relation.object) or world.listed(relation.object))
            at = -2 if deck[-1] == number else -1  # nobody teaches himself
            card = deck.pop(at)
            entity, name = (card, world.entities[card].name) if isinstance(card, int) else (None, card)
        fact = Fact(len(world.facts), number, relation, name, entity, splits[place % 10])
        world.facts.append(fact)
        world.of_entity[number][relation.name] = fact
    for first, second in world.namesakes if kind == "person" else ():
        world.of_entity[second][relation.name].split = world.of_entity[first][relation.name].split


def _state(world: World, kind: str) -> None:
    """Choose which facts of each entity are stated, so that every relation is left out about as often."""
    draw, relations = world.draw("stated", kind), [relation.name for relation in OF_KIND[kind]]
    silent, deck = len(relations) - world.settings.facts, list[str]()
    for number in draw.shuffled(world.of_kind[kind]):
        left: list[str] = []
        while len(left) < silent:
            if not deck:
                deck = draw.shuffled(relations)
            at = next((i for i, name in enumerate(deck) if name not in left), None)
            if at is None:
                deck = draw.shuffled(relations) + deck
                continue
            left.append(deck.pop(at))
        for name, fact in world.of_entity[number].items():
            fact.stated = name not in left


assert set(_SPLIT_OF_TEN) == set(SPLITS)
