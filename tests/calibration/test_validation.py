"""A calibration on other patients, and the report of it."""

import xml.etree.ElementTree as ElementTree
from html import unescape

import numpy as np
import pytest

from napari_past.calibration import fit_calibration, validate, write_validation
from napari_past.errors import BadTable, CannotWrite
from napari_past.types import RESEARCH_USE


@pytest.fixture(scope="module")
def calibration(sim):
    return fit_calibration(sim.patients(15, seed=1), sim.by)


def test_by_hand(sim, calibration):
    """Regions that lie off the map by +0.02 in one patient and −0.04 in the other two."""
    x = np.array([[0.5, 0.8], [0.5, 0.8], [0.5, 0.8]])
    clean = sim.matched(x, x, "uvw")
    estimates = [row.estimate.value for row in validate(calibration, clean).regions]
    off = np.array([0.02, 0.02, -0.04, -0.04, -0.04, -0.04])
    y = (np.array(estimates) - off).reshape(3, 2)
    found = validate(calibration, sim.matched(x, y, "uvw"))
    assert found.found.bias == pytest.approx(-0.02)
    reach = 1.96 * np.std([0.02, -0.04, -0.04], ddof=1)
    assert found.found.limits == pytest.approx((-0.02 - reach, -0.02 + reach))
    assert (found.inside, found.with_interval) == (6, 6)
    assert found.whose == "6 regions of 3 patients, none of whom was calibrated on"


def test_patients_of_the_calibration_are_refused_or_told(sim, calibration):
    again = sim.patients(3, seed=1)
    with pytest.raises(BadTable, match=r"Patients s1p\d and 2 more of these regions were cal"):
        validate(calibration, again)
    found = validate(calibration, again, allow_seen=True)
    assert len(found.seen_patients) == 3
    assert "3 of whom the calibration has seen" in found.whose


def test_one_patient_of_the_calibration_is_told_as_one(sim, calibration):
    seen = sim.matched([[0.5, 0.8]], [[0.3, 0.4]], ["s1p3"])
    with pytest.raises(BadTable, match=r"^Patient s1p3 of these regions was calibrated on"):
        validate(calibration, seen)


def test_regions_beyond_the_calibrated_values_are_told(sim, calibration, tmp_path):
    first, last = calibration.span
    x = np.array([[0.5, 0.8], [first - 1, last + 1], [0.5, 0.8]])
    y = sim.true_density(np.array([[0.5, 0.8]] * 3))
    found = validate(calibration, sim.matched(x, y, "uvw"))
    told = "4 of 4 regions; 2 lie beyond the calibrated values, where no interval is known"
    assert found.share == told
    assert told in write_validation(found, tmp_path / "r.html")[0].read_text()
    one = validate(calibration, sim.matched(x[1:, 1:], y[1:, 1:], "vw"))
    assert one.share.startswith("1 of 1 regions; 1 lies beyond")
    assert validate(calibration, sim.matched(x[:1], y[:1], "u")).share == "2 of 2 regions"


def test_mean_densities_are_not_held_against_h_scores(sim, calibration):
    scored = sim.matched([[0.5, 0.8]], [[50, 120]], "u", quantity="h-score")
    with pytest.raises(BadTable, match="gives DAB optical density, but these regions have H-score"):
        validate(calibration, scored)


def test_other_quantities_and_levels_are_refused(sim, calibration):
    x = np.array([[0.5, 0.8]])
    percent = sim.matched(x, x, "u", quantity="percent")
    with pytest.raises(BadTable, match="gives DAB optical density, but these regions have % pos"):
        validate(calibration, percent)
    with pytest.raises(BadTable, match="is of matched cells, but these rows are regions"):
        validate(calibration.model_copy(update={"level": "cells"}), sim.matched(x, x, "u"))


def test_the_html_report_has_all_of_it(sim, calibration, tmp_path):
    found = validate(calibration, sim.patients(4, seed=2))
    (page,) = write_validation(found, tmp_path / "report.html")
    text = page.read_text()
    tree = ElementTree.fromstring(text.removeprefix("<!doctype html>").replace(
        '<meta charset="utf-8">', ""
    ))  # fmt: skip
    assert RESEARCH_USE in unescape(text)
    assert "predicted DAB optical density (calibrated: SP1, 15 patients)" in text
    assert "none of whom was calibrated on" in text
    circles = [e for e in tree.iter() if e.tag.endswith("circle")]
    assert len(circles) == 2 * 24, "every region in both plots"
    for row in found.regions:
        assert f"{row.patient}" in text
    write_validation(found, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == text


def test_the_markdown_report_has_its_plots_beside_it(sim, calibration, tmp_path):
    found = validate(calibration, sim.patients(4, seed=2))
    page, *plots = write_validation(found, tmp_path / "report.md")
    text = page.read_text()
    assert RESEARCH_USE in text
    assert [plot.name for plot in plots] == ["report-agreement.svg", "report-bland-altman.svg"]
    for plot in plots:
        assert f"({plot.name})" in text
        ElementTree.parse(plot)
    with pytest.raises(CannotWrite, match=r"in \.html or \.md"):
        write_validation(found, tmp_path / "report.pdf")


def test_names_cannot_break_a_report(sim, calibration, tmp_path):
    rows = sim.matched([[0.5, 0.8]], [[0.3, 0.4]], ["<b>|x|"])
    found = validate(calibration, rows)
    html = write_validation(found, tmp_path / "r.html")[0].read_text()
    assert "<b>" not in html
    assert r"<b>\|x\|" in write_validation(found, tmp_path / "r.md")[0].read_text()
