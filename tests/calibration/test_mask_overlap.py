"""Overlap of predicted and measured brown, on masks whose overlap is known."""

from __future__ import annotations

import math
from html import unescape

import numpy as np
import pandas as pd
import pytest
import shapely

from napari_past.calibration import write_calibration
from napari_past.calibration.mask_overlap import (
    SERIAL,
    dab_mask,
    dice,
    mask_overlaps,
    virtual_mask,
)
from napari_past.calibration.slide_masks import pair_overlaps
from napari_past.cells.stains import estimate_stains
from napari_past.errors import BadTable
from napari_past.io import found_cells, read_h5ad, read_marker_table, write_regions
from napari_past.model import load_model
from napari_past.model.calibration import Agreement, Calibration, PatientResiduals
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide
from napari_past.spatial.landmarks import fitted_affine
from napari_past.stain import classes
from napari_past.stain.virtual import virtual_stains
from napari_past.types import PixelGrid, Region

MPP = 0.5


def columns_between(x0_um, x1_um):
    """A mask that is brown in a band of the slide."""

    def mask(grid, shape):
        x = grid.x0_um + (np.indices(shape)[1] + 0.5) * grid.mpp
        return (x >= x0_um) & (x < x1_um)

    return mask


def box(name, x0, y0, x1, y1, role="Include"):
    return Region(name, role, shapely.box(x0, y0, x1, y1))


def test_dice_of_two_masks():
    a = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    b = np.array([[0, 1, 1, 0], [0, 1, 1, 1]], bool)
    assert dice(a, b) == pytest.approx(2 * 2 / (4 + 5))
    assert dice(a, a) == 1
    assert dice(a, ~a) == 0
    assert math.isnan(dice(a & ~a, b & ~b)), "no brown on either: nothing to compare"


@pytest.mark.parametrize("block_px", [1024, 37], ids=["one block", "many blocks"])
def test_overlap_by_region(block_px):
    regions = [
        box("whole", 0, 0, 100, 50),
        box("right", 60, 10, 100, 30),
        box("none", 80, 0, 100, 50),
        box("fold", 0, 25, 100, 50, role="Ignore*"),
    ]
    whole, right, none = mask_overlaps(
        "P1", regions, columns_between(0, 50), columns_between(25, 75), 1.0, block_px
    )
    # 25 µm of height are left above the fold; 50 and 50 µm wide, 25 of them together.
    assert (whole.predicted_um2, whole.measured_um2, whole.both_um2) == (1250, 1250, 625)
    assert whole.dice == pytest.approx(0.5)
    assert (right.predicted_um2, right.measured_um2, right.dice) == (0, 15 * 15, 0)
    assert math.isnan(none.dice)


@pytest.fixture(scope="module")
def he(tmp_path_factory, command):
    """A drawn H&E slide and its predicted cells."""
    folder = tmp_path_factory.mktemp("he")
    write_pyramid(folder / "he.ome.tif", draw_phantom(512, 384, MPP, 3).rgb, MPP, "he", jpeg=False)
    done = command(
        "run", folder / "he.ome.tif", "--out", folder / "he.h5ad", "--genes", "HER2,Ki67"
    )
    assert done.code == 0, done.err
    # Cut-offs that divide these cells, which the card's do not.
    adata = read_h5ad(folder / "he.h5ad")
    values = np.asarray(adata.obs_vector("MKI67"))
    adata.uns["napari_past"]["cutoffs"]["MKI67"] = list(np.quantile(values, (0.4, 0.6, 0.8)))
    # Nothing is hatched.
    adata.obs["unlike_training"], adata.obs["unscored"] = False, ""
    adata.write_h5ad(folder / "he.h5ad")
    return folder


@pytest.fixture(scope="module")
def restained(he):
    """That section "stained again": its virtual stain of Ki67 as a slide, moved by 20 px down."""
    cells = found_cells(read_h5ad(he / "he.h5ad"))
    table = read_marker_table(he / "he.h5ad", "Ki67")
    found = classes(table.values, table.cutoffs)
    with open_slide(he / "he.ome.tif") as slide:
        rgb = slide.read_region(0, 0, 256, 192, MPP)
        profile = estimate_stains(rgb, slide.background)
        brown = virtual_mask(slide, cells, found, "nucleus", profile)
        mask = brown(PixelGrid(0, 0, MPP), (384, 512))
        assert 0.02 < mask.mean() < 0.5
        stains = virtual_stains()
        od = mask[..., None] * 0.5 * np.array(stains.dab)
        picture = np.rint(np.array(stains.background) * 10**-od).astype(np.uint8)
        moved = np.roll(picture, 20, axis=0)
        write_pyramid(he / "ihc.ome.tif", moved, MPP, "ihc", jpeg=False)
        corners = np.array([[0.0, 0], [200, 0], [200, 150], [0, 150]])
        columns = ["predicted_x_um", "predicted_y_um", "measured_x_um", "measured_y_um"]
        marks = pd.DataFrame(np.hstack([corners, corners + (0, 10)]), columns=columns)
        marks.to_csv(he / "marks.csv", index=False)
        yield cells, found, slide, profile


def test_the_same_brown_meets_itself_after_the_landmarks_map(he, restained):
    cells, found, slide, profile = restained
    corners = np.array([[0.0, 0], [200, 0], [200, 150], [0, 150]])
    affine = fitted_affine(corners, corners + (0, 10), "here")
    regions = [box("A", 20, 20, 230, 170)]
    predicted = virtual_mask(slide, cells, found, "nucleus", profile)
    with open_slide(he / "ihc.ome.tif") as ihc:
        (there,) = mask_overlaps("P", regions, predicted, dab_mask(ihc, virtual_stains(), affine))
        (unmoved,) = mask_overlaps("P", regions, predicted, dab_mask(ihc, virtual_stains()))
    assert there.dice > 0.97
    assert unmoved.dice < 0.5, "10 µm off, nuclei do not meet"


def table_of(he, **columns):
    write_regions([box("A", 20, 20, 230, 170)], he / "rois.geojson", MPP)
    row = {
        "patient": "P1", "predicted_cells": "he.h5ad", "predicted_rois": "rois.geojson",
        "measured_cells": "ihc.csv", "measured_rois": "rois.geojson",
        "predicted_slide": "he.ome.tif", "measured_slide": "ihc.ome.tif", **columns,
    }  # fmt: skip
    pd.DataFrame([row]).to_csv(he / "pairs.csv", index=False)
    return he / "pairs.csv"


def test_a_table_of_slides_gives_dice_on_the_same_section_alone(he, restained):
    table = table_of(he, landmarks="marks.csv")
    (overlap,), told = pair_overlaps(table, "Ki67", same_section=True)
    assert (overlap.patient, overlap.region, told) == ("P1", "A", ())
    # Stain vectors are estimated here, and known where the slide was drawn.
    assert overlap.dice > 0.97
    assert overlap.predicted_um2 > 1000
    assert pair_overlaps(table_of(he), "Ki67", same_section=False) == ((), (SERIAL,))
    assert pair_overlaps(table_of(he, measured_slide=""), "Ki67", True) == ((), ())


@pytest.mark.parametrize("column", ["unlike_training", "unscored"])
def test_what_the_viewer_hatches_is_no_brown(he, restained, column):
    adata = read_h5ad(he / "he.h5ad")
    n = adata.n_obs
    told = np.ones(n, bool) if column == "unlike_training" else np.full(n, "blur")
    adata.obs[column] = told
    adata.write_h5ad(he / "hatched.h5ad")
    table = table_of(he, landmarks="marks.csv", predicted_cells="hatched.h5ad")
    (overlap,), _ = pair_overlaps(table, "Ki67", same_section=True)
    assert overlap.measured_um2 > 1000
    assert overlap.predicted_um2 == 0


def test_cells_without_outlines_are_refused(he, restained):
    with pytest.raises(BadTable, match="no outlines"):
        pair_overlaps(table_of(he, predicted_cells="cells.csv"), "Ki67", same_section=True)


@pytest.mark.parametrize("same_section", [True, False], ids=["same section", "serial"])
def test_validate_tells_dice_or_why_not(he, restained, command, tmp_path, same_section):
    cells, *_ = restained
    frame = pd.DataFrame(cells.centers_um + (0, 10), columns=["x_um", "y_um"])
    frame["dab_od"] = 0.3
    frame.to_csv(he / "ihc.csv", index=False)
    model = load_model("past-mini")
    calibration = Calibration(
        marker="MKI67 (Ki-67)", asked="Ki67", genes=("MKI67",), model=model.name,
        model_version=model.card.version, model_sha256=model.sha256,
        predicted_unit=model.expression_unit, quantity="od", level="regions",
        knots=((0.0, 0.0), (1.0, 1.0)),
        held_out=Agreement(
            patients=2, regions=2, bias=0.0, between_sd=None, within_sd=None, limits=None,
            correlation=None, rank_correlation=None,
        ),
        residuals=tuple(PatientResiduals(patient=f"{i:016x}", residuals=(0.0,)) for i in (1, 2)),
        cell_sd=None,
    )  # fmt: skip
    write_calibration(calibration, tmp_path / "ki67.json")
    columns = {"landmarks": "marks.csv", "measured_rois": ""}
    report = tmp_path / "report.html"
    done = command(
        "validate", table_of(he, **columns), "--calibration", tmp_path / "ki67.json",
        *(["--same-section"] if same_section else []), "--out", report,
    )  # fmt: skip
    assert done.code == 0, done.err
    text = unescape(report.read_text(encoding="utf-8"))
    if same_section:
        (told,) = (line for line in done.out.splitlines() if "Dice of the DAB masks" in line)
        assert told == "P1, A: Dice of the DAB masks 1.00"
        assert f"<td>{told.split()[-1]}</td>" in text
        assert SERIAL not in text
    else:
        assert SERIAL in done.out
        assert SERIAL in text
        assert "Dice</th>" not in text
