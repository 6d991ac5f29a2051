"""Names and paths of places: nothing secret in what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_past.errors import NotASlide
from napari_past.slide.place import is_remote, local_path, shown_name, shown_place, stem_of


@pytest.mark.parametrize(
    ("place", "name", "stem", "shown"),
    [
        ("/a/b/c.svs", "c.svs", "c", "/a/b/c.svs"),
        (Path("/a/c.ome.tif"), "c.ome.tif", "c", "/a/c.ome.tif"),
        ("/a/c.d.tif", "c.d.tif", "c.d", "/a/c.d.tif"),
        ("/a/.svs", ".svs", ".svs", "/a/.svs"),
        ("file:///a/b%20c.OME.TIFF", "b c.OME.TIFF", "b c", "/a/b c.OME.TIFF"),
        ("file://localhost/a/c.zarr/", "c.zarr", "c", "/a/c.zarr"),
        (
            "https://me:SECRET@h.org:80/x/y%20z.ome.tif?sig=SECRET#SECRET",
            "y z.ome.tif",
            "y z",
            "https://h.org:80/x/y%20z.ome.tif",
        ),
        ("s3://b/k/a#b.ome.zarr/", "a#b.ome.zarr", "a#b", "s3://b/k/a#b.ome.zarr/"),
        ("s3://b/a.tif?versionId=SECRET", "a.tif", "a", "s3://b/a.tif"),
        ("s3://b", "b", "b", "s3://b"),
        ("https://h.org/?SECRET", "h.org", "h", "https://h.org/"),
        ("https://h.org/a%2F..", "h.org", "h", "https://h.org/a%2F.."),
    ],
)
def test_what_is_shown(place, name, stem, shown):
    assert (shown_name(place), stem_of(place), shown_place(place)) == (name, stem, shown)


@pytest.mark.parametrize(
    ("place", "remote"),
    [("a.svs", False), ("C:\\a.svs", False), ("file:///a", False), ("S3://b/a", True)],
)
def test_is_remote(place, remote):
    assert is_remote(place) is remote
    assert (local_path(place) is None) is remote


def test_file_of_another_machine():
    with pytest.raises(NotASlide, match="another machine"):
        local_path("file://server/share/a.svs")
