"""What heads say is read from the pass that reads the text anyway, one text or many, whole or in parts."""

import pytest
import torch

from gnomon.model.cache import Cache
from gnomon.model.reading import read, read_each
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES
from tests.world import TINY, noisy_model

KINDS = {5: 0, 6: 1, 7: 2}
TEXT = [1, 90, 91, 5, 92, 93, 94, 6, 95, 7]


def test_a_text_read_in_parts_is_read_as_in_one_pass_and_says_what_comes_next() -> None:
    model = noisy_model(heads=["router", "types"]).eval()
    hidden, whole = read(model, TEXT, KINDS)
    assert [(r.place, r.kind) for r in whole] == [(3, 0), (7, 1), (9, 2)]
    with torch.no_grad():
        assert torch.equal(hidden, model(torch.tensor([TEXT])).hidden[0])
    cache = Cache(1, len(TEXT), TINY, model.head)
    parts = [reading for part in (TEXT[:4], TEXT[4:9], TEXT[9:]) for reading in read(model, part, KINDS, cache)[1]]
    assert [(r.place, r.kind) for r in parts] == [(r.place, r.kind) for r in whole]
    for one, other in zip(parts, whole, strict=True):
        for name, logits in other.logits.items():
            assert one.logits[name] == pytest.approx(logits, abs=1e-5)


def test_many_texts_are_read_as_each_alone() -> None:
    model = noisy_model(heads=["router", "types"]).eval()
    texts = [TEXT, TEXT[:4], [1, 2, 3], TEXT[2:8]]
    for alone, together in zip(
        (read(model, text, KINDS)[1] for text in texts), read_each(model, texts, KINDS), strict=True
    ):
        assert [r.place for r in alone] == [r.place for r in together]
        for one, other in zip(alone, together, strict=True):
            assert one.logits["fine"] == pytest.approx(other.logits["fine"], abs=1e-5)


def test_each_mark_says_what_is_read_there_and_no_more() -> None:
    question, evidence, answer = read(noisy_model(heads=["router", "types"]).eval(), TEXT, KINDS)[1]
    assert list(question.router) == ["well_posed", "known", "retrieve"]
    assert (list(evidence.router), list(answer.router)) == (["sufficient"], ["correct"])
    assert tuple(question.coarse) == ANSWER_TYPES and tuple(question.fine) == FINE_TYPES
    assert sum(question.fine.values()) == pytest.approx(1, abs=1e-5)
    assert evidence.coarse == evidence.fine == answer.coarse == {}
    alone = read(noisy_model(heads=["types"]).eval(), TEXT, KINDS)[1][0]
    assert alone.router == {} and alone.coarse
