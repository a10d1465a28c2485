"""Made-up institutes, ships and customs: what can be said of each, how it is said, and how it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Phrases, phrases
from gnomon.data.synthesis.words import TOWNS, day_text, full_name


@dataclass(frozen=True)
class Relation:
    """One thing that can be said of an entity `{e}`, with its value `{v}`; each statement is a clause."""

    name: str
    type: str
    fine: str
    value: Callable[[Draw], str]
    state: Phrases
    ask: Phrases


@dataclass(frozen=True)
class Theme:
    """A kind of entity: what it is called, how it is named, and its relations."""

    name: str
    kind: str
    entity: Callable[[Draw], str]
    relations: tuple[Relation, ...]


def _one(*items: str) -> Callable[[Draw], str]:
    return lambda draw: draw.pick(items)


def _counted(low: int, high: int, noun: str) -> Callable[[Draw], str]:
    return lambda draw: f"{draw.between(low, high):,}{noun}"


def _day(low: int, high: int) -> Callable[[Draw], str]:
    return lambda draw: day_text(draw.between(low, high), draw.between(1, 12), draw.between(1, 28))


def _town(draw: Draw) -> str:
    return draw.pick(TOWNS)


def _relation(
    name: str, types: str, value: Callable[[Draw], str], state: tuple[str, ...], ask: tuple[str, ...]
) -> Relation:
    coarse, fine = types.split()
    said, asked = phrases(f"fact.{name}", *state), phrases(f"ask.{name}", *ask)
    return Relation(name, coarse, fine, value, said, asked)


_INSTITUTES = (
    "Observatory", "Seed Bank", "Institute of Acoustics", "Herbarium", "Weather Station", "Map Archive",
    "Glass Laboratory",
    "School of Weaving", "Institute of Tides", "Bird Registry", "Academy of Lighting", "Soil Laboratory",
    "Film Archive",
    "Institute of Bridges", "Bell Foundry", "Clock Works", "Garden of Mosses", "Centre for Dyes",
)  # fmt: skip
_SHIPS = tuple(
    f"{a} {b}" for a in ("Silver", "Northern", "Patient", "Crimson", "Restless", "Golden", "Quiet", "Distant",
    "Morning",
                         "Proud", "Amber", "Wandering", "Brave", "Winter")
    for b in ("Heron", "Lantern", "Tide", "Comet", "Harbour", "Swallow", "Anchor", "Meridian", "Otter", "Thistle")
)  # fmt: skip
_SYLLABLES = (
    ("bra", "cal", "dor", "el", "fen", "gar", "hal", "ish", "jor", "kel", "lum", "mar", "nor", "oss", "pel", "ren",
    "sor",
     "tal", "ul", "ven", "wes", "yar", "zan"),
    ("a", "e", "i", "o", "u", "ari", "eli", "oma", "uli", "ani"),
    ("ck", "del", "dra", "ka", "lin", "mek", "na", "rik", "sha", "tan", "thal", "vo", "ya", "zet", "dosh"),
)  # fmt: skip
_GROUPS = (
    "the Lantern Guild", "the League of Harbour Towns", "the Society for Quiet Streets", "the Tidewater Trust",
    "the Union of Ropemakers", "the Northern Survey", "the Council of Growers", "the Brotherhood of Carters",
    "the Orchard Cooperative", "the Women's Geographical Circle", "the Free Printers", "the Salt Merchants' Chamber",
)  # fmt: skip

INSTITUTE = Theme(
    "institute", "institution", lambda draw: f"the {draw.pick(TOWNS)} {draw.pick(_INSTITUTES)}",
    (
        _relation("founder", "person HUM:ind", full_name,
                  ("{e} was founded by {v}", "{v} founded {e}", "{v} is named as the founder of {e}",
                   "the founder of {e} was {v}", "{e} owes its existence to {v}, who founded it"),
                  ("Who founded {e}?", "By whom was {e} founded?", "Who was the founder of {e}?",
                   "Which person founded {e}?", "Name the person who founded {e}.")),
        _relation("opening", "date NUM:date", _day(1871, 2016),
                  ("{e} opened its doors on {v}", "{e} was opened on {v}", "the opening of {e} took place on {v}",
                   "on {v}, {e} was opened to visitors", "{v} was the day on which {e} was opened"),
                  ("When was {e} opened?", "On what date was {e} opened?", "What was the opening date of {e}?",
                   "Which day was the opening of {e}?", "On which day did {e} open?")),
        _relation("staff", "count NUM:count", _counted(12, 640, ""),
                  ("{e} employs {v} people", "{v} people work at {e}", "the staff of {e} numbers {v} people",
                   "there are {v} people on the staff of {e}", "{e} has a staff of {v} people"),
                  ("How many people work at {e}?", "How many people does {e} employ?",
                   "How many people are on the staff of {e}?", "How large is the staff of {e}?",
                   "What is the number of people on the staff of {e}?")),
        _relation("grant", "money NUM:money", _counted(14, 990, ",000 euros"),
                  ("{e} receives a yearly grant of {v}", "a yearly grant of {v} goes to {e}",
                   "each year a grant of {v} is paid to {e}", "{e} lives on a yearly grant of {v}"),
                  ("How large is the yearly grant of {e}?", "What yearly grant does {e} receive?",
                   "How much money does {e} receive as a yearly grant?",
                   "What is the amount of the yearly grant of {e}?")),
        _relation("abroad", "percent NUM:perc", _counted(4, 93, " percent"),
                  ("{v} of the visitors of {e} come from abroad", "of those who visit {e}, {v} come from abroad",
                   "visitors from abroad make up {v} of all who come to {e}",
                   "the share of visitors from abroad at {e} is {v}"),
                  ("What percentage of the visitors of {e} come from abroad?",
                   "What share of the visitors of {e} come from abroad?",
                   "How many percent of the visitors of {e} are from abroad?",
                   "What is the percentage of visitors from abroad at {e}?")),
        _relation("code", "code NUM:code", lambda d: f"{d.pick('ABCDEFGH')}{d.pick('KLMNPR')}-{d.between(1000, 9999)}",
                  ("{e} is listed under the code {v}", "the register lists {e} under the code {v}",
                   "the code of {e} in the register is {v}", "{v} is the code under which {e} is listed"),
                  ("Under which code is {e} listed?", "What is the code of {e} in the register?",
                   "Which code does the register list for {e}?", "What code stands for {e} in the register?")),
        _relation("operator", "group HUM:gr", _one(*_GROUPS),
                  ("{e} is run by {v}", "{v} runs {e}", "{e} has always been run by {v}",
                  "the body that runs {e} is {v}"),
                  ("Which organisation runs {e}?", "By which organisation is {e} run?", "What body runs {e}?",
                   "What is the name of the organisation that runs {e}?")),
        _relation("short", "abbreviation ABBR:abb",
                  lambda d: "".join(d.pick("BCDFGHKLMNPRSTVZ") for _ in range(d.between(3, 4))),
                  ("{e} signs its letters with the abbreviation {v}", "the abbreviation of {e} is {v}",
                   "{v} is the abbreviation of {e}", "for {e}, the abbreviation {v} is in use"),
                  ("What is the abbreviation of {e}?", "Which abbreviation is in use for {e}?",
                   "By which abbreviation is {e} known?", "How is {e} abbreviated?")),
        _relation("station", "distance NUM:dist", _counted(2, 88, " kilometres"),
                  ("{e} lies {v} from the nearest railway station", "the nearest railway station is {v} from {e}",
                   "from {e} it is {v} to the nearest railway station",
                   "between {e} and the nearest railway station there are {v} of road"),
                  ("How far is {e} from the nearest railway station?",
                   "What is the distance from {e} to the nearest railway station?",
                   "How far is it from {e} to the nearest railway station?",
                   "What distance lies between {e} and the nearest railway station?")),
    ),
)  # fmt: skip

SHIP = Theme(
    "ship", "ship", lambda draw: f"the {draw.pick(_SHIPS)}",
    (
        _relation("captain", "person HUM:ind", full_name,
                  ("{e} sailed under Captain {v}", "the captain of {e} was {v}", "{v} was the captain of {e}",
                   "as captain of {e} served {v}"),
                  ("Who was the captain of {e}?", "Under which captain did {e} sail?",
                  "Which person was captain of {e}?",
                   "What was the name of the captain of {e}?")),
        _relation("port", "location LOC:city", _town,
                  ("the home port of {e} was {v}", "{e} had its home port in {v}", "{v} was the home port of {e}",
                   "{e} was registered in its home port, {v}"),
                  ("What was the home port of {e}?", "In which town did {e} have its home port?",
                   "Where was the home port of {e}?", "Which town was the home port of {e}?")),
        _relation("voyage", "duration NUM:period", _counted(9, 160, " days"),
                  ("the longest voyage of {e} lasted {v}", "on its longest voyage {e} was at sea for {v}",
                   "{e} spent {v} at sea on its longest voyage", "it took {e} {v} to complete its longest voyage"),
                  ("How long did the longest voyage of {e} last?", "How long was {e} at sea on its longest voyage?",
                   "What was the duration of the longest voyage of {e}?",
                   "For how long was {e} at sea on its longest voyage?")),
        _relation("cargo", "entity ENTY:product",
                  _one("sacks of cardamom", "roof tiles", "church bells", "dried figs", "bales of wool",
                  "marble blocks",
                       "crates of oranges", "window glass", "barrels of tar", "pianos", "copper wire", "salted cod",
                       "bolts of silk", "millstones", "orchids", "whale oil"),
                  ("the last cargo of {e} was {v}", "{e} carried {v} as its last cargo",
                   "as its last cargo {e} took {v} on board", "{v} made up the last cargo of {e}"),
                  ("What was the last cargo of {e}?", "What did {e} carry as its last cargo?",
                   "What made up the last cargo of {e}?", "What goods were the last cargo of {e}?")),
        _relation("delay", "reason DESC:reason",
                  _one("the rudder had cracked", "the harbour was frozen", "the crew had caught measles",
                       "a strike had closed the docks", "the papers lacked a stamp", "fog hid the channel",
                       "the anchor chain had broken", "the owners had not paid the dues", "the pilot had fallen ill",
                       "the sails had been stolen", "the water barrels leaked", "the tide was too low"),
                  ("{e} left late because {v}", "the departure of {e} was delayed because {v}",
                   "because {v}, {e} was delayed", "{e} was delayed, and this was because {v}"),
                  ("Why was {e} delayed?", "Why did {e} leave late?", "For what reason was {e} delayed?",
                   "What was the reason that {e} left late?")),
        _relation("speed", "number NUM:speed", lambda d: f"{d.between(14, 58) / 2:g} knots",
                  ("the top speed of {e} was {v}", "{e} reached a top speed of {v}", "at top speed {e} made {v}",
                   "{v} was the top speed of {e}"),
                  ("What was the top speed of {e}?", "What top speed did {e} reach?", "How fast was {e} at top speed?",
                   "Which top speed was reached by {e}?")),
        _relation("owner", "group HUM:gr", _one(*_GROUPS),
                  ("{e} belonged to {v}", "{v} owned {e}", "the owner of {e} was {v}", "{e} was the property of {v}"),
                  ("To which organisation did {e} belong?", "Which organisation owned {e}?",
                   "What organisation was the owner of {e}?", "Whose property was {e}?")),
        _relation("rescue", "manner DESC:manner",
                  _one("by shifting the ballast to one side", "with the help of forty oxen",
                  "by waiting for a spring tide",
                       "by digging a channel by hand", "with two tugs and a steel cable",
                       "by throwing the guns overboard",
                       "on rollers made of tree trunks", "by emptying the water tanks", "with ropes tied to the cliff",
                       "by pumping air into the hold"),
                  ("{e} was freed from the sandbank {v}", "the crew freed {e} from the sandbank {v}",
                   "it was {v} that {e} was freed from the sandbank", "{v}, {e} was freed from the sandbank"),
                  ("How was {e} freed from the sandbank?", "In what way was {e} freed from the sandbank?",
                   "How did the crew free {e} from the sandbank?", "By what means was {e} freed from the sandbank?")),
        _relation("launch", "date NUM:date", _day(1848, 1961),
                  ("{e} was launched on {v}", "the launch of {e} took place on {v}", "on {v}, {e} was launched",
                   "{v} was the day on which {e} was launched"),
                  ("When was {e} launched?", "On what date was {e} launched?", "On which day was the launch of {e}?",
                   "What was the date of the launch of {e}?")),
    ),
)  # fmt: skip


def _word(draw: Draw) -> str:
    return "the " + "".join(draw.pick(part) for part in _SYLLABLES)


CUSTOM = Theme(
    "custom", "custom", _word,
    (
        _relation("meaning", "definition DESC:def",
                  _one("a dance in three-four time", "a game played with seven stones", "a masked procession",
                       "a feast at the end of the harvest", "a play without words", "a song sung by two choirs",
                       "a market held by night", "a contest of whistling", "a walk around the village at dawn",
                       "a wrestling match on sand", "a round of riddles", "a race on wooden sledges"),
                  ("strictly speaking, {e} is {v}", "in the valley, {e} means {v}",
                  "what the villagers call {e} is {v}",
                   "by {e} people mean {v}"),
                  ("What is {e}?", "What does one mean by {e}?", "How is {e} defined?", "What do people call {e}?")),
        _relation("look", "description DESC:desc",
                  _one("loud, quick and full of clapping", "slow and solemn", "colourful and rather noisy",
                       "plain, with little to see", "bright, with lanterns everywhere", "calm and almost silent",
                       "crowded and cheerful", "rough, but friendly", "stately, in dark clothes",
                       "playful, with many pauses"),
                  ("visitors describe {e} as {v}", "in the words of visitors, {e} is {v}",
                   "visitors have described {e} as {v}", "according to what visitors describe, {e} is {v}"),
                  ("How do visitors describe {e}?", "How is {e} described by visitors?",
                  "What is {e} like for visitors?",
                   "In what words do visitors describe {e}?")),
        _relation("origin", "location LOC:city", _town,
                  ("{e} comes from {v}", "{e} has its origin in {v}", "the origin of {e} is in {v}",
                   "{v} is where {e} has its origin"),
                  ("Where does {e} come from?", "In which town does {e} have its origin?",
                   "What is the place of origin of {e}?", "Which town is the origin of {e}?")),
        _relation("why", "reason DESC:reason",
                  _one("it was thought to bring rain", "the bishop disliked it", "it woke the cattle",
                       "the river had to be honoured", "a fire had once begun that way", "taxes were due that week",
                       "it kept the young people at home", "a queen had fallen asleep", "it used too much oil",
                       "the bells could not be heard"),
                  ("{e} was once forbidden because {v}", "because {v}, {e} was once forbidden",
                   "the council once forbade {e}, as {v}", "{e} was forbidden for a time, for {v}"),
                  ("Why was {e} once forbidden?", "For what reason was {e} forbidden?",
                  "Why did the council forbid {e}?",
                   "What was the reason that {e} was forbidden?")),
        _relation("begin", "manner DESC:manner",
                  _one("with three blows on a copper pan", "by lighting a single candle",
                  "with a bow to the oldest guest",
                       "by ringing the smallest bell", "by turning around twice", "with a handful of thrown salt",
                       "by reading out the names of the houses", "with a minute of silence", "by opening every window",
                       "with a riddle told by a child"),
                  ("{e} begins {v}", "people begin {e} {v}", "it is {v} that {e} begins", "one always begins {e} {v}"),
                  ("How does {e} begin?", "In what way does {e} begin?", "How do people begin {e}?",
                   "What is the way in which {e} begins?")),
        _relation("length", "duration NUM:period", _counted(2, 11, " hours"),
                  ("{e} lasts {v}", "it takes {v} from the beginning of {e} to its end", "the duration of {e} is {v}",
                   "{e} goes on for {v}"),
                  ("How long does {e} last?", "What is the duration of {e}?", "For how long does {e} go on?",
                   "How much time does {e} take?")),
        _relation("thing", "entity ENTY:other",
                  _one("a copper ladle", "a white rooster", "a wreath of thyme", "a cracked mirror", "a blue ribbon",
                       "a bowl of ash", "a carved spoon", "a pair of clogs", "a horn of glass", "a bundle of reeds",
                       "a lump of rock salt", "a striped umbrella"),
                  ("{e} cannot do without {v}", "{v} is needed for {e}", "for {e} one needs {v}",
                   "whoever takes part in {e} needs {v}"),
                  ("What is needed for {e}?", "What does one need for {e}?", "What can {e} not do without?",
                   "What object is needed for {e}?")),
        _relation("people", "count NUM:count", _counted(4, 60, ""),
                  ("{v} people take part in {e}", "{e} is done by {v} people", "the number of people in {e} is {v}",
                   "{e} brings {v} people together"),
                  ("How many people take part in {e}?", "By how many people is {e} done?",
                   "What is the number of people in {e}?", "How many people does it take for {e}?")),
    ),
)  # fmt: skip

THEMES = (INSTITUTE, SHIP, CUSTOM)
