"""Tables with a column of lists of ids: .parquet, and .arrow as `datasets` saves it."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.optional import need
from gnomon.data.exchange.sequences import Asked, At, Sequences

BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20  # read of a column at once; without it a whole row group is
GROUP_IDS = 1 << 22
"""Of a row group that is written."""


def read_table(path: Path, asked: Asked, at: At) -> Iterator[Sequences]:
    """Yield the rows of a table. Only the column `asked.key` is read, some of its rows at once.

    Raises DataError for a file that is damaged, a column that is not there or holds no lists of whole numbers, and,
    with the row, for one without a list; DependencyError without pyarrow.
    """
    pa = need("pyarrow", extra="data", why=f"reading {path.suffix}")
    first = 1
    try:
        with path.open("rb") as file:
            opened = _parquet if path.suffix.lower() == ".parquet" else _arrow
            for column in opened(pa, file, asked.key, path):
                yield _sequences(pa, column, first, path)
                first += len(column)
                at(file.tell())
    except (pa.ArrowException, OSError) as e:
        if isinstance(e, OSError) and e.errno is not None:
            raise DataError(f"the file cannot be read: {e.strerror}", where=str(path)) from e
        what = f"the {path.suffix} file is cut or damaged: {str(e).splitlines()[0]}"
        raise DataError(what, where=str(path), do="get the file again, or take it out") from e


def _parquet(pa: Any, file: BinaryIO, key: str, path: Path) -> Iterator[Any]:
    parquet = need("pyarrow.parquet", extra="data", why="reading .parquet")
    with parquet.ParquetFile(file, buffer_size=BUFFER_BYTES, page_checksum_verification=True) as table:
        _check(pa, table.schema_arrow, key, path)
        for batch in table.iter_batches(BATCH_ROWS, columns=[key]):
            yield batch.column(0)


def _arrow(pa: Any, file: BinaryIO, key: str, path: Path) -> Iterator[Any]:
    if file.peek(6)[:6] == b"ARROW1":  # pyright: ignore[reportAttributeAccessIssue]
        table = pa.ipc.open_file(file)
        batches: Any = (table.get_batch(i) for i in range(table.num_record_batches))
    else:
        table = batches = pa.ipc.open_stream(file)
    _check(pa, table.schema, key, path)
    yield from chain.from_iterable(
        (batch.column(key).slice(start, BATCH_ROWS) for start in range(0, len(batch), BATCH_ROWS)) for batch in batches
    )


def _check(pa: Any, schema: Any, key: str, path: Path) -> None:
    lists = [field.name for field in schema if _holds_ids(pa, field.type)]
    if schema.names.count(key) != 1 or key not in lists:
        there = f"no column of ids {key!r}" if key not in schema.names else f"no lists of whole numbers in {key!r}"
        do = f"name the column with --key; lists of whole numbers are in: {', '.join(lists) or 'none'}"
        raise DataError(f"the table has {there}", where=str(path), do=do)


def _holds_ids(pa: Any, kind: Any) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in lists) and pa.types.is_integer(kind.value_type)


def _sequences(pa: Any, column: Any, first: int, path: Path) -> Sequences:
    compute = need("pyarrow.compute", extra="data", why="reading tables")
    values = column.flatten()
    if column.null_count or values.null_count:
        lists = column.to_pylist()
        row = next(i for i, ids in enumerate(lists) if ids is None or None in ids)
        what, do = f"row {first + row:,} has no ids, or a gap among them", "mend the row, or leave it out"
        raise DataError(what, where=f"{path}:{first + row}", do=do)
    lengths = compute.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
    return Sequences(values.to_numpy(zero_copy_only=False), lengths, first)


class TableWriter:
    """Writes a .parquet: a row a document, with `id`, `source` and `input_ids`."""

    def __init__(self, stem: Path, source: str, tokens: int) -> None:
        self._pa = need("pyarrow", extra="data", why="writing .parquet")
        parquet = need("pyarrow.parquet", extra="data", why="writing .parquet")
        self.dtype, self._source = np.dtype("<i4"), source
        text, ids = self._pa.string(), self._pa.list_(self._pa.int32())
        self._schema = self._pa.schema([("id", text), ("source", text), ("input_ids", ids)])
        path = stem.with_name(stem.name + ".parquet")
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)

    def add(self, known: list[str], ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: the id of each, their ids without end-of-text, and how many each has."""
        bounds = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
        lists = self._pa.ListArray.from_arrays(bounds, self._pa.array(ids.astype(np.int32)))
        self._file.write_table(
            self._pa.table([known, [self._source] * len(known), lists], schema=self._schema), GROUP_IDS
        )

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
