"""What comes along with the cells of a file, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
import zarr
from PIL import Image

from napari_past.brought import SeveralCells, bring_cells
from napari_past.engine.annotated import add_brought, padded_outlines
from napari_past.errors import BadTable, MissingPixelSize, PastError, RegionError
from napari_past.io import write_cells
from napari_past.slide import open_slide, slide_of_array

from .conftest import MPP
from .test_doors import DOORS, features, table


def test_qupath_brings_everything_along(known, slide, tmp_path):
    path, _ = DOORS["qupath_cells"][0](known, tmp_path)
    brought = bring_cells(path, slide)
    assert brought.found.ids[1] == "00000000-0000-0000-0000-000000000001"
    assert brought.columns["classification"][:2].tolist() == ["Stroma", "Tumor"]
    assert brought.columns["name"][2] == "n2"
    assert brought.columns["Mitosis/mm"][:3].tolist() == [0.0, 1.0, 2.0]
    polygons = known.polygons_px
    np.testing.assert_allclose(
        brought.found.areas_um2, [p.area * MPP**2 for p in polygons], rtol=1e-6
    )
    whole = brought.cell_outlines
    assert whole is not None
    around = [shapely.Polygon(whole[i]).area for i in range(3)]
    np.testing.assert_allclose(around, [p.buffer(1).area * MPP**2 for p in polygons[:3]], rtol=1e-3)


@pytest.mark.parametrize("name", ["instanseg_tiff", "instanseg_geojson"])
def test_instanseg_cells_go_with_their_nuclei(name, known, slide, tmp_path):
    path, _ = DOORS[name][0](known, tmp_path)
    brought = bring_cells(path, slide)
    assert brought.cell_outlines is not None
    for i in range(len(brought)):
        nucleus, cell = (
            shapely.Polygon(o[i]) for o in (brought.found.outlines, brought.cell_outlines)
        )
        assert cell.area > nucleus.area
        assert cell.buffer(0.3).contains(nucleus)


def test_probability_and_label_ids(known, slide, tmp_path):
    path, _ = DOORS["stardist_details"][0](known, tmp_path)
    probability = bring_cells(path, slide).columns["probability"]
    np.testing.assert_allclose(probability, np.linspace(0.5, 1, len(known.ids)))
    path, _ = DOORS["cellpose_seg"][0](known, tmp_path)
    assert bring_cells(path, slide).found.ids == known.ids


def test_damaged_objects_are_left_out(known, slide, tmp_path):
    told = features(known, "cell", False)
    told["features"][0]["geometry"] = {"type": "Polygon", "coordinates": [[[1, 2]]]}
    told["features"][1]["geometry"] = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    told["features"][2]["id"] = told["features"][3]["id"]
    far = shapely.geometry.mapping(shapely.box(900, 900, 910, 910))
    told["features"][4]["geometry"] = far
    path = tmp_path / "d.geojson"
    path.write_text(json.dumps(told))
    brought = bring_cells(path, slide)
    assert len(brought) == len(known.ids) - 3
    assert "00000000-0000-0000-0000-000000000003-2" in brought.found.ids
    assert [note.split()[0] for note in brought.notes] == ["2", "1", "1"]
    assert brought.notes[-1] == "1 cell lies outside of the slide and is left out."


@pytest.mark.parametrize("factor", [1.0, MPP], ids=["px", "um"])
def test_unit_is_never_guessed(factor, known, slide, tmp_path):
    path = tmp_path / "t.h5ad"
    table(known, factor).write_h5ad(path)
    if factor == MPP:
        with pytest.raises(SeveralCells, match="unit=um or unit=px") as caught:
            bring_cells(path, slide)
        assert caught.value.choices == ("unit=um", "unit=px")
        assert pickle.loads(pickle.dumps(caught.value)).choices == caught.value.choices
        return
    # As µm they lie on twice the slide: told by that, and said.
    crop = slide_of_array(np.full((161, 223, 3), 230, np.uint8), 0.3)
    brought = bring_cells(path, crop)
    assert brought.columns["kind"][:2].tolist() == ["a", "b"]
    assert "level-0 pixels" in brought.notes[0]


def test_own_table_needs_no_unit_and_brings_no_old_results(known, slide, tmp_path):
    adata = table(known, MPP)
    adata.obs["ERBB2_class"] = "1+"
    adata.obs["hematoxylin_od"] = 0.5
    adata.uns["napari_past"] = {"schema_version": 1, "slide": {"mpp": MPP}}
    path = tmp_path / "t.h5ad"
    adata.write_h5ad(path)
    brought = bring_cells(path, slide)
    assert brought.found.ids == known.ids
    assert list(brought.columns) == ["kind"]


@pytest.mark.parametrize("suffix", ["h5ad", "csv", "geojson", "parquet", "zarr"])
def test_every_format_of_ours_brings_them_back(suffix, known, slide, tmp_path):
    """What came from QuPath, written by us, comes in again with all that it had."""
    path, _ = DOORS["qupath_cells"][0](known, tmp_path)
    first = bring_cells(path, slide)
    n = len(first)
    adata = anndata.AnnData(
        X=np.ones((n, 1), np.float32),
        obs=pd.DataFrame({"area_um2": first.found.areas_um2}, index=list(first.found.ids)),
        var=pd.DataFrame(index=["ERBB2"]),
        obsm={
            "spatial": first.found.centers_um,
            "outline_um": padded_outlines(first.found.outlines),
        },
    )
    add_brought(adata, first)
    told = {"name": "s", "mpp": MPP, "width_px": 223, "height_px": 161}
    adata.uns["napari_past"] = {"schema_version": 1, "slide": told}
    write_cells(adata, tmp_path / f"t.{suffix}")
    again = bring_cells(tmp_path / f"t.{suffix}", slide)
    assert again.found.ids == first.found.ids
    np.testing.assert_allclose(again.found.centers_um, first.found.centers_um, atol=1e-6)
    for name in ("classification", "name"):
        assert again.columns[name].tolist() == first.columns[name].tolist()
    assert again.columns["Mitosis/mm"].tolist() == first.columns["Mitosis/mm"].tolist()
    for ours, theirs in (
        (again.found.outlines, first.found.outlines),
        (again.cell_outlines, first.cell_outlines),
    ):
        if suffix == "csv" and theirs is first.cell_outlines:
            continue
        areas = [[shapely.Polygon(o[i]).area for i in range(n)] for o in (ours, theirs)]
        np.testing.assert_allclose(*areas, rtol=2e-3)


def spatialdata_folder(known, folder: Path, name: str, aligned: bool) -> Path:
    """Shapes, labels, a table and the slide's picture, as SpatialData 0.7 writes them."""

    def moved(scale: float, axes: str) -> list[dict[str, object]]:
        space = [{"name": a, "type": "space", "unit": "unit"} for a in axes]
        inner = {"name": axes, "axes": space}
        return [
            {
                "type": "scale",
                "scale": [scale if a in "xy" else 1.0 for a in axes],
                "input": inner,
                "output": {"name": "global", "axes": space},
            }
        ]

    root = zarr.open_group(folder / name, mode="w", zarr_format=3)
    nuclei = root.require_group("shapes").create_group("nuclei")
    nuclei.attrs["coordinateTransformations"] = moved(3.0, "xy")
    frame = pd.DataFrame(
        {"geometry": shapely.to_wkb(np.array(known.polygons_px, object))},
        index=pd.Index([int(i) for i in known.ids]),
    )
    frame.to_parquet(folder / name / "shapes" / "nuclei" / "shapes.parquet")
    elements = {"labels/seg": (known.labels, "yx", 3.0)}
    if aligned:
        picture = np.zeros((3, 2 * known.labels.shape[0], 2 * known.labels.shape[1]), np.uint8)
        elements["images/he"] = (picture, "cyx", 1.5)
    for place, (values, axes, scale) in elements.items():
        group = root.require_group(place)
        array = group.create_array("s0", shape=values.shape, dtype=values.dtype)
        array[:] = values
        steps = moved(scale, axes)
        scales = {"axes": [{"name": a} for a in axes], "datasets": [{"path": "s0"}]}
        group.attrs["ome"] = {"multiscales": [{**scales, "coordinateTransformations": steps}]}
    annotations = table(known, 1.0)[2:].copy()
    annotations.obs = pd.DataFrame(
        {
            "region": "nuclei",
            "instance": [int(i) for i in annotations.obs_names],
            "stage": annotations.obs["kind"].to_numpy(),
        },
        index=[f"row{i}" for i in range(len(annotations))],
    )
    annotations.write_zarr(folder / name / "tables" / "t")
    zarr.open_group(folder / name / "tables" / "t", mode="a").attrs.update(
        {"region": "nuclei", "region_key": "region", "instance_key": "instance"}
    )
    return folder / name


def test_spatialdata_is_placed_by_its_picture(known, slide, tmp_path):
    path = spatialdata_folder(known, tmp_path, "a.zarr", aligned=True)
    with pytest.raises(SeveralCells) as caught:
        bring_cells(path, slide)
    assert caught.value.choices == ("nuclei", "seg")
    brought = bring_cells(path, slide, key="nuclei")
    np.testing.assert_allclose(brought.found.centers_um, known.centers_px * MPP, atol=1e-5)
    assert brought.found.ids == known.ids
    assert brought.columns["stage"][:4].tolist() == ["", "", "a", "b"]
    assert brought.notes == (f"2 of {len(known.ids)} cells have no row in t.",)
    labels = bring_cells(path, slide, key="seg")
    np.testing.assert_allclose(labels.found.centers_um, known.centers_px * MPP)
    assert labels.kind == "SpatialData labels"
    alone = spatialdata_folder(known, tmp_path, "b.zarr", aligned=False)
    large = slide_of_array(np.full((483, 669, 3), 230, np.uint8), MPP)
    px = bring_cells(alone, large, key="nuclei, unit=px")
    np.testing.assert_allclose(px.found.centers_um, known.centers_px * 3 * MPP, atol=1e-4)


class Opens:
    """Runs a command where it is unpickled without care."""

    def __reduce__(self):
        return (Path.touch, (Path("was-run"),))


def test_cellpose_files_run_nothing(slide, tmp_path, monkeypatch, known):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "he_seg.npy"
    for content in ({"masks": known.labels, "filename": Opens()}, Opens()):
        np.save(path, np.array(content, dtype=object), allow_pickle=True)
        with pytest.raises(BadTable, match="it was not opened"):
            bring_cells(path, slide)
    assert not (tmp_path / "was-run").exists()
    np.save(path, np.array({"outlines": 1}, dtype=object), allow_pickle=True)
    with pytest.raises(BadTable, match="no masks"):
        bring_cells(path, slide)


def test_label_zarr_runs_nothing(slide, tmp_path):
    """zarr knows a filter that unpickles."""
    path = tmp_path / "l.zarr"
    root = zarr.create_array(path, shape=(161, 223), dtype=np.int32, zarr_format=2, chunks=(99, 99))
    root[:] = 1
    told = json.loads((path / ".zarray").read_text())
    told["filters"] = [{"id": "pickle", "protocol": 5}]
    (path / ".zarray").write_text(json.dumps(told))
    (path / "0.0").write_bytes(pickle.dumps(Opens()))
    with pytest.raises(BadTable, match="pickle"):
        bring_cells(path, slide)


def grey(folder: Path, shape: tuple[int, ...]) -> Path:
    tifffile.imwrite(folder / "l.tif", np.ones(shape, np.uint16))
    return folder / "l.tif"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda f: grey(f, (100, 100)), "does not fit"),
        (lambda f: grey(f, (322, 446)), "mpp=0.25"),
        (lambda f: grey(f, (161, 223, 3)), "colour picture"),
        (lambda f: grey(f, (5, 161, 223)), "0, 1, 2, 3, 4"),
        (lambda f: grey(f, (90, 161, 223)), "stack of 90"),
        (lambda f: f / "none.tif", "no file"),
        (lambda f: f, "folder without cells"),
    ],
    ids=["size", "scale", "picture", "planes", "stack", "missing", "folder"],
)
def test_refused_with_what_to_do(write, says, slide, tmp_path):
    with pytest.raises(BadTable, match=says):
        bring_cells(write(tmp_path), slide)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.tif", b""),
        ("t.tif", b"II*\0\x08\0\0\0\xff\xff"),
        ("p.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 30),
        ("n.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<i4',"),
        ("j.jpg", b"\xff\xd8\xff\xe0 picture"),
        ("h.h5ad", b"\x89HDF\r\n\x1a\n rest"),
        ("q.parquet", b"PAR1 rest"),
        ("r.zip", b"PK\x05\x06" + b"\0" * 18),
        ("o.roi", b"Iout\0\0"),
        ("g.geojson", b'{"type": "FeatureCollection", "features": ['),
        ("z.geojson.gz", b"\x1f\x8b\x08\0 not packed"),
        ("c.csv", b"a,b\n1,2\n"),
        ("b.bin", b"\0\1\2\3"),
    ],
)
def test_damaged_files_are_told_in_one_sentence(name, content, slide, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PastError) as caught:
        bring_cells(path, slide)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_slide_must_have_a_size_and_hold_a_cell(known, slide, tmp_path):
    path, _ = DOORS["qupath_detections"][0](known, tmp_path)
    with pytest.raises(MissingPixelSize):
        bring_cells(path, slide_of_array(np.zeros((9, 9, 3), np.uint8), None))
    with pytest.raises(RegionError, match="None of the"):
        bring_cells(path, slide_of_array(np.zeros((3, 3, 3), np.uint8), MPP))


def test_real_slide(data_dir, tmp_path):
    """Labels of a real core, of its size, and of half of it with what it states."""
    with open_slide(data_dir / "slides" / "tma_core.ome.tif") as core:
        height, width = core.levels[0].height_px, core.levels[0].width_px
        labels = np.zeros((height, width), np.uint16)
        labels[400:420, 600:640] = 7
        half = {"PhysicalSizeX": core.mpp * 2, "PhysicalSizeY": core.mpp * 2, "axes": "YX"}
        tifffile.imwrite(tmp_path / "full.tif", labels, compression="zlib")
        tifffile.imwrite(tmp_path / "half.ome.tif", labels[::2, ::2], metadata=half)
        for name in ("full.tif", "half.ome.tif"):
            found = bring_cells(tmp_path / name, core).found
            assert found.ids == ("7",)
            np.testing.assert_allclose(found.centers_um, [[620 * core.mpp, 410 * core.mpp]])


def test_palette_png_has_indices(known, slide, tmp_path):
    image = Image.fromarray((known.labels % 251).astype(np.uint8), mode="P")
    image.putpalette([i % 256 for i in range(768)])
    image.save(tmp_path / "p.png")
    assert len(bring_cells(tmp_path / "p.png", slide)) == len(known.ids)


def test_early_tables_with_one_id_twice(known, slide, tmp_path):
    adata = anndata.AnnData(obsm={"spatial": np.array([[5.0, 5.0], [9.0, 9.0]])})
    adata.obs_names = ["a", "a"]
    adata.write_h5ad(tmp_path / "t.h5ad")
    brought = bring_cells(tmp_path / "t.h5ad", slide, key="unit=um")
    assert brought.found.ids == ("a", "a-2")
    assert "id of another" in brought.notes[0]


def test_table_of_a_spreadsheet(slide, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id;x_um;y_um;Färbung\nö1;12,5;10\n".encode("cp1252"))
    brought = bring_cells(path, slide)
    assert brought.found.ids == ("ö1",)
    assert brought.found.centers_um.tolist() == [[12.5, 10.0]]
    assert "Windows-1252" in brought.notes[0]
    path.write_text("id;x_um;y_um;outline_um\na;12,5;10,0;POLYGON ((1 1, 2 2, 1 2, 1 1))\n")
    with pytest.raises(BadTable, match="a spreadsheet saved in another form"):
        bring_cells(path, slide)
