"""What is asked of a measurement: what its kind needs, with what can be guessed shown."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from napari_past.plugin.measured.dialog import MeasuredDialog
from napari_past.plugin.measured.offer import offer_of
from napari_past.spatial.errors import BadSource
from napari_past.types import Rect

SLIDE_UM, MPP = Rect(0, 0, 1000, 400), 0.5


def table(path: Path, places: np.ndarray | None = None, **columns: object) -> Path:
    n = 20 if places is None else len(places)
    made = anndata.AnnData(
        np.ones((n, 2), np.float32), obs=pd.DataFrame(columns, index=[f"c{k}" for k in range(n)])
    )
    if places is not None:
        made.obsm["spatial"] = places
    made.layers["counts"] = made.X.copy()
    made.write_h5ad(path)
    return path


@pytest.fixture
def spread() -> np.ndarray:
    """(20, 2), (x, y) in µm over most of the slide."""
    rng = np.random.default_rng(0)
    return rng.random((20, 2)) * (900, 350) + 20


def test_the_unit_is_guessed_from_what_fits_the_slide(tmp_path, spread):
    um = offer_of(table(tmp_path / "um.h5ad", spread), "x.tif", SLIDE_UM, MPP)
    assert (um.kind, um.unit, um.has_spatial) == ("anndata", "um", True)
    px = offer_of(table(tmp_path / "px.h5ad", spread / MPP), "x.tif", SLIDE_UM, MPP)
    assert px.unit == "px"
    far = offer_of(table(tmp_path / "far.h5ad", spread + 1e5), "x.tif", SLIDE_UM, MPP)
    assert far.unit is None


def test_columns_whose_x_is_the_row_are_seen_through(tmp_path, spread):
    px = spread / MPP
    path = table(
        tmp_path / "a.h5ad", None, x_pixel=px[:, 1], y_pixel=px[:, 0], kind=["t", "s"] * 10
    )
    found = offer_of(path, "x.tif", SLIDE_UM, MPP)
    assert (found.x, found.y, found.unit) == ("y_pixel", "x_pixel", "px")
    assert not found.has_spatial
    assert found.texts == ("kind",)


def test_the_section_is_the_one_that_the_slide_is_named_for(tmp_path):
    for name in ("C1", "C5"):
        (tmp_path / f"{name}_selection.tsv").write_text("x\ty\tpixel_x\tpixel_y\n")
        (tmp_path / f"{name}.tsv").write_text("\tA\n")
    found = offer_of(tmp_path, "her2st_C5_pyramid.tif", SLIDE_UM, MPP)
    assert (found.kind, found.section) == ("st", "C5")
    assert set(found.sections) == {"C1", "C5"}
    assert offer_of(tmp_path, "slide.tif", SLIDE_UM, MPP).section == ""
    with pytest.raises(BadSource, match="no measured tissue"):
        offer_of(Path(__file__), "slide.tif", SLIDE_UM, MPP)


def test_the_dialog_asks_what_is_needed_and_insists(tmp_path, spread, qtbot):
    dialog = MeasuredDialog()
    qtbot.addWidget(dialog)
    far = spread + 1e5
    path = table(tmp_path / "far.h5ad", far, cell_type=["tumour", "stroma"] * 10)
    dialog.ask(offer_of(path, "x.tif", SLIDE_UM, MPP), "x.tif")
    assert dialog.form.isRowVisible(dialog.unit)
    assert not dialog.form.isRowVisible(dialog.section)
    given: list[object] = []
    dialog.given.connect(lambda _, said: given.append(said))
    dialog.open_it.click()
    assert given == []
    assert "unit of the positions" in dialog.message.text()
    dialog.unit.setCurrentIndex(dialog.unit.findData("px"))
    dialog.rows.setCurrentIndex(1)
    dialog.patient.setText(" P1 ")
    dialog.open_it.click()
    (said,) = given
    assert (said.kind, said.unit, said.x, said.y) == ("anndata", "px", None, None)
    # X next to a layer named counts was most likely normalised.
    assert (said.layer, said.types, said.patient) == ("counts", "cell_type", "P1")
    assert said.spot_diameter_um == 55.0
