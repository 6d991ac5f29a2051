"""The same cells come in through every door."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from uuid import UUID

import anndata
import numpy as np
import pandas as pd
import pytest
import roifile
import shapely
import tifffile
import zarr
from PIL import Image
from skimage.measure import find_contours
from skimage.segmentation import expand_labels, find_boundaries

from napari_past.brought import bring_cells

from .conftest import MPP, Known

Door = Callable[[Known, Path], "tuple[Path, str | None]"]
DOORS: dict[str, tuple[Door, str]] = {}


def door(kind: str) -> Callable[[Door], Door]:
    """Names a door by its function, and what it should say that it brought."""

    def named(write: Door) -> Door:
        DOORS[write.__name__] = (write, kind)
        return write

    return named


@door("label image")
def tiff(known, folder):
    tifffile.imwrite(folder / "l.tif", known.labels)
    return folder / "l.tif", None


@door("label image")
def tiff_tiled(known, folder):
    labels = known.labels.astype(np.uint16)
    tifffile.imwrite(folder / "l.tif", labels, tile=(64, 48), compression="zlib", predictor=True)
    return folder / "l.tif", None


@door("label image")
def tiff_strips(known, folder):
    labels = known.labels.astype(np.float32)
    tifffile.imwrite(folder / "l.tif", labels, rowsperstrip=7, compression="lzw")
    return folder / "l.tif", None


@door("label image")
def tiff_page(known, folder):
    pages = np.stack([known.labels * 0 + 1, known.labels])
    tifffile.imwrite(folder / "l.tif", pages, photometric="minisblack")
    return folder / "l.tif", "1"


@door("label image")
def tiff_imagej(known, folder):
    """Two pixels for each of the slide's, with µm/px."""
    large = known.labels.repeat(2, 0).repeat(2, 1).astype(np.uint16)
    size = {"unit": "um", "axes": "YX"}
    tifffile.imwrite(folder / "l.tif", large, imagej=True, resolution=(4, 4), metadata=size)
    return folder / "l.tif", None


@door("label image")
def tiff_ome(known, folder):
    size = {"PhysicalSizeX": MPP / 2, "PhysicalSizeY": MPP / 2, "axes": "YX"}
    large = known.labels.repeat(2, 0).repeat(2, 1).astype(np.uint16)
    tifffile.imwrite(folder / "l.ome.tif", large, metadata=size, tile=(128, 128))
    return folder / "l.ome.tif", None


@door("label image")
def png(known, folder):
    Image.fromarray(known.labels.astype(np.uint16)).save(folder / "l.png")
    return folder / "l.png", None


@door("label image")
def npy_scaled(known, folder):
    np.save(folder / "l.npy", known.labels.repeat(3, 0).repeat(3, 1))
    return folder / "l.npy", f"mpp={MPP / 3}"


@door("label image")
def three_classes(known, folder):
    """The border runs inside of each nucleus."""
    edge = find_boundaries(known.labels, mode="inner")
    classes = np.where(edge, 2, 1) * (known.labels > 0)
    Image.fromarray(classes.astype(np.uint8)).save(folder / "c.png")
    return folder / "c.png", None


@door("label image")
def mask(known, folder):
    inside = (known.labels > 0) & ~find_boundaries(known.labels, mode="inner")
    np.savez(folder / "m.npz", masks=inside)
    return folder / "m.npz", None


def as_group(path: Path, labels: np.ndarray, version: str) -> zarr.Group:
    """An OME-Zarr multiscale of one level without a unit."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    array = group.create_array("0", shape=labels.shape, dtype=labels.dtype, chunks=(64, 64))
    array[:] = labels
    axes = [{"name": n, "type": "space"} for n in "yx"]
    steps = [{"type": "scale", "scale": [1, 1]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    scales = [{"version": version, "axes": axes, "datasets": datasets}]
    group.attrs.update(
        {"multiscales": scales} if version == "0.4" else {"ome": {"multiscales": scales}}
    )
    return group


@door("OME-Zarr labels")
def omezarr_label_image(known, folder):
    as_group(folder / "n.zarr", known.labels, "0.5")
    return folder / "n.zarr", None


@door("OME-Zarr labels")
def omezarr_labels_of_image(known, folder):
    root = zarr.open_group(folder / "i.zarr", mode="w", zarr_format=2)
    root.create_group("labels").attrs["labels"] = ["nuclei", "other"]
    as_group(folder / "i.zarr" / "labels" / "nuclei", known.labels, "0.4")
    as_group(folder / "i.zarr" / "labels" / "other", known.labels * 0, "0.4")
    return folder / "i.zarr", "nuclei"


@door("Cellpose")
def cellpose_masks(known, folder):
    tifffile.imwrite(folder / "he_cp_masks.tif", known.labels.astype(np.uint16), compression="zlib")
    return folder / "he_cp_masks.tif", None


@door("Cellpose")
def cellpose_seg(known, folder):
    """As Cellpose's documentation lists its members."""
    flows = [np.zeros((2, 4, 4), np.float32), [np.zeros(3), None]]
    members = {
        "filename": "he.png",
        "masks": known.labels.astype(np.uint16),
        "outlines": known.labels.astype(np.uint16),
        "chan_choose": [0, 0],
        "ismanual": np.zeros(len(known.ids), bool),
        "flows": flows,
        "est_diam": np.float64(17.0),
    }
    np.save(folder / "he_seg.npy", members)
    return folder / "he_seg.npy", None


@lru_cache(maxsize=1)
def border_pixels(known: Known) -> list[np.ndarray]:
    """The border pixels of each cell in their order, (x, y), as OpenCV lists them."""
    chains = []
    for name in known.ids:
        inside = known.labels == int(name)
        ring = max(find_contours(inside, 0.5), key=len)
        # Every point of the contour lies between a pixel of the cell and one that is none.
        low, high = np.floor(ring).astype(int), np.ceil(ring).astype(int)
        chain = np.where(inside[tuple(low.T)][:, None], low, high)
        keep = np.append(True, (np.diff(chain, axis=0) != 0).any(axis=1))
        chains.append(chain[keep][:-1, ::-1])
    return chains


@door("Cellpose")
def cellpose_outlines(known, folder):
    lines = [",".join(map(str, chain.ravel().tolist())) for chain in border_pixels(known)]
    (folder / "he_cp_outlines.txt").write_text("\n".join(lines) + "\n")
    return folder / "he_cp_outlines.txt", None


@door("Cellpose")
def cellpose_rois(known, folder):
    rois = [
        roifile.ImagejRoi.frompoints(c, name=n)
        for c, n in zip(border_pixels(known), known.ids, strict=True)
    ]
    roifile.roiwrite(folder / "he_rois.zip", rois)
    return folder / "he_rois.zip", None


@lru_cache(maxsize=1)
def stars(known: Known) -> np.ndarray:
    """(n, 2, 32), (y, x) in pixels whose centres are integers, as StarDist has its polygons."""
    angle = np.arange(32) * (2 * np.pi / 32)
    out = []
    for polygon, (x, y) in zip(known.polygons_px, known.centers_px, strict=True):
        rays = shapely.linestrings(
            [[(x, y), (x + 30 * np.cos(a), y + 30 * np.sin(a))] for a in angle]
        )
        length = shapely.length(shapely.intersection(rays, polygon))
        out.append([y - 0.5 + length * np.sin(angle), x - 0.5 + length * np.cos(angle)])
    return np.array(out)


@door("StarDist")
def stardist_details(known, folder):
    coord = stars(known)
    np.savez(
        folder / "d.npz", coord=coord, points=coord.mean(2), prob=np.linspace(0.5, 1, len(coord))
    )
    return folder / "d.npz", None


@door("StarDist")
def stardist_rois(known, folder):
    rois = []
    for i, (y, x) in enumerate(np.rint(stars(known)).astype(int), start=1):
        roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.POLYGON, version=227)
        roi.name = f"001_{i:03d}"
        roi.left, roi.top, roi.right, roi.bottom = x.min(), y.min(), x.max(), y.max()
        roi.n_coordinates = 32
        roi.integer_coordinates = np.column_stack([x - x.min(), y - y.min()]).astype(np.int16)
        rois.append(roi)
    roifile.roiwrite(folder / "s.zip", rois)
    return folder / "s.zip", None


@door("ImageJ ROIs")
def imagej_rois(known, folder):
    rois = [
        roifile.ImagejRoi.frompoints(np.array(p.exterior.coords)[:-1] + 1e-3, name=n)
        for p, n in zip(known.polygons_px, known.ids, strict=True)
    ]
    roifile.roiwrite(folder / "r.zip", rois)
    return folder / "r.zip", None


@door("InstanSeg")
def instanseg_tiff(known, folder):
    both = np.stack([known.labels, expand_labels(known.labels, 1)])
    tifffile.imwrite(folder / "he_instanseg_prediction.tiff", both, photometric="minisblack")
    return folder / "he_instanseg_prediction.tiff", None


@door("InstanSeg")
def instanseg_zarr(known, folder):
    """Its whole-slide output: a bare array (2, H, W) at the model's µm/px."""
    array = zarr.create_array(
        folder / "he_instanseg_prediction.zarr",
        shape=(2, *known.labels.shape),
        dtype=np.int32,
        chunks=(2, 600, 600),
        zarr_format=2,
    )
    array[:] = np.stack([known.labels, known.labels])
    return folder / "he_instanseg_prediction.zarr", None


@door("InstanSeg")
def instanseg_geojson(known, folder):
    features = []
    for kind, grow in (("Nuclei", 0.0), ("Cells", 0.6)):
        for polygon in known.polygons_px:
            outline = shapely.geometry.mapping(polygon.buffer(grow) if grow else polygon)
            properties = {"object_type": "detection", "classification": kind, "isLocked": False}
            features.append({"type": "Feature", "geometry": outline, "properties": properties})
    (folder / "he_instanseg_prediction.geojson").write_text(json.dumps(features))
    return folder / "he_instanseg_prediction.geojson", None


def features(known: Known, object_type: str, nucleus: bool) -> dict[str, object]:
    found = []
    for i, polygon in enumerate(known.polygons_px):
        geometry = shapely.geometry.mapping(polygon)
        feature = {
            "type": "Feature",
            "id": str(UUID(int=i)),
            "geometry": shapely.geometry.mapping(polygon.buffer(1)) if nucleus else geometry,
            "properties": {
                "objectType": object_type,
                "name": f"n{i}",
                "classification": {"name": "Tumor" if i % 2 else "Stroma", "color": [200, 0, 0]},
                "measurements": {"Nucleus: Area µm^2": polygon.area, "Mitosis/mm": float(i)},
            },
        }
        if nucleus:
            feature["nucleusGeometry"] = geometry
        found.append(feature)
    return {"type": "FeatureCollection", "features": found}


@door("QuPath GeoJSON")
def qupath_cells(known, folder):
    packed = gzip.compress(json.dumps(features(known, "cell", True)).encode())
    (folder / "c.geojson.gz").write_bytes(packed)
    return folder / "c.geojson.gz", None


@door("QuPath GeoJSON")
def qupath_detections(known, folder):
    (folder / "d.geojson").write_text(json.dumps(features(known, "detection", False)))
    return folder / "d.geojson", None


@door("QuPath GeoJSON")
def qupath_annotations(known, folder):
    (folder / "a.json").write_text(json.dumps(features(known, "annotation", False)["features"]))
    return folder / "a.json", None


@door("QuPath GeoJSON")
def qupath_points(known, folder):
    points = {"type": "MultiPoint", "coordinates": known.centers_px.tolist()}
    one = {
        "type": "Feature",
        "id": "p",
        "geometry": points,
        "properties": {"objectType": "annotation"},
    }
    (folder / "p.geojson").write_text(json.dumps(one))
    return folder / "p.geojson", None


def table(known: Known, factor: float) -> anndata.AnnData:
    obs = pd.DataFrame(
        {"kind": ["a", "b"] * (len(known.ids) // 2) + ["a"] * (len(known.ids) % 2)},
        index=list(known.ids),
    )
    return anndata.AnnData(obs=obs, obsm={"spatial": known.centers_px * factor})


@door("AnnData")
def anndata_um(known, folder):
    table(known, MPP).write_h5ad(folder / "t.h5ad")
    return folder / "t.h5ad", "unit=um"


@door("AnnData")
def anndata_px(known, folder):
    """As µm most of them would lie beyond the slide's edge if it were small; here it is told."""
    table(known, 1.0).write_h5ad(folder / "t.h5ad")
    return folder / "t.h5ad", "unit=px"


@door("CSV")
def csv_um(known, folder):
    frame = pd.DataFrame(known.centers_px * MPP, columns=["x_um", "y_um"]).assign(id=known.ids)
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv", None


@door("CSV")
def csv_of_excel(known, folder):
    """As Excel saves it where numbers have a comma."""
    frame = pd.DataFrame(known.centers_px * MPP, columns=["x_um", "y_um"]).assign(id=known.ids)
    frame.to_csv(folder / "t.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    return folder / "t.csv", None


@door("CSV")
def qupath_measurements(known, folder):
    frame = pd.DataFrame(known.centers_px * MPP, columns=["Centroid X µm", "Centroid Y µm"])
    frame.assign(**{"Object ID": known.ids}).to_csv(folder / "t.tsv", index=False, sep="\t")
    return folder / "t.tsv", None


@door("Xenium")
def xenium(known, folder):
    """The H&E lies turned by a quarter and shifted against the DAPI image."""
    run = folder / "run_outs"
    run.mkdir()
    (run / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    to_dapi = np.array([[0.0, -2.0, 700.0], [2.0, 0.0, 30.0], [0.0, 0.0, 1.0]])
    np.savetxt(run / "run_he_imagealignment.csv", to_dapi, delimiter=",")
    for file, grow in (("nucleus_boundaries.parquet", 0.0), ("cell_boundaries.parquet", 0.8)):
        rows = []
        for name, polygon in zip(known.ids, known.polygons_px, strict=True):
            xy = np.array(polygon.buffer(grow).exterior.coords)
            dapi = np.column_stack([xy, np.ones(len(xy))]) @ to_dapi.T * 0.2125
            rows.append(
                pd.DataFrame({"cell_id": name, "vertex_x": dapi[:, 0], "vertex_y": dapi[:, 1]})
            )
        pd.concat(rows).to_parquet(run / file)
    return run, None


@pytest.mark.parametrize("name", list(DOORS))
def test_same_cells(name, known, slide, tmp_path):
    write, kind = DOORS[name]
    path, key = write(known, tmp_path)
    brought = bring_cells(path, slide, key=key)
    assert brought.kind == kind
    assert len(brought) == len(known.ids)
    away = np.linalg.norm(brought.found.centers_um[:, None] / MPP - known.centers_px, axis=2)
    nearest = away.argmin(axis=1)
    assert sorted(nearest) == list(range(len(known.ids)))
    assert away.min(axis=1).max() < 0.5
    assert len(set(brought.found.ids)) == len(known.ids)
    assert str(tmp_path) not in " ".join((brought.source, *brought.notes))
