"""A file on which the HDF5 library crashes is told in a sentence; another process finds out."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from napari_past.errors import BadTable
from napari_past.hdf5 import check_hdf5, open_hdf5
from napari_past.io import read_h5ad

TEXT_TYPE = b"\x19\x01"
"""How the type of a text of any length begins: its class, and that it is a text."""


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "cells.h5ad"
    with h5py.File(path, "w") as file:
        file.attrs["names"] = np.array(["a", "b"], dtype=h5py.string_dtype())
        file.create_group("obs")["again"] = h5py.SoftLink("/")
    return path


def test_file_that_ends_the_process_is_told(written) -> None:
    data = written.read_bytes()
    assert data.count(TEXT_TYPE) == 1
    written.write_bytes(data.replace(TEXT_TYPE, b"\x19\x69"))
    read = "import h5py, sys; h5py.File(sys.argv[1]).attrs['names']"
    command = [sys.executable, "-c", read, str(written)]
    if subprocess.run(command, capture_output=True, check=False).returncode in (0, 1):
        pytest.skip("this HDF5 library does not crash on it")
    for _ in range(2):
        with pytest.raises(BadTable, match=r"cells\.h5ad is damaged \(the HDF5 library crashes"):
            read_h5ad(written)


def test_sound_file_with_a_loop_is_opened(written) -> None:
    with open_hdf5(written) as file:
        assert file.attrs["names"].tolist() == ["a", "b"]


def test_what_is_no_hdf5_is_left_to_the_reader(tmp_path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_text("id,x_um")
    check_hdf5(path)
    with pytest.raises(OSError, match="signature"):
        open_hdf5(path)
    check_hdf5(tmp_path / "none.h5ad")
