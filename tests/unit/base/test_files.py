"""Files are whole or not there."""

import errno
from pathlib import Path

import pytest

from gnomon.base import faults
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.files import (
    LineFile,
    canonical_json,
    read_json,
    read_lines,
    staged_folder,
    storage_errors,
    sweep_staging,
    write_atomic,
)


def test_a_replaced_file_is_the_old_one_until_the_rename(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    faults.arm("files.before_rename=ENOSPC")
    try:
        with pytest.raises(StorageError, match="no space left"):
            write_atomic(path, b"new")
    finally:
        faults.arm("")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path, "f") as staged:
        (staged.path / "x").write_text("1")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with staged_folder(tmp_path, "f") as staged:
        (staged.path / "x").write_text("1")
        staged.publish(tmp_path / "f")
    assert (tmp_path / "f" / "x").read_text() == "1"


def test_leavings_of_killed_writers_are_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".staging-x-1").mkdir()
    (tmp_path / ".staging-y-2").write_text("half")
    (tmp_path / "kept").write_text("whole")
    assert sweep_staging(tmp_path) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_line_after_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    LineFile(path).append(b'{"n":1}')
    with path.open("ab") as f:
        f.write(b'{"n":2')
    LineFile(path).append(b'{"n":3}')
    assert [v["n"] for v in read_lines(path)] == [1, 3]


def test_canonical_json_is_one_form_for_one_value() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode() == canonical_json({"a": "é", "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_garbled_json_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1,')
    with pytest.raises(IntegrityError, match="byte 8"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_whatever_a_disk_refuses_is_a_storage_error(tmp_path: Path, code: int) -> None:
    with pytest.raises(StorageError, match="does not let"), storage_errors(tmp_path):
        raise OSError(code, "x")
    with pytest.raises(StorageError, match="odd"), storage_errors(tmp_path):
        raise OSError(errno.EXDEV, "odd")
