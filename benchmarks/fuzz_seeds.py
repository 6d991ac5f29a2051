"""Small sound files of every kind that napari-past reads: what `fuzz` damages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import tifffile
import zarr
from anndata import AnnData
from PIL import Image
from scipy.sparse import csr_array

from napari_past.io import write_cells, write_regions
from napari_past.model import write_model_file
from napari_past.model.bank import BankCells, MadeBy, write_bank
from napari_past.model.calibration import Agreement, Calibration, PatientResiduals
from napari_past.model.card import Card
from napari_past.model.lab_evidence import (
    GeneEvidence,
    LabEvidence,
    ValidatedSection,
    write_lab_evidence,
)
from napari_past.model.labels import Labels
from napari_past.quality import QualityMask, write_mask
from napari_past.types import Region, Rgb

HEIGHT_PX, WIDTH_PX, MPP = 200, 300, 0.5
"""Of every picture, so that a seed costs milliseconds to read."""
GENES = ("ERBB2", "EPCAM", "KRT5")
CARD: dict[str, object] = {
    "schema_version": 1,
    "name": "fuzzed",
    "version": "1",
    "summary": "Random weights.",
    "licence": "BSD-3-Clause",
    "attribution": "Nobody's data.",
    "species": "human",
    "organ": "breast",
    "preparation": "FFPE, H&E",
    "scanner": "none",
    "training_data": "none",
    "training_fingerprints": (),
    "recipe": "none",
    "expression_unit": "log1p(counts per 10k)",
    "genes": GENES,
    "encoder": {
        "mode": "dense",
        "mpp": MPP,
        "stride_px": 4,
        "halo_px": 64,
        "crop_px": 96,
        "mean": (0.7, 0.55, 0.7),
        "std": (0.2, 0.2, 0.2),
        "tower": {"backbone": "mobilenetv4_conv_small", "stages": (0, 1), "embed_dim": 16},
    },
    "evidence": {
        "protocol": "left one section out",
        "patients": 1,
        "unseen_patients": 0,
        "sections": ("A", "B"),
        "resolution": "100 µm spots",
        "r": {"ERBB2": (0.25, 0.375), "EPCAM": (None, None), "KRT5": (0.5, None)},
        "detected": {"ERBB2": 0.5, "EPCAM": 0.5, "KRT5": 0.01},
    },
    "min_detected": 0.05,
    "cutoffs": {"ERBB2": (-0.5, 0.0, 0.5)},
    "cutoffs_source": "drawn by lot",
    "unlike_training_limit": 4.0,
    "slide_unlike_limit": 2.0,
}


def picture() -> Rgb:
    """Red rises along x, green along y, blue is noise."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    noise = np.random.default_rng(7).integers(60, 120, (HEIGHT_PX, WIDTH_PX))
    return np.stack([x / WIDTH_PX * 255, y / HEIGHT_PX * 255, noise], axis=-1).astype(np.uint8)


def labels() -> npt.NDArray[np.uint16]:
    """Twenty-four square cells on a background of 0."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint16)
    for k in range(24):
        row, column = divmod(k, 6)
        image[20 + 45 * row : 32 + 45 * row, 20 + 45 * column : 32 + 45 * column] = k + 1
    return image


def cells() -> AnnData:
    """Forty cells with outlines, three genes and provenance."""
    rng = np.random.default_rng(7)
    n = 40
    centers = rng.uniform((10, 10), (140, 90), (n, 2))
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    circle = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return AnnData(
        X=rng.uniform(0, 4, (n, len(GENES))).astype(np.float32),
        obs=pd.DataFrame(
            {
                "area_um2": rng.uniform(20, 60, n).astype(np.float32),
                "cell_type": pd.Categorical.from_codes(np.arange(n) % 2, ["epithelial", "T cell"]),
            },
            index=[f"00000000-0000-4000-8000-{k:012d}" for k in range(n)],
        ),
        var=pd.DataFrame({"r": [0.3, 0.2, 0.4], "learnable": [True] * 3}, index=list(GENES)),
        obsm={
            "spatial": centers,
            "outline_um": (centers[:, None] + circle).astype(np.float32),
            "X_past": rng.normal(size=(n, 16)).astype(np.float16),
        },
        uns={
            "napari_past": {
                "schema_version": 1,
                "slide": {
                    "name": "slide.svs", "fingerprint": "ab" * 32, "mpp": MPP,
                    "width_px": WIDTH_PX, "height_px": HEIGHT_PX,
                },
                "model": {"name": "fuzzed", "sha256": "cd" * 32},
                "cutoffs": {"ERBB2": [1.0, 2.0, 3.0]},
                "cutoffs_source": {"ERBB2": "drawn by lot"},
                "unreadable_tiles": ["0,0"],
            }
        },
    )  # fmt: skip


def _slide(path: Path, compression: str | None, **options: object) -> Path:
    rgb, per_cm = picture(), 1e4 / MPP
    common: dict[str, object] = {
        "tile": (64, 64), "photometric": "rgb", "resolution": (per_cm, per_cm),
        "resolutionunit": "CENTIMETER", "compression": compression,
    }  # fmt: skip
    ome = path.name.endswith(".ome.tif")
    if not ome:
        common["metadata"] = None
    with tifffile.TiffWriter(path, ome=ome, **options) as file:
        file.write(rgb, **common, **({"subifds": 1} if ome else {}))
        file.write(rgb[::2, ::2], subfiletype=1, **{**common, "metadata": None})
    return path


def _aperio(path: Path) -> Path:
    rgb = picture()
    told = "Aperio Image Library v11.2.1\r\n300x200 |AppMag = 20|MPP = 0.5|Patient = X"
    tifffile.imwrite(
        path, rgb, tile=(64, 64), photometric="rgb", compression="jpeg", metadata=None,
        description=told,
    )  # fmt: skip
    return path


def _omezarr(path: Path, version: int) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == 3 else 2)
    datasets = []
    for k, level in enumerate((picture(), picture()[::2, ::2])):
        group.create_array(str(k), data=np.ascontiguousarray(level.transpose(2, 0, 1)),
                           chunks=(1, 64, 64))  # fmt: skip
        scale = [1.0, MPP * 2**k, MPP * 2**k]
        step = {"type": "scale", "scale": scale}
        datasets.append({"path": str(k), "coordinateTransformations": [step]})
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": a, "type": "space", "unit": "micrometer"} for a in "yx"
    ]
    told = {"axes": axes, "datasets": datasets, "name": "drawn"}
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [told]}
    else:
        group.attrs["multiscales"] = [told | {"version": "0.4"}]
    return path


def _zipped(path: Path, source: Path) -> Path:
    path.write_bytes(gzip.compress(source.read_bytes(), 1, mtime=0))
    return path


def _table(path: Path) -> Path:
    write_cells(cells(), path, mpp=MPP)
    return path


def _annotations(path: Path) -> Path:
    square = shapely.box(10, 10, 60, 60).difference(shapely.box(20, 20, 30, 30))
    ring = shapely.MultiPolygon([shapely.box(80, 10, 90, 20), shapely.box(100, 10, 120, 30)])
    regions = [Region("T1", "Tumour", square), Region("N", "Ignore*", ring)]
    write_regions(regions, path, MPP)
    return path


def _qupath_cells(path: Path) -> Path:
    """As QuPath exports them: cells with a nucleus, a classification, measurements."""
    features = []
    for k in range(24):
        x, y = 20 + 45 * (k % 6), 20 + 45 * (k // 6)
        outer, inner = shapely.box(x, y, x + 12, y + 12), shapely.box(x + 3, y + 3, x + 9, y + 9)
        features.append(
            {
                "type": "Feature",
                "id": f"00000000-0000-4000-8000-{k:012d}",
                "geometry": shapely.geometry.mapping(outer),
                "nucleusGeometry": shapely.geometry.mapping(inner),
                "properties": {
                    "objectType": "cell",
                    "classification": {"name": "Tumor", "color": [200, 0, 0]},
                    "measurements": {"Nucleus: Area": 36.0, "DAB OD mean": 0.1 * k},
                },
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def _model(path: Path) -> Path:
    import torch

    from napari_past.model.card import TowerCard
    from napari_past.model.tower import DenseTower

    card = Card.model_validate(CARD)
    assert isinstance(card.encoder.tower, TowerCard)
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    tower = DenseTower(card.encoder.tower)
    tensors = {f"tower.{k}": v.numpy() for k, v in tower.state_dict().items()}
    tensors |= {
        "readout.weight": rng.normal(size=(len(GENES), 16)).astype(np.float32),
        "readout.bias": rng.normal(size=len(GENES)).astype(np.float32),
        "statistics.mean": rng.normal(size=16).astype(np.float32),
        "statistics.whitening": rng.normal(size=(16, 3)).astype(np.float32),
    }
    return write_model_file(path, card, tensors)


def _checkpoint(path: Path, zipped: bool = True) -> Path:
    import argparse

    import torch

    torch.manual_seed(5)
    state = {
        "image_encoder.model.norm.weight": torch.randn(64),
        "cell_encoder.encoder.layers.0.norm1.weight": torch.randn(32),
        "cell_encoder.temperature": torch.tensor(0.07),
    }
    content = {"model": state, "args": argparse.Namespace(lr=0.1), "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def _bank(path: Path) -> Path:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(30, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    told = Labels.of(["a", "b", "c"] * 10)
    counted = csr_array(rng.poisson(1, (30, len(GENES))).astype(np.float32))
    write_bank(
        path, vectors.astype(np.float16), [counted], GENES,
        BankCells([str(i) for i in range(30)], told, told, told), MadeBy("fuzzed", "ab" * 32),
    )  # fmt: skip
    return path


def _evidence(path: Path) -> Path:
    gene = GeneEvidence(
        r=0.4, low=0.3, high=0.5, rho=0.4, auc=0.75, within={}, percentile=90.0, detected=0.5,
        baselines={"ridge on colour": 0.2},
    )  # fmt: skip
    section = ValidatedSection(
        name="S", patient="0" * 16, technology="ST", resolution="100 µm spots",
        fingerprint="ab" * 32, rows=100,
    )  # fmt: skip
    evidence = LabEvidence(
        model="fuzzed", model_sha256="ab" * 32, predicted_unit="log1p", sections=(section,),
        seen=(), traced=True, seen_patients=0, protocol=("One patient.",), interval_over=None,
        mean_r=0.35, mean_low=None, mean_high=None, mean_over=3, mean_baselines={},
        genes={"ERBB2": gene}, warnings=(), versions={"napari-past": "0"},
    )  # fmt: skip
    write_lab_evidence(evidence, path)
    return path


def _calibration(path: Path) -> Path:
    made = Calibration(
        marker="ESR1 (ER)", asked="ER", genes=("ESR1",), model="fuzzed", model_version="1",
        model_sha256="ab" * 32, predicted_unit="log1p", quantity="od", level="regions",
        knots=((0.0, 0.1), (1.0, 0.5)),
        held_out=Agreement(patients=2, regions=3, bias=0.0, between_sd=None, within_sd=None,
                           limits=None, correlation=0.9, rank_correlation=1.0),
        residuals=(PatientResiduals(patient="0" * 16, residuals=(0.1, -0.1)),
                   PatientResiduals(patient="1" * 16, residuals=(0.0,))),
        cell_sd=None,
    )  # fmt: skip
    path.write_text(made.model_dump_json(indent=1), encoding="utf-8")
    return path


def _label_tiff(path: Path) -> Path:
    tifffile.imwrite(path, labels(), tile=(64, 64), compression="deflate", metadata=None)
    return path


def _label_png(path: Path) -> Path:
    Image.fromarray(labels().astype(np.uint8)).save(path)
    return path


def _mask(path: Path) -> Path:
    """Of the seed slides' size, at 8 µm/px."""
    image = np.zeros((13, 19), np.uint8)
    image[3:6, 4:9] = 2
    write_mask(path, QualityMask(image, 8.0, "drawn"))
    return path


def _landmarks(path: Path) -> Path:
    path.write_text(
        "predicted_x_um,predicted_y_um,measured_x_um,measured_y_um\n"
        "0,0,1,1\n100,0,101,1\n0,50,1,51\n100,50,101,51\n"
    )
    return path


def _markers(path: Path) -> Path:
    path.write_text(
        '[[marker]]\nname = "HER2"\ngenes = ["ERBB2"]\ncompartment = "membrane"\n'
        'score = "0/1+/2+/3+"\npredicted = ["pseudo-h-score"]\naliases = ["neu"]\n'
    )
    return path


SEEDS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "slide (TIFF)": {
        "jpeg.tif": lambda p: _slide(p, "jpeg"),
        "deflate.tif": lambda p: _slide(p, "deflate"),
        "lzw.tif": lambda p: _slide(p, "lzw"),
        "plain.tif": lambda p: _slide(p, None),
        "big.ome.tif": lambda p: _slide(p, "deflate", bigtiff=True),
        "jpeg.ome.tif": lambda p: _slide(p, "jpeg"),
        "aperio.svs": _aperio,
    },
    "slide (OME-Zarr)": {
        "v2.zarr": lambda p: _omezarr(p, 2),
        "v3.zarr": lambda p: _omezarr(p, 3),
    },
    "cells (GeoJSON)": {
        "ours.geojson": _table,
        "qupath.geojson": _qupath_cells,
        "packed.geojson.gz": lambda p: _zipped(p, _qupath_cells(p.with_suffix(""))),
    },
    "regions (GeoJSON)": {
        "regions.geojson": _annotations,
        "regions.geojson.gz": lambda p: _zipped(p, _annotations(p.with_suffix(""))),
    },
    "cells (CSV)": {"cells.csv": _table},
    "cells (h5ad)": {"cells.h5ad": _table},
    "cells (Parquet)": {"cells.parquet": _table},
    "cells (SpatialData)": {"cells.zarr": _table},
    "labels (TIFF, PNG)": {"labels.tif": _label_tiff, "labels.png": _label_png},
    "mask": {"mask.tif": _mask},
    "model": {"model.safetensors": _model},
    "checkpoint (.pth)": {
        "zip.pth": _checkpoint,
        "legacy.pth": lambda p: _checkpoint(p, zipped=False),
    },
    "bank": {"bank.h5ad": _bank},
    "validation file": {"validation.json": _evidence},
    "calibration file": {"calibration.json": _calibration},
    "landmarks": {"landmarks.csv": _landmarks},
    "markers": {"markers.toml": _markers},
}
"""Kind → name of a file or folder → what writes it there."""


def write_seeds(kind: str, folder: Path) -> list[Path]:
    """The sound files of one kind, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write(folder / name) for name, write in SEEDS[kind].items()]
