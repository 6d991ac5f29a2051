"""How well blur, pen, folds, bubbles and glass are found, and how much good tissue is lost to them.

    OMP_NUM_THREADS=1 python benchmarks/unscored.py FOLDER [--json FILE] [--out docs/unscored.md]

FOLDER holds slides/, monuseg_train/ and crc_nuclei/. The limits were chosen on CMU-1-Small-Region,
three MoNuSeg tiles and phantoms of seeds 0–4, marked "tuning"; everything else reports. Two rules
were mended after a first run had shown on reporting tissue that they were missing: fat was called
glass (CRC), and blue ink spread into bluish tissue (her2st). Three questions:

1. Which share of tissue, and of the cells that the default detector finds, is called blur, pen,
   fold or bubble on slides as they are? Nobody marked artefacts on them, so what is real (a lifted
   edge of her2st is out of focus) counts as a false alarm here too.
2. Of artefacts painted on tissue in focus, which share of the area (mask pixels more than half
   covered; for all but pen only where there is tissue) is not scored, and how much more than that
   is lost? One artefact a picture, in places drawn by lot.
3. How many seconds of one core does it take, with the file opened anew?
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image
from scipy import ndimage

import napari_past as past
from napari_past.quality import UNSCORED_KINDS, QualityMask, find_unscored
from napari_past.sample import draw_phantom
from napari_past.sample.raster import inside_mask
from napari_past.slide import Slide, slide_of_array
from napari_past.types import Rgb

TUNED_TILES = ("TCGA-21-5784", "TCGA-A7-A13E", "TCGA-50-5931")
HER2ST_MPP = 0.69
PAINTED_MPP = 0.5
CROP_UM = 900.0
DRAWS = 2
INKS = {"blue": (30, 70, 150), "green": (30, 130, 70), "black": (30, 30, 35), "red": (200, 30, 45)}
"""What white paper looks like through each ink."""

Light = npt.NDArray[np.float32]
"""(Y, X, 3), 0–255."""
Mask = npt.NDArray[np.bool_]
Painter = Callable[[Light, np.random.Generator, tuple[float, float], Light], tuple[Light, Mask]]


@dataclass(frozen=True)
class Loss:
    """What a slide as it is loses."""

    slide: str
    group: str
    tissue_mm2: float
    cells: int
    tissue_lost: dict[str, float]
    """Share of tissue by kind."""
    cells_lost: float
    seconds: float
    slide_mm2: float


@dataclass(frozen=True)
class Found:
    """What became of one painted artefact."""

    slide: str
    group: str
    artefact: str
    right_kind: float
    """Share of its area that has its kind."""
    unscored: float
    """Share of its area that is not scored, whatever the kind."""
    more_mm2: float
    """Area beyond 24 µm of it that was scored before."""


# ---- painters: (light, rng, centre in µm, glass) -> (light, truth), all at PAINTED_MPP ----------


def covered(shape: tuple[int, ...], geometry: shapely.Geometry) -> Mask:
    return inside_mask(geometry, (shape[0], shape[1]), PAINTED_MPP)


def soft(mask: Mask, um: float) -> Light:
    """A mask with a soft border, (Y, X, 1)."""
    blend = ndimage.gaussian_filter(mask.astype(np.float32), um / PAINTED_MPP, truncate=3)
    return blend[..., None]


def defocused(light: Light, sigma_um: float) -> Light:
    sigma = sigma_um / PAINTED_MPP
    return np.asarray(ndimage.gaussian_filter(light, (sigma, sigma, 0)), np.float32)


def band(
    rng: np.random.Generator, centre: tuple[float, float], wide: float, long: float
) -> shapely.Geometry:
    """A slightly bent band, µm."""
    angle, t = rng.uniform(0, np.pi), np.linspace(-0.5, 0.5, 30)
    bend = rng.uniform(-0.15, 0.15) * long * np.cos(np.pi * t)
    x = centre[0] + long * t * np.cos(angle) - bend * np.sin(angle)
    y = centre[1] + long * t * np.sin(angle) + bend * np.cos(angle)
    return shapely.LineString(np.column_stack([x, y])).buffer(wide / 2, cap_style="flat")


def blur(sigma_um: float) -> Painter:
    def paint(light: Light, rng, centre, glass):  # type: ignore[no-untyped-def]
        inside = covered(light.shape, shapely.Point(centre).buffer(rng.uniform(130, 200)))
        blend = soft(inside, 4)
        return light * (1 - blend) + defocused(light, sigma_um) * blend, inside

    return paint


def pen(ink: str) -> Painter:
    def paint(light: Light, rng, centre, glass):  # type: ignore[no-untyped-def]
        stroke = band(rng, centre, rng.uniform(120, 300), rng.uniform(500, 900))
        inside = covered(light.shape, stroke)
        side = round(20 / PAINTED_MPP)
        coarse = rng.standard_normal([n // side + 2 for n in light.shape[:2]])
        streaks = ndimage.zoom(coarse, side, order=1)[: light.shape[0], : light.shape[1]]
        amount = (
            soft(inside, 2) * np.clip(0.8 + 0.15 * streaks / streaks.std(), 0.4, 1.2)[..., None]
        )
        return light * (np.asarray(INKS[ink], np.float32) / 255) ** amount, inside

    return paint


def fold(light: Light, rng, centre, glass):  # type: ignore[no-untyped-def]
    """Tissue from 57 µm away lies on top."""
    inside = covered(light.shape, band(rng, centre, rng.uniform(30, 80), rng.uniform(350, 700)))
    density = np.maximum(-np.log10(np.maximum(light, 1) / glass), 0)
    by = round(40 / PAINTED_MPP)
    doubled = density + soft(inside, 1.5) * np.roll(density, (by, -by), (0, 1))
    here = ndimage.uniform_filter(density.mean(axis=2), by) > 0.08
    return glass * 10**-doubled, inside & here


def bubble(rim: str) -> Painter:
    def paint(light: Light, rng, centre, glass):  # type: ignore[no-untyped-def]
        disc = shapely.Point(centre).buffer(rng.uniform(80, 180))
        inside = covered(light.shape, disc)
        blend = soft(inside, 1)
        hazy = glass * (defocused(light, 8) / glass) ** 0.6
        out = light * (1 - blend) + hazy * blend
        ring = blend - soft(covered(light.shape, disc.buffer(-8)), 1)
        if rim == "dark":
            return out * 10 ** (-0.8 * ring), inside
        return out * (1 - ring) + 1.03 * glass * ring, inside

    return paint


def hole(light: Light, rng, centre, glass):  # type: ignore[no-untyped-def]
    inside = covered(light.shape, shapely.Point(centre).buffer(rng.uniform(100, 200)))
    blend = soft(inside, 2)
    return light * (1 - blend) + (glass + rng.normal(0, 1, light.shape)) * blend, inside


ARTEFACTS: dict[str, tuple[str, Painter]] = {
    **{f"blur, sigma {s:g} µm": ("blur", blur(s)) for s in (2.0, 3.0, 4.0)},
    **{f"pen, {ink}": ("pen", pen(ink)) for ink in INKS},
    "fold": ("fold", fold),
    **{f"bubble, {rim} rim": ("bubble", bubble(rim)) for rim in ("dark", "clear")},
    "hole (glass)": ("glass", hole),
}


# ---- slides -------------------------------------------------------------------------------


def as_they_are(folder: Path) -> Iterator[tuple[str, str, Callable[[], Slide]]]:
    """(name, group, how to open it)."""
    slides = folder / "slides"
    cmu, core = slides / "CMU-1-Small-Region.svs", slides / "tma_core.ome.tif"
    yield cmu.stem, "tuning", lambda: past.open_slide(cmu)
    yield (
        "her2st C5",
        "reporting",
        lambda: past.open_slide(slides / "her2st_C5_pyramid.tif", mpp=HER2ST_MPP),
    )
    yield "tma_core", "reporting", lambda: past.open_slide(core)
    for path in sorted((folder / "monuseg_train").glob("*.tif")):
        group = "tuning" if path.name.startswith(TUNED_TILES) else "reporting"
        yield f"MoNuSeg {path.name[:12]}", group, lambda path=path: picture(path, 0.25)
    for path in sorted((folder / "crc_nuclei").glob("*.png")):
        yield f"CRC {path.stem}", "reporting", lambda path=path: picture(path, 0.5)


def picture(path: Path, mpp: float) -> Slide:
    return slide_of_array(np.asarray(Image.open(path).convert("RGB")), mpp)


def canvases(folder: Path) -> Iterator[tuple[str, str, Rgb]]:
    """(name, group, pixels at PAINTED_MPP) to paint on."""
    for name, group, opened in as_they_are(folder):
        if name.startswith(("CMU", "tma")):
            yield name, group, pixels_of(opened())
    with past.open_slide(folder / "slides" / "her2st_C5_pyramid.tif", mpp=HER2ST_MPP) as slide:
        tissue = slide.tissue_mask()
        rows, columns = np.nonzero(tissue.mask)
        for share in (0.25, 0.5, 0.75):
            i = int(share * len(rows))
            x_um, y_um = (columns[i] + 0.5) * tissue.mpp, (rows[i] + 0.5) * tissue.mpp
            rgb = slide.read_region(
                x_um - CROP_UM / 2, y_um - CROP_UM / 2, CROP_UM, CROP_UM, PAINTED_MPP
            )
            yield f"her2st C5, crop at {100 * share:.0f} %", "reporting", rgb
    for seed in (0, 1, 10, 11):
        group = "tuning" if seed < 5 else "reporting"
        yield f"phantom {seed}", group, draw_phantom(2048, 1536, PAINTED_MPP, seed).rgb


def pixels_of(slide: Slide) -> Rgb:
    width_um, height_um = slide.size_um
    return slide.read_grid(
        0, 0, int(width_um / PAINTED_MPP), int(height_um / PAINTED_MPP), PAINTED_MPP
    )


# ---- measures -----------------------------------------------------------------------------


def loss(name: str, group: str, opened: Callable[[], Slide]) -> tuple[Loss, QualityMask]:
    times = []
    for _ in range(2):
        slide = opened()
        start = time.process_time()
        mask = find_unscored(slide)
        times.append(time.process_time() - start)
    tissue = slide.tissue_mask()
    area = {k: a for k, a in mask.area_mm2().items() if k != "glass"}
    cells = past.find_cells(slide)
    kinds = mask.kind_at(cells.centers_um)
    return Loss(
        name, group, round(tissue.area_mm2, 4), len(cells),
        {k: round(a / tissue.area_mm2, 5) for k, a in area.items()},
        round(float((kinds > 0).mean()) if len(cells) else 0.0, 5),
        round(min(times), 3), round(slide.size_um[0] * slide.size_um[1] / 1e6, 3),
    ), mask  # fmt: skip


def painted(rgb: Rgb, painter: Painter, seed: int) -> tuple[Rgb, Mask]:
    """A picture with one artefact, centred on tissue, and where it is."""
    slide = slide_of_array(rgb, PAINTED_MPP)
    rng = np.random.default_rng(seed)
    tissue = slide.tissue_mask()
    rows, columns = np.nonzero(ndimage.binary_erosion(tissue.mask, iterations=6))
    i = int(rng.integers(len(rows)))
    centre = ((columns[i] + 0.5) * tissue.mpp, (rows[i] + 0.5) * tissue.mpp)
    glass = np.asarray(slide.background, np.float32)
    light, truth = painter(rgb.astype(np.float32), rng, centre, glass)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8), truth


def on_grid(truth: Mask, mask: QualityMask) -> Mask:
    """Mask pixels more than half of which an artefact covers."""
    px = round(mask.mpp / PAINTED_MPP)
    height, width = mask.labels.shape
    whole = np.zeros((height * px, width * px), np.float32)
    whole[: truth.shape[0], : truth.shape[1]] = truth[: height * px, : width * px]
    return whole.reshape(height, px, width, px).mean(axis=(1, 3)) > 0.5


def found(name: str, group: str, rgb: Rgb) -> Iterator[Found]:
    slide = slide_of_array(rgb, PAINTED_MPP)
    tissue, before = slide.tissue_mask(), find_unscored(slide)
    for artefact, (kind, painter) in ARTEFACTS.items():
        for seed in range(DRAWS):
            picture_, truth_px = painted(rgb, painter, seed)
            mask = find_unscored(slide_of_array(picture_, PAINTED_MPP))
            truth = on_grid(truth_px, mask)
            if kind != "pen":
                truth &= tissue.mask
            if not truth.any():
                continue
            label = UNSCORED_KINDS.index(kind) + 1
            near = ndimage.binary_dilation(truth, iterations=3)
            more = (mask.labels > 1) & (before.labels == 0) & ~near
            yield Found(
                name, group, artefact,
                round(float((mask.labels[truth] == label).mean()), 4),
                round(float((mask.labels[truth] > 0).mean()), 4),
                round(float(more.sum()) * mask.mpp**2 / 1e6, 5),
            )  # fmt: skip


# ---- tables -------------------------------------------------------------------------------


def loss_table(losses: list[Loss]) -> list[str]:
    kinds = [k for k in UNSCORED_KINDS if k not in ("glass", "other")]
    lines = [
        f"| slide as it is | group | tissue, mm² | cells | {' | '.join(kinds)} | cells lost |",
        "|---|---|---|---|" + "---|" * (len(kinds) + 1),
    ]
    for x in losses:
        shares = " | ".join(f"{100 * x.tissue_lost[k]:.2f} %" for k in kinds)
        lines.append(
            f"| {x.slide} | {x.group} | {x.tissue_mm2:.2f} | {x.cells} | {shares} | "
            f"{100 * x.cells_lost:.2f} % |"
        )
    for group in ("tuning", "reporting"):
        part = [x for x in losses if x.group == group]
        tissue, cells = sum(x.tissue_mm2 for x in part), sum(x.cells for x in part)
        shares = " | ".join(
            f"{100 * sum(x.tissue_lost[k] * x.tissue_mm2 for x in part) / tissue:.2f} %"
            for k in kinds
        )
        lost = sum(x.cells_lost * x.cells for x in part) / cells
        lines.append(
            f"| **all** | {group} | {tissue:.2f} | {cells} | {shares} | {100 * lost:.2f} % |"
        )
    return lines


def found_table(results: list[Found]) -> list[str]:
    lines = [
        "| painted artefact | group | draws | area of the right kind | area not scored | "
        "found at all (over half) | lost beyond it, mm² |",
        "|---|---|---|---|---|---|---|",
    ]
    for artefact in ARTEFACTS:
        for group in ("tuning", "reporting"):
            part = [x for x in results if (x.artefact, x.group) == (artefact, group)]
            half = sum(x.unscored > 0.5 for x in part)
            lines.append(
                f"| {artefact} | {group} | {len(part)} | "
                f"{100 * np.mean([x.right_kind for x in part]):.0f} % | "
                f"{100 * np.mean([x.unscored for x in part]):.0f} % | {half} of {len(part)} | "
                f"{np.mean([x.more_mm2 for x in part]):.4f} |"
            )
    return lines


def speed_line(losses: list[Loss]) -> str:
    whole = [x for x in losses if x.slide_mm2 > 0.4]
    parts = ", ".join(
        f"{x.slide} {10 * x.seconds / x.slide_mm2:.2f} s ({10 * x.seconds / x.tissue_mm2:.2f} s)"
        for x in whole
    )
    return f"Seconds for 10 mm² of slide (of tissue), one core, tissue mask included: {parts}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--out", type=Path, help="write the tables as Markdown there")
    parser.add_argument("--overlays", type=Path, help="write pictures to look at there")
    options = parser.parse_args()
    losses = []
    for name, group, opened in as_they_are(options.folder):
        result, mask = loss(name, group, opened)
        losses.append(result)
        if options.overlays:
            save_overlay(opened(), mask, options.overlays / f"{name}.png")
    results = [x for canvas in canvases(options.folder) for x in found(*canvas)]
    text = "\n".join([*loss_table(losses), "", *found_table(results), "", speed_line(losses), ""])
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if options.json:
        rows = {"losses": [asdict(x) for x in losses], "painted": [asdict(x) for x in results]}
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


COLOURS = np.array(
    [
        (0, 0, 0),
        (255, 255, 0),
        (0, 200, 255),
        (0, 0, 255),
        (255, 0, 0),
        (255, 128, 0),
        (255, 0, 255),
    ]
)


def save_overlay(slide: Slide, mask: QualityMask, path: Path) -> None:
    """The slide at 2 µm/px with what is not scored in colour; glass is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    px = round(mask.mpp / 2)
    height, width = mask.labels.shape
    rgb = slide.read_grid(0, 0, width * px, height * px, 2.0)
    labels = np.kron(mask.labels, np.ones((px, px), np.uint8))
    blend = 0.5 * (labels > 1)[..., None]
    Image.fromarray((rgb * (1 - blend) + COLOURS[labels] * blend).astype(np.uint8)).save(path)


if __name__ == "__main__":
    main()
