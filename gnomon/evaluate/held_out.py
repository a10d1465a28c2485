"""Held-out text of a model, its validation split or a file's, and what `gnomon eval` finds in it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import Progress, silent
from gnomon.bundle import Bundle
from gnomon.data.document import Removed
from gnomon.data.reading.read import find_sources, read_documents
from gnomon.data.reading.unread import said_of_unread
from gnomon.data.shards import SplitWriter
from gnomon.data.streaming.stream import rows_of
from gnomon.evaluate.delta import Delta, delta
from gnomon.evaluate.loss import Score, score
from gnomon.evaluate.parity import MOST_TOKENS, Parity, parity
from gnomon.evaluate.windows import document_losses
from gnomon.store.datasets import Dataset, Split, open_dataset
from gnomon.tokenizer.tokenizer import Tokenizer

log = logging.getLogger(__name__)


def score_file(bundle: Bundle, path: Path) -> Score:
    """Return the score of a model on the text of a file or folder. Raises DataError when there is none to be used."""
    with split_of(bundle.tokenizer, path) as split:
        rows = rows_of(split, bundle.shape.context, 8, None)
        return score(bundle.model, rows, bytes_per_token=split.bytes / split.n_tokens)


def score_by_windows(bundle: Bundle, path: Path | None, stride: int, progress: Progress = silent) -> Score:
    """Return the score of a model on a text (None: its validation split) by windows `stride` tokens apart."""
    with _held_out(bundle, path) as split:
        found = document_losses(bundle.model, split, bundle.shape.context, stride, progress)
        return Score(found.loss, split.bearing, split.bytes * split.bearing / split.n_tokens)


def compare_texts(
    bundle: Bundle, a: Path | None, b: Path, stride: int | None = None, progress: Progress = silent
) -> Delta:
    """Return how much the loss on `b` differs from that on `a` (None: the validation split), document by document.

    By windows, side by side unless `stride` says otherwise: packing would cut a document where others leave it room,
    and so let it depend on them.
    """
    found = []
    for path in (a, b):
        with _held_out(bundle, path) as split:
            context = bundle.shape.context
            found.append(document_losses(bundle.model, split, context, stride or context, progress))
    return delta(found[0], found[1])


def prove_parity(
    bundle: Bundle, path: Path | None, most_tokens: int | None = MOST_TOKENS, progress: Progress = silent
) -> Parity:
    """Return how ways to batch compare on a text (None: the validation split, and each source in it), or on about its
    first `most_tokens` (None: all).
    """
    sources = _dataset_of(bundle).sources("validation") if path is None else {}
    with _held_out(bundle, path) as split:
        if split.masked:
            do = "name plain text with --data"
            raise ConfigError("some of this text bears no loss, and a proof of parity is of text that all does", do=do)
        return parity(bundle.model, split, sources=sources, most_tokens=most_tokens, progress=progress)


def _dataset_of(bundle: Bundle) -> Dataset:
    return open_dataset(Path(bundle.plan.get("dataset_folder") or ""))


@contextmanager
def _held_out(bundle: Bundle, path: Path | None) -> Iterator[Split]:
    if path is None:
        yield _dataset_of(bundle).split("validation")
        return
    with split_of(bundle.tokenizer, path) as split:
        yield split


@contextmanager
def split_of(tokenizer: Tokenizer, path: Path) -> Iterator[Split]:
    """Give the text of a file or folder as a split, which is gone afterwards. Raises DataError when there is none to be
    used.
    """
    unusable: list[Removed] = []
    with TemporaryDirectory() as folder, SplitWriter(tokenizer, Path(folder)) as writer:
        for source in find_sources([str(path)]):
            for document in read_documents(source, "text", None, unusable.append, lambda _: None):
                writer.add(document, tokenizer.encode(document.text))
        entry = writer.write(Path(folder) / "text")
        if not entry["documents"]:
            what = f"there is no text to score; {said_of_unread(unusable)}" if unusable else "there is no text to score"
            do = "put the text under the key 'text', or name a .txt file" if unusable else "name files that hold text"
            raise DataError(what, where=str(path), do=do)
        if unusable:
            log.warning("%s", said_of_unread(unusable))
        yield Split(Path(folder) / "text", entry, tokenizer.end_of_text)
