"""What a region of a real stain is scored beside counts: HER2 0/1+/2+/3+, TPS and CPS of PD-L1."""

from __future__ import annotations

from napari_past.stain.measured import CPS, HER2_SCORE, TPS
from napari_past.stain.membrane import HER2_NAMES, Her2Score, PdL1Counts
from napari_past.stain.rows import ScoreRow
from napari_past.types import TUMOUR

NO_CPS = "CPS: not told, since nobody said which cells are lymphocytes and macrophages"


def real_stain_lines(row: ScoreRow) -> list[str]:
    """A line for each customary score that needs a real stain; none of predictions.

    Nuclei in a Tumour region count as tumour cells, immune cells among them too: nobody has told
    them apart.
    """
    tellers = {HER2_SCORE: _her2, TPS: _tps, CPS: lambda row: NO_CPS}
    return [tellers[name](row) for name in row.rules.real_stain if name in tellers]


def _her2(row: ScoreRow) -> str:
    found = Her2Score(row.n0, row.n1, row.n2, row.n3)
    if not found.score:
        return "HER2 score: no membrane is seen"
    reached = sum((row.n0, row.n1, row.n2, row.n3)[HER2_NAMES.index(found.score) :])
    told = f"HER2 score {found.score}: {100 * reached / row.n:.0f} % of {row.n} cells reach it"
    if found.score == HER2_NAMES[0]:
        told = f"HER2 score 0: at most 10 % of {row.n} cells are stained"
    return told if row.role == TUMOUR else f"{told} (all cells; draw Tumour regions)"


def _tps(row: ScoreRow) -> str:
    if row.role != TUMOUR:
        return "TPS: draw Tumour regions, whose nuclei count as tumour cells"
    found = PdL1Counts(row.n, row.positive)
    if not found.sufficient:
        return f"TPS: {found.explanation[0].lower()}{found.explanation[1:]}"
    return f"TPS {found.tps:.0f} % of {row.n} nuclei in Tumour (immune cells among them counted)"
