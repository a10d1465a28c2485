"""Checkpoints as an enemy would leave them: one whole one, and ways to spoil it, each drawn from a seed.

A `Forgery` is a checkpoint folder in the making. A spoiler changes its files, its manifest, or what lies there in a
file's place; `lay` writes it out. With `remade` the sizes, hashes and the manifest's digest fit what was changed, so
that the deeper layers meet it; without, they are those of the whole one.
"""

import copy
import io
import json
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from gnomon.base.files import canonical_json, sha256_bytes
from gnomon.store.manifest import describe_bytes

MODEL, OPTIMIZER, NUMBERS = "model.safetensors", "optimizer.safetensors", "state.json"
MANIFEST, DIGEST = "manifest.json", "manifest.json.sha256"
LISTED = (MODEL, OPTIMIZER, NUMBERS)
SLOTS = (*LISTED, MANIFEST, DIGEST)
DEEP = 10_000
Put = Callable[[Path], object]
"""Makes something that is no plain file at a path."""

NASTY: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 2**31, 2**53, 2**63, 2**64 - 1, 2**70, -(2**63), 10**400, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), float("-inf"), "", "0", "2", "nan", "inf", "x" * 100_000, "../x", "/etc/passwd", "a\\b",
    "\0", "\ud800", "é", [], {}, [[]], [0] * 1000, {"a": {"b": []}}, [None, "x"], {"schema": 2},
)  # fmt: skip
BAD_PATHS = (
    "../state.json", "../../x", "/etc/passwd", "/dev/zero", "a/../../x", "a\\..\\x", "C:\\x", "state.json\0", "\0", "",
    ".", "..", "a/b", "x" * 5000, "\ud800", ".hidden", "state.json/", "./state.json", "manifest.json", "nul", "é",
    "missing.safetensors", "model-00001-of-00002.safetensors", "~/x", "$HOME", "state.json ", "file:///x",
)  # fmt: skip


@dataclass
class Forgery:
    """A checkpoint folder in the making; `name` is the folder's, `canary` a file that only foreign code would make."""

    files: dict[str, bytes]
    body: dict[str, Any]
    canary: Path
    remade: bool
    name: str
    puts: dict[str, Put] = field(default_factory=dict)
    late: dict[str, bytes] = field(default_factory=dict)  # in place of what `lay` would write

    def lay(self, checkpoints: Path) -> Path:
        """Write the folder below `checkpoints`, without waiting for any disk, and return it."""
        folder = checkpoints / self.name
        if "." in self.puts:
            self.puts["."](folder)
            return folder
        folder.mkdir(parents=True)
        text = self.late.get(MANIFEST) or any_json(self.body)
        digest = f"{sha256_bytes(text)}\n".encode()
        for name, data in ({MANIFEST: text, DIGEST: digest} | self.files | self.late).items():
            if name not in self.puts:
                (folder / name).write_bytes(data)
        for name, put in self.puts.items():
            put(folder / name)
        return folder

    def change(self, name: str, data: bytes) -> None:
        """Give a file other content, and the manifest its size and hashes if they are to be remade."""
        self.files[name] = data
        if self.remade:
            entry = next(entry for entry in self.body["files"] if entry["path"] == name)
            entry.update(describe_bytes(name, data))

    def said(self) -> Any:
        """What its state.json says."""
        return json.loads(self.files[NUMBERS])


def any_json(value: Any) -> bytes:
    """Return JSON for whatever value, also where it is not allowed to be; canonical where that is possible."""
    try:
        return canonical_json(value)
    except (ValueError, UnicodeEncodeError):
        return json.dumps(value, sort_keys=True).encode()


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the head of a safetensors file, and its data."""
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def repack(head: Any, data: bytes) -> bytes:
    """Return a safetensors file of any head, which may be text already."""
    text = head if isinstance(head, bytes) else any_json(head)
    return struct.pack("<Q", len(text)) + text + data


def deep_json(draw: Random) -> bytes:
    """Return JSON of 10,000 levels, closed or left open."""
    opening, closing = draw.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return opening * DEEP + b"1" + (closing * DEEP if draw.random() < 0.7 else b"")


def garbled(draw: Random, whole: bytes) -> bytes:
    """Return an object's JSON as something that is no proper JSON, or not that object's."""
    first = whole.index(b":") + 1
    word = draw.choice(
        [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 5000, b"9" * 300, b'"\\ud800"', b"1e-999"]
    )
    return draw.choice(
        [
            deep_json(draw),
            b'{"schema":2,"a":' + deep_json(draw) + b"," + whole[1:],
            whole[:-1] + b',"z":' + word + b"}",
            whole[:first] + word + b"," + whole[first:],
            whole[:-1] + b',"z":1,"z":2}',
            whole[:-1] + b"," + whole[1:],
            b"\xef\xbb\xbf" + whole,
            whole.decode().encode("utf-16"),
            whole.replace(b'"', b"'"),
            whole + b"x",
            whole + whole,
            b" " * draw.choice([1, 100_000]) + whole,
            draw.choice([b"null", b"[]", b"{}", b"0", b'""', b"true", b"", b"\0", b"[" + whole + b"]"]),
            whole[:-1] + b',"\\u0000":1}',
            whole[:-1] + b',"\xff":1}',
        ]
    )


def misvalued(draw: Random, whole: bytes) -> bytes:
    """Return JSON in which one value, anywhere, is another, is missing, or has company."""
    value = json.loads(whole)
    place, key = draw.choice(list(_nodes(value)))
    match draw.randrange(4):
        case 0 if isinstance(place, dict):
            del place[key]
        case 1 if isinstance(place, dict):
            place[draw.choice(["extra", "", "__class__", "step", "at_row"])] = draw.choice(NASTY)
        case _:
            place[key] = draw.choice(NASTY)
    return any_json(value)


def flipped(draw: Random, whole: bytes) -> bytes:
    """Return bytes with some of them flipped, set, put in or taken out."""
    data = bytearray(whole)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(len(data) or 1)
        match draw.randrange(4):
            case 0:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                data[at:at] = draw.randbytes(draw.choice([1, 8, 100]))
            case 2:
                del data[at : at + draw.choice([1, 8, 100])]
            case _:
                data[at : at + 1] = bytes(b ^ 1 << draw.randrange(8) for b in data[at : at + 1])
    return bytes(data)


class _Payload:
    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._canary}",)


def pickles(canary: Path) -> tuple[bytes, ...]:
    """Return pickles that make `canary` when they are read: plain ones, and what torch and NumPy write."""
    saved, row = io.BytesIO(), io.BytesIO()
    torch.save({"model": _Payload(canary)}, saved)
    np.save(row, np.array([_Payload(canary)], dtype=object), allow_pickle=True)
    plain = [pickle.dumps(_Payload(canary), protocol) for protocol in (0, 2, 5)]
    return (*plain, saved.getvalue(), row.getvalue())


# Spoilers. Each takes the draw, the forgery, and how many of its kind came before.


def cut(draw: Random, f: Forgery, nth: int) -> None:
    """Cut a file at, before or behind an edge of 4 KB or the end of a head."""
    edges: list[tuple[str, int]] = []
    for name in LISTED:
        size = len(f.files[name])
        ends = {*range(0, size, 4096), size}
        if name != NUMBERS:
            ends |= {8, 8 + struct.unpack("<Q", f.files[name][:8])[0]}
        edges += [(name, at + off) for at in sorted(ends) for off in (-1, 0, 1) if 0 <= at + off < size]
    edges += [(MANIFEST, at) for at in (0, 1, 100)] + [(DIGEST, at) for at in (0, 1, 63)]
    name, at = edges[nth // 2 % len(edges)]
    f.remade = nth % 2 == 1
    if name in LISTED:
        f.change(name, f.files[name][:at])
    else:
        text = any_json(f.body)
        f.late[name] = (text if name == MANIFEST else f"{sha256_bytes(text)}\n".encode())[:at]


def blind(draw: Random, f: Forgery, nth: int) -> None:
    """Flip bits, set, insert and take out bytes anywhere."""
    name = draw.choice(SLOTS)
    text = any_json(f.body)
    if name in LISTED:
        data = f.files[name]
    else:
        data = text if name == MANIFEST else f"{sha256_bytes(text)}\n".encode()
    cut = 2000 if draw.random() < 0.5 else len(data)  # most of the meaning lies in front
    data = flipped(draw, data[:cut]) + data[cut:]
    if name in LISTED:
        f.change(name, data)
    else:
        f.late[name] = data or b"\0"
        if f.remade and name == MANIFEST:
            f.late[DIGEST] = f"{sha256_bytes(data)}\n".encode()


def heads(draw: Random, f: Forgery, nth: int) -> None:
    """Let a head say another dtype, shape or place, the same name twice, or something else altogether."""
    name = draw.choice((MODEL, OPTIMIZER))
    head, data = unpack(f.files[name])
    key = draw.choice(sorted(head))
    entry, other = head[key], head[draw.choice(sorted(head))]
    start, stop = entry["data_offsets"]
    text: bytes | None = None
    match nth % 12:
        case 0:
            entry["dtype"] = draw.choice(
                ["F64", "F16", "BF16", "I32", "U8", "BOOL", "F8_E4M3", "X", "", 7, None, ["F32"]]
            )
        case 1:
            entry["shape"] = draw.choice(
                [[], [0], [-1], entry["shape"][::-1], [*entry["shape"], 1], [2**31, 2**33], [2**63], [True], [1.0],
                 ["1"],
                 [1] * 100, [0, 2**62], {}, None, 5, [*entry["shape"][:-1], 10**30]],
            )  # fmt: skip
        case 2:
            entry["data_offsets"] = draw.choice(
                [[stop, start], [start, stop + 4], [start + 4, stop + 4], [-4, stop - start - 4], [0, 2**63],
                 [0, 2**64],
                 [2**64 - 4, 2**64], [start], [], [start, stop, stop], "0", None, [float(start), float(stop)],
                 [start, 10**30], [str(start), str(stop)], [True, stop]],
            )  # fmt: skip
        case 3:
            entry["data_offsets"] = other["data_offsets"]
        case 4:
            pairs = [f"{json.dumps(k)}:{json.dumps(v)}" for k, v in head.items()]
            text = ("{" + ",".join([*pairs, draw.choice(pairs)]) + "}").encode()
        case 5:
            inner = json.dumps(entry)
            twice = inner[:-1] + f',"dtype":{json.dumps(draw.choice(["F32", "F16"]))}' + "}"
            text = any_json(head).replace(any_json(entry), twice.encode())
        case 6:
            del head[key]
        case 7:
            head[draw.choice(["extra", "", "\0", "x" * 10_000, "../x", "\ud800"])] = copy.deepcopy(entry)
        case 8:
            head["__metadata__"] = draw.choice([{}, {"format": "pt"}, {"a": "x" * 100_000}, None, [], 1, {"a": 1}])
        case 9:
            head[draw.choice(["empty", "a[0:0]"])] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        case 10:
            for place, value in [(head, key), (entry, draw.choice(sorted(entry)))]:
                if draw.random() < 0.5:
                    place[value] = draw.choice(NASTY)
        case _:
            data = draw.choice([data + b"\0", data[:-1], b"", data + bytes(100_000), data[4:] + data[:4]])
    f.change(name, repack(text if text is not None else head, data))


def lengths(draw: Random, f: Forgery, nth: int) -> None:
    """Lie about the length of a head."""
    name = (MODEL, OPTIMIZER)[nth % 2]
    true = struct.unpack("<Q", f.files[name][:8])[0]
    size = len(f.files[name])
    lies = [0, 1, 2, 7, 8, true - 1, true + 1, true + 64, size - 9, size - 8, size - 7, size, size + 1, 2**31 - 1,
            2**31,
            2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, draw.randrange(2**64), draw.randrange(size)]  # fmt: skip
    f.change(name, struct.pack("<Q", lies[nth // 2 % len(lies)]) + f.files[name][8:])


def texts(draw: Random, f: Forgery, nth: int) -> None:
    """Put JSON that is no proper JSON, or too much of it, where JSON is read."""
    slot = (MANIFEST, NUMBERS, MODEL, OPTIMIZER)[nth % 4]
    whole = any_json(f.body) if slot == MANIFEST else f.files[NUMBERS] if slot == NUMBERS else any_json(_head(f, slot))
    spoiled = garbled(draw, whole)
    if slot == MANIFEST:
        f.late[MANIFEST] = spoiled or b" "
    elif slot == NUMBERS:
        f.change(slot, spoiled)
    else:
        f.change(slot, repack(spoiled, unpack(f.files[slot])[1]))


def huge(draw: Random, f: Forgery, nth: int) -> None:
    """Let JSON be large: the manifest, a head, the numbers."""
    filling = [b"0," * 400_000 + b"0", b"{}," * 300_000 + b"{}", b'"a",' * 200_000 + b'"b"', b"[]," * 300_000 + b"[]"]
    mass = b"[" + filling[nth % 4] + b"]"
    keys = b",".join(b'"%d":0' % i for i in range(100_000))
    text = any_json(f.body)
    match nth % 6:
        case 0:
            f.late[MANIFEST] = text[:-1] + b',"x":' + mass + b"}"
        case 1:
            f.late[MANIFEST] = text.replace(any_json(f.body["files"]), mass)
        case 2:
            chunks = any_json(f.body["files"][0]["chunks"])
            f.late[MANIFEST] = text.replace(chunks, mass, 1)
        case 3:
            f.late[MANIFEST] = text.replace(any_json(f.body["metrics"]), b"{" + keys + b"}")
        case 4:
            f.change(NUMBERS, f.files[NUMBERS][:-1] + b',"x":' + draw.choice([mass, mass[:600_000] + b"0]"]) + b"}")
        case _:
            name = draw.choice((MODEL, OPTIMIZER))
            head, data = unpack(f.files[name])
            empty = {f"e{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(9000)}
            text = any_json(head | empty) if draw.random() < 0.5 else any_json(head)[:-1] + b',"x":' + mass + b"}"
            f.change(name, repack(text, data))


def paths(draw: Random, f: Forgery, nth: int) -> None:
    """Let the manifest name files that lie elsewhere, twice, or nowhere."""
    entry = f.body["files"][nth % 3]
    bad = BAD_PATHS[nth // 3 % len(BAD_PATHS)]
    if draw.random() < 0.5:
        entry["path"] = bad
    else:
        f.body["files"].append(copy.deepcopy(entry) | {"path": draw.choice([bad, entry["path"]])})


def things(draw: Random, f: Forgery, nth: int) -> None:
    """Put something that is no plain file where a file should be, or nothing, or one more."""
    slot = (*SLOTS, ".", "extra")[nth % 7]
    outside = f.canary.parent / "outside"
    data = f.files.get(slot, b"{}")

    def link(target: str | Path) -> Put:
        return lambda path: path.symlink_to(target)

    def linked_copy(path: Path) -> None:
        outside.write_bytes(data)
        path.symlink_to(outside)

    def linked_folder(path: Path) -> None:
        path.symlink_to(f.canary.parent, target_is_directory=True)

    def device(path: Path) -> None:
        try:
            os.mknod(path, 0o20666, os.makedev(1, 5))
        except OSError:  # only a superuser may
            path.symlink_to("/dev/zero")

    def socket(path: Path) -> None:
        os.mknod(path, 0o140666)

    puts: list[Put] = [
        linked_copy, linked_folder, link(slot), link("nowhere"), link("/dev/zero"), link("/dev/stdin"),
        link("/proc/self/mem"),
        os.mkfifo, device, socket, lambda path: path.mkdir(), lambda path: None, lambda path: path.write_bytes(b""),
    ]  # fmt: skip
    f.puts[slot] = puts[nth // 7 % len(puts)]


def pickled(draw: Random, f: Forgery, nth: int) -> None:
    """Put a pickle that runs a command into every slot, in a tensor's bytes, and beside the files."""
    slot = (*SLOTS, "extra.pt", "data.pkl", "tensor")[nth % 8]
    payload = pickles(f.canary)[nth // 8 % 5]
    if slot in LISTED:
        f.change(slot, payload)
    elif slot == "tensor":
        head, data = unpack(f.files[MODEL])
        f.change(MODEL, repack(head, payload[: len(data)] + data[len(payload) :]))
    else:
        f.late[slot] = payload
        if slot == MANIFEST and f.remade:
            f.late[DIGEST] = f"{sha256_bytes(payload)}\n".encode()


def schemas(draw: Random, f: Forgery, nth: int) -> None:
    """Claim another schema."""
    claims = (0, 99, "2", True, 1, 3, -1, 2.0, None, [], 2**70, "", {}, "two", [2], False, 1.0)
    f.body["schema"] = claims[nth % len(claims)]
    if nth // len(claims) % 4 == 3:
        del f.body["schema"]
    if draw.random() < 0.3:
        f.body["written_schema"] = draw.choice([1, 2, 99, -1, "1"])


def slices(draw: Random, f: Forgery, nth: int) -> None:
    """Name tensors as slices that make a whole, or do not."""
    name = (MODEL, OPTIMIZER)[nth % 2]
    head, data = unpack(f.files[name])
    keys = [k for k, v in head.items() if len(v["shape"]) > 0 and v["shape"][0] >= 4 and v["dtype"] == "F32"]
    key = draw.choice(sorted(keys))
    entry = head.pop(key)
    rows, (start, stop) = entry["shape"][0], entry["data_offsets"]
    at, mid = rows // 2, start + (stop - start) // rows * (rows // 2)
    lower, upper = (
        {"dtype": "F32", "shape": [n, *entry["shape"][1:]], "data_offsets": place}
        for n, place in ((at, [start, mid]), (rows - at, [mid, stop]))
    )
    one, two = f"{key}[0:{at}]", f"{key}[{at}:{rows}]"
    match nth // 2 % 16:
        case 0:
            head |= {one: lower, two: upper}  # a whole
        case 1:
            head |= {f"{key}[0:{at}]": upper, f"{key}[{at}:{rows}]": lower}  # a whole, the other way round
        case 2:
            head |= {one: lower, f"{key}[{at + 1}:{rows + 1}]": upper}
        case 3:
            head |= {one: lower, f"{key}[0:{rows - at}]": upper}
        case 4:
            head |= {f"{key}[0:{10**15}]": lower, two: upper}
        case 5:
            head |= {f"{key}[0:{'9' * 5000}]": lower, two: upper}
        case 6:
            head |= {one: lower}
            data = data[:mid] + bytes(stop - mid) + data[stop:]
        case 7:
            head |= {key: lower, two: upper}
        case 8:
            head |= {f"{key}[-1:{at}]": lower, two: upper}
        case 9:
            head |= {f"{key}[0:{rows}]": entry | {"shape": []}}
        case 10:
            head |= {f"{key}[0:{rows}]": entry}
        case 11:
            head |= {one: lower, two: upper | {"dtype": "I32"}}
        case 12:
            head |= {one: lower, two: upper | {"shape": [1, *upper["shape"]]}}
        case 13:
            head |= {f"{key}[0:{rows}][0:{rows}]": entry}
        case 14:
            head |= {f"{key}[٠:{at}]": lower, two: upper}
        case _:
            head |= {
                one: lower,
                two: upper,
                f"{key}[{rows}:{rows}]": lower | {"shape": [0], "data_offsets": [stop, stop]},
            }
    f.change(name, repack(head, data))


def numbers(draw: Random, f: Forgery, nth: int) -> None:
    """Let state.json say wrong numbers, too few or too many."""
    said = f.said()
    key = sorted(said)[nth % len(said)]
    if draw.random() < 0.8:
        said[key] = NASTY[nth // len(said) % len(NASTY)]
    elif draw.random() < 0.5:
        del said[key]
    else:
        said[draw.choice(["extra", "__class__", "model_config", ""])] = draw.choice(NASTY)
    f.change(NUMBERS, any_json(said))


def claims(draw: Random, f: Forgery, nth: int) -> None:
    """Let the manifest claim wrong sizes, hashes and chunks, or give any node of it another value."""
    entry = draw.choice(f.body["files"])
    match nth % 8:
        case 0:
            entry["bytes"] = draw.choice(
                [-1, 0, 1, 2**40, 2**52, 2**53, 2**63, 2**70, "1", None, True, 1.0, entry["bytes"] + 1]
            )
        case 1:
            entry["chunks"] = draw.choice(
                [[], entry["chunks"] * 2, entry["chunks"] * 10_000, None, "x", [0], [None], ["0" * 16]]
            )
        case 2:
            entry["sha256"] = draw.choice(
                ["", "0" * 64, entry["sha256"].upper(), None, 0, "0" * 63, entry["sha256"] + "\n"]
            )
        case 3:
            entry.pop(draw.choice(sorted(entry)))
        case 4:
            f.body.pop(draw.choice(sorted(f.body)))
        case 5:
            f.body[draw.choice(["extra", "version", "model_config", "__dict__", "", "\ud800"])] = draw.choice(NASTY)
        case 6:
            f.body["metrics"] = {draw.choice(["is_best", "best_loss", "\ud800", "x" * 10_000]): draw.choice(NASTY)}
        case _:
            place, key = draw.choice(list(_nodes(f.body)))
            place[key] = draw.choice(NASTY)


def names(draw: Random, f: Forgery, nth: int) -> None:
    """Give the folder the name of another sequence or step, or one that is no checkpoint's."""
    f.name = (
        "000002-step-00000011", "000003-step-00000010", "999999-step-00000010", "000002-step-99999999",
        f"{'9' * 200}-step-00000010", f"000002-step-{'9' * 200}", "2-step-10", "٠٠٠٠٠٢-step-00000010", "x",
        "000002-step-00000010x",
        ".staging-000002-step-00000010", "quarantine", "LATEST", "000002-step-00000010 ", "\udcff-step",
    )[nth % 15]  # fmt: skip
    if draw.random() < 0.5:
        f.body |= draw.choice([{"step": 11}, {"sequence": 3}, {"sequence": 999999}, {"step": 99999999}])


def values(draw: Random, f: Forgery, nth: int) -> None:
    """Put numbers into tensors that no training could have made."""
    name = (MODEL, OPTIMIZER, OPTIMIZER)[nth % 3]
    head, data = unpack(f.files[name])
    wanted = [k for k in head if name == MODEL or nth % 3 == 1 or k.startswith("guard.")]
    entry = head[draw.choice(sorted(wanted))]
    start, stop = entry["data_offsets"]
    code = {"F32": "<f", "I64": "<q", "U8": "<B"}[entry["dtype"]]
    bad = {
        "F32": [float("nan"), float("inf"), float("-inf"), -1.0, 3e38, 1e-45, -0.0],
        "I64": [-1, 2**63 - 1, -(2**63), 2**40],
        "U8": [1, 2, 255],
    }[entry["dtype"]]
    value = struct.pack(code, draw.choice(bad))
    at = draw.randrange(start, stop, len(value))
    f.change(name, repack(head, data[:at] + value + data[at + len(value) :]))


_ROUND = (
    cut, blind, heads, lengths, texts, paths, things, pickled, schemas, slices, numbers, claims, names, values,
    cut, blind, heads, blind, texts, claims, things, heads, values, slices, numbers, claims, blind,
)  # fmt: skip
SPOILERS = (*_ROUND, huge, *_ROUND * 9)
"""Every kind, in the order in which they take turns; those with more ways come more often, the slow ones seldom."""


def _head(f: Forgery, name: str) -> dict[str, Any]:
    return unpack(f.files[name])[0]


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _nodes(value[key])
