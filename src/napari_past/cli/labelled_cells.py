"""Labelled cells of tables, with the vectors that a classifier is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData

from napari_past.cli.classify_options import BY_SLIDE
from napari_past.engine.cell_classes import CELL_CLASS
from napari_past.errors import BadTable, ModelError
from napari_past.io import read_cells
from napari_past.io.provenance import KEY, as_mapping
from napari_past.model.classifier import LabelledSlide
from napari_past.types import FloatArray

VECTORS = "X_past"
REFERENCE_CELLS = 5000
"""Of a table: so many cells, evenly taken, tell how the vectors' numbers vary."""
MOST_CLASSES = 50
SHOWN_COLUMNS = 12


@dataclass(frozen=True, eq=False)
class Labelled:
    """What a classifier is fitted to, and checked with."""

    names: tuple[str, ...]
    vectors: npt.NDArray[np.floating]
    """(m, d) of labelled cells."""
    codes: npt.NDArray[np.intp]
    """(m,) places among `names`."""
    groups: npt.NDArray[np.intp]
    """(m,): what is left out in turn."""
    group_name: str
    """How to call several of these."""
    places_um: npt.NDArray[np.float64]
    """(m, 2), (x, y)."""
    reference: npt.NDArray[np.floating]
    """(k, d) of cells of all tables."""
    slides: tuple[LabelledSlide, ...]
    model: str
    model_sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Part:
    """The labelled cells of one table."""

    slide: str
    fingerprint: str
    model: tuple[str, str]
    labels: list[str]
    groups: list[str]
    vectors: npt.NDArray[np.floating]
    places_um: npt.NDArray[np.float64]
    reference: npt.NDArray[np.floating]
    cells: int
    predicted: bool


def read_labelled(tables: Sequence[Path], column: str, group: str) -> Labelled:
    """The cells of tables that have a label.

    Parameters
    ----------
    column
        Of ``obs``, that names the classes; cells where it is empty are left out.
    group
        Column of what is left out in turn, or "slide".

    Raises
    ------
    BadTable
        No vectors, no such column, no label, one class only, a class with one cell, numbers in
        place of classes, other vectors in another table.
    ModelError
        Vectors of several models.
    """
    parts = [_part(path, column, group) for path in tables]
    for path, part in zip(tables, parts, strict=True):
        if part.model != parts[0].model or part.vectors.shape[1] != parts[0].vectors.shape[1]:
            raise ModelError(
                f"{path.name} has vectors of {_named(part.model)}, but {tables[0].name} has those "
                f"of {_named(parts[0].model)}; give tables of one model."
            )
    labels = [label for part in parts for label in part.labels]
    names = tuple(sorted(set(labels)))
    _check_classes(labels, names, column)
    slides: dict[str, LabelledSlide] = {}
    for part in parts:
        place = part.fingerprint or part.slide
        before = slides[place].cells if place in slides else {}
        now = {name: before.get(name, 0) + part.labels.count(name) for name in names}
        slides[place] = LabelledSlide(name=part.slide, fingerprint=part.fingerprint, cells=now)
    groups = [value for part in parts for value in part.groups]
    unlabelled = sum(part.cells for part in parts) - len(labels)
    notes = [f"{unlabelled} cells have no label and were left out."] if unlabelled else []
    if any(part.predicted for part in parts):
        notes.append(f"Labels in {column} were themselves given by a classifier.")
    return Labelled(
        names=names,
        vectors=np.concatenate([part.vectors for part in parts]),
        codes=np.searchsorted(names, labels).astype(np.intp),
        groups=np.unique(groups, return_inverse=True)[1],
        group_name="slides" if group == BY_SLIDE else f"values of {group}",
        places_um=np.concatenate([part.places_um for part in parts]),
        reference=np.concatenate([part.reference for part in parts]),
        slides=tuple(slides.values()),
        model=parts[0].model[0],
        model_sha256=parts[0].model[1],
        notes=tuple(notes),
    )


def checked_vectors(table: AnnData, name: str) -> FloatArray:
    """The vectors (n, d) of a table's cells.

    Raises
    ------
    BadTable
        It has none, or numbers that are not finite.
    """
    if VECTORS not in table.obsm:
        raise BadTable(
            f"{name} holds no vectors of its cells ({VECTORS}); write it with `napari-past run` as "
            ".h5ad, .zarr or .parquet: .csv and .geojson hold none, nor does a measured stain."
        )
    vectors = np.asarray(table.obsm[VECTORS])
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise BadTable(
            f"{name} holds vectors ({VECTORS}) that are damaged: finite numbers in rows are "
            "expected; write it again with `napari-past run`."
        )
    return vectors


def vectors_model(table: AnnData, name: str) -> tuple[str, str]:
    """Name and SHA-256 of the model that made a table's vectors.

    Raises
    ------
    BadTable
        It does not tell.
    """
    told = as_mapping(as_mapping(table.uns.get(KEY)).get("model"))
    model, sha256 = str(told.get("name", "")), str(told.get("sha256", ""))
    if not model or len(sha256) != 64:
        raise BadTable(
            f"{name} does not tell which model made its vectors; write it with `napari-past run`."
        )
    return model, sha256


def _part(path: Path, column: str, group: str) -> _Part:
    table = read_cells(path)
    vectors = checked_vectors(table, path.name)
    model = vectors_model(table, path.name)
    labels = _texts(_column(table, column, path.name, "--labels"), column, path.name)
    rows = np.flatnonzero([label is not None for label in labels])
    if not len(rows):
        raise BadTable(
            f"The column {column} of {path.name} labels none of its {table.n_obs} cells; write the "
            "names of classes into it, or leave the table out."
        )
    told = as_mapping(as_mapping(table.uns.get(KEY)).get("slide"))
    fingerprint = str(told.get("fingerprint", ""))
    slide = str(told.get("name", "")) or path.name
    if group == BY_SLIDE:
        groups = [fingerprint or str(path)] * len(rows)
    else:
        values = _texts(_column(table, group, path.name, "--group"), group, path.name)
        groups = [value for row in rows if (value := values[row]) is not None]
        if len(groups) < len(rows):
            raise BadTable(
                f"The column {group} of {path.name} is empty in {len(rows) - len(groups)} labelled "
                "cells; fill it in, or leave --group out."
            )
    step = max(1, len(vectors) // REFERENCE_CELLS)
    return _Part(
        slide=slide,
        fingerprint=fingerprint,
        model=model,
        labels=[label for label in labels if label is not None],
        groups=groups,
        vectors=vectors[rows],
        places_um=np.asarray(table.obsm["spatial"], np.float64)[rows, :2],
        reference=vectors[::step],
        cells=table.n_obs,
        predicted=column == CELL_CLASS,
    )


def _column(table: AnnData, name: str, file: str, option: str) -> pd.Series:
    if name in table.obs:
        column: pd.Series = table.obs[name]
        return column
    there = [str(c) for c in table.obs.columns]
    shown = ", ".join(there[:SHOWN_COLUMNS]) + (" …" if len(there) > SHOWN_COLUMNS else "")
    raise BadTable(
        f"{file} has no column {name}; {option} may name {shown or 'none: it has none'}."
    )


def _texts(column: pd.Series, name: str, file: str) -> list[str | None]:
    """Values as texts, None where one is missing or empty; whole numbers without a point."""
    missing = column.isna().to_numpy()
    values = column.to_numpy(dtype=object)
    if pd.api.types.is_float_dtype(column):
        numbers = column.to_numpy(np.float64)[~missing]
        if not np.array_equal(numbers, np.round(numbers)):
            raise BadTable(
                f"The column {name} of {file} holds numbers ({numbers[0]:g} …), not names; give a "
                "column of names, or of whole numbers."
            )
        values = np.array([None if no else int(v) for v, no in zip(values, missing, strict=True)])
    texts = (None if no else str(v).strip() for v, no in zip(values, missing, strict=True))
    return [text or None for text in texts]


def _check_classes(labels: list[str], names: tuple[str, ...], column: str) -> None:
    if len(names) > MOST_CLASSES:
        raise BadTable(
            f"The column {column} has {len(names)} different labels, but at most {MOST_CLASSES} "
            "classes can be told apart; give a column of classes."
        )
    if len(names) == 1:
        raise BadTable(
            f"All labels in {column} are {names[0]!r}, but at least two classes are needed; label "
            "cells of another class."
        )
    single = [name for name in names if labels.count(name) == 1]
    if single:
        raise BadTable(
            f"The class {single[0]!r} in {column} has one cell; label at least two, or leave the "
            "class out."
        )


def _named(model: tuple[str, str]) -> str:
    return f"{model[0]} (SHA-256 {model[1][:12]}…)"
