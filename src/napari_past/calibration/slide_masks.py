"""Masks of DAB of the pairs of slides that a table lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.calibration.mask_overlap import (
    SERIAL,
    MaskOverlap,
    dab_mask,
    mask_overlaps,
    virtual_mask,
)
from napari_past.calibration.slide_pairs import PairFiles, read_pairs
from napari_past.cells import tissue_sample
from napari_past.cells.stains import estimate_stains
from napari_past.engine.measured import SAMPLE_MPP, MeasuredStain
from napari_past.errors import BadTable, MissingCutoffs
from napari_past.io import MarkerTable, found_cells, read_h5ad, read_marker_table, read_regions
from napari_past.io.origin import read_origin
from napari_past.slide import open_slide
from napari_past.spatial.landmarks import read_landmarks
from napari_past.stain import classes
from napari_past.stain.compartments import compartment_of


def pair_overlaps(
    path: str | Path, marker: str, same_section: bool
) -> tuple[tuple[MaskOverlap, ...], tuple[str, ...]]:
    """How far predicted and measured brown meet in each region, and what has to be told of it.

    Pairs without ``predicted_slide`` and ``measured_slide`` are passed over; so are all of them
    where the stained section is not the H&E section itself.

    Parameters
    ----------
    path
        Of a table as `read_pairs` has it.
    marker
        Whose classes are drawn.

    Raises
    ------
    BadTable
        Cells without outlines.
    MissingCutoffs, SlideError, RegionError
    """
    pairs = [p for p in read_pairs(path) if p.predicted_slide and p.measured_slide]
    if not pairs:
        return (), ()
    if not same_section:
        return (), (SERIAL,)
    return tuple(overlap for pair in pairs for overlap in _of_pair(pair, marker)), ()


def _of_pair(pair: PairFiles, marker: str) -> tuple[MaskOverlap, ...]:
    assert pair.predicted_slide is not None
    assert pair.measured_slide is not None
    name = pair.predicted_cells.name
    if pair.predicted_cells.suffix.lower() != ".h5ad":
        raise BadTable(
            f"{name} has no outlines of cells, which masks of DAB need; give the .h5ad of "
            "`napari-past run`."
        )
    table = read_marker_table(pair.predicted_cells, marker)
    if table.cutoffs is None:
        raise MissingCutoffs(
            f"{name} tells no cut-offs for {table.resolved.label}, so its virtual stain cannot be "
            "drawn; export the cells with their cut-offs."
        )
    cells = found_cells(read_h5ad(pair.predicted_cells))
    affine = None if pair.landmarks is None else read_landmarks(pair.landmarks)
    with (
        open_slide(pair.predicted_slide, pair.predicted_mpp) as he,
        open_slide(pair.measured_slide, pair.measured_mpp) as ihc,
    ):
        regions = read_regions(pair.predicted_rois, he.require_mpp())
        ihc.require_mpp()
        profile = estimate_stains(tissue_sample(he, SAMPLE_MPP), he.background)
        stains = MeasuredStain().fitted(ihc).stains
        assert stains is not None, "fitted"
        found = classes(table.values, table.cutoffs)
        drawn = virtual_mask(
            he, cells, found, compartment_of(table.resolved.marker), profile,
            _unreliable(pair.predicted_cells, table),
        )  # fmt: skip
        whose = f"{pair.patient} · {pair.slide}" if pair.slide else pair.patient
        return mask_overlaps(whose, regions, drawn, dab_mask(ihc, stains, affine))


def _unreliable(path: Path, table: MarkerTable) -> npt.NDArray[np.bool_]:
    """Which cells of a table (n,) the viewer hatches: unlike the training, or not to be scored."""
    flags = read_origin(path).unlike_training
    hatched = np.zeros(len(table.values), np.bool_) if flags is None else flags.copy()
    if table.unscored is not None:
        hatched |= table.unscored != ""
    return np.asarray(hatched)
