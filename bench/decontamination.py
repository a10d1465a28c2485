"""Decontamination on a labelled benchmark: what is found of what was planted, and what is flagged that should not be.

    python bench/decontamination.py wikipedia.jsonl.zst --check novels.jsonl.zst --against eval/*.jsonl.gz

Plants texts of real items into real documents, each in several ways, and adds documents that are no contamination but
look like it: licences, statutes and forms that share their words with items, and the public passages that items are
about. Prints recall for every way of planting and length of text with 95 % intervals (Wilson), flags by mistake (with
the text, since some may be right), and MB/s of each pass on one core. `--words 13` measures longer n-grams. The rules
for short texts were chosen on the first file, Wikipedia; all is measured again on those of `--check`, unseen.
Long documents are cut into several.
"""

import argparse
import json
import math
import random
import re
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from any_text import texts_of

from gnomon.data.contamination.decontaminate import THRESHOLD, WORDS, Hit, Index, Target, boilerplate
from gnomon.data.contamination.suites import Item, Part, read_suite
from gnomon.data.contamination.words import words_of

MADE = "made for this benchmark"
LICENCE = Path(__file__).parent.parent / "LICENSE"
NAMES = "Alder Birch Cedar Dogwood Elm Fir Ginkgo Hazel Ivy Juniper Larch Maple Oak Pine Rowan Spruce Willow".split()
LENGTHS = (7, 12, 16, 24, 10**6)
"""Classes of lengths, in words."""
PIECE = 5000  # characters of a document


@dataclass
class Source:
    """Documents that are scanned together, and for each the item planted in it, with the way, or None."""

    name: str
    texts: list[str] = field(default_factory=list)
    planted: list[tuple[str, Target] | None] = field(default_factory=list)

    def add(self, text: str, planted: tuple[str, Target] | None = None) -> None:
        """Add one document."""
        self.texts.append(text)
        self.planted.append(planted)


def recased(text: str, rng: random.Random) -> str:
    """Return the text in upper, lower or title case."""
    return rng.choice([str.upper, str.lower, str.title])(text)


def rewrapped(text: str, rng: random.Random) -> str:
    """Return the text in short lines, as a quotation, a list or a table, with typographic marks and bold words."""
    text = text.replace("'", "’").replace('"', "“").replace(" - ", " — ")
    words = [f"**{word}**" if rng.random() < 0.1 else word for word in text.split()]
    lead = rng.choice(["", "> ", "    ", "| ", "\t"])
    return "\n".join(lead + line for line in textwrap.wrap(" ".join(words), rng.randint(24, 60)))


def perturbed(text: str, rng: random.Random) -> str:
    """Return the text with one word in 20, and at least one, changed for another."""
    words = text.split()
    for place in rng.sample(range(len(words)), max(1, round(len(words) / 20))):
        words[place] = rng.choice(NAMES).lower() + "s"
    return " ".join(words)


def half(text: str, last: bool) -> str:
    """Return the first or the last half of a text's words."""
    words = text.split()
    return " ".join(words[-(len(words) // 2) :] if last else words[: (len(words) + 1) // 2])


WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": lambda text, _: text,
    "re-cased": recased,
    "re-wrapped": rewrapped,
    "embedded": lambda text, _: text,
    "first half": lambda text, _: half(text, last=False),
    "last half": lambda text, _: half(text, last=True),
    "perturbed": perturbed,
    "perturbed, in a sentence": perturbed,
}


INSIDE = ("embedded", "perturbed, in a sentence")


def host(text: str, into: str, way: str, rng: random.Random) -> str:
    """Return a document with a text in it: between two paragraphs, or, embedded, inside a sentence in its middle."""
    if way in INSIDE:
        middle = into.find(" ", len(into) // 2)
        return f"{into[:middle]} {text}{into[middle:]}"
    paragraphs = into.split("\n\n")
    at = rng.randint(0, len(paragraphs))
    return "\n\n".join([*paragraphs[:at], text, *paragraphs[at:]])


def statute(rng: random.Random) -> str:
    """Return an act that differs from others in names, numbers and dates."""
    name, year = rng.choice(NAMES), rng.randint(1950, 2020)
    sections = [
        f"SEC. {n}. Section {rng.randint(1, 900)}({rng.choice('abcd')}) of title {rng.randint(1, 50)}, United States "
        f"Code, is amended by striking ``{rng.randint(2, 90)} days'' and inserting ``{rng.randint(91, 400)} days''. "
        "The amendments made by this section shall take effect on the date of the enactment of this Act."
        for n in range(2, rng.randint(4, 9))
    ]
    return "\n\n".join(
        [
            f"AN ACT to amend the {name} River Compact of {year}, and for other purposes.",
            "Be it enacted by the Senate and House of Representatives of the United States of America in Congress "
            f"assembled, That this Act may be cited as the ``{name} River Compact Amendments Act of {year + 4}''.",
            *sections,
        ]
    )


def form(rng: random.Random) -> str:
    """Return a filled form."""
    first, last = rng.sample(NAMES, 2)
    return (
        f"APPLICATION No. {rng.randint(10000, 99999)}\n\nName of applicant (last, first, middle initial): {last}, "
        f"{first}\nI certify under penalty of perjury that the information given on this form is true and complete to "
        "the best of my knowledge and belief. I understand that any false statement may be punished by a fine or "
        f"imprisonment or both.\nDate of signature (month, day, year): {rng.randint(1, 12)}/{rng.randint(1, 28)}/2019\n"
        "Please read the instructions on the back of this form carefully before you answer the following questions."
    )


def licensed(rng: random.Random) -> str:
    """Return the licence of the repository, or its notice, over some other project."""
    text = LICENCE.read_text("utf-8")
    notice = text[text.index("Licensed under the Apache") :] if "Licensed under the Apache" in text else text
    owner = f"{rng.choice(NAMES)} {rng.choice(NAMES)} project, {rng.randint(2001, 2025)}"
    return f"Copyright {owner}\n\n{text if rng.random() < 0.3 else notice[:900]}"


def look_alikes(documents: Sequence[str], rng: random.Random, count: int) -> tuple[list[Source], list[Item]]:
    """Return sources without contamination, and items that share words with them."""
    sources, items = [], []
    for name, make in (("licences", licensed), ("statutes", statute), ("forms", form)):
        source = Source(name)
        for _ in range(count):
            source.add(make(rng))
        sources.append(source)
        sentences = [s for s in re.split(r"\.\s+|\n\n", source.texts[0]) if len(s.split()) >= 15]
        sentences = [s for s in sentences if sum(s in text for text in source.texts) > count // 4]
        for n, sentence in enumerate(sentences):
            items.append(Item(MADE, f"{name}-{n}", (Part("question", f"Read this. {sentence}. What follows?"),)))
            items.append(Item(MADE, f"{name}-{n}-whole", (Part("question", sentence),)))
    passages = Source("public passages")
    for n, text in enumerate(documents[:count]):
        paragraph = max(text.split("\n\n"), key=len)
        asked = Part("question", f"What does the passage with the number {n} say first of all about its subject?")
        answer = Part("answer", paragraph.split(". ")[0])
        items.append(Item(MADE, f"passage-{n}", (asked, answer, Part("context", paragraph))))
        passages.add(text)
    return [*sources, passages], items


def read_texts(path: str, count: int, shortest: int) -> list[str]:
    """Return the first documents of a file that have at least so many characters; long ones are cut."""
    found: list[str] = []
    for text in texts_of(path):
        piece = ""
        for paragraph in text.split("\n\n"):
            piece += paragraph + "\n\n"
            if len(piece) > PIECE:
                found.append(piece)
                piece = ""
        if len(piece) > shortest:
            found.append(piece)
        if len(found) >= count:
            break
    return found[:count]


def planted_source(index: Index, texts: Sequence[str], rng: random.Random, count: int) -> Source:
    """Return a source of planted documents: in each way `count` texts, from every suite as many."""
    by_suite: dict[str, list[Target]] = {}
    for target in index.targets:
        if target.suite != MADE:
            by_suite.setdefault(target.suite, []).append(target)
    source = Source("planted")
    long = sorted(texts, key=len)[-count:]
    for n in range(count):
        target = rng.choice(by_suite[sorted(by_suite)[n % len(by_suite)]])
        for way, change in WAYS.items():
            into = long[n % len(long)] if way in INSIDE else rng.choice(texts)
            source.add(host(change(target.text, rng), into, way, rng), (way, target))
    return source


@dataclass
class Scan:
    """The hits in every source, in order, and MB/s of the two passes over the clean one."""

    hits: dict[str, list[list[Hit]]]
    counting: float
    finding: float


def scan(index: Index, sources: Sequence[Source], threshold: float, use_filter: bool = True) -> Scan:
    """Return what is found, in two passes over all sources."""
    counts = {source.name: index.counts(source.texts) for source in sources}
    total = np.sum(list(counts.values()), axis=0)
    documents = sum(len(source.texts) for source in sources)
    hits, rates = {}, []
    for source in sources:
        common = boilerplate(counts[source.name], len(source.texts)) if use_filter else None
        weights = index.weigh(total, documents, common)
        hits[source.name] = index.hits(source.texts, weights, threshold)
    clean = sources[0]
    size = sum(len(text.encode()) for text in clean.texts) / 1e6
    weights = index.weigh(total, documents)
    for run in (lambda: index.counts(clean.texts), lambda: index.hits(clean.texts, weights, threshold)):
        started = time.process_time()
        run()
        rates.append(size / (time.process_time() - started))
    return Scan(hits, *rates)


def recall(source: Source, hits: Sequence[Sequence[Hit]]) -> dict[str, dict[str, int]]:
    """Return, for each way of planting and class of lengths, how many were planted and found."""
    found: dict[str, dict[str, int]] = {}
    for planted, of in zip(source.planted, hits, strict=True):
        if planted is None:
            continue
        way, target = planted
        size = int(words_of([target.text]).counts()[0])
        low, high = next((a, b) for a, b in pairwise(LENGTHS) if a <= size < b)
        upto = f"to {high - 1}" if high < LENGTHS[-1] else "or more"
        row = found.setdefault(f"{way}, {low} {upto} words", {"planted": 0, "found": 0})
        row["planted"] += 1
        row["found"] += any((hit.suite, hit.item) == (target.suite, target.item) for hit in of)
    return found


def _by_way(one: tuple[str, dict[str, int]]) -> tuple[int, str]:
    return [*WAYS].index(one[0].rsplit(", ", 1)[0]), one[0].zfill(60)


def wilson(found: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    z, share = 1.96, found / max(1, of)
    middle, away = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - away) / (1 + z * z / of)), min(1.0, (middle + away) / (1 + z * z / of))


def others(source: Source, hits: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Return the hits that are not what was planted, nor share most of their words with it."""
    wrong = []
    for planted, of in zip(source.planted, hits, strict=True):
        mine = set(planted[1].text.lower().split()) if planted else set()
        wrong += [hit for hit in of if len(mine & set(hit.text.lower().split())) < 0.5 * len(set(hit.text.split()))]
    return wrong


def measure(files: Sequence[str], arguments: argparse.Namespace) -> dict:
    """Return every figure, for the text of some files."""
    rng = random.Random(arguments.seed)
    items = [item for path in arguments.against for item in read_suite(Path(path)).items]
    most = arguments.documents + arguments.hosts
    texts = [text for file in files for text in read_texts(file, most, arguments.shortest)]
    rng.shuffle(texts)
    clean, hosts = Source("clean"), texts[: arguments.hosts]
    for text in texts[arguments.hosts :]:
        clean.add(text)
    negatives, made = look_alikes(hosts, rng, arguments.look_alikes)
    started = time.process_time()
    index = Index.build([*items, *made], arguments.words)
    built = time.process_time() - started
    planted = planted_source(index, hosts, rng, arguments.plants)
    sources = [clean, planted, *negatives]
    found = scan(index, sources, arguments.threshold)
    bare = scan(index, sources, arguments.threshold, use_filter=False)
    wrong = [hit for hits in found.hits["clean"] for hit in hits]
    false = sum(any(hits) for source in [clean, *negatives] for hits in found.hits[source.name])
    right = sum(row["found"] for row in recall(planted, found.hits["planted"]).values())
    by_length = recall(planted, found.hits["planted"])
    return {
        "items": len(items),
        "items_unsearched": sum(suite != MADE for suite, _ in index.unsearched),
        "build_seconds": built,
        "recall": dict(sorted(by_length.items(), key=_by_way)),
        "precision": right / max(1, right + false),
        "others_in_planted": len(others(planted, found.hits["planted"])),
        "clean": {"documents": len(clean.texts), "flagged": sum(map(bool, found.hits["clean"]))},
        "clean_flags": [{"item": f"{h.suite}/{h.item}", "text": h.text, "found": h.found} for h in wrong],
        "look_alikes": {
            source.name: {
                "documents": len(source.texts),
                "flagged": sum(map(bool, found.hits[source.name])),
                "without_filter": sum(map(bool, bare.hits[source.name])),
            }
            for source in negatives
        },
        "megabytes_per_second": {"counting": found.counting, "finding": found.finding},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="*", help="clean text, as .jsonl, on which something was chosen")
    parser.add_argument("--check", nargs="+", default=[], help="clean text on which nothing was chosen")
    parser.add_argument("--against", nargs="+", required=True, help="suites, as .jsonl")
    parser.add_argument("--documents", type=int, default=30000, help="clean ones, at most, of each file")
    parser.add_argument("--shortest", type=int, default=1500, help="characters of a document")
    parser.add_argument("--hosts", type=int, default=500, help="documents that are planted in")
    parser.add_argument("--plants", type=int, default=500, help="texts, each planted in every way")
    parser.add_argument("--look-alikes", type=int, default=60, help="documents of each kind")
    parser.add_argument("--words", type=int, default=WORDS)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sides = {"chosen on": arguments.text, "check": arguments.check}
    found = {name: measure(files, arguments) for name, files in sides.items() if files}
    if arguments.json:
        print(json.dumps(found))
        return
    for name, one in found.items():
        print(f"-- {name}")
        show(one)


def show(found: dict) -> None:
    """Print the figures for some text."""
    print(f"{found['items']:,} items, {found['items_unsearched']:,} too short; built in {found['build_seconds']:.1f} s")
    for way, row in found["recall"].items():
        low, high = wilson(row["found"], row["planted"])
        share = row["found"] / row["planted"]
        print(f"  {way:44} {row['found']:5} of {row['planted']:5}   {share:.3f} ({low:.3f} to {high:.3f})")
    low, high = wilson(found["clean"]["flagged"], found["clean"]["documents"])
    print(f"clean: {found['clean']['flagged']} of {found['clean']['documents']:,} flagged ({low:.1e} to {high:.1e})")
    for flag in found["clean_flags"]:
        print(f"  {flag['item']}\n    item  {flag['text']!r}\n    text  {flag['found']!r}")
    for name, row in found["look_alikes"].items():
        print(f"{name}: {row['flagged']} of {row['documents']} flagged, {row['without_filter']} without the filter")
    print(f"precision {found['precision']:.4f}; hits in planted documents on others: {found['others_in_planted']}")
    rates = found["megabytes_per_second"]
    print(f"MB/s on one core: counting {rates['counting']:.0f}, finding {rates['finding']:.0f}")


if __name__ == "__main__":
    main()
