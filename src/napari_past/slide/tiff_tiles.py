"""Where the tiles of a TIFF level lie in the file, and how they are decoded with care."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from PIL import Image
from tifffile import COMPRESSION, TiffPage, TiffPageSeries

from napari_past.slide.access.range_file import RangeFile
from napari_past.slide.encoded_size import encoded_size
from napari_past.slide.planes import ZarrPlane
from napari_past.types import Rgb

JPEG = (COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.ALT_JPEG)
_APERIO_YCBCR = COMPRESSION.APERIO_JP2000_YCBC
_END_OF_JPEG = b"\xff\xd9"
PICTURES = (*JPEG, COMPRESSION.JPEG_2000_LOSSY, COMPRESSION.JPEG2000, _APERIO_YCBCR) + (
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.JPEGXR_NDPI,
    COMPRESSION.JPEGXR,
    COMPRESSION.PNG,
    COMPRESSION.WEBP,
)
"""Compressions whose streams have a size of their own, which `encoded_size` reads.

JPEG XL is not among them: its frames may be larger than the picture, and no scanner writes it.
"""
STREAMS = (COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE) + (
    COMPRESSION.PACKBITS,
    COMPRESSION.ZSTD,
    COMPRESSION.ZSTD_DEPRECATED,
    COMPRESSION.LZMA,
)
"""Compressions that tifffile decodes into a buffer of the tile's size and no further."""

SpanGrid = npt.NDArray[np.int64]
"""(planes, rows, columns, 2): start and stop of each tile's bytes, both 0 where there is none."""


def tile_spans(level: TiffPageSeries) -> SpanGrid:
    """Where the tiles of a level lie."""
    planes = []
    for page in level.pages:
        if page is None:
            raise ValueError("a plane is missing")
        keyframe = level.keyframe
        expected = math.prod(keyframe.chunked)
        start = np.zeros(expected, np.int64)
        size = np.zeros(expected, np.int64)
        told = np.asarray(page.dataoffsets[:expected], dtype=np.int64)
        start[: len(told)] = told
        told = np.asarray(page.databytecounts[:expected], dtype=np.int64)
        size[: len(told)] = told
        spans = np.stack([start, start + size], axis=-1)
        spans[(start <= 0) | (size <= 0)] = 0
        y, x = keyframe.axes.index("Y"), keyframe.axes.index("X")
        grid = np.moveaxis(spans.reshape(*keyframe.chunked, 2), (y, x), (-3, -2))
        planes.append(grid.reshape(-1, *grid.shape[-3:]))
    return np.concatenate(planes)


def untold_tiles(level: TiffPageSeries) -> tuple[int, int]:
    """Tiles whose place no directory tells, and all that the level's size asks for."""
    expected = math.prod(level.keyframe.chunked)
    told = sum(0 if p is None else min(expected, len(p.dataoffsets)) for p in level.pages)
    return expected * len(level.pages) - told, expected * len(level.pages)


def lost_tiles(spans: SpanGrid, file_size: int, sparse: bool) -> npt.NDArray[np.bool_]:
    """(rows, columns), True where a tile is missing or lies behind the file's end.

    Parameters
    ----------
    spans
        From `tile_spans`.
    file_size
        Bytes.
    sparse
        Whether the format leaves out tiles of empty glass, as Philips does.
    """
    stop = spans[..., 1]
    lost: npt.NDArray[np.bool_] = ((stop > file_size) | ((stop == 0) & (not sparse))).any(axis=0)
    return lost


class TiffPlane(ZarrPlane):
    """One level of a TIFF file; the bytes of a window's tiles are fetched together."""

    def __init__(
        self,
        array: zarr.Array[Any],
        axes: str,
        colour: str,
        file: RangeFile,
        spans: SpanGrid,
        lost: npt.NDArray[np.bool_],
    ) -> None:
        super().__init__(array, axes, colour)
        self._file = file
        self._spans = spans
        self._lost = lost

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the plane, uint8, (y1 − y0, x1 − x0, 3)."""
        tall, wide = self.tile_px
        touched = (
            slice(y0_px // tall, -(-y1_px // tall)),
            slice(x0_px // wide, -(-x1_px // wide)),
        )
        if self._lost[touched].any():
            raise ValueError("a tile is missing or lies behind the file's end")
        spans = self._spans[:, *touched].reshape(-1, 2)
        with self._file.holding([(int(a), int(b)) for a, b in spans if b]):
            return super().read(y0_px, y1_px, x0_px, x1_px)


def decode_with_care(page: TiffPage) -> None:
    """Make a page refuse streams that end early or are larger than a tile.

    tifffile gives grey for JPEG streams that end early, and lets decoders make room for whatever
    size a stream states. Aperio's YCbCr, which no stream tells of, becomes RGB.
    """
    decode: Callable[..., Any] = page.decode
    whole_jpeg = page.compression in JPEG and page.jpegheader is None
    picture = page.compression in PICTURES and page.jpegheader is None
    ycbcr = page.compression == _APERIO_YCBCR
    # chunks have no axis for planes of one colour
    planes = len(page.axes) - len(page.chunks)
    tall = page.chunks[page.axes.index("Y") - planes]
    wide = page.chunks[page.axes.index("X") - planes]

    def careful(data: bytes | None, *args: Any, **kwargs: Any) -> Any:
        if whole_jpeg and data is not None and _END_OF_JPEG not in data.rstrip(b"\0")[-16:]:
            raise ValueError("a JPEG tile ends early")
        size = encoded_size(data) if picture and data is not None else None
        if size is not None and (size[0] > tall or size[1] > wide):
            raise ValueError(f"a tile of {wide} x {tall} px holds {size[1]} x {size[0]} px")
        decoded = decode(data, *args, **kwargs)
        if ycbcr and decoded[0] is not None:
            image = Image.fromarray(decoded[0][0], mode="YCbCr").convert("RGB")
            return (np.asarray(image)[np.newaxis], *decoded[1:])
        return decoded

    page.__dict__["decode"] = careful
