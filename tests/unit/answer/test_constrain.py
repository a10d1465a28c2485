"""A mask is what a slow look at every token says; a generation under it is an answer of its type or an abstention."""

import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
import tokenizers
import torch

from gnomon.answer.constrain import Constraint, Constraints, constraints_of
from gnomon.answer.grammar import QUOTED, pattern
from gnomon.answer.session import Session
from gnomon.answer.utterance import Free, Utterance, say
from gnomon.answer.validate import is_quoted, problem_of, type_of
from gnomon.answer.words import chunks
from gnomon.base.errors import ConfigError, DependencyError
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import Reading
from gnomon.taxonomy import ANSWER_TYPES
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.pieces import sentencepiece
from tests.world import TINY, noisy_model

pytest.importorskip("llguidance", reason="pip install 'gnomon[constrain]'")

SAID = [
    "Who? Ada King, in March 1876; 30 days, $5 million, yes. O'Neill's café {x} \"of\" 3.5 km, the 19th century. "
] * 3
HOSTILE = [
    'Ada "the {first}" O\'Neill\\n paid $3.50 (not 5)\nto <|abstain|> Łukasz|x & %regex {"a": 1} of AT&T, B-52; /x/',
    "",
    '\'\'\'"""\\\\"} start: /.*/ // # 東京 is é́tude \ud800 <|/a|><pad> U.S. \x00 \u2028 end',
]


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    """Return a tokenizer of 512 ids: bytes and merges, or whole words."""
    return train_tokenizer(SAID, TINY.vocabulary, "qwen2", kind=kind)


def slow_mask(tokenizer: Tokenizer, ids: list[int], answers: Iterable[str]) -> set[int]:
    """Return the tokens that may follow, found by trying each on each answer."""
    abstain, stop = (tokenizer.special_id(name) for name in ("<|abstain|>", "<|/a|>"))
    if ids and ids[0] == abstain:
        return {stop}
    whole = [form.encode() for answer in answers for form in (answer, " " + answer)]
    before = tokenizer.decode_bytes(ids)
    left = [form[len(before) :] for form in whole if form.startswith(before)]
    allowed = {
        i
        for i, part in enumerate(tokenizer.token_bytes)
        if part and i not in tokenizer.special_ids and any(form.startswith(part) for form in left)
    }
    return allowed | ({abstain} if not ids else set()) | ({stop} if b"" in left else set())


def spans(passages: Sequence[str], type_: str) -> set[str]:
    """Return every span of whole words that looks like the type."""
    of_type = regex.compile(pattern(type_))
    parts = [chunks(part) for passage in passages for part in passage.split("\ud800")]
    every = {"".join(p[a:b]) for p in parts for a in range(len(p)) for b in range(a + 1, len(p) + 1)}
    return {span for span in every if of_type.fullmatch(span)}


def walks(tokenizer: Tokenizer, constraint: Constraint, seed: int, answers: Iterable[str]) -> list[int]:
    """Return the ids of one random walk to its end, each of its masks compared with the slow one."""
    draw = np.random.default_rng(seed)
    ids: list[int] = []
    while True:
        allowed = set(np.flatnonzero(constraint.allowed()).tolist())
        assert allowed == slow_mask(tokenizer, ids, answers)
        assert constraint.may_stop == (tokenizer.special_id("<|/a|>") in allowed)
        token = int(draw.choice(sorted(allowed - {tokenizer.special_id("<|abstain|>")} or allowed)))
        constraint.advance(token)
        if token == tokenizer.special_id("<|/a|>"):
            return ids
        ids.append(token)


@pytest.mark.parametrize("kind", ["bpe", "words"])
@pytest.mark.parametrize("type_", QUOTED)
def test_with_evidence_a_mask_is_every_token_that_leads_to_one_of_its_spans(type_: str, kind: str) -> None:
    tokenizer, answers = tokenizer_of(kind), spans(HOSTILE, type_)
    assert answers
    for seed in range(4):
        constraint = constraints_of(tokenizer).start([type_], evidence=HOSTILE)
        said = tokenizer.decode_bytes(walks(tokenizer, constraint, seed, answers)).decode().strip()
        assert any(is_quoted(said, passage) for passage in HOSTILE)
        assert problem_of(said, type_, HOSTILE) is None


def test_pieces_of_a_sentencepiece_model_are_masked_alike(tmp_path: Path) -> None:
    tokenizer = sentencepiece(tmp_path / "m", model_type="bpe", byte_fallback=True, character_coverage=0.99)[1]
    assert tokenizer.leads_with_space
    for seed in range(3):
        constraint = constraints_of(tokenizer).start(["person"], evidence=HOSTILE)
        walks(tokenizer, constraint, seed, spans(HOSTILE, "person"))


@pytest.mark.parametrize(
    "banned", [["yes"], ["Yes", "yes", "True"], ["no", "No", "yes", "Yes", "true", "True", "False", "false"]]
)
def test_a_banned_answer_has_no_mask_that_leads_to_it(banned: list[str]) -> None:
    tokenizer = tokenizer_of("bpe")
    left = {"Yes", "yes", "No", "no", "True", "true", "False", "false"} - set(banned)
    for seed in range(3):
        constraint = constraints_of(tokenizer).start(["boolean"], banned=[f" {word} " for word in banned])
        said = tokenizer.decode_bytes(walks(tokenizer, constraint, seed, left)).decode().strip()
        assert said in (left or {""}), "where all are banned, nothing but abstaining is left, which is no text"


def test_a_banned_answer_of_hostile_letters_is_only_itself() -> None:
    tokenizer = tokenizer_of("bpe")
    for banned in (HOSTILE[0].split("\n")[0], 'x" | /.*/ | "', "<|abstain|>", "a\\"):
        start = constraints_of(tokenizer).start(["reason"], banned=["", banned])
        for token in tokenizer.encode("Ada, of course"):
            start.advance(token)
        assert start.may_stop


@pytest.mark.parametrize("type_", ["date", "number", "person", "money", "code"])
def test_a_mask_is_every_token_after_which_the_pattern_can_still_match(type_: str) -> None:
    tokenizer, draw = tokenizer_of("bpe"), np.random.default_rng(1)
    whole = regex.compile(f" ?({pattern(type_)})")
    constraint = constraints_of(tokenizer).start([type_])
    ids: list[int] = []
    for _ in range(12):
        mask, before = constraint.allowed(), tokenizer.decode_bytes(ids)
        for token, part in enumerate(tokenizer.token_bytes):
            try:
                text = (before + part).decode()
            except UnicodeDecodeError:
                continue  # a part of a character
            if token not in tokenizer.special_ids:
                assert mask[token] == (whole.fullmatch(text, partial=True) is not None), text
        assert mask[constraints_of(tokenizer).stop] == (whole.fullmatch(before.decode()) is not None)
        plain = [
            i for i in np.flatnonzero(mask) if i not in tokenizer.special_ids and tokenizer.token_bytes[i].isascii()
        ]
        if not plain:
            return
        ids.append(int(draw.choice(plain)))
        constraint.advance(ids[-1])


@pytest.mark.parametrize("evidence", [None, [], HOSTILE], ids=["none", "empty", "hostile"])
def test_an_abstention_is_open_to_every_type_and_nothing_but_the_stop_follows_it(evidence: list[str] | None) -> None:
    every = constraints_of(tokenizer_of("bpe"))
    for types in [[], *([type_] for type_ in ANSWER_TYPES), ANSWER_TYPES]:
        constraint = every.start(types, evidence=evidence, banned=["yes", "Ada"])
        assert constraint.allowed()[every.abstain] and not constraint.may_stop
        constraint.advance(every.abstain)
        assert np.flatnonzero(constraint.allowed()).tolist() == [every.stop] and constraint.may_stop
        with pytest.raises(ValueError, match="was not allowed"):
            constraint.advance(every.abstain)


class Drawing(Session):
    """A session in which the likeliest token is one drawn at a temperature, each row by noise of its own."""

    def __init__(self, model: LanguageModel, seeds: Sequence[int], temperature: float) -> None:
        super().__init__(model, {}, len(seeds), 120)
        self._draws, self._temperature = [np.random.default_rng(seed) for seed in seeds], temperature

    def read(self, pieces: Sequence[Sequence[int]]) -> list[list[Reading]]:
        found = super().read(pieces)
        for row, piece in enumerate(pieces):
            if piece:
                noise = self._draws[row].gumbel(size=self.scores_BV.shape[1]).astype(np.float32)
                self.scores_BV[row] = self.scores_BV[row] / self._temperature + torch.from_numpy(noise)
        return found


def said(
    model: LanguageModel,
    prompts: Sequence[list[int]],
    constraints: Sequence[Constraint | None],
    room: int = 96,
    session: Session | None = None,
) -> list[Utterance]:
    """Return what follows each prompt and `<|a|>`, of which there is one where there is a constraint."""
    session = session or Session(model, {}, len(prompts), 120)
    session.read(prompts)
    every = say(session, tokenizer_of("bpe"), constraints, [room] * len(prompts))
    assert [one is None for one in every] == [one is None for one in constraints]
    return [one for one in every if one is not None]


@pytest.mark.parametrize("evidence", [None, HOSTILE], ids=["free", "quoted"])
def test_whatever_a_model_of_random_weights_says_is_an_answer_or_an_abstention(evidence: list[str] | None) -> None:
    tokenizer = tokenizer_of("bpe")
    every, first = constraints_of(tokenizer), tokenizer.special_id("<|q|>")
    types = [[type_] for type_ in ANSWER_TYPES] * 2 + [list(ANSWER_TYPES[at : at + 3]) for at in range(16)]
    prompts, whole = [[first, 5 + row] for row in range(len(types))], 0
    for seed in range(2):
        model = noisy_model(TINY, seed)
        session = Drawing(model, [100 * seed + row for row in range(len(types))], 1.5)
        constraints = [every.start(some, evidence=evidence) for some in types]
        for some, found in zip(types, said(model, prompts, constraints, 24, session), strict=True):
            assert found.log_mass <= 0
            assert found.finished or found.text is None
            if found.text is not None:
                whole += 1
                assert found.text == tokenizer.decode_bytes(found.ids).decode().strip(), "no part of a character"
                assert type_of(found.text, some, evidence), (some, found.text)
    assert whole > 30  # of 104; most others, of random letters, do not come to an end


def test_a_batch_under_constraints_says_what_its_prompts_say_alone() -> None:
    every, model = constraints_of(tokenizer_of("bpe")), noisy_model()
    prompts, types = [[1, 2, 3, 4], [7], [9, 10]], ["date", "money", "boolean"]
    together = said(model, prompts, [every.start([t]) for t in types], session=Drawing(model, range(3), 1.0))
    for row, (prompt, type_, found) in enumerate(zip(prompts, types, together, strict=True)):
        (alone,) = said(model, [prompt], [every.start([type_])], session=Drawing(model, [row], 1.0))
        assert (alone.text, alone.ids, alone.finished) == (found.text, found.ids, found.finished)
        assert alone.log_masses == pytest.approx(found.log_masses, abs=1e-4)


@pytest.mark.parametrize("free", [False, True])
def test_the_allowed_mass_is_what_the_model_itself_gave_to_the_allowed_tokens(free: bool) -> None:
    tokenizer, model = tokenizer_of("bpe"), noisy_model()
    every, prompt = constraints_of(tokenizer), [3, 4, 5]

    def fresh() -> Constraint:
        return Free(tokenizer, TINY.vocabulary) if free else every.start(["count"])

    (found,) = said(model, [prompt], [fresh()], room=12)
    constraint, ids = fresh(), [*prompt, tokenizer.special_id("<|a|>")]
    opening = model.logits(model(torch.tensor([ids])).hidden[0, -1]).log_softmax(0).detach()
    assert found.abstain == pytest.approx(float(opening[every.abstain]), abs=1e-4)
    for mass in found.log_masses:
        chances = model.logits(model(torch.tensor([ids])).hidden[0, -1]).softmax(0).detach()
        known = torch.from_numpy(constraint.allowed())
        allowed = torch.cat([known, torch.zeros(len(chances) - len(known), dtype=torch.bool)])  # ids without a token
        assert mass == pytest.approx(float(chances[allowed].sum().log()), abs=1e-4)
        ids.append(int(chances.where(allowed, 0).argmax()))
        constraint.advance(ids[-1])
    assert found.finished == (not free) == (ids[-1] == every.stop)
    assert found.ids == ids[4:] if free else [*found.ids, every.stop] == ids[4:]


def test_an_answer_that_is_cut_off_is_none() -> None:
    (found,) = said(noisy_model(), [[1]], [constraints_of(tokenizer_of("bpe")).start(["reason"])], room=3)
    assert not found.finished and found.text is None and len(found.log_masses) == 3


def test_a_row_without_a_constraint_says_nothing_and_changes_nothing() -> None:
    model, every = noisy_model(), constraints_of(tokenizer_of("bpe"))
    session = Session(model, {}, 2, 120)
    (found,) = said(model, [[1, 2], [3]], [None, every.start(["reason"])], 12, session)
    assert session.place.lengths == (2, 1 + 1 + 12)
    assert found.ids == said(model, [[3]], [every.start(["reason"])], 12)[0].ids
    assert torch.allclose(session.scores_BV[0], model.logits(model(torch.tensor([[1, 2]])).hidden[0, -1]), atol=1e-4)


def test_without_a_constraint_only_text_is_said_and_an_answer_may_stop_or_abstain() -> None:
    tokenizer, model = tokenizer_of("bpe"), noisy_model()
    abstain, stop = (tokenizer.special_id(name) for name in ("<|abstain|>", "<|/a|>"))
    text = {i for i in range(tokenizer.tokens) if i not in tokenizer.special_ids}
    free = Free(tokenizer, TINY.vocabulary)
    assert set(np.flatnonzero(free.allowed()).tolist()) == text | {abstain} and not free.may_stop
    free.advance(min(text))
    assert set(np.flatnonzero(free.allowed()).tolist()) == text | {stop} and free.may_stop
    prompts, open_ = [[row] for row in range(1, 30)], [Free(tokenizer, TINY.vocabulary) for _ in range(29)]
    for found in said(model, prompts, open_, 12, Drawing(model, range(29), 1.5)):
        assert set(found.ids) <= text or found.ids == [abstain]
        assert found.abstained == (found.ids == [abstain]) and (found.text is not None) <= found.finished


def test_ids_that_no_text_has_are_never_allowed() -> None:
    tokenizer = train_tokenizer(["a"], 400, "qwen2")
    assert tokenizer.tokens < tokenizer.vocabulary
    allowed = constraints_of(tokenizer).start(["reason"]).allowed()
    assert len(allowed) == tokenizer.vocabulary and not allowed[tokenizer.tokens :].any()


def test_it_is_made_once_for_a_tokenizer() -> None:
    assert constraints_of(tokenizer_of("bpe")) is constraints_of(tokenizer_of("bpe"))


def test_without_the_library_the_error_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = PathFinder.find_spec

    def hidden(name: str, *rest: Any) -> Any:
        return None if name == "llguidance" else found(name, *rest)

    monkeypatch.delitem(sys.modules, "llguidance")
    monkeypatch.setattr(PathFinder, "find_spec", hidden)
    with pytest.raises(DependencyError) as error:
        Constraints(tokenizer_of("bpe"))
    assert error.value.do is not None and "gnomon[constrain]" in error.value.do


def test_a_tokenizer_that_cannot_abstain_is_refused_by_name() -> None:
    tokenizer = train_tokenizer(["a"], 400, "qwen2")
    text = tokenizer.to_json().replace("<|abstain|>", "<|abstains|>")
    with pytest.raises(ConfigError, match="abstain"):
        Constraints(Tokenizer(tokenizers.Tokenizer.from_str(text)))
