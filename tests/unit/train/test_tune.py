"""A model learns from questions with all its weights: not from what is held out; and goes on saying what it said."""

from dataclasses import replace

import numpy as np
import torch

from gnomon.base.progress import silent
from gnomon.data.streaming.rows import Rows
from gnomon.model.attention import Segments
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import next_token_loss
from gnomon.model.reading import read_each
from gnomon.store.labels import FINE, ROUTER
from gnomon.taxonomy import FINE_TYPES
from gnomon.train.refit import Learned, with_heads
from gnomon.train.tune import Course, tune
from tests.unit.train.test_refit import KINDS, asked
from tests.world import TINY, noisy_model, packed_rows

QUICK = Course(rate=1e-2, rows=16, epochs=3, language=1.0)
TEXT = packed_rows([[30, 34], [64]], 64)


def tuned(
    model: LanguageModel,
    texts: list[list[int]],
    known: np.ndarray,
    had: tuple[str, ...] = (),
    course: Course = QUICK,
    rows: Rows | None = None,
) -> Learned:
    held_out = np.arange(len(texts)) % 4 == 0
    given = None if rows is None else lambda _: rows
    return tune(model, texts, known, held_out, KINDS, had, course, silent, given)[0]  # pyright: ignore[reportArgumentType]


def trunk(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if not name.startswith("heads.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_planted_types_are_learned_by_all_weights_the_same_each_time_and_not_from_what_is_held_out() -> None:
    texts, known = asked(160, 1)
    held_out, other = np.arange(160) % 4 == 0, known.copy()
    for i in np.flatnonzero(held_out)[:4]:
        other[i, FINE] = np.roll(known[i, FINE], 1)
    other_texts = [[*text[:4], 7 + i % 90, *text[4:]] if held_out[i] else text for i, text in enumerate(texts)]
    bare = noisy_model().eval()
    before, (model, again) = trunk(bare), (with_heads(bare, ["types"], 1) for _ in range(2))
    learned = tuned(model, texts, known)
    assert tuned(again, other_texts, other).epoch == learned.epoch == QUICK.epochs
    assert same(trunk(model), trunk(again))
    assert same(before, trunk(bare)), "the model that it comes from stays"
    still = {name for name, tensor in before.items() if torch.equal(tensor, trunk(model)[name])}
    assert still == {"norm.weight"}, "no head reads behind the last norm"
    assert learned.loss < 0.5 * learned.loss_before
    new, known = asked(80, 2)
    said = [max(one[0].fine, key=one[0].fine.__getitem__) for one in read_each(model, new, KINDS)]
    assert np.mean([FINE_TYPES.index(name) == row[FINE].argmax() for name, row in zip(said, known, strict=True)]) > 0.9


def numbers(model: LanguageModel, texts: list[list[int]]) -> np.ndarray:
    """Return what a router says behind each question and where its answer begins."""
    return np.array([[p for mark in one for p in mark.router.values()] for one in read_each(model, texts, KINDS)])


def test_a_router_of_which_nothing_is_known_goes_on_saying_what_it_said() -> None:
    model = with_heads(noisy_model(TINY, 5, heads=["router", "types"]).eval(), ["router", "types"], 1)
    texts, known = asked(160, 4)
    said = [numbers(model, texts)]
    tuned(model, texts, known, ("router", "types"), replace(QUICK, rate=1e-2))
    said.append(numbers(model, texts))
    assert np.isnan(known[:, ROUTER]).all() and said[0].mean(0).std() > 0.02
    assert np.abs(said[0].mean(0) - said[1].mean(0)).max() < 0.012 and np.abs(said[0] - said[1]).mean() < 0.03


def test_rows_of_text_keep_the_language() -> None:
    losses = []
    for rows in (None, TEXT):
        model = with_heads(noisy_model().eval(), ["types"], 1)
        tuned(model, *asked(80, 1), rows=rows)
        with torch.no_grad():
            hidden = model(TEXT.tokens, TEXT.positions, Segments(TEXT.buckets, TEXT.inverse)).hidden
        losses.append(float(next_token_loss(hidden, model.head.detach(), TEXT.labels)[0]) / TEXT.loss_tokens)
    assert losses[1] < 0.8 * losses[0]


def test_where_nothing_better_is_found_the_model_is_as_it_was() -> None:
    model = with_heads(noisy_model(heads=["types"]).eval(), ["types"], 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learned = tuned(model, *asked(60, 5), ("types",), replace(QUICK, rate=30.0, epochs=1))
    assert learned.epoch == 0 and learned.loss == learned.loss_before
    assert same(before, model.state_dict())


def test_a_teacher_s_labels_never_make_types_surer() -> None:
    texts, known = asked(240, 1)
    soft = known.copy()
    soft[1::4, FINE] *= 0.9
    scales = []
    for labels in (known, soft):
        model = with_heads(noisy_model().eval(), ["types"], 1)
        scales.append(tuned(model, texts, labels, course=replace(QUICK, epochs=1)).scales["fine"])
    assert scales[1] <= 1.0 < scales[0]
