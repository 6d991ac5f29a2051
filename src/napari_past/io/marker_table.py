"""One marker's values from anybody's table: all that a score needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import zarr
from anndata import AnnData
from anndata.io import read_elem, sparse_dataset

from napari_past.errors import BadTable, NotScorable, PastError, UnknownGene
from napari_past.files import existing_file
from napari_past.genes import Resolved, resolve
from napari_past.hdf5 import open_hdf5
from napari_past.io.csv_table import (
    OWN_COLUMNS,
    csv_centers_um,
    csv_frame,
    csv_header,
    csv_provenance,
    numbers,
)
from napari_past.io.declared import check_declared
from napari_past.io.file_columns import gene_names_from_json, var_from_json
from napari_past.io.geojson_reading import read_geojson
from napari_past.io.parquet_table import parquet_provenance
from napari_past.io.provenance import KEY, UNSCORED, Provenance
from napari_past.io.spatialdata_zarr import table_group
from napari_past.quality import UNSCORED_KINDS
from napari_past.stain.measured import columns_of, resolve_measured, with_kind
from napari_past.types import Cutoffs

SHOWN_GENES = 10


@dataclass(frozen=True)
class MarkerTable:
    """The values of one marker in every cell."""

    values: npt.NDArray[np.floating]
    """(n,), in the table's own unit and precision; NaN where there is none. Several genes of a
    marker are averaged."""
    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in µm of slide space."""
    cutoffs: Cutoffs | None
    """As the file has them for this marker."""
    mpp: float | None
    """µm per level-0 pixel of the slide, where the file tells it."""
    resolved: Resolved
    """Which columns were read, and how to name them."""
    unscored: npt.NDArray[np.str_] | None = None
    """(n,), why a cell is not scored, "" where it is; None where the table has no such column."""
    unscored_area_mm2: Mapping[str, float] = field(default_factory=dict)
    """Area by kind that is not scored, where the file tells it."""
    measured: bool = False
    """Whether the values are of a real stain: a marker is then what its compartment has."""


def read_marker_table(path: str | Path, gene: str) -> MarkerTable:
    """The values of `gene`, a gene or marker, and the cells' positions.

    Of an ``.h5ad`` or ``.zarr`` only ``X[:, GENE]`` and ``obsm["spatial"]`` in µm are needed, of a
    ``.csv`` or ``.parquet`` the columns ``x_um``, ``y_um`` and one named as the gene; nothing else
    of the file is read but a column ``unscored``, cut-offs, µm/px and areas, where it tells them.
    A ``.geojson`` of ours is read whole.

    Raises
    ------
    UnknownGene, AmbiguousGene
        The table has no such column, or the name means several.
    NotScorable
        It has no such column, and the marker could not be scored if it had.
    BadTable
        No such file, another suffix, or no positions.
    """
    if Path(path).suffix.lower() == ".zarr":
        group, _ = table_group(Path(path))
        return _from_anndata(group, Path(path), gene)
    source = existing_file(path)
    match source.suffix.lower():
        case ".h5ad":
            return _from_h5ad(source, gene)
        case ".csv":
            return _from_csv(source, gene)
        case ".parquet":
            return _from_parquet(source, gene)
    if source.name.lower().removesuffix(".gz").endswith((".geojson", ".json")):
        return _from_table(read_geojson(source), source, gene)
    raise BadTable(
        f"{source.name} is no table to score; give an .h5ad, .csv, .parquet, .geojson or .zarr of "
        "cells."
    )


def _from_h5ad(source: Path, gene: str) -> MarkerTable:
    try:
        file = open_hdf5(source)
    except OSError as exc:
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
    with file:
        return _from_anndata(file, source, gene)


def _from_anndata(file: h5py.File | zarr.Group, source: Path, gene: str) -> MarkerTable:
    """Of an open file in AnnData's layout."""
    check_declared(file, source)
    for key, need in (("X", "values of genes in X"), ("var", "names of genes in var")):
        if key not in file:
            raise BadTable(f"{source.name} has no {need}; give an .h5ad file of cells.")
    if "obsm/spatial" not in file:
        raise BadTable(
            f'{source.name} has no positions of cells: obsm["spatial"], (n, 2) (x, y) in µm, '
            "is needed."
        )
    try:
        names = [str(name) for name in read_elem(file["var"]).index]
        positions = np.asarray(read_elem(file["obsm/spatial"]), dtype=np.float64)
        told = read_elem(file[f"uns/{KEY}"]) if f"uns/{KEY}" in file else None
        reasons = read_elem(file[f"obs/{UNSCORED}"]) if f"obs/{UNSCORED}" in file else None
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(f"{source.name} is damaged ({exc}); write it again.") from exc
    resolved = _meant(gene, names, told)
    doubled = [symbol for symbol in resolved.symbols if names.count(symbol) > 1]
    if doubled:
        raise BadTable(
            f"{source.name} has {names.count(doubled[0])} columns named {doubled[0]}; make the "
            "names unique."
        )
    try:
        columns = _columns(file["X"], [names.index(s) for s in resolved.symbols])
    except Exception as exc:
        raise BadTable(
            f"The values of {resolved.label} in {source.name} cannot be read ({exc}); "
            "write it again."
        ) from exc
    return _marker_table(source, columns, positions, told, resolved, reasons)


def _columns(
    x: h5py.Dataset | h5py.Group | zarr.Array | zarr.Group, indices: list[int]
) -> npt.NDArray[np.floating]:
    """(n, len(indices)) of a dense or sparse matrix in its file."""
    if isinstance(x, (h5py.Group, zarr.Group)):
        return np.asarray(sparse_dataset(x).to_memory()[:, indices].toarray())
    return np.stack([x[:, i] for i in indices], axis=1)


def _from_csv(source: Path, gene: str) -> MarkerTable:
    names = csv_header(source)
    told = csv_provenance(source)
    resolved = _meant(gene, [n for n in names if n not in OWN_COLUMNS], told)
    wanted = {"x_um", "y_um", UNSCORED, *resolved.symbols}
    frame = csv_frame(source, columns=[name for name in names if name in wanted])
    positions = csv_centers_um(frame, source)
    columns = numbers(frame[list(resolved.symbols)], source)
    reasons = frame.get(UNSCORED)
    return _marker_table(source, columns, positions, told, resolved, reasons)


def _from_parquet(source: Path, gene: str) -> MarkerTable:
    try:
        with pq.ParquetFile(source) as file:
            told = parquet_provenance(source, file)
            names = file.schema_arrow.names
            genes = gene_names_from_json(told) or [n for n in names if n not in OWN_COLUMNS]
            # A gene whose name a column of `obs` has lies under another.
            under = dict(zip(var_from_json(told).index, genes, strict=True)) if told else {}
            resolved = _meant(gene, list(under or genes), told)
            symbols = [under.get(s, s) for s in resolved.symbols]
            frame = file.read(
                [n for n in ("x_um", "y_um", UNSCORED, *symbols) if n in names]
            ).to_pandas()
    except PastError:
        raise
    except Exception as exc:  # a damaged file fails in Arrow in many ways
        raise BadTable(f"{source.name} cannot be read as Parquet ({exc}); write it again.") from exc
    columns = frame[symbols].to_numpy()
    positions = csv_centers_um(frame, source)
    return _marker_table(source, columns, positions, told, resolved, frame.get(UNSCORED))


def _from_table(adata: AnnData, source: Path, gene: str) -> MarkerTable:
    names = [str(name) for name in adata.var_names]
    told = adata.uns.get(KEY)
    resolved = _meant(gene, names, told)
    columns = np.asarray(adata.X)[:, [names.index(s) for s in resolved.symbols]]
    return _marker_table(
        source, columns, adata.obsm["spatial"], told, resolved, adata.obs.get(UNSCORED)
    )


def _meant(gene: str, names: list[str], told: object) -> Resolved:
    """The columns of a table that a typed name means: of a real stain those of its compartments."""
    provenance = Provenance.of(told)
    if not provenance.measured:
        try:
            return resolve(gene, names, holder="The table")
        except UnknownGene as exc:
            raise _absent(gene, names, told, exc) from exc
    resolved = resolve_measured(gene)
    if provenance.compartment is not None:
        resolved = with_kind(resolved, provenance.compartment)
    columns = columns_of(resolved.symbols[0])
    missing = [column for column in columns if column not in names]
    if missing:
        raise UnknownGene(
            f"The table does not have {missing[0]}, which {resolved.name} is read from; measure "
            "the slide again, or name another of its columns."
        )
    return replace(resolved, symbols=columns)


def _absent(gene: str, names: list[str], told: object, unknown: UnknownGene) -> PastError:
    """What to tell of a gene that is not in a table: that no score would come of it, or what there
    is instead and how to have it; `unknown` of what is no gene at all."""
    try:
        resolved = resolve(gene)
        resolved.require_scorable()
    except UnknownGene:
        return unknown
    except NotScorable as never:
        return never
    own = var_from_json(told).index.tolist() if isinstance(told, Mapping) else []
    genes = own or names
    more = f" and {len(genes) - SHOWN_GENES} more" if len(genes) > SHOWN_GENES else ""
    shown = f" ({', '.join(genes[:SHOWN_GENES])}{more})" if genes else ""
    return UnknownGene(
        f"The table does not have {resolved.label}; choose another of the {len(genes)} genes that "
        f"it has{shown}, or predict it with `napari-past run --genes {gene.strip()}`."
    )


def _marker_table(
    source: Path,
    columns: npt.NDArray[np.floating],
    positions: npt.NDArray[np.float64],
    told: object,
    resolved: Resolved,
    reasons: object,
) -> MarkerTable:
    n = len(columns)
    if positions.ndim != 2 or positions.shape[0] != n or positions.shape[1] < 2:
        raise BadTable(
            f"{source.name} has {n} cells but positions of shape {positions.shape}; (n, 2), (x, y) "
            "in µm, is needed."
        )
    centers_um = np.ascontiguousarray(positions[:, :2])
    if not np.isfinite(centers_um).all():
        row = int(np.flatnonzero(~np.isfinite(centers_um).all(axis=1))[0])
        raise BadTable(
            f"Cell {row} of {source.name} has no position; fill it in or remove the cell."
        )
    # One column keeps its precision, in which it is compared with cut-offs.
    one = columns.shape[1] == 1
    provenance = Provenance.of(told)
    if one:
        values = columns[:, 0]
    elif provenance.measured:
        values = np.fmax.reduce(columns, axis=1)
    else:
        values = columns.mean(axis=1, dtype=np.float64)
    return MarkerTable(
        values=values,
        centers_um=centers_um,
        cutoffs=_cutoffs(provenance, resolved, source),
        mpp=provenance.slide_mpp,
        resolved=resolved,
        unscored=None if reasons is None else unscored_reasons(pd.Series(reasons), n, source),
        unscored_area_mm2=provenance.unscored_area_mm2,
        measured=provenance.measured,
    )


def unscored_reasons(column: pd.Series, n: int, source: Path) -> npt.NDArray[np.str_]:
    """Why each of n cells is not scored, "" where it is; yes and no give "other" and "".

    Raises
    ------
    BadTable
        Another number of entries.
    """
    if len(column) != n:
        raise BadTable(
            f"{source.name} has {n} cells but {len(column)} entries in {UNSCORED}; write it again."
        )
    if pd.api.types.is_numeric_dtype(column):  # bool is one too
        return np.where(column.fillna(0).to_numpy() != 0, UNSCORED_KINDS[-1], "")
    return column.astype(object).where(column.notna(), "").astype(str).to_numpy(np.str_)


def _cutoffs(provenance: Provenance, resolved: Resolved, source: Path) -> Cutoffs | None:
    """The file's cut-offs of the marker, by its name or by its gene."""
    alone = len(resolved.symbols) == 1 or provenance.measured
    keys = [resolved.name, *resolved.symbols[:1]] if alone else [resolved.name]
    if resolved.marker is not None:
        keys.append(resolved.marker.name)
    key = next((k for k in keys if k in provenance.cutoffs), None)
    if key is None:
        return None
    limits = provenance.cutoffs[key]
    origin = provenance.cutoffs_source.get(key, "file")
    try:
        weak, moderate, strong = (float("nan") if v is None else v for v in limits)
        return Cutoffs(weak, moderate, strong, origin)
    except ValueError as exc:
        raise BadTable(
            f"{source.name} has the cut-offs {limits} for {key}, which are not three ascending "
            "numbers; give cut-offs instead."
        ) from exc
