import json

import pytest
import shapely

from napari_past.errors import BadTable, MissingPixelSize, RegionError
from napari_past.io import read_regions, write_regions
from napari_past.types import Region

HOLED = shapely.box(0, 0, 100, 60).difference(shapely.box(20, 20, 40, 30))
PARTS = shapely.MultiPolygon([shapely.box(200, 0, 210, 10), shapely.box(220, 0, 260, 10)])
REGIONS = (
    Region("invasive front", "Tumour", HOLED),
    Region("two parts", "Include", PARTS),
    Region("fold", "Ignore*", shapely.box(5, 5, 9, 9)),
)


def annotation(geometry, **properties):
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(geometry),
        "properties": {"objectType": "annotation", **properties},
    }


def write(path, features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("regions", [REGIONS, ()], ids=["three", "none"])
def test_regions_come_back(tmp_path, regions):
    write_regions(regions, tmp_path / "regions.geojson", mpp=0.25)
    back = read_regions(tmp_path / "regions.geojson")
    assert [(r.name, r.role) for r in back] == [(r.name, r.role) for r in regions]
    for before, after in zip(regions, back, strict=True):
        assert after.polygon_um.equals(before.polygon_um)


def test_regions_are_written_in_pixels_with_qupaths_classes(tmp_path):
    write_regions(REGIONS, tmp_path / "a.geojson", mpp=0.25)
    write_regions(REGIONS, tmp_path / "b.geojson", mpp=0.25)
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [f["properties"]["classification"]["name"] for f in features] == [
        "Tumor",
        "Include",
        "Ignore*",
    ]
    assert shapely.geometry.shape(features[0]["geometry"]).bounds == (0, 0, 400, 240)
    assert len(features[0]["geometry"]["coordinates"]) == 2, "the outer ring and the hole"


@pytest.mark.parametrize(
    ("classification", "role"),
    [
        ({"name": "Tumor"}, "Tumour"),
        ({"name": "tumour"}, "Tumour"),
        ({"names": ["Tumor", "Positive"]}, "Tumour"),
        ({"name": "Ignore*"}, "Ignore*"),
        ({"name": "Necrosis"}, "Ignore*"),
        ({"name": "Pen*"}, "Ignore*"),
        ({"name": "Stroma"}, "Include"),
        ("Tumor", "Tumour"),
        (None, "Include"),
    ],
)
def test_the_class_gives_the_role(tmp_path, classification, role):
    path = write(
        tmp_path / "r.geojson", [annotation(shapely.box(0, 0, 4, 4), classification=classification)]
    )
    (region,) = read_regions(path, mpp=0.5)
    assert (region.name, region.role) == ("Region 1", role)
    assert region.polygon_um.bounds == (0, 0, 2, 2)


def test_cells_are_passed_over_and_names_kept(tmp_path):
    cell = annotation(shapely.box(0, 0, 1, 1))
    cell["properties"]["objectType"] = "cell"
    path = write(tmp_path / "r.geojson", [cell, annotation(shapely.box(0, 0, 4, 4), name="A")])
    assert [r.name for r in read_regions(path, mpp=1)] == ["A"]
    with pytest.raises(BadTable, match="1 objects but no annotation"):
        read_regions(write(tmp_path / "c.geojson", [cell]), mpp=1)


def test_a_line_across_itself_is_mended(tmp_path):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    (region,) = read_regions(write(tmp_path / "r.geojson", [annotation(bow)]), mpp=1)
    assert region.polygon_um.is_valid
    assert region.polygon_um.area == pytest.approx(50)


def test_what_is_no_region_is_refused(tmp_path):
    path = write(tmp_path / "r.geojson", [annotation(shapely.Point(1, 2), name="pin")])
    with pytest.raises(BadTable, match=r"Annotation pin .* Point; a region needs a polygon"):
        read_regions(path, mpp=1)
    flat = write(tmp_path / "f.geojson", [annotation(shapely.Polygon([(0, 0), (1, 1), (2, 2)]))])
    with pytest.raises(RegionError, match="empty"):
        read_regions(flat, mpp=1)
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_regions(path)


def test_cores_collections_and_what_qupath_adds(tmp_path):
    core = annotation(shapely.box(0, 0, 8, 8), name="A-1", isMissing=False)
    core["properties"]["objectType"] = "tmaCore"
    core["geometry"]["isEllipse"] = True
    lost = annotation(shapely.box(0, 0, 8, 8), name="A-2", isMissing=True)
    lost["properties"]["objectType"] = "tmaCore"
    both = annotation(
        shapely.GeometryCollection([HOLED, shapely.Point(300, 300)]),
        name="b",
        isLocked=True,
        color=[1, 2, 3],
        measurements={"Area µm^2": 5800.0, "none": None},
        classification={"names": ["Ignore*", "Fold"], "color": [1, 2, 3]},
    )
    path = write(tmp_path / "r.geojson", [core, lost, both])
    regions = read_regions(path, mpp=1.0)
    assert [(r.name, r.role, r.polygon_um.area) for r in regions] == [
        ("A-1", "Include", 64),
        ("b", "Ignore*", 5800),
    ]
    with pytest.raises(BadTable, match="no annotation"):
        read_regions(write(tmp_path / "l.geojson", [lost]), mpp=1.0)
