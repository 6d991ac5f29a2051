"""Cells of a real stain with their DAB optical density."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.io import read_h5ad
from napari_past.io.csv_table import csv_frame, csv_header, numbers
from napari_past.io.marker_table import unscored_reasons
from napari_past.io.provenance import KEY, UNSCORED, Provenance

DENSITY_COLUMNS = (
    "dab_od", "dab_od_mean", "DAB OD mean", "Nucleus: DAB OD mean", "Cell: DAB OD mean",
    "Cytoplasm: DAB OD mean", "Membrane: DAB OD mean",
)  # fmt: skip
"""Found without being named, where the table has one of them."""
PLACES = (("x_um", "y_um"), ("Centroid X µm", "Centroid Y µm"))


@dataclass(frozen=True)
class MeasuredCells:
    """Cells of a stained slide."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in µm of the stained slide."""
    density: npt.NDArray[np.float64]
    """(n,), mean DAB optical density."""
    mpp: float | None
    """µm per level-0 pixel of the slide, where the file tells it."""


def read_measured_cells(path: str | Path, column: str | None = None) -> MeasuredCells:
    """The positions and the optical density of the cells in a ``.csv`` or ``.h5ad`` file.

    A CSV has ``x_um,y_um``, or QuPath's "Centroid X µm" and "Centroid Y µm"; an ``.h5ad`` has
    ``obsm["spatial"]`` and the density in ``obs`` or as a column of ``X``. Cells that are not to be
    scored (a column ``unscored``: blur, pen …) are left out.

    Parameters
    ----------
    column
        That holds the density; needed where none, or several, of `DENSITY_COLUMNS` are there.

    Raises
    ------
    BadTable
        No such file or column, or a value missing or negative.
    """
    source = existing_file(path)
    match source.suffix.lower():
        case ".csv":
            cells = _from_csv(source, column)
        case ".h5ad":
            cells = _from_h5ad(source, column)
        case _:
            raise BadTable(f"{source.name} is no table of measured cells; give a .csv or .h5ad.")
    bad = ~np.isfinite(cells.density)
    if bad.any() or not np.isfinite(cells.centers_um).all():
        raise BadTable(
            f"{source.name} has cells without a position or an optical density ({int(bad.sum())} "
            f"of {len(bad)} lack the latter); fill them in or delete them."
        )
    return cells


def _from_csv(source: Path, column: str | None) -> MeasuredCells:
    header = csv_header(source)
    places = next((p for p in PLACES if set(p) <= set(header)), None)
    if places is None:
        raise BadTable(
            f"{source.name} has no columns x_um and y_um; give the cells' positions in µm."
        )
    density = _column(header, source, column)
    flagged = [UNSCORED] if UNSCORED in header else []
    frame = csv_frame(source, columns=[*places, density, *flagged])
    if flagged:
        frame = frame[unscored_reasons(frame[UNSCORED], len(frame), source) == ""]
    centers_um = numbers(frame[list(places)], source)
    return MeasuredCells(centers_um, numbers(frame[[density]], source)[:, 0], None)


def _from_h5ad(source: Path, column: str | None) -> MeasuredCells:
    adata = read_h5ad(source)
    names = [*map(str, adata.obs.columns), *map(str, adata.var_names)]
    density = _column(names, source, column)
    if density in adata.obs:
        values = numbers(adata.obs[[density]], source)[:, 0]
    else:
        values = np.asarray(adata.obs_vector(density), np.float64)
    centers_um = np.asarray(adata.obsm["spatial"], np.float64)[:, :2]
    provenance = Provenance.of(adata.uns.get(KEY))
    kept = np.ones(len(values), np.bool_)
    if UNSCORED in adata.obs:
        kept = unscored_reasons(adata.obs[UNSCORED], len(values), source) == ""
    if provenance.measured:
        # Of a crowded cell no membrane may be seen: that is no mistake in our own tables.
        kept &= np.isfinite(values)
    centers_um, values = centers_um[kept], values[kept]
    return MeasuredCells(centers_um, values, provenance.slide_mpp)


def _column(header: list[str], source: Path, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in header:
            raise BadTable(f"{source.name} has no column {wanted!r}; check --od-column.")
        return wanted
    found = [name for name in DENSITY_COLUMNS if name in header]
    if len(found) == 1:
        return found[0]
    got = f"several ({', '.join(found)})" if found else "none"
    raise BadTable(
        f"{source.name} has {got} of the columns that hold DAB optical density; name the one of "
        "the marker's compartment with --od-column."
    )
