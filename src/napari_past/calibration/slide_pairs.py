"""Pairs of slides, H&E and stained, as a table names their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_past.calibration.match import SlidePair, match_slides
from napari_past.calibration.matched import Matched
from napari_past.calibration.measured_cells import read_measured_cells
from napari_past.calibration.region_table import text_columns
from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.io import read_marker_table, read_regions
from napari_past.io.csv_table import csv_header
from napari_past.model.calibration import Quantity
from napari_past.slide.units import checked_mpp
from napari_past.spatial.landmarks import read_landmarks

NEEDED = ("patient", "predicted_cells", "predicted_rois", "measured_cells")
COLUMNS = (
    *NEEDED, "measured_rois", "landmarks", "slide", "predicted_mpp", "measured_mpp",
    "predicted_slide", "measured_slide",
)  # fmt: skip


@dataclass(frozen=True)
class PairFiles:
    """The files of one H&E slide and its stained neighbour."""

    patient: str
    slide: str
    predicted_cells: Path
    predicted_rois: Path
    measured_cells: Path
    measured_rois: Path | None
    """None: the regions of the H&E slide, carried over by the landmarks."""
    landmarks: Path | None
    predicted_mpp: float | None = None
    measured_mpp: float | None = None
    predicted_slide: Path | None = None
    """The H&E slide itself, for masks of DAB."""
    measured_slide: Path | None = None

    @property
    def whose(self) -> str:
        return f"{self.patient} {self.slide}".strip()


def is_pair_table(path: str | Path) -> bool:
    """Whether a CSV file names files of slides, not values of regions."""
    return "predicted_cells" in csv_header(existing_file(path))


def read_pairs(path: str | Path) -> tuple[PairFiles, ...]:
    """The rows of a CSV file with ``patient,predicted_cells,predicted_rois,measured_cells``.

    ``measured_rois``, ``landmarks``, ``slide``, ``predicted_mpp``, ``measured_mpp``,
    ``predicted_slide`` and ``measured_slide`` are optional. Files are relative to the table's
    folder.

    Raises
    ------
    BadTable
    """
    source = existing_file(path)
    header = csv_header(source)
    for column in NEEDED:
        if column not in header:
            raise BadTable(f"{source.name} has no column {column}; it needs {', '.join(NEEDED)}.")
    columns = text_columns(source, COLUMNS)
    lines = [
        dict(zip(columns, texts, strict=True)) for texts in zip(*columns.values(), strict=True)
    ]
    return tuple(_pair(told, line, source) for line, told in enumerate(lines, start=2))


def _pair(told: dict[str, str], line: int, source: Path) -> PairFiles:
    missing = [column for column in NEEDED if not told[column]]
    if missing:
        raise BadTable(f"Line {line} of {source.name} has no {missing[0]}; fill it in.")
    if not told["measured_rois"] and not told["landmarks"]:
        raise BadTable(
            f"Line {line} of {source.name} has neither measured_rois nor landmarks; give the "
            "regions on the stained slide, or landmarks that carry them over."
        )

    def file(column: str) -> Path | None:
        return source.parent / told[column] if told[column] else None

    def mpp(column: str) -> float | None:
        try:
            return checked_mpp(float(told[column])) if told[column] else None
        except ValueError as exc:
            raise BadTable(
                f"Line {line} of {source.name} has {told[column]!r} as {column}; give µm/px."
            ) from exc

    return PairFiles(
        patient=told["patient"],
        slide=told["slide"],
        predicted_cells=source.parent / told["predicted_cells"],
        predicted_rois=source.parent / told["predicted_rois"],
        measured_cells=source.parent / told["measured_cells"],
        measured_rois=file("measured_rois"),
        landmarks=file("landmarks"),
        predicted_mpp=mpp("predicted_mpp"),
        measured_mpp=mpp("measured_mpp"),
        predicted_slide=file("predicted_slide"),
        measured_slide=file("measured_slide"),
    )


def match_pairs(
    path: str | Path,
    marker: str,
    quantity: Quantity | None = None,
    *,
    genes: tuple[str, ...] = (),
    same_section: bool = False,
    od_column: str | None = None,
    check_cells: Callable[[Path], None] = lambda _: None,
) -> tuple[Matched, tuple[str, ...]]:
    """`match_slides` of the pairs that a table lists.

    Parameters
    ----------
    path
        Of the table, as `read_pairs` has it.
    marker
        Gene or marker whose predicted values are read.
    quantity, same_section
        As `match_slides` has them.
    genes
        That the marker stands for: a file must have as many of them. Any number if omitted.
    od_column
        Of the measured cells.
    check_cells
        Called with each file of predicted cells; raises where another model made it.

    Raises
    ------
    BadTable, MissingPixelSize, RegionError, UnknownGene, AmbiguousGene
    """

    def pairs() -> Iterator[SlidePair]:
        for files in read_pairs(path):
            check_cells(existing_file(files.predicted_cells))
            yield read_pair(files, marker, genes, od_column)

    return match_slides(pairs(), Path(path).name, quantity, same_section=same_section)


def read_pair(
    files: PairFiles, marker: str, genes: tuple[str, ...] = (), od_column: str | None = None
) -> SlidePair:
    """What the files of a pair hold.

    Raises
    ------
    BadTable, MissingPixelSize, RegionError, UnknownGene, AmbiguousGene
    """
    predicted = read_marker_table(files.predicted_cells, marker)
    if genes and len(predicted.resolved.symbols) != len(genes):
        raise BadTable(
            f"{files.predicted_cells.name} has {' + '.join(predicted.resolved.symbols)} where "
            f"{marker} is {' + '.join(genes)}; predict them all, with --genes {marker}."
        )
    measured = read_measured_cells(files.measured_cells, od_column)
    regions = read_regions(files.predicted_rois, files.predicted_mpp or predicted.mpp)
    over, over_where = None, files.measured_cells.name
    if files.measured_rois is not None:
        over = read_regions(files.measured_rois, files.measured_mpp or measured.mpp)
        over_where = files.measured_rois.name
    return SlidePair(
        patient=files.patient,
        slide=files.slide,
        predicted=predicted,
        predicted_regions=regions,
        predicted_where=files.predicted_rois.name,
        measured=measured,
        measured_regions=over,
        measured_where=over_where,
        affine=None if files.landmarks is None else read_landmarks(files.landmarks),
    )
