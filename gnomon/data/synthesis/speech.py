"""What `I`, `you`, `here`, `there` and `tomorrow` stand for, and how the hearer says the same on another day."""

from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import DAYS, SMALL, TOWNS, people

DEEDS = (
    ("repair", "repaired", ("bicycle", "radio", "sewing machine", "wheelbarrow", "accordion", "lawnmower")),
    ("paint", "painted", ("canoe", "garden gate", "bookcase", "birdhouse", "toy theatre")),
    ("test", "tested", ("telescope", "generator", "drone", "water pump", "projector")),
    ("photograph", "photographed", ("orchid", "rug", "stamp collection", "tapestry", "model railway")),
    ("sell", "sold", ("motorbike", "piano", "caravan", "loom", "rowing boat")),
    ("clean", "cleaned", ("tent", "aquarium", "saddle", "oven", "fur coat")),
    ("show to the insurer", "showed to the insurer", ("violin", "painting", "sculpture", "bracelet")),
)
_WHEN = {-2: "the day before yesterday", -1: "yesterday", 1: "tomorrow", 2: "the day after tomorrow"}
CALL = phrases(
    "speech.call",
    "On {day} {s}, who is in {here}, phones {h}, who is in {there}, and says: “{words}”",
    "It is {day}. {s} calls from {here} and tells {h}, who picks up the phone in {there}: “{words}”",
    "{s} is in {here} and {h} is in {there}. On {day} {s} leaves {h} a voice message, which {h} hears at once: "
    "“{words}”",
    "“{words}” That is what {s}, calling from {here} on {day}, says to {h} in {there}.",
    "{h} is in {there} when, on {day}, {s} calls from {here} with these words: “{words}”",
)
ASK_DAY = phrases(
    "speech.ask.day",
    "Which day of the week does {s} mean by “{when}”?",
    "For which day of the week is the {thing} being talked about?",
    "On what day of the week does this happen, if {s} is right?",
    "What day of the week is “{when}” here?",
)
ASK_PLACE = phrases(
    "speech.ask.place",
    "Which town does {s} mean by “{place}”?",
    "In which town does this happen, by what {s} says?",
    "What place is “{place}” in {s}'s sentence?",
    "Where, by name, is “{place}”?",
)
ASK_OWNER = phrases(
    "speech.ask.owner",
    "Whose {thing} is it?",
    "To whom does the {thing} belong?",
    "Who owns the {thing}?",
    "Who is the owner of the {thing}, going by these words?",
)
ASK_ACTOR = phrases(
    "speech.ask.actor",
    "Who is it that does this?",
    "By these words, who is the one to do it?",
    "Which of the two does the work that is spoken of?",
    "Name the person who, by these words, does it.",
)
ASK_SAME = phrases(
    "speech.ask.same",
    "On {day} {h}, still in {there}, passes this on to {k}, who is there too. How does {h} put it, speaking as “I”?",
    "Two people meet in {there} on {day}: {h} and {k}. How does {h}, saying “I”, repeat the news to {k}?",
    "{h} stays in {there} and reports it to {k}, face to face, on {day}. Give {h}'s words, from {h}'s own point of "
    "view.",
    "On {day}, {h} tells {k} about it in {there}. Say it as {h} would, with “I”, “my”, “here” and “there” as they fit.",
)
SAY_DAY = phrases(
    "speech.say.day",
    "{s} speaks on {day}, so “{when}” is {answer}.",
    "{answer}, because “{when}” counts from {day}, when {s} speaks.",
    "Counting from {day}, “{when}” is {answer}.",
)
SAY_PLACE = phrases(
    "speech.say.place",
    "{s} speaks from {here}, so “{place}” is {answer}.",
    "{answer}: “{place}” is said by {s}, who is in {here}, to someone in {there}.",
    "“{place}” means {answer}, as {s} is in {here} and {h} in {there}.",
)
SAY_WHO = phrases(
    "speech.say.who",
    "{s} speaks to {h}, so “{word}” points to {answer}.",
    "{answer}: the word is “{word}”, said by {s} to {h}.",
    "“{word}” in {s}'s mouth, spoken to {h}, means {answer}.",
)
SAY_SAME = phrases("speech.say.same", "“{answer}”", "{h} says: “{answer}”", "{h}'s words to {k} are: “{answer}”")


def make_speech(draw: Draw, tell: Teller) -> Sample:
    """Return an utterance and a question about whom, where or when it means, or its repetition by the hearer."""
    s, h, k = people(draw, 3)
    present, past, objects = draw.pick(DEEDS)
    here, there = draw.some(TOWNS, 2)
    kind = draw.pick(["day", "place", "owner", "actor", "same", "same"])
    day, offset = draw.below(7), draw.pick([-2, -1, -1, 2, 2, 3, 4] if kind == "same" else [-3, -2, -1, 1, 2, 3])
    later = (day + draw.between(1, min(3, offset - 1) if offset > 0 else 3)) % 7  # before it is due, or after it was
    world: dict[str, Any] = {
        "speaker": s, "hearer": h, "third": k, "here": here, "there": there, "day": day, "offset": offset,
        "deed": [present, past], "thing": draw.pick(objects), "actor": draw.pick(["I", "you"]),
        "owner": draw.pick(["my", "your"]), "place": draw.pick(["here", "there"]),
    }  # fmt: skip
    thing, place, when = world["thing"], world["place"], when_text(offset)
    words = sentence(said(world["actor"], world["owner"], place, offset, world["deed"], thing))
    text = tell(CALL, day=DAYS[day], s=s, h=h, here=here, there=there, words=words)
    world["ask"] = {"kind": kind, "later": later}
    fine = "HUM:ind"
    if kind == "day":
        ask, answer, of = tell.ask(ASK_DAY, s=s, when=when, thing=thing), DAYS[(day + offset) % 7], "date"
        reply, fine = tell(SAY_DAY, s=s, day=DAYS[day], when=when, answer=answer), "NUM:date"
    elif kind == "place":
        ask, answer, of = tell.ask(ASK_PLACE, s=s, place=place), here if place == "here" else there, "location"
        reply = tell(SAY_PLACE, s=s, h=h, here=here, there=there, place=place, answer=answer)
        fine = "LOC:city"
    elif kind in ("owner", "actor"):
        word = world[kind]
        ask, answer, of = tell.ask(ASK_OWNER if kind == "owner" else ASK_ACTOR, thing=thing), s, "person"
        answer = s if word in ("I", "my") else h
        reply = tell(SAY_WHO, s=s, h=h, word=word, answer=answer)
    else:
        ask, of, fine = (
            tell.ask(ASK_SAME, h=h, k=k, there=there, day=f"the very next {DAYS[later]}"),
            "description",
            "DESC:desc",
        )
        answer = repeated(world)
        reply = tell(SAY_SAME, h=h, k=k, answer=answer)
    return Sample(
        family="perspectives", kind=f"speech-{kind}", split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=Question(ask, answer, (answer,), of, fine),
        messages=({"role": "user", "content": f"{text} {ask}"}, {"role": "assistant", "content": sentence(reply)}),
        world=world,
    )  # fmt: skip


def said(actor: str, owner: str, place: str, offset: int, deed: list[str], thing: str) -> str:
    """Return the sentence that says who does what to whose thing, where, and how many days from the day of speaking."""
    present, past = deed
    verb, _, rest = (present if offset > 0 else past).partition(" ")
    rest = f" {rest}" if rest else ""
    will = "will " if offset > 0 else ""
    return f"{actor} {will}{verb} {owner} {thing}{rest} {place} {when_text(offset)}."


def when_text(offset: int) -> str:
    """Return what one calls the day that is `offset` days from today."""
    return _WHEN.get(offset) or (f"{SMALL[-offset]} days ago" if offset < 0 else f"in {SMALL[offset]} days")


def repeated(world: dict[str, Any]) -> str:
    """Return the speaker's sentence as the hearer says it to a third person, `later`, without having moved."""
    s = world["speaker"]
    actor = s if world["actor"] == "I" else "I"
    owner = "my" if world["owner"] == "your" else f"{s}'s"
    if world["actor"] == "I" and world["owner"] == "my":
        owner = f"{s}'s own"
    place = "there" if world["place"] == "here" else "here"
    passed = (world["ask"]["later"] - world["day"]) % 7
    return sentence(said(actor, owner, place, world["offset"] - passed, world["deed"], world["thing"]))
