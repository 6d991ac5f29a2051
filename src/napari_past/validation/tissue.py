"""Measured tissue as a validation looks at it: which rows, where they lie, what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.slide import Slide
from napari_past.slide.thumbprint import thumbprint
from napari_past.spatial.section import MeasuredSection
from napari_past.types import Region
from napari_past.validation.genes import log1p_cp10k

ROWS_LIMIT = 5000
"""Rows of a section that are looked at, unless told otherwise: r is known to about 0.01 then."""
MEASURED_UNIT = "log1p(counts per 10k)"
"""Of measured values; over the genes that were measured, which of a panel are not all."""
_SEED = 20240229

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tissue:
    """Rows (cells or spots) of one measured section, in place on its open H&E."""

    section: MeasuredSection
    slide: Slide
    """The H&E, open while the validation lasts."""
    fingerprint: str
    """Of the H&E's content, as `napari_past.spatial.picture.picture_fingerprint` has it."""
    rows: IntArray
    """(k,) ascending rows of the section that are looked at: on the slide, with a count."""
    usable: int
    """How many such rows there are; `rows` are all of them or some."""
    regions: tuple[Region, ...] = ()
    """To tell figures apart by; rows in Ignore* ones are not among `rows`."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def genes(self) -> tuple[str, ...]:
        """That were measured."""
        return self.section.genes

    @property
    def resolution(self) -> str:
        """As a badge has it: "single cells", "100 µm spots"."""
        diameter_um = self.section.spot_diameter_um
        return "single cells" if diameter_um is None else f"{diameter_um:g} µm spots"

    @cached_property
    def row_um(self) -> npt.NDArray[np.float64]:
        """(k, 2), (x, y) in slide space."""
        return self.section.centers_um[self.rows]

    @cached_property
    def thumbprint(self) -> str:
        """Of the H&E, by which it is known again in another file; the slide is read once."""
        return thumbprint(self.slide)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """(k,) of the rows."""
        return tuple(self.section.ids[i] for i in self.rows.tolist())

    @cached_property
    def sparse(self) -> csr_array:
        """log1p(counts per 10k), float32 (k, g) over `genes`."""
        counts = csr_array(self.section.counts[self.rows])
        return log1p_cp10k(counts, np.asarray(counts.sum(axis=1)).ravel())

    def measured(self, genes: Sequence[str]) -> npt.NDArray[np.float32]:
        """Measured values of genes that were measured, float32 (k, len(genes))."""
        place = {gene: i for i, gene in enumerate(self.genes)}
        return np.asarray(self.sparse[:, [place[g] for g in genes]].toarray(), np.float32)


def in_measured_unit(unit: str | None) -> bool:
    """Whether values are in `MEASURED_UNIT`, be it with a remark behind a comma or in brackets."""
    if unit is None or not unit.startswith(MEASURED_UNIT):
        return False
    remark = unit.removeprefix(MEASURED_UNIT).strip()
    return not remark or remark[0] in ",("


def tissue_of(
    section: MeasuredSection,
    slide: Slide,
    fingerprint: str,
    regions: Sequence[Region] = (),
    limit: int = ROWS_LIMIT,
) -> Tissue:
    """The rows of a section that a validation looks at; the same for the same input.

    Parameters
    ----------
    slide
        The section's H&E, with a µm/px.
    regions
        Rows in Ignore* ones are left out.
    limit
        Of more rows so many are drawn.

    Raises
    ------
    PastError
        No row lies on the slide and has a count.
    """
    keep = np.asarray(slide.bounds.contains(section.centers_um), bool)
    keep &= np.diff(section.counts.indptr) > 0
    for region in regions:
        if region.ignored:
            keep &= ~region.contains(section.centers_um)
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise PastError(
            f"No {section.row_kind} of {section.name} that lie on {slide.name} have a count, so "
            "nothing can be validated on them; check the placement and the regions."
        )
    usable = len(rows)
    if usable > limit:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, limit, replace=False))
    return Tissue(section, slide, fingerprint, rows.astype(np.int64), usable, tuple(regions))
