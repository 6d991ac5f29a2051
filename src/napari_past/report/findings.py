"""What a report is made of: cells of one slide, scores of markers, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_past.slide import Slide
from napari_past.stain import ScoreTable
from napari_past.types import Region

NOT_CALIBRATED = (
    "not calibrated: scores are of predicted expression and are not comparable with those of a "
    "stain"
)


@dataclass(frozen=True)
class ModelFacts:
    """The model that predicted the values."""

    name: str
    version: str
    sha256: str
    trained_on: str = ""
    """Tissue, preparation and data of the training; empty where it is not told."""


@dataclass(frozen=True)
class MarkerFindings:
    """One marker of one slide."""

    label: str
    """As "ERBB2 (HER2)"."""
    values: npt.NDArray[np.floating]
    """(n,), of the slide's cells in their order; NaN where there is none."""
    table: ScoreTable
    """Scores of the regions, of just these values."""
    unit: str = ""
    """Of the values and cut-offs; empty where the file tells none."""
    note: str = ""
    evidence: tuple[str, ...] = ()
    """Badges, one for each gene: "ERBB2: same patient · 100 µm spots · r 0.31"."""

    learnable: bool = True
    """False where the model could not learn a gene of it: a page says so at its head."""

    @property
    def name(self) -> str:
        """What titles call it: on a real stain the marker alone, without what is measured of it."""
        rules = self.table.rules
        return rules.marker if rules.measured and rules.marker else self.label


@dataclass(frozen=True)
class SlideFindings:
    """All that a page tells of one slide."""

    name: str
    """File name of the slide, or of the table where there is no slide."""
    fingerprint: str
    """64 hex digits; empty where the table does not tell it."""
    case_code: str
    """As the user typed it, checked by `checked_case_code`; may be empty."""
    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in µm of slide space."""
    markers: tuple[MarkerFindings, ...]
    """At least one."""
    regions: tuple[Region, ...] = ()
    unscored: npt.NDArray[np.str_] | None = None
    """(n,), why a cell is not scored, "" where it is; None where nobody looked."""
    model: ModelFacts | None = None
    """None for values that were not predicted here."""
    measured: str = ""
    """How the values were measured on a stained slide; empty where they were not."""
    mismatch: str = ""
    """Told at the page's head where the slide looks like the other kind, H&E or IHC, than it was
    read as; empty where nothing speaks against it."""
    unlike: tuple[str, ...] | None = None
    """What looks unlike the training, in sentences; None where nobody can say."""
    much_unlike: bool = False
    """Whether so much of it does that nobody should rely on the values: told at the page's head."""
    calibration: str = NOT_CALIBRATED
    """One line; what it is not told of the model is not there."""
    analysed: str = ""
    """Which part of the slide the cells stand for."""
    unreadable: tuple[str, ...] = ()
    """Sentences on parts of the slide that could not be read."""
    versions: tuple[tuple[str, str], ...] = field(default=())
    """Names and versions of the software that made the values and this report."""
    slide: Slide | None = None
    """For the pictures, with a µm/px; None where only a table of cells is there."""

    def __post_init__(self) -> None:
        n = len(self.centers_um)
        if self.centers_um.shape != (n, 2) or not self.markers:
            raise ValueError(
                f"A report needs centres (n, 2) and a marker, but got {self.centers_um.shape} and "
                f"{len(self.markers)} markers."
            )
        shapes = {m.values.shape for m in self.markers}
        if self.unscored is not None:
            shapes.add(self.unscored.shape)
        if shapes != {(n,)}:
            raise ValueError(f"A report of {n} cells got values of shapes {sorted(shapes)}.")
