"""Writes the SpatialData folders that tests read: with the real package, of drawn numbers.

Run where spatialdata is installed, which is nowhere in this project (it holds dask back):

    uv run --with "spatialdata==0.7.3" tests/spatial/data/write_spatialdata.py

The elements are named, keyed and placed as spatialdata-io does it for Xenium, Visium and Visium HD.
Images hold zeros: only their size is read.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import anndata
import geopandas
import numpy as np
import pandas as pd
import scipy.sparse
import shapely
from spatialdata import SpatialData
from spatialdata._io.format import ShapesFormatV01, SpatialDataContainerFormatV01
from spatialdata.models import Image2DModel, Labels2DModel, ShapesModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale

HERE = Path(__file__).parent
WIDTH_PX, HEIGHT_PX = 960, 640
DAPI_MPP = 0.2125
GENES = ["EPCAM", "PTPRC", "COL1A1"]
# H&E pixels → DAPI pixels: turned by a quarter, 0.5 µm/px on 0.2125.
SCALE = 0.5 / DAPI_MPP
ALIGNMENT = np.array([[0, -SCALE, 3000], [SCALE, 0, 100], [0, 0, 1.0]])


def he_places(n: int) -> np.ndarray:
    """(n, 2) px of the H&E."""
    return np.random.default_rng(1).uniform((40, 40), (920, 600), (n, 2)).round(2)


def xenium_um(he_px: np.ndarray) -> np.ndarray:
    return (he_px @ ALIGNMENT[:2, :2].T + ALIGNMENT[:2, 2]) * DAPI_MPP


def table(n: int, region: str, key: str, values: list, **obs: object) -> anndata.AnnData:
    counts = scipy.sparse.csr_matrix(np.arange(n * 3).reshape(n, 3) % 7 + 1.0, dtype=np.float32)
    frame = pd.DataFrame({key: values, "region": pd.Categorical([region] * n), **obs})
    frame.index = frame.index.astype(str)
    adata = anndata.AnnData(counts, obs=frame, var=pd.DataFrame(index=GENES))
    return TableModel.parse(adata, region=region, region_key="region", instance_key=key)


def image(height: int, width: int, transformations: dict, **options: object):
    zeros = np.zeros((3, height, width), np.uint8)
    return Image2DModel.parse(
        zeros,
        dims=("c", "y", "x"),
        transformations=transformations,
        c_coords=list("rgb"),
        **options,
    )


def polygons(middles: np.ndarray, index: list, transformations: dict):
    # L-shaped, so that the centroid is not the middle of the box.
    shape = np.array([[-2, -2], [2, -2], [2, 0], [0, 0], [0, 2], [-2, 2]]) + 1 / 3
    rings = shapely.polygons(middles[:, None] + shape)
    return ShapesModel.parse(
        geopandas.GeoDataFrame(geometry=rings, index=index), transformations=transformations
    )


def xenium(ids: list, labels: bool = False) -> SpatialData:
    um = xenium_um(he_places(8))
    to_global = {"global": Scale([1 / DAPI_MPP] * 2, axes=("x", "y"))}
    affine = Affine(ALIGNMENT, input_axes=("x", "y"), output_axes=("x", "y"))
    images = {
        "he_image": image(HEIGHT_PX, WIDTH_PX, {"global": affine}, scale_factors=[2]),
        "morphology_focus": Image2DModel.parse(
            np.zeros((1, 90, 80), np.uint16), dims=("c", "y", "x")
        ),
    }
    nuclei = polygons(um[:6] + (0.5, 0), ids[:6], to_global)
    if labels:
        cells = table(8, "cell_labels", "cell_labels", list(range(1, 9)), cell_id=ids)
        masks = Labels2DModel.parse(np.zeros((90, 80), np.int32), dims=("y", "x"))
        shapes = {"cell_boundaries": polygons(um, ids, to_global), "nucleus_boundaries": nuclei}
        return SpatialData(
            images=images, labels={"cell_labels": masks}, shapes=shapes, tables={"table": cells}
        )
    kinds = pd.Categorical(["tumour", "T cell"] * 4)
    cells = table(8, "cell_circles", "cell_id", ids, cell_type=kinds)
    order = np.random.default_rng(2).permutation(8)
    circles = ShapesModel.parse(
        um[order],
        geometry=0,
        radius=np.full(8, 4.0),
        index=pd.Index([ids[i] for i in order]),
        transformations=to_global,
    )
    return SpatialData(
        images=images,
        shapes={"cell_circles": circles, "nucleus_boundaries": nuclei},
        tables={"table": cells},
    )


def visium(full: bool) -> SpatialData:
    # 12 spots, 100 µm apart at 0.5 µm/px.
    row, column = np.array([(r, 2 * c + r % 2) for r in range(3) for c in range(4)]).T
    pixels = np.stack([column * 100 + 60.0, row * 100 * np.sqrt(3) + 80.0], axis=1)
    hires = Scale([0.25, 0.25], axes=("x", "y"))
    spots = ShapesModel.parse(
        pixels,
        geometry=0,
        radius=65.0,
        index=np.arange(12),
        transformations={"drawn": Identity(), "drawn_downscaled_hires": hires},
    )
    small = {"drawn_downscaled_hires": Identity(), "drawn": hires.inverse()}
    images = {"drawn_hires_image": image(HEIGHT_PX // 4, WIDTH_PX // 4, small)}
    if full:
        images["drawn_full_image"] = image(HEIGHT_PX, WIDTH_PX, {"drawn": Identity()})
    spot = table(12, "drawn", "spot_id", list(range(12)), array_row=row, array_col=column)
    return SpatialData(images=images, shapes={"drawn": spots}, tables={"table": spot})


def visium_hd() -> SpatialData:
    shapes, tables = {}, {}
    for side in (8, 16):
        name = f"drawn_square_{side:03d}um"
        middles = np.array([[100.0 + 2 * side * i, 50.0] for i in range(4)])
        shapes[name] = ShapesModel.parse(
            middles,
            geometry=0,
            radius=float(side),
            index=np.arange(4),
            transformations={"drawn": Identity()},
        )
        tables[f"square_{side:03d}um"] = table(4, name, "location_id", list(range(4)))
    images = {"drawn_full_image": image(HEIGHT_PX, WIDTH_PX, {"drawn": Identity()})}
    return SpatialData(images=images, shapes=shapes, tables=tables)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        old = SpatialDataContainerFormatV01()
        # Shapes as ragged arrays, as the first releases wrote them, when cells had numbers.
        first = [old, ShapesFormatV01()]
        texts = [f"aaaa{c}-1" for c in "abcdefgh"]
        xenium(texts).write(root / "xenium.zarr")
        xenium(texts, labels=True).write(root / "xenium_labels.zarr")
        xenium(texts).write(root / "xenium_v2.zarr", sdata_formats=[old])
        xenium(list(range(1, 9))).write(root / "xenium_v1.zarr", sdata_formats=first)
        visium(full=True).write(root / "visium.zarr")
        visium(full=False).write(root / "visium_v1.zarr", sdata_formats=first)
        visium_hd().write(root / "visium_hd.zarr")
        shutil.make_archive(str(HERE / "spatialdata"), "xztar", root)


if __name__ == "__main__":
    main()
