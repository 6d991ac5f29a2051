"""Two genes in one colour, seen by eyes of all kinds."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.genes import Resolved
from napari_past.plugin.bivariate import BOTH, FIRST, NEITHER, SECOND, SIDE, bivariate_table
from napari_past.plugin.legend import Legend
from napari_past.plugin.staining import Channel, Staining

EYES = ("normal", "protanopia", "deuteranopia", "tritanopia")


@pytest.mark.parametrize("eyes", EYES)
def test_corners_stay_apart(seen, eyes: str) -> None:
    corners = seen(bivariate_table(), eyes)[[0, 0, -1, -1], [0, -1, 0, -1]]
    distance = np.linalg.norm(corners[:, None] - corners[None], axis=2)
    # about 2.3 is just noticeable between neighbouring patches; points are small and scattered
    assert distance[~np.eye(4, dtype=bool)].min() > 40


def test_simulation_knows_what_such_eyes_confuse(seen) -> None:
    red_and_green = np.array([[(0.80, 0.35, 0.25), (0.50, 0.55, 0.20)]])
    normal, deutan = (seen(red_and_green, eyes)[0] for eyes in ("normal", "deuteranopia"))
    assert np.linalg.norm(normal[0] - normal[1]) > 40
    assert np.linalg.norm(deutan[0] - deutan[1]) < 20


@pytest.mark.parametrize("eyes", EYES)
def test_more_of_either_gene_is_darker(seen, eyes: str) -> None:
    lightness = seen(bivariate_table(), eyes)[..., 0]
    assert np.diff(lightness, axis=0).max() < 0
    assert np.diff(lightness, axis=1).max() < 0
    assert lightness[0, 0] > 90
    assert lightness[-1, -1] < 15


def test_corners_and_even_steps(seen) -> None:
    table = bivariate_table()
    assert table.shape == (SIDE, SIDE, 4)
    assert table.dtype == np.float32
    assert (table[..., 3] == 1).all()
    corners = table[[0, -1, 0, -1], [0, 0, -1, -1], :3]
    npt.assert_allclose(corners, [NEITHER, FIRST, SECOND, BOTH], atol=1e-3)
    lab = seen(table, "normal")
    for line in (lab[:, 0], lab[:, -1], lab[0], lab[-1]):
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        assert steps.max() < 1.2 * steps.min()


def test_two_genes_are_coloured_and_explained(qtbot) -> None:
    def channel(name: str, values: list[float]) -> Channel:
        resolved = Resolved(name, name, (name,), None, "")
        return Channel(resolved, np.array(values, np.float32), (0.0, 2.0))

    first = channel("ERBB2", [0, 2, 0, 2, np.nan, 1, -9])
    second = channel("KRT19", [0, 0, 2, 2, 1, np.nan, 9])
    shown = Staining(first, second, "log1p(counts per 10k)", None, False, "viridis")
    colours = shown.colours(np.arange(7))
    npt.assert_allclose(colours[:4, :3], [NEITHER, FIRST, SECOND, BOTH], atol=1e-3)
    npt.assert_array_equal(colours[:, 3], [1, 1, 1, 1, 0, 0, 1])
    npt.assert_array_equal(colours[6], colours[2])  # beyond the limits: the ends

    legend = Legend()
    qtbot.addWidget(legend)
    legend.resize(360, 100)
    legend.set_staining(shown)
    assert legend.text() == "ERBB2 0.00 to 2.00 and KRT19 0.00 to 2.00 log1p(counts per 10k)"
    picture = legend.grab().toImage()
    corners = [picture.pixelColor(x, y).getRgbF()[:3] for y in (70, 3) for x in (3, 70)]
    # the first gene upwards, the second to the right
    npt.assert_allclose(corners, [NEITHER, SECOND, FIRST, BOTH], atol=0.1)
