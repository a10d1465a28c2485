"""Writes a model in the formats asked for. A file appears under its name only after it has been read back and
compared.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.errors import IntegrityError
from gnomon.base.files import (
    fsync_folder,
    no_space_is_an_error,
    staged_folder,
    sweep_staging,
    sync_tree,
    write_atomic,
)
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.export.gguf import write_gguf
from gnomon.export.hf import write_hf
from gnomon.export.modelfile import modelfile
from gnomon.export.verify import Verdict, verify_gguf, verify_hf
from gnomon.store.manifest import NAME, damaged, describe, read_manifest, write_manifest

FORMAT = 1
SMALLEST_FIRST = ("q8_0", "f16", "bf16", "f32")
"""Which GGUF the Modelfile names, where there are several."""


@dataclass(frozen=True)
class ExportResult:
    """What an export holds: paths, verdicts as plain values, and a table of name, bytes, compression and verdict."""

    files: list[Path]
    verdicts: list[dict[str, Any]]
    table: list[dict[str, Any]]


def export(bundle: Bundle, out: Path, gguf: Sequence[str], hf: bool, progress: Progress) -> ExportResult:
    """Write the asked formats of a model to the folder `out`, each verified, and return all it holds of this model.

    What is there already, whole and from the same checkpoint, is left alone; what an interrupted export left
    is swept. Raises IntegrityError when a file that was written does not say what the model says,
    StorageError when the disk is full.
    """
    with no_space_is_an_error(out):
        out.mkdir(parents=True, exist_ok=True)
        sweep_staging(out)
        done = _done(bundle, out)
        asked = [(f"{bundle.name}-{dtype}.gguf", dtype) for dtype in gguf] + ([("hf", "f32")] if hf else [])
        missing = [(name, dtype) for name, dtype in asked if name not in done]
        if not missing and (out / NAME).exists():
            return _result(out, list(done.values()), bundle)
        (out / NAME).unlink(missing_ok=True)  # from here on the folder is in the making
        for number, (name, dtype) in enumerate(missing):
            progress("exporting", number, len(missing), "formats")
            verdict = _write_folder(bundle, out, name) if name == "hf" else _write_file(bundle, out, name, dtype)
            done[name] = verdict.as_dict()
        progress("exporting", len(missing), len(missing), "formats")
        _write_modelfile(bundle, out, done)
        _write_manifest(bundle, out, done)
    return _result(out, list(done.values()), bundle)


def _done(bundle: Bundle, out: Path) -> dict[str, dict[str, Any]]:
    """Return the verdicts of what the folder already holds of this very checkpoint, whole, by file."""
    try:
        body = read_manifest(out)
    except IntegrityError:
        return {}
    if body["checkpoint"] != _identity(bundle):
        return {}
    spoiled = {d.file.split("/")[0] for d in damaged(out, body["files"])}
    return {v["file"]: v for v in body["verdicts"] if v["file"] not in spoiled}


def _identity(bundle: Bundle) -> dict[str, Any]:
    files = {entry["path"]: entry["sha256"] for entry in bundle.checkpoint.manifest["files"]}
    return {"run": bundle.name, "name": bundle.checkpoint.path.name, "model": files["model.safetensors"]}


def _write_file(bundle: Bundle, out: Path, name: str, dtype: str) -> Verdict:
    with staged_folder(out, name) as staged:
        path = staged.path / name
        write_gguf(bundle, path, dtype)
        verdict = verify_gguf(bundle, path, name, dtype)
        sync_tree(staged.path)
        faults.point("files.before_rename")
        path.replace(out / name)
        fsync_folder(out)
    return verdict


def _write_folder(bundle: Bundle, out: Path, name: str) -> Verdict:
    with staged_folder(out, name) as staged:
        write_hf(bundle, staged.path)
        verdict = verify_hf(bundle, staged.path, name)
        if (out / name).exists():
            shutil.rmtree(out / name)
        staged.publish(out / name)
    return verdict


def _write_modelfile(bundle: Bundle, out: Path, done: dict[str, Any]) -> None:
    names = [f"{bundle.name}-{dtype}.gguf" for dtype in SMALLEST_FIRST]
    best = next((name for name in names if name in done), None)
    if best:
        write_atomic(out / "Modelfile", modelfile(bundle, best).encode())


def _write_manifest(bundle: Bundle, out: Path, done: dict[str, dict[str, Any]]) -> None:
    paths = [p for name in done for p in ((out / name).rglob("*") if name == "hf" else [out / name]) if p.is_file()]
    paths += [p for p in [out / "Modelfile"] if p.exists()]
    body = {
        "format": FORMAT,
        "checkpoint": _identity(bundle),
        "verdicts": list(done.values()),
        "files": describe(out, paths),
        "table": _table(bundle, out, list(done.values())),
    }
    write_manifest(out, body)
    fsync_folder(out)


def _table(bundle: Bundle, out: Path, verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each export: its size, how that compares with 4 bytes a parameter, and its verdict in words."""
    rows = []
    for v in verdicts:
        path = out / v["file"]
        size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
        words = str(Verdict(**{k: v[k] for k in ("file", "dtype", "max_abs", "mean_kl", "top1")}))
        rows.append(
            {
                "name": v["file"],
                "bytes": size,
                "of_f32": size / (4 * bundle.shape.parameters),
                "verified": words,
            }
        )
    return rows


def _result(out: Path, verdicts: list[dict[str, Any]], bundle: Bundle) -> ExportResult:
    files = [out / v["file"] for v in verdicts]
    files += [out / "Modelfile"] if (out / "Modelfile").exists() else []
    return ExportResult(files, verdicts, _table(bundle, out, verdicts))
