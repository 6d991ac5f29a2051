"""What a file says about itself: slide, µm/px, model, evidence, and the research-use sentence.

In memory it is the nested dictionary ``uns["napari_past"]`` of plain values; text formats carry the
same as JSON, together with the columns of ``obs`` and ``var`` that they cannot hold otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from napari_past.errors import BadTable
from napari_past.stain.compartments import COMPARTMENTS, Compartment
from napari_past.types import RESEARCH_USE

KEY = "napari_past"
"""Of ``uns``, and of the foreign member of a GeoJSON file."""

MEASURED = "measured"
"""Of ``uns[KEY]``, in place of ``model``: how the stain of a real slide was measured."""

MISMATCH = "mismatch"
"""Of ``uns[KEY]``, only where there is one: that the slide looks like the other kind of stain."""

UNSCORED = "unscored"
"""Of ``obs``: why a cell is not scored, "" where it is; and of ``uns[KEY]``: source and areas."""

CELL_TYPE, TYPE_MARGIN = "cell_type", "cell_type_margin"
"""Of ``obs``: the nearest type of a reference bank, and how much nearer it is than the second."""

CELL_CLASS, CLASS_PROBABILITY = "cell_class", "cell_class_probability"
"""Of ``obs``: what a classifier of the user's calls a cell, and how sure it is; its card is
``uns[KEY]["classifier"]``."""

SCHEMA_VERSION = 1

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]


@dataclass(frozen=True)
class Provenance:
    """The parts of ``uns["napari_past"]`` that this room reads; None where they are not told."""

    slide_mpp: float | None
    expression_unit: str | None
    cutoffs: Mapping[str, tuple[float | None, ...]]
    """By gene or marker, unchecked; None for what is no number."""
    cutoffs_source: Mapping[str, str]
    unscored_area_mm2: Mapping[str, float]
    """By kind; empty where no mask was made."""
    measured: bool = False
    """Whether the values were measured on a real stain."""
    compartment: Compartment | None = None
    """Of a real stain: what the cells were found for."""

    @staticmethod
    def of(told: object) -> Provenance:
        """Read from a nested mapping; anything that is not what it should be counts as untold."""
        top = as_mapping(told)
        mpp = _number(as_mapping(top.get("slide")).get("mpp"))
        unit = as_mapping(top.get("model")).get("expression_unit")
        cutoffs = {
            str(name): tuple(_number(v) for v in limits)
            for name, limits in as_mapping(top.get("cutoffs")).items()
            if isinstance(limits, (list, tuple, np.ndarray))
        }
        sources = {str(k): str(v) for k, v in as_mapping(top.get("cutoffs_source")).items()}
        areas = as_mapping(as_mapping(top.get(UNSCORED)).get("area_mm2"))
        known = {str(k): a for k, v in areas.items() if (a := _number(v)) is not None}
        unit = unit if isinstance(unit, str) else None
        measured = as_mapping(top.get(MEASURED))
        if measured:
            unit = measured.get("expression_unit")
            unit = unit if isinstance(unit, str) else None
        compartment = next((c for c in COMPARTMENTS if c == measured.get("compartment")), None)
        return Provenance(mpp, unit, cutoffs, sources, known, bool(measured), compartment)


def stamped(told: object) -> dict[str, object]:
    """A copy of ``uns["napari_past"]`` that has a schema version and the research-use sentence."""
    return {"schema_version": SCHEMA_VERSION, "research_use": RESEARCH_USE, **as_mapping(told)}


def check_schema(told: object, source: Path) -> None:
    """Raise `BadTable` where a later version of this software wrote the file."""
    version = _number(as_mapping(told).get("schema_version"))
    if version is not None and version > SCHEMA_VERSION:
        raise BadTable(
            f"{source.name} has schema version {version:g}, but this version of napari-past reads "
            f"up to {SCHEMA_VERSION}; update napari-past."
        )


def coordinates() -> JsonObject:
    """What the positions and outlines of every table are in."""
    return {
        "axes": ["x", "y"],
        "unit": "µm",
        "origin": "outer corner of the slide's level-0 pixel (0, 0); x to the right, y down",
    }


def plain(value: object) -> JsonValue:
    """`value` as JSON knows it: arrays become lists, and what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int, str)):
        return value
    return None if value is None or value is pd.NA else str(value)


def as_mapping(value: object) -> Mapping[str, object]:
    """`value` where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    # bool is an int to Python, but no number here.
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
