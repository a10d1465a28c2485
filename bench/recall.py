"""What a model of a made-up world knows of it: what it can go on saying, and what it can say when it is asked.

    python bench/recall.py runs/knowing worlds/knowing
    python bench/recall.py runs/knowing worlds/knowing --facts 4000 --json

`told`: the beginning of a sentence as the documents have it, up to the object, and the model goes on. `asked`: a
question without evidence, in a wording that training had or one that was held out; a model that has learned to recite
does so before it answers. Facts are those that documents state, apart by whether training asks about them, and by how
often they are stated. A model may hold a fact and not be able to say it when it is asked: then it has been asked about
too few facts to learn how.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gnomon.base.errors import DataError
from gnomon.bundle import Bundle, load_bundle
from gnomon.data.document import Part
from gnomon.data.forms.questions import A_END, FACT, MOST_RECITED, A, question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.match import is_accepted
from gnomon.data.questions.question import Question
from gnomon.data.synthesis.phrases import sentence
from gnomon.data.world.facts import gaps
from gnomon.data.world.relations import RELATIONS
from gnomon.data.world.settings import Settings
from gnomon.model.generate import Sampling, generate

TOGETHER = 64
MOST_TOKENS = 24
HEADING = "Almanac, 2048. "
"""Before a sentence, as documents have one."""
OF_NAME = {relation.name: relation for relation in RELATIONS}


def main() -> None:
    """Ask, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("world", type=Path, help="the folder of the world that the run has read")
    parser.add_argument("--facts", type=int, default=2000, help="drawn at random, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bundle, draw = load_bundle(args.run), random.Random(args.seed)
    settings = Settings(**json.loads((args.world / "world.json").read_text())["settings"])
    facts = [json.loads(line) for line in (args.world / "facts.jsonl").read_text().splitlines()]
    facts = [fact for fact in facts if fact["stated"] and fact["type"] != "boolean"]
    if not facts:
        raise DataError("no fact in it is stated", where=str(args.world), do="give the folder of a world")
    facts = draw.sample(facts, min(args.facts, len(facts)))
    told = [begun(fact, draw) for fact in facts]
    rights = {"told": [is_begun(text, fact) for text, fact in zip(gone_on(bundle, told), facts, strict=True)]}
    for wording in ("train", "test"):
        asked = [question_of(fact, wording, draw) for fact in facts]
        said = answers(bundle, asked)
        rights[f"asked, {wording}"] = [is_accepted(a, fact["answers"]) for a, fact in zip(said, facts, strict=True)]
    rows: dict[str, list[int]] = defaultdict(list)
    for i, fact in enumerate(facts):
        which = "asked about in training" if fact["split"] == "train" else "held out"
        for name in ("all", bucket_of(fact, settings), "names" if fact["object_entity"] is not None else "values"):
            rows[f"{which}, {name}"].append(i)
    table = {
        name: {"facts": len(some), **{way: sum(every[i] for i in some) / len(some) for way, every in rights.items()}}
        for name, some in sorted(rows.items())
    }
    if args.json:
        print(json.dumps({"facts": len(facts), "rows": table}))
        return
    print(f"{'':<34} {'facts':>6} {'told':>7} {'asked, wording met':>19} {'held out':>9}")
    for name, row in table.items():
        figures = f"{row['told']:>7.1%} {row['asked, train']:>19.1%} {row['asked, test']:>9.1%}"
        print(f"{name:<34} {row['facts']:>6,} {figures}")


def bucket_of(fact: dict[str, Any], settings: Settings) -> str:
    """Return head, torso or tail, by how often a fact is stated."""
    if fact["exposures"] >= settings.head_from:
        return "head"
    return "tail" if fact["exposures"] <= settings.tail_to else "torso"


def begun(fact: dict[str, Any], draw: random.Random) -> str:
    """Return a training sentence of a fact up to its object, which comes last in it."""
    every = [text for _, text in OF_NAME[fact["relation"]].sentences["train"]]
    last = [text for text in every if text.endswith(" {o}") and text.count("{o}") == 1]
    return HEADING + sentence(draw.choice(last)[:-4].format(**gaps(fact["name"])))


def question_of(fact: dict[str, Any], wording: str, draw: random.Random) -> str:
    """Return a question about a fact in one of the split's wordings."""
    _, text = draw.choice(OF_NAME[fact["relation"]].questions[wording])
    return sentence(text.format(**gaps(fact["name"])))


def gone_on(bundle: Bundle, begun: Sequence[str]) -> list[str]:
    """Return what the model says next, likeliest token first."""
    end = bundle.tokenizer.end_of_text
    prompts = [[end, *ids] for ids in bundle.tokenizer.encode_batch(list(begun))]
    return _said(bundle, prompts, end)


def is_begun(text: str, fact: dict[str, Any]) -> bool:
    """Return whether what was said begins with the fact's object."""
    return any(text.startswith(answer) for answer in (fact["object"], *fact["answers"]))


def answers(bundle: Bundle, asked: Sequence[str]) -> list[str]:
    """Return the likeliest answer to each question, in the layout of questions."""
    recites = bundle.plan.get("recites") is True
    parts = [[*question_parts(Question("", text)), Part("mark", FACT if recites else A)] for text in asked]
    prompts = [[bundle.tokenizer.end_of_text, *ids] for ids, _ in encode_parts(parts, bundle.tokenizer)]
    most = MOST_TOKENS + (MOST_RECITED if recites else 0)
    said = _said(bundle, prompts, bundle.tokenizer.special_id(A_END), most)
    return [text.rpartition(A)[2].strip() for text in said]


def _said(bundle: Bundle, prompts: Sequence[list[int]], stop: int, most: int = MOST_TOKENS) -> list[str]:
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found = [""] * len(prompts)
    for first in range(0, len(order), TOGETHER):
        some = order[first : first + TOGETHER]
        steps = generate(bundle.model, [prompts[i] for i in some], most, Sampling(temperature=0), frozenset([stop]))
        for i, ids in zip(some, zip(*steps, strict=True), strict=True):
            found[i] = bundle.tokenizer.decode([token for token in ids if token is not None], specials=True).strip()
    return found


if __name__ == "__main__":
    main()
