"""Band hashes of a corpus, block by block, in folders beside its blocks: other bands do not have the text read anew."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gnomon.base import faults
from gnomon.base.arrays import load_array, write_array
from gnomon.base.files import canonical_json, sha256_file, staged_folder
from gnomon.data.blocks import FRAME_BYTES, Block
from gnomon.data.corpus import Corpus
from gnomon.data.duplicates.minhash import FORM, Bands, band_hashes
from gnomon.data.engine import Job
from gnomon.data.worker import Tell


def name_of(bands: Bands, key: str) -> str:
    """Return what the names of the folders begin with that hold the band hashes of a folder of blocks."""
    return f"{key}-{FORM}-{bands.count}x{bands.rows}"


def _folder(bands: Bands, block: Path) -> Path:
    return block.parent.with_name(f"{name_of(bands, block.parent.name)}-{block.name}")


def load_bands(corpus: Corpus, block: int, bands: Bands) -> np.ndarray:
    """Return the band hashes of a block, once the jobs have written them: uint64 [documents, bands]."""
    return load_array(_folder(bands, corpus.block(block).folder) / "bands.npy")


def band_jobs(corpus: Corpus, bands: Bands) -> list[Job]:
    """Return the jobs that write the band hashes of every block."""
    jobs = []
    for b, (_, rows) in enumerate(corpus.blocks()):
        block = corpus.block(b).folder
        args = {"block": str(block), "folder": str(_folder(bands, block)), "bands": [bands.count, bands.rows]}
        jobs.append(Job("gnomon.data.duplicates.banding:write_bands", args, int(rows["bytes"].sum(dtype=np.int64))))
    return jobs


def write_bands(args: dict[str, Any], tell: Tell) -> None:
    """Write the band hashes of a block's texts, unless that has been done."""
    folder, bands = Path(args["folder"]), Bands(*args["bands"])
    if _sound(folder):
        return
    block, done = Block(Path(args["block"])), 0
    parts, sizes = [np.zeros((0, bands.count), np.uint64)], block.documents["bytes"].cumsum(dtype=np.int64)
    while done < len(sizes):
        before = int(sizes[done - 1]) if done else 0
        stop = max(done + 1, int(np.searchsorted(sizes, before + FRAME_BYTES)))
        parts.append(band_hashes(list(block.texts(range(done, min(stop, len(sizes))))), bands))
        done = min(stop, len(sizes))
        tell(int(sizes[done - 1]))
    with staged_folder(folder.parent, "bands") as staged:
        write_array(path := staged.path / "bands.npy", np.concatenate(parts))
        (staged.path / "result.json").write_bytes(canonical_json({"sha256": sha256_file(path)}))
        faults.point("prepare.banded")
        staged.publish_once(folder)


def _sound(folder: Path) -> bool:
    """Return whether the hashes are there and as they were written. Damaged ones are taken away."""
    try:
        if orjson.loads((folder / "result.json").read_bytes())["sha256"] == sha256_file(folder / "bands.npy"):
            return True
    except (OSError, ValueError, KeyError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return False
