"""How well nuclei are found, and how fast, beside scikit-image's blob_log.

    OMP_NUM_THREADS=1 python benchmarks/detector.py FOLDER [--json FILE] [--out docs/detector.md]

FOLDER holds monuseg_train/ (tiles of 0.25 µm/px with every nucleus outlined) and crc_nuclei/ (tiles
of about 0.5 µm/px with the centres of four types). A nucleus is found when a centre lies within
3 µm of its own, one to one. Three MoNuSeg tiles chose the detector's parameters and are marked
"tuning"; the others report. blob_log (scikit-image) sees the same haematoxylin at the same µm/px;
its threshold is chosen on the same three tiles. Seconds are for a megapixel of 0.25 µm/px (62,500
µm²), the least of three runs, with the time for stain vectors apart: a slide needs them once.
"""

from __future__ import annotations

import argparse
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from shapely import Polygon
from skimage.feature import blob_log

from napari_past.cells import StainLogDetector, hematoxylin_od, read_block
from napari_past.slide import Slide, slide_of_array
from napari_past.types import PixelGrid, Rgb

TUNING = ("TCGA-21-5784", "TCGA-A7-A13E", "TCGA-50-5931")
RADIUS_UM = 3.0
BLOB_THRESHOLDS = (0.08, 0.1, 0.12, 0.15, 0.18, 0.21, 0.25)
MEGAPIXEL_UM2 = 1e6 * 0.25**2

Centres = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tile:
    """A picture and the centres (n, 2) of its nuclei, (x, y) in µm."""

    name: str
    group: str
    rgb: Rgb
    mpp: float
    centers_um: Centres


@dataclass(frozen=True)
class Result:
    """What one method did on one tile."""

    tile: str
    group: str
    method: str
    known: int
    found: int
    precision: float
    recall: float
    f1: float
    s_per_megapixel: float


def monuseg(folder: Path) -> Iterator[Tile]:
    for path in sorted(folder.glob("*.xml")):
        rings = [
            [(float(v.get("X", "")), float(v.get("Y", ""))) for v in region.iter("Vertex")]
            for region in ET.parse(path).iter("Region")
        ]
        centers = [Polygon(ring).centroid.coords[0] for ring in rings if len(ring) > 2]
        rgb = np.asarray(Image.open(path.with_suffix(".tif")).convert("RGB"))
        tuned = path.name.startswith(TUNING)
        group = "MoNuSeg, tuning" if tuned else "MoNuSeg, reporting"
        yield Tile(path.name[:12], group, rgb, 0.25, np.array(centers) * 0.25)


def crc(folder: Path) -> Iterator[Tile]:
    for path in sorted(folder.glob("*.json")):
        by_type = json.loads(path.read_text())
        centers = np.array([c for type_ in by_type.values() for c in type_], dtype=np.float64)
        rgb = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
        yield Tile(path.stem, "CRC", rgb, 0.5, (centers + 0.5) * 0.5)


def matches(found_um: Centres, known_um: Centres, radius_um: float = RADIUS_UM) -> int:
    """The most pairs, one to one, at most `radius_um` apart."""
    if len(found_um) == 0 or len(known_um) == 0:
        return 0
    near = cKDTree(found_um).sparse_distance_matrix(cKDTree(known_um), radius_um).toarray()
    linked = near > 0
    rows, columns = linear_sum_assignment(linked, maximize=True)
    return int(linked[rows, columns].sum())


def scored(tile: Tile, method: str, found_um: Centres, seconds: float) -> Result:
    hits = matches(found_um, tile.centers_um)
    precision = hits / max(len(found_um), 1)
    recall = hits / max(len(tile.centers_um), 1)
    f1 = 2 * hits / max(len(found_um) + len(tile.centers_um), 1)
    area_um2 = tile.rgb.shape[0] * tile.rgb.shape[1] * tile.mpp**2
    return Result(
        tile.name, tile.group, method, len(tile.centers_um), len(found_um),
        round(precision, 4), round(recall, 4), round(f1, 4),
        round(seconds * MEGAPIXEL_UM2 / area_um2, 4),
    )  # fmt: skip


def timed(work: Callable[[], Centres]) -> tuple[Centres, float]:
    """A result and the least time of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return result, min(times)


def prepared(tile: Tile) -> tuple[Slide, StainLogDetector, Rgb, PixelGrid]:
    slide = slide_of_array(tile.rgb, tile.mpp)
    detector = StainLogDetector().fitted(slide)
    return slide, detector, *read_block(slide, slide.bounds, detector.mpp, 0)


def ours(tile: Tile) -> list[Result]:
    slide, detector, rgb, grid = prepared(tile)
    found, seconds = timed(lambda: detector.find(rgb, grid).centers_um)
    _, fitting = timed(lambda: np.array(replace(detector).fitted(slide).stains.hematoxylin))
    inside = slide.bounds.contains(found)
    return [
        scored(tile, "stain-log", found[inside], seconds),
        scored(tile, "stain-log with stain vectors", found[inside], seconds + fitting),
    ]


def blobs(tile: Tile, threshold: float) -> Result:
    slide, detector, rgb, grid = prepared(tile)
    assert detector.stains is not None
    profile = detector.stains

    def find() -> Centres:
        level = np.minimum(hematoxylin_od(rgb, profile) / profile.hematoxylin_scale, 1.0)
        sigma = {"min_sigma": 1.5 / grid.mpp, "max_sigma": 3.0 / grid.mpp, "num_sigma": 4}
        peaks = blob_log(level, threshold=threshold, overlap=0.5, **sigma)
        return grid.to_um(peaks[:, :2])

    found, seconds = timed(find)
    return scored(tile, "blob_log", found[slide.bounds.contains(found)], seconds)


def mean(results: list[Result], field: str) -> float:
    return float(np.mean([getattr(r, field) for r in results]))


def group_table(results: list[Result]) -> list[str]:
    """Means over the tiles of each group, a Markdown table."""
    table = [
        "| group (mean over tiles) | method | precision | recall | F1 | worst F1 | s/Mpx |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, method in dict.fromkeys((r.group, r.method) for r in results):
        part = [r for r in results if (r.group, r.method) == (group, method)]
        columns = " | ".join(f"{mean(part, f):.3f}" for f in ("precision", "recall", "f1"))
        table.append(
            f"| {group} | {method} | {columns} | {min(r.f1 for r in part):.3f} | "
            f"{mean(part, 's_per_megapixel'):.3f} |"
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--out", type=Path, help="write the means as Markdown there")
    options = parser.parse_args()
    tiles = [*monuseg(options.folder / "monuseg_train"), *crc(options.folder / "crc_nuclei")]
    tuning = [t for t in tiles if t.group == "MoNuSeg, tuning"]
    threshold = max(
        BLOB_THRESHOLDS, key=lambda value: mean([blobs(t, value) for t in tuning], "f1")
    )
    results = [r for t in tiles for r in [*ours(t), blobs(t, threshold)]]
    print(f"blob_log threshold {threshold:g}, chosen on the tuning tiles\n")
    print("| tile | group | method | nuclei | found | precision | recall | F1 | s/Mpx |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in results:
        print(f"| {r.tile} | {r.group} | {r.method} | {r.known} | {r.found} | {r.precision:.3f} | "
              f"{r.recall:.3f} | {r.f1:.3f} | {r.s_per_megapixel:.3f} |")  # fmt: skip
    table = group_table(results)
    print("", *table, sep="\n")
    if options.out:
        options.out.write_text("\n".join([*table, ""]), encoding="utf-8")
    if options.json:
        rows = {"blob_log_threshold": threshold, "results": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
