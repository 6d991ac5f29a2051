"""Drawn slides whose every pixel is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import zarr

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def draw() -> Callable[..., Picture]:
    """``draw(height, width)``: red rises along x, green along y, blue is noise of 8 px squares."""

    def picture(height_px: int, width_px: int) -> Picture:
        y, x = np.mgrid[:height_px, :width_px]
        rng = np.random.default_rng(7)
        noise = rng.integers(60, 120, (height_px // 8 + 1, width_px // 8 + 1))
        return np.stack(
            [
                (x + 0.5) / width_px * 255,
                (y + 0.5) / height_px * 255,
                noise.repeat(8, axis=0).repeat(8, axis=1)[:height_px, :width_px],
            ],
            axis=-1,
        ).astype(np.uint8)

    return picture


@pytest.fixture(scope="session")
def write_tiff() -> Callable[..., Path]:
    """``write_tiff(path, levels, mpp=…, subifds=…, **options)``: a tiled pyramid."""

    def write(
        path: Path,
        levels: list[Picture],
        mpp: float | None = 0.5,
        subifds: bool = True,
        tile: int = 128,
        **options: object,
    ) -> Path:
        common: dict[str, object] = {"tile": (tile, tile), "photometric": "rgb", **options}
        if mpp is not None:
            per_cm = 1e4 / mpp
            common |= {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
        with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as file:
            first = {"subifds": len(levels) - 1} if subifds and len(levels) > 1 else {}
            if not path.name.endswith(".ome.tif"):
                common.setdefault("metadata", None)
            file.write(levels[0], **common, **first)
            common["metadata"] = None
            for level in levels[1:]:
                file.write(level, subfiletype=1, **common)
        return path

    return write


@pytest.fixture(scope="session")
def write_omezarr() -> Callable[..., Path]:
    """``write_omezarr(path, levels, version, axes, units, scale)`` by the text of the standard."""

    def write(
        path: Path,
        levels: list[Picture],
        version: str,
        axes: str = "cyx",
        unit: str | None = "micrometer",
        scale: float = 0.5,
    ) -> Path:
        v2 = version == "0.4"
        group = zarr.open_group(path, mode="w", zarr_format=2 if v2 else 3)
        datasets = []
        for k, level in enumerate(levels):
            order = [a for a in axes if a in "yxc"]
            pixels = level.transpose(["yxc".index(a) for a in order])
            for i, a in enumerate(axes):
                if a not in "yxc":
                    pixels = np.expand_dims(pixels, i)
            chunks = tuple(128 if a in "yx" else 1 for a in axes)
            group.create_array(str(k), data=np.ascontiguousarray(pixels), chunks=chunks)
            factor = levels[0].shape[0] / level.shape[0]
            scales = [scale * factor if a in "yx" else 1.0 for a in axes]
            step = {"type": "scale", "scale": scales}
            datasets.append({"path": str(k), "coordinateTransformations": [step]})
        kinds = {"c": "channel", "t": "time"}
        described = [
            {"name": a, "type": kinds.get(a, "space")}
            | ({"unit": unit} if a in "yx" and unit else {})
            for a in axes
        ]
        scales = {"axes": described, "datasets": datasets, "name": "drawn"}
        if v2:
            group.attrs["multiscales"] = [scales | {"version": version}]
        else:
            group.attrs["ome"] = {"version": version, "multiscales": [scales]}
        return path

    return write
