"""``napari-past demo``: the whole job on a drawn sample, or on a slide of the user's."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from napari_past.cli.display import has_display, has_qt
from napari_past.cli.models import evidence_line
from napari_past.cli.overview import write_overview
from napari_past.cli.score import score_lines
from napari_past.cli.slide_run import compute
from napari_past.engine import Cells, analysed, h_score, origin_of_scores, predict
from napari_past.engine.seam import forget_slides
from napari_past.errors import CannotWrite, PastError
from napari_past.files import atomic_write
from napari_past.io import write_cells, write_regions, write_score_csv
from napari_past.model import load_model
from napari_past.report.flags import unlike_lines, unreadable
from napari_past.sample import Phantom, draw_counts, draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import Slide, open_slide
from napari_past.stain import ScoreTable
from napari_past.types import IGNORE, RESEARCH_USE, TUMOUR, Rect, Region

PHANTOM_PX, PHANTOM_MPP, PHANTOM_SEED = (4096, 3072), 0.5, 0
MEASURED = "measured.h5ad"
GENE = "ERBB2"
LARGE_MM2, SIDE_UM = 4.0, 1000.0
"""Of a slide with more tissue than that, a square of this side is analysed."""
MATCH_UM = 3.0


@dataclass(frozen=True)
class Matching:
    """Found centres held against known ones, paired one to one within `MATCH_UM`."""

    known: int
    found: int
    paired: int

    @property
    def recall(self) -> float:
        return self.paired / self.known if self.known else float("nan")

    @property
    def precision(self) -> float:
        return self.paired / self.found if self.found else float("nan")


def execute(options: Namespace) -> int:
    """Analyse, write files and a picture, and open napari where there is a display."""
    started_s = time.monotonic()
    out: Path = options.out
    phantom = None
    path = options.slide
    if path is not None:
        with open_slide(path, options.mpp) as slide:
            slide.require_mpp()  # told before a folder is made
    _make_folder(out)
    if path is None:
        path = out / "phantom.ome.tif"
        print(f"drawing a sample of {PHANTOM_PX[0]} x {PHANTOM_PX[1]} px …", file=sys.stderr)
        phantom = draw_sample(path, PHANTOM_PX)
        with atomic_write(out / MEASURED) as unfinished:
            draw_counts(phantom).write_h5ad(unfinished)
    with open_slide(path, options.mpp) as slide:
        regions = () if phantom is None else known_regions(phantom)
        try:
            cells, table = _analysed(slide, regions, out)
        finally:
            forget_slides()
        files = f"phantom.ome.tif, {MEASURED}, " if phantom is not None else ""
        files += "regions.geojson, " if regions else ""
        print(f"{out}: {files}cells.h5ad, cells.csv, cells.geojson, scores.csv, overview.png")
        print(f"{len(cells)} cells in {len(cells.plan.tiles)} tiles of {slide.name}")
        print(f"model: {evidence_line(load_model())}")
        if phantom is not None:
            print(_detection_line(matching(phantom.centers_um, cells.centers_um)))
        print("\n".join(_score_text(cells, table)))
        print(f"{time.monotonic() - started_s:.1f} s", flush=True)
        failures = unreadable(cells)
    failures += _opened(path, out, options.mpp)
    for failure in failures:
        print(f"napari-past: {failure}", file=sys.stderr)
    return 1 if failures else 0


def draw_sample(path: Path, size_px: tuple[int, int]) -> Phantom:
    """Write the phantom and return it: the file that `write_phantom` writes, drawn once for both.

    Raises
    ------
    CannotWrite
    """
    width_px, height_px = size_px
    phantom = draw_phantom(width_px, height_px, PHANTOM_MPP, PHANTOM_SEED)
    name = f"napari-past phantom {width_px}x{height_px} {PHANTOM_MPP} um/px seed {PHANTOM_SEED}"
    write_pyramid(path, phantom.rgb, PHANTOM_MPP, name, jpeg=find_spec("imagecodecs") is not None)
    return phantom


def known_regions(phantom: Phantom) -> tuple[Region, ...]:
    """The phantom's glands as tumour, and the patch that is out of focus as ignored."""
    return (
        Region("Glands", TUMOUR, shapely.make_valid(phantom.regions["glands"])),
        Region("Out of focus", IGNORE, shapely.make_valid(phantom.regions["blur"])),
    )


def matching(known_um: npt.NDArray[np.float64], found_um: npt.NDArray[np.float64]) -> Matching:
    """Pairs of known and found centres, (n, 2) and (m, 2) in µm; the closest are paired first."""
    pairs = []
    if len(known_um) and len(found_um):
        near = cKDTree(known_um).sparse_distance_matrix(
            cKDTree(found_um), MATCH_UM, output_type="coo_matrix"
        )
        pairs = sorted(zip(near.data.tolist(), near.row.tolist(), near.col.tolist(), strict=True))
    known_taken, found_taken = set[int](), set[int]()
    for _, known, found in pairs:
        if known not in known_taken and found not in found_taken:
            known_taken.add(known)
            found_taken.add(found)
    return Matching(len(known_um), len(found_um), len(known_taken))


def central_square(slide: Slide) -> Rect | None:
    """A square of 1 mm² full of tissue near the tissue's centre; None for a slide with little."""
    tissue = slide.tissue_mask()
    if tissue.area_mm2 <= LARGE_MM2:
        return None
    side = max(1, round(SIDE_UM / tissue.mpp))
    filled = uniform_filter(tissue.mask.astype(np.float32), side, mode="constant")
    rows, columns = np.nonzero(filled >= 0.9 * filled.max())
    center = np.argwhere(tissue.mask).mean(axis=0)
    best = np.argmin((rows - center[0]) ** 2 + (columns - center[1]) ** 2)
    x_um, y_um = (columns[best] + 0.5) * tissue.mpp, (rows[best] + 0.5) * tissue.mpp
    return Rect(float(x_um) - SIDE_UM / 2, float(y_um) - SIDE_UM / 2, SIDE_UM, SIDE_UM)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"The folder {out} cannot be created ({exc.strerror or exc}); choose another one with "
            "--out."
        ) from exc


def _analysed(slide: Slide, regions: tuple[Region, ...], out: Path) -> tuple[Cells, ScoreTable]:
    cells = predict(slide, region=central_square(slide))
    compute(cells, slide.name)
    mpp = slide.require_mpp()
    adata = cells.to_anndata()
    for suffix in ("h5ad", "csv", "geojson"):
        write_cells(adata, out / f"cells.{suffix}", mpp=mpp)
    table = h_score(cells, GENE, regions)
    origin = origin_of_scores(cells.model, cells.resolve(GENE), analysed(cells.plan))
    write_score_csv(table, out / "scores.csv", origin)
    if regions:
        write_regions(regions, out / "regions.geojson", mpp)
    write_overview(slide, cells, GENE, regions, out / "overview.png")
    return cells, table


def _detection_line(matched: Matching) -> str:
    return (
        f"detection, measured on the drawn nuclei within {MATCH_UM:g} µm: recall "
        f"{matched.recall:.3f} of {matched.known}, precision {matched.precision:.3f} of "
        f"{matched.found}"
    )


def _score_text(cells: Cells, table: ScoreTable) -> list[str]:
    resolved = cells.resolve(GENE)
    labels = [cells.model.reliability(symbol).label for symbol in resolved.symbols]
    lines = ["", f"{resolved.label} · {cells.model.name}", *score_lines(table)]
    lines.append(f"reliability: {'; '.join(labels)}")
    lines += unlike_lines(cells.slide_unlike_training, cells.unlike_training > 1)
    return [*lines, RESEARCH_USE]


def _opened(path: Path, out: Path, mpp: float | None) -> list[str]:
    """Show the result in napari where that is possible; one sentence where it failed."""
    if not has_display():
        print("There is no display, so napari was not opened; the files above are complete.")
        return []
    if not has_qt():
        print("napari was not opened: install a Qt binding with pip install 'napari-past[qt]'.")
        return []
    try:
        launch = import_module("napari_past.plugin.launch")
        launch.demo(
            str(path),
            screenshot=out / "napari.png",
            mpp=mpp,
            gene=GENE,
            keep_open=sys.stdin.isatty(),
        )
    except PastError as exc:
        return [f"napari was not opened: {exc}"]
    except Exception as exc:  # a graphics driver fails in many ways, and the files are written
        reason = " ".join(str(exc).split()) or type(exc).__name__
        return [f"napari was not opened ({reason}); the files in {out} are complete."]
    print(f"{out / 'napari.png'}: napari with the result")
    return []
