"""A model with loops and heads from text to text: trained, resumed bit for bit, scored, continued, read, and not
exported.
"""

from pathlib import Path

import pytest

from gnomon.api import export_run
from gnomon.base.errors import ConfigError
from gnomon.bundle import continue_text, load_bundle, mark_kinds
from gnomon.config import make_config
from gnomon.events.types import DepthMeasured, StepDone
from gnomon.model.generate import Sampling
from gnomon.model.reading import read
from gnomon.observe.console import Console
from gnomon.pipeline import finish
from gnomon.plan import shape_of
from gnomon.taxonomy import ANSWER_TYPES, HEAD_LOSSES
from tests.stops import in_pieces
from tests.unit.train.test_act import assert_equal
from tests.world import Started, start

MODEL = {"layers": 4, "loops": 3, "positions": "learned"}
HEADS = {"router": True, "types": True, "detached_share": 0.3}
OPTIONS = {"budget": "6K tokens", "batch_tokens": 512, "micro_rows": 2, "save_every": 2, "validate_every": 4}


def pieces(folder: Path, stops: set[int]) -> Started:
    """Train to the end, in a new state after each stop, and return the last piece."""
    return in_pieces(lambda: start(folder, model=MODEL, heads=HEADS, **OPTIONS), stops)[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Started:
    return pieces(tmp_path_factory.mktemp("whole"), set())


def test_stopped_here_and_there_it_ends_with_the_same_bits_noise_included(tmp_path: Path, whole: Started) -> None:
    assert whole.config.adaptive.noise > 0
    one = pieces(tmp_path, {3, 8})
    assert_equal(one.state, whole.state)
    assert one.state.budget and whole.state.budget and float(one.state.budget.share(one.state.done) or 0) > 0
    assert one.state.budget.tensors() == whole.state.budget.tensors()


def test_its_loops_are_measured_beside_the_validation(whole: Started) -> None:
    told = whole.events(DepthMeasured)
    assert [event.step for event in told] == [4, 8, 12]
    assert all(1 <= event.mean <= 3 and event.deviation >= 0 and -1 <= event.rank <= 1 for event in told)


def test_its_heads_learn(whole: Started) -> None:
    told = [event.heads for event in whole.events(StepDone) if event.heads]
    assert all(heads.keys() == set(HEAD_LOSSES) for heads in told)
    assert told[-1]["coarse"] < 0.95 * told[0]["coarse"]


def test_a_finished_run_is_scored_and_continued_and_says_why_it_is_not_exported(whole: Started) -> None:
    whole.run.settle_config(whole.config.model_dump(mode="json"), {})
    result = finish(whole.run, whole.config, whole.dataset, Console(quiet=True))
    assert result["exports"] == [] and "up to 3 times" in result["not_exported"]
    assert result["val_loss"] < 6.3 and Path(result["report"]).exists()
    bundle = load_bundle(whole.run.folder)
    text = "".join(continue_text(bundle.model, bundle.tokenizer, "The lamp", 90, Sampling()))
    assert text
    (said,) = read(
        bundle.model, bundle.tokenizer.encode("Where is the key?<|/q|>", specials=True), mark_kinds(bundle.tokenizer)
    )[1]
    assert said.place > 3 and list(said.coarse) == list(ANSWER_TYPES) and 0 < said.router["known"] < 1
    long = "The lamp stood on the table by the window. " * 20  # of which the end is read
    assert list(continue_text(bundle.model, bundle.tokenizer, long, 5, Sampling()))
    for gguf, hf in ((["f16"], False), ([], True)):
        with pytest.raises(ConfigError, match="neither GGUF nor"):
            export_run(whole.run.folder, gguf=gguf, hf=hf)


def test_what_loops_do_not_go_with_is_refused_before_anything_begins() -> None:
    for model, other, why in (
        ({"loops": 2}, {"train": {"compile": True}}, "no compiled kernels"),
        ({"positions": "learned"}, {"train": {"sharding": "full"}}, "sharding=full"),
        ({"loops": 3}, {"adaptive": {"budget": 3}}, "there are 3 loops"),
        ({"loops": 3, "layers": 2}, {}, "none between the first and the last"),
    ):
        with pytest.raises(ConfigError, match=why):
            shape_of(make_config({"data": "nowhere", "size": "5M", "model": model, **other}))
