"""Stories in which things are moved while some are away, and what each then believes: first and second order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, listed, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import HOLDERS, ROOMS, THINGS, people

OPEN = phrases(
    "belief.open",
    "{names} are together in the {room}.",
    "It is early afternoon, and {names} are in the {room}.",
    "The {room} is busy: {names} are all there.",
    "{names} meet in the {room}.",
    "We find {names} in the {room}.",
    "At the start of this story, {names} are in the {room}.",
)
AWAY = phrases(
    "belief.away",
    "{name} is still on the way.",
    "{name} has not arrived yet.",
    "{name} is expected later.",
    "{name} is not there yet.",
)
PLACE = phrases(
    "belief.place",
    "{who} puts the {thing} in the {to}, and everybody there sees it.",
    "In front of everybody in the room, {who} places the {thing} in the {to}.",
    "With the others in the room looking on, {who} lays the {thing} in the {to}.",
    "{who} shows everyone in the room the {thing} and puts it in the {to}.",
    "As everyone in the room watches, the {thing} is put in the {to} by {who}.",
)
MOVE = phrases(
    "belief.move",
    "{who} takes the {thing} out of the {old} and puts it in the {to}.",
    "{who} moves the {thing} from the {old} to the {to}.",
    "Then the {thing} is moved by {who} from the {old} into the {to}.",
    "{who} decides that the {old} is the wrong spot for the {thing} and shifts it to the {to}.",
    "A little later {who} transfers the {thing} from the {old} to the {to}.",
)
LEAVE = phrases(
    "belief.leave",
    "{who} leaves the {room}.",
    "{who} goes out for a walk.",
    "{who} steps outside to make a phone call.",
    "{who} has an errand in town and goes.",
    "{who} walks out and closes the door.",
)
ENTER = phrases(
    "belief.enter",
    "{who} comes into the {room}.",
    "{who} walks into the {room}.",
    "Now {who} enters the {room}.",
    "The door opens, and {who} joins those in the {room}.",
    "{who} arrives in the {room}.",
)
WATCH = phrases(
    "belief.watch",
    "{who} sees this through the window, along with everyone in the room, but nobody notices {who}.",
    "Unnoticed by those inside, {who} watches the room through the keyhole and sees it all.",
    "While this happens, {who} looks in through a gap in the curtain, unnoticed, and sees who is there and what is "
    "done.",
    "{who} secretly follows the whole scene from outside through a small window.",
)
TELL = phrases(
    "belief.tell",
    "In a private message {who} tells {to} that the {thing} is in the {holder}, and {to} believes it.",
    "{who} writes to {to} alone: the {thing} is in the {holder}. {to} takes it as true.",
    "Without anyone else hearing, {who} lets {to} know that the {thing} is in the {holder}; {to} trusts the message.",
    "{to} gets a note from {who}, meant for nobody else, saying that the {thing} is in the {holder}, and believes it.",
)
RULE = phrases(
    "belief.rule",
    "Everything else stays where it is, and nobody looks inside anything unless the story says so.",
    "Nobody opens anything that the story does not mention, and nobody hears of what they did not witness or were "
    "not told.",
    "All the hiding places are closed, and whoever is away sees nothing unless the story says so.",
    "Assume that people know only what they saw or were told in the story.",
)
LOOK = phrases(
    "belief.ask.look",
    "Where will {x} look for the {thing} first?",
    "If {x} wants the {thing} now, where will {x} go to get it?",
    "Where does {x} believe the {thing} is?",
    "Asked where the {thing} is, what place would {x} honestly name?",
    "In which place does {x} expect to find the {thing}?",
    "{x} needs the {thing}. Which place will {x} try first?",
)
SECOND = phrases(
    "belief.ask.second",
    "Where does {x} think that {y} will look for the {thing}?",
    "In {x}'s opinion, where does {y} believe the {thing} to be?",
    "{x} is asked where {y} would search for the {thing}. What does {x} say?",
    "Which place does {x} expect {y} to name as the place of the {thing}?",
    "According to {x}, in which place does {y} think the {thing} is?",
)
REAL = phrases(
    "belief.ask.real",
    "Where is the {thing} in fact at the end?",
    "Whatever people believe, where is the {thing} really now?",
    "What is the true place of the {thing} at the end of the story?",
    "When the story ends, which place actually holds the {thing}?",
)
WRONG = phrases(
    "belief.ask.wrong",
    "Who is mistaken about where the {thing} is?",
    "Which of these people hold a false belief about the place of the {thing}?",
    "Name everyone who would look for the {thing} in the wrong place.",
    "Who among them believes something untrue about where the {thing} is?",
)
KNOWS = phrases(
    "belief.ask.knows",
    "Does {x} know where the {thing} really is?",
    "Could {x} lead you straight to the {thing}?",
    "Is {x} right about where the {thing} is now?",
    "Would {x} find the {thing} at the first attempt, from what {x} knows?",
)
IN_PLACE = phrases(
    "belief.say.in",
    "In the {holder}. {why}",
    "The {holder}. {why}",
    "{why} So the answer is the {holder}.",
    "It is the {holder}. {why}",
)
SAY_WHO = phrases(
    "belief.say.who",
    "{names}. The {thing} is really in the {holder}.",
    "The {thing} is really in the {holder}, so: {names}.",
    "Compare with the true place, the {holder}: {names}.",
)
SAY_FLAG = phrases(
    "belief.say.flag",
    "{flag}. {why}",
    "{flag}: {why}",
    "{why} So {small}.",
)
WHY_SAW = phrases(
    "belief.why.saw",
    "{x} last saw the {thing} being put there.",
    "That is where {x} last saw the {thing} go.",
    "The last that {x} saw of the {thing} was that it was put there.",
)
WHY_TOLD = phrases(
    "belief.why.told",
    "That is what {x} was last told about the {thing}.",
    "{x} goes by what the message from {teller} said.",
    "{x} relies on what {teller} wrote.",
)
WHY_SECOND = phrases(
    "belief.why.second",
    "The last time {x} knew {y} to see the {thing} being put somewhere, it was put there.",
    "As far as {x} knows, that is where {y} last saw the {thing} go.",
    "{x} knows of nothing that {y} has seen of the {thing} since it was put there.",
)
WHY_REAL = phrases(
    "belief.why.real",
    "{who} put the {thing} there, and nobody has moved it since.",
    "That is where {who} put the {thing}, and it was not moved again.",
    "{who} was the last to touch the {thing} and left it there.",
)
WHY_FLAG = phrases(
    "belief.why.flag",
    "{x} believes that the {thing} is in the {belief}, and it is in the {holder}.",
    "The {thing} is in the {holder}, and {x} takes it to be in the {belief}.",
    "{x} would say the {belief}; the right place is the {holder}.",
)
WHY_RIGHT = phrases(
    "belief.why.right",
    "{x} believes that the {thing} is in the {holder}, which is true.",
    "The {thing} is in the {holder}, just where {x} thinks it is.",
    "{x} would say the {holder}, and that is the right place.",
)
WHY_NONE = phrases(
    "belief.why.none",
    "{x} has neither seen where the {thing} was put nor been told.",
    "Nobody told {x} where the {thing} is, and {x} did not see it being put away.",
)


@dataclass
class _Minds:
    """The story as it goes on: who is there, where things are, and who believes what since which event."""

    room: set[str]
    real: dict[str, str] = field(default_factory=dict)
    belief: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    second: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def put(self, at: int, thing: str, to: str, watched: str | None) -> None:
        """Take in that event `at` put `thing` in `to` before the eyes of the room and of a hidden watcher."""
        self.real[thing] = to
        for x in sorted(self.room | ({watched} if watched else set())):
            self.belief[x, thing] = to, at
            for y in sorted(self.room - {x}):
                self.second[x, y, thing] = to


def make_belief(draw: Draw, tell: Teller) -> Sample:
    """Return a story and a question about who believes what."""
    world, minds = _story(draw)
    while all(minds.belief.get((x, world["asked"])) == minds.belief.get((world["people"][0], world["asked"]))
              for x in world["people"]) and draw.chance(90):  # fmt: skip
        world, minds = _story(draw)  # a story in which all believe the same teaches little
    text = _told(world, tell)
    return _asked(draw, tell, world, minds, text)


def _story(draw: Draw) -> tuple[dict[str, Any], _Minds]:
    who = people(draw, draw.between(3, 4))
    late = who[-1] if draw.chance(35) else None
    things = [one for one, _ in draw.some(THINGS, draw.between(1, 2))]
    holders = draw.some(HOLDERS, 7)
    spots = {things[0]: holders[:4], **({things[1]: holders[4:]} if len(things) > 1 else {})}
    start = [x for x in who if x != late]
    minds = _Minds(set(start))
    events: list[dict[str, Any]] = []
    for thing in things:
        actor = draw.pick(start)
        minds.put(len(events), thing, spots[thing][0], None)
        events.append({"do": "put", "who": actor, "thing": thing, "to": spots[thing][0], "old": None, "watched": None})
    wanted = draw.between(4, 7)
    for _ in range(60):
        if len(events) >= wanted + len(things):
            break
        event = _next(draw, who, things, spots, minds, events)
        if event:
            events.append(event)
    world = {
        "people": who, "start": start, "room": draw.pick(ROOMS), "events": events, "asked": things[0],
    }  # fmt: skip
    return world, minds


def _next(
    draw: Draw, who: list[str], things: list[str], spots: Mapping[str, Sequence[str]], minds: _Minds, events: list[dict]
) -> dict[str, Any] | None:
    """Return a next event that can happen, after `minds` has taken it in; None where the choice was impossible."""
    at, x, thing, kind = len(events), draw.pick(who), draw.pick(things), draw.below(10)
    before = events[-1]["do"], events[-1].get("who")
    if kind < 4:
        if x in minds.room and len(minds.room) > 1 and before != ("enter", x):
            minds.room.discard(x)
            return {"do": "leave", "who": x}
        if x not in minds.room and before != ("leave", x):
            minds.room.add(x)
            return {"do": "enter", "who": x}
    elif kind < 8:
        used = {e["to"] for e in events if e["do"] == "put"}
        free = [spot for spot in spots[thing] if spot not in used]
        if x in minds.room and free and minds.belief.get((x, thing), ("", 0))[0] == minds.real[thing]:
            outside = [y for y in who if y not in minds.room]
            watched = draw.pick(outside) if outside and draw.chance(20) else None
            old, to = minds.real[thing], draw.pick(free)
            minds.put(at, thing, to, watched)
            return {"do": "put", "who": x, "thing": thing, "to": to, "old": old, "watched": watched}
    elif (x, thing) in minds.belief:
        holder, since = minds.belief[x, thing]
        y = draw.pick([y for y in who if y != x])
        if minds.belief.get((y, thing), ("", -1))[1] < since:  # nobody is told what is older than what they saw
            minds.belief[y, thing] = holder, since
            return {"do": "tell", "who": x, "to": y, "thing": thing, "holder": holder}
    return None


def _told(world: dict[str, Any], tell: Teller) -> str:
    room, said = world["room"], []
    said.append(tell(OPEN, names=listed(world["start"]), room=room))
    said += [tell(AWAY, name=x) for x in world["people"] if x not in world["start"]]
    for event in world["events"]:
        words = {k: v for k, v in event.items() if k != "do"} | {"room": room}
        group = {"leave": LEAVE, "enter": ENTER, "tell": TELL, "put": MOVE if event.get("old") else PLACE}[event["do"]]
        said.append(tell(group, **words))
        if event.get("watched"):
            said.append(tell(WATCH, who=event["watched"]))
    said.append(tell(RULE))
    return " ".join(sentence(one) for one in said)


def _asked(draw: Draw, tell: Teller, world: dict[str, Any], minds: _Minds, text: str) -> Sample:
    thing, who = world["asked"], world["people"]
    words: dict[str, Any] = {"thing": thing, "holder": minds.real[thing]}
    told = any(e["do"] == "tell" for e in world["events"])
    pairs = [(x, y) for x in who for y in who if (x, y, thing) in minds.second] if not told else []
    pairs = [p for p in pairs if minds.second[(*p, thing)] != minds.real[thing] or draw.chance(30)]
    kinds = ["look", "look", "look", "wrong", "knows", "real"] + ["second"] * (4 if pairs else 0)
    kind = draw.pick(kinds)
    believers = [x for x in who if (x, thing) in minds.belief]
    if kind == "look":
        wrong = [x for x in believers if minds.belief[x, thing][0] != minds.real[thing]]
        x = draw.pick(wrong if wrong and draw.chance(65) else believers)
        answer, ask, detail = minds.belief[x, thing][0], tell.ask(LOOK, x=x, **words), _why(tell, world, x)
    elif kind == "second":
        x, y = draw.pick(pairs)
        words |= {"y": y}
        answer, ask = minds.second[x, y, thing], tell.ask(SECOND, x=x, **words)
        detail = tell(WHY_SECOND, x=x, **words)
    elif kind == "real":
        x, last = "", [e for e in world["events"] if e["do"] == "put" and e["thing"] == thing][-1]
        answer, ask = minds.real[thing], tell.ask(REAL, **words)
        detail = tell(WHY_REAL, who=last["who"], thing=thing)
    elif kind == "wrong":
        x = ""
        names = [y for y in believers if minds.belief[y, thing][0] != minds.real[thing]]
        answer, ask, detail = listed(names) if names else "nobody", tell.ask(WRONG, **words), ""
    else:
        x = draw.pick(who)
        belief = minds.belief.get((x, thing), ("", 0))[0]
        answer, ask = "yes" if belief == minds.real[thing] else "no", tell.ask(KNOWS, x=x, **words)
        why = WHY_RIGHT if answer == "yes" else WHY_FLAG if belief else WHY_NONE
        detail = tell(why, x=x, belief=belief, **words)
    kind_of = {"wrong": "person", "knows": "boolean"}.get(kind, "location")
    if kind_of == "location":
        reply = tell(IN_PLACE, holder=answer, why=detail)
    elif kind_of == "person":
        reply = tell(SAY_WHO, names=answer, **words)
    else:
        reply = tell(SAY_FLAG, flag=sentence(answer), why=detail, small=f"the answer is {answer}")
    world |= {"ask": {"kind": kind, "x": x, "y": words.get("y", "")}}
    answers = (answer,) if kind_of != "location" else (answer, f"the {answer}", f"in the {answer}")
    fine = {"person": "HUM:ind", "boolean": None, "location": "LOC:other"}[kind_of]
    return Sample(
        family="perspectives", kind=f"belief-{kind}", split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=Question(ask, answer, answers, kind_of, fine),
        messages=({"role": "user", "content": f"{text}\n\n{ask}"}, {"role": "assistant", "content": sentence(reply)}),
        world=world,
    )  # fmt: skip


def _why(tell: Teller, world: dict[str, Any], x: str) -> str:
    """Return why `x` believes what `x` believes about the thing asked for: by the last event that reached `x`."""
    thing, inside, teller = world["asked"], set(world["start"]), None
    for event in world["events"]:
        if event["do"] == "enter":
            inside.add(event["who"])
        elif event["do"] == "leave":
            inside.discard(event["who"])
        elif event["thing"] == thing and event["do"] == "put" and (x in inside or event["watched"] == x):
            teller = None
        elif event["thing"] == thing and event["do"] == "tell" and event["to"] == x:
            teller = event["who"]
    if teller:
        return tell(WHY_TOLD, x=x, thing=thing, teller=teller)
    return tell(WHY_SAW, x=x, thing=thing)
