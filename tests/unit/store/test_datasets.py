"""A dataset version says what it holds, also in many shards, and every contradiction in it is found."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import sha256_file
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.streaming.stream import validation_rows
from gnomon.store.datasets import Dataset, list_datasets, open_dataset, verify_dataset
from gnomon.store.lineage import everything
from gnomon.store.manifest import describe, write_manifest
from tests.world import small_dataset, write_corpus


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: Dataset, tmp_path: Path) -> Dataset:
    """A version to be spoiled."""
    folder = tmp_path / "datasets" / whole.name / whole.version
    shutil.copytree(whole.folder, folder)
    return open_dataset(folder)


def seal(dataset: Dataset, body: dict[str, Any]) -> None:
    """Write a manifest that fits the files as they are now, so that only what they hold can be wrong."""
    paths = [dataset.folder / f["path"] for f in body["files"]]
    write_manifest(dataset.folder, body | {"files": describe(dataset.folder, paths)})


def test_the_same_text_in_many_shards_is_the_same_text(
    whole: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.data.encode.SHARD_BYTES", 20_000)
    write_corpus(tmp_path / "texts")
    data = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    many = prepare(data, TokenizerConfig(), 512, silent)
    one, split = whole.split("train"), many.split("train")
    assert len(split.files) > 3
    assert all(ids.nbytes <= 40_000 for ids in split.shards), "they are dealt by hash, so about equal"
    assert np.array_equal(np.concatenate(split.shards), one.shards[0])
    assert np.array_equal(split.offsets, one.offsets)
    assert all(np.array_equal(split.tokens(i), one.tokens(i)) for i in range(one.documents))
    assert verify_dataset(many.folder) == []
    rows = [list(validation_rows(d, 64, 4, None)) for d in (whole, many)]
    assert [r.tokens.tolist() for r in rows[0]] == [r.tokens.tolist() for r in rows[1]]


def test_documents_are_counted_from_0_and_end_where_the_manifest_says(whole: Dataset) -> None:
    split = whole.split("train")
    for outside in (-1, split.documents):
        with pytest.raises(IndexError):
            split.tokens(outside)
    assert sum(len(split.tokens(i)) for i in range(split.documents)) == split.n_tokens == int(split.offsets[-1])
    assert (whole.split("validation").protected, split.protected) == (True, False)
    assert split.shards[0].dtype == np.uint16


@pytest.mark.parametrize("place", [0, 70, -1])
def test_one_changed_bit_is_found_with_its_file_and_place(copy: Dataset, place: int) -> None:
    path = copy.folder / "train" / "tokens-00000.npy"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    (damage,) = verify_dataset(copy.folder)
    assert (damage.file, damage.offset) == ("train/tokens-00000.npy", 0)


def test_the_digest_does_not_depend_on_how_files_are_packed_and_a_bit_of_the_packed_file_does_matter(
    whole: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer, compress = zstandard.ZstdCompressor, zstandard.compress
    monkeypatch.setattr(zstandard, "ZstdCompressor", lambda level=19, **said: packer(level, **said))
    monkeypatch.setattr(zstandard, "compress", lambda data: compress(data, 19))
    write_corpus(tmp_path / "texts")
    data = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"), workers=1)
    other = prepare(data, TokenizerConfig(), 512, silent)
    files = [dataset.folder / "train" / "documents-00000.jsonl.zst" for dataset in (whole, other)]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert (other.digest, other.version) == (whole.digest, whole.version)
    assert (other.manifest["packed"] != whole.manifest["packed"]) == (verify_dataset(other.folder) == [])
    packed = bytearray(files[1].read_bytes())
    packed[len(packed) // 2] ^= 1
    files[1].write_bytes(packed)
    (damage,) = verify_dataset(other.folder)
    assert (damage.file, damage.offset) == ("train/documents-00000.jsonl.zst", 0)
    files[1].write_bytes(zstandard.compress(b'{"other": "lines"}\n'))
    seal_packed(other)
    (damage,) = verify_dataset(other.folder)
    assert "what it holds differs" in damage.why


def seal_packed(dataset: Dataset) -> None:
    """Have the manifest say what packed files are on disk, whatever they hold."""
    paths = [dataset.folder / f["path"] for f in dataset.manifest["packed"]]
    write_manifest(dataset.folder, dataset.manifest | {"packed": describe(dataset.folder, paths)})


def test_a_dataset_of_the_format_before_is_read(copy: Dataset) -> None:
    older = {key: value for key, value in copy.manifest.items() if key not in ("packed", "repeated_ids")}
    seal(copy, older | {"format": 2})
    assert verify_dataset(copy.folder) == []
    again = open_dataset(copy.folder)
    assert again.digest == sha256_file(copy.folder / "manifest.json")
    assert len(list(everything(again))) == len(list(everything(copy)))
    seal(copy, older | {"format": 1})
    with pytest.raises(IntegrityError, match="reads 2 to 4"):
        open_dataset(copy.folder)


def too_large(ids: np.ndarray, offsets: np.ndarray) -> None:
    ids[5] = 512


def no_beginning(ids: np.ndarray, offsets: np.ndarray) -> None:
    ids[int(offsets[1])] = 200


def crossed(ids: np.ndarray, offsets: np.ndarray) -> None:
    offsets[1], offsets[2] = offsets[2], offsets[1]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (too_large, "not below the vocabulary of 512"),
        (no_beginning, "begin with end-of-text"),
        (crossed, "do not rise"),
    ],
)
def test_what_the_files_hold_is_checked_and_not_only_their_hashes(
    copy: Dataset, spoil: Callable[[np.ndarray, np.ndarray], None], says: str
) -> None:
    files = copy.split("train").files[0]
    ids, offsets = np.load(files.tokens), np.load(files.offsets)
    spoil(ids, offsets)
    np.save(files.tokens, ids)
    np.save(files.offsets, offsets)
    seal(copy, copy.manifest)
    (damage,) = verify_dataset(copy.folder)
    assert says in damage.why


def test_counts_that_do_not_add_up_are_found(copy: Dataset) -> None:
    body = json.loads(json.dumps(copy.manifest))
    body["splits"]["train"]["tokens"] += 1
    seal(copy, body)
    assert [d.why for d in verify_dataset(copy.folder)] == ["the shards do not add up to the split"]


def test_a_folder_without_a_dataset_and_a_newer_format_are_told_apart(copy: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no dataset here"):
        open_dataset(tmp_path)
    seal(copy, copy.manifest | {"format": 99})
    with pytest.raises(IntegrityError, match="format 99"):
        open_dataset(copy.folder)


def test_one_damaged_version_does_not_hide_the_others(copy: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    cut = copy.folder.with_name("0123456789ab")
    shutil.copytree(copy.folder, cut)
    (cut / "manifest.json").write_bytes((cut / "manifest.json").read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        assert [d.version for d in list_datasets(copy.folder.parents[1])] == [copy.version]
    assert "0123456789ab" in caplog.text
    assert list_datasets(copy.folder / "nowhere") == []
