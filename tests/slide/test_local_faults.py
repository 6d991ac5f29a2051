"""Files on disks that fail for a while, and files that are replaced while they are read."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_past.errors import SlideChanged, SlideUnreachable
from napari_past.slide import open_slide
from napari_past.slide.access import folder, range_file
from napari_past.slide.access.patience import Patience


@pytest.fixture(params=["a.tif", "a.zarr"])
def slide_path(request, tmp_path, draw, write_tiff, write_omezarr):
    path = tmp_path / request.param
    write = (
        write_tiff if path.suffix == ".tif" else lambda p, levels: write_omezarr(p, levels, "0.4")
    )
    return write(path, [draw(300, 200)])


@pytest.fixture
def failing(monkeypatch):
    """``failing(n, code)``: the next n reads of pixels fail as a mount's do."""
    left = {"n": 0, "code": errno.EIO}

    def maybe():
        if left["n"] > 0:
            left["n"] -= 1
            raise OSError(left["code"], os.strerror(left["code"]))

    class FileIO(io.FileIO):
        def read(self, *args):
            maybe()
            return super().read(*args)

    open_path = Path.open

    def opened(path, *args, **kwargs):
        if path.name.count(".") == 2:  # a chunk
            maybe()
        return open_path(path, *args, **kwargs)

    monkeypatch.setattr(io, "FileIO", FileIO)
    monkeypatch.setattr(Path, "open", opened)
    for module in (range_file, folder):
        monkeypatch.setattr(module, "READING", Patience(0.2, 0.01))
    return lambda n, code=errno.EIO: left.update(n=n, code=code)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_errors_of_a_mount_that_pass(slide_path, failing, code):
    with open_slide(slide_path) as slide:
        expected = slide.read_grid(0, 0, 150, 150, 0.5)
        failing(3, code)
        np.testing.assert_array_equal(slide.read_grid(0, 0, 150, 150, 0.5), expected)


def test_errors_of_a_mount_that_stay(slide_path, failing):
    with open_slide(slide_path) as slide:
        failing(10**6)
        with pytest.raises(SlideUnreachable, match=r"cannot be read from its disk \(.*kept"):
            slide.read_grid(0, 0, 50, 50, 0.5)
        failing(0)
        assert slide.read_grid(0, 0, 50, 50, 0.5).shape == (50, 50, 3)


def test_other_times_are_no_change(slide_path):
    """Clocks, time zones and mounts move times and inodes, not content."""
    with open_slide(slide_path) as slide:
        assert slide.fingerprint
        for path in (slide_path, *slide_path.rglob("*")):
            os.utime(path, (1, 1))
        slide.check_unchanged()
        copy = slide_path.with_name("copy")
        slide_path.rename(copy)
        (shutil.copytree if copy.is_dir() else shutil.copy)(copy, slide_path)
        slide.check_unchanged()


def test_replaced_and_removed(slide_path, draw, write_tiff, write_omezarr):
    with open_slide(slide_path) as slide:
        assert slide.fingerprint
        other = slide_path.with_name(f"other{slide_path.suffix}")
        if slide_path.is_dir():
            write_omezarr(other, [draw(310, 200)], "0.4")
            shutil.rmtree(slide_path)
        else:
            write_tiff(other, [draw(310, 200)])
        other.rename(slide_path)
        with pytest.raises(SlideChanged, match="was replaced or removed"):
            slide.check_unchanged()
        (shutil.rmtree if slide_path.is_dir() else os.remove)(slide_path)
        with pytest.raises(SlideChanged):
            slide.check_unchanged()
