"""What a model that looks around its cells is best shown around a patch of the HEST-Benchmark.

    OMP_NUM_THREADS=1 python benchmarks/hest_border.py FOLDER --section C3 [--spots N] [--json FILE]
        [--out FILE]

FOLDER is what benchmarks/hest_folder.py wrote; the section lies in $NAPARI_PAST_DATA/her2st. A
patch ends where the spot's square does, and past-mini looks further. At the same nuclei the true
surroundings are compared with four stand-ins: the patch mirrored, its border drawn out, clear
glass, and nothing (the network's own zeros). No measured expression is looked at.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import add_outputs, report, told
from hest_folder import MPP as PATCH_MPP
from hest_folder import PATCH_PX, SLIDE_MPP, TASK

from napari_past.errors import PastError
from napari_past.model import load_model
from napari_past.slide import Slide
from napari_past.spatial.picture import open_picture
from napari_past.spatial.st import read_st
from napari_past.types import PixelGrid, Rgb
from napari_past.validation.metrics import pearson, rmse
from past_training.benchmark.cell_means import centres_um, fitted_detector
from past_training.benchmark.recipe import load_hest_recipe
from past_training.benchmark.task import read_task
from past_training.benchmark.whole_patch import sized

TRUE = "true surroundings"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--section", default="C3")
    parser.add_argument("--spots", type=int, default=90, help="evenly spread (default 90)")
    add_outputs(parser)
    options = parser.parse_args()
    data = os.environ.get("NAPARI_PAST_DATA")
    if not data:
        raise PastError("NAPARI_PAST_DATA does not name the folder with her2st/; set it.")
    model = load_model("past-mini")
    task = read_task(options.folder, TASK, load_hest_recipe().data)
    sample = task.samples[options.section]
    section = read_st(Path(data) / "her2st", options.section, mpp=SLIDE_MPP, species="human")
    genes = model.card.genes
    detector = fitted_detector(sample, PATCH_MPP)
    halo, mpp = model.card.encoder.halo_px, model.card.encoder.mpp
    vectors: dict[str, list[npt.NDArray[np.float32]]] = {}
    values: dict[str, list[npt.NDArray[np.float32]]] = {}
    chosen = np.unique(np.linspace(0, sample.n - 1, options.spots).round().astype(int))
    with open_picture(section.image, SLIDE_MPP) as slide:
        for index, patch in zip(chosen, sample.some(chosen), strict=True):
            cells_um = centres_um(patch, PATCH_MPP, detector)
            blocks = _blocks(slide, section.centers_um[index], patch, halo, mpp)
            for name, (block, margin) in blocks.items():
                grid = PixelGrid(-margin * mpp, -margin * mpp, mpp)
                found = model.tile_features(block, grid, cells_um)
                vectors.setdefault(name, []).append(found.mean(0))
                values.setdefault(name, []).append(model.expression(found, genes).mean(0))
    lines = [
        "| around the patch | r of vectors | r of genes | RMSE of genes |",
        "|---|---|---|---|",
    ]
    numbers = {}
    for name in vectors:
        of_vectors = pearson(np.stack(vectors[name]), np.stack(vectors[TRUE]))
        pair = np.stack(values[name]), np.stack(values[TRUE])
        numbers[name] = {
            "vectors_r": float(np.nanmean(of_vectors)),
            "genes_r": float(np.nanmean(pearson(*pair))),
            "genes_rmse": float(rmse(*pair).mean()),
        }
        lines.append(f"| {name} | {' | '.join(f'{v:.3f}' for v in numbers[name].values())} |")
    lines += ["", f"{len(chosen)} spots of {options.section}, {len(genes)} genes."]
    report(options, lines, numbers)


def _blocks(
    slide: Slide, centre_um: npt.NDArray[np.float64], patch: Rgb, halo: int, mpp: float
) -> dict[str, tuple[Rgb, int]]:
    """What is shown, and how many pixels of it lie around the patch."""
    side_um = PATCH_PX * PATCH_MPP
    shown = sized(patch[None], round(side_um / mpp))[0]
    around = ((halo, halo), (halo, halo), (0, 0))
    x_um, y_um = centre_um - side_um / 2 - halo * mpp
    width_um = side_um + 2 * halo * mpp
    return {
        TRUE: (slide.read_region(x_um, y_um, width_um, width_um, mpp), halo),
        "mirrored": (np.pad(shown, around, mode="symmetric"), halo),
        "border drawn out": (np.pad(shown, around, mode="edge"), halo),
        "clear glass": (np.pad(shown, around, constant_values=235), halo),
        "nothing": (shown, 0),
    }


if __name__ == "__main__":
    told(main)
