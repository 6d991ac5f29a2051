"""What is told of measured tissue, and of what is seen of it."""

from __future__ import annotations

from napari_past.plugin.measured.box import RowsWay
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.plugin.measured.values import RowsShown
from napari_past.plugin.staining import Staining


def facts(here: OnSlide) -> str:
    """What was opened, in a line: "C5 (ST) · 181 of 181 spots on the slide · 15,716 genes"."""
    section = here.section
    told = [here.label, f"{len(here.on_slide):,} of {len(section):,} {section.row_kind} on the H&E"]
    if section.spot_diameter_um is not None:
        told.append(f"{section.spot_diameter_um:g} µm each")
    if here.tissue is not None and here.tissue.usable > len(here.tissue):
        told.append(f"{len(here.tissue):,} drawn by lot to be predicted")
    told.append(f"{len(section.genes):,} genes")
    return " · ".join(told)


def told_values(shown: RowsShown, way: RowsWay) -> tuple[Staining | None, str]:
    """What the legend is of, and what is to be known of it."""
    if way is RowsWay.RESIDUAL:
        return shown.residual, (
            f"{shown.name}. Blue: predicted too low for its place. Red: too high. Each side is "
            "taken as standard deviations from its own mean, so levels and units do not count."
        )
    words = f"{shown.name}: one colour scale for what was measured and what is predicted."
    if shown.predicted is None:
        words = f"{shown.name} as it was measured."
    return shown.measured, f"{words} {shown.note}".strip()


def not_measured(label: str, here: OnSlide) -> str:
    """Why no row is seen."""
    return f"{label} was not measured in {here.section.name}; choose a shared gene."
