import numpy as np
import pytest

from napari_past.stain import density_map
from napari_past.types import Rect


def test_one_cell_is_a_gaussian_around_it():
    found = density_map([[1000.0, 400.0]], sigma_um=50.0)
    assert found.grid.mpp == 12.5
    row, column = np.unravel_index(found.per_mm2.argmax(), found.per_mm2.shape)
    (x, y) = found.grid.to_um(np.array([[row, column]]))[0]
    assert abs(x - 1000) < 12.5
    assert abs(y - 400) < 12.5
    # 1 / (2 π σ²) cells per µm² at the top; all of the cell under the whole.
    assert found.per_mm2.max() == pytest.approx(1e6 / (2 * np.pi * 50**2), rel=0.03)
    assert found.per_mm2.sum() * 12.5**2 / 1e6 == pytest.approx(1.0, rel=1e-3)
    assert found.kernel == "Gaussian kernel, σ 50 µm, on squares of 12.5 µm"


def test_even_tissue_has_its_density():
    x, y = np.meshgrid(np.arange(10, 4000, 20.0), np.arange(10, 3000, 20.0))
    found = density_map(np.column_stack([x.ravel(), y.ravel()]), area=Rect(0, 0, 4000, 3000))
    assert found.per_mm2.shape == (120, 160)
    assert found.per_mm2[30:-30, 30:-30] == pytest.approx(2500, rel=0.02)
    assert found.per_mm2[0, 60] == pytest.approx(1250, rel=0.1), "half of the kernel is off it"


def test_only_the_chosen_cells_count_and_only_those_in_the_area():
    centers = [[50.0, 50.0], [60.0, 60.0], [5000.0, 5000.0]]
    found = density_map(centers, [True, False, True], area=Rect(0, 0, 1000, 1000))
    assert found.cells == 1
    alone = density_map(centers[:1], area=Rect(0, 0, 1000, 1000))
    np.testing.assert_array_equal(found.per_mm2, alone.per_mm2)


def test_the_grid_lies_on_the_slides_origin():
    found = density_map([[-130.0, 990.0]], area=Rect(-140, 960, 100, 100), sigma_um=100.0)
    assert (found.grid.x0_um, found.grid.y0_um) == (-150, 950)


def test_no_cells_in_an_area():
    found = density_map(np.zeros((0, 2)), area=Rect(0, 0, 500, 300))
    assert found.cells == 0
    assert not found.per_mm2.any()
    assert found.per_mm2.shape == (12, 20)


@pytest.mark.parametrize(
    ("centers", "options", "message"),
    [
        (np.zeros((0, 2)), {}, "needs an area"),
        (np.zeros((3, 2)), {"chosen": [True]}, r"\(n, 2\)"),
        (np.zeros((3, 2)), {"sigma_um": 0.0}, "positive σ"),
    ],
)
def test_what_has_no_density_is_refused(centers, options, message):
    with pytest.raises(ValueError, match=message):
        density_map(centers, **options)
