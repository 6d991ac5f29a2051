from __future__ import annotations

import io

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy import ndimage

from napari_past.calibration.findings import findings_of_cells
from napari_past.engine import predict
from napari_past.errors import CannotWrite, PastError
from napari_past.genes import resolve
from napari_past.report import (
    MarkerFindings,
    ModelFacts,
    SlideFindings,
    checked_case_code,
    numbered,
    slide_pages,
    write_report,
)
from napari_past.report.drawing import Label, Path, Raster
from napari_past.report.histogram import histogram
from napari_past.report.pdf import pdf_report, printable
from napari_past.report.pictures import busiest_field, class_picture, round_length, slide_extent
from napari_past.slide import open_slide
from napari_past.stain import CLASS_COLOURS, rules_of, score_table
from napari_past.stain.measured import resolve_measured
from napari_past.stain.real_stain import NO_CPS
from napari_past.types import (
    IGNORE,
    MEASURED_RESEARCH_USE,
    RESEARCH_USE,
    TUMOUR,
    Cutoffs,
    Region,
)

LIMITS = Cutoffs(1, 2, 3, "drawn by lot")


def findings(centers_um, values, regions=(), name="HER2", **changes):
    centers_um, values = np.asarray(centers_um, float), np.asarray(values, float)
    resolved = resolve(name)
    table = score_table(values, centers_um, LIMITS, regions, rules=rules_of(resolved))
    marker = MarkerFindings(resolved.label, values, table, "units", learnable=name != "ER")
    fields = {
        "name": "slide.svs",
        "fingerprint": "0123456789abcdef" * 4,
        "case_code": "",
        "centers_um": centers_um,
        "markers": (marker,),
        "regions": tuple(regions),
        "model": ModelFacts("tiny", "1", "f" * 64),
        "unlike": (),
    }
    return SlideFindings(**{**fields, **changes})


def square(name, role, x, y, side):
    return Region(name, role, shapely.box(x, y, x + side, y + side))


FOUR = findings([(10, 10), (30, 10), (10, 30), (30, 30)], [0.5, 1, 2.5, 3])


def test_one_cell_of_each_class():
    (page,) = numbered(slide_pages(FOUR))
    (table,) = page.tables
    told = dict(zip(table.columns, table.rows[0], strict=True))
    assert [told[c] for c in ("n", "n0", "n1", "n2", "n3")] == ["4", "1", "1", "1", "1"]
    assert told["% positive"] == "75.0"
    assert told["pseudo-H-score"] == "150"
    assert (page.case_code, page.case_given) == ("no case code given", False)
    assert page.fingerprint == "0123 4567 89ab cdef"
    assert page.footer == RESEARCH_USE
    assert page.number == "page 1 of 1"
    assert page.warnings == ()
    facts = {fact.label: fact.text for fact in page.facts}
    assert facts["Cut-offs"] == "1+ from 1, 2+ from 2, 3+ from 3"
    assert (facts["Cut-offs from"], facts["Unit"]) == ("drawn by lot", "units")
    assert "sampling interval (this model)" in facts["Intervals"]
    assert facts["Denominator"] == "all nuclei, not tumour-only"
    assert facts["Model"] == f"tiny, version 1, sha256 {'f' * 64}"
    assert facts["Calibration"].startswith("not calibrated")
    assert "does not make the values reliable" in facts["Unlike training"]
    assert facts["Not scored"] == "nobody looked for blur, pen or folds"


def test_regions_in_the_order_and_with_the_numbers_of_the_table():
    regions = [
        square("Fold", IGNORE, 0, 0, 20),
        square("A", TUMOUR, 0, 0, 40),
        square("B", TUMOUR, 20, 0, 40),
    ]
    (page,) = slide_pages(findings(FOUR.centers_um, FOUR.markers[0].values, regions))
    (table,) = page.tables
    told = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(r["no."], r["region"], r["n"], r["excluded"], r["area mm²"]) for r in told] == [
        ("1", "A", "3", "1", "0.001"),
        ("2", "B", "2", "0", "0.002"),
    ]
    drawn = [s.text for s in page.figures[0].drawing.shapes if isinstance(s, Label) and s.bold]
    assert drawn == ["1", "2"]
    assert {f.label: f.text for f in page.facts}["Not scored"].endswith(
        "1 cells in Ignore* regions"
    )


def test_too_few_nuclei_are_insufficient_for_ki67():
    (page,) = slide_pages(findings(FOUR.centers_um, [0, 1, 2, 3], name="Ki67"))
    (table,) = page.tables
    told = dict(zip(table.columns, table.rows[0], strict=True))
    assert told["% positive"] == "insufficient"
    assert "pseudo-H-score" not in told
    assert any("insufficient: 4 of 500 tumour nuclei" in note for note in table.notes)


def test_what_is_not_to_be_relied_on_is_told_at_the_head():
    told = findings(
        FOUR.centers_um, [0, 1, 2, 3], name="ER", unlike=("All of it.",), much_unlike=True
    )
    (page,) = slide_pages(told)
    assert page.warnings == (
        "ESR1 (ER) is not learnable for tiny: do not rely on its classes and scores.",
        "Do not rely on the values. All of it.",
    )
    given = findings(FOUR.centers_um, [0, 1, 2, 3], name="ER", model=None)
    assert slide_pages(given)[0].warnings == ()


def test_forty_regions_stay_on_one_page():
    regions = [square(f"Region with a long name {i}", TUMOUR, i, 0, 40) for i in range(40)]
    pages = slide_pages(findings(FOUR.centers_um, FOUR.markers[0].values, regions))
    (table,) = pages[0].tables
    assert len(table.rows) == 12
    assert table.notes[-1].startswith("28 more regions do not fit")
    assert pdf_report(numbered(pages)).count(b"/Type /Page\n") == 1


def test_the_histogram_counts_and_places_the_cutoffs():
    values = np.repeat([0.0, 4.0], [3, 6])
    plot = histogram(values, LIMITS, "HER2, units", 89, 44)
    bars = [s for s in plot.shapes if isinstance(s, Path) and s.fill == (120, 130, 145)]
    heights = [bar.points[2][1] - bar.points[0][1] for bar in bars]
    assert heights == [pytest.approx(13), pytest.approx(26)]
    lines = [s for s in plot.shapes if isinstance(s, Path) and s.fill is None and s.width == 0.3]
    steps = np.diff([line.points[0][0] for line in lines])
    assert steps[0] == pytest.approx(steps[1])
    assert [s.text for s in plot.shapes if isinstance(s, Label) and s.bold] == [
        "1+ from 1", "2+ from 2", "3+ from 3",
    ]  # fmt: skip


@pytest.mark.parametrize("limits", [(1, 1.0001, 1.0002), (0, 1, 2), (98, 99, 100), (-9, 0, 500)])
def test_labels_of_cutoffs_do_not_meet_lines_or_each_other(limits):
    plot = histogram(np.linspace(0, 100, 500), Cutoffs(*limits, "test"), "x", 58, 44)
    labels = [s for s in plot.shapes if isinstance(s, Label) and s.bold]
    lines = [s for s in plot.shapes if isinstance(s, Path) and s.width == 0.3]
    bases = sorted(label.y for label in labels)
    assert min(np.diff(bases)) >= 2.4
    for label in labels:
        wide = 0.62 * label.size * len(label.text)
        x0, x1 = (label.x - wide, label.x) if label.anchor == "end" else (label.x, label.x + wide)
        assert x1 <= plot.width
        for line in lines:
            x, top = line.points[0]
            assert not (x0 < x < x1 and top < label.y)


def test_a_dot_has_the_colour_of_its_class_where_its_cell_is():
    extent = slide_extent(FOUR)
    drawing = class_picture(FOUR, np.array([0, 1, 2, 3], np.int8), extent, 50)
    raster = next(s for s in drawing.shapes if isinstance(s, Raster))
    pixels = np.asarray(Image.open(io.BytesIO(raster.data)), int)
    per_um = pixels.shape[1] / extent.width_um
    for (x, y), colour in zip(FOUR.centers_um, CLASS_COLOURS, strict=True):
        row, column = int((y - extent.y_um) * per_um), int((x - extent.x_um) * per_um)
        assert np.abs(pixels[row, column] - colour).max() < 12


def test_the_busiest_field_holds_the_positive_cells():
    rng = np.random.default_rng(1)
    negative = rng.uniform(0, 4000, (2000, 2))
    positive = rng.uniform(2000, 2100, (20, 2))
    told = findings(np.concatenate([negative, positive]), np.repeat([0, 3], [2000, 20]))
    found = np.repeat(np.array([0, 3], np.int8), [2000, 20])
    rect, by = busiest_field(told, found, slide_extent(told))
    assert by == "most positive cells"
    assert rect.contains(positive).all()
    assert (rect.width_um, rect.height_um) == (200, 200)
    _, by = busiest_field(told, np.zeros(2020, np.int8), slide_extent(told))
    assert by == "most cells; none is positive"
    assert busiest_field(told, np.full(2020, -1, np.int8), slide_extent(told)) is None


def test_a_scale_bar_is_round():
    assert [round_length(x) for x in (1, 4.9, 5, 1999, 0.3)] == [1, 2, 5, 1000, 0.2]


def test_case_codes():
    assert checked_case_code("  S26-1 ") == "S26-1"
    assert checked_case_code("") == ""
    with pytest.raises(PastError, match="40 letters"):
        checked_case_code("x" * 40)


def test_letters_that_a_pdf_lacks():
    assert printable("µm² – ß") == "µm² – ß"
    assert printable("č 染") == "c ?"


def test_only_two_forms(tmp_path):
    with pytest.raises(CannotWrite, match=r"\.html or \.pdf"):
        write_report(numbered(slide_pages(FOUR)), tmp_path / "report.txt")
    assert list(tmp_path.iterdir()) == []


def test_findings_must_fit():
    with pytest.raises(ValueError, match="4 cells"):
        findings(FOUR.centers_um, [0, 1, 2, 3], unscored=np.array(["blur"]))


def test_a_measured_slide_is_not_called_predicted(slide):
    with open_slide(slide) as opened:
        cells = predict(opened, detector="ihc-nuclear").compute()
        (page,) = slide_pages(findings_of_cells(cells, opened, {"Ki67": None}))
    assert page.title == "Ki-67 · measured on the stained slide"
    assert page.footer == MEASURED_RESEARCH_USE
    facts = {fact.label: fact.text for fact in page.facts}
    assert facts["Values"] == "Ki-67: DAB nucleus"
    (table,) = page.tables
    assert table.notes[-1] == f"Analysed: {facts['Analysed']}."
    assert "tiles with tissue" in table.notes[-1]
    assert facts["Measured"].startswith("DAB optical density · haematoxylin ")
    assert "model's error" not in facts["Intervals"]
    assert not {"Model", "Evidence", "Calibration", "Unlike training"} & set(facts)
    (warning,) = page.warnings
    assert warning.startswith("The slide looks like H&E (pink and purple), but its DAB is measured")


def measured_findings(name, classes_of, regions):
    """Cells 20 µm apart in a row, with classes of a real stain."""
    values = np.asarray(classes_of, float)
    centers = np.column_stack([20.0 * np.arange(len(values)), np.full(len(values), 10.0)])
    resolved = resolve_measured(name)
    table = score_table(values, centers, LIMITS, regions, rules=rules_of(resolved))
    marker = MarkerFindings(resolved.label, values, table)
    return SlideFindings(
        "ihc.tif", "", "", centers, (marker,), tuple(regions), measured="measured: DAB"
    )


def test_her2_of_regions_is_told_below_the_table():
    regions = [square("A", TUMOUR, -5, 0, 2000), square("B", TUMOUR, 1995, 0, 2000)]
    told = measured_findings("HER2", [3] * 26 + [0] * 74 + [0] * 100, regions)
    (page,) = slide_pages(told)
    (table,) = page.tables
    assert table.title == "HER2 by region"
    assert "H-score" not in table.columns
    assert table.notes[:2] == (
        "A: HER2 score 3+: 26 % of 100 cells reach it.",
        "B: HER2 score 0: at most 10 % of 100 cells are stained.",
    )


def test_tps_is_told_for_each_region_and_the_lack_of_cps_once():
    regions = [square("A", TUMOUR, -5, 0, 2000), square("B", TUMOUR, 1995, 0, 2000)]
    told = measured_findings("PD-L1", [1] * 85 + [0] * 15 + [1] * 99, regions)
    (table,) = slide_pages(told)[0].tables
    assert table.notes[:3] == (
        "A: TPS 85 % of 100 nuclei in Tumour (immune cells among them counted).",
        "B: TPS: insufficient: 99 viable tumour cells, at least 100 are needed.",
        f"{NO_CPS}.",
    )


def test_predictions_have_no_score_of_a_real_stain():
    (table,) = slide_pages(FOUR)[0].tables
    assert not any("HER2 score" in note for note in table.notes)


def painted(told, found, side):
    """Pixels of the picture without slide, and how many there are to a µm."""
    extent = slide_extent(told)
    drawing = class_picture(told, found, extent, side)
    raster = next(s for s in drawing.shapes if isinstance(s, Raster))
    pixels = np.asarray(Image.open(io.BytesIO(raster.data)), int)
    return pixels, pixels.shape[1] / extent.width_um, extent


def test_dots_have_the_shapes_of_the_legend():
    found = np.array([0, 1, 2, 3], np.int8)
    pixels, per_um, extent = painted(FOUR, found, 50)
    shares = []
    for x, y in FOUR.centers_um:
        row, column = int((y - extent.y_um) * per_um), int((x - extent.x_um) * per_um)
        reach = int(7 * per_um)
        here = pixels[row - reach : row + reach + 1, column - reach : column + reach + 1]
        inked = here.min(axis=2) < 220
        rows, columns = np.nonzero(inked)
        box_area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        shares.append(inked.sum() / box_area)
    # Of its bounding box a disc fills π/4, a square all and a diamond half; a five-pointed star
    # with an inner radius of 0.42 fills 5 · 0.42 · sin 36° / (2 sin 72° · (1 + cos 36°)).
    assert shares == pytest.approx([np.pi / 4, 1, 0.5, 0.359], abs=0.06)


def test_dots_of_close_nuclei_do_not_touch():
    x, y = np.meshgrid(np.arange(10) * 5.0, np.arange(10) * 5.0)
    centers = np.column_stack([x.ravel(), y.ravel()])
    told = findings(centers, np.full(100, 3.0))
    for k in range(4):
        pixels, _, _ = painted(told, np.full(100, k, np.int8), 80)
        assert ndimage.label(pixels.min(axis=2) < 200)[1] == 100


def test_small_dots_are_discs():
    centers = [(0, 0), (4000, 0), (0, 4000), (4000, 4000)]
    told = findings(centers, [1, 1, 1, 1])
    squares, _, _ = painted(told, np.ones(4, np.int8), 50)
    stars, _, _ = painted(told, np.full(4, 3, np.int8), 50)
    np.testing.assert_array_equal(squares.min(axis=2) < 128, stars.min(axis=2) < 128)


def test_a_stained_slide_that_a_model_reads_is_warned_of_first(drawn_ihc):
    with open_slide(drawn_ihc.path) as opened:
        cells = predict(opened, region=(50, 50, 60, 60)).compute()
        found = findings_of_cells(cells, opened, {"HER2": LIMITS})
        (page,) = slide_pages(found)
    assert found.mismatch == page.warnings[0]
    assert "looks like IHC (brown on blue), but a model for H&E reads it" in page.warnings[0]
