"""Models of SentencePiece, trained by its own library."""

from pathlib import Path
from typing import Any

import pytest

from gnomon.tokenizer.foreign import import_tokenizer
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.world import real_text


def sentencepiece(folder: Path, **options: Any) -> tuple[Any, Tokenizer]:
    """Return a model trained by the library, as it reads it and as we do."""
    library = pytest.importorskip("sentencepiece", reason="pip install sentencepiece")
    folder.mkdir(exist_ok=True)
    (folder / "text").write_text(real_text()[:200_000])
    library.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(folder / "m"), vocab_size=900, minloglevel=2, num_threads=1,
        **options,
    )  # fmt: skip
    return library.SentencePieceProcessor(model_file=str(folder / "m.model")), import_tokenizer(folder / "m.model")
