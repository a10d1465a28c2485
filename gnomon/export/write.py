"""Writes a model in the formats asked for. A file gets its name once it has been read back and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.disk import DISK
from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.files import (
    canonical_json,
    read_json,
    sha256_bytes,
    staged_folder,
    storage_errors,
    sweep_staging,
    sync_tree,
    write_atomic,
)
from gnomon.base.progress import Progress
from gnomon.bundle import Bundle
from gnomon.export.fit import why_no_export
from gnomon.export.gguf import refuse_what_gguf_cannot_hold, write_gguf
from gnomon.export.hf import write_hf
from gnomon.export.modelfile import modelfile
from gnomon.export.verify import Verdict, verify_gguf, verify_hf
from gnomon.store.manifest import NAME, Damage, damaged, describe, read_manifest, write_manifest
from gnomon.store.runs import RunLock

FORMAT, KIND = 1, "export"
SMALLEST_FIRST = ("q8_0", "f16", "bf16", "f32")
"""Which GGUF the Modelfile names, where there are several."""


@dataclass(frozen=True)
class ExportResult:
    """What was asked for: paths, verdicts as plain values, rows of name, bytes, share of f32, verdict."""

    files: list[Path]
    verdicts: list[dict[str, Any]]
    table: list[dict[str, Any]]


@dataclass(frozen=True)
class _Item:
    name: str  # of the file or folder
    format: str
    dtype: str


def export(bundle: Bundle, out: Path, gguf: Sequence[str], hf: bool | str, progress: Progress) -> ExportResult:
    """Write a model to `out`: a GGUF in each dtype of `gguf`; with `hf`, a folder (True: f32, or "bf16").

    Each is read back and compared before it appears. What is there already, whole and from the same
    checkpoint, is left alone; what an interrupted export left is swept. Raises ConfigError for a model that
    the format cannot hold or a folder of something else, IntegrityError when what was written does not say
    what the model says, StorageError when the disk is full; in each case the folder keeps what it had.
    """
    asked = _asked(bundle, gguf, hf)
    _refuse_a_folder_of_something_else(out)
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with RunLock(out / ".lock"):
            body = _body_before(out)
            sweep_staging(out)
            digest = _digest(bundle)
            exports = {name: e for name, e in body.get("exports", {}).items() if not damaged(out, e["files"])}
            missing = [item for item in asked if exports.get(item.name, {}).get("checkpoint") != digest]
            for number, item in enumerate(missing):
                progress("exporting", number, len(missing), "formats")
                exports[item.name] = _write(bundle, out, item, digest)
                _record(bundle, out, exports, digest)
            progress("exporting", len(missing), len(missing), "formats")
            _write_modelfile(bundle, out, exports, digest)
            if missing or _described(bundle, out, exports, digest) != body:
                _record(bundle, out, exports, digest)
    chosen = [exports[item.name] for item in asked]
    files = [out / item.name for item in asked] + [p for p in [out / "Modelfile"] if p.exists()]
    return ExportResult(files, [e["verdict"] for e in chosen], [_row(bundle, e) for e in chosen])


def verify_export(folder: Path) -> list[Damage]:
    """Return every place where an export folder differs from its manifest, and weights that it does not list.

    Raises DataError for a folder of something else.
    """
    try:
        body = read_manifest(folder)
    except IntegrityError as e:
        return [Damage(NAME, None, e.what)]
    if body.get("kind") != KIND:
        raise DataError("this is no export folder", where=str(folder), do="give one that `gnomon export` wrote")
    found = damaged(folder, body.get("files"))
    if any(damage.file == NAME for damage in found):
        return found
    listed = {entry["path"] for entry in body["files"]}
    weights = [p for ending in ("*.gguf", "*.safetensors") for p in folder.rglob(ending)]
    strangers = sorted({p.relative_to(folder).as_posix() for p in weights if p.is_file()} - listed)
    return found + [
        Damage(name, None, "the manifest does not list it, so nothing says that it was verified") for name in strangers
    ]


def _asked(bundle: Bundle, gguf: Sequence[str], hf: bool | str) -> list[_Item]:
    if (gguf or hf) and (why := why_no_export(bundle.shape)):
        raise ConfigError(
            f"neither GGUF nor `transformers` can hold this model: {why}",
            where=str(bundle.run.folder),
            do=f"use it here; its weights are in {bundle.checkpoint.path}/model.safetensors, under our own names",
        )
    for dtype in gguf:
        refuse_what_gguf_cannot_hold(bundle, dtype)
    items = [_Item(f"{bundle.name}-{dtype}.gguf", "gguf", dtype) for dtype in dict.fromkeys(gguf)]
    if hf:
        dtype = "f32" if hf is True else hf
        items.append(_Item("hf" if dtype == "f32" else f"hf-{dtype}", "hf", dtype))
    return items


def _digest(bundle: Bundle) -> str:
    """Return the checkpoint's digest: the SHA-256 of its manifest."""
    return sha256_bytes(canonical_json(bundle.checkpoint.manifest.model_dump(by_alias=True)))


def _refuse_a_folder_of_something_else(out: Path) -> None:
    found = read_json(out / NAME) if (out / NAME).exists() else {"kind": KIND}
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise ConfigError(
            "this folder holds something else than exports",
            where=str(out),
            do="name another folder to export to",
        )


def _body_before(out: Path) -> dict[str, Any]:
    """Return the folder's manifest; empty where there is none to trust, and all is to be written anew."""
    try:
        body = read_manifest(out)
    except IntegrityError:  # also after a kill between the manifest and its digest
        return {}
    return body if body["format"] == FORMAT else {}


def _write(bundle: Bundle, out: Path, item: _Item, digest: str) -> dict[str, Any]:
    """Write one export aside, verify it, give it its name, and return its entry in the manifest."""
    with staged_folder(out, item.name) as staged:
        made = staged.path / item.name
        if item.format == "hf":
            made.mkdir()
            write_hf(bundle, made, item.dtype)
        else:
            write_gguf(bundle, made, item.dtype)
        faults.point("export.written")
        verify = verify_hf if item.format == "hf" else verify_gguf
        verdict = verify(bundle, made, item.name, item.dtype)
        entry = {
            "checkpoint": digest,
            "verdict": verdict.as_dict(),
            "files": describe(staged.path, [p for p in staged.path.rglob("*") if p.is_file()]),
        }
        sync_tree(staged.path)
        faults.point("export.verified")
        final = out / item.name
        if final.is_dir():
            final.rename(staged.path / "before")
        made.replace(final)
        DISK.sync_folder(out)
    faults.point("export.published")
    return entry


def _write_modelfile(bundle: Bundle, out: Path, exports: dict[str, Any], digest: str) -> None:
    """Write the Modelfile for the smallest GGUF of this checkpoint, unless it says so already."""
    names = [f"{bundle.name}-{dtype}.gguf" for dtype in SMALLEST_FIRST]
    best = next((name for name in names if exports.get(name, {}).get("checkpoint") == digest), None)
    path = out / "Modelfile"
    if best and not (path.exists() and path.read_bytes() == modelfile(bundle, best).encode()):
        write_atomic(path, modelfile(bundle, best).encode())


def _record(bundle: Bundle, out: Path, exports: dict[str, Any], digest: str) -> None:
    """Write the manifest of what the folder holds now."""
    with staged_folder(out, NAME) as staged:
        write_manifest(staged.path, _described(bundle, out, exports, digest))
        for name in (NAME, f"{NAME}.sha256"):
            faults.point("export.recording")
            (staged.path / name).replace(out / name)
        DISK.sync_folder(out)


def _described(bundle: Bundle, out: Path, exports: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return the body of the manifest. Its table shows this checkpoint's exports, by size."""
    rows = [_row(bundle, e) for e in exports.values() if e["checkpoint"] == digest]
    files = describe(out, [p for p in [out / "Modelfile"] if p.exists()])
    files += [file for e in exports.values() for file in e["files"]]
    return {
        "format": FORMAT,
        "kind": KIND,
        "run": bundle.name,
        "checkpoint": {"name": bundle.checkpoint.path.name, "digest": digest},
        "exports": exports,
        "files": sorted(files, key=lambda file: file["path"]),
        "table": sorted(rows, key=lambda row: (row["bytes"], row["name"])),
    }


def _row(bundle: Bundle, entry: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the table: size, its share of 4 bytes a parameter, and the verdict in words."""
    known = ("file", "format", "dtype", "max_abs", "mean_kl", "top1")
    verdict = Verdict(**{key: entry["verdict"][key] for key in known})
    size = sum(file["bytes"] for file in entry["files"])
    return {
        "name": verdict.file,
        "dtype": verdict.dtype,
        "bytes": size,
        "of_f32": size / (4 * bundle.shape.parameters),
        "verified": str(verdict),
    }
