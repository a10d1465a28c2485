"""Parity holds on a sound model however text is batched, and finds each way in which batching can go wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnomon.base.progress import Progress
from gnomon.data.shards import write_shard
from gnomon.data.streaming import source as source_module
from gnomon.data.streaming.stream import rows_of
from gnomon.evaluate import loss as loss_module
from gnomon.evaluate import parity as parity_module
from gnomon.evaluate.loss import Score, joined
from gnomon.evaluate.parity import parity
from gnomon.model import attention as attention_module
from gnomon.model.lm import LanguageModel
from gnomon.store.datasets import Split
from tests.world import EACH_BLOCK, TINY, noisy_model

LENGTHS = [200, 3, 64, 65, 1, 40, 30, 17, 90, 12, 5, 33, 8, 8, 50, 128]  # the context is 64


def written(folder: Path, lengths: list[int], seed: int = 0) -> Split:
    """Return a split of random documents; 0 is end-of-text."""
    ids = np.random.default_rng(seed).integers(1, TINY.vocabulary, sum(lengths)).astype(np.uint16)
    ids[np.cumsum([0, *lengths[:-1]])] = 0
    folder.mkdir()
    entry = write_shard(folder, 0, ids, lengths, [b'{"id": "%d", "bytes": 1}\n' % i for i in range(len(lengths))])
    counts = {"documents": len(lengths), "tokens": sum(lengths), "bytes": 3 * sum(lengths)}
    return Split(folder, {**counts, "protected": True, "shards": [{**entry, **counts, "source": "a"}]}, 0)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return written(tmp_path_factory.mktemp("parity") / "text", LENGTHS)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return noisy_model().eval()


@pytest.mark.parametrize("shape", EACH_BLOCK, ids=lambda shape: shape.block)
def test_the_loss_does_not_depend_on_how_text_is_batched(split: Split, shape: Any) -> None:
    found = parity(noisy_model(shape).eval(), split, sources={"a": split, "b": split})
    assert found.broken == []
    assert found.tokens == sum(LENGTHS) and found.documents == len(LENGTHS) and found.cut >= 4
    assert max(abs(v.difference) for v in found.variants) < 5e-6
    names = " ".join(v.name for v in found.variants)
    for part in ("8 rows at once", "3 processes", "by number", "padded", "worst token", "several pieces", "perplexity"):
        assert part in names
    assert sorted(found.sources) == ["a", "b"] and found.sources["a"].tokens == sum(LENGTHS)


def test_the_reference_is_the_formula_over_pieces_by_hand(tmp_path: Path, model: LanguageModel) -> None:
    split = written(tmp_path / "text", [64, 20])  # neither is cut
    nats = 0.0
    with torch.no_grad():
        for document in range(2):
            ids = torch.from_numpy(split.tokens(document).astype(np.int64))
            logits = model.logits(model(ids[None]).hidden)[0].double()
            following = torch.cat([ids[1:], torch.tensor([0])])
            nats -= logits.log_softmax(-1)[torch.arange(len(ids)), following].sum().item()
    found = parity(model, split)
    assert found.loss == pytest.approx(nats / 84, abs=1e-7)
    assert found.perplexity == pytest.approx(np.exp(nats / 84), rel=1e-6)
    assert found.bits_per_byte == pytest.approx(nats / np.log(2) / (3 * 84), abs=1e-7)
    assert found.cut == 0


def test_of_a_long_text_as_many_rows_are_taken_for_every_way_to_batch(tmp_path: Path, model: LanguageModel) -> None:
    split = written(tmp_path / "text", [64] * 50 + [7] * 10)
    found = parity(model, split, most_tokens=64 * 30)
    assert (found.tokens, found.broken) == (64 * 24, [])
    assert {v.tokens for v in found.variants} == {1, 64 * 24}


def test_a_split_of_several_windows_is_taken_whole(
    split: Split, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (parity_module, source_module):
        monkeypatch.setattr(module, "WINDOW_DOCUMENTS", 5)
    found = parity(model, split)
    assert (found.tokens, found.broken) == (sum(LENGTHS), [])


def test_of_a_text_that_begins_with_long_documents_rows_of_several_pieces_are_taken_too(
    tmp_path: Path, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = written(tmp_path / "text", [64 * 30, 64 * 40, *[7, 9, 50, 3] * 20])
    found = parity(model, split, most_tokens=64 * 24)
    assert (found.broken, found.tokens) == ([], sum(v.tokens for v in found.variants[:1])) and found.pieces > 40
    assert any("several pieces" in v.name for v in found.variants)
    monkeypatch.setattr(attention_module, "_by_segment", leaky)
    assert parity(model, split, most_tokens=64 * 24).broken


def leaky(q: Any, k: Any, v: Any, segments: Any) -> Any:
    return attention_module.attend(q, k, v, None)


def unweighted(shares: list[list[tuple[float, int]]], bytes_per_token: float) -> Score:
    whole = joined(shares, bytes_per_token)
    means = [sum(n for n, _ in share) / sum(t for _, t in share) for share in shares]
    return replace(whole, loss=sum(means) / len(means))


def one_row_less(*args: Any) -> Iterator[Any]:
    yield from islice(rows_of(*args), 1, None)


def wrong_target_at_a_cut(*args: Any) -> Iterator[Any]:
    for rows in rows_of(*args):
        labels = rows.labels.clone()
        last = torch.ones_like(labels, dtype=torch.bool)
        last[:, :-1] = rows.segments[:, 1:] != rows.segments[:, :-1]
        labels[last & (labels != -100)] = 0  # end-of-text, whether or not the document goes on
        yield replace(rows, labels=labels)


@pytest.mark.parametrize(
    ("module", "name", "fault", "silent"),
    [
        (attention_module, "_by_segment", leaky, ["by number", "padded"]),
        (parity_module, "joined", unweighted, ["1 row at once", "by number", "float64"]),
        (parity_module, "rows_of", one_row_less, ["a piece a row"]),
        (parity_module, "rows_of", wrong_target_at_a_cut, ["a piece a row"]),
        (loss_module, "next_token_loss", lambda *_: (torch.tensor(torch.nan), 0), ["by number", "float64"]),
    ],
    ids=["documents that see each other", "ranks unweighted", "a row lost", "a target lost", "not a number"],
)
def test_what_is_wrong_with_batching_is_found_and_named(
    split: Split,
    model: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    fault: Callable[..., Any],
    silent: list[str],
) -> None:
    monkeypatch.setattr(module, name, fault)
    broken = {variant.name for variant in parity(model, split).broken}
    assert broken
    assert not [b for b in broken if any(part in b for part in silent)], "only what goes through the fault is named"


def test_progress_goes_over_all_the_passes_and_ends_where_it_said_it_would(
    tmp_path: Path, split: Split, model: LanguageModel
) -> None:
    several = {"a": split, "b": written(tmp_path / "b", [64] * 10)}
    for most in (None, 800):
        said: list[tuple[int, int | None]] = []
        found = parity(model, split, sources=several, most_tokens=most, progress=kept_in(said))
        assert (found.all_tokens, found.all_documents) == (sum(LENGTHS), len(LENGTHS))
        done, totals = [so_far for so_far, _ in said], {total for _, total in said}
        assert totals == {done[-1]} and done == sorted(set(done)) and len(done) > 20


def kept_in(said: list[tuple[int, int | None]]) -> Progress:
    """Return a progress that keeps what it is told."""

    def told(stage: str, done: int, total: int | None, unit: str) -> None:
        said.append((done, total))

    return told
