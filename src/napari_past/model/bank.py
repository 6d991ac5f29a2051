"""Reference banks: measured single cells as vectors of one model's cell tower, with their genes.

A bank is an ``.h5ad`` file that anybody can open:

| place | holds |
|---|---|
| ``obsm["X_past"]`` (n, d) float16 | vectors of the cell tower, of length 1 |
| ``X`` (n, g) float32, CSC | log1p(counts per 10k): a gene lies together and is read alone |
| ``obs`` | ids; ``cell_type``, ``patient``, ``study`` as categories, missing where not told |
| ``var`` | gene symbols |
| ``uns["napari_past_bank"]`` | schema version, unit, model name and SHA-256 of its cell side |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from scipy.sparse import csc_array, csr_array

from napari_past.errors import BadTable, PastError, UnknownGene
from napari_past.files import atomic_write, existing_file
from napari_past.hdf5 import open_hdf5, written_here
from napari_past.model.bank_columns import write_columns
from napari_past.model.labels import Labels

KEY = "napari_past_bank"
"""Of ``uns``."""
SCHEMA_VERSION = 1
UNIT = "log1p(counts per 10k)"
VECTORS = "X_past"
TYPE, PATIENT, STUDY = "cell_type", "patient", "study"
LENGTH_TOLERANCE = 0.01
"""float16 moves the length of a vector by a thirtieth of this."""

_SMALL_BYTES = 64 << 20
_MOST_PACKED = 200
"""Unit vectors are packed to nine tenths, counts to a fifth."""
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class MadeBy:
    """The model whose cell tower made a bank's vectors."""

    name: str
    sha256: str
    """Of its cell side, `Model.cell_sha256`, 64 hex digits."""


@dataclass(frozen=True, eq=False)
class BankCells:
    """Who the cells of a bank are; labels are empty where they are not known."""

    ids: Sequence[str]
    types: Labels
    patients: Labels
    studies: Labels

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.ids, self.types, self.patients, self.studies)}
        if len(lengths) > 1:
            raise ValueError(f"ids and labels must be of the same cells, but got {lengths}.")


@dataclass(frozen=True, eq=False)
class Bank:
    """A reference bank in use. Build with `read_bank`.

    Vectors and labels are in memory; genes and ids stay in the file and are read when asked for.
    """

    path: Path
    vectors: npt.NDArray[np.float16]
    """(n, d), of length 1."""
    genes: tuple[str, ...]
    """HGNC symbols."""
    types: Labels
    patients: Labels
    studies: Labels
    made_by: MadeBy
    starts: npt.NDArray[np.int64]
    """(g + 1,): where each gene's values begin in the file."""

    @property
    def name(self) -> str:
        return self.path.stem

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {gene: i for i, gene in enumerate(self.genes)}

    def detected(self, gene: str) -> float:
        """Share of the cells in which a gene was seen."""
        first, stop = self.starts[self._columns[gene] :][:2]
        return float(stop - first) / len(self)

    def values(self, genes: Sequence[str]) -> csc_array:
        """Measured expression of all cells, sparse float32 (n, len(genes)), log1p(counts per 10k).

        Raises
        ------
        UnknownGene
            The bank did not measure one of `genes` (exact symbols; `genes.resolve` finds them).
        BadTable
            The file is gone.
        """
        missing = [gene for gene in genes if gene not in self._columns]
        if missing:
            raise UnknownGene(
                f"The bank {self.name} did not measure {missing[0]}; choose among its "
                f"{len(self.genes)} genes, or use another bank."
            )
        columns = np.array([self._columns[gene] for gene in genes], np.int64)
        parts = [slice(*self.starts[[c, c + 1]]) for c in columns]
        starts = np.concatenate([[0], np.cumsum(self.starts[columns + 1] - self.starts[columns])])
        data = np.empty(starts[-1], np.float32)
        rows = np.empty(starts[-1], np.int32)
        with _opened(existing_file(self.path)) as file, _damage_told(self.path):
            for part, start, stop in zip(parts, starts, starts[1:], strict=False):
                data[start:stop] = file["X/data"][part]
                rows[start:stop] = file["X/indices"][part]
        return csc_array((data, rows, starts), shape=(len(self), len(genes)))

    def ids(self, rows: npt.NDArray[np.integer]) -> tuple[str, ...]:
        """Ids of cells, in the order of `rows`, (m,); only these are read."""
        wanted, place = np.unique(rows, return_inverse=True)
        with _opened(existing_file(self.path)) as file:
            index = file["obs"][file["obs"].attrs["_index"]]
            found = index.asstr()[wanted]
        return tuple(str(found[i]) for i in place)

    def require_model(self, name: str, sha256: str) -> None:
        """Refuse vectors of another model: they lie in another space, where nothing is near.

        Parameters
        ----------
        name
            Of the model in use.
        sha256
            Of its cell side, `Model.cell_sha256`.

        Raises
        ------
        PastError
            Another cell side made this bank.
        """
        if self.made_by.sha256 != sha256:
            raise PastError(
                f"The bank {self.name} was made by the model {self.made_by.name} "
                f"({self.made_by.sha256[:12]}), but the cells are encoded by {name} "
                f"({sha256[:12]}); choose that model, or build a bank with "
                f"`past-train bank --model {name}`."
            )

    def left_out(
        self, patient: str = "", study: str = "", *, whole_study: bool = True
    ) -> npt.NDArray[np.bool_]:
        """Cells that a query must not find, (n,): its own patient's and, by default, its study's.

        Cells of one patient resemble each other whatever the picture shows, and so do, less, those
        of one study: a prediction from them would say nothing of a new patient.

        Parameters
        ----------
        patient, study
            Of the query; empty where it comes from elsewhere. The study is also known where the
            bank holds the patient.
        whole_study
            False leaves out the patient alone.

        Raises
        ------
        PastError
            Of some of the bank's cells the patient (or study) is not known, so that they may be the
            query's own.
        """
        studies = {study} - {""}
        if patient:
            _require_told(self.name, self.patients, PATIENT)
            own = np.unique(self.studies.codes[self.patients.are(patient)])
            studies |= {self.studies.names[code] for code in own if code >= 0}
        if whole_study and studies:
            _require_told(self.name, self.studies, STUDY)
        result = self.patients.are(patient)
        for name in studies if whole_study else ():
            result |= self.studies.are(name)
        return result


def write_bank(
    path: str | Path,
    vectors: npt.NDArray[np.floating],
    values: Iterable[csr_array | csc_array],
    genes: Sequence[str],
    cells: BankCells,
    made_by: MadeBy,
) -> None:
    """Write a bank, whole or not at all. The same cells give the same bytes.

    Parameters
    ----------
    path
        An ``.h5ad`` file.
    vectors
        (n, d) of the cell tower, of length 1; stored as float16.
    values
        log1p(counts per 10k) in blocks of rows, (b, g) each, in the order of `vectors`; in memory
        they take eight bytes for each value above zero.
    genes
        (g,) HGNC symbols.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    PastError
        A vector is not of length 1, or a gene comes twice.
    """
    if len(set(genes)) < len(genes):
        raise PastError("A gene of the bank comes twice; add up the counts of each gene first.")
    _check_length(vectors, "The vectors for a bank")
    table = AnnData(
        obs=pd.DataFrame(
            {
                TYPE: cells.types.as_categories(),
                PATIENT: cells.patients.as_categories(),
                STUDY: cells.studies.as_categories(),
            },
            index=_texts(cells.ids),
        ),
        var=pd.DataFrame(index=_texts(genes)),
        obsm={VECTORS: vectors.astype(np.float16)},
        uns={
            KEY: {
                "schema_version": SCHEMA_VERSION,
                "unit": UNIT,
                "model_name": made_by.name,
                "model_sha256": made_by.sha256,
            }
        },
    )
    parts = [csc_array(block.astype(np.float32, copy=False)) for block in values]
    shape = sum(part.shape[0] for part in parts), len(genes)
    if shape != table.shape or any(part.shape[1] != len(genes) for part in parts):
        raise ValueError(f"vectors and genes are {table.shape}, but the values are {shape}.")
    with atomic_write(path) as unfinished:
        table.write_h5ad(unfinished)
        with h5py.File(unfinished, "r+") as file:
            write_columns(file, parts, shape)
    written_here(path)


def read_bank(path: str | Path) -> Bank:
    """The bank in a file; its vectors are read, its genes are not.

    Raises
    ------
    BadTable
        No such file, no bank, damaged, or written by a later version.
    """
    source = existing_file(path)
    with _damage_told(source), _opened(source) as file:
        if f"uns/{KEY}" not in file:
            raise BadTable(
                f"{source.name} is no reference bank of napari-past; build one from single cells "
                f"with `past-train bank`."
            )
        _check_stored(source, file)
        return _read(source, file)


def _check_stored(source: Path, file: h5py.File) -> None:
    """Raise `BadTable` for a small file that promises gigabytes, as none of ours does."""

    def check(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(node, h5py.Dataset):
            return
        told, stored = node.size * node.dtype.itemsize, node.id.get_storage_size()
        if told > _SMALL_BYTES and told > _MOST_PACKED * stored:
            raise BadTable(
                f"{name} of the bank {source.name} promises {told / 1e9:.3g} GB, but the file "
                f"holds {stored / 1e6:.3g} MB of it; build it again with `past-train bank`."
            )

    file.visititems(check)


def _read(source: Path, file: h5py.File) -> Bank:
    about = read_elem(file[f"uns/{KEY}"])
    if int(about["schema_version"]) > SCHEMA_VERSION:
        raise BadTable(
            f"The bank {source.name} has schema version {about['schema_version']}, but this "
            f"version of napari-past reads up to {SCHEMA_VERSION}; update napari-past."
        )
    if about["unit"] != UNIT:
        raise BadTable(
            f"The values of the bank {source.name} are {about['unit']}, but {UNIT} is expected; "
            f"build it again with `past-train bank`."
        )
    if file["X"].attrs.get("encoding-type") != "csc_matrix":
        raise BadTable(
            f"X of the bank {source.name} is no CSC matrix, so a gene cannot be read alone; build "
            f"it again with `past-train bank`."
        )
    vectors: npt.NDArray[np.float16] = file[f"obsm/{VECTORS}"].astype(np.float16)[:]
    genes = tuple(str(gene) for gene in read_elem(file["var"]).index)
    n, starts = len(vectors), file["X/indptr"][:].astype(np.int64)
    types, patients, studies = (
        Labels.of(read_elem(file[f"obs/{key}"])) for key in (TYPE, PATIENT, STUDY)
    )
    if (
        tuple(file["X"].attrs["shape"]) != (n, len(genes))
        or len(starts) != len(genes) + 1
        or len(set(genes)) < len(genes)
        or any(len(label) != n for label in (types, patients, studies))
    ):
        raise BadTable(
            f"The parts of the bank {source.name} are not of the same cells and genes; build it "
            f"again with `past-train bank`."
        )
    _check_length(vectors, f"The vectors of the bank {source.name}")
    made_by = MadeBy(str(about["model_name"]), str(about["model_sha256"]))
    return Bank(source, vectors, genes, types, patients, studies, made_by, starts)


@contextmanager
def _damage_told(source: Path) -> Iterator[None]:
    try:
        yield
    except PastError:
        raise
    except Exception as exc:  # HDF5 and AnnData fail in many ways where a file is damaged
        raise BadTable(
            f"The bank {source.name} cannot be read ({exc}); build it again with `past-train bank`."
        ) from exc


def _opened(source: Path) -> h5py.File:
    try:
        return open_hdf5(source)
    except OSError as exc:
        raise BadTable(
            f"{source.name} cannot be read as a reference bank ({exc}); give an intact .h5ad file "
            f"of `past-train bank`."
        ) from exc


def _check_length(vectors: npt.NDArray[np.floating], what: str) -> None:
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise BadTable(f"{what} must be (cells, numbers), but are {vectors.shape}.")
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        length = np.linalg.norm(vectors[start : start + _ROWS_AT_ONCE].astype(np.float32), axis=1)
        off = ~(np.abs(length - 1) < LENGTH_TOLERANCE)
        if off.any():
            row = int(np.argmax(off))
            raise BadTable(
                f"{what} must be of length 1, but that of cell {start + row} has {length[row]:.3g};"
                f" encode the cells again with a model's cell tower."
            )


def _texts(names: Sequence[str]) -> pd.Index:
    index: Any = pd.Index(np.array(names, dtype=object))
    return index


def _require_told(bank: str, labels: Labels, what: str) -> None:
    if labels.untold:
        raise PastError(
            f"The bank {bank} does not tell the {what} of {labels.untold} of its {len(labels)} "
            f"cells, so the query's own cannot be left out; build it again with --{what}-key."
        )
