"""Predictions as somebody's program wrote them: rows, genes, ids and places, nothing assumed.

Read are AnnData files and CSV tables with a row for each cell or spot and a column for each gene.
In which shape others write them, as of 2025, by their own code and tutorials:

- DeepSpot (github.com/ratschlab/DeepSpot): an AnnData whose ``obs`` has ``x_pixel``, the *row* of
  the picture, and ``y_pixel``, the column; its ``obsm["spatial"]`` is both, divided by how much the
  picture beside it was made smaller, and so in nobody's unit.
- GHIST (github.com/SydneyBioX/GHIST): ``epoch_N_expr.csv``, cell ids in a first column without a
  name, then genes; no places.
- STPath (github.com/Graph-and-Geometric-Learning/STPath): an AnnData without ids, whose
  ``obsm["coordinates"]`` are the places of the rows, each axis stretched to 0–100.
- Loki (github.com/GuangyuWangLab2021/Loki): a layer ``loki`` of the AnnData that was measured, or a
  CSV of a data frame with spots as rows.
- napari-past itself: cells in µm of slide space.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData
from pandas.api.types import is_numeric_dtype
from scipy.sparse import csc_array, issparse

from napari_past.errors import BadTable
from napari_past.files import existing_file, file_sha256
from napari_past.io.csv_table import csv_header, read_csv
from napari_past.io.provenance import KEY, Provenance
from napari_past.spatial.anndata_slide import opened
from napari_past.spatial.section import Points
from napari_past.validation.tissue import IntArray

Frame = Literal["um", "px", "untold", "stretched"]
"""µm of slide space; level-0 pixels, whose centres are integers; one of both, nobody says which;
or each axis stretched on its own."""

PREDICTED_LAYERS = ("loki", "predicted", "prediction", "predictions")
"""Layers that hold predictions where nobody says otherwise; ``X`` is then what was measured."""
LARGEST = 1e30
"""Beyond it a value is a mistake, and sums overflow."""
PATCHY = 0.05
"""A gene that is missing in more of the predicted rows is left out, else these rows are."""
SUFFIXES = (".h5ad", ".csv", ".csv.gz")
_ID_COLUMNS = ("barcode", "cell_id", "spot_id", "id")
_INDEX_NAMES = frozenset(
    {"", "index", "cell", "spot", "cellid", "spotid", "barcodes", *_ID_COLUMNS}
)


@dataclass(frozen=True, eq=False)
class Places:
    """Where the rows of a table lie, as one part of it says."""

    source: str
    """Which part, as a sentence has it."""
    frame: Frame
    xy: Points
    """(n, 2)."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """What a file says of predicted values."""

    path: Path
    sha256: str
    name: str
    """Of the model, or else of the file."""
    unit: str | None
    """Of the values, as the file says."""
    model_sha256: str
    """Of the model file that made it; empty where the file does not say."""
    ids: tuple[tuple[str, ...], ...]
    """(n,) each: the names of the rows, in every column that may hold them."""
    places: tuple[Places, ...]
    """None, or where the rows lie, the likeliest first."""
    genes: tuple[str, ...]
    """(g,), as they are written."""
    values: npt.NDArray[np.floating] | csc_array
    """(n, g)."""
    notes: tuple[str, ...] = ()
    """What was decided on reading, a sentence each."""

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def of(self, genes: Sequence[str], rows: IntArray) -> npt.NDArray[np.float64]:
        """Values of some genes, as they are written here, in some rows, (len(rows), len(genes)).

        No more of the table than that is copied.
        """
        place = {gene: i for i, gene in enumerate(self.genes)}
        columns = [place[gene] for gene in genes]
        if isinstance(self.values, csc_array):
            return np.asarray(self.values[:, columns].tocsr()[rows].toarray(), np.float64)
        return np.asarray(self.values[np.ix_(rows, np.array(columns, np.int64))], np.float64)


def read_table(path: str | Path, layer: str | None = None) -> PredictionTable:
    """The table in an ``.h5ad`` or ``.csv`` file.

    Parameters
    ----------
    layer
        Of an AnnData file; None takes one whose name says that it was predicted, else ``X``.

    Raises
    ------
    BadTable
        No such file, another format, no gene, a gene twice, or no number where one was expected.
    BadSource
        A damaged AnnData file.
    """
    source = existing_file(path)
    if not source.name.lower().endswith(SUFFIXES):
        raise BadTable(
            f"{source.name} cannot be read as predictions; give an AnnData file (.h5ad) or a table "
            "(.csv) with a row for each cell or spot and a column for each gene."
        )
    if source.suffix.lower() == ".h5ad":
        adata = opened(source)
        table = _of_anndata(adata, source, layer, KEY in adata.uns)
    elif layer is not None:
        raise BadTable(f"{source.name} is a CSV table and has no layer {layer!r}; leave that out.")
    else:
        header = csv_header(source)
        _check_no_name_twice(source)
        own = {"x_um", "y_um"} <= set(header)
        table = _of_anndata(read_csv(source), source, None, True) if own else _of_csv(source)
    return _checked(table)


def _of_anndata(adata: AnnData, source: Path, layer: str | None, in_um: bool) -> PredictionTable:
    notes: tuple[str, ...] = ()
    if layer is None:
        found = [name for name in adata.layers if name.lower() in PREDICTED_LAYERS]
        if len(found) == 1:
            layer = found[0]
            notes = (f"Of {source.name} the layer {layer!r} was taken for the predictions.",)
    elif layer not in adata.layers:
        there = ", ".join(adata.layers) or "none"
        raise BadTable(f"{source.name} has no layer {layer!r} (there are: {there}); give another.")
    values = adata.X if layer is None else adata.layers[layer]
    if values is None:
        raise BadTable(f"{source.name} has no X and no layer of predictions; write them into X.")
    ours = adata.uns.get(KEY)
    model = ours.get("model") if isinstance(ours, Mapping) else None
    model = model if isinstance(model, Mapping) else {}
    unit = Provenance.of(ours).expression_unit
    if unit is None and isinstance(adata.uns.get("expression_unit"), str):
        unit = str(adata.uns["expression_unit"])
    index = tuple(map(str, adata.obs_names))
    return PredictionTable(
        path=source,
        sha256=file_sha256(source),
        name=str(model.get("name") or source.name),
        unit=unit,
        model_sha256=str(model.get("sha256") or ""),
        ids=(index, *_ids(adata.obs)),
        places=_places(adata.obs, adata.obsm, in_um),
        genes=tuple(map(str, adata.var_names)),
        values=csc_array(values) if issparse(values) else np.asarray(values),
        notes=notes,
    )


def _of_csv(source: Path) -> PredictionTable:
    first = csv_header(source)[0]
    try:
        frame = pd.read_csv(source, dtype={first: str}, encoding="utf-8-sig", low_memory=False)
        named = first.startswith("Unnamed:") or first.strip().lower() in _INDEX_NAMES
        if not named:
            # Without a name of ids, the first column is a gene's if it holds numbers.
            numbers = pd.to_numeric(frame[first], errors="coerce")
            named = bool(numbers.isna().any())
            frame[first] = frame[first] if named else numbers
    except (ValueError, OSError) as exc:
        raise BadTable(
            f"{source.name} cannot be read as a CSV table ({exc}); give a comma-separated UTF-8 "
            "file with a header line."
        ) from exc
    ids = ((tuple(frame.pop(first).astype(str)),) if named else ()) + _ids(frame)
    places = _places(frame, {}, in_um=False)
    genes = [c for c in frame if is_numeric_dtype(frame[c]) and frame[c].dtype != bool]
    return PredictionTable(
        path=source, sha256=file_sha256(source), name=source.name, unit=None, model_sha256="",
        ids=ids, places=places, genes=tuple(map(str, genes)),
        values=frame[genes].to_numpy(np.float64, na_value=np.nan),
    )  # fmt: skip


def _ids(frame: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(frame[c].astype(str)) for c in _ID_COLUMNS if c in frame)


def _places(obs: pd.DataFrame, obsm: Mapping[str, object], in_um: bool) -> tuple[Places, ...]:
    """All that a table says of where its rows lie."""
    spatial, stretched = (_points(obsm.get(name)) for name in ("spatial", "coordinates"))
    if in_um and spatial is not None:
        return (Places("obsm['spatial']", "um", spatial),)
    found = []
    if (um := _columns(obs, "x_um", "y_um")) is not None:
        found.append(Places("x_um and y_um", "um", um))
    if (px := _columns(obs, "y_pixel", "x_pixel")) is not None:
        both = (
            Places("x_pixel as the row and y_pixel as the column", "px", px),
            Places("x_pixel as the column and y_pixel as the row", "px", px[:, ::-1]),
        )
        # What was made smaller beside them tells which is which.
        found += [p for p in both if _is_scaled(spatial, p.xy)] or both
    if (px := _columns(obs, "pixel_x", "pixel_y")) is not None:
        found.append(Places("pixel_x and pixel_y", "px", px))
    if spatial is not None:
        found.append(Places("obsm['spatial']", "untold", spatial))
    if stretched is not None:
        found.append(Places("obsm['coordinates']", "stretched", stretched))
    return tuple(found)


def _columns(obs: pd.DataFrame, x: str, y: str) -> Points | None:
    numeric = all(c in obs and is_numeric_dtype(obs[c]) for c in (x, y))
    return _points(obs[[x, y]].to_numpy(np.float64)) if numeric else None


def _is_scaled(xy: Points | None, px: Points) -> bool:
    if xy is None or np.allclose(px[:, 0], px[:, 1]):
        return False
    factor = float((xy * px).sum() / (px**2).sum())
    return np.allclose(xy, factor * px, rtol=1e-3, atol=1e-3 * abs(factor) * float(px.max()))


def _points(values: object) -> Points | None:
    """(n, 2) numbers, or None where they are anything else."""
    try:
        xy = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return None
    if xy.ndim != 2 or xy.shape[1] < 2 or not np.isfinite(xy[:, :2]).all():
        return None
    return xy[:, :2]


def _check_no_name_twice(source: Path) -> None:
    """Two columns of one name, of which pandas calls the second "NAME.1", would be two genes."""
    packed = source.suffix.lower() == ".gz"
    try:
        with gzip.open(source, "rb") if packed else source.open("rb") as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            names = Counter(name.strip() for name in next(csv.reader(text), []))
    except (OSError, ValueError, csv.Error) as exc:
        raise BadTable(
            f"The header line of {source.name} cannot be read ({exc}); give a comma-separated "
            "UTF-8 file."
        ) from exc
    twice = next((name for name, times in names.items() if name and times > 1), None)
    if twice is not None:
        raise BadTable(f"{source.name} has the column {twice} twice; give every gene one column.")


def _checked(table: PredictionTable) -> PredictionTable:
    name = table.path.name
    if not len(table) or not table.genes:
        what = "column of numbers" if len(table) else "row"
        raise BadTable(f"{name} has no {what}; give a row for each cell, a column for each gene.")
    twice = next((gene for gene, times in Counter(table.genes).items() if times > 1), None)
    if twice is not None:
        raise BadTable(f"{name} has the gene {twice} twice; give every gene one column.")
    numbers: npt.NDArray[Any] = (
        table.values.data if isinstance(table.values, csc_array) else table.values
    )
    if numbers.dtype.kind not in "fiub":
        raise BadTable(f"{name} holds {numbers.dtype} where numbers were expected; correct it.")
    if np.isinf(numbers).any():
        raise BadTable(f"{name} has infinite values; leave out what could not be predicted.")
    # Unlike nanmax they do not warn where everything is missing.
    ends = [reduce(numbers, axis=None, initial=0) for reduce in (np.fmax.reduce, np.fmin.reduce)]
    if max(abs(float(value)) for value in ends) > LARGEST:
        raise BadTable(
            f"{name} has values beyond {LARGEST:.0e}, which are no expression; correct them."
        )
    return _without_patchy(table)


def _without_patchy(table: PredictionTable) -> PredictionTable:
    """Without the genes that are missing in many of the rows that have others."""
    if table.values.dtype.kind != "f":
        return table
    if isinstance(table.values, csc_array):
        parts = (np.isnan(table.values.data), table.values.indices, table.values.indptr)
        missing = csc_array(parts, shape=table.values.shape)
    else:
        missing = np.isnan(table.values)
    of_row = np.asarray(missing.sum(axis=1)).ravel()
    empty = int((of_row == len(table.genes)).sum())
    of_gene = np.asarray(missing.sum(axis=0)).ravel() - empty
    patchy = of_gene > PATCHY * (len(table) - empty)
    if not patchy.any() or patchy.all():
        return table
    kept = np.flatnonzero(~patchy)
    names = [table.genes[i] for i in np.flatnonzero(patchy)]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    told = (
        f"{', '.join(names[:5])}{more} of {table.path.name}: left out, because there is no value "
        f"(NaN) in over {PATCHY:.0%} of the rows that it predicts."
    )
    return replace(
        table,
        genes=tuple(table.genes[i] for i in kept.tolist()),
        values=table.values[:, kept],
        notes=(*table.notes, told),
    )
