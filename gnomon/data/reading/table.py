"""Texts out of tables: .parquet, and .arrow as `datasets` saves it. The only file that knows pyarrow."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

from gnomon.base.errors import DataError
from gnomon.base.optional import need

TABLE_KINDS = (".parquet", ".arrow")
BATCH_ROWS = 64  # held at once; reading 1,024 is no faster
BUFFER_BYTES = 1 << 20  # read of a column at once; without it a whole row group is


def table_texts(
    path: Path,
    file: BinaryIO,
    column: str,
    at: Callable[[int], None],
    id_column: str | None = None,
    others: Sequence[str] = (),
) -> Iterator[tuple[int, bytes | None, Any, dict[str, Any]]]:
    """Yield the number, from 1, and the text of every row of an open file, as UTF-8 that nobody has checked; None where
    the table has none; what is in `id_column`, a number or a string, None where there is no such column; and what is in
    `others`, of those that are columns. `at` is told how many bytes of the file lie behind.

    Only these columns are read, and memory holds a few of their rows. Raises DataError for a file that is cut or
    damaged, and for a column that is not there or holds no text; DependencyError without pyarrow.
    """
    pa = need("pyarrow", extra="data", why=f"reading {path.suffix}")
    try:
        rows = _parquet if path.suffix.lower() == ".parquet" else _arrow
        number = 0
        for batch, id_name, share in rows(pa, file, column, id_column, others):
            texts = batch.column(column).cast(pa.large_binary()).to_pylist()
            ids = repeat(None) if id_name is None else _ids(pa, batch.column(id_name))
            said = batch.select(sorted(set(others) & set(batch.schema.names))).to_pylist() if others else repeat({})
            for value, own, more in zip(texts, ids, said, strict=False):
                number += 1
                yield number, value, own, more
            at(int(share * path.stat().st_size))
    except _NoText as e:
        raise DataError(str(e), where=str(path), do=e.do) from None
    except (pa.ArrowException, OSError) as e:
        if isinstance(e, OSError) and e.errno is not None:
            raise  # the disk's words, not those of pyarrow
        raise DataError(
            f"the {path.suffix} file is cut or damaged: {str(e).splitlines()[0]}",
            where=str(path),
            do="get the file again, or take it out of the folder",
        ) from e


class _NoText(Exception):
    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.do = do


def _ids(pa: Any, values: Any) -> list[Any]:
    if pa.types.is_integer(values.type):
        return values.to_pylist()
    return [None if v is None else v.decode("utf-8", "replace") for v in values.cast(pa.large_binary()).to_pylist()]


def _parquet(
    pa: Any, file: BinaryIO, column: str, id_column: str | None, others: Sequence[str]
) -> Iterator[tuple[Any, str | None, float]]:
    parquet = need("pyarrow.parquet", extra="data", why="reading .parquet")
    with parquet.ParquetFile(file, buffer_size=BUFFER_BYTES, page_checksum_verification=True) as table:
        _check(pa, table.schema_arrow, column)
        own = _id_column(pa, table.schema_arrow, id_column)
        wanted, done = {column, own, *others} & set(table.schema_arrow.names), 0
        for batch in table.iter_batches(BATCH_ROWS, columns=sorted(wanted)):
            done += len(batch)
            yield batch, own, done / table.metadata.num_rows


def _arrow(
    pa: Any, file: BinaryIO, column: str, id_column: str | None, others: Sequence[str]
) -> Iterator[tuple[Any, str | None, float]]:
    """Yield as `_parquet` does, from either of Arrow's two forms."""
    if file.peek(6)[:6] == b"ARROW1":  # pyright: ignore[reportAttributeAccessIssue]
        table = pa.ipc.open_file(file)
        batches = (table.get_batch(i) for i in range(table.num_record_batches))
    else:
        table = batches = pa.ipc.open_stream(file)
    _check(pa, table.schema, column)
    own = _id_column(pa, table.schema, id_column)
    for batch in batches:
        for start in range(0, len(batch), BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS), own, 0.0


def _id_column(pa: Any, schema: Any, name: str | None) -> str | None:
    """Return the name of the column of ids; None where the table has no such column, or it holds something else."""
    if name is None or schema.names.count(name) != 1:
        return None
    kind = schema.field(name).type
    tests = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return name if any(test(kind) for test in tests) else None


def _check(pa: Any, schema: Any, column: str) -> None:
    names = schema.names
    if names.count(column) != 1:
        what = f'the table has {"more than one" if column in names else "no"} column "{column}"'
        raise _NoText(
            f"{what}, but {', '.join(names) or 'none at all'}", do="name the column of the text in data.text_field"
        )
    kind = schema.field(column).type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    holds_bytes = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    holds_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(test(value) for test in (*holds_text, *holds_bytes)):
        texts = [f.name for f in schema if any(test(f.type) for test in holds_text)]
        do = f"name a column of text in data.text_field; here: {', '.join(texts) or 'none'}"
        raise _NoText(f'column "{column}" holds {kind}, no text', do=do)
