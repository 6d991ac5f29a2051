"""Real tissue, coarsely: what the baseline finds there is more than chance, and is found again."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_past.spatial.st import read_st
from past_training.dataset.read import open_dataset
from past_training.dataset.schema import INFO, DatasetInfo, PrepareConfig
from past_training.dataset.splits import leave_out
from past_training.dataset.write import write_section
from past_training.evaluation.colour import ColourStatistics
from past_training.evaluation.marker_sets import TILE_MPP, read_tiles
from past_training.evaluation.nuclear_features import nuclear_features
from past_training.evaluation.predictors import RidgeOn, TrainingMean
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.summary import MEAN_R, summary

MPP, COARSER = 0.69, 4


@pytest.fixture(scope="module")
def coarse(data_dir, tmp_path_factory):
    """C4 and C5 of her2st at a quarter of their resolution, a spot's middle for its nucleus."""
    folder = tmp_path_factory.mktemp("coarse")
    sections = []
    for name in ("C4", "C5"):
        section = read_st(data_dir / "her2st", name, "C", MPP, tissue="breast")
        with warnings.catch_warnings():
            # Sections are larger than what Pillow takes for an attack.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(section.image)
        with picture:
            full = picture.size
            picture.draft("RGB", (full[0] // COARSER, full[1] // COARSER))
            picture.load()
            picture.save(folder / f"{name}.png", compress_level=1)
            mpp = MPP * full[0] / picture.size[0]
        sections.append(
            replace(
                section, image=folder / f"{name}.png", mpp=mpp, nuclei_um=section.centers_um
            )
        )  # fmt: skip
    genes = tuple(dict.fromkeys(g for section in sections for g in section.genes))
    places = {gene: k for k, gene in enumerate(genes)}
    config = PrepareConfig(mpp=MPP * COARSER, patch_px=56)
    out = folder / "coarse.past"
    out.mkdir()
    records = tuple(write_section(out, section, config, places) for section in sections)
    info = DatasetInfo(**config.model_dump(), name="coarse", genes=genes, sections=records)
    (out / INFO).write_text(info.model_dump_json())
    return open_dataset(out)


def test_colour_predicts_the_next_section_beyond_chance(coarse):
    ridge = RidgeOn(ColourStatistics())
    found = evaluate(coarse, [ridge, TrainingMean()], leave_out(coarse), shuffles=50)
    points = summary(found, ridge.name, MEAN_R)
    assert set(points.points) == {"C4", "C5"}
    assert min(points.points.values()) > 0.15
    assert points.interval is None
    for section in found.sections:
        chance = section.score(ridge.name).chance
        assert chance is not None
        assert chance.high_null_r < 0.5 * chance.mean_r
        assert abs(chance.null_r) < 0.03
        assert chance.best_r > chance.mean_r
        assert chance.best_null_r > 0.05
    rmse = [summary(found, name, replace(MEAN_R, value=_rmse)).mean for name in found.predictors]
    assert rmse[0] < rmse[1]


def _rmse(fold, score):
    return float(np.nanmean(score.rmse[fold.subsets["variable"]]))


def test_most_annotated_nuclei_have_an_outline(data_dir):
    tiles = {tile.name: tile for tile in read_tiles(data_dir / "crc_nuclei")}
    assert len(tiles) == 12
    tile = tiles["img17"]
    assert {k: int((tile.kinds == k).sum()) for k in set(tile.kinds)} == {
        "epithelial": 286, "fibroblast": 9, "inflammatory": 17,
    }  # fmt: skip
    features = nuclear_features(tile.rgb, tile.centers_um, TILE_MPP)
    found = np.isfinite(features[:, 0])
    assert found.mean() > 0.7
    areas = [
        np.median(features[found & (tile.kinds == k), 0]) for k in ("epithelial", "inflammatory")
    ]
    assert areas[0] > 1.2 * areas[1]  # tumour nuclei are larger than lymphocytes
