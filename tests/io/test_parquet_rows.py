"""A Parquet table that declares more cells than it can hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from napari_past.errors import BadTable
from napari_past.io import read_parquet


def test_more_cells_than_bytes_are_refused_before_they_are_read(tmp_path):
    column = pa.array(np.zeros(1_200_000))
    path = tmp_path / "alike.parquet"
    pq.write_table(pa.table({"x_um": column, "y_um": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(BadTable, match="declares 1200000 cells but holds"):
        read_parquet(path)


def test_as_many_different_cells_are_read(tmp_path):
    places = np.random.default_rng(0).random((1_000, 2))
    path = tmp_path / "cells.parquet"
    pq.write_table(pa.table({"x_um": places[:, 0], "y_um": places[:, 1]}), path)
    np.testing.assert_array_equal(read_parquet(path).obsm["spatial"], places)
