r"""Real Ki67 slides scored per nucleus, against annotated tiles.

    OMP_NUM_THREADS=1 python benchmarks/ihc.py FOLDER [--json FILE] [--out FILE]

FOLDER holds ihc_ki67/: tiles of 512 x 512 at 40x with the annotation beside them (red: positive
nuclei, blue: negative, green: their borders). A tile goes the way of any slide, from a file through
plan, tiles and store: background and stain vectors from the tile itself, nuclei by the detector
"ihc-nuclear", mean DAB optical density within each outline, positive from QuPath's 0.2 on. No
parameter was chosen on these tiles.

A found nucleus and an annotated one match, one to one, when the centre of the one lies inside the
other or both are at most 3 µm apart. The positive fraction counts all found nuclei against all
annotated ones; the balanced accuracy is over matched pairs. Published stain vectors stand beside
the estimated ones. Where nuclei are missing from the annotation, the fractions cannot agree: "brown
not annotated" is the share of clearly brown pixels (density 0.4 or more) further than 1 µm from any
annotated nucleus.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import add_outputs, report, table, told
from PIL import Image
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_past.engine import Cells, MeasuredStain, Store, make_plan
from napari_past.optical_density import RUIFROK_DAB, RUIFROK_HEMATOXYLIN
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide
from napari_past.stain import classes
from napari_past.stain.dab import DAB_CUTOFFS, stain_densities
from napari_past.types import FoundCells, Rgb

MPP = 0.25
RADIUS_UM = 3.0
SPECK_PX = 32
"""Smaller components of the annotation are remains of its drawing, not nuclei."""
MOST_POINTS, LEAST_ACCURACY = 5.0, 0.90


@dataclass(frozen=True)
class Truth:
    """Annotated nuclei of a tile."""

    labels: npt.NDArray[np.int32]
    """(Y, X), 1 to n within nuclei."""
    centers_um: npt.NDArray[np.float64]
    positive: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Result:
    """One tile, or all of them together, with one set of stain vectors."""

    tile: str
    vectors: str
    annotated: int
    found: int
    matched: int
    true_pct: float
    found_pct: float
    matched_true_pct: float
    """Positive fraction of the matched nuclei by the annotation."""
    matched_found_pct: float
    sensitivity: float
    specificity: float
    balanced_accuracy: float
    brown_not_annotated_pct: float


@dataclass(frozen=True)
class Counts:
    """What a result is made of; counts of tiles add."""

    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int
    found: int
    found_positive: int
    annotated: int
    annotated_positive: int
    brown_px: int
    brown_beside_px: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(asdict(self).values())


def annotation(path: Path) -> Truth:
    rgb = np.asarray(Image.open(path).convert("RGB"))
    red, blue = (rgb.argmax(axis=2) == c for c in (0, 2))
    bright = rgb.max(axis=2) > 127
    labels = np.zeros(rgb.shape[:2], np.int32)
    positive: list[bool] = []
    for mask, kind in ((red & bright, True), (blue & bright, False)):
        parts, count = ndimage.label(mask)
        for part in np.flatnonzero(np.bincount(parts.ravel(), minlength=count + 1) >= SPECK_PX):
            if part > 0:
                positive.append(kind)
                labels[parts == part] = len(positive)
    yx = np.array(ndimage.center_of_mass(labels > 0, labels, np.arange(1, len(positive) + 1)))
    return Truth(labels, (yx[:, ::-1] + 0.5) * MPP, np.array(positive))


def matched(cells: FoundCells, truth: Truth) -> tuple[npt.NDArray, npt.NDArray]:
    """Indices of matched found and annotated nuclei."""
    distance = cdist(cells.centers_um, truth.centers_um)
    near = distance <= RADIUS_UM
    row, column = np.floor(cells.centers_um[:, ::-1] / MPP).astype(int).T
    height, width = truth.labels.shape
    inside = truth.labels[row.clip(0, height - 1), column.clip(0, width - 1)] - 1
    holds = np.flatnonzero(inside >= 0)
    near[holds, inside[holds]] = True
    # The most pairs, and of those the nearest.
    cost = np.where(near, distance / 1e4 - 1, 0)
    found, known = linear_sum_assignment(cost)
    kept = near[found, known]
    return found[kept], known[kept]


def counted(rgb: Rgb, cells: Cells, truth: Truth) -> Counts:
    model = cells.model
    assert isinstance(model, MeasuredStain), "IHC is measured"
    assert model.stains is not None, "a plan knows its stains"
    _, dab = stain_densities(rgb, model.stains)
    positive = classes(cells.marker_values("Ki-67"), DAB_CUTOFFS) >= 1
    found, known = matched(cells.found, truth)
    says, is_so = positive[found], truth.positive[known]
    brown = dab >= DAB_CUTOFFS.moderate
    beside = ndimage.distance_transform_edt(truth.labels == 0) * MPP > 1.0
    return Counts(
        int((says & is_so).sum()), int((~says & is_so).sum()),
        int((~says & ~is_so).sum()), int((says & ~is_so).sum()),
        len(cells), int(positive.sum()), len(truth.positive), int(truth.positive.sum()),
        int(brown.sum()), int((brown & beside).sum()),
    )  # fmt: skip


def result(tile: str, vectors: str, c: Counts) -> Result:
    sensitivity = c.true_positive / max(c.true_positive + c.false_negative, 1)
    specificity = c.true_negative / max(c.true_negative + c.false_positive, 1)
    pairs = c.true_positive + c.false_negative + c.true_negative + c.false_positive
    return Result(
        tile, vectors, c.annotated, c.found, pairs,
        100 * c.annotated_positive / max(c.annotated, 1),
        100 * c.found_positive / max(c.found, 1),
        100 * (c.true_positive + c.false_negative) / max(pairs, 1),
        100 * (c.true_positive + c.false_positive) / max(pairs, 1),
        sensitivity, specificity, (sensitivity + specificity) / 2,
        100 * c.brown_beside_px / max(c.brown_px, 1),
    )  # fmt: skip


def through_the_engine(
    rgb: Rgb, truth: Truth, name: str, stain: MeasuredStain
) -> tuple[Counts, str]:
    """Counts of one tile, and what is told of its stain vectors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.ome.tif"
        write_pyramid(path, rgb, MPP, name, jpeg=False)
        with open_slide(path) as slide:
            plan = make_plan(slide, stain, "ihc-nuclear")
            cells = Cells(plan, stain, Store(plan.key, Path(folder))).compute()
            note = f"{name}: background {slide.background}, {_source(cells)}."
        return counted(rgb, cells, truth), note


def _source(cells: Cells) -> str:
    model = cells.model
    stains = model.stains if isinstance(model, MeasuredStain) else None
    return "" if stains is None else stains.source


def measured(folder: Path) -> tuple[list[Result], list[str]]:
    """A result for each tile and for all together, and what is told of the stain vectors."""
    notes = []
    sums: dict[str, Counts] = {}
    results = []
    for path in sorted(folder.glob("*_groundtruth.png")):
        name = path.name.removesuffix("_groundtruth.png")
        rgb = np.asarray(Image.open(folder / f"{name}.png").convert("RGB"))
        truth = annotation(path)
        for vectors, stain in (
            ("estimated", MeasuredStain()),
            ("published", MeasuredStain(vectors=(RUIFROK_HEMATOXYLIN, RUIFROK_DAB))),
        ):
            counts, note = through_the_engine(rgb, truth, name, stain)
            notes += [note] if vectors == "estimated" else []
            sums[vectors] = sums[vectors] + counts if vectors in sums else counts
            results.append(result(name, vectors, counts))
    return results + [result("both", vectors, c) for vectors, c in sums.items()], notes


def lines(results: list[Result]) -> list[str]:
    head = (
        "tile", "stain vectors", "annotated", "found", "matched", "positive, annotated",
        "positive, found", "difference", "positive, matched", "sensitivity", "specificity",
        "balanced accuracy", "brown not annotated",
    )  # fmt: skip
    rows = [
        (
            r.tile, r.vectors, r.annotated, r.found, r.matched, f"{r.true_pct:.1f} %",
            f"{r.found_pct:.1f} %", f"{r.found_pct - r.true_pct:+.1f}",
            f"{r.matched_found_pct:.1f} % for {r.matched_true_pct:.1f} %", f"{r.sensitivity:.2f}",
            f"{r.specificity:.2f}", f"{r.balanced_accuracy:.3f}",
            f"{r.brown_not_annotated_pct:.0f} %",
        )
        for r in results
    ]  # fmt: skip
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    add_outputs(parser)
    options = parser.parse_args()
    results, notes = measured(options.folder / "ihc_ki67")
    goal = f"Asked for: within {MOST_POINTS:g} points, balanced accuracy {LEAST_ACCURACY:.2f}."
    report(
        options,
        [*lines(results), "", goal, "", *notes],
        {"results": [asdict(r) for r in results], "notes": notes},
    )


if __name__ == "__main__":
    told(main)
