"""A model with loops from text to text: trained, resumed bit for bit, scored, continued, and not exported."""

from pathlib import Path

import pytest

from gnomon.api import export_run
from gnomon.base.errors import ConfigError
from gnomon.bundle import continue_text, load_bundle
from gnomon.config import make_config
from gnomon.events.types import DepthMeasured
from gnomon.model.generate import Sampling
from gnomon.observe.console import Console
from gnomon.pipeline import finish
from gnomon.plan import shape_of
from gnomon.train.loop import run as train_loop
from gnomon.train.rollback import restore
from tests.integration.test_exact import stop_at
from tests.unit.train.test_act import assert_equal
from tests.world import Started, start

MODEL = {"layers": 4, "loops": 3, "positions": "learned"}
OPTIONS = {"budget": "6K tokens", "batch_tokens": 512, "micro_rows": 2, "save_every": 2, "validate_every": 4}


def pieces(folder: Path, stops: set[int]) -> Started:
    """Train to the end, in a new state after each stop, and return the last piece."""
    while True:
        one = start(folder, model=MODEL, **OPTIONS)
        restore(one.state, one.hands)
        stop = train_loop(one.state, [stop_at(stops), *one.checks()], one.hands)
        one.close()
        if stop.reason == "finished":
            return one


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Started:
    return pieces(tmp_path_factory.mktemp("whole"), set())


def test_stopped_here_and_there_it_ends_with_the_same_bits_noise_included(tmp_path: Path, whole: Started) -> None:
    assert whole.config.adaptive.noise > 0
    assert_equal(pieces(tmp_path, {3, 8}).state, whole.state)


def test_its_loops_are_measured_beside_the_validation(whole: Started) -> None:
    told = whole.events(DepthMeasured)
    assert [event.step for event in told] == [4, 8, 12]
    assert all(1 <= event.mean <= 3 and event.deviation >= 0 and -1 <= event.rank <= 1 for event in told)


def test_a_finished_run_is_scored_and_continued_and_says_why_it_is_not_exported(whole: Started) -> None:
    whole.run.settle_config(whole.config.model_dump(mode="json"), {})
    result = finish(whole.run, whole.config, whole.dataset, Console(quiet=True))
    assert result["exports"] == [] and "up to 3 times" in result["not_exported"]
    assert result["val_loss"] < 6.3 and Path(result["report"]).exists()
    bundle = load_bundle(whole.run.folder)
    text = "".join(continue_text(bundle.model, bundle.tokenizer, "The lamp", 90, Sampling()))
    assert text
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
