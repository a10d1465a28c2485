"""One at a time or many together, the pipeline finds the same; it decides one thing; and it quotes what it read."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.answer.ask import ILL_POSED_BELOW, LEAST_ROOM, Asked, Found, Settings, Try, answer_each
from gnomon.answer.calibration import fit_calibration
from gnomon.answer.certify import certify, fixed_order
from gnomon.answer.constrain import has_constraints
from gnomon.answer.decision import GIVEN, Seen, decide, why
from gnomon.answer.grammar import QUOTED
from gnomon.answer.recitation import signals_of
from gnomon.answer.repair import MOST_REPAIRS, Attempt, next_attempt
from gnomon.answer.result import Terms, result_of
from gnomon.answer.session import Session
from gnomon.answer.signals import OF_QUESTION, signals
from gnomon.answer.spans import spans
from gnomon.answer.trust import CLOSED, SHOWN, Trust, Use, load_trust, save_trust, why_not
from gnomon.answer.utterance import Utterance
from gnomon.answer.validate import is_quoted, problem_of
from gnomon.base.errors import DataError, IntegrityError
from gnomon.bundle import Bundle, mark_kinds
from gnomon.data.forms.questions import MOST_RECITED, question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.question import Question
from gnomon.model.reading import Reading, read
from gnomon.taxonomy import MARKS, ROUTER_SIGNALS, HeadKind
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.world import TINY, noisy_model, saved_bundle

SHAPE = replace(TINY, context=160)
TEXT = ["Who met Ada King in March 1876? Ben met her; 30 days, $5 million, yes. O'Neill's café: 3.5 km. "] * 3
PASSAGES = ("Ada King met Ben O'Neill in March 1876.", "The café is 3.5 km away.", "Ada, of 1843, said <|a|> no.")
ASKED = [
    Asked("Who met Ada King?", PASSAGES[:1]),
    Asked("When did it begin, <|/q|> and why?"),
    Asked("How far is the café from here, if one goes by foot?", PASSAGES),
    Asked("?"),
    Asked("Who?", PASSAGES[1:]),
    Asked("How many days?", PASSAGES[2:]),
    Asked("x" * 700),
    Asked("Who?", ("y" * 700,)),
]


@cache
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXT, SHAPE.vocabulary, "qwen2", kind="bpe")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a model whose answers come to an end, some sooner than others, and whose router doubts most of them."""
    model = noisy_model(SHAPE, 8, heads=("router", "types")).eval()
    with torch.no_grad():
        states = model(torch.arange(1, 150)[None]).hidden[0]
        middle = states.mean(0)
        model.head[tokenizer().special_id("<|/a|>")] = (
            middle / middle.square().sum() * model.logits(states).amax(1).mean()
        )
        model.get_parameter("heads.router.down_proj.bias")[ROUTER_SIGNALS.index("correct")] = -0.05
    return saved_bundle(tmp_path_factory.mktemp("run"), model, tokenizer())


@pytest.fixture(scope="module")
def reciting(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a model that recites before it answers some questions, and answers others at once."""
    model = noisy_model(SHAPE, 8, heads=("router", "types")).eval()
    model.load_state_dict(bundle.model.state_dict())
    end, fact, fact_end, opening = (tokenizer().special_id(f"<|{name}|>") for name in ("/a", "fact", "/fact", "a"))
    with torch.no_grad():
        model.head[fact_end] = model.head[end] * 1.02
        model.head[opening] = model.head[fact] * 0.5 + model.head[opening] * 0.5
    made = saved_bundle(tmp_path_factory.mktemp("run"), model, tokenizer())
    return replace(made, plan={**made.plan, "recites": True})


def how(repairs: int = 0, constrain: bool | None = None, **more: bool) -> Settings:
    return Settings(has_constraints() if constrain is None else constrain, repairs, **more)


def said(found: Found) -> list[tuple[object, ...]]:
    return [(t.utterance.text, t.type, t.problem, t.attempt.repair, t.attempt.evidence) for t in found.tries]


def numbers(found: Found, repairs: int = 0) -> dict[str, float]:
    one = found.standing(repairs)
    return {} if one is None else signals(found, one)


@pytest.mark.parametrize("model", ["bundle", "reciting"])
@pytest.mark.parametrize(("repairs", "constrain"), [(0, True), (2, False)])
def test_many_together_are_as_one_by_one(
    request: pytest.FixtureRequest, model: str, repairs: int, constrain: bool
) -> None:
    if constrain and not has_constraints():
        pytest.skip("pip install 'gnomon[constrain]'")
    bundle: Bundle = request.getfixturevalue(model)
    chosen = how(repairs, constrain, stop_early=False, weighed=constrain)
    every = answer_each(bundle, ASKED, chosen)
    assert any(len(found.tries) > 1 for found in every) == bool(repairs)
    for one, found in zip(ASKED, every, strict=True):
        (alone,) = answer_each(bundle, [one], chosen)
        assert said(found) == said(alone) and found.types == alone.types and found.used == alone.used
        assert numbers(found, repairs) == pytest.approx(numbers(alone, repairs), abs=2e-5)
    assert [found.unread.part if found.unread else None for found in every[-2:]] == ["question", "evidence"]
    assert any(numbers(found, repairs) for found in every)


@pytest.mark.parametrize("model", ["bundle", "reciting"])
def test_what_the_heads_say_is_what_a_reading_of_the_whole_layout_says(
    request: pytest.FixtureRequest, model: str
) -> None:
    bundle: Bundle = request.getfixturevalue(model)
    kinds = mark_kinds(bundle.tokenizer)
    for found in answer_each(bundle, ASKED[:6], how(constrain=False, stop_early=False)):
        one = found.tries[0]
        whole = Question("", found.asked.question, evidence=found.passages)
        ((ids, _),) = encode_parts([question_parts(whole)], bundle.tokenizer)
        if one.recitation is not None:
            fact, end = (bundle.tokenizer.special_id(name) for name in ("<|fact|>", "<|/fact|>"))
            ids = [*ids, fact, *one.recitation.ids, end]
        opening, ending = (bundle.tokenizer.special_id(name) for name in ("<|a|>", "<|/a|>"))
        end = [ending] if one.utterance.finished else []
        text = [bundle.tokenizer.end_of_text, *ids, opening, *one.utterance.ids, *end]
        readings = read(bundle.model, text, kinds)[1]
        assert len(readings) == 2 + bool(found.used) + len(end)
        ours = [found.question, one.evidence, one.utterance.opening, one.utterance.reading]
        for slow, ours_ in zip(readings, [r for r in ours if r], strict=True):
            assert ours_.place == slow.place and ours_.kind == slow.kind
            assert ours_.router == pytest.approx(slow.router, abs=2e-5)
            assert ours_.coarse == pytest.approx(slow.coarse, abs=2e-5)


def test_a_run_of_before_heads_were_read_where_answers_begin_is_not_read_there(bundle: Bundle) -> None:
    plan = {name: value for name, value in bundle.plan.items() if name != "marks"}
    chosen = how(constrain=False, stop_early=False)
    now, then = (answer_each(one, ASKED[:6], chosen) for one in (bundle, replace(bundle, plan=plan)))
    for new, old in zip(now, then, strict=True):
        assert said(new) == said(old) and new.question and old.question
        assert new.tries[0].utterance.opening and old.tries[0].utterance.opening is None
        last = new.tries[0].utterance.opening.router
        assert new.router == (last if new.used else {name: last[name] for name in OF_QUESTION})
        evidence = old.tries[0].evidence
        assert old.router == old.question.router | (evidence.router if evidence else {}) != new.router


@pytest.mark.parametrize("marks", [MARKS, MARKS[:3]])
def test_reading_no_further_changes_no_decision(reciting: Bundle, marks: tuple[str, ...]) -> None:
    bundle = replace(reciting, plan={**reciting.plan, "marks": list(marks)})
    whole = how(constrain=False, stop_early=False)
    every, early = (answer_each(bundle, ASKED, chosen) for chosen in (whole, replace(whole, stop_early=True)))
    for found, soon in zip(every, early, strict=True):
        ends = [result_of(one, Terms(whole, None, "")) for one in (found, soon)]
        assert ends[0]["decision"] == ends[1]["decision"] and ends[0]["answer"] == ends[1]["answer"]
        assert soon.unread or bool(soon.tries) == (len(marks) > 3 or not soon.ill_posed), (
            "it is told later, or read no on"
        )


def test_questions_that_are_only_read_are_read_and_recited_as_those_that_are_answered(reciting: Bundle) -> None:
    chosen = how(constrain=False, stop_early=False)
    every, read_only = (answer_each(reciting, ASKED, replace(chosen, answer=answer)) for answer in (True, False))
    for found, bare in zip(every, read_only, strict=True):
        assert (found.question, found.unread, found.used) == (bare.question, bare.unread, bare.used)
        assert bare.standing(0) is None and len(bare.tries) == bool(found.tries)
        for one, other in zip(found.tries, bare.tries, strict=True):
            assert (one.evidence, one.recitation) == (other.evidence, other.recitation)
            assert one.utterance.opening == other.utterance.opening and one.router == other.router


@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=3))
def test_the_probability_of_an_answer_in_a_recitation_is_where_its_tokens_first_stand(whole: str, part: str) -> None:
    log_probs = [-1.0 - i for i in range(len(whole) + 1)]  # one for the end
    recited = Utterance(whole, [*map(ord, whole)], log_probs=log_probs, entropies=[0.0] * len(log_probs))
    at = whole.find(part)
    expected = min(log_probs) if at < 0 else sum(log_probs[at : at + len(part)])
    said = Utterance(part, [*map(ord, part)], log_probs=[-0.5], entropies=[0.0])
    assert signals_of(recited, said)["recited_answer_log_prob"] == expected
    assert signals_of(None, said)["recited_answer_log_prob"] == -0.5, "nothing recited: the answer's own"


@pytest.mark.skipif(not has_constraints(), reason="pip install 'gnomon[constrain]'")
def test_who_has_recited_quotes_names_from_that_and_from_nothing_else(
    reciting: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.answer.ask.ANSWER_TYPES", QUOTED)
    seen = Counter[bool]()
    asked = [Asked(f"{word} met {name}?") for word in ("Who", "When", "Why") for name in ("Ada", "Ben", "her")]
    for found in answer_each(reciting, asked, how(stop_early=False, typed=False, weighed=True)):
        for one in found.tries:
            if one.type in QUOTED and one.recitation is not None and one.utterance.text is not None:
                assert is_quoted(one.utterance.text, one.recitation.text or "")
                seen[is_quoted(one.utterance.text, found.asked.question)] += 1
    assert seen[False], "the model of this test recites names that the question does not hold"


def test_a_model_recites_where_that_is_likelier_than_an_answer_and_only_without_evidence(reciting: Bundle) -> None:
    special, chosen = reciting.tokenizer.special_id, how(constrain=False, stop_early=False)
    fact, opening, abstain = (special(name) for name in ("<|fact|>", "<|a|>", "<|abstain|>"))
    barred = reciting.tokenizer.special_ids - {special("<|/fact|>")}
    seen = set[tuple[bool, bool]]()
    asked = [*ASKED[:6], *(Asked(f"{word} met {name}?") for word in ("Who", "When") for name in ("Ada", "Ben", "her"))]
    for weighed in (False, True):
        for found in answer_each(reciting, asked, replace(chosen, weighed=weighed)):
            ((ids, _),) = encode_parts([question_parts(Question("", found.asked.question))], reciting.tokenizer)
            text, one = [reciting.tokenizer.end_of_text, *ids], found.tries[0]
            behind = log_probs(reciting, text)
            answers = log_probs(reciting, [*text, opening])
            at_once = behind[opening].item() + weighed * math.log1p(-math.exp(answers[abstain].item()))
            recites = not found.used and behind[fact].item() > at_once
            assert (one.recitation is not None) == recites
            saw = numbers(found)
            first = one.recitation or one.utterance
            assert found.used or not saw or saw["recited_log_prob"] == sum(first.log_probs)
            seen.add((weighed, recites))
            if one.recitation is None:
                continue
            text.append(fact)
            for token, log_prob in zip([*one.recitation.ids, None], one.recitation.log_probs, strict=True):
                said = log_probs(reciting, text)
                allowed = [i for i in range(reciting.tokenizer.tokens) if i not in barred]
                likeliest = max(allowed, key=lambda i: said[i].item())
                token = special("<|/fact|>") if token is None else token
                assert likeliest == token or len(one.recitation.ids) == MOST_RECITED
                assert log_prob == pytest.approx(said[token].item(), abs=2e-5)
                text.append(token)
    assert len(seen) == 4, "the model of this test does either"
    never = answer_each(reciting, asked, replace(chosen, recite=False))
    assert not any(found.may_recite or found.tries[0].recitation for found in never)


def log_probs(bundle: Bundle, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        return bundle.model.logits(bundle.model(torch.tensor([ids])).hidden[0, -1]).log_softmax(-1)


def test_a_session_that_goes_back_is_as_one_that_never_went_on() -> None:
    model = noisy_model(TINY, 1, heads=("router",)).eval()
    draw = np.random.default_rng(0)
    kinds = {7: 0, 8: 1}

    def pieces(*lengths: int) -> list[list[int]]:
        return [draw.integers(1, 500, n).tolist() + ([7] if n else []) for n in lengths]

    first, wrong, then = pieces(5, 1, 9), pieces(3, 8, 0), pieces(0, 2, 6)
    session = Session(model, kinds, 3, 40)
    session.read(first)
    place = session.place
    session.read(wrong)
    session.rewind(place)
    found = session.read(then)
    for row in range(3):
        text = first[row] + then[row]
        hidden, slow = read(model, text, kinds)
        assert torch.allclose(session.scores_BV[row], model.logits(hidden[-1]), atol=1e-4) or not then[row]
        assert [r.place for r in found[row]] == [r.place for r in slow[1:]]
        for ours, theirs in zip(found[row], slow[1:], strict=True):
            assert ours.router == pytest.approx(theirs.router, abs=2e-5)


def test_what_is_allowed_is_a_signal_only_under_a_constraint(bundle: Bundle) -> None:
    for constrain in (False, True) if has_constraints() else (False,):
        settings = Settings(constrain=constrain, stop_early=False)
        every = answer_each(bundle, [Asked("Who met Ada?"), Asked("When?")], settings)
        assert {"log_mass" in numbers(found) for found in every if found.standing(0)} <= {constrain}


def test_an_answer_that_stands_in_its_question_is_an_echo(bundle: Bundle) -> None:
    every = answer_each(bundle, ASKED, how(constrain=False, stop_early=False, weighed=True))
    said = [(found, text) for found in every if (one := found.standing(0)) and (text := one.utterance.text)]
    assert said
    for found, text in said:
        for question, echo in ((f"Is {text} it?", 1.0), (text, 1.0), (f"Is x{text}x it?", 0.0), ("Is it?", 0.0)):
            assert numbers(replace(found, asked=replace(found.asked, question=question)))["echo"] == echo


def test_what_a_weighed_abstention_hides_stands_only_where_it_is_weighed(bundle: Bundle, tmp_path: Path) -> None:
    model = noisy_model(SHAPE, 8, heads=("router", "types")).eval()
    model.load_state_dict(bundle.model.state_dict())
    ids = [tokenizer().special_id(name) for name in ("<|abstain|>", "<|/a|>")]
    with torch.no_grad():
        model.head[ids[0]] = model.head[ids[1]] * 3  # so that some of the questions are answered and others are not
    made, seen = saved_bundle(tmp_path, model, tokenizer()), list[tuple[bool, bool]]()
    for constrain in (False, True) if has_constraints() else (False,):
        chosen = how(constrain=constrain, stop_early=False)
        for alone, both in zip(
            answer_each(made, ASKED[:6], chosen),
            answer_each(made, ASKED[:6], replace(chosen, weighed=True)),
            strict=True,
        ):
            ours, theirs = alone.tries[0].utterance, both.tries[0].utterance
            assert ours.abstain == pytest.approx(theirs.abstain, abs=2e-5)
            assert not theirs.abstained or theirs.log_masses == ours.log_masses, "nothing else was allowed"
            assert ours.abstained == (theirs.declined or theirs.abstained)
            assert ours.abstained or ours.ids == theirs.ids
            kept, hidden = both.standing(0, final=True), both.standing(0)
            assert said(alone)[:1] == said(both)[:1] if kept else alone.standing(0) is None
            seen.append((kept is not None, hidden is not None))
    assert {(True, True), (False, True)} <= set(seen), "the model of this test answers some and hides some"


def test_evidence_that_does_not_fit_is_left_out_whole(bundle: Bundle) -> None:
    long = ("word " * 100,)
    (found,) = answer_each(bundle, [Asked("Who met Ada?", (PASSAGES[0], *long, PASSAGES[1]))], how(stop_early=False))
    assert found.used == (0, 2) and found.passages == (PASSAGES[0], PASSAGES[1])
    assert found.tries[0].attempt.evidence == found.passages
    assert LEAST_ROOM > 0


def test_a_repair_does_what_the_plain_loop_does(bundle: Bundle) -> None:
    seen = set[int]()
    for most in (0, 1, MOST_REPAIRS):
        for found in answer_each(bundle, ASKED[:6], how(most, False, stop_early=False)):
            attempt, last = Attempt(found.types, found.passages or None), None
            for repair, one in enumerate(found.tries, 1):
                last = one
                assert one.attempt == attempt
                refused = one.fault is not None and one.utterance.text is not None and repair <= most
                attempt = next_attempt(one.as_tried(), repair) if refused else None
            assert last is not None and attempt is None, "a try is missing"
            seen.add(len(found.tries))
            holds = last.utterance.text is not None and (last.fault if most else last.problem) is None
            assert found.standing(most) is (last if holds else None)
    assert seen == {1, 2, 3}
    with pytest.raises(ValueError, match="3 repairs"):
        answer_each(bundle, ASKED[:1], how(MOST_REPAIRS + 1))


@given(
    st.lists(st.tuples(st.sampled_from([None, "a"]), st.sampled_from([None, "no"]), st.booleans()), max_size=3),
    st.integers(0, MOST_REPAIRS),
)
def test_what_stands_was_said_and_holds_and_where_repairs_are_on_it_is_not_doubted(
    said: list[tuple[str | None, str | None, bool]], repairs: int
) -> None:
    found = Found(Asked("Who?"))
    for text, problem, doubted in said:
        logits = [-1.0 if doubted and name == "correct" else 1.0 for name in ROUTER_SIGNALS]
        utterance = Utterance(text, finished=True, reading=Reading(9, 2, {"router": logits}))
        found.tries.append(Try(Attempt(("person",)), utterance, "person", problem, None))
    text, problem, doubted = (said[-1] if repairs else said[0]) if said else (None, None, False)
    holds = text is not None and problem is None and not (repairs and doubted)
    assert found.standing(repairs) is ((found.tries[-1] if repairs else found.tries[0]) if holds else None)


def test_the_example_of_the_page_runs(bundle: Bundle) -> None:
    if not has_constraints():
        pytest.skip("pip install 'gnomon[constrain]'")
    page = Path(__file__).parents[3] / "docs" / "answers.md"
    example = page.read_text().split("```python\n")[1].split("```")[0].replace("runs/knowing", str(bundle.run.folder))
    names: dict[str, object] = {}
    exec(example, names)
    found = names["found"]
    assert isinstance(found, Utterance) and found.log_masses and found.log_mass <= 0


EVERY = [
    Seen(*each)
    for each in itertools.product(
        (False, True),
        (None, 0.0, 0.3, 0.9, 1.0),
        (False, True),
        (None, 0.0, 0.5, 0.9),
        (0.1, 0.5, 0.9),
        (None, 0.4, 0.5),
    )
]


def test_every_combination_of_what_is_seen_ends_in_exactly_one_decision() -> None:
    for seen in EVERY:
        well, stands = not seen.ill_posed, seen.confidence is not None
        wanting = seen.sufficient is not None and seen.sufficient < 0.5
        sure = seen.confidence is not None and seen.calibrated and seen.threshold is not None
        sure = sure and (seen.confidence or 0) >= (seen.threshold or 0)
        plainly = stands and not seen.calibrated and not wanting
        none = well and not sure and not plainly
        table = {
            "ill_posed": seen.ill_posed,
            "answer": well and sure,
            "uncertified": well and plainly,
            "insufficient": none and wanting,
            "needs_evidence": none and seen.sufficient is None and seen.retrieve >= 0.5,
            "abstain": none and not wanting and not (seen.sufficient is None and seen.retrieve >= 0.5),
        }
        assert [name for name, holds in table.items() if holds] == [decide(seen)], seen
        assert why(decide(seen), seen, 0.05)
        assert decide(seen) not in GIVEN or stands, "what abstains never has text"


@given(
    st.text("ab A3.5-'’ é", max_size=40), st.text("ab A3.5-'’ é", max_size=40), st.integers(0, 40), st.integers(1, 9)
)
@settings(max_examples=150, deadline=None)
def test_spans_quote_their_passage_exactly(first: str, second: str, start: int, length: int) -> None:
    answer = first[start : start + length].strip()
    found = spans(answer, [second, first])
    for span in found:
        assert (second, first)[span.passage][span.start : span.end] == span.text == answer
    assert {span.passage for span in found} == {i for i, p in enumerate((second, first)) if is_quoted(answer, p)}


def use(seed: int, names: Sequence[str]) -> Use:
    draw = np.random.default_rng(seed)
    every = {name: draw.random(400) for name in names}
    right = draw.random(400) < every[names[0]] ** 0.2
    at, ids = np.arange(400), [f"q{i}" for i in range(400)]
    fitted = fit_calibration(every, right.astype(float), at[:100], at[100:200], ids, ids)
    order = fixed_order(fitted.left_out, ~right[100:200])
    confidence = fitted.calibration.confidence({name: values[200:] for name, values in every.items()})
    return Use(fitted.calibration, order, confidence, ~right[200:])


def test_trust_comes_back_from_its_file_and_certifies_any_risk_as_before(tmp_path: Path) -> None:
    made = {CLOSED: use(0, ["correct", "mean"]), SHOWN: use(1, ["correct", "sufficient"])}
    trust = Trust("w" * 64, Settings(repairs=2), {"questions": 400}, made)
    save_trust(trust, path := tmp_path / "answers.json")
    back = load_trust(path)
    assert back is not None and (back.weights, back.settings, back.measured) == (
        trust.weights,
        trust.settings,
        trust.measured,
    )
    for name, one in made.items():
        again, values = back.uses[name], dict.fromkeys(one.calibration.signals, 0.37)
        assert again.confidence_of(values) == one.confidence_of(values)
        for risk in (0.05, 0.2, 0.4):
            assert back.certificate(name, risk, 0.9) == certify(one.confidence, one.wrong, one.order, risk, 0.9)
    assert any(back.certificate(CLOSED, risk, 0.9).certified for risk in (0.2, 0.4))
    assert load_trust(tmp_path / "none.json") is None
    text = path.read_text()
    for damaged in (text[: len(text) // 2], "[]", "{}", text.replace('"format": 1', '"format": 2')):
        path.write_text(damaged)
        with pytest.raises(IntegrityError):
            load_trust(path)
    said = json.loads(text)
    said["uses"][CLOSED]["order"]["answered"].pop()
    path.write_text(json.dumps(said))
    with pytest.raises(IntegrityError, match="calibration of answers"):
        load_trust(path)


def test_a_calibration_of_other_weights_or_another_way_promises_nothing() -> None:
    trust = Trust("w", Settings(), {}, {CLOSED: use(0, ["correct", "mean"])})
    assert why_not(trust, "w", Settings(stop_early=False), CLOSED) is None
    assert "no calibration" in str(why_not(None, "w", Settings(), CLOSED))
    assert "other weights" in str(why_not(trust, "v", Settings(), CLOSED))
    assert "under constraint" in str(why_not(trust, "w", Settings(constrain=False), CLOSED))
    assert "another way" in str(why_not(trust, "w", Settings(repairs=1), CLOSED))
    for how in (Settings(weighed=True), Settings(recite=False)):
        assert "another way" in str(why_not(trust, "w", how, CLOSED))
    assert "with evidence" in str(why_not(trust, "w", Settings(), SHOWN))


@pytest.mark.parametrize("model", ["bundle", "reciting"])
def test_what_is_said_follows_from_what_was_found(request: pytest.FixtureRequest, model: str) -> None:
    bundle: Bundle = request.getfixturevalue(model)
    terms = Terms(how(constrain=False), None, "")
    for found in answer_each(bundle, ASKED, terms.settings):
        told = result_of(found, terms)
        assert (told["answer"] is not None) == (told["decision"] in GIVEN)
        if found.question is not None and found.router["well_posed"] < ILL_POSED_BELOW:
            assert told["decision"] == "ill_posed"
        recited = found.tries[0].recitation if told["answer"] is not None else None
        if told["answer"] is not None:
            read = found.passages or (recited and [recited.text or ""]) or None
            assert problem_of(told["answer"], told["type"], read) is None
        assert told["recitation"] == (recited and recited.text)
        for span in told["evidence"]:
            assert found.asked.passages[span["passage"]][span["start"] : span["end"]] == told["answer"]
        assert sum(step["milliseconds"] for step in told["trace"]) == pytest.approx(
            sum(found.milliseconds.values()), abs=0.01
        )
        json.dumps(told)


def test_a_model_without_a_router_is_told_to_train_one(tmp_path: Path) -> None:
    kinds: tuple[tuple[HeadKind, ...], ...] = ((), ("types",))
    for heads in kinds:
        made = saved_bundle(tmp_path / "-".join(("run", *heads)), noisy_model(SHAPE, 0, heads=heads), tokenizer())
        with pytest.raises(DataError, match="heads"):
            answer_each(made, [Asked("Who?")], Settings(constrain=False))
