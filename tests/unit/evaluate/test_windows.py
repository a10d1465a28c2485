"""Windows over long documents: each token once, with enough before it, and the known recipe's numbers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.evaluate.windows import score_windows, windows
from gnomon.model.lm import LanguageModel
from tests.world import noisy_model

MODEL = noisy_model().eval()


def document(tokens: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(seed).integers(1, 512, tokens + 1)
    return ids[:-1], np.append(ids[1:-1], 0)


def by_windows(text: tuple[np.ndarray, np.ndarray], context: int, stride: int) -> np.ndarray:
    return np.concatenate([losses for _, losses in score_windows(MODEL, [text], context, stride)])


def whole(model: LanguageModel, text: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        logits = model.logits(model(torch.from_numpy(text[0])[None]).hidden)[0]
    return F.cross_entropy(logits.double(), torch.from_numpy(text[1]), reduction="none").numpy()


@torch.no_grad()
def transformers_recipe(text: tuple[np.ndarray, np.ndarray], max_length: int, stride: int) -> float:
    """Return the summed loss by the loop of the page "Perplexity of fixed-length models" in transformers' guide."""
    input_ids = torch.tensor([[*text[0], text[1][-1]]])
    seq_len, prev_end_loc, nll_sum = input_ids.size(1), 0, 0.0
    for begin_loc in range(0, seq_len, stride):
        end_loc = min(begin_loc + max_length, seq_len)
        trg_len = end_loc - prev_end_loc
        ids = input_ids[:, begin_loc:end_loc]
        target_ids = ids.clone()
        target_ids[:, :-trg_len] = -100
        logits = MODEL.logits(MODEL(ids).hidden)
        nll_sum += F.cross_entropy(
            logits[0, :-1].double(), target_ids[0, 1:], ignore_index=-100, reduction="sum"
        ).item()
        prev_end_loc = end_loc
        if end_loc == seq_len:
            break
    return nll_sum


@given(tokens=st.integers(1, 400), context=st.integers(1, 64), data=st.data())
def test_each_token_is_scored_once_with_enough_before_it(tokens: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, context))
    scored = []
    for window in windows(tokens, context, stride):
        assert 0 <= window.start <= window.scored < window.stop <= window.start + context
        assert window.start == 0 or window.scored - window.start >= context - stride
        scored += range(window.scored, window.stop)
    assert scored == list(range(tokens))


@settings(max_examples=20)
@given(tokens=st.integers(1, 120), context=st.integers(2, 63), data=st.data())
def test_the_sum_is_that_of_the_recipe_of_transformers(tokens: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(max(1, context // 8), context))
    text = document(tokens)  # that recipe's windows count the last target too: one longer
    assert by_windows(text, context, stride).sum() == pytest.approx(
        transformers_recipe(text, context + 1, stride), rel=1e-5
    )


def test_a_document_that_fits_has_its_full_context_loss_whatever_the_stride() -> None:
    for tokens in (1, 63, 64):
        text = document(tokens)
        for stride in (1, 40, 64):
            np.testing.assert_allclose(by_windows(text, 64, stride), whole(MODEL, text), atol=1e-5)


def test_a_stride_of_the_context_gives_windows_side_by_side() -> None:
    ids, labels = document(150)
    parts = [whole(MODEL, (ids[at : at + 64], labels[at : at + 64])) for at in (0, 64, 128)]
    np.testing.assert_allclose(by_windows((ids, labels), 64, 64), np.concatenate(parts), atol=1e-5)


def test_documents_do_not_see_each_other_and_come_in_order() -> None:
    texts = [document(tokens, seed) for seed, tokens in enumerate((150, 3, 70, 64, 1))]
    found = list(score_windows(MODEL, texts, 64, 16))
    assert [number for number, _ in found] == sorted(number for number, _ in found)
    for i, text in enumerate(texts):
        together = np.concatenate([losses for number, losses in found if number == i])
        np.testing.assert_allclose(together, by_windows(text, 64, 16), atol=1e-5)


@pytest.mark.parametrize("stride", [0, -1, 65])
def test_a_stride_that_would_skip_or_stay_is_refused(stride: int) -> None:
    with pytest.raises(ConfigError, match="stride"):
        list(windows(100, 64, stride))
