"""What else was measured of the patients, in files beside the table: bulk RNA, reports' vectors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.hdf5 import open_hdf5
from napari_past.io.declared import check_declared
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.table import counted, read_frame, shown, texts

_Table = tuple[list[str], list[str], npt.NDArray[np.float32]]
"""Ids (r,), names of columns (c,), values (r, c)."""


def bulk_rna(
    path: str | Path | None, patients: tuple[str, ...]
) -> tuple[npt.NDArray[np.float32] | None, tuple[str, ...], list[str]]:
    """Measured expression (p, g), its genes, and notes; a row of NaN for a patient without.

    Raises
    ------
    BadCohort, BadTable
    """
    if path is None:
        return None, (), []
    source = existing_file(path)
    h5ad = source.suffix.lower() == ".h5ad"
    ids, genes, values = _anndata(source) if h5ad else _columns(source)
    twice = [gene for gene, count in Counter(genes).items() if count > 1]
    if twice:
        raise BadCohort(
            f"{source.name} has the gene {twice[0]} twice ({len(twice)} genes in all); keep one "
            f"column of each."
        )
    rows, notes = _by_patient(ids, values, patients, source.name, "measured RNA")
    return rows, tuple(genes), notes


def report_vectors(
    path: str | Path | None, patients: tuple[str, ...]
) -> tuple[npt.NDArray[np.float32] | None, list[str]]:
    """Vectors of reports (p, t), and notes; a row of NaN for a patient without.

    Raises
    ------
    BadCohort, BadTable
    """
    if path is None:
        return None, []
    source = existing_file(path)
    npz = source.suffix.lower() == ".npz"
    ids, _, values = _arrays(source) if npz else _columns(source)
    return _by_patient(ids, values, patients, source.name, "vector of a report")


def _columns(source: Path) -> _Table:
    """A first column of ids, and numbers."""
    frame = read_frame(source)
    if source.suffix.lower() == ".parquet" and not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    ids = [str(value) for value in texts(frame.iloc[:, 0])]
    names = [str(name) for name in frame.columns[1:]]
    if not names:
        raise BadCohort(
            f"{source.name} has no numbers beside its ids; give a row for each patient: the id "
            f"first, then numbers."
        )
    try:
        return ids, names, frame.iloc[:, 1:].to_numpy(np.float32, na_value=np.nan)
    except (ValueError, TypeError) as exc:
        raise BadCohort(
            f"{source.name} has something that is no number ({exc}); give a row for each patient: "
            f"the id first, then numbers alone."
        ) from exc


def _anndata(source: Path) -> _Table:
    try:
        with open_hdf5(source) as file:
            check_declared(file, source)
        table = anndata.read_h5ad(source)
        dense = table.X if isinstance(table.X, np.ndarray) else table.X.toarray()
        values = np.asarray(dense, np.float32)
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadCohort(
            f"{source.name} cannot be read as an AnnData file of patients by genes ({exc}); give "
            f"an intact .h5ad file, or a .csv."
        ) from exc
    return list(table.obs_names), list(table.var_names), values


def _arrays(source: Path) -> _Table:
    try:
        with np.load(source, allow_pickle=False) as file:
            ids, vectors = file["ids"], np.asarray(file["vectors"], np.float32)
        if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors):
            raise ValueError(f"ids {ids.shape} and vectors {vectors.shape}")
    except Exception as exc:  # zip, pickle and numpy each have their own
        raise BadCohort(
            f"{source.name} must hold the arrays ids (n,), of texts, and vectors (n, t) ({exc}); "
            f"write it with numpy.savez(file, ids=…, vectors=…)."
        ) from exc
    return [str(one) for one in ids.tolist()], [], vectors


def _by_patient(
    ids: list[str],
    values: npt.NDArray[np.float32],
    patients: tuple[str, ...],
    name: str,
    what: str,
) -> tuple[npt.NDArray[np.float32], list[str]]:
    twice = [one for one, count in Counter(ids).items() if count > 1]
    if twice:
        raise BadCohort(
            f"{name} has {counted(len(twice), 'id')} twice ({shown(twice)}); keep a row of each."
        )
    place = {one: i for i, one in enumerate(ids)}
    found = [patient for patient in patients if patient in place]
    if not found:
        raise BadCohort(
            f"None of the {len(ids)} ids in {name} ({shown(ids)}) is a patient of the table "
            f"({shown(list(patients))}); name the patients alike in both."
        )
    rows = np.full((len(patients), values.shape[1]), np.nan, np.float32)
    known = np.array([patient in place for patient in patients])
    rows[known] = values[[place[patient] for patient in found]]
    bad = ~np.isfinite(rows[known]).all(axis=1)
    if bad.any():
        who = [found[i] for i in np.flatnonzero(bad).tolist()]
        raise BadCohort(
            f"{name} has missing or infinite values of {counted(len(who), 'patient')} "
            f"({shown(who)}); fill them in, or leave out these patients' rows or the columns."
        )
    notes = []
    if len(found) < len(patients):
        without = [patient for patient in patients if patient not in place]
        notes.append(
            f"There is no {what} of {counted(len(without), 'patient')} ({shown(without)})."
        )
    nobody = [one for one in ids if one not in set(patients)]
    if nobody:
        notes.append(
            f"{counted(len(nobody), 'id')} in {name} of nobody in the table ({shown(nobody)})."
        )
    return rows, notes
