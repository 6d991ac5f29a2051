"""A slide's pyramid as an image of a SpatialData folder, copied block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from napari_past.io.spatialdata_shapes import GLOBAL, put_attributes, space_axes
from napari_past.slide import Slide

_BLOCK_PX = 1024
_NAMES = ("r", "g", "b")
_OME, _VERSION = "0.5-dev-spatialdata", "0.3"


def write_image(
    images: zarr.Group, name: str, slide: Slide, on_share: Callable[[float], None]
) -> None:
    """Copy every level of a slide, (c, y, x) uint8, and how it lies in µm.

    Parameters
    ----------
    on_share
        Called after each row of blocks with the share of all pixels that is copied.

    Raises
    ------
    MissingPixelSize, DamagedSlide
    """
    mpp = slide.require_mpp()
    levels = slide.display_levels
    height0_px, width0_px, _ = levels[0].shape
    pixels = sum(level.shape[0] * level.shape[1] for level in levels)
    done, datasets = 0, []
    group = images.create_group(name)
    for number, level in enumerate(levels):
        height_px, width_px, _ = level.shape
        scale = [1.0, height0_px / height_px, width0_px / width_px]
        datasets.append(
            {
                "path": f"s{number}",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
        array = group.create_array(
            f"s{number}",
            shape=(3, height_px, width_px),
            chunks=(3, min(_BLOCK_PX, height_px), min(_BLOCK_PX, width_px)),
            dtype=np.uint8,
            compressors=[ZstdCodec(level=3)],
            dimension_names=("c", "y", "x"),
        )
        for y0_px in range(0, height_px, _BLOCK_PX):
            for x0_px in range(0, width_px, _BLOCK_PX):
                rows, columns = slice(y0_px, y0_px + _BLOCK_PX), slice(x0_px, x0_px + _BLOCK_PX)
                block = np.asarray(level[rows, columns].compute())
                array[:, rows, columns] = np.moveaxis(block, 2, 0)
            done += (min(y0_px + _BLOCK_PX, height_px) - y0_px) * width_px
            on_share(done / pixels)
    to_um = {
        "type": "scale",
        "scale": [1.0, mpp, mpp],
        "input": {"name": "cyx", "axes": space_axes("cyx", "pixel")},
        "output": {"name": GLOBAL, "axes": space_axes("cyx")},
    }
    multiscales: dict[str, object] = {
        "name": name,
        "axes": [{k: v for k, v in axis.items() if k != "unit"} for axis in space_axes("cyx")],
        "datasets": datasets,
        "coordinateTransformations": [to_um],
    }
    channels = {"channels": [{"label": label} for label in _NAMES]}
    put_attributes(
        group,
        {
            "ome": {"omero": channels, "version": _OME, "multiscales": [multiscales]},
            "spatialdata_attrs": {"version": _VERSION},
        },
    )
