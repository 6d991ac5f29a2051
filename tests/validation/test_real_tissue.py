"""A baseline on real tissue, in its place and out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_past.slide import open_slide
from napari_past.spatial.st import read_st
from napari_past.validation.colour_ridge import ColourRidge
from napari_past.validation.protocol import validate
from napari_past.validation.result import mean_r
from napari_past.validation.tissue import tissue_of


def test_colour_tells_of_genes_where_spots_lie_in_their_place(data_dir):
    """Breast cancer, one section: held-out strips, and the same with the spots mirrored."""
    section = read_st(data_dir / "her2st", "C5", "C", 0.69)
    abundant = np.argsort(-section.counts.sum(axis=0))[:300]
    genes = tuple(section.genes[i] for i in abundant)
    section = replace(section, counts=section.counts[:, abundant], genes=genes)
    x_um = section.centers_um[:, 0]
    mirrored = section.centers_um.copy()
    mirrored[:, 0] = x_um.min() + x_um.max() - x_um
    means = []
    with open_slide(data_dir / "slides" / "her2st_C5_pyramid.tif") as slide:
        for places in (section.centers_um, mirrored):
            tissue = tissue_of(replace(section, centers_um=places), slide, slide.fingerprint)
            found = validate([tissue], ColourRidge(), baselines=[])
            means.append(mean_r(found.main.figures, found.variable))
    right, wrong = means
    assert right > 0.15
    assert right > wrong + 0.05
    assert np.isfinite(found.main.figures.r[found.variable]).all()
