"""``napari-past tma`` on a drawn array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_past.sample.microarray import ArrayPlan, draw_microarray
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.tma import read_tma

MPP = 20.0


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tma") / "array.ome.tif"
    array = draw_microarray(ArrayPlan(rows=3, columns=4, missing=0.2), MPP, 2)
    assert array.present.sum() == 10
    write_pyramid(path, array.rgb, MPP, "array", jpeg=False)
    return path


def test_grid_is_printed_and_written(slide: Path, tmp_path: Path, command: Callable) -> None:
    (tmp_path / "cases.csv").write_text("core,case\nB-3,P1\nC-1,P1\n", encoding="utf-8")
    out, picture = tmp_path / "grid.geojson", tmp_path / "grid.png"
    done = command(
        "tma", slide, "--out", out, "--cases", tmp_path / "cases.csv", "--picture", picture
    )
    assert (done.code, done.err) == (0, "")
    assert "3 rows x 4 columns, 10 cores of" in done.out
    assert "2 missing" in done.out
    grid = read_tma(out)
    row_b = next(line for line in done.out.splitlines() if line.startswith("B "))
    shown = ["·" if core.is_missing else "●" for core in grid.cores if core.row == 1]
    assert row_b.split()[1:] == shown
    assert {core.name for core in grid.cores if core.case == "P1"} == {"B-3", "C-1"}
    with Image.open(picture) as image:
        assert max(image.size) == 2400
        # the discs' outlines are drawn in blue
        assert (np.asarray(image.convert("RGB")) == (30, 90, 200)).all(axis=2).any()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "grid.csv"), "does not end in .geojson"),
        (("--out", "grid.geojson", "--diameter", "5"), "500 to 2400 µm"),
        (("--out", "grid.geojson", "--cases", "none.csv"), "none.csv"),
        (("--out", "there.geojson"), "is there already"),
    ],
)
def test_mistakes_are_one_line(
    slide: Path, tmp_path: Path, command: Callable, arguments: tuple, told: str
) -> None:
    (tmp_path / "there.geojson").write_text("{}", encoding="utf-8")
    paths = [tmp_path / a if "." in a else a for a in arguments]
    done = command("tma", slide, *paths)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "grid.geojson").exists()
