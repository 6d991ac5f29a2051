r"""How well nuclei are found, and how fast, beside blob_log of scikit-image and HistomicsTK.

    OMP_NUM_THREADS=1 python benchmarks/detector.py FOLDER [--histomicstk PYTHON]
        [--json FILE] [--out docs/detector.md]

FOLDER holds monuseg_train/ (tiles of 0.25 µm/px with every nucleus outlined) and crc_nuclei/ (tiles
of about 0.5 µm/px with the centres of four types). A nucleus is found when a centre lies within
3 µm of its own, one to one. Three MoNuSeg tiles chose the detector's parameters and are marked
"tuning"; the others report. blob_log sees the same haematoxylin at the same µm/px; its threshold,
and HistomicsTK's parameters beside its own defaults, are chosen on the same three tiles.

Seconds are for a megapixel of 0.25 µm/px (62,500 µm²), the least of three runs, with the time for
stain vectors apart: a slide needs them once. They depend on the machine and its other work, so
their ratio to blob_log in the same run stands beside them.

The reporting tiles are also changed, to see what the detector makes of other stainers, of blur and
of ink: F1 where the annotation still holds, and cells per mm² where there are none to find.

HistomicsTK 1.4.0 needs an environment of its own. Some of its readers of slides cannot be built
everywhere and nothing here needs them:

    uv venv --python 3.11 ENV
    uv pip install --python ENV/bin/python --no-deps histomicstk==1.4.0 large-image
    uv pip install --python ENV/bin/python numpy scipy scikit-image scikit-learn pandas imageio \
        shapely nimfa pyvips-binary cachetools palettable typing_extensions dask distributed \
        opencv-python-headless girder-slicer-cli-web
    … --histomicstk ENV/bin/python
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from altered_tiles import COVERED, WHOLE, band
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

TUNED, REPORTING = "MoNuSeg, tuning", "MoNuSeg, reporting"
GROUPS = (TUNED, REPORTING, "CRC")

Setting = dict[str, Any]
HISTOMICSTK: Setting = {
    "stains": "fixed", "foreground": 60, "min_radius": 6, "max_radius": 20, "search_radius": 10,
    "min_area": 80,
}  # fmt: skip
"""Defaults of HistomicsTK's NucleiDetection; lengths in pixels."""
HISTOMICSTK_GRID = (
    ("fixed", "macenko"),
    (60, 75, 90, 110, 130),
    [
        {"min_radius": low, "max_radius": high, "search_radius": search}
        for low, high in ((6, 20), (8, 16), (12, 20))
        for search in (10, 14)
    ],
)

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
        group = TUNED if path.name.startswith(TUNING) else REPORTING
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


def histomicstk(
    tiles: list[Tile], settings: list[Setting], python: str
) -> list[dict[str, tuple[float, Centres]]]:
    """Seconds and centres (n, 2) in µm of each tile by name, for each setting."""
    script = Path(__file__).with_name("detector_histomicstk.py")
    with tempfile.TemporaryDirectory() as folder:
        pictures, asked = Path(folder) / "pictures.npz", Path(folder) / "settings.json"
        np.savez(pictures, **{t.name: t.rgb for t in tiles})
        asked.write_text(json.dumps(settings), encoding="utf-8")
        command = [python, str(script), str(pictures), str(asked)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    mpp = {t.name: t.mpp for t in tiles}
    return [
        {n: (s, np.reshape(c, (-1, 2)) * mpp[n]) for n, (s, c) in found.items()}
        for found in json.loads(answer)
    ]


def peer(tiles: list[Tile], python: str) -> tuple[list[Result], Setting]:
    """HistomicsTK on the tiles of 0.25 µm/px: defaults, and what the tuning tiles chose."""
    tuning = [t for t in tiles if t.group == TUNED]
    grid = [
        HISTOMICSTK | {"stains": stains, "foreground": foreground, "repeats": 1} | radii
        for stains, foreground, radii in product(*HISTOMICSTK_GRID)
    ]
    tried = histomicstk(tuning, grid, python)
    worth = [mean([scored(t, "", found[t.name][1], 0.0) for t in tuning], "f1") for found in tried]
    best = grid[int(np.argmax(worth))] | {"repeats": 3}
    runs = histomicstk(tiles, [HISTOMICSTK | {"repeats": 3}, best], python)
    names = ("HistomicsTK, defaults", "HistomicsTK, tuned")
    return [
        scored(t, name, found[t.name][1], found[t.name][0])
        for name, found in zip(names, runs, strict=True)
        for t in tiles
    ], best


def hardship_table(tiles: list[Tile]) -> list[str]:
    """What the detector makes of changed reporting tiles and of glass, a Markdown table."""
    table = ["| changed tile | F1 | worst F1 |", "|---|---|---|"]
    for name, change in WHOLE.items():
        f1 = [ours(replace(t, rgb=change(t.rgb, t.mpp)))[0].f1 for t in tiles]
        table.append(f"| {name} | {np.mean(f1):.3f} | {min(f1):.3f} |")
    table += ["", "| a band of | cells/mm² there | without it | known |", "|---|---|---|---|"]
    for name, change in COVERED.items():
        density = np.mean([densities(t, change(t.rgb, t.mpp)) for t in tiles], axis=0)
        table.append(f"| {name} | " + " | ".join(f"{d:.0f}" for d in density) + " |")
    noise = np.random.default_rng(3).normal(240, 2.5, tiles[0].rgb.shape)
    glass = replace(tiles[0], rgb=np.clip(np.rint(noise), 0, 255).astype(np.uint8))
    for name, change in (
        ("glass", WHOLE["as it is"]),
        ("black marker on glass", COVERED["black marker"]),
    ):
        found = np.mean(densities(glass, change(glass.rgb, glass.mpp))[0])
        table.append(f"| {name} | {found:.0f} | | 0 |")
    return table


def densities(tile: Tile, changed: Rgb) -> tuple[float, float, float]:
    """Nuclei per mm² in the band: found in the changed tile, in the tile, and annotated.

    Stain vectors are the tile's own: a slide's are estimated where there is tissue.
    """
    _, detector, rgb, grid = prepared(tile)
    covered = band(tile.rgb.shape, tile.mpp) > 0.5
    *_, changed_rgb, _ = prepared(replace(tile, rgb=changed))
    counts = []
    for centers in (
        detector.find(changed_rgb, grid).centers_um,
        detector.find(rgb, grid).centers_um,
        tile.centers_um,
    ):
        x, y = np.clip(np.floor(centers / tile.mpp).astype(int), 0, np.array(covered.shape) - 1).T
        counts.append(covered[y, x].sum() / (covered.sum() * tile.mpp**2 / 1e6))
    return counts[0], counts[1], counts[2]


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


def speed_table(results: list[Result]) -> list[str]:
    """Seconds for a megapixel beside blob_log in the same run, a Markdown table."""
    reference = mean([r for r in results if r.method == "blob_log"], "s_per_megapixel")
    table = ["| method | s/Mpx | over blob_log |", "|---|---|---|"]
    for method in dict.fromkeys(r.method for r in results):
        seconds = mean([r for r in results if r.method == method], "s_per_megapixel")
        table.append(f"| {method} | {seconds:.3f} | {seconds / reference:.2f} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--histomicstk", metavar="PYTHON", help="a python that has HistomicsTK")
    parser.add_argument("--tuning-only", action="store_true", help="leave the other tiles alone")
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--out", type=Path, help="write the means as Markdown there")
    options = parser.parse_args()
    tiles = [*monuseg(options.folder / "monuseg_train"), *crc(options.folder / "crc_nuclei")]
    tuning = [t for t in tiles if t.group == TUNED]
    if options.tuning_only:
        tiles = tuning
    threshold = max(
        BLOB_THRESHOLDS, key=lambda value: mean([blobs(t, value) for t in tuning], "f1")
    )
    results = [r for t in tiles for r in [*ours(t), blobs(t, threshold)]]
    print(f"blob_log threshold {threshold:g}, chosen on the tuning tiles")
    fine = [t for t in tiles if t.group in (TUNED, REPORTING)]
    chosen: Setting = {}
    if options.histomicstk:
        others, chosen = peer(fine, options.histomicstk)
        results += others
        print(f"HistomicsTK {chosen}, chosen on the tuning tiles")
    results.sort(key=lambda r: GROUPS.index(r.group))
    print("\n| tile | group | method | nuclei | found | precision | recall | F1 | s/Mpx |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in results:
        print(f"| {r.tile} | {r.group} | {r.method} | {r.known} | {r.found} | {r.precision:.3f} | "
              f"{r.recall:.3f} | {r.f1:.3f} | {r.s_per_megapixel:.3f} |")  # fmt: skip
    hard = [t for t in fine if t.group == REPORTING] or fine
    tables = [
        *group_table(results), "",
        *speed_table([r for r in results if r.group != "CRC"]), "",
        *hardship_table(hard),
    ]  # fmt: skip
    print("", *tables, sep="\n")
    if options.out:
        options.out.write_text("\n".join([*tables, ""]), encoding="utf-8")
    if options.json:
        rows = {
            "blob_log_threshold": threshold,
            "histomicstk": chosen,
            "results": [asdict(r) for r in results],
        }
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
