"""Reads a world's texts back, without the generator: what each clause states, and what each question asks."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gnomon.data.world.relation import SPLITS
from gnomon.data.world.relations import PRESUPPOSING, RELATIONS

NAME = r"[A-Z]\w+(?: [A-Z]\w+(?: the (?:elder|younger))?)?"
PRONOUNS = {"she": "s", "he": "s", "it": "sm", "her": "pm", "his": "p", "him": "m", "its": "p"}
Statement = tuple[str, str, str]  # name, relation, object as said


def form(template: str, subject: str = NAME, tag: str = "") -> str:
    """Return what matches a template; its groups are the subject, by name or pronoun, and the object."""
    found, seen = "", False
    for part in re.split(r"(\{[spmo]\})", template):
        if part == "{o}":
            found += f"(?P<o{tag}>.+)"
        elif part in ("{s}", "{p}", "{m}"):
            owner = "'s" if part == "{p}" else ""
            pronouns = "|".join(f"(?i:{word})" for word, gaps in PRONOUNS.items() if part[1] in gaps)
            again, first = (
                f"(?:(?P=s{tag}){owner}|{pronouns})",
                f"(?:(?P<p{tag}>{pronouns})|(?P<s{tag}>{subject}){owner})",
            )
            found += again if seen else first
            seen = True
        else:
            found += re.escape(part)
    return f"[{found[0]}{found[0].upper()}]{found[1:]}" if found[0].isalpha() and found[0].islower() else found


def lower_or_not(found: str) -> str:
    """Return the form with its first letter in either case."""
    return f"[{found[0]}{found[0].lower()}]{found[1:]}" if found[0].isalpha() else found


SENTENCES = {
    split: [(relation, re.compile(form(text))) for relation in RELATIONS for _, text in relation.sentences[split]]
    for split in SPLITS
}
_EVERY = [
    (name, text, relation)
    for relation in RELATIONS
    for part in (relation.sentences, relation.questions, relation.by)
    for split in SPLITS
    for name, text in part[split]
]
TEXTS = {name: text for name, text, _ in _EVERY} | {
    name: text for split in SPLITS for name, text in PRESUPPOSING[split]
}
OF_TEMPLATE = {name: relation for name, _, relation in _EVERY}


class Reader:
    """Reads passages in the sentences of one split."""

    def __init__(self, facts: Iterable[Mapping[str, Any]], split: str) -> None:
        self.kinds = {fact["name"]: (fact["kind"], fact["pronoun"]) for fact in facts}
        self.patterns, self.known = SENTENCES[split], dict[tuple[str, str], Statement]()

    def read(self, text: str) -> list[Statement]:
        """Return what a passage states; a pronoun is whom the sentence before is about. It must mean one thing."""
        body = re.fullmatch(r"(?:(?:Unconfirmed, from )?\w+ \w+, 20\d\d\. )?(.+)\.", text)
        assert body, text
        about, found = "", list[Statement]()
        for said in body[1].split(". "):
            for clause in said.split(", and "):
                if (clause, about) not in self.known:
                    meant = {one for each in self.patterns for one in self._meant(*each, clause, about)}
                    assert len(meant) == 1, (clause, meant)
                    self.known[clause, about] = meant.pop()
                found.append(self.known[clause, about])
                about = found[-1][0]
        return found

    def _meant(self, relation: Any, said: re.Pattern[str], clause: str, about: str) -> Iterable[Statement]:
        if match := said.fullmatch(clause):
            name = match["s"] or about
            kind, pronoun = self.kinds.get(name, ("", ""))
            of_pronoun = match["p"] is None or match["p"].lower() in _forms(pronoun)
            if kind == relation.kind and of_pronoun and self._is_object(relation, match["o"]):
                yield name, relation.name, match["o"]

    def _is_object(self, relation: Any, said: str) -> bool:
        if relation.object in ("person", "organisation", "place", "work"):
            return self.kinds.get(said, ("",))[0] == relation.object
        return said not in self.kinds and len(said.split()) <= 4


def _forms(pronoun: str) -> tuple[str, ...]:
    return {"she": ("she", "her"), "he": ("he", "his", "him"), "it": ("it", "its"), "": ()}[pronoun]


def asked(question: Mapping[str, Any]) -> tuple[str, list[str], Statement | None]:
    """Return whom a question is about ("" for a pronoun), the relations from there to its answer, and what it takes for
    granted.
    """
    *first, last = question["template"].split("+")
    text, relations = (
        question["question"],
        [OF_TEMPLATE[name].name for name in [*first[-1:], last] if name in OF_TEMPLATE],
    )
    if len(first) == 2:
        frame = re.escape(TEXTS[first[0]]).replace(r"\{clause\}", form(TEXTS[first[1]], tag="1"))
        whole = frame.replace(r"\{question\}", lower_or_not(form(TEXTS[last])))
        match = re.fullmatch(whole, text)
        assert match and match["s"] == match["s1"], text
        return match["s"], relations[1:], (match["s1"], relations[0], match["o1"])
    match = re.fullmatch(form(TEXTS[last], subject=".+?" if first else NAME), text)
    assert match, text
    if first:
        match = re.fullmatch(form(TEXTS[first[0]]), match["s"])
        assert match, text
    return match["s"] or "", relations, None
