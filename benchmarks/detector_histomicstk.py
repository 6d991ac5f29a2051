"""Nuclei by HistomicsTK, for benchmarks/detector.py, which runs this in HistomicsTK's environment.

    PYTHON benchmarks/detector_histomicstk.py PICTURES.npz SETTINGS.json > CENTRES.json

PICTURES.npz holds uint8 pictures of 0.25 µm/px by name; SETTINGS.json a list of settings. The
answer is a list, for each setting ``{name: [seconds, [[x, y], …]]}``, least seconds of `repeats`
runs and centres in pixels from the picture's corner. The steps and the default values are those of
its NucleiDetection (``detect_tile_nuclei``), which ends with outlines where this ends with
centroids.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import histomicstk.preprocessing.color_deconvolution as deconvolution
import histomicstk.preprocessing.color_normalization as normalization
import histomicstk.segmentation.nuclear as nuclear
import numpy as np
from scipy import ndimage

REFERENCE_MU = (8.63234435, -0.11501964, 0.03868433)
REFERENCE_SIGMA = (0.57506023, 0.10403329, 0.01364062)
WHITE = np.array([245.0, 245.0, 245.0])


def centers(rgb: np.ndarray, setting: dict[str, Any]) -> np.ndarray:
    """(n, 2) centres of nuclei, (x, y) in pixels from the picture's corner."""
    if setting["stains"] == "macenko":
        vectors = deconvolution.rgb_separate_stains_macenko_pca(rgb, WHITE)
        index = deconvolution.find_stain_index(
            deconvolution.stain_color_map["hematoxylin"], vectors
        )
        stains = deconvolution.color_deconvolution(rgb, vectors, WHITE).Stains
    else:
        names = ("hematoxylin", "eosin", "null")
        vectors = np.array([deconvolution.stain_color_map[n] for n in names]).T
        index = 0
        normal = normalization.reinhard(rgb, REFERENCE_MU, REFERENCE_SIGMA)
        stains = deconvolution.color_deconvolution(normal, vectors).Stains
    stain = stains[:, :, index].astype(float)
    labels = nuclear.detect_nuclei_kofahi(
        stain,
        stain < setting["foreground"],
        setting["min_radius"],
        setting["max_radius"],
        setting["min_area"],
        setting["search_radius"],
    ).astype(int)
    present = np.flatnonzero(np.bincount(labels.ravel()))[1:]
    if len(present) == 0:
        return np.zeros((0, 2))
    found = np.array(ndimage.center_of_mass(labels > 0, labels, present))
    return found[:, ::-1] + 0.5


def timed(rgb: np.ndarray, setting: dict[str, Any]) -> tuple[float, list[list[float]]]:
    seconds = []
    for _ in range(setting["repeats"]):
        start = time.perf_counter()
        found = centers(rgb, setting)
        seconds.append(time.perf_counter() - start)
    return min(seconds), found.tolist()


def main() -> None:
    warnings.simplefilter("ignore")
    pictures = np.load(sys.argv[1])
    settings = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    answer = [{name: timed(pictures[name], s) for name in pictures.files} for s in settings]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
