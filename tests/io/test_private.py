"""No file tells where it was made, by whom, or when."""

import io

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from napari_past.io import write_cells, write_regions
from napari_past.types import Region

SECRET = "Dr-Recognisable-Patient-4711"


def unpacked(path):
    """All that a file or folder holds, decompressed, and the names in it."""
    out = io.StringIO()
    if path.is_dir():
        for name, item in zarr.open_group(path, mode="r").members(max_depth=None):
            out.write(f"{name} {dict(item.attrs)}")
            if isinstance(item, zarr.Array):
                out.write(str(np.asarray(item[...]).tolist()))
        for file in path.rglob("*"):
            out.write(str(file.relative_to(path)))
            if file.suffix == ".parquet":
                out.write(unpacked(file))
    elif path.suffix == ".parquet":
        table = pq.read_table(path)
        out.write(f"{table.schema.metadata} {table.to_pylist()}")
    elif path.suffix == ".h5ad":
        with h5py.File(path) as file:
            parts = []
            file.visititems(lambda name, item: parts.append(item))
            for item in parts:
                values = item[()] if isinstance(item, h5py.Dataset) else ""
                out.write(f"{item.name} {dict(item.attrs)} {values}")
    return out.getvalue() + str(path.read_bytes() if path.is_file() else "")


@pytest.mark.parametrize("suffix", [".h5ad", ".csv", ".geojson", ".parquet", ".zarr"])
def test_no_path_and_no_user(cells, tmp_path, monkeypatch, suffix):
    folder = tmp_path / SECRET
    folder.mkdir()
    for name in ("USER", "LOGNAME", "USERNAME", "HOME"):
        monkeypatch.setenv(name, f"/home/{SECRET}")
    monkeypatch.chdir(folder)
    write_cells(cells, f"cells{suffix}")
    told = "".join(unpacked(path) for path in folder.iterdir())
    assert "past-mini" in told, "the oracle sees what is there"
    assert cells.obs_names[3] in told
    assert SECRET not in told
    assert str(tmp_path) not in told


def test_regions_tell_no_path(tmp_path):
    import shapely

    folder = tmp_path / SECRET
    folder.mkdir()
    write_regions([Region("a", "Tumour", shapely.box(0, 0, 9, 9))], folder / "r.geojson", 0.5)
    assert SECRET not in (folder / "r.geojson").read_text()
