"""Heads are compared with what a model says at the thresholds by which it learned to say it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnomon.base.errors import DataError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.progress import silent
from gnomon.bundle import Bundle
from gnomon.data.forms.questions import opened, question_parts
from gnomon.data.questions.question import Question
from gnomon.data.questions.spoken import Decision, Thresholds, thresholds_said
from gnomon.evaluate import agreement
from gnomon.evaluate.readings import readings_of
from gnomon.evaluate.speaking import speak
from gnomon.taxonomy import OPENING, ROUTER_SIGNALS
from gnomon.tokenizer.train import train_tokenizer
from tests.world import TINY, noisy_model, saved_bundle

AT = Thresholds(well_posed=0.1, known=0.9, retrieve=0.2, sufficient=0.7)
QUESTIONS = [Question(f"q{i}", f"Who met {name}?", answers=("Ada",)) for i, name in enumerate("ABCDEFGH")]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a model whose router finds every question known at 0.5, and none at 0.9."""
    model = noisy_model(TINY, 3, heads=("router", "types"))
    with torch.no_grad():
        for head in ("router", "opening"):
            model.get_parameter(f"heads.{head}.down_proj.weight").mul_(0.01)
            model.get_parameter(f"heads.{head}.down_proj.bias")[ROUTER_SIGNALS.index("known")] = 1.0
    tokenizer = train_tokenizer(["Who met Ada King in March? Evidence: she did."] * 3, TINY.vocabulary, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run"), model, tokenizer)


def written(path: Path, records: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_what_is_spoken_names_its_thresholds_and_heads_are_compared_at_those(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list(speak(bundle, QUESTIONS, AT, silent))
    learned: list[Decision | None] = [one.decision for one in said]
    assert {made.state for made in learned if made} == {"retrieve"}, "at 0.5 each would be known"
    spoken = written(tmp_path / "spoken.jsonl", [one.record for one in said])
    asked = [{"id": q.id, "question": q.question} for q in QUESTIONS]
    plain = written(tmp_path / "plain.jsonl", asked)
    named = written(tmp_path / "named.jsonl", [one | {"thresholds": vars(AT)} for one in asked])
    assert (thresholds_said(spoken), thresholds_said(named), thresholds_said(plain)) == (AT, AT, None)
    words = ["".join(made.control) if made else "" for made in learned]
    monkeypatch.setattr(agreement, "said_of", lambda *_: words)

    def agreed(path: Path) -> tuple[float, dict[str, float]]:
        found = agreement.agree_with_heads(bundle, path, silent)
        return found["decision"], found["thresholds"]

    assert agreed(named) == (1.0, vars(AT))
    assert agreed(plain) == (0.0, vars(Thresholds())), "nothing says by which"
    sources = [{"paths": [str(plain)], "form": "questions"}, {"paths": [str(spoken)], "form": "chat"}]
    write_atomic(bundle.run.config_path, pretty_json({"data": {"sources": sources}}))
    assert agreed(plain) == (1.0, vars(AT)), "the run says what it learned from"
    spoken.unlink()
    assert agreed(plain) == (0.0, vars(Thresholds()))


def test_what_words_are_worth_by_themselves_is_counted_by_hand() -> None:
    known, unknown = "<|type:person|><|known|>", "<|type:person|><|unknown|><|abstain|>"
    asked = [
        (Question("a", "Who?", answers=("Ada",)), f"<|fact|> It was she.<|/fact|>{known} Ada"),
        (Question("b", "Who?", answers=("Ada",)), f"{known} Ben"),
        (Question("c", "Who?", answers=("Ada",)), unknown),
        (Question("d", "Who?", answerable=False), unknown),
        (Question("e", "Who?", answers=("Ada",), well_posed=False), f"{known} Ada"),
        (Question("f", "Who?", well_posed=False), "<|ill_posed|><|abstain|>"),
        (Question("g", "Who?", answerable=False), "Nobody."),
        (Question("h", "Who?"), known),
    ]
    found = agreement.rights(*zip(*asked, strict=True))
    assert found == {"answerable": 3, "unanswerable": 4, "answered": 3, "rightly": 1, "refused": 2}


def test_heads_are_read_behind_what_was_recited_as_they_are_when_it_is_recited_by_themselves(bundle: Bundle) -> None:
    plain = [one.decision for one in speak(bundle, QUESTIONS, Thresholds(), silent)]
    assert agreement.heads_behind(bundle, QUESTIONS, [""] * len(QUESTIONS), Thresholds(), silent) == plain
    text = "<|fact|> She met\nAda.<|/fact|><|type:date|><|known|> 1912"
    said = Question("q", "Who met A?", recitation="She met\nAda.")
    (readings,) = readings_of(bundle, [opened(question_parts(said, recite=True))], silent)
    assert readings is not None and [one.kind for one in readings] == [0, OPENING]
    for known in (0.0, readings[1].router["known"], 1.0):
        at = Thresholds(well_posed=0.0, known=known)
        (made,) = agreement.heads_behind(bundle, [said], [text], at, silent)
        assert made and made.answers == (known < 1.0), "of the last that is said of the question"
    assert readings[0].router["known"] != readings[1].router["known"]


@pytest.mark.parametrize("ends", [True, False])
def test_nothing_is_taught_behind_a_recitation_that_comes_to_no_end(bundle: Bundle, ends: bool, tmp_path: Path) -> None:
    model, ids = noisy_model(TINY, 3, heads=("router", "types")).eval(), bundle.tokenizer.special_id
    with torch.no_grad():
        asked = [ids("<|q|>"), *bundle.tokenizer.encode("Who met A?"), ids("<|/q|>")]
        hidden = model(torch.tensor([[bundle.tokenizer.end_of_text, *asked]])).hidden[0]
        model.head[ids("<|fact|>")] = 10 * hidden[-1]  # so it recites
        model.head[ids("<|/fact|>")] = (10 if ends else -10) * hidden.mean(0)
    made = saved_bundle(tmp_path / "run", model, bundle.tokenizer)
    said = list(speak(replace(made, plan={**made.plan, "recites": True}), QUESTIONS, AT, silent))
    assert [one.endless for one in said] == [not ends] * len(QUESTIONS) and all(one.decision for one in said)
    assert [one.recitation == "" for one in said] == [ends] * len(QUESTIONS)
    assert [one.record is not None for one in said] == [ends] * len(QUESTIONS)


@pytest.mark.parametrize("said", [0.5, {}, {"known": 0.5}, vars(AT) | {"known": 1.5}, vars(AT) | {"known": "0.5"}])
def test_thresholds_that_are_none_are_refused_with_their_place(said: object, tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", [{"question": "Who?", "thresholds": said}])
    with pytest.raises(DataError, match="thresholds") as e:
        thresholds_said(path)
    assert e.value.where == f"{path}:1"
