"""Does a cell's value depend on where the cell happens to lie on a dense encoder's grid?

    python benchmarks/grid_phase.py SLIDE... [--region X,Y,W,H in µm] [--model past-mini]

The same pixels are encoded again with the grid shifted by some pixels, and each cell is compared
with itself: mean cosine of the embeddings, and Pearson r of predicted genes over the cells. An
encoder without aliasing gives 1 throughout. Results of runs agree regardless, since the grid is
anchored to the slide.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

import napari_past as past
from napari_past.cells import StainLogDetector, cells_in, read_block
from napari_past.types import Rect

SHIFTS_PX = (1, 4, 8)
GENES = ("ERBB2", "KRT19", "COL1A1", "CD74", "PTPRC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", nargs="+")
    parser.add_argument("--region", default="512,512,256,256")
    parser.add_argument("--model", default="past-mini")
    options = parser.parse_args()
    model = past.load_model(options.model)
    encoder = model.card.encoder
    area = Rect(*(float(v) for v in options.region.split(",")))
    genes = [g for g in GENES if g in model.genes]
    rows = []
    for path in options.slides:
        slide = past.open_slide(path)
        centers_um = cells_in(slide, area, StainLogDetector().fitted(slide)).centers_um
        rgb, grid = read_block(slide, area, encoder.mpp, encoder.halo_px + 16)
        plain = model.tile_features(rgb, grid, centers_um)
        for shift in SHIFTS_PX:
            # The block loses its first rows and columns, and the cells move with the pixels.
            moved = model.tile_features(rgb[shift:, shift:], grid, centers_um - shift * encoder.mpp)
            norms = np.linalg.norm(plain, axis=1) * np.linalg.norm(moved, axis=1)
            before, after = model.expression(plain, genes), model.expression(moved, genes)
            r = [float(np.corrcoef(before[:, k], after[:, k])[0, 1]) for k in range(len(genes))]
            rows.append(
                {
                    "slide": slide.name,
                    "cells": len(centers_um),
                    "shift_px": shift,
                    "cosine": round(float(((plain * moved).sum(axis=1) / norms).mean()), 3),
                    "r": {g: round(v, 2) for g, v in zip(genes, r, strict=True)},
                }
            )
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
