"""A world as a folder: facts, documents, questions of three splits, and world.json, which says what they are.

The folder appears whole or not at all, and the same settings give the same bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.files import pretty_json, read_json, sha256_bytes, sha256_file, staged_folder
from gnomon.base.progress import Progress, silent
from gnomon.data.world.ask import bucket_of, make_questions
from gnomon.data.world.baselines import AT_MOST, baselines
from gnomon.data.world.documents import make_documents, record_of
from gnomon.data.world.facts import World, make_world
from gnomon.data.world.relation import SPLITS
from gnomon.data.world.settings import VERSION, Settings
from gnomon.data.world.shown import shown

NAME = "world.json"


def write_world(folder: Path, settings: Settings, progress: Progress = silent) -> tuple[dict[str, Any], bool]:
    """Return what world.json says, and whether the folder had to be made.

    Raises ConfigError where the folder holds something else, and DataError where its files are not those it was made
    with.
    """
    settings = settings.checked()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _there(folder, settings), False
    with staged_folder(folder.parent, folder.name) as staged:
        found = _write(staged.path, settings, progress)
        (staged.path / NAME).write_bytes(pretty_json(found))
        staged.publish(folder)
    return found, True


def _there(folder: Path, settings: Settings) -> dict[str, Any]:
    """Return what world.json of a folder says if these settings made it."""
    other = "give another folder, or remove this one"
    if not (folder / NAME).is_file():
        raise ConfigError("this folder holds no world, but is not empty", where=str(folder), do=other)
    found = read_json(folder / NAME)
    if not isinstance(found, dict) or not {"version", "settings", "files"} <= found.keys():
        raise DataError(f"{NAME} does not describe a world", where=str(folder), do=other)
    if found["version"] != VERSION:
        raise ConfigError(f"this folder holds a world of version {found['version']}, and this program makes"
                          f" version {VERSION}", where=str(folder), do=other)  # fmt: skip
    wanted, had = settings.__dict__, Settings().__dict__ | found["settings"]
    if differing := [f"{name} {had.get(name)} instead of {value}" for name, value in wanted.items()
                     if had.get(name) != value]:  # fmt: skip
        raise ConfigError(f"this folder holds another world: {', '.join(differing)}", where=str(folder), do=other)
    for name, one in found["files"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != one["sha256"]:
            raise DataError(f"{name} is not what was written", where=str(folder), do="remove the folder; made again, it"
                            " is the same")  # fmt: skip
    return found


def _write(folder: Path, settings: Settings, progress: Progress) -> dict[str, Any]:
    world = make_world(settings)
    progress("documents", 0, settings.statements, "statements")
    documents, stated, made = make_documents(world), Counter[str](), dict[str, list[dict[str, Any]]]()
    with _File(folder / "documents.jsonl") as file:
        for number, document in enumerate(documents, 1):
            record = record_of(document, number - 1)
            file.write(record)
            for name in ("facts", "false", "former"):
                stated[name] += len(record[name])
            if number % 1000 == 0 or number == len(documents):
                progress("documents", stated.total(), settings.statements, "statements")
    files = {file.name: file.said}
    for split in SPLITS:
        made[split] = []
        for file in _write_questions(folder, world, split, made[split], progress):
            files[file.name] = file.said
    with _File(folder / "facts.jsonl") as file:
        for record in _facts(world):
            file.write(record)
    files[file.name] = file.said
    digest = sha256_bytes("".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files)).encode())
    return {
        "version": VERSION,
        "digest": digest,
        "settings": settings.__dict__,
        "files": {name: files[name] for name in sorted(files)},
        "counts": _counts(world, len(documents), sum(d.reliable for d in documents), stated, made),
        "baselines": baselines(world, made["train"], made["test"]),
    }


def _write_questions(
    folder: Path, world: World, split: str, made: list[dict[str, Any]], progress: Progress
) -> tuple["_File", "_File"]:
    """Write the questions of a split, and as they are shown; append to `made` what is counted of each."""
    count = world.settings.questions if split == "train" else world.settings.held_out
    wanted = world.settings.shows if split == "train" else "both"
    draw, stage = world.draw("shown", split), f"questions, {split}"
    with _File(folder / f"questions_{split}.jsonl") as file, _File(folder / f"shown_{split}.jsonl") as as_shown:
        for question in make_questions(world, split, count):
            file.write(question)
            shows = [
                one
                for one in shown(question, draw, world.settings.two_passages)
                if wanted in ("both", "evidence" if "evidence" in one else "closed")
            ]
            for record in shows:
                as_shown.write(record)
            counted = {"passages": [one["kind"] for one in question["evidence"]],
                       "shows": [one["id"].partition("@")[2] for one in shows]}  # fmt: skip
            if len(made) < AT_MOST:
                with_evidence = [one for one in shows if "evidence" in one]
                counted["shown"] = [(" ".join(one["evidence"]), one["answerable"]) for one in with_evidence]
            made.append({name: question[name] for name in _KEPT} | counted)
            if len(made) % 1000 == 0:
                progress(stage, len(made), count, "questions")
    progress(stage, len(made), len(made), "questions")
    return file, as_shown


class _File:
    """A file of records, a line each, with its lines, bytes and hash."""

    def __init__(self, path: Path) -> None:
        self.name, self.said = path.name, dict[str, Any]()
        self._file, self._digest, self._lines, self._bytes = path.open("wb"), hashlib.sha256(), 0, 0

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.said = {"lines": self._lines, "bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        self._file.write(line)
        self._digest.update(line)
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line)


_KEPT = ("question", "type", "answerable", "well_posed", "bucket", "kind", "hops", "fact")


def _facts(world: World) -> Iterator[dict[str, Any]]:
    """Yield all facts of the world, also those that no document states: the ground of every answer."""
    for fact in world.facts:
        subject = world.entities[fact.subject]
        yield {
            "id": fact.id,
            "entity": subject.number,
            "name": subject.name,
            "common_name": subject.common,
            "kind": subject.kind,
            "pronoun": subject.pronoun,
            "relation": fact.relation.name,
            "type": fact.relation.type,
            "fine_type": fact.relation.fine_type,
            "object": fact.object,
            "object_entity": fact.entity,
            "answers": fact.answers,
            "split": fact.split,
            "stated": fact.stated,
            "exposures": world.exposures[fact.number],
            "former": fact.former,
            "changed": fact.changed or None,
        }


def _counts(
    world: World, documents: int, reliable: int, stated: Counter[str], made: Mapping[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    told = [fact for fact in world.facts if fact.stated]
    buckets = Counter(bucket_of(world, world.exposures[fact.number]) for fact in told)
    return {
        "entities": {kind: len(numbers) for kind, numbers in world.of_kind.items()},
        "namesakes": len(world.namesakes) * 2,
        "facts": {"stated": len(told), "never_stated": len(world.facts) - len(told),
                  "changed": sum(fact.former is not None for fact in told), **_sorted(buckets)},
        "documents": {"all": documents, "unconfirmed": documents - reliable},
        "statements": {"true": stated["facts"], "false": stated["false"], "former": stated["former"]},
        "questions": {
            split: {
                "all": len(questions),
                "answerable": sum(q["answerable"] for q in questions),
                "by_bucket": _sorted(Counter(q["bucket"] for q in questions)),
                "by_kind": _sorted(Counter(q["kind"] for q in questions)),
                "by_type": _sorted(Counter(q["type"] for q in questions)),
                "passages": _sorted(Counter(kind for q in questions for kind in q["passages"])),
                "shown": _sorted(Counter(kind for q in questions for kind in q["shows"])),
            }
            for split, questions in made.items()
        },
    }  # fmt: skip


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
