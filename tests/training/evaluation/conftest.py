"""Drawn sections whose gene EPCAM follows the epithelial nuclei, as small paired datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from napari_past.sample import draw_phantom
from napari_past.spatial.section import MeasuredSection
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.dataset.schema import INFO, DatasetInfo, PrepareConfig
from past_training.dataset.write import write_section
from past_training.evaluation.result import (
    DatasetFacts,
    Evaluation,
    FoldResult,
    GeneMap,
    HeldSection,
    SectionScore,
    Standing,
)
from past_training.evaluation.retrieval import Retrieval

MPP, WIDTH_PX, HEIGHT_PX, SPOT_UM = 0.5, 640, 560, 36.0
NOISE_GENES = 1100
NAMED = ("EPCAM", "ERBB2", "CD3D", "CD3E", "CD3G", "KRT5", "ONLY4")
GENES = (*NAMED, *(f"N{i:04}" for i in range(NOISE_GENES)))


def drawn_section(folder: Path, name: str, seed: int, **fields: object) -> MeasuredSection:
    """A picture of 320 x 280 µm with 6 x 5 spots; section S4 alone has the gene ONLY4."""
    phantom = draw_phantom(WIDTH_PX, HEIGHT_PX, MPP, seed)
    image = folder / f"{name}.png"
    Image.fromarray(phantom.rgb).save(image)
    x_um, y_um = np.meshgrid(np.linspace(40, 280, 6), np.linspace(40, 240, 5))
    centers_um = np.stack([x_um.ravel(), y_um.ravel()], axis=1)
    away = np.linalg.norm(centers_um[:, None] - phantom.centers_um, axis=2)
    epithelial = ((away < SPOT_UM / 2) & (phantom.kinds == "epithelial")).sum(axis=1)
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(1, 0.5, NOISE_GENES), (len(centers_um), NOISE_GENES))
    named = np.column_stack(
        [
            20 * epithelial + 1,
            *(rng.poisson(6, (5, len(centers_um)))),
            (900 if name == "S4" else 0) * rng.integers(0, 2, len(centers_um)),
        ]
    )
    values = {
        "name": name,
        "patient": "P",
        "species": "human",
        "tissue": "breast",
        "technology": "ST",
        "image": image,
        "mpp": MPP,
        "ids": tuple(f"{name}-{i}" for i in range(len(centers_um))),
        "centers_um": centers_um,
        "counts": csr_array(np.hstack([named, counts]).astype(np.float32)),
        "genes": GENES,
        "spot_diameter_um": SPOT_UM,
        "nuclei_um": phantom.centers_um,
    }
    return MeasuredSection(**(values | fields))  # type: ignore[arg-type]


def written(folder: Path, sections: list[MeasuredSection], **config: object) -> PairedDataset:
    """A dataset of these sections at `folder`, in crops of 224 px unless told otherwise."""
    folder.mkdir()
    settings = PrepareConfig(**({"patch_px": 224} | config))  # type: ignore[arg-type]
    places = {gene: k for k, gene in enumerate(GENES)}
    records = tuple(write_section(folder, section, settings, places) for section in sections)
    info = DatasetInfo(**settings.model_dump(), name=folder.stem, genes=GENES, sections=records)
    (folder / INFO).write_text(info.model_dump_json())
    return open_dataset(folder)


@pytest.fixture(scope="session")
def draw() -> Callable[..., MeasuredSection]:
    """``draw(folder, "S9", 9, **fields)``: one more section."""
    return drawn_section


@pytest.fixture(scope="session")
def write() -> Callable[..., PairedDataset]:
    """``write(folder, [section, …], **config)``: sections to a dataset."""
    return written


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> list[MeasuredSection]:
    """Sections S1 … S4 of one patient."""
    folder = tmp_path_factory.mktemp("drawn")
    return [drawn_section(folder, f"S{seed}", seed) for seed in (1, 2, 3, 4)]


@pytest.fixture(scope="session")
def alone(drawn, tmp_path_factory) -> PairedDataset:
    """S1 by itself: a nucleus in each of the 30 spots, and named genes that vary widely."""
    counts = drawn[0].counts.toarray()
    counts[:, : len(NAMED)] *= np.random.default_rng(0).integers(0, 40, (len(counts), len(NAMED)))
    section = replace(drawn[0], nuclei_um=drawn[0].centers_um, counts=csr_array(counts))
    return written(tmp_path_factory.mktemp("alone") / "alone.past", [section])


@pytest.fixture(scope="session")
def dataset_folder(drawn, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "drawn.past"
    written(folder, drawn)
    return folder


@pytest.fixture
def dataset(dataset_folder) -> PairedDataset:
    """S1 … S4, spots of 36 µm with nuclei of their own; freshly opened."""
    return open_dataset(dataset_folder)


@pytest.fixture(scope="session")
def regions(drawn, tmp_path_factory) -> PairedDataset:
    """The same in patches of a grid, which hold several spots each."""
    folder = tmp_path_factory.mktemp("regions") / "regions.past"
    return written(folder, drawn[:2], mode="regions", patch_px=420, halo_px=110)


@pytest.fixture
def hand_made() -> Callable[..., Evaluation]:
    """``hand_made({"A": [("S1", [0.1, 0.3]), …]}, by="patient", others={…}, standing={…})``.

    Patient → sections with r of their genes; one fold for each. `others` maps further predictors to
    what is added to r, `standing` (predictor, section) to what it has seen.
    """

    def make(
        patients: dict[str, list[tuple[str, list[float]]]],
        by: str = "section",
        others: dict[str, float] | None = None,
        standing: dict[tuple[str, str], Standing] | None = None,
    ) -> Evaluation:
        predictors = {"ours": 0.0} | (others or {})
        folds = []
        for patient, sections in patients.items():
            for name, r in sections:
                scores = tuple(
                    _score(p, np.array(r) + plus, (standing or {}).get((p, name)))
                    for p, plus in predictors.items()
                )
                folds.append(_fold(name, patient, scores, len(r)))
        facts = DatasetFacts("made", "ST", "human breast", "100 µm spots", 0.5, len(folds), 1)
        return Evaluation(facts, None, by, tuple(predictors), tuple(folds))  # type: ignore[arg-type]

    return make


def _score(predictor: str, r: np.ndarray, standing: Standing | None) -> SectionScore:
    return SectionScore(
        predictor, standing or Standing.HELD_OUT, r, r / 2, 1 - r, 0.5 + r / 2,
        np.array([0.5, 0.7]), Retrieval(20, {1: 0.1, 10: 0.6}), None,
    )  # fmt: skip


def _fold(name: str, patient: str, scores: tuple[SectionScore, ...], genes: int) -> FoldResult:
    row_um = np.array([[0.0, 0.0], [200.0, 0.0], [0.0, 200.0]])
    values = np.array([0.0, 1.0, 2.0], np.float32)
    shown = GeneMap("EPCAM", "asked for", "ours", scores[0].standing, 0.5, values, values / 2)
    held = HeldSection(name, patient, 4, 3, row_um, 100.0, scores, (shown,))
    symbols = ("EPCAM", "ERBB2", "KRT5", "CD3E")[:genes]
    every = np.arange(genes)
    subsets = {"variable": every, "top": every[:1], "asked": every[:0]}
    return FoldResult(f"section {name}", ("other",), 30, symbols, (), subsets, (held,))
