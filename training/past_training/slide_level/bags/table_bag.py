"""The cells of a table that was written before: vectors stay in its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata.io import read_elem

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.hdf5 import open_hdf5
from napari_past.io.declared import check_declared
from napari_past.io.marker_table import unscored_reasons
from napari_past.io.provenance import KEY, UNSCORED, Provenance, as_mapping
from past_training.slide_level.bags.bag import CHUNK, Chunk
from past_training.slide_level.bags.kept import IN_IGNORED
from past_training.slide_level.bags.prepared import ModelIdentity

VECTORS, PLACES = "obsm/X_past", "obsm/spatial"
IGNORED = "ignored"
"""Of ``obs``: whether a cell lies in an Ignore* region, as the viewer writes it."""


@dataclass(frozen=True)
class TableAbout:
    """What a table of cells tells of itself."""

    rows: int
    model: ModelIdentity
    """Name and SHA-256 empty where it does not tell."""
    fingerprint: str
    """Of the H&E; empty where it does not tell."""
    mpp: float | None
    size_um: tuple[float, float] | None
    """Of the slide; None where it does not tell."""


def about_table(path: str | Path) -> TableAbout:
    """What is told in an ``.h5ad`` file of cells with vectors; no vector is read.

    Raises
    ------
    BadTable
        No such file, damaged, or without vectors or places.
    """
    source = existing_file(path)
    try:
        with open_hdf5(source) as file:
            check_declared(file, source)
            rows, dim = _shapes(file, source)
            told = as_mapping(read_elem(file[f"uns/{KEY}"])) if f"uns/{KEY}" in file else {}
    except BadTable:
        raise
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
    slide, model = as_mapping(told.get("slide")), as_mapping(told.get("model"))
    mpp = Provenance.of(told).slide_mpp
    sides = [slide.get("width_px"), slide.get("height_px")]
    known = mpp is not None and all(isinstance(side, (int, np.integer)) for side in sides)
    return TableAbout(
        rows=rows,
        model=ModelIdentity(_text(model, "name"), _text(model, "sha256"), dim),
        fingerprint=_text(slide, "fingerprint"),
        mpp=mpp,
        size_um=(float(sides[0]) * mpp, float(sides[1]) * mpp) if known else None,  # type: ignore[arg-type,operator]
    )


def _text(told: Mapping[str, object], key: str) -> str:
    return str(told.get(key, ""))


def _shapes(file: h5py.File, source: Path) -> tuple[int, int]:
    for key, what in ((VECTORS, "vectors"), (PLACES, "places")):
        if key not in file or not isinstance(file[key], h5py.Dataset):
            raise BadTable(
                f"{source.name} has no {what} of cells ({key.replace('/', ' ')}); write the table "
                f"with `napari-past run SLIDE --out TABLE.h5ad`, or give the slide itself."
            )
    vectors, places = file[VECTORS].shape, file[PLACES].shape
    if len(vectors) != 2 or len(places) != 2 or places[0] != vectors[0] or places[1] < 2:
        raise BadTable(
            f"{source.name} has vectors {vectors} and places {places}; (n, d) and (n, 2) of the "
            f"same cells are needed."
        )
    return int(vectors[0]), int(vectors[1])


class TableBag:
    """n cells of an ``.h5ad`` file, without those that it says are ignored or cannot be scored.

    The file is opened for each piece: a cohort has more tables than a process may hold open.
    """

    def __init__(self, name: str, path: str | Path) -> None:
        self.name = name
        self.slides = (name,)
        self.path = Path(path)
        about = about_table(path)
        self.dim = about.model.embed_dim
        kept, self.left_out = _kept_rows(self.path, about.rows)
        self._rows = None if kept.all() else np.flatnonzero(kept)
        self.n = int(kept.sum())

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All cells in order."""
        for start in range(0, self.n, size):
            rows = np.arange(start, min(start + size, self.n))
            yield self.take(rows)

    def take(self, index: npt.NDArray[np.integer]) -> Chunk:
        """Some cells."""
        rows = index if self._rows is None else self._rows[index]
        if not len(rows):
            return Chunk(np.zeros((0, self.dim), np.float16), np.zeros((0, 2)), _zeros(0))
        run = slice(int(rows[0]), int(rows[-1]) + 1)
        with open_hdf5(self.path) as file:
            if run.stop - run.start == len(rows):  # HDF5 finds single rows slowly
                vectors, places = file[VECTORS][run], file[PLACES][run]
            else:
                once, back = np.unique(rows, return_inverse=True)
                vectors, places = file[VECTORS][once][back], file[PLACES][once][back]
        return Chunk(
            np.asarray(vectors, np.float16),
            np.asarray(places[:, :2], np.float64),
            _zeros(len(rows)),
        )


def _zeros(n: int) -> npt.NDArray[np.int32]:
    return np.zeros(n, np.int32)


def _kept_rows(path: Path, n: int) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Which rows (n,) count, and how many do not, by reason."""
    reasons: dict[str, npt.NDArray[np.bool_]] = {}
    with open_hdf5(path) as file:
        if f"obs/{IGNORED}" in file:
            reasons[IN_IGNORED] = np.asarray(read_elem(file[f"obs/{IGNORED}"])).astype(bool)
        if f"obs/{UNSCORED}" in file:
            column = pd.Series(read_elem(file[f"obs/{UNSCORED}"]))
            told = unscored_reasons(column, n, path)
            reasons |= {str(kind): told == kind for kind in np.unique(told[told != ""])}
    kept = np.ones(n, np.bool_)
    left_out = {}
    for reason, rows in reasons.items():
        if len(rows) != n:
            raise BadTable(f"{path.name} has {n} cells but {len(rows)} entries in {IGNORED}.")
        if (rows & kept).any():
            left_out[reason] = int((rows & kept).sum())
        kept &= ~rows
    return kept, left_out
