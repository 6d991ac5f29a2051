"""A slide of any size out of small pieces of real tissue, to measure with.

    python benchmarks/big_slide.py TISSUE... --out FILE.tif [--side-px 61440] [--mpp 0.25]
        [--tissue-share 0.4]

TISSUE are pictures (PNG, TIFF, JPEG) of `--mpp` µm/px, at least 256 px wide and high. Each one's
middle is continued by its mirror image, so that no seam shows, into an island with a ragged edge;
around the islands is clear glass. The file is a BigTIFF of JPEG tiles of 256 px, with levels by 2
down to 1024 px or less: an OME-TIFF (levels as SubIFDs) where the name ends with .ome.tif, else a
plain pyramid (levels one after another), which OpenSlide reads too. Tiles repeat, so each is
encoded once, and memory does not grow with the slide. Cells of such a slide repeat too: it is good
for speed and memory, for nothing else.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

TILE_PX = 256
LARGEST_PIECE_PX = 1536
SMALLEST_LEVEL_PX = 1024
JPEG_QUALITY = 85
GLASS = (243, 242, 244)
EDGE_PX = 48
"""Width over which an island fades into glass, level-0 px."""
WAVES = ((3, 0.10, 0.7), (5, 0.05, 2.1), (11, 0.02, 4.0))
"""(per turn, amplitude, phase) of an island's edge, of its radius."""
LARGEST_SHARE = 0.5
LATTICE = 9
"""Places per side at which a tile is asked whether the edge of an island crosses it."""

Rgb = npt.NDArray[np.uint8]


def motif(path: Path) -> Rgb:
    """The middle of a picture with its mirror images, (2 P, 2 P, 3): it repeats without a seam."""
    with Image.open(path) as image:
        side = min(*image.size, LARGEST_PIECE_PX) // TILE_PX * TILE_PX
        if side == 0:
            sys.exit(f"{path} is {image.size[0]} x {image.size[1]} px; give at least 256 x 256 px.")
        left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
        piece = np.asarray(image.convert("RGB").crop((left, top, left + side, top + side)))
    wide = np.concatenate([piece, piece[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def halved(rgb: Rgb) -> Rgb:
    """Means of 2 x 2 px."""
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    sums = rgb.reshape(height, 2, width, 2, 3).sum(axis=(1, 3), dtype=np.uint16)
    return ((sums + 2) // 4).astype(np.uint8)


class Canvas:
    """The slide as a function of place: tissue on islands, one piece for each, and glass."""

    def __init__(self, motifs: list[Rgb], side_px: int, tissue_share: float) -> None:
        self.side_px = side_px
        self.levels = [motifs]
        while side_px >> (len(self.levels) - 1) > SMALLEST_LEVEL_PX:
            self.levels.append([halved(m) for m in self.levels[-1]])
        self.columns = math.ceil(math.sqrt(len(motifs)))
        self.rows = math.ceil(len(motifs) / self.columns)
        ripple = 1 + sum(a * a for _, a, _ in WAVES) / 2
        # An island fills an ellipse whose half axes are this share of those of its cell.
        self.radius = math.sqrt(tissue_share * 4 / (math.pi * ripple))

    def level_px(self, level: int) -> int:
        return self.side_px >> level

    def amount(self, x_px: npt.NDArray, y_px: npt.NDArray) -> npt.NDArray[np.float32]:
        """Tissue (1) or glass (0) at places (x) and (y) in level-0 px, (len(y), len(x))."""
        half_x, half_y = self.side_px / self.columns / 2, self.side_px / self.rows / 2
        u = ((x_px / half_x) % 2 - 1)[None, :]
        v = ((y_px / half_y) % 2 - 1)[:, None]
        angle = np.arctan2(v, u)
        edge = 1 + sum(a * np.cos(k * angle + phase) for k, a, phase in WAVES)
        inside = (self.radius * edge - np.hypot(u, v)) * min(half_x, half_y)
        return np.clip(inside / EDGE_PX + 0.5, 0, 1).astype(np.float32)

    def piece_at(self, x_px: npt.NDArray, y_px: npt.NDArray) -> npt.NDArray[np.intp]:
        """Which piece lies at places (x) and (y) in level-0 px, (len(y), len(x))."""
        column = np.minimum(x_px * self.columns // self.side_px, self.columns - 1).astype(int)
        row = np.minimum(y_px * self.rows // self.side_px, self.rows - 1).astype(int)
        return (row[:, None] * self.columns + column[None, :]) % len(self.levels[0])

    def tissue(self, level: int, piece: int, column: int, row: int) -> Rgb:
        """A tile of nothing but one piece."""
        source = self.levels[level][piece]
        y = (row * TILE_PX + np.arange(TILE_PX)) % source.shape[0]
        x = (column * TILE_PX + np.arange(TILE_PX)) % source.shape[1]
        return source[y[:, None], x[None]]

    def edge(self, level: int, column: int, row: int) -> Rgb:
        """A tile of tissue and glass, and of several pieces where a level is so coarse."""
        places = (np.arange(TILE_PX) + 0.5) * 2**level
        x_px, y_px = column * TILE_PX * 2**level + places, row * TILE_PX * 2**level + places
        pieces = self.piece_at(x_px, y_px)
        tissue = np.empty((TILE_PX, TILE_PX, 3), np.float32)
        for piece in np.unique(pieces):
            tissue[pieces == piece] = self.tissue(level, piece, column, row)[pieces == piece]
        amount = self.amount(x_px, y_px)[..., None]
        return np.round(amount * tissue + (1 - amount) * np.array(GLASS)).astype(np.uint8)

    def tiles(self, level: int) -> Iterator[bytes]:
        """The tiles of a level as JPEG streams, row by row."""
        count = math.ceil(self.level_px(level) / TILE_PX)
        # Tissue repeats after a motif's length, in whole tiles.
        periods = [math.lcm(m.shape[0], TILE_PX) // TILE_PX for m in self.levels[level]]
        glass = encoded(np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8))
        known: dict[tuple[int, int, int], bytes] = {}
        lattice_px = np.linspace(0, TILE_PX, LATTICE) * 2**level
        for row in range(count):
            for column in range(count):
                x_px = column * TILE_PX * 2**level + lattice_px
                y_px = row * TILE_PX * 2**level + lattice_px
                amount = self.amount(x_px, y_px)
                if amount.max() == 0:
                    yield glass
                elif amount.min() < 1:
                    yield encoded(self.edge(level, column, row))
                else:
                    piece = int(self.piece_at(x_px[:1], y_px[:1])[0, 0])
                    key = (piece, column % periods[piece], row % periods[piece])
                    if key not in known:
                        known[key] = encoded(self.tissue(level, *key))
                    yield known[key]


def encoded(tile: Rgb) -> bytes:
    return imagecodecs.jpeg8_encode(
        tile, level=JPEG_QUALITY, colorspace="rgb", outcolorspace="ycbcr", subsampling=(2, 2)
    )


def write(canvas: Canvas, path: Path, mpp: float) -> None:
    """The canvas as a file, first beside `path`."""
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    names = {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeXUnit": "µm"}
    names |= {"PhysicalSizeY": mpp, "PhysicalSizeYUnit": "µm"}
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with tifffile.TiffWriter(unfinished, ome=ome, bigtiff=True) as tif:
            for level in range(len(canvas.levels)):
                side_px, per_cm = canvas.level_px(level), 1e4 / (mpp * 2**level)
                tif.write(
                    canvas.tiles(level),
                    shape=(side_px, side_px, 3),
                    dtype=np.uint8,
                    tile=(TILE_PX, TILE_PX),
                    photometric="rgb",
                    compression="jpeg",
                    subsampling=(2, 2),
                    subifds=len(canvas.levels) - 1 if ome and level == 0 else None,
                    subfiletype=0 if level == 0 else 1,
                    metadata=names if ome and level == 0 else None,
                    resolution=(per_cm, per_cm),
                    resolutionunit="CENTIMETER",
                )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tissue", nargs="+", type=Path, help="pictures of tissue")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side-px", type=int, default=61440, help="width and height of level 0")
    parser.add_argument("--mpp", type=float, default=0.25, help="µm/px of the pictures")
    parser.add_argument("--tissue-share", type=float, default=0.4, help="of the slide's area")
    options = parser.parse_args()
    if not 0 < options.tissue_share <= LARGEST_SHARE:
        parser.error(f"--tissue-share is above 0 and at most {LARGEST_SHARE:g}")
    if not TILE_PX <= options.side_px <= SMALLEST_LEVEL_PX * TILE_PX:
        parser.error(f"--side-px is {TILE_PX} to {SMALLEST_LEVEL_PX * TILE_PX}")
    start = time.perf_counter()
    motifs = [motif(path) for path in options.tissue]
    canvas = Canvas(motifs, options.side_px, options.tissue_share)
    write(canvas, options.out, options.mpp)
    print(
        f"{options.out}: {options.side_px} x {options.side_px} px, {len(canvas.levels)} levels, "
        f"{options.mpp:g} µm/px, {options.out.stat().st_size / 1e6:.0f} MB, "
        f"{time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
