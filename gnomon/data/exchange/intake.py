"""Jobs that turn a file of ids into blocks of documents, and a block into what `make_shard` takes.

A block is a folder as those of texts are, but for what it holds: documents.npy (see blocks.DOCUMENT), tokens.npy with
the number of ids of each (uint32), ids.npy, and an empty ids.zst.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from gnomon.base.arrays import load_array, write_array
from gnomon.base.errors import DataError
from gnomon.base.files import canonical_json, staged_folder
from gnomon.data.blocks import DOCUMENT, stamp_of
from gnomon.data.budget import counted
from gnomon.data.corpus import REMOVED
from gnomon.data.encode import ENCODED, SPLITS, dtype_of
from gnomon.data.exchange.formats import read_ids
from gnomon.data.exchange.sequences import Asked, Cutter, Documents, hashes_of
from gnomon.data.worker import Tell
from gnomon.tokenizer.tokenizer import Tokenizer

BLOCK_IDS = 4 << 20
"""About; bounds the memory of a job, to some 200 MB."""


def take_in(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Read a file of ids into blocks, unless that has been done, and return how many there are, and the records that
    hold nothing.

    Raises what the format's reader does; DataError for an id that the tokenizer has not, and for a file that another
    program changed meanwhile.
    """
    folder, path = Path(args["folder"]), Path(args["path"])
    if (folder / "result.json").exists():
        return orjson.loads((folder / "result.json").read_bytes())
    tokenizer = _tokenizer(args["tokenizer"])
    asked = Asked(**args["asked"] | {"ends": tuple(args["asked"]["ends"])})
    cut = Cutter(str(path), asked.ends, tokenizer.tokens)
    with staged_folder(folder.parent, "blocks") as staged:
        writer = _Writer(staged.path, tokenizer)
        for records in read_ids(path, args["format"], asked, tell):
            writer.add(cut(records))
        writer.close()
        if stamp_of(path) != args["stamp"]:
            do = "run the same command again when nothing else writes there"
            raise DataError("the file changed while it was read", where=str(path), do=do)
        empty = [] if args["format"] == "bin" else cut.empty
        result = {"blocks": writer.blocks, "empty": empty}
        (staged.path / "result.json").write_bytes(canonical_json(result))
        staged.publish_once(folder)
    return result


@lru_cache(maxsize=1)
def _tokenizer(path: str) -> Tokenizer:
    return Tokenizer.load(Path(path))


class _Writer:
    """Takes documents and writes them in blocks."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        self._folder, self._dtype, self.blocks = folder, dtype_of(tokenizer.vocabulary), 0
        self._bytes_of, self._led = bytes_of_ids(tokenizer)
        self._waiting, self._ids = list[Documents](), 0

    def add(self, documents: Documents) -> None:
        """Take documents, many at once."""
        self._waiting.append(documents)
        self._ids += len(documents.ids)
        if self._ids >= BLOCK_IDS:
            self._end_block()

    def close(self) -> None:
        """Write what is left. There is a block also where there is no document."""
        if self._ids or not self.blocks:
            self._end_block()

    def _end_block(self) -> None:
        none = np.zeros(0, np.int64)
        ids = np.concatenate([none.astype("<u4"), *(d.ids for d in self._waiting)])
        lengths = np.concatenate([none, *(d.lengths for d in self._waiting)])
        rows = np.zeros(len(lengths), DOCUMENT)
        rows["id"] = rows["key"] = hashes_of(ids, lengths)
        rows["line"] = np.concatenate([none, *(d.record for d in self._waiting)])
        rows["part"] = np.concatenate([none, *(d.part for d in self._waiting)])
        rows["goes_on"] = rows["part"] > 1
        starts = lengths.cumsum() - lengths
        if len(lengths):
            rows["bytes"] = np.add.reduceat(self._bytes_of[ids], starts) - self._led[ids[starts]]
        folder = self._folder / f"{self.blocks:05d}"
        folder.mkdir()
        write_array(folder / "ids.npy", ids.astype(self._dtype))
        write_array(folder / "tokens.npy", lengths.astype(np.uint32))
        write_array(folder / "documents.npy", rows)
        (folder / "ids.zst").write_bytes(zstandard.compress(b""))  # its records have no ids of their own
        self.blocks, self._waiting, self._ids = self.blocks + 1, [], 0


def bytes_of_ids(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return how many bytes of text each id stands for (int64), and how many fewer as the first of a text: the space
    that some tokenizers put before it is none of its own. Special tokens have none.
    """
    texts = [tokenizer.decode_bytes([i]) for i in range(tokenizer.tokens)]
    led = [tokenizer.leads_with_space and text.startswith(b" ") for text in texts]
    return np.array([len(text) for text in texts], np.int64), np.array(led, np.int64)


def order_block(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the documents of a block that are kept as `encode_block` does, in the order of status and id, end-of-text
    in front of each; return [tokens, bytes] by split and number of the source, which all are of.
    """
    source, folder, end = Path(args["block"]), Path(args["folder"]), args["end_of_text"]
    documents, lengths = load_array(source / "documents.npy"), load_array(source / "tokens.npy").astype(np.int64)
    status, ids = load_array(Path(args["status"])), load_array(source / "ids.npy")
    kept = np.flatnonzero(status != REMOVED)
    halves = documents["id"][kept]
    order = kept[np.lexsort((halves[:, 1], halves[:, 0], status[kept]))]
    rows = np.zeros(len(order), ENCODED)
    for name in ("id", "line", "part", "bytes"):
        rows[name] = documents[name][order]
    rows["status"], rows["tokens"] = status[order], lengths[order] + 1
    stops = rows["tokens"].cumsum(dtype=np.int64)
    rows["start"] = stops - rows["tokens"]
    # where each id comes from: its document's begin in the block, and its place in the document
    begins = (lengths.cumsum() - lengths)[order] - rows["start"].astype(np.int64) - 1
    place = np.repeat(begins, rows["tokens"]) + np.arange(int(rows["tokens"].sum(dtype=np.int64)))
    place[rows["start"].astype(np.int64)] = 0
    moved = ids[place] if len(place) else np.zeros(0, ids.dtype)
    moved[rows["start"].astype(np.int64)] = end
    rows["source"] = args["source"]
    result = {name: counted(rows[rows["status"] == value]) for name, value in SPLITS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_array(folder / "ids.npy", moved)
    write_array(folder / "documents.npy", rows)
    write_array(folder / "own.npy", np.zeros(0, np.uint8))
    tell(moved.nbytes)
    return result
