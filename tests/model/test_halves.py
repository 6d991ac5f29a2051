"""The fast product against numpy's own, in double precision."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.model.halves import half_product, product


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 1000])
def test_product_is_numpys(n: int) -> None:
    rng = np.random.default_rng(n)
    rows = (rng.normal(size=(n, 48)) * 10.0 ** rng.integers(-6, 4, (n, 48))).astype(np.float16)
    weight = rng.normal(size=(48, 3)).astype(np.float32)
    expected = rows.astype(np.float64) @ weight.astype(np.float64)
    bound = 1e-6 * (np.abs(rows.astype(np.float64)) @ np.abs(weight.astype(np.float64))) + 1e-12
    assert (np.abs(half_product(rows, weight) - expected) <= bound).all()


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)][:, None]
    npt.assert_array_equal(
        half_product(halves, np.ones((1, 1), np.float32)), halves.astype(np.float32)
    )


def test_rows_of_a_slice_and_other_precisions() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 16)).astype(np.float16)
    weight = rng.normal(size=(16, 2)).astype(np.float32)
    npt.assert_allclose(
        product(rows[::2], weight), product(rows[::2].astype(np.float64), weight), rtol=1e-4
    )
