"""A model that has read real text, so that its logits are peaked and its tokenizer's merges are real."""

from collections.abc import Iterator

import pytest
import torch

from gnomon.bundle import Bundle
from gnomon.presets import Shape
from gnomon.tokenizer.train import train_tokenizer
from tests.world import reader_of, real_text, saved_bundle

READER = Shape(
    vocabulary=1088, width=64, layers=3, heads=4, kv_heads=2, head_width=32, feed_forward=160, context=128,
    rope_theta=50_000.0,
)  # fmt: skip
NEOX_READER = Shape(
    vocabulary=1088, width=96, layers=3, heads=3, kv_heads=3, head_width=32, feed_forward=384, context=128,
    rope_theta=50_000.0, block="gpt-neox",
)  # fmt: skip
"""Small, and with no two sizes equal that a wrong export could mistake for one another; 64 and more ids stay unused."""


EXCERPT = slice(20_000, 32_000)
"""What it reads of the text."""


@pytest.fixture(scope="session", params=[READER, NEOX_READER], ids=lambda shape: shape.block)
def reader(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Bundle]:
    """A bundle read from disk, trained here in seconds; one thread, so that it is the same model everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    text = real_text()
    tokenizer = train_tokenizer(text.split("\n\n"), 1024, "qwen2")
    model = reader_of(text[EXCERPT], tokenizer, request.param, steps=150)
    yield saved_bundle(tmp_path_factory.mktemp("run") / "reader", model, tokenizer)
    torch.set_num_threads(threads)
