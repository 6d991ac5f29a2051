"""A task of the HEST-Benchmark on disk: folds, genes, patches, expression.

    TASK/
        splits/train_0.csv, test_0.csv …    columns sample_id, patches_path, expr_path
        var_50genes.json                    {"genes": [...]}
        patches/SAMPLE.h5                   img (n, 224, 224, 3) uint8, barcode (n, 1)
        adata/SAMPLE.h5ad                   counts, rows named by barcodes

A column ``slide_fingerprint`` of the folds is ours, and may be missing: the content hash of the
slide that patches were cut from, by which a model knows again what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import anndata
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import issparse

from napari_past.errors import BadTable
from napari_past.files import file_sha256
from napari_past.types import Rgb
from past_training.benchmark.recipe import HestData

SPLITS = "splits"
FINGERPRINT = "slide_fingerprint"
_IMAGES = ("img", "imgs", "images")
_BARCODES = ("barcode", "barcodes")
_COLUMNS = ("sample_id", "patches_path", "expr_path")
PATCHES_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Sample:
    """Patches of one section with what was measured in them."""

    name: str
    patches: Path
    n: int
    """Patches."""
    measured: npt.NDArray[np.float64]
    """(n, G), log1p of the counts as they are in the file, genes in the task's order."""
    fingerprint: str | None
    """Content hash of the slide, where the folder tells it."""

    def batches(self) -> Iterator[Rgb]:
        """The patches in their order, up to 128 at once: uint8 (b, side, side, 3)."""
        with _reading(self.patches), h5py.File(self.patches, "r") as file:
            images = file[_key(file, _IMAGES, self.patches)]
            for start in range(0, self.n, PATCHES_AT_ONCE):
                yield images[start : min(start + PATCHES_AT_ONCE, self.n)]

    def some(self, index: npt.NDArray[np.intp]) -> Rgb:
        """Patches at these places, which ascend: uint8 (k, side, side, 3)."""
        with _reading(self.patches), h5py.File(self.patches, "r") as file:
            found: Rgb = file[_key(file, _IMAGES, self.patches)][index]
        return found


@dataclass(frozen=True)
class Fold:
    """Which samples are trained on, and which are held out; names of samples."""

    number: int
    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """One task: its samples are read, but for their pixels."""

    name: str
    folder: Path
    genes: tuple[str, ...]
    folds: tuple[Fold, ...]
    samples: dict[str, Sample]
    files: tuple[Path, ...]
    """All that was read."""

    @cached_property
    def sha256(self) -> str:
        """Over the names and contents of all files that the task's figures depend on."""
        whole = hashlib.sha256()
        for path in sorted(self.files):
            digest = file_sha256(path)
            whole.update(f"{path.relative_to(self.folder).as_posix()} {digest}\n".encode())
        return whole.hexdigest()


def tasks_in(folder: Path) -> tuple[str, ...]:
    """Names of the tasks that lie in a folder, sorted."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if (p / SPLITS).is_dir()))


def read_task(folder: Path, name: str, data: HestData) -> Task:
    """A task with its folds, genes and measured expression; patches are looked at, not read.

    Parameters
    ----------
    folder
        Holds the tasks' folders.

    Raises
    ------
    BadTable
        A file is missing, damaged, or not what it should be.
    """
    place = folder / name
    if not (place / SPLITS).is_dir():
        found = ", ".join(tasks_in(folder)) or "none"
        raise BadTable(
            f"There is no task {name} in {folder} (found: {found}); give one of these with "
            f"--tasks, or have the benchmark's own downloaded with --fetch."
        )
    genes = _genes(place / data.genes)
    tables = _tables(place)
    samples: dict[str, Sample] = {}
    files = {place / data.genes}
    folds = []
    for number, (train, test) in enumerate(tables):
        files |= {place / SPLITS / f"{side}_{number}.csv" for side in ("train", "test")}
        sides = []
        for table in (train, test):
            for row in table.itertuples():
                sample, pixels, counts = (str(getattr(row, column)) for column in _COLUMNS)
                paths = (_inside(place, pixels), _inside(place, counts))
                files |= set(paths)
                if sample not in samples:
                    fingerprint = getattr(row, FINGERPRINT, None)
                    known = fingerprint if isinstance(fingerprint, str) else None
                    samples[sample] = _sample(sample, *paths, genes, data, known)
            sides.append(tuple(str(s) for s in table["sample_id"]))
        both = set(sides[0]) & set(sides[1])
        if both:
            raise BadTable(
                f"Fold {number} of {name} trains on {min(both)} and holds it out at once; a sample "
                f"may be in one of train_{number}.csv and test_{number}.csv alone: get them again."
            )
        folds.append(Fold(number, *sides))
    return Task(name, place, genes, tuple(folds), samples, tuple(files))


def _genes(path: Path) -> tuple[str, ...]:
    with _reading(path):
        genes = tuple(str(g) for g in json.loads(path.read_text(encoding="utf-8"))["genes"])
    if not genes or len(set(genes)) != len(genes):
        raise BadTable(
            f"{path} names {len(genes)} genes, {len(set(genes))} of them different; it needs a "
            f'list of different symbols as {{"genes": […]}}: get it again.'
        )
    return genes


def _tables(place: Path) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Training and held-out samples of each fold, which are numbered from 0 without a gap."""
    folder = place / SPLITS
    numbers = {
        int(m[1]) for p in folder.iterdir() if (m := re.fullmatch(r"test_(\d+)\.csv", p.name))
    }
    if not numbers:
        raise BadTable(f"{folder} holds no fold: no file test_0.csv; get the folder again.")
    return [
        (_table(folder / f"train_{k}.csv"), _table(folder / f"test_{k}.csv"))
        for k in range(max(numbers) + 1)
    ]


def _table(path: Path) -> pd.DataFrame:
    with _reading(path):
        table = pd.read_csv(path)
    missing = [column for column in _COLUMNS if column not in table]
    if missing or table.empty:
        what = f"has no column {missing[0]}" if missing else "lists no sample"
        raise BadTable(f"{path} {what}; a fold lists {', '.join(_COLUMNS)}: get it again.")
    return table


def _inside(place: Path, path: str) -> Path:
    target = (place / path).resolve()
    if place.resolve() not in target.parents:
        raise BadTable(
            f"The folds of {place.name} name {path!r}, which lies outside of {place}; paths are "
            f"relative to that folder: get the folds again."
        )
    return place / path


def _sample(
    name: str, pixels: Path, counts: Path, genes: Sequence[str], data: HestData, known: str | None
) -> Sample:
    with _reading(pixels), h5py.File(pixels, "r") as file:
        images = file[_key(file, _IMAGES, pixels)]
        shape, kind = tuple(images.shape), images.dtype
        raw = np.asarray(file[_key(file, _BARCODES, pixels)]).ravel()
    side = data.patch_px
    if shape[1:] != (side, side, 3) or kind != np.uint8 or shape[0] != len(raw) or not len(raw):
        raise BadTable(
            f"{pixels} holds patches of {kind} {shape} and {len(raw)} barcodes, but uint8 (n, "
            f"{side}, {side}, 3) and n barcodes were expected; get the file again."
        )
    barcodes = [b.decode() if isinstance(b, bytes) else str(b) for b in raw]
    return Sample(name, pixels, len(raw), _measured(counts, barcodes, genes), known)


def _key(file: h5py.File, names: Sequence[str], path: Path) -> str:
    found = next((name for name in names if name in file), None)
    if found is None:
        raise BadTable(
            f"{path} has no {names[0]!r} (found: {', '.join(file) or 'nothing'}); patches of the "
            f"HEST-Benchmark have img, barcode and coords: get the file again."
        )
    return found


def _measured(path: Path, barcodes: Sequence[str], genes: Sequence[str]) -> npt.NDArray[np.float64]:
    with _reading(path):
        table = anndata.read_h5ad(path)
    rows = _places(path, "barcodes", table.obs_names, barcodes)
    columns = _places(path, "genes", table.var_names, genes)
    part = table.X[rows][:, columns]
    values = np.asarray(part.toarray() if issparse(part) else part, np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise BadTable(
            f"{path} holds values that are negative or no number, but counts were expected; get "
            f"the file again."
        )
    return np.asarray(np.log1p(values))


def _places(path: Path, what: str, names: pd.Index, wanted: Sequence[str]) -> npt.NDArray[np.intp]:
    """Where those that are wanted lie among the names of a table."""
    absent = [name for name in wanted if name not in names]
    if absent:
        raise BadTable(
            f"{path} lacks {len(absent)} of the {len(wanted)} {what} that are asked for (first: "
            f"{absent[0]}); get it, the patches and the list of genes of one version."
        )
    places = names.get_indexer_for(pd.Index(list(wanted)))
    if len(places) != len(wanted):
        raise BadTable(f"{path} names some of the {what} twice; get the file again.")
    return np.asarray(places)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read becomes our sentence."""
    try:
        yield
    except FileNotFoundError as exc:
        raise BadTable(
            f"There is no file {path}; get the task's folder again, whole (--fetch)."
        ) from exc
    # h5py, anndata, pandas and json each have errors of their own for a damaged file.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0].rstrip(". ")
        raise BadTable(f"{path} cannot be read ({reason}); get the file again.") from exc
