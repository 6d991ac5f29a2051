"""Where the values of a table come from, as far as the table tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr
from anndata.io import read_elem

from napari_past.errors import BadTable
from napari_past.hdf5 import open_hdf5
from napari_past.io.csv_table import csv_frame, csv_header, csv_provenance
from napari_past.io.file_columns import var_from_json
from napari_past.io.geojson_reading import read_geojson
from napari_past.io.parquet_table import read_parquet
from napari_past.io.provenance import KEY, MEASURED, MISMATCH
from napari_past.io.spatialdata_zarr import table_group
from napari_past.model import Model, bundled_models, load_model


@dataclass(frozen=True)
class Origin:
    """What a table says about the prediction that made it; empty for anybody else's table."""

    model: str = ""
    version: str = ""
    sha256: str = ""
    unit: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Gene to the line that says how far to trust it."""
    not_learnable: frozenset[str] = frozenset()
    """Genes that the model could not learn."""
    analysed: str = ""
    """Which part of the slide the cells stand for."""
    unlike_training: npt.NDArray[np.bool_] | None = None
    """(n,), cells that look unlike those of the training."""

    slide_unlike_training: str = ""
    """What to tell of a slide that looks unlike the training as a whole; else empty."""
    measured: str = ""
    """How the stain of a real slide was measured, one line; empty of predictions."""
    mismatch: str = ""
    """What to tell where the slide looks like the other kind of stain; else empty."""

    @property
    def predicted(self) -> bool:
        return bool(self.model)

    def reliability(self, symbols: Sequence[str]) -> str:
        """The evidence of genes, one line; empty where the table tells none."""
        known = [(s, self.evidence[s]) for s in symbols if s in self.evidence]
        return "; ".join(f"{symbol}: {line}" for symbol, line in known)

    def not_learnable_of(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Those of some genes that the model could not learn."""
        return tuple(s for s in symbols if s in self.not_learnable)

    def bundled_model(self) -> Model | None:
        """The very model that made the values, where it ships with the package."""
        if self.model not in bundled_models():
            return None
        model = load_model(self.model)
        same = model.sha256 == self.sha256 and model.expression_unit == self.unit
        return model if same else None


def read_origin(path: Path) -> Origin:
    """The origin of a table that `read_marker_table` has read.

    Raises
    ------
    BadTable
    """
    name = path.name.lower()
    if name.endswith(".h5ad"):
        return _of_h5ad(path)
    if name.endswith(".zarr"):
        return _of_anndata(table_group(path)[0], path)
    if name.endswith((".parquet", ".geojson", ".json", ".gz")):
        table = read_parquet(path) if name.endswith(".parquet") else read_geojson(path)
        return _origin(table.uns.get(KEY, {}), table.var, table.obs.get("unlike_training"))
    told: Mapping[str, object] = csv_provenance(path)
    if not told:
        return Origin()
    flags = None
    if "unlike_training" in csv_header(path):
        flags = csv_frame(path, columns=["unlike_training"])["unlike_training"]
    return _origin(told, var_from_json(csv_provenance(path)), flags)


def _of_h5ad(path: Path) -> Origin:
    try:
        file = open_hdf5(path)
    except OSError as exc:
        raise BadTable(f"{path.name} is damaged ({exc}); write it again.") from exc
    with file:
        return _of_anndata(file, path)


def _of_anndata(file: h5py.File | zarr.Group, path: Path) -> Origin:
    try:
        if f"uns/{KEY}" not in file:
            return Origin()
        flagged = "obs/unlike_training" in file
        flags = read_elem(file["obs/unlike_training"]) if flagged else None
        return _origin(read_elem(file[f"uns/{KEY}"]), read_elem(file["var"]), flags)
    except Exception as exc:  # a damaged file fails in h5py, zarr or anndata in many ways
        raise BadTable(f"{path.name} is damaged ({exc}); write it again.") from exc


def _origin(told: Mapping[str, object], var: pd.DataFrame, flags: object) -> Origin:
    model = told.get("model")
    measured = told.get(MEASURED)
    if isinstance(measured, Mapping):
        name, vectors = measured.get("name", ""), measured.get("stain_vectors", "")
        return Origin(
            measured=f"{name}; {vectors}",
            unit=str(measured.get("expression_unit", "")),
            analysed=str(told.get("analysed", "")),
            mismatch=str(told.get(MISMATCH, "")),
        )
    if not isinstance(model, Mapping) or not model.get("name"):
        return Origin()
    unlike = None if flags is None else np.asarray(flags)
    evidence: Mapping[str, object] = dict(var.get("evidence", {}))
    learnable: Mapping[str, object] = dict(var.get("learnable", {}))
    return Origin(
        model=str(model["name"]),
        version=str(model.get("version", "")),
        sha256=str(model.get("sha256", "")),
        unit=str(model.get("expression_unit", "")),
        analysed=str(told.get("analysed", "")),
        evidence={str(g): str(e) for g, e in evidence.items()},
        not_learnable=frozenset(str(g) for g, yes in learnable.items() if not yes),
        slide_unlike_training=str(told.get("slide_unlike_training", "")),
        mismatch=str(told.get(MISMATCH, "")),
        unlike_training=unlike if unlike is not None and unlike.dtype == bool else None,
    )
