"""Tables of cells by the suffix of their file."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from napari_past.errors import BadTable, CannotWrite
from napari_past.io.csv_table import read_csv, write_csv
from napari_past.io.geojson_cells import read_geojson, write_geojson
from napari_past.io.h5ad import read_h5ad, write_h5ad

_WRITERS = (".h5ad", ".csv", ".geojson")


def writable_suffixes() -> tuple[str, ...]:
    """The suffixes that `write_cells` knows."""
    return _WRITERS


def write_cells(
    adata: AnnData, path: str | Path, format: str | None = None, mpp: float | None = None
) -> None:
    """Write a table in the format of `path`'s suffix, or in the one named.

    Parameters
    ----------
    adata
        The table.
    path
        The file; replaced when the new one is complete.
    format
        "h5ad", "csv" or "geojson", with or without a dot, where the suffix does not tell.
    mpp
        µm per level-0 pixel, for GeoJSON; the table's own if omitted.

    Raises
    ------
    CannotWrite
        An unknown suffix or format; the folder is missing or read-only; the disk is full.
    MissingPixelSize
        GeoJSON of a table that does not tell its slide's µm/px.
    """
    suffix = Path(path).suffix.lower() if format is None else f".{format.lower().lstrip('.')}"
    match suffix:
        case ".h5ad":
            write_h5ad(adata, path)
        case ".csv":
            write_csv(adata, path)
        case ".geojson":
            write_geojson(adata, path, mpp)
        case _:
            asked = f"the format {format!r}" if format is not None else f"{Path(path).name!r}"
            raise CannotWrite(
                f"Cells cannot be written as {asked}; give a name that ends in one of "
                f"{', '.join(_WRITERS)}, or name one of these as the format."
            )


def read_cells(path: str | Path, mpp: float | None = None) -> AnnData:
    """The table of an ``.h5ad``, ``.csv`` or ``.geojson`` (also ``.json``, and gzipped) file.

    `mpp`, µm per level-0 pixel, is needed for GeoJSON that does not tell it.

    Raises
    ------
    BadTable
        An unknown suffix, or a file that is not what its suffix says.
    MissingPixelSize
        GeoJSON that does not tell µm/px, and none given.
    """
    name = Path(path).name.lower()
    if name.endswith(".h5ad"):
        return read_h5ad(path)
    if name.endswith(".csv"):
        return read_csv(path)
    if name.removesuffix(".gz").endswith((".geojson", ".json")):
        return read_geojson(path, mpp)
    raise BadTable(
        f"{Path(path).name} has no suffix of a table of cells; give an .h5ad, .csv or .geojson "
        "file."
    )
