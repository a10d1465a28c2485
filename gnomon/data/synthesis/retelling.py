"""The same events told by those who took part or looked on, and what several witnesses saw."""

from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, an, listed, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import clock, people

ROLES: dict[str, tuple[str, str, str, str]] = {
    # what happened, as the doer tells it, as the other tells it, and as an onlooker saw it
    "sell": ("{a} sold {b} {x} for {n} euros", "I sold {b} {x} for {n} euros", "I bought {x} from {a} for {n} euros",
             "I saw {a} sell {b} {x} for {n} euros"),
    "lend": ("{a} lent {b} {x}", "I lent {b} {x}", "I borrowed {x} from {a}", "I saw {a} lend {b} {x}"),
    "give": ("{a} gave {b} {x} as a present", "I gave {b} {x} as a present", "I was given {x} as a present by {a}",
             "I saw {a} give {b} {x} as a present"),
    "teach": ("{a} taught {b} a card trick", "I taught {b} a card trick", "I learned a card trick from {a}",
              "I saw {a} teach {b} a card trick"),
    "beat": ("{a} beat {b} at chess in {n} moves", "I beat {b} at chess in {n} moves",
             "I lost to {a} at chess in {n} moves", "I saw {a} beat {b} at chess in {n} moves"),
    "hand": ("{a} handed {b} {x}", "I handed {b} {x}", "I was handed {x} by {a}", "I saw {a} hand {b} {x}"),
    "owe": ("{a} paid {b} {n} euros for old repairs", "I paid {b} {n} euros for old repairs",
            "I received {n} euros from {a} for old repairs", "I saw {a} pay {b} {n} euros for old repairs"),
    "invite": ("{a} invited {b} to a concert", "I invited {b} to a concert", "I was invited to a concert by {a}",
               "I heard {a} invite {b} to a concert"),
    "help": ("{a} helped {b} to carry {n} boxes upstairs", "I helped {b} to carry {n} boxes upstairs",
             "I carried {n} boxes upstairs with help from {a}", "I saw {a} help {b} to carry {n} boxes upstairs"),
    "thank": ("{a} thanked {b} for the loan of {x}", "I thanked {b} for the loan of {x}",
              "I was thanked by {a} for the loan of {x}", "I heard {a} thank {b} for the loan of {x}"),
}  # fmt: skip
"""What two people do: {a} does it, {b} is the other, {x} a thing, {n} a number."""

GOODS = (
    "silver whistle", "pocket watch", "fountain pen", "harmonica", "compass", "camera", "magnifying glass", "globe",
    "jar of honey", "ukulele", "chess set", "folding chair", "kettle", "tent", "bicycle pump", "typewriter", "lantern",
    "atlas", "umbrella", "record player", "toolbox", "sleeping bag", "wool blanket", "coffee grinder", "telescope",
)  # fmt: skip

STORY = phrases(
    "retell.story",
    "In the morning {one}. At noon {two}. In the evening {three}.",
    "First {one}. Later {two}. At the end of the day {three}.",
    "On Monday {one}. On Tuesday {two}. On Wednesday {three}.",
    "At ten {one}; at one {two}; at six {three}.",
)
ONLOOKER = phrases(
    "retell.onlooker",
    "{w} looked on when {a} and {b} met, but nobody else saw any of these meetings, and none was spoken of afterwards.",
    "Of these meetings, only the one between {a} and {b} had a witness, {w}; nothing was told to anybody later.",
    "Apart from the two people in each case, only {w} witnessed anything, namely what passed between {a} and {b}. "
    "Nobody "
    "talked about any of it later.",
    "Each time only the two concerned were there, except that {w} was present when {a} and {b} met. All kept silent.",
)
RETELL = phrases(
    "retell.ask",
    "Tell what {w} knows of these events from {w}'s own experience, in the first person.",
    "Write {w}'s own account: first person, only what {w} did or witnessed.",
    "How would {w}, saying “I”, tell it, leaving out what {w} cannot know?",
    "Retell this from {w}'s point of view, without anything that {w} did not take part in or see.",
    "Let {w} speak: what did {w} do or notice? Use “I”.",
)
KNOW_DEED = phrases(
    "retell.ask.know",
    "Which of these people can say, from their own experience, that {deed}?",
    "Who knows at first hand that {deed}?",
    "Name everyone who took part in or saw this: {deed}.",
    "That {deed}: who could confirm it without asking anyone?",
)
ACCOUNT = phrases("retell.say", "{account}", "{w}'s account: {account}", "{w} says: “{account}”")
KNOWERS = phrases(
    "retell.say.know",
    "{names}.",
    "It is known at first hand to {names}.",
    "Those who were there: {names}.",
    "Only {names} can.",
)

HAPPENINGS = (
    "the fountain stopped", "a grey van parked by the bakery", "a dog ran off with a loaf", "the clock struck twice",
    "a juggler dropped a torch", "the flower stall collapsed", "a cyclist lost a glove", "the lights went out",
    "a child let go of a balloon", "the brass band began to play", "a waiter broke a tray of glasses",
    "a pigeon stole a sandwich", "the tram bell jammed", "a painter spilled a pot of varnish", "a flag was raised",
    "two buses blocked the crossing", "a kite caught in the lime tree", "the fishmonger closed early",
)  # fmt: skip
SQUARE = phrases(
    "witness.square",
    "Things happened in the square that day: {events}.",
    "This is what took place in the square: {events}.",
    "The log of the square reads: {events}.",
    "In the square that afternoon: {events}.",
)
STAY = phrases(
    "witness.stay",
    "{x} was there from {start} to {end}",
    "{x} came at {start} and left at {end}",
    "{x} stayed from {start} until {end}",
    "from {start} to {end} {x} was in the square",
)
SEES_ALL = phrases(
    "witness.rule",
    "Whoever is in the square notices everything there.",
    "Everyone saw all that happened while they were there, and nothing else.",
    "Each saw what happened during the stay, and only that.",
    "Nothing escapes those present, and those absent see nothing.",
)
BOTH = phrases(
    "witness.ask.both",
    "What did both {x} and {y} see?",
    "Which of the events were witnessed by {x} as well as by {y}?",
    "Which events can {x} and {y} both report?",
    "On which events could the accounts of {x} and {y} be compared?",
)
ONLY = phrases(
    "witness.ask.only",
    "What did {x} see that {y} did not?",
    "Which events does {x} know of, but not {y}?",
    "What could {x} tell {y} that would be new to {y}?",
    "Name the events missing from {y}'s account that {x} can supply.",
)
WHO_SAW = phrases(
    "witness.ask.who",
    "Who could say what it looked like when {event}?",
    "Whom can one ask about the moment when {event}?",
    "Who was in the square when {event}?",
    "Which of them saw that {event}?",
)
HOW_MANY = phrases(
    "witness.ask.count",
    "How many of the events did {x} see?",
    "Of the things listed, how many happened before {x}'s eyes?",
    "How many events are in {x}'s account?",
    "How many of these events could {x} report?",
)
SAY_EVENTS = phrases(
    "witness.say.events",
    "{answer}.",
    "It comes to this: {answer}.",
    "By the times: {answer}.",
)
SAY_COUNT = phrases(
    "witness.say.count",
    "{answer}, since the stay lasted from {start} to {end}.",
    "Between {start} and {end} there were {answer}.",
    "{x} was there from {start} to {end}, which makes {answer}.",
)


def make_retelling(draw: Draw, tell: Teller) -> Sample:
    """Return three events among four people, to be told by one of them or by an onlooker."""
    who = people(draw, 4)
    names, objects = draw.some(sorted(ROLES), 3), draw.some(GOODS, 3)
    pairs = draw.some([(a, b) for a in who[:3] for b in who[:3] if a != b], 3)
    while len({frozenset(pair) for pair in pairs}) < 3:
        pairs = draw.some([(a, b) for a in who[:3] for b in who[:3] if a != b], 3)
    deeds = [
        {"do": do, "a": a, "b": b, "x": an(thing), "n": draw.between(12, 48)}
        for do, (a, b), thing in zip(names, pairs, objects, strict=True)
    ]
    seen = draw.below(3)
    onlooker = next(p for p in who[:3] if p not in pairs[seen]) if draw.chance(50) else who[3]
    texts = [ROLES[d["do"]][0].format(**d) for d in deeds]
    text = tell(STORY, **dict(zip(("one", "two", "three"), texts, strict=True)))
    watch = tell(ONLOOKER, w=onlooker, **{k: deeds[seen][k] for k in "ab"})
    world: dict[str, Any] = {"deeds": deeds, "seen": seen, "onlooker": onlooker}
    if draw.chance(65):
        w = draw.pick(sorted({*who[:3], onlooker}))
        ask, of, fine = tell.ask(RETELL, w=w), "description", "DESC:desc"
        answer = " ".join(f"{account(d, w, i == seen and w == onlooker)}." for i, d in enumerate(deeds)
                          if w in (d["a"], d["b"]) or (i == seen and w == onlooker))  # fmt: skip
        reply = tell(ACCOUNT, w=w, account=answer)
        world["ask"] = {"kind": "retell", "w": w}
    else:
        at = draw.below(3)
        ask, of, fine = tell.ask(KNOW_DEED, deed=texts[at]), "person", "HUM:ind"
        answer = listed([deeds[at]["a"], deeds[at]["b"], *([onlooker] if at == seen else [])])
        reply = tell(KNOWERS, names=answer)
        world["ask"] = {"kind": "know", "at": at}
    kind = f"retell-{world['ask']['kind']}"
    return _sample(
        kind, tell, f"{text} {sentence(watch)} {ask}", Question(ask, answer, (answer,), of, fine), reply, world
    )


def account(deed: dict[str, Any], w: str, looked_on: bool) -> str:
    """Return the deed as `w` tells it."""
    role = 3 if looked_on else 1 if deed["a"] == w else 2
    return ROLES[deed["do"]][role].format(**deed)


def make_witnesses(draw: Draw, tell: Teller) -> Sample:
    """Return events and stays on one square, and a question about who saw what."""
    who = people(draw, 3)
    minutes = draw.some([i * 5 for i in range(12 * 12, 12 * 17)], 5)
    events = sorted(zip(minutes, draw.some(HAPPENINGS, 5), strict=True))
    stays: dict[str, tuple[int, int]] = {}
    for x in who:
        a, b = sorted(draw.some([i * 5 + 2 for i in range(12 * 12 - 6, 12 * 17 + 6, 2)], 2))
        stays[x] = (a, max(b, a + 40))
    saw = {x: [e for t, e in events if stays[x][0] <= t <= stays[x][1]] for x in who}
    said = [tell(STAY, x=x, start=clock(stays[x][0]), end=clock(stays[x][1])) for x in who]
    log = "; ".join(f"at {clock(t)} {e}" for t, e in events)
    x, y = draw.some(who, 2)
    kind = draw.pick(["both", "only", "who", "count"])
    world: dict[str, Any] = {"events": [list(e) for e in events], "stays": [[x, *stays[x]] for x in who]}
    world["ask"] = {"kind": kind, "x": x, "y": y, "event": ""}
    if kind in ("both", "only"):
        found = [e for e in saw[x] if (e in saw[y]) == (kind == "both")]
        ask, of, fine = tell.ask(BOTH if kind == "both" else ONLY, x=x, y=y), "description", "DESC:desc"
        answer = listed(found) if found else "nothing"
        reply = tell(SAY_EVENTS, answer=answer)
    elif kind == "who":
        event = draw.pick(events)[1]
        found = [p for p in who if event in saw[p]]
        world["ask"]["event"] = event
        ask, of, fine = tell.ask(WHO_SAW, event=event), "person", "HUM:ind"
        answer = listed(found) if found else "nobody"
        reply = tell(SAY_EVENTS, answer=answer)
    else:
        ask, of, fine, answer = tell.ask(HOW_MANY, x=x), "count", "NUM:count", str(len(saw[x]))
        reply = tell(SAY_COUNT, x=x, answer=answer, start=clock(stays[x][0]), end=clock(stays[x][1]))
    text = f"{tell(SQUARE, events=log)} {sentence('; '.join(said))}. {tell(SEES_ALL)}"
    return _sample(f"witness-{kind}", tell, f"{text} {ask}", Question(ask, answer, (answer,), of, fine), reply, world)


def _sample(kind: str, tell: Teller, text: str, question: Question, reply: str, world: dict[str, Any]) -> Sample:
    return Sample(
        family="perspectives", kind=kind, split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=question, world=world,
        messages=({"role": "user", "content": text}, {"role": "assistant", "content": sentence(reply)}),
    )  # fmt: skip
