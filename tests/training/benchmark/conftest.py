"""A drawn task in the benchmark's format: three sections of six patches, three genes, two folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from napari_past.sample import draw_phantom
from past_training.benchmark.recipe import HestRecipe, load_hest_recipe
from past_training.benchmark.task import read_task

SIDE_PX = 64
GENES = ("EPCAM", "ACTB", "VIM")
SAMPLES = ("A", "B", "C")
FOLDS = ((("B", "C"), ("A",)), (("A",), ("B", "C")))
FINGERPRINT = "ab" * 32


def write_sample(place: Path, name: str, seed: int) -> None:
    """Six patches; counts in another order of rows and genes than patches and list have."""
    rgb = draw_phantom(210, 220, 0.5, seed).rgb[: 3 * SIDE_PX, : 2 * SIDE_PX]
    patches = [
        rgb[y : y + SIDE_PX, x : x + SIDE_PX]
        for y in range(0, rgb.shape[0], SIDE_PX)
        for x in range(0, rgb.shape[1], SIDE_PX)
    ]
    barcodes = [f"{name}-{i}" for i in range(6)]
    with h5py.File(place / "patches" / f"{name}.h5", "w") as file:
        file["img"] = np.stack(patches)
        file["coords"] = np.zeros((6, 2), np.int64)
        names = np.array(barcodes, object)[:, None]
        file.create_dataset("barcode", data=names, dtype=h5py.string_dtype())
    dark = np.array([255 - patch.mean() for patch in patches])
    counts = np.random.default_rng(seed).poisson(5, (6, 3)) + np.outer(dark / 10, [1, 0, -0.1])
    table = pd.DataFrame(np.maximum(counts, 0).round(), barcodes, list(GENES))
    table["OTHER"] = 1.0
    table = table.iloc[::-1, ::-1]
    written = anndata.AnnData(
        csr_matrix(table.to_numpy(np.float32)),
        obs=pd.DataFrame(index=table.index),
        var=pd.DataFrame(index=table.columns),
    )
    written.write_h5ad(place / "adata" / f"{name}.h5ad")


def write_task(folder: Path, name: str = "DRAWN") -> Path:
    """The task's folder, of which A's slide is known."""
    place = folder / name
    for part in ("splits", "patches", "adata"):
        (place / part).mkdir(parents=True)
    for seed, sample in enumerate(SAMPLES):
        write_sample(place, sample, seed)
    (place / "var_50genes.json").write_text(json.dumps({"genes": list(GENES)}))
    for number, sides in enumerate(FOLDS):
        for side, names in zip(("train", "test"), sides, strict=True):
            pd.DataFrame(
                {
                    "sample_id": names,
                    "patches_path": [f"patches/{n}.h5" for n in names],
                    "expr_path": [f"adata/{n}.h5ad" for n in names],
                    "slide_fingerprint": [FINGERPRINT if n == "A" else None for n in names],
                }
            ).to_csv(place / "splits" / f"{side}_{number}.csv", index=False)
    return place


@pytest.fixture(scope="session")
def recipe() -> HestRecipe:
    """The benchmark's, but for small patches and few components."""
    whole = load_hest_recipe()
    return whole.model_copy(
        update={
            "data": whole.data.model_copy(update={"patch_px": SIDE_PX}),
            "probe": whole.probe.model_copy(update={"components": 4}),
        }
    )


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the drawn task."""
    folder = tmp_path_factory.mktemp("bench")
    write_task(folder)
    return folder


@pytest.fixture(scope="session")
def task(drawn, recipe):
    return read_task(drawn, "DRAWN", recipe.data)


@pytest.fixture(scope="session")
def two_patches(task):
    """A sample of which only the first two patches count."""
    sample = task.samples["A"]
    return replace(sample, n=2, measured=sample.measured[:2])
