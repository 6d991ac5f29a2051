"""What is compared with a real stain: from files, and from slides in view. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.calibration import (
    CalibratedBy,
    Calibration,
    Matched,
    check_model,
    read_region_table,
    write_calibration,
)
from napari_past.calibration.comparison import Comparison, compare, joined
from napari_past.calibration.files import carded
from napari_past.calibration.match import SlidePair, match_slides
from napari_past.calibration.measured_cells import MeasuredCells, read_measured_cells
from napari_past.calibration.region_table import has_scores
from napari_past.errors import BadTable, Cancelled, CannotWrite
from napari_past.genes import Resolved
from napari_past.io import MarkerTable, read_marker_table, read_regions
from napari_past.io.origin import read_origin
from napari_past.model import Model
from napari_past.model.calibration import Quantity
from napari_past.model.files import copy_with_card
from napari_past.model.folder import MODEL_SUFFIX
from napari_past.quality import QualityMask
from napari_past.spatial.landmarks import Affine, read_landmarks
from napari_past.types import Region

CALIBRATION_SUFFIX = ".json"
LISTED = "the listed pairs"


@dataclass(frozen=True)
class CellsInView:
    """The cells of a slide as the widget shows them."""

    name: str
    resolved: Resolved
    """The marker that is shown, or a column of a stained slide."""
    values: npt.NDArray[np.floating]
    """(n,), in the model's unit, or DAB optical density of the marker's compartment; NaN where
    nothing is seen."""
    centers_um: npt.NDArray[np.float64]
    """(n, 2)."""
    regions: tuple[Region, ...]
    mask: QualityMask | None
    """Cells in it do not count."""


@dataclass(frozen=True)
class PredictedInView(CellsInView):
    """Those of an H&E slide."""

    sha256: str
    """Of the model."""

    def table(self) -> MarkerTable:
        unscored = None
        if self.mask is not None:
            unscored = np.where(self.mask.kind_at(self.centers_um) > 0, "other", "")
        return MarkerTable(self.values, self.centers_um, None, None, self.resolved, unscored)


@dataclass(frozen=True)
class MeasuredInView(CellsInView):
    """Those of a stained slide."""

    def cells(self) -> MeasuredCells:
        seen = np.isfinite(self.values)
        if self.mask is not None:
            seen &= self.mask.kind_at(self.centers_um) == 0
        density = np.asarray(self.values[seen], np.float64)
        return MeasuredCells(self.centers_um[seen], density, None)


@dataclass(frozen=True)
class PredictedFiles:
    """A table of predicted cells, and the regions of their slide."""

    cells: Path
    regions: Path
    mpp: float | None = None

    @property
    def name(self) -> str:
        return self.cells.name


@dataclass(frozen=True)
class MeasuredFiles:
    """A table of measured cells, and the regions of their slide or the landmarks that carry those
    of the H&E slide over."""

    cells: Path
    regions: Path | None = None
    landmarks: Path | None = None
    mpp: float | None = None

    @property
    def name(self) -> str:
        return self.cells.name


@dataclass(frozen=True)
class PairDraft:
    """One pair of slides as it is listed."""

    patient: str
    predicted: PredictedInView | PredictedFiles
    measured: MeasuredInView | MeasuredFiles
    slide: str = ""

    def checked(self) -> PairDraft:
        """The same.

        Raises
        ------
        BadTable
            Nobody said whose slides they are.
        """
        if not self.patient.strip():
            raise BadTable(
                "No patient is named for this pair; type any name that tells patients apart, the "
                "same for slides of one patient."
            )
        return replace(self, patient=self.patient.strip())


@dataclass(frozen=True)
class RegionRows:
    """A table of matched regions with their values."""

    path: Path


@dataclass(frozen=True)
class CompareRequest:
    """Everything that a comparison needs."""

    model: Model
    resolved: Resolved
    parts: tuple[PairDraft | RegionRows, ...]
    quantity: Quantity | None
    """None takes what tables of regions hold, and optical density of cells."""
    same_section: bool = False
    calibration: Calibration | None = None
    """To hold against the regions; None fits a new map."""
    clone: str = ""
    scanner: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was compared, and what is to be told of it."""

    comparison: Comparison
    told: tuple[str, ...]


def compared(request: CompareRequest, cancelled: Callable[[], bool] = lambda: False) -> Outcome:
    """Read, match and compare what a request lists.

    Raises
    ------
    Cancelled
    BadTable
        Nothing is listed; values of another model or marker; what the files do not hold.
    """
    if not request.parts:
        raise BadTable("No slides are listed; add a pair, or read a table of regions.")
    if request.calibration is not None:
        check_model(request.calibration, request.model)
    by = CalibratedBy.of(request.model, request.resolved, request.clone, request.scanner)
    tables = [part.path for part in request.parts if isinstance(part, RegionRows)]
    pairs = [part for part in request.parts if isinstance(part, PairDraft)]
    scores = {has_scores(path) for path in tables} | ({False} if pairs else set())
    if len(scores) > 1:
        raise BadTable(
            "Some tables hold predicted scores and some values in the model's unit; compare one "
            "kind at a time."
        )
    if True in scores:
        by = by.of_scores(request.model, request.resolved)
    if request.calibration is not None and request.calibration.predicted_unit != by.predicted_unit:
        raise BadTable(
            f"The calibration maps {request.calibration.predicted_unit}, but {by.predicted_unit} "
            "is listed; give the same."
        )
    matched: list[Matched] = []
    told: list[str] = []
    for path in tables:
        _go_on(cancelled)
        matched.append(read_region_table(path, request.quantity, same_section=request.same_section))
    if pairs:
        rows, sentences = match_slides(
            (_read(pair, request, cancelled) for pair in pairs), LISTED, request.quantity,
            same_section=request.same_section,
        )  # fmt: skip
        matched.append(rows)
        told += sentences
    whole = joined(matched, LISTED)
    return Outcome(compare(whole, by, request.calibration), tuple(told))


def save_calibration(
    model: Model, calibration: Calibration, clone: str, scanner: str, target: Path
) -> None:
    """Write a calibration: the model anew with it in its card, or it alone as JSON.

    Raises
    ------
    BadTable
        The calibration is of another model.
    CannotWrite
        Another suffix; the model is a folder, or the file that is read.
    """
    check_model(calibration, model)
    told = calibration.model_copy(update={"clone": clone.strip(), "scanner": scanner.strip()})
    if target.suffix == CALIBRATION_SUFFIX:
        write_calibration(told, target)
        return
    if target.suffix != MODEL_SUFFIX:
        raise CannotWrite(
            f"A calibration is saved in a model ({MODEL_SUFFIX}) or alone ({CALIBRATION_SUFFIX}), "
            f"but {target.name!r} is neither; end the name in one of them."
        )
    source = Path(model.path)
    if source.is_dir():
        raise CannotWrite(
            f"{model.name} is a folder, and only a model in one file takes a calibration into its "
            f"card; save it alone, as {CALIBRATION_SUFFIX}."
        )
    if target.exists() and target.samefile(source):
        raise CannotWrite(f"{target} is the model that is in use; give the new one another name.")
    copy_with_card(source, target, carded(model, told))


def _read(draft: PairDraft, request: CompareRequest, cancelled: Callable[[], bool]) -> SlidePair:
    _go_on(cancelled)
    predicted, measured = draft.predicted, draft.measured
    regions: tuple[Region, ...]
    if isinstance(predicted, PredictedInView):
        _same_marker(predicted, request)
        table, regions, where = predicted.table(), predicted.regions, predicted.name
    else:
        table = _predicted_file(predicted, request)
        regions = read_regions(predicted.regions, predicted.mpp or table.mpp)
        where = predicted.regions.name
    affine: Affine | None = None
    over: Sequence[Region] | None
    if isinstance(measured, MeasuredInView):
        _same_stain(measured, request)
        cells, over, over_where = measured.cells(), measured.regions, measured.name
    else:
        cells, over, over_where = read_measured_cells(measured.cells), None, measured.name
        if measured.regions is not None:
            over = read_regions(measured.regions, measured.mpp or cells.mpp)
            over_where = measured.regions.name
        if measured.landmarks is not None:
            affine = read_landmarks(measured.landmarks)
    return SlidePair(
        patient=draft.patient,
        slide=draft.slide,
        predicted=table,
        predicted_regions=tuple(regions),
        predicted_where=where,
        measured=cells,
        measured_regions=None if over is None else tuple(over),
        measured_where=over_where,
        affine=affine,
    )


def _predicted_file(files: PredictedFiles, request: CompareRequest) -> MarkerTable:
    table = read_marker_table(files.cells, request.resolved.name)
    origin = read_origin(files.cells)
    if origin.predicted:
        _same_model(files.name, origin.model, origin.sha256, request)
    if len(table.resolved.symbols) != len(request.resolved.symbols):
        raise BadTable(
            f"{files.name} has {' + '.join(table.resolved.symbols)} where {request.resolved.label} "
            "is asked for; predict them all."
        )
    return table


def _same_marker(view: PredictedInView, request: CompareRequest) -> None:
    if view.resolved.symbols != request.resolved.symbols:
        raise BadTable(
            f"{view.name} was taken with {view.resolved.label}, but {request.resolved.label} is "
            "shown now; take it again, or choose the former marker."
        )
    _same_model(view.name, "another model", view.sha256, request)


def _same_stain(view: MeasuredInView, request: CompareRequest) -> None:
    """Refuse the stain of another marker; a column is whatever the slide was stained for."""
    marker = view.resolved.marker
    if marker is not None and set(marker.genes) != set(request.resolved.symbols):
        raise BadTable(
            f"{view.name} was measured as {view.resolved.label}, but {request.resolved.label} is "
            "shown now; choose the same marker on the stained slide and take it again."
        )


def _same_model(name: str, model: str, sha256: str, request: CompareRequest) -> None:
    if sha256 not in request.model.known_sha256:
        raise BadTable(
            f"{name} was predicted by {model} (SHA-256 {sha256[:12]}…), not by "
            f"{request.model.name} ({request.model.sha256[:12]}…) that is loaded; load that one."
        )


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Nothing was compared.")
