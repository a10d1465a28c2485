"""Synthetic samples: the same for the same seed, all different, all right, and nothing given away by the words."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import ConfigError, DataError
from gnomon.data.synthesis import synthesize as synthesis
from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.jsonl import line, read_samples, write_samples
from gnomon.data.synthesis.phrases import Teller
from gnomon.data.synthesis.problems import make_problem
from gnomon.data.synthesis.render import render
from gnomon.data.synthesis.report import accuracy_from_questions, overlap, report
from gnomon.data.synthesis.sample import FAMILIES, SPLITS, Sample, as_record, from_record
from gnomon.data.synthesis.synthesize import count_by_family, synthesize
from gnomon.data.synthesis.verify import verify
from gnomon.taxonomy import ANSWER_TYPES, SPECIAL_TOKENS

SEED = 20


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(synthesize(800, SEED))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_samples(samples: list[Sample]) -> None:
    first = [line(s) for s in synthesize(200, SEED)]
    assert first == [line(s) for s in synthesize(200, SEED)]
    texts = {render(s).text for s in samples}
    assert len(texts) == len(samples)
    assert not texts & {render(s).text for s in synthesize(200, SEED + 1)}


def test_the_families_have_their_shares_and_every_type_of_answer_occurs(samples: list[Sample]) -> None:
    counts = {family: sum(s.family == family for s in samples) for family in FAMILIES}
    assert counts == {"perspectives": 240, "tools": 200, "knowledge": 200, "reasoning": 160}
    assert count_by_family(8000) == {name: 10 * count for name, count in counts.items()}
    assert sum(count_by_family(997, ("tools", "reasoning")).values()) == 997
    assert {s.question.type for s in samples} == set(ANSWER_TYPES)
    assert sum(s.split == "test" for s in samples) == 80


def test_no_phrasing_serves_both_splits_and_every_sample_names_its_own(samples: list[Sample]) -> None:
    used = {split: {t for s in samples if s.split == split for t in (s.template, *s.phrases)} for split in SPLITS}
    assert all(s.template in s.phrases for s in samples)
    assert not {t.split(":")[1] for t in used["train"]} & {t.split(":")[1] for t in used["test"]}
    assert min(map(len, used.values())) > 50


def test_unanswerable_questions_have_as_many_words_in_their_documents_and_no_word_gives_them_away() -> None:
    matched = [s for s in synthesize(1200, SEED, ["knowledge"]) if s.kind in ("read", "yes-no", "two-sources")]
    shares = overlap(matched)
    assert abs(shares["answerable"] - shares["unanswerable"]) < 0.02
    questions = [s.question for s in matched]
    alone = accuracy_from_questions([q.question for q in questions], [q.answerable for q in questions])
    assert abs(alone - 0.5) < 0.05
    counts = [sum(s.question.answerable == flag for s in matched) for flag in (True, False)]
    assert max(counts) < 1.1 * min(counts)


def test_loss_falls_on_what_the_assistant_says_and_on_nothing_else(samples: list[Sample]) -> None:
    for sample in samples:
        text, spans = dataclasses.astuple(render(sample))
        learned = [text[start:end] for start, end in spans]
        assert all(start < end for start, end in spans) and list(spans) == sorted(spans)
        if sample.messages:
            said = [m for m in sample.messages if m["role"] == "assistant"]
            assert len(learned) == len(said)
            for message, part in zip(said, learned, strict=True):
                assert part.startswith(message["content"]) and part.endswith("<|im_end|>")
                assert part.count("<tool_call>") == len(message.get("tool_calls", ()))
        else:
            assert learned[-1].endswith(f"{sample.question.answer}<|/a|>" if sample.question.answer else "<|/a|>")
            assert sample.question.question not in "".join(learned)
            assert not any(document in part for document in sample.question.documents for part in learned)


def test_what_is_written_is_read_back_equal_and_written_again_to_the_same_bytes(
    samples: list[Sample], tmp_path: Path
) -> None:
    some = samples[::3]
    assert write_samples(tmp_path / "a.jsonl", some) == len(some)
    back = list(read_samples(tmp_path / "a.jsonl"))
    assert back == some
    write_samples(tmp_path / "b.jsonl", back)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert report(back) == report(some)


Change = Callable[[dict[str, Any]], Any]


def _first(samples: list[Sample], **wanted: Any) -> dict[str, Any]:
    found = next(s for s in samples if all(getattr(s, name) == value for name, value in wanted.items()))
    return json.loads(line(found))


@pytest.mark.parametrize(
    ("wanted", "change", "why"),
    [
        ({"kind": "look-up"}, lambda r: r["messages"][-2].update(content='{"result": 1}'), "the conversation says"),
        ({"kind": "convert"}, lambda r: _arguments(r, value="5"), "not of type number"),
        ({"kind": "convert"}, lambda r: _arguments(r, to_unit="furlong"), "not one of the allowed"),
        ({"kind": "convert"}, lambda r: _arguments(r, more=1), "unknown name more"),
        ({"kind": "days"}, lambda r: _arguments(r, start=None), "lacks start"),
        ({"kind": "stock"}, lambda r: r["world"]["given"].update(n=7), "are not the numbers given"),
        ({"kind": "stock"}, lambda r: r["question"].update(answer="3", answers=["3"]), "the answer is"),
        ({"kind": "stock"}, lambda r: r["messages"][-1].update(content="So be it."), "does not hold the answer"),
        ({"kind": "belief-knows"}, lambda r: r["messages"][-1].update(content="Who knows?"), "the reply says unknown"),
        ({"kind": "belief-look"}, lambda r: r["messages"][0].update(content="x"), "does not tell"),
        ({"kind": "read"}, lambda r: r["question"]["documents"].append("A note. It rains."), "states 0 facts"),
        ({"kind": "read"}, lambda r: r["question"].update(type="colour"), "not one of"),
        ({"family": "reasoning"}, lambda r: r.update(more=1), "unknown field more"),
        ({"family": "reasoning"}, lambda r: r.pop("split"), "lacks split"),
        ({"family": "reasoning"}, lambda r: r.update(id="reasoning-0"), "the id is not"),
        ({"family": "reasoning"}, lambda r: r["messages"][0].update(content="<|im_end|>"), "special token"),
    ],
)
def test_a_damaged_record_is_named_by_path_and_line(
    samples: list[Sample], tmp_path: Path, wanted: dict[str, Any], change: Change, why: str
) -> None:
    record = _first(samples, **wanted)
    change(record)
    path = tmp_path / "x.jsonl"
    path.write_bytes(line(samples[0]) + b"\n" + json.dumps(record).encode() + b"\n")
    with pytest.raises(DataError, match=why) as caught:
        list(read_samples(path))
    assert caught.value.where == f"{path}:2"


def _arguments(record: dict[str, Any], **changed: Any) -> None:
    call = next(m for m in record["messages"] if "tool_calls" in m)["tool_calls"][0]["function"]
    arguments = json.loads(call["arguments"]) | changed
    call["arguments"] = json.dumps({k: v for k, v in arguments.items() if v is not None})


def test_a_text_that_comes_twice_or_a_broken_line_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for second, why in ((line(samples[0]), "the text is that of line 1"), (b'{"id": ', "not valid JSON")):
        path.write_bytes(line(samples[0]) + b"\n" + second + b"\n")
        with pytest.raises(DataError, match=why):
            list(read_samples(path))
    with pytest.raises(DataError, match="no such file"):
        list(read_samples(tmp_path / "none.jsonl"))


def test_every_wrong_answer_is_found(samples: list[Sample]) -> None:
    """Of each kind, a sample with another answer of its kind, in question and reply alike, does not pass."""
    by_kind: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.question.answer:
            by_kind.setdefault(sample.kind, []).append(sample)
    assert len(by_kind) > 30
    for kind, members in by_kind.items():
        one = members[0]
        wrong = next((s.question.answer for s in members if s.question.answer != one.question.answer), "42")
        text = json.dumps(as_record(one) | {"id": "x"}, ensure_ascii=False)
        record = json.loads(text)
        record["question"].update(answer=wrong, answers=[wrong])
        if one.messages:
            record["messages"][-1]["content"] = wrong
        with pytest.raises(DataError):
            verify(from_record(record))
            pytest.fail(f"{kind}: {wrong} passed for {one.question.answer}")


def test_special_tokens_are_of_the_taxonomy_alone(samples: list[Sample]) -> None:
    found = {t for s in samples for t in re.findall(r"<[|/a-z_][^<>\s]*>", render(s).text)}
    assert found <= set(SPECIAL_TOKENS)
    assert {"<tool>", "<perspective>", "<consciousness>", "<|retrieve|>", "<|no_retrieve|>", "<|ill_posed|>"} <= found


def test_a_text_is_made_once_and_who_asks_for_too_many_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_of_seven(draw: Draw, tell: Teller, number: int) -> Sample:
        return make_problem(Draw(draw.below(7)), Teller(Draw(1), "train"))

    monkeypatch.setitem(synthesis._MAKERS, "reasoning", one_of_seven)
    monkeypatch.setattr(synthesis, "_TRIES", 400)
    assert len({render(s).text for s in synthesize(6, 1, ["reasoning"])}) == 6
    with pytest.raises(ConfigError, match="not so many different"):
        list(synthesize(8, 1, ["reasoning"]))


def test_a_family_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="no family 'poems'"):
        next(synthesize(10, 1, ["poems"]))
