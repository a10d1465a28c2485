"""Questions as a model is to meet them: without evidence, with evidence that is enough, with evidence that is not.

A record is a question of its own: `answerable` says whether the evidence shown, or without any the documents, give the
answer; where they do not, it has no answers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gnomon.data.synthesis.draw import Draw

_BESIDE = ("other_relation", "other_entity", "changed")  # passages that may stand beside another
_KEPT = ("question", "type", "fine_type", "well_posed", "bucket", "kind", "hops", "exposures", "template", "fact")


def shown(question: Mapping[str, Any], draw: Draw, two: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a question: closed, with its gold passage, and with one that is not enough, each of these
    as often as there are; `two` percent of them with a second passage, which does not change what is right.
    """
    yield _record(question, "closed", [], bool(question["answerable"]))
    evidence = question["evidence"]
    gold = [one for one in evidence if one["sufficient"]]
    short = [one for one in evidence if not one["sufficient"]]
    for first in (*gold, *([draw.pick(short)] if short else ())):
        beside = [one for one in short if one is not first and one["kind"] in _BESIDE]
        passages = [first, draw.pick(beside)] if beside and draw.chance(two) else [first]
        yield _record(question, first["kind"], draw.shuffled(passages), bool(first["sufficient"]))


def _record(
    question: Mapping[str, Any], how: str, passages: list[Mapping[str, Any]], answerable: bool
) -> dict[str, Any]:
    record = {"id": f"{question['id']}@{how}", "of": question["id"]}
    kept = _KEPT if passages else (*_KEPT, "recitation")
    record |= {name: question[name] for name in kept if name in question}
    record |= {"answers": question["answers"] if answerable else (), "answerable": answerable}
    if passages:
        record |= {"evidence": [one["text"] for one in passages], "passages": [one["id"] for one in passages],
                   "labels": {"sufficient": answerable}}  # fmt: skip
    return record
