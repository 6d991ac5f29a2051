import errno
import os

import pytest

from napari_past.errors import CannotWrite
from napari_past.io import atomic_write, check_writable


def write_half(path, exc):
    with atomic_write(path) as unfinished:
        unfinished.write_text("half")
        raise exc


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with atomic_write(path) as unfinished:
        assert unfinished.suffix == ".csv"
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path, error):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError("Can't write data (file write failed: No space left on device)"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "disk is read-only"),
        (OSError(errno.EIO, "Input/output error"), "the disk fails"),
    ],
)
def test_the_systems_errors_are_translated(tmp_path, exc, reason):
    with pytest.raises(CannotWrite, match=reason) as caught:
        write_half(tmp_path / "a.csv", exc)
    assert caught.value.__cause__ is exc
    assert os.listdir(tmp_path) == []


def test_destinations_that_cannot_be_written(tmp_path):
    with pytest.raises(CannotWrite, match="does not exist; create it"):
        check_writable(tmp_path / "no" / "a.csv")
    with pytest.raises(CannotWrite, match="is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_protected_destinations(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    with pytest.raises(CannotWrite, match="may not write there"):
        check_writable(locked / "a.csv")
