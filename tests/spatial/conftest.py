"""A drawn H&E whose nuclei are known, and bundles around it in the file formats of the field."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
import tifffile
from PIL import Image

from napari_past.sample import Phantom, draw_phantom
from napari_past.sample.ome_tiff import write_pyramid

MPP = 0.5
WIDTH_PX, HEIGHT_PX = 960, 640
DAPI_MPP = 0.2125

# Ensembl id, name, type, as a Xenium panel and a Visium reference mix them.
FEATURES = (
    ("ENSG00000119888", "EPCAM", "Gene Expression"),
    ("ENSG00000141736", "ERBB2", "Gene Expression"),
    ("ENSG00000081237", "PTPRC", "Gene Expression"),
    ("ENSG00000184163", "FAM132A", "Gene Expression"),  # C1QTNF12 since
    ("custom-1", "MYGENE", "Gene Expression"),
    ("NegControlProbe_00042", "NegControlProbe_00042", "Negative Control Probe"),
    ("UnassignedCodeword_0006", "UnassignedCodeword_0006", "Unassigned Codeword"),
)
GENES = ("EPCAM", "ERBB2", "PTPRC", "C1QTNF12", "MYGENE")


@dataclass(frozen=True)
class Truth:
    """What was written into a bundle."""

    phantom: Phantom
    ids: tuple[str, ...]
    """Of the cells or spots, in the order of `counts`."""
    counts: npt.NDArray[np.int64]
    """(r, f) for all features."""
    centers_um: npt.NDArray[np.float64]
    """(r, 2) in the slide space of the H&E."""


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """480 x 320 µm, not square."""
    return draw_phantom(WIDTH_PX, HEIGHT_PX, MPP, seed=4)


@pytest.fixture(scope="session")
def he_tiff(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom as an OME-TIFF that states 0.5 µm/px."""
    path = tmp_path_factory.mktemp("he") / "drawn_he_image.ome.tif"
    write_pyramid(path, phantom.rgb, MPP, "drawn", jpeg=False)
    return path


@pytest.fixture(scope="session")
def he_png(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom as a picture that states no µm/px."""
    path = tmp_path_factory.mktemp("he") / "drawn.png"
    Image.fromarray(phantom.rgb).save(path)
    return path


@pytest.fixture(scope="session")
def plain_tiff(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom as a flat TIFF without resolution, as microscopes export it."""
    path = tmp_path_factory.mktemp("he") / "drawn.tif"
    tifffile.imwrite(path, phantom.rgb, photometric="rgb")
    return path


@pytest.fixture(scope="session", name="write_h5")
def write_h5_fixture() -> Callable[..., None]:
    """``write_h5(path, barcodes, counts, features=…)``."""
    return write_h5


@pytest.fixture(scope="session", name="write_mex")
def write_mex_fixture() -> Callable[..., None]:
    """``write_mex(folder, barcodes, counts, features=…)``."""
    return write_mex


def write_h5(
    path: Path, barcodes: list[str], counts: npt.NDArray[np.int64], features: tuple = FEATURES
) -> None:
    """``cell_feature_matrix.h5`` as 10x documents it: features by barcodes, CSC."""
    matrix = scipy.sparse.csc_array(counts.T)
    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = np.int64(2)
        group = file.create_group("matrix")
        group["barcodes"] = np.array(barcodes, "S")
        group.create_dataset("data", data=matrix.data.astype(np.int32), compression="gzip")
        group.create_dataset("indices", data=matrix.indices.astype(np.int64), compression="gzip")
        group.create_dataset("indptr", data=matrix.indptr.astype(np.int64), compression="gzip")
        group["shape"] = np.array(matrix.shape, np.int32)
        table = group.create_group("features")
        table["_all_tag_keys"] = np.array(["genome"], "S")
        table["id"] = np.array([f[0] for f in features], "S")
        table["name"] = np.array([f[1] for f in features], "S")
        table["feature_type"] = np.array([f[2] for f in features], "S")
        table["genome"] = np.array(["GRCh38"] * len(features), "S")


def write_mex(
    folder: Path, barcodes: list[str], counts: npt.NDArray[np.int64], features: tuple = FEATURES
) -> None:
    """The same matrix as a folder of MEX files."""
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wb") as file:
        scipy.io.mmwrite(file, scipy.sparse.coo_array(counts.T))
    with gzip.open(folder / "features.tsv.gz", "wt") as text:
        text.writelines("\t".join(f) + "\n" for f in features)
    with gzip.open(folder / "barcodes.tsv.gz", "wt") as text:
        text.writelines(f"{b}\n" for b in barcodes)


def drawn_counts(rng: np.random.Generator, epithelial: npt.NDArray[np.bool_]) -> npt.NDArray:
    """Counts (r, f) whose EPCAM follows the epithelium; no row is empty."""
    rates = np.column_stack(
        [
            np.where(epithelial, 8.0, 0.2),
            np.full(len(epithelial), 2.0),
            np.where(epithelial, 0.2, 4.0),
            np.full(len(epithelial), 0.5),
            np.full(len(epithelial), 1.0),
            np.full(len(epithelial), 0.3),
            np.full(len(epithelial), 0.3),
        ]
    )
    counts = rng.poisson(rates)
    counts[:, 1] += 1
    return counts


# The H&E was scanned turned by about a quarter and at another scale than the DAPI image.
ANGLE = np.deg2rad(97.0)
SCALE = MPP / DAPI_MPP
AFFINE = np.array(
    [
        [SCALE * np.cos(ANGLE), -SCALE * np.sin(ANGLE), 3900.25],
        [SCALE * np.sin(ANGLE), SCALE * np.cos(ANGLE), 410.5],
        [0.0, 0.0, 1.0],
    ]
)


def dapi_um(he_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The instrument's µm of places on the H&E, by the definition of `AFFINE`."""
    x, y = he_um.T / MPP
    dapi_x = AFFINE[0, 0] * x + AFFINE[0, 1] * y + AFFINE[0, 2]
    dapi_y = AFFINE[1, 0] * x + AFFINE[1, 1] * y + AFFINE[1, 2]
    return np.stack([dapi_x, dapi_y], axis=1) * DAPI_MPP


def nucleus_outlines(
    ids: tuple[str, ...], he_um: npt.NDArray[np.float64], radii_um: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """``nucleus_boundaries``: 13 vertices of each polygon, the last one closing it."""
    angle = np.linspace(0, 2 * np.pi, 13)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = dapi_um(he_um)[:, None] + radii_um[:, None, None] * ring
    return pd.DataFrame(
        {
            "cell_id": np.repeat(np.array(ids, object), 13),
            "vertex_x": vertices[..., 0].ravel(),
            "vertex_y": vertices[..., 1].ravel(),
            "label_id": np.repeat(np.arange(1, len(ids) + 1, dtype=np.int32), 13),
        }
    )


@pytest.fixture(scope="session")
def write_xenium(phantom: Phantom, he_tiff: Path) -> Callable[[Path], Truth]:
    """Writes a Xenium run with its H&E; a cell's centroid lies beside its nucleus."""

    def write(folder: Path) -> Truth:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(9)
        n = len(phantom.centers_um)
        ids = tuple(f"{''.join(rng.choice(list('abcdefghijklmnop'), 8))}-1" for _ in range(n))
        counts = drawn_counts(rng, phantom.kinds == "epithelial")
        shift = rng.normal(0, 1.0, (n, 2))
        centers_um = phantom.centers_um + shift
        cells = pd.DataFrame(
            {
                "cell_id": ids,
                "x_centroid": dapi_um(centers_um)[:, 0],
                "y_centroid": dapi_um(centers_um)[:, 1],
                "transcript_counts": counts[:, :5].sum(axis=1),
                "control_probe_counts": counts[:, 5],
                "total_counts": counts.sum(axis=1),
                "cell_area": np.full(n, 80.0),
                "nucleus_area": np.pi * phantom.radii_um**2,
            }
        )
        cells.to_parquet(folder / "cells.parquet")
        nucleus_outlines(ids, phantom.centers_um, phantom.radii_um).to_parquet(
            folder / "nucleus_boundaries.parquet"
        )
        # The matrix need not list the cells in the order of their table.
        order = rng.permutation(n)
        write_h5(folder / "cell_feature_matrix.h5", [ids[i] for i in order], counts[order])
        (folder / "experiment.xenium").write_text(
            json.dumps(
                {
                    "major_version": 5,
                    "minor_version": 1,
                    "run_name": "drawn",
                    "region_name": "R1",
                    "panel_organism": "Human",
                    "panel_tissue_type": "Breast",
                    "pixel_size": DAPI_MPP,
                    "num_cells": n,
                    "analysis_sw_version": "xenium-3.1.0.4",
                }
            )
        )
        (folder / "drawn_he_image.ome.tif").symlink_to(he_tiff)
        np.savetxt(folder / "drawn_he_imagealignment.csv", AFFINE, delimiter=",", fmt="%.12g")
        return Truth(phantom, tuple(ids[i] for i in order), counts[order], centers_um[order])

    return write


@pytest.fixture
def xenium(write_xenium: Callable[[Path], Truth], tmp_path: Path) -> tuple[Path, Truth]:
    """A Xenium run that a test may change, and what is in it."""
    folder = tmp_path / "drawn"
    return folder, write_xenium(folder)


@pytest.fixture
def visium(phantom: Phantom, he_png: Path, tmp_path: Path) -> tuple[Path, Truth]:
    """The output of Space Ranger 2 over the phantom, whose µm/px is known from the spots alone."""
    folder = tmp_path / "sample7" / "outs"
    (folder / "spatial").mkdir(parents=True)
    rng = np.random.default_rng(3)
    row, column = np.array([(r, 2 * c + r % 2) for r in range(4) for c in range(5)]).T
    turn = np.deg2rad(3.0)
    grid_um = np.stack([column * 50.0, row * 50.0 * np.sqrt(3)], axis=1)
    turned = grid_um @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centers_um = turned + (22.0, 4.0)
    ids = [f"AAAC{r:02d}{c:02d}-1" for r, c in zip(row, column, strict=True)]
    in_tissue = np.ones(len(ids), int)
    in_tissue[3] = 0
    counts = rng.poisson(20.0, (len(ids), len(FEATURES)))
    # (x, y) of the pixel whose centre is the spot's.
    pixels = centers_um / MPP - 0.5
    positions = pd.DataFrame(
        {
            "barcode": ids,
            "in_tissue": in_tissue,
            "array_row": row,
            "array_col": column,
            "pxl_row_in_fullres": pixels[:, 1],
            "pxl_col_in_fullres": pixels[:, 0],
        }
    )
    positions.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    (folder / "spatial" / "scalefactors_json.json").write_text(
        json.dumps(
            {
                "tissue_hires_scalef": 0.5,
                "tissue_lowres_scalef": 0.1,
                "fiducial_diameter_fullres": 105.0 / MPP,
                "spot_diameter_fullres": 65.0 / MPP,
            }
        )
    )
    inside = np.flatnonzero(in_tissue)
    order = rng.permutation(inside)
    write_h5(folder / "filtered_feature_bc_matrix.h5", [ids[i] for i in order], counts[order])
    truth = Truth(phantom, tuple(ids[i] for i in order), counts[order], centers_um[order])
    return folder, truth


@pytest.fixture(scope="session")
def drawn_sections(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sections in the layout of her2st: 300 x 260 µm, nine spots, five genes each."""
    folder = tmp_path_factory.mktemp("st")
    x_um, y_um = (v.ravel() for v in np.meshgrid([70, 150, 230], [60, 130, 200]))
    pixels = np.round(np.stack([x_um, y_um], axis=1) / MPP - 0.5).astype(int)
    spots = np.arange(len(pixels))
    places = pd.DataFrame(
        {"x": 10 + spots, "y": 20 + spots, "pixel_x": pixels[:, 0], "pixel_y": pixels[:, 1]}
    )
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        counts = pd.DataFrame(
            rng.poisson([5, 20, 80, 30, 0.1], (len(spots), 5)) + [1, 0, 0, 0, 0],
            columns=["EPCAM", "ERBB2", "ACTB", "VIM", "RARE"],
            index=[f"{10 + i}x{20 + i}" for i in spots],
        )
        Image.fromarray(phantom.rgb[:520, :600]).save(folder / f"S{seed}.jpg")
        counts.to_csv(folder / f"S{seed}.tsv.gz", sep="\t")
        places.to_csv(folder / f"S{seed}_selection.tsv", sep="\t", index=False)
    return folder
