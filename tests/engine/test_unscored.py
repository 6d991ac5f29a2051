"""A mask of what must not be scored takes cells out of scores and is told with the table."""

from __future__ import annotations

import numpy as np

from napari_past.engine import h_score
from napari_past.quality import UNSCORED_KINDS, QualityMask

CUTOFFS = (-0.5, 0.0, 0.5)


def left_half(cells):
    """A mask at 8 µm/px whose left half is pen."""
    labels = np.zeros((50, 72), np.uint8)
    labels[:, :36] = UNSCORED_KINDS.index("pen") + 1
    return QualityMask(labels, 8.0, "by hand")


def test_scores_leave_out_what_the_mask_covers(undisturbed):
    cells = undisturbed()
    whole = h_score(cells, "ERBB2", cutoffs=CUTOFFS)
    assert (whole.unscored, whole.unscored_sentence) == (0, "")
    cells.quality = left_half(cells)
    part = h_score(cells, "ERBB2", cutoffs=CUTOFFS)
    covered = cells.centers_um[:, 0] < 288
    assert 0 < covered.sum() < len(cells)
    assert part.unscored == covered.sum()
    assert part.unscored_cells == {"pen": covered.sum()}
    assert part.rows[0].n == whole.rows[0].n - covered.sum()
    assert part.unscored_area_mm2 == cells.quality.area_mm2()


def test_the_table_tells_why_each_cell_is_not_scored(undisturbed):
    cells = undisturbed()
    assert "unscored" not in cells.to_anndata(["ERBB2"]).obs
    cells.quality = left_half(cells)
    adata = cells.to_anndata(["ERBB2"])
    covered = cells.centers_um[:, 0] < 288
    assert (adata.obs["unscored"].to_numpy() == np.where(covered, "pen", "")).all()
    assert list(adata.obs["unscored"].cat.categories) == ["", *UNSCORED_KINDS]
    told = adata.uns["napari_past"]["unscored"]
    assert (told["source"], told["mpp"]) == ("by hand", 8.0)
    assert told["area_mm2"] == cells.quality.area_mm2()
