"""Files made to do harm: small ones that unpack to gigabytes, and ones that want code to be run."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import tifffile
from fuzz_seeds import CARD, SEEDS, labels

GIGABYTE = 1 << 30
_MEGABYTE = bytes(1 << 20)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def _gzip_of(path: Path, parts: list[bytes], times: int) -> None:
    """The first part, then the second so many times, then the third."""
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file:
        file.write(parts[0])
        for _ in range(times):
            file.write(parts[1])
        file.write(parts[2])


def _zeros_geojson(path: Path, _: Path) -> None:
    _gzip_of(path, [b"", _MEGABYTE, b""], 1024)


def _spaces_geojson(path: Path, _: Path) -> None:
    _gzip_of(path, [b'{"features": [', b" " * (1 << 20), b"]}"], 1024)


def _long_text_geojson(path: Path, _: Path) -> None:
    head = b'{"type": "FeatureCollection", "features": [{"type": "Feature", "id": "'
    _gzip_of(path, [head, b"x" * (1 << 20), b'"}]}'], 1024)


def _long_ring_geojson(path: Path, _: Path) -> None:
    head = b'{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0,0]'
    _gzip_of(path, [head, b",[1,1],[2,0]" * 80_000, b"]]}}"], 200)


def _deep_json(path: Path, _: Path) -> None:
    path.write_bytes(b"[" * 5_000_000)


def _deep_features(path: Path, _: Path) -> None:
    deep = "[" * 3000 + "]" * 3000
    path.write_text('{"features": [{"type": "Feature", "geometry": {"type": "MultiPolygon", '
                    f'"coordinates": {deep}}}}}]}}')  # fmt: skip


def _huge_tile(path: Path, _: Path) -> None:
    """One deflate tile of 24576 x 24576 px: 1.8 GB of zeros in 8 MB."""
    side, packer = 24_576, zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(3 * side * 64)) for _ in range(side // 64))
    packed += packer.flush()
    tags = [
        (256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 2), (277, 3, 3),
        (322, 4, side), (323, 4, side), (324, 4, 8), (325, 4, len(packed)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    head = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    path.write_bytes(head + packed + directory + bytes(4))


def _huge_image(path: Path, _: Path) -> None:
    """Two million pixels a side, of which no tile is there."""
    side, tile = 2_000_000, 256
    n = (-(-side // tile)) ** 2
    tags = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 2),
        (277, 3, 1, 3), (322, 4, 1, tile), (323, 4, 1, tile), (324, 4, n, 200), (325, 4, n, 200),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8) + directory + bytes(4096))


def _huge_strip(path: Path, _: Path) -> None:
    """Not tiled: one strip of 2 GB."""
    tifffile.imwrite(path, shape=(26_000, 26_000, 3), dtype="u1", photometric="rgb",
                     rowsperstrip=26_000, compression="deflate",
                     data=iter([zlib.compress(bytes(1000))]))  # fmt: skip


def _huge_png(path: Path, _: Path) -> None:
    """40000 x 40000 grey zeros: 1.6 GB in 7 MB."""
    side = 40_000

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def _huge_labels(path: Path, _: Path) -> None:
    """A label image of 3.2 gigapixels, 12.8 GB, of zeros."""
    tile = zlib.compress(bytes(4 << 20))
    side = 56 * 1024
    tifffile.imwrite(path, data=(tile for _ in range(56 * 56)), shape=(side, side), dtype="u4",
                     tile=(1024, 1024), compression="deflate", metadata=None)  # fmt: skip


def _zarr_told(path: Path, file: str, **changes: object) -> None:
    told = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(told | changes))


def _huge_chunk(path: Path, _: Path) -> None:
    """A chunk of 4 GB in some MB, told as such."""
    SEEDS["slide (OME-Zarr)"]["v2.zarr"](path)
    shape = [3, 40_000, 40_000]
    told = {"shape": shape, "chunks": [1, *shape[1:]], "compressor": {"id": "zlib", "level": 1}}
    _zarr_told(path, "0/.zarray", **told)
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(_MEGABYTE) for _ in range(1600)) + packer.flush()
    for k in range(3):
        for name in (f"0/{k}/0/0", f"0/{k}.0.0"):
            if (path / name).exists():
                (path / name).write_bytes(content)


def _lying_chunk(path: Path, _: Path) -> None:
    """A chunk that is told small and unpacks to 2 GB."""
    SEEDS["slide (OME-Zarr)"]["v2.zarr"](path)
    _zarr_told(path, "0/.zarray", compressor={"id": "zlib", "level": 1})
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(_MEGABYTE) for _ in range(2048)) + packer.flush()
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(content)


def _endless_zarr(path: Path, _: Path) -> None:
    """A level of 10^9 px a side."""
    SEEDS["slide (OME-Zarr)"]["v2.zarr"](path)
    _zarr_told(path, "0/.zarray", shape=[3, 10**9, 10**9])


def _huge_matrix(path: Path, _: Path) -> None:
    """An AnnData whose X is 40 GB of zeros that are nowhere in the file."""
    SEEDS["cells (h5ad)"]["cells.h5ad"](path)
    with h5py.File(path, "r+") as file:
        told = dict(file["X"].attrs)
        del file["X"]
        x = file.create_dataset("X", (10**6, 10**4), "f4", chunks=(1000, 1000), compression="gzip")
        for key, value in told.items():
            x.attrs[key] = value


def _huge_positions(path: Path, _: Path) -> None:
    SEEDS["cells (h5ad)"]["cells.h5ad"](path)
    with h5py.File(path, "r+") as file:
        told = dict(file["obsm/spatial"].attrs)
        del file["obsm/spatial"]
        made = file.create_dataset("obsm/spatial", (10**9, 2), "f8", chunks=(10**5, 2))
        for key, value in told.items():
            made.attrs[key] = value


def _huge_bank(path: Path, _: Path) -> None:
    SEEDS["bank"]["bank.h5ad"](path)
    with h5py.File(path, "r+") as file:
        told = dict(file["obsm/X_past"].attrs) if "obsm/X_past" in file else {}
        [name] = list(file["obsm"])
        del file[f"obsm/{name}"]
        made = file.create_dataset(f"obsm/{name}", (10**8, 256), "f2", chunks=(10**4, 256))
        for key, value in told.items():
            made.attrs[key] = value


def _wide_csv(path: Path, _: Path) -> None:
    path.write_bytes(b"x_um,y_um" + b",g" * 2_000_000 + b"\n1,2\n")


def _one_field_csv(path: Path, _: Path) -> None:
    path.write_bytes(b'x_um,y_um,a\n1,2,"' + b"x" * 50_000_000)


def _same_parquet(path: Path, _: Path) -> None:
    """2·10^8 cells that are all alike, in some kB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array(np.zeros(1_000_000))
    schema = pa.schema([("x_um", pa.float64()), ("y_um", pa.float64())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(200):
            writer.write_table(pa.table([column, column], schema=schema))


def _long_header(path: Path, _: Path) -> None:
    path.write_bytes(struct.pack("<Q", 90_000_000) + b'{"a":' * 18_000_000)


def _huge_tensor(path: Path, _: Path) -> None:
    header = {
        "__metadata__": {"napari_past_card": json.dumps(CARD)},
        "readout.weight": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 0]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def _zip_checkpoint(path: Path, _: Path) -> None:
    """The pickle in it is 2 GB of zeros in 2 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        with file.open("c/data.pkl", "w", force_zip64=True) as part:
            part.write(b"\x80\x02")
            for _ in range(2048):
                part.write(_MEGABYTE)
        file.writestr("c/version", "3\n")
        file.writestr("c/byteorder", "little")


def _long_pickle(path: Path, _: Path) -> None:
    """A pickle that doubles a list 40 times."""
    import torch

    deep: object = [0] * 8
    for _ in range(40):
        deep = [deep, deep]
    torch.save({"model": deep}, path)


def _billion_laughs(path: Path, _: Path) -> None:
    lines = ['<!ENTITY a0 "ha">']
    for k in range(1, 12):
        lines.append(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">')
    xml = f'<?xml version="1.0"?><!DOCTYPE OME [{"".join(lines)}]><OME>&a11;</OME>'
    SEEDS["slide (TIFF)"]["deflate.tif"](path)
    with tifffile.TiffFile(path) as tif:
        rgb = tif.pages[0].asarray()
    tifffile.imwrite(path, rgb, tile=(64, 64), photometric="rgb", compression="deflate",
                     description=xml, metadata=None)  # fmt: skip


def _deep_document(path: Path, _: Path) -> None:
    path.write_bytes(b'{"checksum": "x", "genes": ' + b"[" * 2_000_000)


def _outer_entity(path: Path, canary: Path) -> None:
    """OME-XML that asks for a file of the user's."""
    xml = (
        '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image Name="&x;"/></OME>'
    )
    SEEDS["slide (TIFF)"]["deflate.tif"](path)
    with tifffile.TiffFile(path) as tif:
        rgb = tif.pages[0].asarray()
    tifffile.imwrite(path, rgb, tile=(64, 64), photometric="rgb", compression="deflate",
                     description=xml, metadata=None)  # fmt: skip


# ---- code --------------------------------------------------------------------------------------


def _checkpoint(where: str, zipped: bool) -> Callable[[Path, Path], None]:
    def write(path: Path, canary: Path) -> None:
        import torch

        state: dict[str, object] = {"image_encoder.model.norm.weight": torch.zeros(64)}
        content: dict[str, object] = {"model": state}
        {"entry": content, "tensor": state}[where]["cell_encoder.temperature"] = Payload(canary)
        torch.save(content, path, _use_new_zipfile_serialization=zipped)

    return write


def _call(function: str, argument: str) -> bytes:
    """A pickle that calls a function by its name, as `Payload` cannot for builtins."""
    module, name = function.rsplit(".", 1)
    return (
        b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"X"
        + struct.pack("<I", len(argument.encode())) + argument.encode() + b"\x85R."
    )  # fmt: skip


def _named_call(function: str, argument: str, zipped: bool) -> Callable[[Path, Path], None]:
    def write(path: Path, canary: Path) -> None:
        code = _call(function, argument.format(canary=canary))
        if not zipped:
            path.write_bytes(code)
            return
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("c/data.pkl", code)
            file.writestr("c/version", "3\n")
            file.writestr("c/byteorder", "little")

    return write


def _pickled(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(canary)))


def _script_module(path: Path, canary: Path) -> None:
    """TorchScript in place of tensors."""
    import torch

    module = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(module, path)


def _pickle_codec(dtype: str, filters: object, compressor: object) -> Callable[[Path, Path], None]:
    """An OME-Zarr whose chunks are to be unpickled."""

    def write(path: Path, canary: Path) -> None:
        SEEDS["slide (OME-Zarr)"]["v2.zarr"](path)
        told = {"dtype": dtype, "filters": filters, "compressor": compressor, "fill_value": None}
        _zarr_told(path, "0/.zarray", **told)
        for chunk in (path / "0").rglob("*"):
            if chunk.is_file() and not chunk.name.startswith("."):
                chunk.write_bytes(pickle.dumps(Payload(canary)))

    return write


def _pickled_npy(path: Path, canary: Path) -> None:
    """Cellpose's results are a pickled dictionary."""
    with path.open("wb") as file:
        np.save(file, np.array({"masks": labels(), "x": Payload(canary)}, object), True)


def _arrow_extension(path: Path, canary: Path) -> None:
    """A Parquet column of pyarrow's pickled extension type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload(canary)),
    }
    fields = [pa.field("x_um", pa.float64(), metadata=told), pa.field("y_um", pa.float64())]
    column = pa.array(np.zeros(3))
    pq.write_table(pa.table([column, column], schema=pa.schema(fields)), path)


def _card_says(backbone: str, **options: object) -> Callable[[Path, Path], None]:
    """A model whose card names something to be fetched or read from elsewhere."""

    def write(path: Path, canary: Path) -> None:
        SEEDS["model"]["model.safetensors"](path)
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        [key] = header["__metadata__"]
        card = json.loads(header["__metadata__"][key])
        card["encoder"]["tower"]["backbone"] = backbone
        card["encoder"]["tower"] |= options
        header["__metadata__"][key] = json.dumps(card)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return write


def _linked(path: Path, canary: Path) -> None:
    """An AnnData whose positions are an external link to a file of the user's."""
    SEEDS["cells (h5ad)"]["cells.h5ad"](path)
    with h5py.File(path, "r+") as file:
        del file["obsm/spatial"]
        file["obsm/spatial"] = h5py.ExternalLink("/etc/passwd", "/x")


_PICKLE = {"id": "pickle"}
Hostile = tuple[str, str, Callable[[Path, Path], None]]
"""Kind of the reader, name of the file, what writes it: (path, folder that code would make)."""

BOMBS: dict[str, Hostile] = {
    "1 GB of zeros, gzip": ("cells (GeoJSON)", "a.geojson.gz", _zeros_geojson),
    "1 GB of spaces, gzip": ("regions (GeoJSON)", "a.geojson.gz", _spaces_geojson),
    "id of 1 GB, gzip": ("cells (GeoJSON)", "a.geojson.gz", _long_text_geojson),
    "outline of 3·10^7 corners, gzip": ("regions (GeoJSON)", "a.geojson.gz", _long_ring_geojson),
    "5·10^6 open brackets, cells": ("cells (GeoJSON)", "a.geojson", _deep_json),
    "5·10^6 open brackets, regions": ("regions (GeoJSON)", "a.geojson", _deep_json),
    "coordinates 3000 deep": ("regions (GeoJSON)", "a.geojson", _deep_features),
    "TIFF tile of 1.8 GB, deflate": ("slide (TIFF)", "a.tif", _huge_tile),
    "TIFF of 4·10^12 px without tiles": ("slide (TIFF)", "a.tif", _huge_image),
    "TIFF strip of 2 GB": ("slide (TIFF)", "a.tif", _huge_strip),
    "TIFF, XML entities of 10^11 letters": ("slide (TIFF)", "a.tif", _billion_laughs),
    "PNG of 1.6 GB as labels": ("labels (TIFF, PNG)", "a.png", _huge_png),
    "PNG of 1.6 GB as mask": ("mask", "a.png", _huge_png),
    "PNG of 1.6 GB as picture": ("picture", "a.png", _huge_png),
    "labels of 12.8 GB, deflate": ("labels (TIFF, PNG)", "a.tif", _huge_labels),
    "mask of 12.8 GB, deflate": ("mask", "a.tif", _huge_labels),
    "zarr chunk of 1.6 GB": ("slide (OME-Zarr)", "a.zarr", _huge_chunk),
    "zarr chunk, told 4 kB, of 2 GB": ("slide (OME-Zarr)", "a.zarr", _lying_chunk),
    "zarr of 10^18 px": ("slide (OME-Zarr)", "a.zarr", _endless_zarr),
    "AnnData, X of 40 GB": ("cells (h5ad)", "a.h5ad", _huge_matrix),
    "AnnData, 10^9 positions": ("cells (h5ad)", "a.h5ad", _huge_positions),
    "bank, vectors of 51 GB": ("bank", "a.h5ad", _huge_bank),
    "CSV of 2·10^6 columns": ("cells (CSV)", "a.csv", _wide_csv),
    "CSV field of 50 MB": ("cells (CSV)", "a.csv", _one_field_csv),
    "Parquet, 2·10^8 equal rows": ("cells (Parquet)", "a.parquet", _same_parquet),
    "safetensors, header of 90 MB": ("model", "a.safetensors", _long_header),
    "safetensors, tensor of 2^62": ("model", "a.safetensors", _huge_tensor),
    "checkpoint, 2 GB in a zip": ("checkpoint (.pth)", "a.pth", _zip_checkpoint),
    "checkpoint, list doubled 40 times": ("checkpoint (.pth)", "a.pth", _long_pickle),
    "validation file 2·10^6 deep": ("validation file", "a.json", _deep_document),
    "calibration file 2·10^6 deep": ("calibration file", "a.json", _deep_document),
}
CODE: dict[str, Hostile] = {
    "checkpoint, os.mkdir in an entry": ("checkpoint (.pth)", "a.pth", _checkpoint("entry", True)),
    "checkpoint, os.mkdir as tensor": ("checkpoint (.pth)", "a.pth", _checkpoint("tensor", True)),
    "checkpoint, legacy, entry": ("checkpoint (.pth)", "a.pth", _checkpoint("entry", False)),
    "checkpoint, legacy, tensor": ("checkpoint (.pth)", "a.pth", _checkpoint("tensor", False)),
    "checkpoint is a pickle": ("checkpoint (.pth)", "a.pth", _pickled),
    "checkpoint is TorchScript": ("checkpoint (.pth)", "a.pth", _script_module),
    **{
        f"checkpoint calls {name}{'' if zipped else ', bare'}": (
            "checkpoint (.pth)", "a.pth", _named_call(name, argument, zipped),
        )
        for name, argument in (
            ("builtins.eval", "__import__('os').mkdir('{canary}')"),
            ("builtins.exec", "import os; os.mkdir('{canary}')"),
            ("os.system", "mkdir '{canary}'"),
            ("posix.system", "mkdir '{canary}'"),
            ("subprocess.getoutput", "mkdir '{canary}'"),
            ("torch.hub.load_state_dict_from_url", "http://127.0.0.1:9/x"),
            ("torch.load", "{canary}"),
            ("runpy.run_path", "{canary}"),
            ("argparse.FileType", "{canary}"),
            ("argparse.Namespace", "{canary}"),
            ("numpy.load", "{canary}"),
        )
        for zipped in (True, False)
    },
    "model file is a pickle": ("model", "a.safetensors", _pickled),
    "bank is a pickle": ("bank", "a.h5ad", _pickled),
    "cells are a pickle": ("cells (h5ad)", "a.h5ad", _pickled),
    "Cellpose's .npy with code": ("cells (npy)", "a_seg.npy", _pickled_npy),
    "AnnData, link to another file": ("cells (h5ad)", "a.h5ad", _linked),
    "Parquet, pickled type": ("cells (Parquet)", "a.parquet", _arrow_extension),
    "zarr, filter pickle": ("slide (OME-Zarr)", "a.zarr", _pickle_codec("|u1", [_PICKLE], None)),
    "zarr, compressor pickle": ("slide (OME-Zarr)", "a.zarr", _pickle_codec("|u1", None, _PICKLE)),
    "zarr, texts packed by pickle": (
        "slide (OME-Zarr)", "a.zarr", _pickle_codec("|O", [{"id": "vlen-utf8"}], _PICKLE),
    ),
    "zarr, texts filtered by pickle": (
        "slide (OME-Zarr)", "a.zarr", _pickle_codec("|O", [{"id": "vlen-utf8"}, _PICKLE], None),
    ),
    "card names hf-hub:…": ("model", "a.safetensors", _card_says("hf-hub:timm/resnet18")),
    "card names local-dir:…": ("model", "a.safetensors", _card_says("local-dir:/tmp")),
    "card names a path": ("model", "a.safetensors", _card_says("../../x")),
    "card asks for other weights": (
        "model", "a.safetensors", _card_says("vit_tiny_patch16_224", pool="token", options={
            "checkpoint_path": "/tmp/x.pth"}),
    ),
    "OME-XML names a file": ("slide (TIFF)", "a.tif", _outer_entity),
}  # fmt: skip
