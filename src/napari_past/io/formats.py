"""Tables of cells by the suffix of their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anndata import AnnData

from napari_past.errors import BadTable, Cancelled, CannotWrite
from napari_past.files import check_writable
from napari_past.io.csv_table import read_csv, write_csv
from napari_past.io.geojson_cells import write_geojson
from napari_past.io.geojson_reading import read_geojson
from napari_past.io.h5ad import read_h5ad, write_h5ad
from napari_past.io.parquet_table import read_parquet, write_parquet
from napari_past.io.spatialdata_zarr import read_zarr, write_zarr
from napari_past.io.zarr_folder import check_folder_writable
from napari_past.slide import Slide

_WRITERS = (".h5ad", ".csv", ".geojson", ".parquet", ".zarr")
_IMAGE_SHARE = 0.8
"""Of the writing, where an image is embedded."""


def writable_suffixes() -> tuple[str, ...]:
    """The suffixes that `write_cells` knows."""
    return _WRITERS


def check_cells_writable(path: str | Path, format: str | None = None) -> None:
    """Raise `CannotWrite` where `write_cells` could not write; leaves nothing behind."""
    suffix = _suffix(path, format)
    if suffix == ".zarr":
        check_folder_writable(path)
    else:
        check_writable(path)


def write_cells(
    adata: AnnData,
    path: str | Path,
    format: str | None = None,
    mpp: float | None = None,
    *,
    slide: Slide | None = None,
    embed_image: bool = False,
    on_share: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Write a table in the format of `path`'s suffix, or in the one named.

    Parameters
    ----------
    adata
        The table.
    path
        The file, or the folder of ``.zarr``; replaced when the new one is complete.
    format
        "h5ad", "csv", "geojson", "parquet" or "zarr", with or without a dot, where the suffix does
        not tell.
    mpp
        µm per level-0 pixel, for GeoJSON; the table's own if omitted.
    slide
        The open slide, needed to embed its image.
    embed_image
        Copy the slide's pixels into ``.zarr``; else, and in the other formats, it is told by name.
    on_share
        Called with the share that is written, now and then.
    cancelled
        Asked as often; where it says yes, nothing is left behind. An ``.h5ad`` is written at once.

    Raises
    ------
    CannotWrite
        An unknown suffix or format; an image to embed in a format that holds none, or none given;
        the folder is missing or read-only; the disk is full.
    MissingPixelSize
        GeoJSON of a table that does not tell its slide's µm/px.
    Cancelled
        `cancelled` said so.
    """
    suffix = _suffix(path, format)
    embedded = slide if embed_image else None
    if embed_image and suffix != ".zarr":
        raise CannotWrite(
            f"An image can be embedded in .zarr, not in {suffix}; leave it out, or write .zarr."
        )
    if embed_image and slide is None:
        raise CannotWrite("An image is to be embedded, but no slide is given; give the open slide.")

    def tell(share: float) -> None:
        on_share(share)
        if cancelled():
            raise Cancelled(f"cancelled while {Path(path).name} was written; it is not there.")

    of_table = 1.0 - _IMAGE_SHARE if embed_image else 1.0

    def on_rows(rows: int) -> None:
        tell(of_table * rows / adata.n_obs)

    tell(0.0)
    match suffix:
        case ".h5ad":
            write_h5ad(adata, path)
        case ".csv":
            write_csv(adata, path, on_rows)
        case ".geojson":
            write_geojson(adata, path, mpp, on_rows)
        case ".parquet":
            write_parquet(adata, path, on_rows)
        case ".zarr":
            write_zarr(
                adata, path, embedded, on_rows, lambda share: tell(of_table + _IMAGE_SHARE * share)
            )
    on_share(1.0)


def _suffix(path: str | Path, format: str | None) -> str:
    suffix = Path(path).suffix.lower() if format is None else f".{format.lower().lstrip('.')}"
    if suffix in _WRITERS:
        return suffix
    asked = f"the format {format!r}" if format is not None else f"{Path(path).name!r}"
    raise CannotWrite(
        f"Cells cannot be written as {asked}; give a name that ends in one of "
        f"{', '.join(_WRITERS)}, or name one of these as the format."
    )


def read_cells(path: str | Path, mpp: float | None = None) -> AnnData:
    """The table of an ``.h5ad``, ``.csv``, ``.parquet`` or ``.geojson`` (also ``.json``, and
    gzipped) file, or of a ``.zarr`` folder.

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
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith(".zarr"):
        return read_zarr(path)
    if name.removesuffix(".gz").endswith((".geojson", ".json")):
        return read_geojson(path, mpp)
    raise BadTable(
        f"{Path(path).name} has no suffix of a table of cells; give an .h5ad, .csv, .parquet or "
        ".geojson file, or a .zarr folder."
    )
