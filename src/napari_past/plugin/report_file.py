"""The report of the slide in view, as a file. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_past.calibration.findings import findings_of_cells
from napari_past.engine import Cells
from napari_past.errors import Cancelled, PastError
from napari_past.quality import QualityMask
from napari_past.report import checked_case_code, numbered, slide_pages, write_report
from napari_past.report.write import check_suffix
from napari_past.slide import open_slide
from napari_past.types import Cutoffs, Region, SlideRef

OnStep = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and what comes now."""


@dataclass(frozen=True)
class ReportRequest:
    """What the user asks for."""

    case_code: str
    markers: tuple[str, ...]
    """As they were typed."""
    out: Path
    """Ends in .html or .pdf."""

    def checked(self) -> ReportRequest:
        """The same with a clean case code.

        Raises
        ------
        PastError
            The case code cannot be printed, or no marker is chosen.
        CannotWrite
            Another suffix than .html or .pdf.
        """
        code = checked_case_code(self.case_code)
        check_suffix(self.out, code)
        if not self.markers:
            raise PastError("No marker is chosen for the report; tick one at least.")
        return ReportRequest(code, self.markers, self.out)


def write_slide_report(
    ref: SlideRef,
    cells_of: Callable[[], Cells],
    cutoffs: Mapping[str, Cutoffs | None],
    regions: Sequence[Region],
    mask: QualityMask | None,
    request: ReportRequest,
    on_step: OnStep = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Write the report and return how many pages it has; nothing is written where it is cancelled.

    Parameters
    ----------
    cells_of
        Gives the finished cells; reads the store.
    cutoffs
        Of each marker of the request; None takes those of the model's card.
    mask
        Cells in it are not scored.
    request
        Checked.

    Raises
    ------
    Cancelled
    CannotWrite, SlideError, PastError
    """
    total = len(request.markers) + 3
    done = 0

    def step(what: str) -> None:
        nonlocal done
        if cancelled():
            raise Cancelled("The report was not written.")
        on_step(done, total, what)
        done += 1

    step("Reading the cells")
    cells = cells_of()
    cells.quality = mask
    # A handle of its own: the widget may close the session's while this reads.
    with open_slide(ref.path, ref.mpp, ref.series) as slide:
        asked = {name: cutoffs.get(name) for name in request.markers}
        findings = findings_of_cells(
            cells, slide, asked, regions, request.case_code, lambda name: step(f"Scoring {name}")
        )
        step("Drawing the pictures")
        pages = slide_pages(findings)
    step("Writing the pages")
    write_report(numbered(pages), request.out)
    return len(pages)
