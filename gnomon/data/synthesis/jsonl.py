"""Samples as JSON Lines: written without loss, read with every record checked."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json, parse_json, raw_lines, write_atomic
from gnomon.data.synthesis.render import render, sample_id
from gnomon.data.synthesis.sample import Sample, as_record, from_record
from gnomon.data.synthesis.schema import check_call, tools_by_name
from gnomon.data.synthesis.verify import verify


def line(sample: Sample) -> bytes:
    """Return the sample's record as one line of canonical JSON, without the line's end."""
    return canonical_json(as_record(sample) | {"id": sample_id(sample, render(sample))})


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write one record a line, in one step, and return how many: read and written again they give the same bytes."""
    lines = [line(sample) + b"\n" for sample in samples]
    write_atomic(path, b"".join(lines))
    return len(lines)


def read_samples(path: Path) -> Iterator[Sample]:
    """Yield the samples of a file, each checked: shape, evidence, tool calls, answer, id, and that no text comes twice.

    Raises DataError that names path and line.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), do="give a file that `gnomon data synth` wrote")
    seen: dict[str, int] = {}
    for number, data in raw_lines(path):
        try:
            record = parse_json(data, path)
            sample = from_record(record)
            if sample.tools:
                _check_tool_calls(sample)
            verify(sample)
            if record["id"] != sample_id(sample, render(sample)):
                raise ValueError("the id is not that of the text")
            if (before := seen.setdefault(record["id"], number)) != number:
                raise ValueError(f"the text is that of line {before}")
        except (ValueError, IntegrityError, DataError) as e:
            what = e.what if isinstance(e, IntegrityError | DataError) else str(e)
            raise DataError(what, where=f"{path}:{number}", do="mend or remove this line") from e
        yield sample


def _check_tool_calls(sample: Sample) -> None:
    known = tools_by_name(sample.tools)
    for message in sample.messages:
        for call in message.get("tool_calls", ()):
            check_call(call, known)
