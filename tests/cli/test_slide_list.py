from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from napari_past.cli.brought_file import brought_file
from napari_past.cli.destination import destinations
from napari_past.cli.slide_list import asked_slides
from napari_past.errors import BadTable, CannotWrite, PastError


@pytest.fixture
def folder(tmp_path):
    def touch(name, content=b""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    for name in (
        "b.svs", "A.NDPI", "case 1/b.svs", "case 1/b.tif", "Fälle/ß.ome.tif", "x.mrxs",
        "x/Slidedat.ini", "x/Data0001.tif", ".trash/c.svs", ".d.svs", "notes.docx", "results/e.tif",
    ):  # fmt: skip
        touch(name)
    touch("z.zarr/zarr.json", b"{}")
    touch("z.zarr/0/c/0.tif")
    touch("cells.zarr/zarr.json", b'{"attributes": {"spatialdata_attrs": {}}}')
    touch("dicom/1", bytes(128) + b"DICM")
    touch("dicom/2", bytes(128) + b"DICM")
    return tmp_path


def test_a_folder_is_searched_for_slides(folder):
    asked = asked_slides([str(folder)], leave_out=folder / "results")
    assert {s.name: str(s.stem) for s in asked.slides} == {
        "A.NDPI": "A",
        "Fälle/ß.ome.tif": "Fälle/ß",
        "b.svs": "b",
        "case 1/b.svs": "case 1/b.svs",
        "case 1/b.tif": "case 1/b.tif",
        "dicom": "dicom",
        "x.mrxs": "x",
        "z.zarr": "z",
    }
    assert [s.name for s in asked.slides] == sorted(s.name for s in asked.slides)
    assert asked.searched
    assert asked.notes == ()
    for one in ("dicom", "z.zarr"):
        alone = asked_slides([str(folder / one)])
        assert [s.name for s in alone.slides] == [one]
        assert not alone.searched


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_once(folder):
    (folder / "case 1" / "up").symlink_to(folder)
    (folder / "same.svs").symlink_to(folder / "b.svs")
    (folder / "more").mkdir()
    (folder / "more" / "dangling.svs").symlink_to(folder / "none.svs")
    asked = asked_slides([str(folder)], leave_out=folder / "results")
    names = [s.name for s in asked.slides]
    assert "more/dangling.svs" in names, "what is wrong with it is told when it is opened"
    assert len(names) == 9
    assert asked.notes == ("same.svs is the same file as b.svs and is analysed once.",)


def test_a_slide_given_twice_is_told(tmp_path):
    place = str(tmp_path / "a.svs")
    here = os.path.relpath(place)
    asked = asked_slides([place, here, "s3://bucket/a.tif", "s3://bucket/a.tif"])
    assert [s.place for s in asked.slides] == [place, "s3://bucket/a.tif"]
    assert len(asked.notes) == 2


def test_a_folder_without_slides(tmp_path):
    (tmp_path / "a.docx").touch()
    with pytest.raises(PastError, match=r"holds no slide .*a list of slides"):
        asked_slides([str(tmp_path)])


def test_lines_of_a_list(tmp_path):
    text = '\ufeff# cohort 1\n\nsub/a b.svs\n  "/data/ü.tif"  \nhttps://host/x/C5.ome.tif?sig=1\n'
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    asked = asked_slides([str(tmp_path / "list.txt")])
    assert [s.place for s in asked.slides] == [
        str(tmp_path / "sub" / "a b.svs"),
        os.path.abspath("/data/ü.tif"),
        "https://host/x/C5.ome.tif?sig=1",
    ]
    assert [s.name for s in asked.slides] == ["a b.svs", "ü.tif", "C5.ome.tif"]
    assert asked.searched


@pytest.mark.parametrize("separator", [",", ";"])
def test_columns_of_a_list(tmp_path, separator):
    rows = [
        ["Slide", "mpp", "series", "cells", "rois", "out", "patient"],
        ["a.svs", "0.25", "2", "c.geojson", "", "case-1\\a", "P1"],
        ["b.tif", "", "scan", "", "r.geojson", "", "P2"],
        ["", "", "", "", "", "", ""],
    ]
    text = "\n".join(separator.join(row) for row in rows)
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    asked = asked_slides([str(tmp_path / "list.csv")])
    a, b = asked.slides
    assert (a.mpp, a.series, a.cells, a.rois) == (0.25, 2, tmp_path / "c.geojson", None)
    assert (b.mpp, b.series, b.cells, b.rois) == (None, "scan", None, tmp_path / "r.geojson")
    assert a.out == PurePosixPath("case-1/a")
    assert asked.notes == ("list.csv: the columns patient are not used.",)
    made = destinations(asked.slides, Path("out"), "csv", many=True)
    assert [d.file for d in made] == [Path("out/case-1/a.csv"), Path("out/b.csv")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("l.csv", "path\na.svs\n", "no column slide in line 1"),
        ("l.csv", "slide,mpp\na.svs,0.25\nb.svs,fine\n", "l.csv, line 3: mpp is 'fine'"),
        ("l.csv", "slide,mpp\na.svs,250\n", "l.csv, line 2: mpp is '250'"),
        ("l.csv", "slide,mpp\n,0.25\n", "l.csv, line 2: the column slide is empty"),
        ("l.csv", "slide\na,b.svs\n", "l.csv, line 2: 2 values stand under 1 columns"),
        ("l.csv", "slide,out\na.svs,../a\n", "l.csv, line 2: out is '../a'"),
        ("l.csv", "slide,out\na.svs,/a\n", "l.csv, line 2: out is '/a'"),
        ("l.csv", "slide\n", "names no slide"),
        ("l.txt", "# nothing\n", "names no slide"),
        ("l.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("none.txt", None, "There is no list"),
    ],
)
def test_mistakes_of_a_list(tmp_path, name, text, expected):
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadTable, match=expected):
        asked_slides([str(tmp_path / name)])


def test_names_that_every_system_takes(tmp_path):
    asked = asked_slides([str(tmp_path / name) for name in ("a:b?.svs", "CON.tif", "c. .svs")])
    made = destinations(asked.slides, Path("out"), None, many=True)
    assert [d.file.name for d in made] == ["a_b_.h5ad", "CON_.h5ad", "c.h5ad"]


def test_results_that_would_share_a_file(tmp_path):
    asked = asked_slides([str(tmp_path / name) for name in ("1/a.svs", "2/A.svs")])
    with pytest.raises(CannotWrite, match="would both be written to"):
        destinations(asked.slides, Path("out"), None, many=True)


def test_files_of_cells_are_named_after_slides(tmp_path):
    for name in ("a.geojson.gz", "ab.geojson", "sub/a.tif", "c_seg.npy", "d.csv", "d.geojson"):
        (tmp_path / "cells" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cells" / name).touch()
    for name in ("a.svs", "sub/a.svs", "c.ome.tif", "d.svs", "e.svs"):
        (tmp_path / "slides" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "slides" / name).touch()
    cells = tmp_path / "cells"
    slides = {s.name: s for s in asked_slides([str(tmp_path / "slides")]).slides}
    assert brought_file(slides["a.svs"], cells) == cells / "a.geojson.gz"
    assert brought_file(slides["sub/a.svs"], cells) == cells / "sub" / "a.tif"
    assert brought_file(slides["c.ome.tif"], cells) == cells / "c_seg.npy"
    assert brought_file(slides["a.svs"], cells / "d.csv") == cells / "d.csv"
    assert brought_file(slides["a.svs"], None) is None
    with pytest.raises(BadTable, match=r"2 files of cells of d\.svs"):
        brought_file(slides["d.svs"], cells)
    with pytest.raises(BadTable, match=r"holds no file of cells of e\.svs"):
        brought_file(slides["e.svs"], cells)
    with pytest.raises(BadTable, match="There are no cells"):
        brought_file(slides["a.svs"], tmp_path / "none")
