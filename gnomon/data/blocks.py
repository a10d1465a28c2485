"""Blocks: documents as they were read, cleaned and measured, once, in folders that are whole or not there.

<root>/<name>/.blocks/<key>/00000/    key: of the files' content, the place in a file and what was asked of it
    texts.zst       frames of about 1 MiB of text
    frames.npy      where each frame begins, and where the last one ends: uint64
    documents.npy   a row a document, see DOCUMENT
    ids.zst         the records' own ids, one after another
    scores.npy      for quality rules: float32 [documents, scores]
    languages.npy   the likeliest language of each document and its probability, see language.LANGUAGE
    parts.zst       of structured documents: the parts of each, see parts.py, one after another
    parts.npy       where those of each begin, and where the last ones end: uint64
    groups.npy      a hash of what keeps it on one side of the split with others; 0: nothing
    labels.npy      of questions: what is known of each, see store/labels.py
    domains.npy     for domains: what of all that rules ask is true of each document, bool [documents, asked]
<root>/<name>/.blocks/<key>/result.json     how much is in them, and what could not be used
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from gnomon.base import faults
from gnomon.base.arrays import load_array, write_array
from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json, sha256_bytes, sha256_file, staged_folder, storage_errors
from gnomon.data.classification.classifier import load_classifier
from gnomon.data.classification.domains import Asked, Sorter, fields_of
from gnomon.data.classification.language import LANGUAGE, identify
from gnomon.data.cleaning.clean import repair_all
from gnomon.data.cleaning.pii import replace_all
from gnomon.data.cleaning.quality import SCORES, measure
from gnomon.data.document import Document, Part, Removed, fingerprint
from gnomon.data.forms.chat import spoken_in
from gnomon.data.forms.form import TEXT, Form
from gnomon.data.parts import Beside, cleaned, parts_of
from gnomon.data.reading.read import Source, read_documents
from gnomon.data.reading.span import Span
from gnomon.data.worker import Tell

FRAME_BYTES = 1 << 20
"""Of text, about: what is cleaned, measured and packed at once."""
BLOCK_BYTES = 32 << 20
"""Of text, about: what is encoded at once. Bounds the memory of every worker."""
DOCUMENT = np.dtype(
    [
        ("id", "<u8", (2,)),  # the document's id as a number, the first half first
        ("key", "<u8", (2,)),  # equal for equal texts that say the same before an answer
        ("own", "<u8"),  # a hash of its record's own id; 0: it has none
        ("line", "<u8"),
        ("file", "<u4"),  # of those that were read together, from 0
        ("part", "<u4"),  # of a long record, from 1
        ("frame", "<u4"),
        ("start", "<u4"),  # byte of the frame
        ("bytes", "<u4"),
        ("named", "<u2"),  # bytes of its record's own id
        ("goes_on", "<u1"),  # 1: a later part of the text that the document before it is of
    ]
)


@dataclass(frozen=True)
class Wanted:
    """What is asked of every document: the options that decide what a block holds."""

    text_field: str
    separator: str | None
    id_field: str | None  # what the records' own ids stand under
    repair: bool = False
    pii: bool = False
    scores: bool = False
    domains: Sequence[Asked] = ()
    classifier: str | None = None  # hash of its file
    languages: str | None = None  # by which library they are told apart
    form: Mapping[str, Any] = field(default_factory=lambda: vars(TEXT))  # as Form takes it


def key_of(files: Sequence[tuple[str, Path]], span: Span, wanted: Wanted) -> str:
    """Return the name of the blocks of files, by hash and path, or of a span of one: equal content, kinds and options,
    equal name.
    """
    said = [[sha256, "".join(path.suffixes[-2:]).lower()] for sha256, path in files]
    asked = asdict(wanted)
    asked |= Form(**asked.pop("form")).said
    what = {"files": said, "span": asdict(span), "wanted": asked, "form": 2}
    return sha256_bytes(canonical_json(what))[:32]


def make_blocks(args: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Read files, or a span of one, into blocks, unless that has been done; return what `result.json` says of them.

    `files` are path, bytes and stamp of each. Raises DataError for one that cannot be read, or that another program
    changed after its hash was taken.
    """
    folder = Path(args["folder"])
    if known := _known(folder):
        return known
    shutil.rmtree(folder, ignore_errors=True)  # a damaged one
    with staged_folder(folder.parent, "blocks") as staged:
        wanted, before = Wanted(**args["wanted"]), 0
        writer = _Writer(staged.path, wanted, args["classifier"])
        for number, (name, size, stamp) in enumerate(args["files"]):
            source, writer.file = Source(Path(name), "", size), number
            at = partial(_told, tell, before)
            options = wanted.text_field, wanted.separator, writer.note, at, Span(**args["span"]), wanted.id_field
            form = Form(**wanted.form)
            for document in read_documents(source, *options, fields_of(wanted.domains), form):
                writer.add(document)
            _refuse_changed(source.path, stamp)
            before += size
        writer.close()
        result = {
            "blocks": writer.blocks,
            "documents": writer.documents,
            "bytes": writer.bytes,
            "repaired": dict(sorted(writer.repaired.items())),
            "replaced": dict(sorted(writer.replaced.items())),
            "unusable": sorted(writer.unusable),
            "arrays": {
                p.relative_to(staged.path).as_posix(): sha256_file(p) for p in sorted(staged.path.glob("*/*.npy"))
            },
        }
        (staged.path / "result.json").write_bytes(canonical_json(result))
        faults.point("prepare.source_read")
        staged.publish_once(folder)
    return result


def _told(tell: Tell, before: int, at: int) -> None:
    tell(before + at)


def _known(folder: Path) -> dict[str, Any] | None:
    """Return what a folder of blocks says of itself; None where there is none, or an array in it is damaged."""
    try:
        result = orjson.loads((folder / "result.json").read_bytes())
        sound = all(sha256_file(folder / name) == sha256 for name, sha256 in result["arrays"].items())
    except (OSError, ValueError, KeyError):
        return None
    return result if sound else None


def stamp_of(path: Path) -> list[int]:
    """Return what changes with a file when it is written to: its size and its time."""
    with storage_errors(path):
        found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _refuse_changed(path: Path, stamp: list[int]) -> None:
    if stamp_of(path) != stamp:
        raise DataError(
            "the text changed while it was read",
            where=str(path),
            do="run the same command again when nothing else writes there",
        )


class _Writer:
    """Takes documents one by one and writes blocks, frame by frame."""

    def __init__(self, folder: Path, wanted: Wanted, classifier: str | None) -> None:
        self._folder, self._wanted = folder, wanted
        learned = load_classifier(Path(classifier))[0] if classifier else None
        self._sorter = Sorter(wanted.domains, learned) if wanted.domains or learned else None
        self.file = 0  # that is being read
        self.unusable: list[tuple[int, int, int, str, str]] = []  # file, line, part, reason, detail
        self._begun = False  # a part of the text that the next document may go on from is kept
        self.repaired, self.replaced = Counter[str](), Counter[str]()
        self.blocks = self.documents = self.bytes = 0
        self._packer = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._open: Any = None
        self._reset()

    def _reset(self) -> None:
        self._rows: list[np.ndarray] = []
        self._frames, self._in_block = [0], 0
        self._scores: list[np.ndarray] = []
        self._domains: list[np.ndarray] = []
        self._languages: list[np.ndarray] = []
        self._own_ids: list[bytes] = []
        self._beside = Beside(self._wanted.form["name"])
        self._waiting: list[tuple[int, Document]] = []
        self._waiting_bytes = 0

    def note(self, removed: Removed) -> None:
        """Take down that a record of the file cannot be used."""
        self._note(self.file, removed)

    def _note(self, file: int, removed: Removed) -> None:
        self.unusable.append((file, *_place(removed.origin), removed.reason, removed.detail))

    def add(self, document: Document) -> None:
        """Take one document."""
        self._waiting.append((self.file, document))
        self._waiting_bytes += len(document.text)
        if self._waiting_bytes >= FRAME_BYTES:
            self._end_frame()
            if self._in_block >= BLOCK_BYTES:
                self._end_block()

    def close(self) -> None:
        """Write what is left. There is a block also where there is no document."""
        self._end_frame()
        if self._rows or not self.blocks:
            self._end_block()

    def _end_frame(self) -> None:
        texts, kept = self._cleaned()
        self._waiting, self._waiting_bytes = [], 0
        if not texts:
            return
        if self._open is None:
            (self._folder / f"{self.blocks:05d}").mkdir()
            self._open = (self._folder / f"{self.blocks:05d}" / "texts.zst").open("wb")
        encoded = [text.encode() for text in texts]
        rows = np.zeros(len(texts), DOCUMENT)
        sizes = np.array([len(data) for data in encoded], np.int64)
        rows["id"] = halves_of(hashlib.sha256(data).digest() for data in encoded)
        said = (spoken_in(document.parts) if self._wanted.form["name"] == "chat" else "" for _, document, _ in kept)
        rows["key"] = halves_of(fingerprint(text + more) for text, more in zip(texts, said, strict=True))
        own_ids = [document.own_id.encode() for _, document, _ in kept]
        self._own_ids += own_ids
        rows["own"] = [int.from_bytes(hashlib.sha256(own).digest()[:8]) | 1 if own else 0 for own in own_ids]
        rows["named"] = [len(own) for own in own_ids]
        rows["file"], rows["goes_on"] = [file for file, _, _ in kept], [goes_on for _, _, goes_on in kept]
        rows["line"], rows["part"] = np.array([_place(d.origin) for _, d, _ in kept], np.uint64).T
        rows["frame"] = len(self._frames) - 1
        rows["start"], rows["bytes"] = sizes.cumsum() - sizes, sizes
        self._rows.append(rows)
        if self._wanted.scores:
            self._scores.append(measure(texts))
        if self._wanted.languages:
            self._languages.append(identify(texts))
        if self._sorter:
            self._domains.append(self._sorter.sort(texts, [d.fields for _, d, _ in kept], rows["goes_on"]))
        packed = self._packer.compress(b"".join(encoded))
        self._open.write(packed)
        self._frames.append(self._frames[-1] + len(packed))
        self.documents, self.bytes = self.documents + len(rows), self.bytes + int(sizes.sum())
        self._in_block += int(sizes.sum())

    def _cleaned(self) -> tuple[list[str], list[tuple[int, Document, bool]]]:
        """Return the waiting documents' texts as they are kept; of each its file, the document as it was, and whether
        it goes on from the one before it. Of what is empty then, a note.
        """
        texts = [document.text for _, document in self._waiting]
        if self._wanted.form["name"] != "text":
            return self._cleaned_parts()
        if self._wanted.repair:
            texts, counts = repair_all(texts)
            self.repaired += counts
        kept, whole = [], []
        for (file, document), text in zip(self._waiting, texts, strict=True):
            self._begun &= document.goes_on
            if not text.strip():
                self._note(file, Removed(document.origin, "empty"))
                continue
            kept.append((file, document, self._begun))
            whole.append(text)
            self._begun = True
        if self._wanted.pii:
            whole, counts = replace_all(whole)
            self.replaced += counts
        return whole, kept

    def _cleaned_parts(self) -> tuple[list[str], list[tuple[int, Document, bool]]]:
        """Return what `_cleaned` does of structured documents: the content of each part is cleaned by itself."""
        found = [document for _, document in self._waiting]
        if self._wanted.repair:
            found, counts = cleaned(found, repair_all)
            self.repaired += counts
        if self._wanted.pii:
            found, counts = cleaned(found, replace_all)
            self.replaced += counts
        kept = []
        for (file, _), document in zip(self._waiting, found, strict=True):
            if document.text.strip():
                kept.append((file, document, False))
            else:
                self._note(file, Removed(document.origin, "empty"))
        self._beside.add([document for _, document, _ in kept])
        return [document.text for _, document, _ in kept], kept

    def _end_block(self) -> None:
        folder = self._folder / f"{self.blocks:05d}"
        folder.mkdir(exist_ok=True)
        if self._open is None:
            (folder / "texts.zst").write_bytes(b"")
        else:
            self._open.close()
            self._open = None
        write_array(folder / "frames.npy", np.array(self._frames, np.uint64))
        write_array(folder / "documents.npy", np.concatenate(self._rows) if self._rows else np.zeros(0, DOCUMENT))
        (folder / "ids.zst").write_bytes(self._packer.compress(b"".join(self._own_ids)))
        if self._wanted.scores:
            write_array(folder / "scores.npy", np.concatenate([np.zeros((0, len(SCORES)), np.float32), *self._scores]))
        if self._wanted.languages:
            write_array(folder / "languages.npy", np.concatenate([np.zeros(0, LANGUAGE), *self._languages]))
        if self._sorter:
            none = np.zeros((0, self._sorter.width), bool)
            write_array(folder / "domains.npy", np.concatenate([none, *self._domains]))
        self._beside.write(folder)
        self.blocks += 1
        self._reset()


def halves_of(digests: Iterator[bytes]) -> np.ndarray:
    """Return the first 16 bytes of each digest as two numbers, as ids and keys are stored: uint64 [n, 2]."""
    return np.frombuffer(b"".join(digest[:16] for digest in digests), ">u8").reshape(-1, 2)


def _place(origin: str) -> tuple[int, int]:
    """Return line and part of an origin such as `:12#3`."""
    line, _, part = origin.rpartition(":")[2].partition("#")
    return int(line), int(part or 1)


class Block:
    """The documents of one block, read when they are asked for.

    `changes` are folders of texts that stand instead of some of them, see changes.py; the last one has the rows.
    """

    def __init__(self, folder: Path, changes: Sequence[Path] = ()) -> None:
        self.folder, self.changes = folder, list(changes)
        self._frames: dict[int, tuple[int, bytes]] = {}  # the last one of the block (0) and of each of its changes

    @cached_property
    def documents(self) -> np.ndarray:
        """A row a document, see DOCUMENT; memory-mapped."""
        return load_array([self.folder, *self.changes][-1] / "documents.npy")

    @cached_property
    def layers(self) -> np.ndarray:
        """Where the text of each document lies: 0 in the block, n in the n-th of its changes."""
        return load_array(self.changes[-1] / "layers.npy") if self.changes else np.zeros(len(self.documents), np.uint8)

    def texts(self, chosen: Sequence[int] | np.ndarray) -> Iterator[str]:
        """Yield the texts of documents, given in rising order."""
        rows, layers = self.documents, self.layers
        for i in chosen:
            row = rows[int(i)]
            data = self._read(int(layers[int(i)]), int(row["frame"]))
            yield data[int(row["start"]) : int(row["start"]) + int(row["bytes"])].decode()

    def parts(self, chosen: Sequence[int] | np.ndarray) -> Iterator[list[Part]]:
        """Yield the parts of structured documents, given in rising order."""
        for i, text in zip(chosen, self.texts(chosen), strict=True):
            start, stop = self._bounds[int(i) : int(i) + 2].tolist()
            yield parts_of(self._packed_parts[start:stop], text)

    @property
    def structured(self) -> bool:
        """Whether the documents have parts."""
        return (self.folder / "parts.npy").exists()

    @property
    def labels(self) -> np.ndarray | None:
        """What is known of each document's question, see store/labels.py; None where they are none."""
        path = self.folder / "labels.npy"
        return load_array(path) if path.exists() else None

    @property
    def groups(self) -> np.ndarray:
        """Which documents stay on one side of the split: equal numbers, but for 0."""
        path = self.folder / "groups.npy"
        return load_array(path) if path.exists() else np.zeros(len(self.documents), np.uint64)

    @cached_property
    def _bounds(self) -> np.ndarray:
        return load_array(self.folder / "parts.npy")

    @cached_property
    def _packed_parts(self) -> bytes:
        return self._unpacked((self.folder / "parts.zst").read_bytes())

    def own_ids(self, chosen: Sequence[int] | np.ndarray) -> list[str]:
        """Return the own ids of documents' records; "" for one without."""
        data, ends, sizes = self._own
        return [data[e - n : e].decode() for e, n in zip(ends[chosen].tolist(), sizes[chosen].tolist(), strict=True)]

    @cached_property
    def _own(self) -> tuple[bytes, np.ndarray, np.ndarray]:
        sizes = self.documents["named"].astype(np.int64)
        return self._unpacked((self.folder / "ids.zst").read_bytes()), sizes.cumsum(), sizes

    def _read(self, layer: int, frame: int) -> bytes:
        known = self._frames.get(layer)
        if known is None or known[0] != frame:
            folder = self.changes[layer - 1] if layer else self.folder
            start, stop = load_array(folder / "frames.npy")[frame : frame + 2].tolist()
            with (folder / "texts.zst").open("rb") as f:
                f.seek(start)
                packed = f.read(stop - start)
            known = self._frames[layer] = frame, self._unpacked(packed)
        return known[1]

    def _unpacked(self, packed: bytes) -> bytes:
        try:
            return zstandard.ZstdDecompressor().decompress(packed)
        except zstandard.ZstdError:
            raise damaged_block(self.folder) from None


def damaged_block(folder: Path) -> IntegrityError:
    """Return the error for a block whose texts are not what was read."""
    return IntegrityError(
        "a text that was read is not what it was",
        where=str(folder.parent),
        do="remove this folder and run the same command again: it reads the file anew",
    )
