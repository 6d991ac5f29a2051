"""A sound file made a damaged or hostile one, by lot: bytes, TIFF tags, JSON, text, HDF5."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Rng = np.random.Generator
INTEGERS = (0, 1, 2, 3, 7, 255, 256, 2**15, 2**16 - 1, 2**20, 2**31 - 1, 2**31, 2**32 - 1)
VALUES: tuple[object, ...] = (
    None, True, "", "x" * 5000, "../../etc/passwd", "\0", "µ\ud7ff", -1, 0, 1, 2**31, 2**63, 2**70,
    10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf"), [], {}, [[]], [None], [[1, 2], [3]],
    {"": {}}, [0] * 5000, "NaN", "9" * 400,
)  # fmt: skip
TOKENS = ("", "nan", "inf", "-1e999", "1e308", '"', "'", ",", ",,,,", "\r", "\0", "9" * 400, "é")
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
               16: 8, 17: 8, 18: 8}  # fmt: skip


def mutate(path: Path, rng: Rng) -> str:
    """Damage a file, or one file of a folder, in place; returns what was done."""
    if path.is_dir():
        return _in_folder(path, rng)
    suffixes = path.name.lower()
    ways: list[Callable[[Path, Rng], str]] = [_bytes]
    if suffixes.endswith((".tif", ".svs")):
        ways = [_tags, _tags, _bytes, _head]
    elif suffixes.endswith((".geojson", ".json")):
        ways = [_json, _json, _json, _bytes]
    elif suffixes.endswith((".csv", ".toml")):
        ways = [_text, _text, _bytes]
    elif suffixes.endswith(".h5ad"):
        ways = [_hdf5, _bytes]
    elif suffixes.endswith(".safetensors"):
        ways = [_safetensors, _safetensors, _bytes, _head]
    elif suffixes.endswith((".pth", ".parquet", ".png", ".gz")):
        ways = [_bytes, _head, _tail]
    return ways[rng.integers(len(ways))](path, rng)


def _in_folder(path: Path, rng: Rng) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file())
    told = [p for p in files if p.name.startswith((".z", "zarr.json"))]
    chosen = told if told and rng.random() < 0.7 else files
    file = chosen[rng.integers(len(chosen))]
    name = str(file.relative_to(path))
    what = rng.random()
    if what < 0.06:
        file.unlink()
        return f"{name}: removed"
    if what < 0.1:
        file.unlink()
        file.mkdir()
        return f"{name}: a folder in its place"
    if file in told and what < 0.85:
        return f"{name}: {_json(file, rng)}"
    return f"{name}: {_bytes(file, rng)}"


# ---- bytes -------------------------------------------------------------------------------------


def _bytes(path: Path, rng: Rng, first: int = 0, last: int | None = None) -> str:
    """One to eight changes of bytes, or a piece lost, doubled or put in."""
    content = bytearray(path.read_bytes())
    stop = len(content) if last is None else min(last, len(content))
    if stop <= first:
        return "nothing"
    kind = rng.integers(8)
    at = int(rng.integers(first, stop))
    size = int(min(rng.integers(1, 400), stop - at))
    if kind <= 2:
        for place in rng.integers(first, stop, rng.integers(1, 9)):
            content[place] = rng.integers(256)
        told = "bytes changed"
    elif kind == 3:
        content[at : at + size] = bytes([int(rng.choice([0, 255]))]) * size
        told = f"{size} bytes blanked at {at}"
    elif kind == 4:
        del content[at:]
        told = f"cut at {at}"
    elif kind == 5:
        del content[at : at + size]
        told = f"{size} bytes lost at {at}"
    elif kind == 6:
        content[at:at] = content[at : at + size]
        told = f"{size} bytes doubled at {at}"
    else:
        width = int(rng.choice([2, 4, 8]))
        value = int(rng.choice(INTEGERS)) % 256**width
        content[at : at + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))
        told = f"{value} written at {at}"
    path.write_bytes(content)
    return told


def _head(path: Path, rng: Rng) -> str:
    return _bytes(path, rng, 0, 512)


def _tail(path: Path, rng: Rng) -> str:
    size = path.stat().st_size
    return _bytes(path, rng, max(0, size - 1024), size)


# ---- TIFF --------------------------------------------------------------------------------------


def _tags(path: Path, rng: Rng) -> str:
    """One field of one entry of one directory: tag, type, count, value or offset."""
    content = bytearray(path.read_bytes())
    order = "<" if content[:2] == b"II" else ">"
    big = content[2] == 43
    entries = _entries(bytes(content), order, big)
    if not entries:
        return _bytes(path, rng)
    at, tag, kind, count = entries[rng.integers(len(entries))]
    word = "Q" if big else "I"
    width = struct.calcsize(word)
    value = int(rng.choice(INTEGERS))
    field = rng.integers(5)
    if field == 0:
        struct.pack_into(f"{order}H", content, at, int(rng.integers(2**16)))
        told = f"tag {tag} renamed"
    elif field == 1:
        struct.pack_into(f"{order}H", content, at + 2, int(rng.integers(20)))
        told = f"type of tag {tag}"
    elif field == 2:
        struct.pack_into(f"{order}{word}", content, at + 4, value % 256**width)
        told = f"count of tag {tag}: {value}"
    else:
        place, size = at + 4 + width, _TYPE_BYTES.get(kind, 1)
        if field == 4 and size * count > width:  # a value that lies elsewhere
            (offset,) = struct.unpack_from(f"{order}{word}", content, place)
            place = offset + size * int(rng.integers(count))
            width = size
        else:
            width = min(width, size * max(count, 1))
        packed = (value % 256**width).to_bytes(width, "little" if order == "<" else "big")
        if place + width <= len(content):
            content[place : place + width] = packed
        told = f"value of tag {tag}: {value}"
    path.write_bytes(content)
    return told


def _entries(content: bytes, order: str, big: bool) -> list[tuple[int, int, int, int]]:
    """(place, tag, type, count) of the entries of all directories that follow each other."""
    head, number, entry, word = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    found: list[tuple[int, int, int, int]] = []
    (at,) = struct.unpack_from(f"{order}{word}", content, head)
    for _ in range(8):
        if not 0 < at < len(content) - 8:
            break
        (n,) = struct.unpack_from(f"{order}{number}", content, at)
        at += struct.calcsize(number)
        for _ in range(min(n, 100)):
            tag, kind, count = struct.unpack_from(f"{order}HH{word}", content, at)
            found.append((at, tag, kind, count))
            at += entry
        (at,) = struct.unpack_from(f"{order}{word}", content, at)
    return found


# ---- text --------------------------------------------------------------------------------------


def _json(path: Path, rng: Rng) -> str:
    """One to three values of a JSON document replaced, lost, renamed, or buried deep."""
    top = json.loads(path.read_text(encoding="utf-8"))
    told = [changed_json(top, rng) for _ in range(rng.integers(1, 4))]
    path.write_text(json.dumps(top, ensure_ascii=False), encoding="utf-8", errors="replace")
    return "; ".join(told)


def changed_json(top: Any, rng: Rng) -> str:
    """Change one value somewhere in a document of lists and objects, in place."""
    places: list[tuple[Any, Any]] = []
    waiting = [top]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    if not places:
        return "nothing"
    node, key = places[rng.integers(len(places))]
    kind = rng.integers(6)
    if kind == 0:
        del node[key]
        return f"{key} lost"
    if kind == 1 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
        return f"{key} renamed"
    if kind == 2:
        deep: object = node[key]
        for _ in range(int(rng.integers(1, 60))):
            deep = [deep]
        node[key] = deep
        return f"{key} buried"
    value = VALUES[rng.integers(len(VALUES))]
    node[key] = value
    return f"{key} = {str(value)[:20]}"


def _text(path: Path, rng: Rng) -> str:
    """Fields of a table of text changed, or lines lost, doubled or joined."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = int(rng.integers(len(lines)))
    kind = rng.integers(5)
    if kind == 0:
        del lines[at]
        told = f"line {at} lost"
    elif kind == 1:
        lines[at:at] = [lines[at]] * int(rng.integers(1, 4))
        told = f"line {at} doubled"
    elif kind == 2:
        lines = [line.replace(",", str(rng.choice([";", "\t", " "]))) for line in lines]
        told = "another separator"
    else:
        fields = lines[at].split(",")
        place = int(rng.integers(len(fields)))
        fields[place] = str(rng.choice(TOKENS)) if kind == 3 else "x" * int(rng.integers(1, 200000))
        lines[at] = ",".join(fields)
        told = f"field {place} of line {at}"
    path.write_text("\n".join(lines), encoding="utf-8")
    return told


# ---- containers --------------------------------------------------------------------------------


def _hdf5(path: Path, rng: Rng) -> str:
    """A dataset or group lost, of another kind or shape, or with other attributes."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = names[rng.integers(len(names))]
        kind = rng.integers(5)
        if kind == 0:
            del file[name]
            return f"{name} lost"
        if kind == 1:
            del file[name]
            file[name] = str(rng.choice(["text", "9" * 300]))
            return f"{name} is text"
        if kind == 2:
            node = file[name]
            attributes = list(node.attrs)
            if attributes:
                chosen = attributes[rng.integers(len(attributes))]
                value = VALUES[rng.integers(len(VALUES))]
                with suppress(Exception):
                    node.attrs[chosen] = value
                return f"attribute {chosen} of {name} = {str(value)[:20]}"
            return "nothing"
        shape = tuple(int(n) for n in rng.choice([0, 1, 3, 41, 1000], rng.integers(1, 4)))
        dtype = str(rng.choice(["f4", "i8", "u1", "f2", "?"]))
        attributes_of = dict(file[name].attrs)
        del file[name]
        node = file.create_dataset(name, shape, dtype)
        for key, value in attributes_of.items():
            node.attrs[key] = value
        return f"{name} is {dtype} of {shape}"


def _safetensors(path: Path, rng: Rng) -> str:
    """The header's length, a tensor's entry, or a value of the card in it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    kind = rng.integers(4)
    if kind == 0:
        lengths = (0, 1, length - 1, length + 1, 2**31, 2**40, 2**63, 2**64 - 1)
        length = lengths[rng.integers(len(lengths))]
        path.write_bytes(struct.pack("<Q", length) + content[8:])
        return f"length of the header: {length}"
    if kind == 1:
        entries = {key: value for key, value in header.items() if key != "__metadata__"}
        told = changed_json(entries, rng)
        header = {"__metadata__": header["__metadata__"], **entries}
    else:
        [key] = header["__metadata__"]
        card = json.loads(header["__metadata__"][key])
        told = f"card: {changed_json(card, rng)}"
        header["__metadata__"][key] = json.dumps(card)
    text = json.dumps(header).encode("utf-8", "replace")
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)
    return told


def copied(source: Path, target: Path) -> Path:
    """A file or a folder of its own to be damaged."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
        side = source.with_name(f"{source.name}.json")
        if side.is_file():
            shutil.copyfile(side, target.with_name(f"{target.name}.json"))
    return target
