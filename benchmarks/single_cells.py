"""Does a model make sense of single cells? Marker sets against annotated types.

    python benchmarks/single_cells.py FOLDER [--model past-mini] [--out docs/single-cells.md]

FOLDER holds crc_nuclei/ with img*.png (about 0.5 µm/px) and img*.json ({type: [[x, y], …]}).
Prints, for each gene set, the area under the ROC curve of its mean predicted value for its own type
against the others, at the annotated centres. 0.5 is chance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import mannwhitneyu

import napari_past as past
from napari_past.cells import read_block
from napari_past.slide import slide_of_array
from napari_past.types import Rect

MPP = 0.5
SETS = {
    "epithelial": ("EPCAM", "KRT8", "KRT18", "KRT19"),
    "inflammatory": ("PTPRC", "CD74", "CD3E", "CXCR4"),
    "fibroblast": ("COL1A1", "COL1A2", "COL3A1", "DCN"),
}


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive has the higher value."""
    u = mannwhitneyu(values[positive], values[~positive]).statistic
    return float(u / (positive.sum() * (~positive).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="past-mini")
    parser.add_argument("--out", type=Path, help="write the table as Markdown")
    options = parser.parse_args()
    model = past.load_model(options.model)
    embeddings, types = [], []
    for file in sorted((options.folder / "crc_nuclei").glob("img*.json")):
        slide = slide_of_array(np.asarray(Image.open(file.with_suffix(".png")).convert("RGB")), MPP)
        width_um, height_um = slide.size_um
        encoder = model.card.encoder
        rgb, grid = read_block(slide, Rect(0, 0, width_um, height_um), encoder.mpp, encoder.halo_px)
        for kind, points in json.loads(file.read_text()).items():
            if kind in SETS and points:
                centers_um = (np.asarray(points, float) + 0.5) * MPP
                embeddings.append(model.encode_tile(rgb, grid, centers_um))
                types += [kind] * len(points)
    vectors, kinds = np.concatenate(embeddings), np.array(types)
    result = {}
    for kind, genes in SETS.items():
        known = [g for g in genes if g in model.genes]
        result[kind] = round(auc(model.expression(vectors, known).mean(axis=1), kinds == kind), 3)
    counts = {kind: int((kinds == kind).sum()) for kind in SETS}
    print(json.dumps({"model": model.name, "nuclei": counts, "auc": result}, indent=1))
    if options.out:
        rows = [
            f"| {kind} | {', '.join(SETS[kind])} | {counts[kind]} | {result[kind]:.2f} |"
            for kind in SETS
        ]
        head = ["| nuclei | mean of predicted | n | AUC against the others |", "|---|---|---|---|"]
        options.out.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
