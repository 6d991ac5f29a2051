"""Small sections made by hand: noise for pixels, so that every patch is told from every other."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from napari_past.spatial.section import MeasuredSection
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.dataset.schema import INFO, DatasetInfo, PrepareConfig
from past_training.dataset.write import write_section

WIDTH_PX, HEIGHT_PX, MPP = 240, 180, 0.5
"""120 x 90 µm: not square, so that x and y cannot be mistaken for each other."""
GENES = ("EPCAM", "VIM", "CD3E", "ACTB")


@pytest.fixture(scope="session")
def picture(tmp_path_factory) -> Path:
    """Noise of tissue's colours within a rim of glass."""
    rng = np.random.default_rng(0)
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), 243, np.uint8)
    rgb[20:-20, 20:-20] = rng.integers(90, 220, (HEIGHT_PX - 40, WIDTH_PX - 40, 3))
    path = tmp_path_factory.mktemp("picture") / "noise.png"
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture(scope="session")
def cells(picture) -> Callable[..., MeasuredSection]:
    """``cells("A", rows=40, seed=0, **fields)``: single cells anywhere, most genes at 0."""

    def make(name: str = "A", rows: int = 40, seed: int = 0, **fields: object) -> MeasuredSection:
        rng = np.random.default_rng(seed)
        genes = fields.pop("genes", GENES)
        values = {
            "name": name,
            "patient": "P",
            "species": "human",
            "tissue": "breast",
            "technology": "Xenium",
            "image": picture,
            "mpp": MPP,
            "ids": tuple(f"{name}-{i}" for i in range(rows)),
            "centers_um": rng.uniform(0, 1, (rows, 2)) * [WIDTH_PX * MPP, HEIGHT_PX * MPP],
            "counts": csr_array(rng.poisson(0.7, (rows, len(genes))).astype(np.float32)),
            "genes": genes,
            "spot_diameter_um": None,
        }
        return MeasuredSection(**(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def spots(cells) -> Callable[..., MeasuredSection]:
    """``spots("A", nuclei_um=…)``: 2 x 3 spots of 20 µm, 30 µm apart, with nuclei of their own."""

    def make(name: str = "S", seed: int = 0, **fields: object) -> MeasuredSection:
        x_um, y_um = np.meshgrid([25.0, 55.0, 85.0], [30.0, 60.0])
        rng = np.random.default_rng(seed)
        values = {
            "centers_um": np.stack([x_um.ravel(), y_um.ravel()], axis=1),
            "technology": "ST",
            "spot_diameter_um": 20.0,
            "nuclei_um": rng.uniform([10, 15], [100, 75], (60, 2)),
        }
        return cells(name, 6, seed, **(values | fields))

    return make


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of each file below a folder, by its relative path."""

    def hashed(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    return hashed


@pytest.fixture(scope="session")
def write_to() -> Callable[..., PairedDataset]:
    """``write_to(folder, section, …, config)``: a dataset, without the checks of `prepare`."""

    def written(folder: Path, *sections: MeasuredSection, **config: object) -> PairedDataset:
        settings = PrepareConfig(**({"patch_px": 24, "shard_patches": 8} | config))  # type: ignore[arg-type]
        genes = tuple(dict.fromkeys(gene for section in sections for gene in section.genes))
        places = {gene: k for k, gene in enumerate(genes)}
        records = tuple(write_section(folder, section, settings, places) for section in sections)
        info = DatasetInfo(**settings.model_dump(), name="made", genes=genes, sections=records)
        (folder / INFO).write_text(info.model_dump_json())
        return open_dataset(folder)

    return written


@pytest.fixture
def write(write_to, tmp_path) -> Callable[..., PairedDataset]:
    """``write(section, …, config)``: a dataset ``made.past`` in the test's own folder."""
    return functools.partial(write_to, tmp_path / "made.past")
