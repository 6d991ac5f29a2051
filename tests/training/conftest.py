"""A drawn section whose gene TUMOUR follows the epithelial nuclei: a miniature of the real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from napari_past.sample import draw_phantom

MPP = 0.5
SPOT_UM = 60.0
RECIPE = f"""
[data]
source = "st"
folder = "drawn"

[data.reader]
mpp = {MPP}
patient = "P"
spot_diameter_um = {SPOT_UM}

[data.cut]
mpp = {MPP}
patch_px = 256

[encoder]
mode = "dense"
mpp = 0.5
stride_px = 4
halo_px = 64
crop_px = 96
mean = [0.7, 0.55, 0.7]
std = [0.2, 0.2, 0.2]

[encoder.tower]
backbone = "mobilenetv4_conv_small"
stages = [0, 1]
embed_dim = 8

[objective]
expression = 1.0
expression_loss = "log1p-mse"

[fit]
epochs = 1
batch_patches = 4
crop_px = 160
lr = 2e-3
genes = 4

[card]
name = "mini"
version = "1"
summary = "Drawn."
licence = "BSD-3-Clause"
attribution = "Nobody's data."
species = "none"
organ = "none"
preparation = "drawn"
scanner = "none"
training_data = "drawn sections"
"""


def write_section(folder: Path, name: str, seed: int) -> None:
    """A picture of 300 x 260 µm, nine spots, five genes, in the layout of her2st."""
    phantom = draw_phantom(600, 520, MPP, seed)
    Image.fromarray(phantom.rgb).save(folder / f"{name}.jpg", quality=92)
    x_um, y_um = (v.ravel() for v in np.meshgrid([70, 150, 230], [60, 130, 200]))
    spots_um = np.stack([x_um, y_um], axis=1)
    away = np.linalg.norm(spots_um[:, None] - phantom.centers_um, axis=2)
    epithelial = ((away < SPOT_UM / 2) & (phantom.kinds == "epithelial")).sum(axis=1)
    rng = np.random.default_rng(seed)
    index = [f"{10 + i}x{20 + i}" for i in range(len(spots_um))]
    counts = pd.DataFrame(
        {
            "EPCAM": 5 * epithelial + 1,
            "ERBB2": rng.poisson(20, len(index)),
            "ACTB": rng.poisson(80, len(index)),
            "VIM": rng.poisson(30, len(index)),
            "RARE": np.arange(len(index)) == 0,
        },
        index=index,
    ).astype(int)
    counts.to_csv(folder / f"{name}.tsv.gz", sep="\t")
    pixels = np.round(spots_um / MPP - 0.5).astype(int)
    pd.DataFrame(
        {
            "x": 10 + np.arange(len(index)),
            "y": 20 + np.arange(len(index)),
            "pixel_x": pixels[:, 0],
            "pixel_y": pixels[:, 1],
        }
    ).to_csv(folder / f"{name}_selection.tsv", sep="\t", index=False)


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three drawn sections and their recipe."""
    data = tmp_path_factory.mktemp("data")
    (data / "drawn").mkdir()
    for seed in (1, 2, 3):
        write_section(data / "drawn", f"S{seed}", seed)
    (data / "mini.toml").write_text(RECIPE, encoding="utf-8")
    return data
