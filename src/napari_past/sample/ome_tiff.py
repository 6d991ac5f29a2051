"""The phantom as a file: a tiled pyramid in OME-TIFF that every slide viewer opens."""

from __future__ import annotations

import os
import uuid
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tifffile

from napari_past.errors import CannotWrite
from napari_past.sample.phantom import draw_phantom
from napari_past.types import Rgb

TILE_PX = 256
SMALLEST_LEVEL_PX = 512
JPEG_QUALITY = 90


def write_phantom(
    path: str | os.PathLike[str],
    width_px: int = 4096,
    height_px: int = 3072,
    mpp: float = 0.5,
    seed: int = 0,
) -> Path:
    """Draws a phantom into a pyramidal OME-TIFF and returns its path.

    Tiles of 256 px, levels as SubIFDs down to 512 px, JPEG where imagecodecs is installed, else
    deflate; physical size in µm. The same arguments give the same bytes with the same libraries.
    Arguments are those of `draw_phantom`.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, the destination is a folder, or the disk is full.
    ValueError
        The size or µm/px is outside of the limits of `draw_phantom`.
    """
    path = Path(path)
    # A destination that cannot be written is told before seconds are spent on drawing.
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise CannotWrite(
            f"The sample cannot be written to {str(path)!r}; give a file in an existing folder "
            f"that you may write to."
        )
    phantom = draw_phantom(width_px, height_px, mpp, seed)
    name = f"napari-past phantom {width_px}x{height_px} {mpp} um/px seed {seed}"
    write_pyramid(path, phantom.rgb, mpp, name, jpeg=find_spec("imagecodecs") is not None)
    return path


def write_pyramid(path: Path, rgb: Rgb, mpp: float, name: str, jpeg: bool) -> None:
    """Writes pixels (Y, X, 3) uint8 of `mpp` µm as a pyramid, first beside `path`.

    Raises
    ------
    CannotWrite
        The destination cannot be written.
    """
    levels = pyramid(rgb)
    # tifffile would make up a UUID from the clock.
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"napari-past:{name}")
    metadata = {
        "axes": "YXS",
        "Name": name,
        "UUID": identity.urn,
        "PhysicalSizeX": mpp,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": mpp,
        "PhysicalSizeYUnit": "µm",
    }
    unfinished = path.with_name(f".{path.name}.part")
    try:
        try:
            with tifffile.TiffWriter(unfinished, ome=True, bigtiff=False) as tif:
                for i, level in enumerate(levels):
                    per_cm = 1e4 / (mpp * 2**i)
                    tif.write(
                        level,
                        subifds=len(levels) - 1 if i == 0 else None,
                        subfiletype=0 if i == 0 else 1,
                        metadata=metadata if i == 0 else None,
                        photometric="rgb",
                        tile=(TILE_PX, TILE_PX),
                        compression="jpeg" if jpeg else "adobe_deflate",
                        compressionargs={"level": JPEG_QUALITY} if jpeg else None,
                        resolution=(per_cm, per_cm),
                        resolutionunit="CENTIMETER",
                        maxworkers=1,
                    )
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"The sample cannot be written to {str(path)!r} ({exc.strerror or exc}); give a file "
            f"in an existing folder with room for it."
        ) from exc


def pyramid(rgb: Rgb) -> list[Rgb]:
    """The pixels and their halves, each the mean of 2 x 2, until the longer side is at most 512 px.

    An odd last row or column has no partner and is left out of the next level.
    """
    levels = [rgb]
    while max(levels[-1].shape[:2]) > SMALLEST_LEVEL_PX:
        source = levels[-1]
        height, width = source.shape[0] // 2, source.shape[1] // 2
        pairs = source[: 2 * height, : 2 * width].astype(np.uint16)
        quads = pairs.reshape(height, 2, width, 2, 3).sum(axis=(1, 3), dtype=np.uint16)
        levels.append(((quads + 2) // 4).astype(np.uint8))
    return levels
