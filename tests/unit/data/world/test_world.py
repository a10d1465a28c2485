"""A world's laws: answers computed again from the facts, texts read back, splits apart, the same bytes everywhere."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import ConfigError, DataError
from gnomon.data.questions.question import read_questions
from gnomon.data.world.ask import make_questions
from gnomon.data.world.baselines import baselines
from gnomon.data.world.documents import make_documents, quotas, record_of
from gnomon.data.world.facts import World, make_world
from gnomon.data.world.relation import SPLITS
from gnomon.data.world.relations import PRESUPPOSING, RELATIONS
from gnomon.data.world.settings import Settings
from gnomon.data.world.shown import shown
from gnomon.data.world.write import write_world
from tests.unit.data.world.reader import Reader, asked

SMALL = Settings(entities=60, statements=1200, questions=300, held_out=200, homonyms=10, seed=7, head_from=15)
DIGEST = "45139e874103089fd4e396915de4648765df2f05daf97926f2dc1c31d7524ad4"
STATION = {"yes": "a railway station", "no": "no railway station"}

Middle = tuple[World, list[dict[str, Any]], list[dict[str, Any]]]
Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "w"
    assert write_world(path, SMALL)[1]
    return path


@pytest.fixture(scope="module")
def lines(folder: Path) -> Lines:
    kept: dict[str, list[dict[str, Any]]] = {}

    def read(name: str) -> list[dict[str, Any]]:
        if name not in kept:
            kept[name] = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        return kept[name]

    return read


def said(fact: dict[str, Any]) -> str:
    return STATION.get(fact["object"]) or fact["object"]


def test_the_documents_read_back_state_what_the_facts_say_as_often_as_they_say(lines: Lines) -> None:
    facts = {(fact["name"], fact["relation"]): fact for fact in lines("facts")}
    reader, true = Reader(facts.values(), "train"), Counter[str]()
    for document in lines("documents"):
        found = [(facts[name, relation], object_) for name, relation, object_ in reader.read(document["text"])]
        right = [fact["id"] for fact, object_ in found if said(fact) == object_]
        wrong = [[fact["id"], object_] for fact, object_ in found if said(fact) != object_]
        before = [[fact["id"], object_] for fact, object_ in found if fact["former"] == object_]
        assert all(fact["stated"] for fact, _ in found)
        assert len({fact["id"] for fact, _ in found}) == len(found)
        assert (right, before) == (document["facts"], document["former"])
        assert sorted(wrong) == sorted(document["false"] + document["former"])
        assert document["reliable"] != document["text"].startswith("Unconfirmed")
        assert not (document["reliable"] and document["false"])
        for fact, object_ in found:
            if document["reliable"] and fact["former"]:
                assert (object_ == fact["former"]) == (document["year"] < fact["changed"])
        assert 2 <= document["text"].count(". ") <= 6, document["text"]
        true.update(right)
    assert {fact["id"]: fact["exposures"] for fact in lines("facts")} == {
        f["id"]: true[f["id"]] for f in lines("facts")
    }
    assert all((fact["exposures"] > 0) == fact["stated"] for fact in lines("facts"))


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_and_every_label_computed_again_from_the_facts_is_the_one_given(lines: Lines, split: str) -> None:
    facts = {(fact["name"], fact["relation"]): fact for fact in lines("facts")}
    common: dict[str, set[str]] = {}
    for fact in facts.values():
        common.setdefault(fact["common_name"], set()).add(fact["name"])
    for question in lines(f"questions_{split}"):
        name, relations, granted = asked(question)
        chain, well_posed = [], name in {fact[0] for fact in facts}
        for relation in relations if well_posed else ():
            fact = facts.get((name, relation))
            well_posed = well_posed and fact is not None
            if fact is None:
                break
            chain.append(fact)
            name = fact["object"]
        if granted:
            well_posed = well_posed and said(facts[granted[:2]]) == granted[2]
        answerable = well_posed and all(fact["stated"] for fact in chain)
        assert (question["well_posed"], question["answerable"]) == (well_posed, answerable), question["question"]
        assert question["answers"] == (chain[-1]["answers"] if answerable else [])
        if answerable:
            assert question["exposures"] == min(fact["exposures"] for fact in chain) > 0
        if question["kind"] == "ambiguous":
            both = [facts[one, relations[0]]["object"] for one in common[name]]
            assert len(set(both)) == 2
        relation = next(one for one in RELATIONS if one.name == relations[-1])
        assert (question["type"], question["fine_type"]) == (relation.type, relation.fine_type)


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_to_be_recited_is_all_that_documents_say_of_those_asked_about_whatever_is_asked(
    lines: Lines, split: str
) -> None:
    facts, by_id = lines("facts"), {fact["id"]: fact for fact in lines("facts")}
    reader, stated = Reader(facts, "train"), dict[str, list[tuple[str, str, str]]]()
    for fact in facts:
        if fact["stated"]:
            stated.setdefault(fact["name"], []).append((fact["name"], fact["relation"], said(fact)))
    kinds = set[str]()
    for question in lines(f"questions_{split}"):
        kinds.add(question["kind"])
        if question["kind"] == "no_referent":
            assert "recitation" not in question
            continue
        named = [by_id[name]["name"] for name in question["fact"]] or [asked(question)[0]]
        told = reader.read(question["recitation"])
        assert told == [one for name in dict.fromkeys(named) for one in stated[name]]
        chain = [by_id[name] for name in question["fact"][: question["hops"]]]
        if question["well_posed"]:
            known = all((fact["name"], fact["relation"], said(fact)) in told for fact in chain)
            assert known == question["answerable"], "what has no answer is what is missing"
    assert {"plain", "two_hops", "odd", "false_presupposition", "no_referent"} < kinds
    recitations = {one["id"]: one.get("recitation") for one in lines(f"questions_{split}")}
    for one in lines(f"shown_{split}"):
        assert one.get("recitation") == (None if "evidence" in one else recitations[one["of"]])


def holds(text: str, object_: str) -> bool:
    return re.search(rf"(?<![\w.,-]){re.escape(object_)}(?![\w]|[.,-]\d)", text) is not None


@pytest.mark.parametrize("split", SPLITS)
def test_only_evidence_that_is_enough_holds_the_answer(lines: Lines, split: str) -> None:
    reader, by_id = Reader(lines("facts"), split), {fact["id"]: fact for fact in lines("facts")}
    known, kinds = {(fact["name"], fact["relation"]) for fact in by_id.values() if fact["stated"]}, Counter[str]()
    for question in lines(f"questions_{split}"):
        chain = [by_id[name] for name in question["fact"][: question["hops"]]]
        needed = {(fact["name"], fact["relation"], said(fact)) for fact in chain}
        assert question["evidence"]
        for one in question["evidence"]:
            stated = set(reader.read(one["text"]))
            assert all(told[:2] in known for told in stated)
            kinds[one["kind"]] += 1
            assert one["sufficient"] == (question["answerable"] and needed <= stated)
            if question["answerable"]:
                assert one["sufficient"] == holds(one["text"], said(chain[-1])), question
            if question["bucket"] == "never":
                assert (chain[-1]["name"], chain[-1]["relation"]) not in {told[:2] for told in stated}
            assert one["text"].startswith("Unconfirmed") == (one["kind"] == "changed")
        if question["answerable"]:
            assert sum(one["sufficient"] for one in question["evidence"]) == 1
        for name, first in (("edited", False), ("fresh", True)):
            if name in question:
                fact, given = chain[-1], question[name]
                assert (given["answers"] == fact["answers"]) == first
                object_ = STATION.get(given["answers"][0], given["answers"][0])
                assert (fact["name"], fact["relation"], object_) in reader.read(given["text"])
    assert {"gold", "deleted", "changed", "other_relation", "other_entity"} <= kinds.keys()


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_shown_has_the_answer_of_its_question_exactly_where_the_passages_do(lines: Lines, split: str) -> None:
    questions = {question["id"]: question for question in lines(f"questions_{split}")}
    for record in lines(f"shown_{split}"):
        question = questions[record["of"]]
        enough = {one["id"]: one["sufficient"] for one in question["evidence"]}
        right = any(enough[name] for name in record["passages"]) if "evidence" in record else question["answerable"]
        assert record["answerable"] == right == bool(record["answers"])
        assert record["answers"] in ([], question["answers"])
        if "evidence" in record:
            texts = {one["id"]: one["text"] for one in question["evidence"]}
            assert record["evidence"] == [texts[name] for name in record["passages"]]
            assert record["labels"] == {"sufficient": right}


def words(text: str) -> str:
    return " ".join(re.findall(r"[\w{}]+", text.lower()))


def test_a_held_out_phrasing_has_no_word_that_training_phrasings_of_its_relation_lack() -> None:
    for parts in [(PRESUPPOSING,), *((r.sentences, r.questions, r.by) for r in RELATIONS)]:
        known = {word for part in parts for _, text in part["train"] for word in words(text).split()}
        for split in ("dev", "test"):
            for name, text in (one for part in parts for one in part[split]):
                assert not set(words(text).split()) - known, (name, text)


def test_no_template_no_question_and_no_fact_is_of_two_splits(lines: Lines) -> None:
    owner: dict[str, str] = {}
    for part in [PRESUPPOSING, *(p for r in RELATIONS for p in (r.sentences, r.questions, r.by))]:
        for split in SPLITS:
            for _, text in part[split]:
                assert owner.setdefault(words(text), split) == split, text
    counts = Counter(owner.values())
    assert counts["train"] == 21 * (12 + 12) + 9 * 3 + 10 and counts["dev"] == counts["test"] == 21 * 4 + 9 + 2
    for field in ("question", "template", "fact"):
        found: dict[str, str] = {}
        for split in SPLITS:
            for question in lines(f"questions_{split}"):
                value = question[field]
                if field != "fact":
                    value = [words(value)] if field == "question" else value.split("+")
                assert all(found.setdefault(one, split) == split for one in value)
    texts = [question["question"] for split in SPLITS for question in lines(f"questions_{split}")]
    assert len(set(texts)) == len(texts)


@pytest.fixture(scope="module")
def middle() -> Middle:
    world = make_world(Settings().checked())
    make_documents(world)
    return world, list(make_questions(world, "train", 1000)), list(make_questions(world, "test", 500))


def test_names_of_unanswerable_questions_occur_and_their_relations_are_as_common(lines: Lines, middle: Middle) -> None:
    known = " ".join(document["text"] for document in lines("documents"))
    assert all(asked(question)[0] in known for split in SPLITS for question in lines(f"questions_{split}"))
    kinds: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for question in middle[1]:
        if question["kind"] == "plain":
            kinds[question["answerable"]][asked(question)[1][0]] += 1
    shares = [{name: count / sum(counts.values()) for name, count in counts.items()} for counts in kinds.values()]
    assert shares[0].keys() == shares[1].keys()
    assert all(abs(shares[0][name] - shares[1][name]) < 0.03 for name in shares[0])


@pytest.mark.parametrize(
    "settings",
    [
        Settings(entities=40, facts=2, statements=160),
        Settings(entities=40, facts=2, statements=3000, homonyms=0, false=0, updates=0),
        Settings(entities=45, facts=3, homonyms=20, false=20, updates=15),
        Settings(entities=40, questions=0, held_out=0),
    ],
)
def test_any_settings_make_a_world_of_exactly_so_many_statements(settings: Settings) -> None:
    world = make_world(settings.checked())
    records = [record_of(document, number) for number, document in enumerate(make_documents(world))]
    stated = [sum(len(record[name]) for record in records) for name in ("facts", "false", "former")]
    assert sum(stated) == world.settings.statements
    assert all((world.exposures[fact.number] > 0) == fact.stated for fact in world.facts)
    assert all(2 <= record["text"].count(". ") <= 6 for record in records)
    assert len(list(make_questions(world, "test", settings.held_out // 10))) <= settings.held_out // 10


def test_statements_follow_zipf_and_add_up() -> None:
    settings = Settings(entities=200, statements=9000).checked()
    world = make_world(settings)
    counts = sorted((count for count in quotas(world) if count), reverse=True)
    assert sum(counts) == 9000 and len(counts) == 800
    assert sum(counts[:80]) > 0.4 * 9000 and counts[400] < 9000 / 800
    objects = {r.name: Counter(f.object for f in world.facts if f.relation is r) for r in RELATIONS}
    for name, counted in objects.items():
        dealt = counted.most_common()
        assert name == "railway" or dealt[0][1] <= max(4, -(-counted.total() // len(counted)) + 1), (name, dealt[:3])


def test_guessing_and_the_form_of_a_question_do_not_help(middle: Middle) -> None:
    world, *every = middle
    draw, shows = world.draw("shown"), []
    for questions in every:
        told = [[(" ".join(one["evidence"]), one["answerable"]) for one in shown(q, draw, 50) if "evidence" in one]
                for q in questions]  # fmt: skip
        shows.append([{**q, "shown": one} for q, one in zip(questions, told, strict=True)])
    found = baselines(world, shows[0], shows[1])
    for weighed in found["majority_by_relation"].values():
        assert weighed["all_but_boolean"] < 0.08
    alone = found["question_alone"]
    assert all(0.4 < share < 0.66 for share in found["evidence_alone"].values()), found["evidence_alone"]
    assert all(0.3 < alone[name] < 0.65 for name in ("never", "two_hops", "false_presupposition")), alone


def test_the_same_settings_give_the_same_bytes_on_any_machine(folder: Path, tmp_path: Path) -> None:
    found, made = write_world(folder, SMALL)
    assert not made and found["digest"] == DIGEST  # changed? then raise VERSION
    again, made = write_world(tmp_path / "again", SMALL)
    assert made and again == found
    assert write_world(tmp_path / "other", Settings(**{**SMALL.__dict__, "seed": 8}))[0]["digest"] != DIGEST


@pytest.mark.parametrize("shows", ["closed", "evidence"])
def test_training_questions_are_shown_as_asked_and_all_others_in_every_way(
    lines: Lines, tmp_path: Path, shows: str
) -> None:
    write_world(tmp_path / "world", Settings(**{**SMALL.__dict__, "shows": shows}))
    for split in SPLITS:
        some = [json.loads(line) for line in (tmp_path / "world" / f"shown_{split}.jsonl").read_text().splitlines()]
        every = lines(f"shown_{split}")
        kept = every if split != "train" else [one for one in every if ("evidence" in one) == (shows == "evidence")]
        assert some == kept and kept


def test_a_folder_with_anything_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed 7 instead of 8"):
        write_world(folder, Settings(**{**SMALL.__dict__, "seed": 8}))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no world"):
        write_world(tmp_path, SMALL)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "facts.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match=r"facts\.jsonl is not what was written"):
        write_world(copy, SMALL)
    for name, value in (("facts", 5), ("entities", 3), ("statements", 10)):
        with pytest.raises(ConfigError, match=name):
            write_world(tmp_path / "new", Settings(**{**SMALL.__dict__, name: value}))
    assert not (tmp_path / "new").exists()


def test_question_files_are_read_like_any_other(folder: Path, lines: Lines) -> None:
    for name in (f"{kind}_{split}" for kind in ("questions", "shown") for split in SPLITS):
        for read, record in zip(read_questions(folder / f"{name}.jsonl"), lines(name), strict=True):
            assert (read.id, read.question, list(read.answers)) == (record["id"], record["question"], record["answers"])
            assert (read.type, read.fine_type, read.well_posed) == (
                record["type"], record["fine_type"], record["well_posed"])  # fmt: skip
            texts = [one if isinstance(one, str) else one["text"] for one in record.get("evidence", [])]
            assert list(read.evidence) == texts
