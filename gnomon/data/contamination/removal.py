"""Items of evaluation suites in a corpus's training text: counted, found, and taken out or only named."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import canonical_json, write_atomic
from gnomon.base.progress import Progress
from gnomon.config import DecontaminateConfig
from gnomon.data.changes import write_changes
from gnomon.data.contamination.decontaminate import Index, Weights, apply, boilerplate
from gnomon.data.contamination.suites import read_suite
from gnomon.data.corpus import REMOVED, TRAIN, VALIDATION, Corpus, Removal, opened
from gnomon.data.engine import Engine, Job
from gnomon.data.worker import Tell

BATCH_BYTES = 4 << 20
"""Of text that is searched at once, about."""
FOUND_CHARACTERS = 300
"""Of what was found, in the record."""


@dataclass(frozen=True)
class Contamination:
    """What was found: hits, a line each."""

    hits: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] | None = None  # for the manifest


def remove_contamination(
    corpus: Corpus,
    suites: list[tuple[Path, str]],
    wanted: DecontaminateConfig,
    folder: Path,
    engine: Engine,
    told: Progress,
) -> Contamination:
    """Find items of the suites in training text and do what was asked for with the documents that hold them.

    Two passes over what is kept: how common the items' n-grams are in each source, then what is found. Files wait
    below `folder`. Memory of each worker holds the suites' index.
    """
    blocks = [b for b in range(len(corpus.places)) if (corpus.status[_span(corpus, b)] == TRAIN).any()]
    base: dict[str, Any] = {"suites": [[str(path.absolute()), sha256] for path, sha256 in suites]}
    base |= {"fields": wanted.fields, "contexts": wanted.contexts}
    jobs = []
    for b in blocks:
        write_array(path := folder / f"searched-{b:06d}.npy", np.flatnonzero(corpus.status[_span(corpus, b)] == TRAIN))
        args = base | corpus.named(b) | {"chosen": str(path)}
        size = int(corpus.documents(b)["bytes"].sum(dtype=np.int64))
        jobs.append(Job("gnomon.data.contamination.removal:count", args, size))
    counted = engine("counting what suites have in common with the text", jobs, told)
    index = _index_of(base)
    counts, documents = _summed(counted)
    write_array(totals := folder / "totals.npy", counts)
    common, silenced = _common(corpus, index, blocks, counted, (counts, documents))
    searches = []
    for b, job in zip(blocks, jobs, strict=True):
        write_array(path := folder / f"common-{b:06d}.npy", common[corpus.places[b][0].source])
        whole = wanted.action == "cut" and corpus.places[b][0].form.structured  # a record goes whole
        action = "drop" if whole else wanted.action
        more = {"common": str(path), "action": action, "threshold": wanted.threshold}
        more |= {"totals": str(totals), "documents": documents, "found": str(folder / f"found-{b:06d}.json")}
        more |= {"changed": str(folder / f"without-items-{b:06d}")}
        searches.append(Job("gnomon.data.contamination.removal:search", job.args | more, job.weight))
    paths = engine("looking for items of suites", searches, told)
    found = [orjson.loads(Path(path).read_bytes()) for path in paths]
    hits, changed, holders = list[dict[str, Any]](), list[int](), set[int]()
    dropped = dict[int, str]()
    for b, said, search in zip(blocks, found, searches, strict=True):
        for place, hit in said["dropped"].items():
            dropped[corpus.starts[b] + int(place)] = f"{hit['suite']} {hit['item']} ({hit['part']})"
        if said["changed"]:
            changed += [corpus.starts[b] + place for place in said["changed"]]
            corpus.change(b, Path(search.args["changed"]))
    numbers = sorted(dropped)
    corpus.remove(Removal("in a suite", np.array(numbers, np.int64), details=[dropped[n] for n in numbers]))
    _remove_known(corpus, np.array(changed, np.int64))
    for b, said in zip(blocks, found, strict=True):
        for inside, hit in said["hits"]:
            holders.add(number := corpus.starts[b] + inside)
            hits.append({"id": corpus.id(number), "origin": corpus.origin(number)} | hit)
    facts = {
        "suites": dict(sorted(Counter(t.suite for t in index.targets).items())),
        "searched": len(index.targets),
        "too_short": len(index.unsearched),
        "silenced": silenced,
        "hits": len(hits),
        "documents": len(holders),
    }
    return Contamination(hits, facts)


def _span(corpus: Corpus, block: int) -> slice:
    return slice(corpus.starts[block], corpus.starts[block + 1])


def _remove_known(corpus: Corpus, changed: np.ndarray) -> None:
    """Remove texts that are equal to another one now that something was cut out of them; `changed` rises."""
    changed = changed[corpus.status[changed] == TRAIN]
    keys = corpus.rows(changed)["key"]
    first: dict[bytes, int] = {}
    for start, rows in corpus.blocks() if len(changed) else ():
        numbers = start + np.flatnonzero(np.isin(rows["key"][:, 0], keys[:, 0]))
        numbers = numbers[(corpus.status[numbers] != REMOVED) & ~np.isin(numbers, changed)]
        for number, key in zip(numbers.tolist(), rows["key"][numbers - start], strict=True):
            first.setdefault(key.tobytes(), number)
    pairs = [(n, first.setdefault(key.tobytes(), n)) for n, key in zip(changed.tolist(), keys, strict=True)]
    if twins := [(n, other) for n, other in pairs if n != other]:
        numbers, others = (np.array(side, np.int64) for side in zip(*twins, strict=True))
        held_out = corpus.status[others] == VALIDATION
        corpus.remove(Removal("in validation", numbers[held_out], others[held_out]))
        corpus.remove(Removal("duplicate", numbers[~held_out], others[~held_out]))


def _common(
    corpus: Corpus, index: Index, blocks: list[int], counted: list[list[Any]], total: tuple[np.ndarray, int]
) -> tuple[dict[str, np.ndarray], int]:
    """Return which n-grams are boilerplate in each source, and how many targets are lost to that somewhere."""
    found: dict[str, np.ndarray] = {}
    lost: set[int] = set()
    for source in dict.fromkeys(corpus.places[b][0].source for b in blocks):
        mine = [c for b, c in zip(blocks, counted, strict=True) if corpus.places[b][0].source == source]
        found[source] = boilerplate(*_summed(mine))
        lost |= {id(target) for target in index.silenced(index.weigh(*total, found[source]))}
    return found, len(lost)


def _summed(counted: list[list[Any]]) -> tuple[np.ndarray, int]:
    total = np.zeros(len(load_array(Path(counted[0][0]))), np.int64)
    for path, _ in counted:
        total += load_array(Path(path))
    return total, sum(documents for _, documents in counted)


@lru_cache(maxsize=1)
def _index(suites: tuple[tuple[str, str], ...], fields: tuple[str, ...], contexts: bool) -> Index:
    items = [item for path, _ in suites for item in read_suite(Path(path), fields).items]
    return Index.build(items, contexts=contexts)


def _index_of(args: dict[str, Any]) -> Index:
    suites = tuple((path, sha256) for path, sha256 in args["suites"])
    return _index(suites, tuple(args["fields"]), args["contexts"])


def count(args: dict[str, Any], tell: Tell) -> list[Any]:
    """Write in how many chosen documents of a block each n-gram of the suites is; return the file and their number."""
    index, chosen = _index_of(args), load_array(Path(args["chosen"]))
    total = index.counts([])
    for _, texts in _batches(args, tell):
        total += index.counts(texts)
    write_array(path := Path(args["chosen"]).with_suffix(".counts.npy"), total)
    return [str(path), len(chosen)]


def search(args: dict[str, Any], tell: Tell) -> str:
    """Write what is found in the chosen documents of a block, as JSON, and return the file.

    `hits` are [document, hit], `dropped` each document that goes, with its first hit, `changed` those that were cut,
    whose texts have a folder of their own; documents by their place in the block.
    """
    index = _index_of(args)
    common = np.array(load_array(Path(args["common"])))
    weights: Weights = index.weigh(np.array(load_array(Path(args["totals"]))), args["documents"], common)
    hits, dropped, changed = list[Any](), dict[str, Any](), dict[int, str]()
    for places, texts in _batches(args, tell):
        for place, text, found in zip(places, texts, index.hits(texts, weights, args["threshold"]), strict=True):
            if not found:
                continue
            said = [
                asdict(hit) | {"found": hit.found[:FOUND_CHARACTERS], "coverage": round(hit.coverage, 3)}
                for hit in found
            ]
            hits += [[place, hit] for hit in said]
            left = apply(text, found, args["action"])
            if left is None:
                dropped[str(place)] = said[0]
            elif left != text:
                changed[place] = left
    if changed:
        write_changes(opened(args), changed.items(), Path(args["changed"]))
    said = {"hits": hits, "dropped": dropped, "changed": list(changed)}
    write_atomic(path := Path(args["found"]), canonical_json(said))
    return str(path)


def _batches(args: dict[str, Any], tell: Tell) -> Iterator[tuple[list[int], list[str]]]:
    """Yield the chosen documents of a block, some at a time: their places and texts."""
    block, chosen = opened(args), load_array(Path(args["chosen"]))
    ends = block.documents["bytes"][chosen].cumsum(dtype=np.int64)
    done = 0
    while done < len(chosen):
        before = int(ends[done - 1]) if done else 0
        stop = max(done + 1, int(np.searchsorted(ends, before + BATCH_BYTES)))
        yield chosen[done:stop].tolist(), list(block.texts(chosen[done:stop]))
        tell(int(ends[stop - 1]))
        done = stop
