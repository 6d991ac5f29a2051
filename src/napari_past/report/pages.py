"""From what is known of a slide to its pages: every word and number is chosen here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_past.report.case_code import NO_CASE_CODE
from napari_past.report.drawing import (
    NOT_COUNTED,
    Drawing,
    Path,
    box,
    class_symbol,
)
from napari_past.report.findings import MarkerFindings, SlideFindings
from napari_past.report.histogram import histogram
from napari_past.report.page import Fact, Figure, Page, Table
from napari_past.report.pictures import (
    Classes,
    busiest_field,
    class_picture,
    field_picture,
    regions_picture,
    slide_extent,
)
from napari_past.stain import CLASS_NAMES, ScoreRow, ScoreTable, classes, count_cells
from napari_past.stain.correlation import FARTHEST_UM
from napari_past.stain.interval import LEAST_BLOCKS
from napari_past.stain.real_stain import real_stain_lines
from napari_past.stain.rows import MISSING, number_text
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE, Rect

MOST_MARKERS = 3
"""On a page; more take further pages."""
MOST_ROWS = 12
"""Of all tables on a page."""
SIDES = {2: 89.0, 3: 58.0, 4: 43.0}
"""mm of a picture, by how many stand side by side."""
LEAST_SIDE, ROW_HEIGHT, FREE_ROWS = 56.0, 4.4, 3
"""Each line of the tables after the first few takes its height from the pictures."""
PAGE_WIDTH = 182.0
GAP = 4.0
HISTOGRAM_HEIGHT, LOW_HISTOGRAM = 44.0, 38.0
FIELD_SIDE = 58.0
MOST_SPOTS = 3
"""Hot spots that are told below a table."""
NO_INTERVAL = (
    f"{MISSING}: no cell with a class; no interval where cells fill fewer than {LEAST_BLOCKS} "
    f"blocks of tissue or are alike over {FARTHEST_UM / 1000:g} mm."
)
NOT_TOLD = "not told by the file"
NO_FLAG = "no cell and not the slide as a whole was flagged; that does not make the values reliable"
DISPLAY_CLASSES = (
    "Classes are display classes of predicted means, which are shrunken: they empty 0 and 3+."
)


def slide_pages(findings: SlideFindings) -> tuple[Page, ...]:
    """The page of a slide; one with more than `MOST_MARKERS` markers takes further ones.

    Pictures are read here, so the slide may be closed afterwards. `numbered` gives the numbers.

    Raises
    ------
    DamagedSlide
    """
    starts = range(0, len(findings.markers), MOST_MARKERS)
    return tuple(
        _page(findings, findings.markers[start : start + MOST_MARKERS]) for start in starts
    )


def numbered(pages: Sequence[Page]) -> tuple[Page, ...]:
    """The pages with "page 1 of 3" on them."""
    return tuple(
        replace(page, number=f"page {i} of {len(pages)}") for i, page in enumerate(pages, 1)
    )


def _page(findings: SlideFindings, markers: tuple[MarkerFindings, ...]) -> Page:
    counted = count_cells(findings.centers_um, findings.regions, unscored=findings.unscored)
    found = []
    for marker in markers:
        of_all = np.full(len(findings.centers_um), -1, np.int8)
        of_all[counted.index] = classes(marker.values[counted.index], marker.table.cutoffs)
        found.append(of_all)
    names = ", ".join(marker.name for marker in markers)
    kind = "values as given in the file"
    if findings.model is not None:
        kind = "predicted, not stained"
    elif findings.measured:
        kind = "measured on the stained slide"
    case = findings.case_code
    shown = " ".join(findings.fingerprint[i : i + 4] for i in range(0, 16, 4)).strip()
    extent = slide_extent(findings)
    chosen = None
    if extent is not None and len(markers) == 1:
        chosen = busiest_field(findings, found[0], extent)
    figures = () if extent is None else _figures(findings, markers, found, extent, chosen)
    plots = _histograms(markers, counted.index)
    if chosen is not None:
        plots = (*plots, _field(findings, found[0], *chosen))
    return Page(
        title=f"{names} · {kind}",
        slide=findings.name,
        case_code=case or NO_CASE_CODE,
        case_given=bool(case),
        fingerprint=shown or NOT_TOLD,
        fingerprint_full=findings.fingerprint,
        warnings=_warnings(findings, markers),
        figures=figures,
        tables=tuple(
            _table(marker, MOST_ROWS // len(markers), "" if i else findings.analysed)
            for i, marker in enumerate(markers)
        ),
        plots=plots,
        facts=_facts(findings, markers),
        footer=MEASURED_RESEARCH_USE if findings.measured else RESEARCH_USE,
    )


# ---- pictures --------------------------------------------------------------------------------


def _figures(
    findings: SlideFindings,
    markers: tuple[MarkerFindings, ...],
    found: list[Classes],
    extent: Rect,
    chosen: tuple[Rect, str] | None,
) -> tuple[Figure, ...]:
    lines = sum(min(len(m.table.rows), MOST_ROWS // len(markers)) for m in markers)
    widest = SIDES[1 + len(markers)]
    side = max(min(LEAST_SIDE, widest), widest - ROW_HEIGHT * max(0, lines - FREE_ROWS))
    scored = [i for i, region in enumerate(findings.regions) if not region.ignored]
    shown = scored[: MOST_ROWS // len(markers)]
    numbers = {position: i for i, position in enumerate(shown, 1)}
    framed = None if chosen is None else chosen[0]
    notes = [
        _roles(findings),
        "Numbers are those of the table." if numbers else "",
        "Thin frame: the field below." if framed is not None else "",
    ]
    slide = Figure(
        "Slide and regions" if findings.slide is not None else "Cells and regions",
        regions_picture(findings, extent, side, numbers, framed),
        note=" ".join(note for note in notes if note),
    )
    coloured = [
        Figure(
            f"{marker.name}: classes",
            class_picture(findings, of_marker, extent, side),
            _legend(bool((of_marker < 0).any())),
        )
        for marker, of_marker in zip(markers, found, strict=True)
    ]
    return (slide, *coloured)


def _field(findings: SlideFindings, found: Classes, field: Rect, chosen_by: str) -> Figure:
    x_um, y_um = field.x_um + field.width_um / 2, field.y_um + field.height_um / 2
    return Figure(
        f"Field of {field.width_um:.0f} x {field.height_um:.0f} µm",
        field_picture(findings, found, field, FIELD_SIDE),
        note=f"Chosen for the {chosen_by}; around x {x_um:.0f}, y {y_um:.0f} µm. Marks as above.",
    )


def _histograms(
    markers: tuple[MarkerFindings, ...], index: npt.NDArray[np.intp]
) -> tuple[Figure, ...]:
    count = max(2, len(markers))
    width = (PAGE_WIDTH - GAP * (count - 1)) / count
    return tuple(
        Figure(
            f"{marker.name}: values, cut-offs",
            histogram(
                marker.values[index],
                marker.table.cutoffs,
                marker.unit or marker.label,
                width,
                HISTOGRAM_HEIGHT if len(markers) == 1 else LOW_HISTOGRAM,
            ),
        )
        for marker in markers
    )


def _roles(findings: SlideFindings) -> str:
    """The colours of the roles that occur, and what is ignored."""
    roles = dict.fromkeys(region.role for region in findings.regions)
    colours = {"Tumour": "red", "Include": "blue"}
    told = [f"{role}: {colours.get(role, 'grey')}" for role in roles]
    return f"{', '.join(told)}." if told else "No regions: all cells are scored."


def _legend(uncounted: bool) -> tuple[tuple[Drawing, str], ...]:
    entries = [
        (Drawing(3, 3, (class_symbol(k, 1.5, 1.5, 1.0),), name), name)
        for k, name in enumerate(CLASS_NAMES)
    ]
    if uncounted:
        grey = Path(box(0.6, 0.6, 1.8, 1.8), None, 0, NOT_COUNTED)
        entries.append((Drawing(3, 3, (grey,), "not counted"), "not counted"))
    return tuple(entries)


# ---- table -----------------------------------------------------------------------------------


def _table(marker: MarkerFindings, most_rows: int, analysed: str) -> Table:
    table = marker.table
    rows, rules = table.rows, table.rules
    shown = rows[:most_rows]
    areas = any(row.area_mm2 > 0 for row in rows)
    numbered = not (len(rows) == 1 and math.isnan(rows[0].area_mm2))

    def score(text: Callable[[ScoreRow], str]) -> Callable[[ScoreRow], str]:
        return lambda row: "insufficient" if row.insufficient else text(row)

    columns: list[tuple[str, Callable[[ScoreRow], str], bool]] = [
        ("region", lambda row: row.region, True),
        ("role", lambda row: row.role, True),
        ("area mm²", lambda row: number_text(row.area_mm2, 3), areas),
        ("n", lambda row: str(row.n), True),
        ("cells/mm²", lambda row: number_text(row.density_mm2, 0), areas),
        ("n0", lambda row: str(row.n0), True),
        ("n1", lambda row: str(row.n1), True),
        ("n2", lambda row: str(row.n2), True),
        ("n3", lambda row: str(row.n3), True),
        ("excluded", lambda row: str(row.excluded), True),
        ("% positive", score(lambda row: number_text(row.pct_positive, 1)), True),
        ("positive/mm²", lambda row: number_text(row.positive_mm2, 0), areas and rules.density),
        (rules.allred_name, score(lambda row: row.allred_text), rules.allred),
        (rules.h_score_name, score(lambda row: row.h_score_text), rules.h_score),
        ("interval", score(lambda row: row.interval_text), True),
    ]
    kept = [(name, text) for name, text, wanted in columns if wanted]
    texts = [[text(row) for _, text in kept] for row in shown]
    names = [name for name, _ in kept]
    if numbered:
        names.insert(0, "no.")
        texts = [[str(i), *line] for i, line in enumerate(texts, 1)]
    return Table(
        title=f"{marker.name} by region",
        columns=tuple(names),
        rows=tuple(tuple(line) for line in texts),
        names=3 if numbered else 2,
        notes=_notes(table, shown, analysed),
    )


def _notes(table: ScoreTable, shown: Sequence[ScoreRow], analysed: str) -> tuple[str, ...]:
    rules, rows = table.rules, table.rows
    left_out = len(rows) - len(shown)
    short = [row for row in rows if row.insufficient]
    explained = [row.explanation for row in rows if row.explanation]
    spots = [row for row in rows if row.hot_spot is not None]
    told = [*_real_stain_notes(shown), rules.sentence]
    if len(short) == 1:
        told.append(f"{short[0].region}: {short[0].insufficient}.")
    elif short:
        told.append(f"insufficient: fewer than {rules.least_cells} {rules.least_of}.")
    told += [
        f"Hot spot of {row.region}: {row.hot_spot.sentence}."
        for row in spots[:MOST_SPOTS]
        if row.hot_spot is not None
    ]
    told.append(explained[0] if len(explained) == 1 else NO_INTERVAL if explained else "")
    if left_out:
        told.append(f"{left_out} more regions do not fit here; napari-past score tells them.")
    told.append(f"Analysed: {analysed}." if analysed else "")
    return tuple(line for line in told if line)


def _real_stain_notes(rows: Sequence[ScoreRow]) -> list[str]:
    """HER2 score, TPS and CPS as `napari-past score` tells them; once what is alike in all rows."""
    told: dict[str, list[str]] = {}
    for row in rows:
        for line in real_stain_lines(row):
            told.setdefault(f"{line.removesuffix('.')}.", []).append(row.region)
    every = [line for line, regions in told.items() if len(regions) == len(rows) > 1]
    own = [f"{', '.join(told[line])}: {line}" for line in told if line not in every]
    return own + every


# ---- facts -----------------------------------------------------------------------------------


def _facts(findings: SlideFindings, markers: tuple[MarkerFindings, ...]) -> tuple[Fact, ...]:
    model = findings.model
    sources = dict.fromkeys(marker.table.cutoffs.source for marker in markers)
    units = dict.fromkeys(marker.unit for marker in markers if marker.unit)
    table = markers[0].table
    scales = dict.fromkeys(
        f"{m.table.rules.h_score_name} 0–300"
        if m.table.rules.h_score
        else f"% positive of {m.name} at any intensity"
        for m in markers
    )
    notes = [f"{_of(m, markers)}{m.note}" for m in markers if m.note]
    values = [m.label for m in markers if m.label != m.name]
    badges = [line for marker in markers for line in marker.evidence]
    facts = [
        Fact("Denominator", table.denominator),
        Fact(
            "Intervals",
            f"95 % {table.interval_name}, of {', '.join(scales)}"
            + ("; they do not contain the model's error" if model is not None else ""),
        ),
        Fact("Cut-offs", "; ".join(f"{_of(m, markers)}{_cutoffs(m)}" for m in markers)),
        Fact("Cut-offs from", "; ".join(sources)),
        *([Fact("Values", "; ".join(values))] if values else []),
        *([Fact("Unit", "; ".join(units))] if units else []),
        *([Fact("Note", " ".join(notes))] if notes else []),
        _source(findings),
        *([Fact("Evidence", "; ".join(badges))] if badges and model is not None else []),
    ]
    if model is not None:
        if model.trained_on:
            facts.append(Fact("Trained on", model.trained_on))
        facts.append(Fact("Calibration", findings.calibration))
        if not findings.much_unlike:
            facts.append(Fact("Unlike training", _unlike(findings)))
        facts.append(Fact("Classes", DISPLAY_CLASSES))
    facts.append(Fact("Not scored", _not_scored(findings, table)))
    part = [line for line in (findings.analysed, *findings.unreadable) if line]
    if part:
        facts.append(Fact("Analysed", "; ".join(part)))
    if findings.fingerprint:
        facts.append(Fact("Fingerprint", f"{findings.fingerprint} (SHA-256)"))
    facts.append(Fact("Versions", ", ".join(" ".join(pair) for pair in findings.versions)))
    return tuple(facts)


def _source(findings: SlideFindings) -> Fact:
    model = findings.model
    if model is not None:
        return Fact("Model", f"{model.name}, version {model.version}, sha256 {model.sha256}")
    if findings.measured:
        return Fact("Measured", findings.measured.removeprefix("measured: "))
    return Fact("Values", "as given in the file; where they come from is not told")


def _warnings(findings: SlideFindings, markers: tuple[MarkerFindings, ...]) -> tuple[str, ...]:
    told = [findings.mismatch] if findings.mismatch else []
    if findings.model is None:
        return tuple(told)
    name = findings.model.name
    told += [
        f"{marker.label} is not learnable for {name}: do not rely on its classes and scores."
        for marker in markers
        if not marker.learnable
    ]
    if findings.much_unlike:
        told.append(f"Do not rely on the values. {_unlike(findings)}")
    return tuple(told)


def _unlike(findings: SlideFindings) -> str:
    if findings.unlike is None:
        return "whether cells look unlike the training is not known"
    return " ".join(findings.unlike) or NO_FLAG


def _of(marker: MarkerFindings, markers: tuple[MarkerFindings, ...]) -> str:
    return f"{marker.name} " if len(markers) > 1 else ""


def _cutoffs(marker: MarkerFindings) -> str:
    cutoffs = marker.table.cutoffs
    limits = ", ".join(f"{k}+ from {value:g}" for k, value in enumerate(cutoffs.values, 1))
    return limits


def _not_scored(findings: SlideFindings, table: ScoreTable) -> str:
    told = [table.unscored_sentence.removeprefix("not scored: ")]
    if findings.unscored is None:
        told.append("nobody looked for blur, pen or folds")
    elif not told[0]:
        told = ["no blur, pen or fold was found among the cells"]
    told.append(f"{table.excluded} cells in Ignore* regions" if table.excluded else "")
    told.append(f"{table.without_class} cells without a value" if table.without_class else "")
    return "; ".join(line for line in told if line)
