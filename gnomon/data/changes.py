"""Texts that stand instead of some documents of a block, in a folder beside it, so that no memory holds them.

<folder>/documents.npy    the rows of all documents of the block, those of the changed ones anew, see blocks.DOCUMENT
<folder>/layers.npy       uint8 [documents]: where each text lies: 0 in the block, n in its n-th folder of changes
<folder>/texts.zst, frames.npy    the changed texts, as in a block
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import zstandard

from gnomon.base.arrays import write_array
from gnomon.base.files import staged_folder
from gnomon.data.blocks import FRAME_BYTES, Block, halves_of
from gnomon.data.document import fingerprint


def write_changes(block: Block, texts: Iterable[tuple[int, str]], folder: Path) -> int:
    """Write the texts that stand instead of some documents, by their place in the block, rising, into `folder`; return
    how many they are. The folder is whole or not there; what was in it before is gone.
    """
    rows, layers = np.array(block.documents), np.array(block.layers)
    packer, frames, waiting, count = zstandard.ZstdCompressor(level=1, write_checksum=True), [0], list[bytes](), 0
    with staged_folder(folder.parent, "changes") as staged:
        with (staged.path / "texts.zst").open("wb") as f:

            def end_frame() -> None:
                packed = packer.compress(b"".join(waiting))
                f.write(packed)
                frames.append(frames[-1] + len(packed))
                waiting.clear()

            for place, text in texts:
                data, row = text.encode(), rows[place]
                row["id"] = halves_of(iter([hashlib.sha256(data).digest()]))[0]
                row["key"] = halves_of(iter([fingerprint(text)]))[0]
                row["frame"], row["start"], row["bytes"] = len(frames) - 1, sum(map(len, waiting)), len(data)
                layers[place] = len(block.changes) + 1
                waiting.append(data)
                count += 1
                if int(row["start"]) + len(data) >= FRAME_BYTES:
                    end_frame()
            if waiting:
                end_frame()
        write_array(staged.path / "frames.npy", np.array(frames, np.uint64))
        write_array(staged.path / "documents.npy", rows)
        write_array(staged.path / "layers.npy", layers)
        shutil.rmtree(folder, ignore_errors=True)
        staged.publish(folder)
    return count
