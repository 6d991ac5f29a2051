"""How fast regions of a slide are read, beside tifffile and zarr, dask, OpenSlide and tiffslide.

    python benchmarks/read.py SLIDE... [--mpp 0.25] [--places 40] [--cores 1] [--json F] [--out F]

Regions of 256², 1024 x 768 and 2048² px lie at random places on tissue, the same for every reader,
at the slide's own µm/px and at 0.5 µm/px. In every round each reader reads the same region once;
"ours / theirs" is the median over rounds of our time (`Slide.read_region`) by theirs: below 1 we
are faster. A reader that has no level of the wanted µm/px reads the next finer one and shrinks it
with Pillow, as its users do. Where output pixels coincide with a level's, all must be the same as
tifffile's. All readers have the same cores (Linux). Peers that are not installed are told:
`pip install tiffslide openslide-python openslide-bin`.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import dask
import numpy as np
import numpy.typing as npt
import zarr
from common import (
    add_outputs,
    in_turns,
    limit_cores,
    machine_line,
    ratio,
    report,
    table,
    told,
    versions_line,
)
from PIL import Image
from tifffile import TiffFile

import napari_past as past

SIZES_PX = ((256, 256), (1024, 768), (2048, 2048))
COMMON_MPP = 0.5
OURS = "napari-past read_region"
PLAIN = "tifffile + zarr"
RESAMPLED = "resampled, not compared"
LIBRARIES = ("tifffile", "imagecodecs", "zarr", "dask", "openslide-python", "tiffslide")
LEVEL_TOLERANCE = 1.01
"""A level up to 1 % coarser than wanted is read by all: vendors round their µm/px."""

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Request:
    """A region on the grid of `mpp` µm/px, in px of that grid."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int
    mpp: float


@dataclass(frozen=True)
class Row:
    """What one reader did with one kind of region."""

    slide: str
    region_px: str
    mpp: float
    reader: str
    ms: float | None
    """Median over places; None where there is no result."""
    ours_by_theirs: float | None
    pixels: str
    """How its pixels differ from tifffile's, or why there is no result."""
    seconds: Sequence[float] = ()


@dataclass(frozen=True)
class Peer:
    """A reader of levels: `read` takes level, x, y, width and height in px of that level."""

    levels_px: Sequence[tuple[int, int]]
    """(width, height) of each level, fine to coarse."""
    read: Callable[[int, int, int, int, int], Rgb]

    def region(self, request: Request, mpp0: float) -> Rgb:
        """The region, shrunk or stretched with Pillow where no level has its µm/px."""
        width0_px = self.levels_px[0][0]
        mpps = [mpp0 * width0_px / width_px for width_px, _ in self.levels_px]
        fine = [k for k, mpp in enumerate(mpps) if mpp <= request.mpp * LEVEL_TOLERANCE]
        level = max(fine, default=0)
        step = request.mpp / mpps[level]
        x, y = request.x_px * step, request.y_px * step
        width, height = request.width_px * step, request.height_px * step
        if abs(step - 1) < 1e-6:
            return self.read(level, request.x_px, request.y_px, request.width_px, request.height_px)
        x0, y0 = math.floor(x), math.floor(y)
        x1, y1 = math.ceil(x + width), math.ceil(y + height)
        window = Image.fromarray(self.read(level, x0, y0, x1 - x0, y1 - y0))
        box = (x - x0, y - y0, x - x0 + width, y - y0 + height)
        size = (request.width_px, request.height_px)
        return np.asarray(window.resize(size, Image.Resampling.BILINEAR, box=box))


def plain(path: str, slide: past.Slide) -> Peer:
    """tifffile and zarr without anything of ours."""
    tif = TiffFile(path)
    wanted = (slide.levels[0].height_px, slide.levels[0].width_px, 3)
    series = next(s for s in tif.series if s.shape == wanted)
    arrays = [zarr.open_array(lv.aszarr(level=0), mode="r") for lv in series.levels]

    def read(level: int, x: int, y: int, width: int, height: int) -> Rgb:
        return np.asarray(arrays[level][y : y + height, x : x + width])

    return Peer([(a.shape[1], a.shape[0]) for a in arrays], read)


def through_dask(path: str, slide: past.Slide) -> Peer:
    """The lazy arrays that napari and users get."""
    arrays = slide.level_arrays

    def read(level: int, x: int, y: int, width: int, height: int) -> Rgb:
        return arrays[level][y : y + height, x : x + width].compute()

    return Peer([(a.shape[1], a.shape[0]) for a in arrays], read)


def through_openslide(path: str, slide: past.Slide) -> Peer:
    import openslide

    opened = openslide.OpenSlide(path)

    def read(level: int, x: int, y: int, width: int, height: int) -> Rgb:
        downsample = opened.level_downsamples[level]
        place = (round(x * downsample), round(y * downsample))
        return np.asarray(opened.read_region(place, level, (width, height)).convert("RGB"))

    return Peer(opened.level_dimensions, read)


def through_tiffslide(path: str, slide: past.Slide) -> Peer:
    import tiffslide

    opened = tiffslide.TiffSlide(path)

    def read(level: int, x: int, y: int, width: int, height: int) -> Rgb:
        downsample = opened.level_downsamples[level]
        place = (round(x * downsample), round(y * downsample))
        return opened.read_region(place, level, (width, height), as_array=True)

    return Peer(opened.level_dimensions, read)


PEERS = {
    PLAIN: plain,
    "dask (Slide.level_arrays)": through_dask,
    "OpenSlide": through_openslide,
    "tiffslide": through_tiffslide,
}


def requests(slide: past.Slide, size_px: tuple[int, int], mpp: float, count: int) -> list[Request]:
    """Regions around random places on tissue, the same for the same slide.

    Each kind has places of its own: OpenSlide keeps the tiles that it decoded last.
    """
    tissue = slide.tissue_mask()
    rows, columns = np.nonzero(tissue.mask)
    if len(rows) == 0:
        raise SystemExit(f"{slide.name} has no tissue that is found; give another slide.")
    width_px, height_px = size_px
    last_x, last_y = (int(s / mpp) - p for s, p in zip(slide.size_um, size_px, strict=True))
    if min(last_x, last_y) < 0:
        return []
    seed = (*size_px, round(mpp * 1e6))
    chosen = np.random.default_rng(seed).integers(0, len(rows), count)
    x = (columns[chosen] + 0.5) * tissue.mpp / mpp - width_px / 2
    y = (rows[chosen] + 0.5) * tissue.mpp / mpp - height_px / 2
    x, y = x.clip(0, last_x).astype(int), y.clip(0, last_y).astype(int)
    return [Request(*place, *size_px, mpp) for place in zip(x.tolist(), y.tolist(), strict=True)]


def measured(path: str, given_mpp: float | None, places: int) -> list[Row]:
    slide = past.open_slide(path, given_mpp)
    mpp0 = slide.require_mpp()
    peers: dict[str, Peer] = {}
    absent: dict[str, str] = {}
    for name, opened in PEERS.items():
        try:
            peers[name] = opened(path, slide)
        except ImportError:
            absent[name] = "not installed"
        except Exception as exc:  # each library has its own errors, all mean the same here
            absent[name] = f"cannot open it ({type(exc).__name__})"
    rows = []
    for size_px in SIZES_PX:
        for mpp in dict.fromkeys((mpp0, COMMON_MPP)):
            rows += _measured(slide, peers, absent, requests(slide, size_px, mpp, places + 1))
    slide.close()
    return rows


def _measured(
    slide: past.Slide, peers: dict[str, Peer], absent: dict[str, str], places: list[Request]
) -> list[Row]:
    if not places:
        return []
    mpp0, first = slide.require_mpp(), places[0]
    pixels: dict[str, dict[int, Rgb]] = {}

    def keeping(name: str, read: Callable[[Request], Rgb]) -> Callable[[int], None]:
        pixels[name] = {}

        def work(k: int) -> None:
            pixels[name] = {k: read(places[k])}  # one region at a time: others must not pile up

        return work

    def ours(r: Request) -> Rgb:
        return slide.read_region(
            r.x_px * r.mpp, r.y_px * r.mpp, r.width_px * r.mpp, r.height_px * r.mpp, r.mpp
        )

    def on_grid(r: Request) -> Rgb:
        return slide.read_grid(r.x_px, r.y_px, r.width_px, r.height_px, r.mpp)

    readers = {OURS: ours, "napari-past read_grid": on_grid}
    for name, peer in peers.items():
        readers[name] = lambda r, peer=peer: peer.region(r, mpp0)
    works = {name: keeping(name, read) for name, read in readers.items()}
    seconds = in_turns(works, len(places) - 1)
    region = f"{first.width_px} x {first.height_px}"
    coincide = any(
        abs(mpp0 * (lv.downsample_x + lv.downsample_y) / 2 / first.mpp - 1) < 1e-6
        for lv in slide.levels
    )
    rows = []
    for name, read in readers.items():
        told = _difference(read, peers, places[:5], mpp0) if coincide else RESAMPLED
        rows.append(
            Row(
                slide.name, region, round(first.mpp, 4), name,
                statistics.median(seconds[name]) * 1e3,
                ratio(seconds[OURS], seconds[name]), told, seconds[name],
            )
        )  # fmt: skip
    return rows + [
        Row(slide.name, region, round(first.mpp, 4), name, None, None, why)
        for name, why in absent.items()
    ]


def _difference(
    read: Callable[[Request], Rgb], peers: dict[str, Peer], places: list[Request], mpp0: float
) -> str:
    """How far pixels are from tifffile's, over some places."""
    if PLAIN not in peers:
        return "nothing to compare with"
    largest, total = 0, 0.0
    for place in places:
        theirs = peers[PLAIN].region(place, mpp0).astype(np.int16)
        difference = np.abs(read(place).astype(np.int16) - theirs)
        largest, total = max(largest, int(difference.max())), total + float(difference.mean())
    if largest == 0:
        return "equal"
    return f"differ by up to {largest}, {total / len(places):.2g} on average"


def speed_table(rows: Sequence[Row]) -> list[str]:
    """A line for each kind of region, a column for each reader: ms (ours / theirs)."""
    readers = list(dict.fromkeys(r.reader for r in rows))
    lines = []
    for kind in dict.fromkeys((r.slide, r.region_px, r.mpp) for r in rows):
        cells = {
            r.reader: "–" if r.ms is None else f"{r.ms:.1f} ({r.ours_by_theirs:.2f})"
            for r in rows
            if (r.slide, r.region_px, r.mpp) == kind
        }
        lines.append((*kind, *(cells.get(reader, "–") for reader in readers)))
    head = [
        "slide",
        "region, px",
        "µm/px",
        *(f"{reader}: ms (ours / theirs)" for reader in readers),
    ]
    return table(head, lines)


def pixel_lines(rows: Sequence[Row]) -> list[str]:
    """What was seen of the pixels of each reader, and why a reader has no times."""
    lines = []
    for slide in dict.fromkeys(r.slide for r in rows):
        readers_by_told: dict[str, list[str]] = {}
        for reader in dict.fromkeys(r.reader for r in rows):
            told = {r.pixels for r in rows if (r.slide, r.reader) == (slide, reader)}
            text = "; ".join(sorted(told - {RESAMPLED}) or [RESAMPLED])
            readers_by_told.setdefault(text, []).append(reader)
        lines += [f"- {slide}: {told}: {', '.join(who)}" for told, who in readers_by_told.items()]
    return ["Pixels against those of tifffile, where they coincide with a level's:", "", *lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", nargs="+")
    parser.add_argument("--mpp", type=float, help="µm/px of slides that state none")
    parser.add_argument("--places", type=int, default=40, help="regions of each kind")
    parser.add_argument("--cores", type=int, default=1, help="logical cores for every reader")
    add_outputs(parser)
    options = parser.parse_args()
    limit_cores(options.cores)
    dask.config.set(scheduler="threads", num_workers=options.cores)
    zarr.config.set({"threading.max_workers": options.cores})
    rows = [row for path in options.slides for row in measured(path, options.mpp, options.places)]
    lines = [*speed_table(rows), "", *pixel_lines(rows), ""]
    note = (
        f"{options.places} places of each kind, files in the system's cache. "
        f"{versions_line(LIBRARIES)}. {machine_line()}."
    )
    report(options, [*lines, note], {"rows": [asdict(r) for r in rows]})


if __name__ == "__main__":
    told(main)
