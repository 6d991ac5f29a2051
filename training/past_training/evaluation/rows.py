"""The rows of a section that are looked at, and what belongs to them: values, nuclei, pixels.

Every predictor reads the same rows. Of sections with more than `ROWS_LIMIT` rows some are drawn, so
that time and memory do not grow with the data; rows without a nucleus or without a count are left
out for all predictors alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.spatial.membership import row_means
from napari_past.types import Rgb
from napari_past.validation.genes import log1p_cp10k
from past_training.dataset.read import PairedDataset, SectionArrays
from past_training.dataset.schema import Mode, SectionRecord
from past_training.evaluation.defaults import ROWS_LIMIT

_SEED = 20240229
_COUNTS_AT_ONCE = 32_768
_PATCHES_AT_ONCE = 16

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Nuclei:
    """The nuclei of the chosen rows, row by row."""

    row: IntArray
    """(n,) ascending place among the chosen rows."""
    patch: IntArray
    """(n,) ascending patch of the section."""
    yx_px: npt.NDArray[np.float32]
    """(n, 2) in the patch, pixel centres at integers."""
    index: IntArray
    """(n,) ascending place among the nuclei of the section."""

    def row_means(self, values: npt.NDArray[np.floating], n_rows: int) -> npt.NDArray[np.float32]:
        """Mean of `values` (n, D) over the nuclei of each row, (n_rows, D)."""
        return row_means(values, self.row, n_rows)


@dataclass(frozen=True, eq=False)
class SectionRows:
    """Chosen rows of one section, in the order in which they are stored."""

    section: SectionArrays
    genes: tuple[str, ...]
    """Of the dataset: columns of `sparse`."""
    mpp: float
    patch_px: int
    mode: Mode
    rows: IntArray
    """(k,) ascending numbers of the rows within the section."""
    usable: int
    """How many rows have a nucleus and a count; `rows` are all of them or some."""
    seen: int
    """How many rows the dataset shows of the section: all of them, or a block."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def record(self) -> SectionRecord:
        return self.section.record

    @cached_property
    def sparse(self) -> csr_array:
        """log1p(counts per 10k) of all genes, float32 (k, G)."""
        parts = []
        for first in range(0, self.record.rows, _COUNTS_AT_ONCE):
            stop = min(first + _COUNTS_AT_ONCE, self.record.rows)
            chosen = self.rows[(self.rows >= first) & (self.rows < stop)] - first
            if len(chosen):
                parts.append(self.section.counts(first, stop)[chosen])
        total = np.asarray(self.section.counts_total[:])[self.rows]
        return log1p_cp10k(csr_array(scipy.sparse.vstack(parts, format="csr")), total)

    def values(self, genes: Sequence[str]) -> npt.NDArray[np.float32]:
        """Measured log1p(counts per 10k), float32 (k, len(genes)); 0 for a gene without counts."""
        place = {gene: i for i, gene in enumerate(self.genes)}
        return np.asarray(self.sparse[:, [place[g] for g in genes]].toarray(), np.float32)

    @cached_property
    def measured_genes(self) -> frozenset[str]:
        """Genes that were measured in this section."""
        return frozenset(self.section.genes)

    @cached_property
    def row_um(self) -> npt.NDArray[np.float64]:
        """(k, 2), (x, y) in slide space."""
        return np.asarray(self.section.row_um[:])[self.rows]

    @cached_property
    def nuclei(self) -> Nuclei:
        """The nuclei of these rows."""
        row = np.asarray(self.section.nuclei_row[:])
        chosen = np.flatnonzero(np.isin(row, self.rows))
        starts = np.asarray(self.section.nuclei_start[:])
        return Nuclei(
            np.searchsorted(self.rows, row[chosen]).astype(np.int64),
            (np.searchsorted(starts, chosen, side="right") - 1).astype(np.int64),
            np.asarray(self.section.nuclei_yx[:])[chosen],
            chosen.astype(np.int64),
        )

    def patches(self, wanted: IntArray | None = None) -> Iterator[tuple[int, Rgb]]:
        """Patches of the section, ascending: the number and pixels (S, S, 3) of each.

        Parameters
        ----------
        wanted
            Their numbers; None for those that own one of these rows.
        """
        numbers = np.unique(self._patch_of_row if wanted is None else wanted)
        # Runs of neighbours: zarr reads slices sixty times as fast as lists of places.
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
            for start in range(0, len(run), _PATCHES_AT_ONCE):
                batch = run[start : start + _PATCHES_AT_ONCE]
                pixels = np.asarray(self.section.patches[batch[0] : batch[-1] + 1])
                yield from zip(batch.tolist(), pixels, strict=True)

    def windows(self, side_px: int) -> Iterator[Rgb]:
        """A square (side, side, 3) of H&E around each row, in order.

        Around the centre of a crop, or around the row's nuclei in a region, moved as little as
        keeps it within the patch. A side beyond the patch's gives the whole patch.
        """
        side_px = min(side_px, self.patch_px)
        margin = self.patch_px - side_px
        corners = np.full((len(self), 2), margin // 2)
        if self.mode == "regions":
            middle = self.nuclei.row_means(self.nuclei.yx_px, len(self))
            corners = np.clip(np.rint(middle - (side_px - 1) / 2).astype(int), 0, margin)
        at = 0
        for number, pixels in self.patches():
            while at < len(self) and self._patch_of_row[at] == number:
                y, x = corners[at]
                yield pixels[y : y + side_px, x : x + side_px]
                at += 1

    @cached_property
    def _patch_of_row(self) -> IntArray:
        starts = np.asarray(self.section.row_start[:])
        return (np.searchsorted(starts, self.rows, side="right") - 1).astype(np.int64)


@dataclass(frozen=True)
class TrainingSet:
    """What a predictor is fitted on: sections, and the rows of them that all predictors see."""

    dataset: PairedDataset
    """The training sections alone."""
    rows: tuple[SectionRows, ...]
    """One for each section, in the dataset's order."""

    @property
    def patients(self) -> tuple[str, ...]:
        """Of each section."""
        return tuple(part.record.patient for part in self.rows)

    def values(self, genes: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Measured log1p(counts per 10k) of each section, (k, len(genes))."""
        return [part.values(genes) for part in self.rows]


def section_rows(dataset: PairedDataset, name: str, limit: int = ROWS_LIMIT) -> SectionRows:
    """The rows of one section that are looked at, of those that the dataset shows; the same for the
    same rows and limit.

    Raises
    ------
    PastError
        None has a nucleus and a count.
    """
    rows = np.flatnonzero(dataset.usable_rows(name))
    if not len(rows):
        raise PastError(
            f"No row to see of section {name} has both a nucleus and a count, so nothing can be "
            f"evaluated on it; check how it was prepared."
        )
    kept = dataset.rows_kept(name)
    usable = len(rows)
    if usable > limit:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, limit, replace=False))
    section, info = dataset.section(name), dataset.info
    seen = section.record.rows if kept is None else int(np.count_nonzero(kept))
    return SectionRows(
        section, dataset.genes, info.mpp, info.patch_px, info.mode, rows.astype(np.int64), usable,
        seen,
    )  # fmt: skip


def all_rows(dataset: PairedDataset, limit: int = ROWS_LIMIT) -> TrainingSet:
    """The rows of all selected sections, to fit on."""
    sections = [record.name for record in dataset.sections]
    return TrainingSet(dataset, tuple(section_rows(dataset, name, limit) for name in sections))
