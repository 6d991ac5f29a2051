"""What can be said of a measurement before it is read: what its kind needs and what is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr

from napari_past.hdf5 import open_hdf5
from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import reading
from napari_past.spatial.measured import kind_of
from napari_past.spatial.st import section_names, section_of_file
from napari_past.spatial.xenium import has_alignment
from napari_past.types import Rect

Unit = Literal["um", "px"]

_AXIS = r"^({0}|{0}[_ ]?(centroid|center|centre|px|um|pixel)|(pixel|center)[_ ]?{0})$"
_X, _Y = (re.compile(_AXIS.format(axis), re.IGNORECASE) for axis in "xy")
_TYPES = re.compile(r"(cell[_ ]?type|annotation|cluster|celltype|label)", re.IGNORECASE)
MOST_TYPES = 60
"""A column with more different texts is no cell type."""
LEAST_FILLED = 0.3
"""Share of the slide's width or height that positions span in the right unit, if the table is of
most of the tissue: less is no guess."""
FACTORS: dict[Unit, float | None] = {"um": 1.0, "px": None}
"""To µm; None for the slide's µm/px."""
SPATIAL = 'obsm["spatial"]'
"""Where tables have positions, as the field agreed."""


@dataclass(frozen=True)
class Offer:
    """A measurement as it lies there. Fields mean something to its kind alone."""

    path: Path
    kind: str
    """As `napari_past.spatial.measured.kind_of` has it."""
    sections: tuple[str, ...] = ()
    """Of an ST folder; tables of SpatialData."""
    section: str = ""
    """That is likely the one of the slide; empty where nothing tells."""
    columns: tuple[str, ...] = ()
    """Numeric columns of obs."""
    texts: tuple[str, ...] = ()
    """Columns of obs that may hold cell types."""
    layers: tuple[str, ...] = ()
    has_spatial: bool = False
    x: str = ""
    y: str = ""
    """Guessed columns; empty where positions lie in `SPATIAL`."""
    unit: Unit | None = None
    """Guessed; None where both would fit the slide, or neither."""
    types: str = ""
    """Guessed column."""
    aligned: bool = True
    """Whether a Xenium run has the alignment with its H&E."""


def offer_of(path: Path, slide_name: str, bounds: Rect, mpp: float) -> Offer:
    """What a measurement says of itself. Reads names and positions: not in the GUI thread.

    Parameters
    ----------
    slide_name, bounds, mpp
        Of the H&E: its file's name, its extent and µm/px.

    Raises
    ------
    BadSource
        Nothing measured that is known, or a damaged file.
    """
    kind = kind_of(path)
    if kind is None:
        raise BadSource(
            f"{path.name} is no measured tissue that is read here: give a Xenium or Space Ranger "
            "folder, a folder of ST sections, or an AnnData table (.h5ad or .zarr)."
        )
    if kind == "st":
        own = None if path.is_dir() else section_of_file(path)
        names = tuple(section_names(path if path.is_dir() else path.parent))
        return Offer(path, kind, sections=names, section=own or _named_in(slide_name, names))
    if kind == "xenium":
        return Offer(path, kind, aligned=has_alignment(path if path.is_dir() else path.parent))
    if kind == "anndata":
        return _table_offer(path, bounds, mpp)
    if kind == "spatialdata":
        names = tuple(sorted(p.name for p in (path / "tables").glob("*") if p.is_dir()))
        return Offer(path, kind, sections=names, section=_named_in(slide_name, names))
    return Offer(path, kind)


def _named_in(slide_name: str, sections: Sequence[str]) -> str:
    """The section whose name is a word of the slide's."""
    words = re.split(r"[^A-Za-z0-9]+", slide_name)
    found = [name for name in sections if name in words]
    return found[0] if len(found) == 1 else (sections[0] if len(sections) == 1 else "")


def _table_offer(path: Path, bounds: Rect, mpp: float) -> Offer:
    with reading(path, "an AnnData table"):
        obs, layers, spatial = _heads(path)
    columns = tuple(str(c) for c in obs.columns if pd.api.types.is_numeric_dtype(obs[c]))
    texts = tuple(
        str(c)
        for c in obs.columns
        if not pd.api.types.is_numeric_dtype(obs[c]) and 1 < obs[c].nunique() <= MOST_TYPES
    )
    x = y = ""
    unit: Unit | None = None
    if spatial is not None:
        unit, _ = _guessed(spatial, bounds, mpp, swap=False)
    else:
        x = next((c for c in columns if _X.match(c)), "")
        y = next((c for c in columns if _Y.match(c)), "")
        if x and y:
            places = obs[[x, y]].to_numpy(np.float64)
            unit, swapped = _guessed(places, bounds, mpp, swap=True)
            x, y = (y, x) if swapped else (x, y)
    return Offer(
        path,
        "anndata",
        columns=columns,
        texts=texts,
        layers=layers,
        has_spatial=spatial is not None,
        x=x,
        y=y,
        unit=unit,
        types=next((c for c in texts if _TYPES.search(c)), ""),
    )


def _heads(path: Path) -> tuple[pd.DataFrame, tuple[str, ...], npt.NDArray[np.float64] | None]:
    """obs, names of layers, and positions: not the matrix."""
    if path.is_dir():
        return _read_heads(zarr.open_group(path, mode="r"))
    with open_hdf5(path) as file:
        return _read_heads(file)


def _read_heads(
    group: Any,
) -> tuple[pd.DataFrame, tuple[str, ...], npt.NDArray[np.float64] | None]:
    obs = anndata.io.read_elem(group["obs"])
    layers = tuple(group["layers"]) if "layers" in group else ()
    spatial = None
    if "obsm" in group and "spatial" in group["obsm"]:
        spatial = np.asarray(anndata.io.read_elem(group["obsm"]["spatial"]), np.float64)[:, :2]
    return obs, layers, spatial


def _guessed(
    places: npt.NDArray[np.float64], bounds: Rect, mpp: float, swap: bool
) -> tuple[Unit | None, bool]:
    """The unit in which positions lie on the slide and fill it best, and whether x and y have to be
    exchanged for that: tables whose "x" is the row exist. No unit where that is unclear.

    Parameters
    ----------
    swap
        Whether an exchange is looked at.
    """
    finite = places[np.isfinite(places).all(axis=1)]
    best: tuple[float, Unit | None, bool] = (LEAST_FILLED, None, False)
    for swapped in (False, True) if swap else (False,):
        for unit, factor in FACTORS.items():
            there = finite[:, :: -1 if swapped else 1] * (mpp if factor is None else factor)
            if not len(there) or bounds.contains(there).mean() < 0.99:
                continue
            span = np.ptp(there, axis=0) / (bounds.width_um, bounds.height_um)
            best = max(best, (float(span.max()), unit, swapped), key=lambda found: found[0])
    return best[1], best[2]
