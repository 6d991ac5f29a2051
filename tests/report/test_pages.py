from __future__ import annotations

import io

import numpy as np
import pytest
import shapely
from PIL import Image

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
    assert page.title == "Ki-67: DAB nucleus · measured on the stained slide"
    assert page.footer == MEASURED_RESEARCH_USE
    facts = {fact.label: fact.text for fact in page.facts}
    assert facts["Measured"].startswith("DAB optical density · haematoxylin ")
    assert "model's error" not in facts["Intervals"]
    assert not {"Model", "Evidence", "Calibration", "Unlike training"} & set(facts)
    (warning,) = page.warnings
    assert warning.startswith("The slide looks like H&E (pink and purple), but its DAB is measured")


def test_a_stained_slide_that_a_model_reads_is_warned_of_first(drawn_ihc):
    with open_slide(drawn_ihc.path) as opened:
        cells = predict(opened, region=(50, 50, 60, 60)).compute()
        found = findings_of_cells(cells, opened, {"HER2": LIMITS})
        (page,) = slide_pages(found)
    assert found.mismatch == page.warnings[0]
    assert "looks like IHC (brown on blue), but a model for H&E reads it" in page.warnings[0]
