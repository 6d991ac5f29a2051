import gzip
import json
from uuid import UUID

import numpy as np
import pytest

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.io import read_geojson, write_geojson
from napari_past.types import RESEARCH_USE

SQUARE = {"type": "Polygon", "coordinates": [[[10, 20], [14, 20], [14, 24], [10, 24], [10, 20]]]}


def feature(geometry, **more):
    properties = more.pop("properties", {"objectType": "cell"})
    return {"type": "Feature", "geometry": geometry, "properties": properties, **more}


def write(path, features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_one_feature_as_qupath_has_it(cells, tmp_path):
    write_geojson(cells, tmp_path / "cells.geojson", mpp=0.25)
    document = json.loads((tmp_path / "cells.geojson").read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    told = document["napari_past"]
    assert told["mpp"] == 0.25
    assert told["research_use"] == RESEARCH_USE
    assert (told["slide"]["name"], told["model"]["name"]) == ("slide.svs", "past-mini")
    assert "path" not in json.dumps(told["slide"])
    first, second, third = document["features"][:3]
    assert set(first) == {"type", "id", "geometry", "nucleusGeometry", "properties"}
    assert first["id"] == cells.obs_names[0]
    ring = first["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert len(ring) == 9
    np.testing.assert_allclose(ring[:-1], cells.obsm["outline_um"][0] / 0.25, atol=0.0051)
    assert first["nucleusGeometry"] == first["geometry"]
    assert first["properties"]["objectType"] == "cell"
    assert first["properties"]["classification"] == {"name": "Negative", "color": [90, 90, 180]}
    measured = first["properties"]["measurements"]
    assert measured["Centroid X µm"] == cells.obsm["spatial"][0, 0]
    assert np.float32(measured["ERBB2 (predicted, log1p(counts per 10k))"]) == cells.X[0, 0]
    assert measured["ERBB2 class"] == 0
    assert second["geometry"]["type"] == "Point"
    np.testing.assert_allclose(
        second["geometry"]["coordinates"], cells.obsm["spatial"][1] / 0.25, atol=0.0051
    )
    assert "nucleusGeometry" not in second
    assert "classification" not in third["properties"], "no value, no class"
    assert not any(name.startswith("ERBB2") for name in third["properties"]["measurements"])


def test_numbers_are_as_short_as_their_precision(cells, tmp_path):
    cells.X[0, 0] = 0.7
    write_geojson(cells, tmp_path / "cells.geojson")
    assert '"ERBB2 (predicted, log1p(counts per 10k))":0.7,' in (
        tmp_path / "cells.geojson"
    ).read_text(encoding="utf-8")


def test_pixels_need_a_size(cells, tmp_path):
    del cells.uns["napari_past"]
    with pytest.raises(MissingPixelSize, match="--mpp"):
        write_geojson(cells, tmp_path / "cells.geojson")
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_geojson(write(tmp_path / "other.geojson", [feature(SQUARE)]))


def test_another_pixel_size_scales_everything(cells, tmp_path):
    write_geojson(cells, tmp_path / "cells.geojson", mpp=0.5)
    back = read_geojson(tmp_path / "cells.geojson", mpp=0.25)
    np.testing.assert_allclose(back.obsm["spatial"], cells.obsm["spatial"] / 2)
    np.testing.assert_allclose(back.obsm["outline_um"], cells.obsm["outline_um"] / 2, atol=0.003)


def test_cells_of_others(tmp_path):
    nucleus = {"type": "Polygon", "coordinates": [[[11, 21], [13, 21], [13, 23], [11, 21]]]}
    parts = {"type": "MultiPolygon", "coordinates": [nucleus["coordinates"], SQUARE["coordinates"]]}
    properties = {
        "objectType": "cell",
        "classification": {"names": ["Tumor", "Positive"]},
        "measurements": {"Nucleus/Cell area ratio": 0.5},
    }
    path = write(
        tmp_path / "cells.geojson",
        [
            feature(SQUARE, id="one", nucleusGeometry=nucleus, properties=properties),
            feature(parts, properties={"objectType": "detection"}),
            feature({"type": "Point", "coordinates": [100, 60]}, id="three"),
            feature(SQUARE, properties={"objectType": "annotation"}),
        ],
    )
    cells = read_geojson(path, mpp=0.5)
    assert cells.n_obs == 3, "annotations are not cells where there are cells"
    assert cells.obs_names[0] == "one"
    assert cells.obs_names[2] == "three"
    np.testing.assert_allclose(cells.obsm["spatial"], [[37 / 6, 65 / 6], [6.0, 11.0], [50.0, 30.0]])
    np.testing.assert_allclose(cells.obs["area_um2"], [2 * 0.25, 16 * 0.25, np.nan])
    np.testing.assert_array_equal(
        cells.obsm["outline_um"][0],
        np.array([[5.5, 10.5], [6.5, 10.5], [6.5, 11.5], [np.nan, np.nan]], np.float32),
    )
    assert cells.obs["classification"].astype(object).tolist()[0] == "Tumor: Positive"
    assert cells.obs["Nucleus/Cell area ratio"].tolist()[0] == 0.5
    assert cells.n_vars == 0


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", ["collection", "list", "single"])
def test_annotations_and_every_outer_form(tmp_path, packed, shape):
    one = feature(SQUARE, properties={})
    top = {"collection": {"type": "FeatureCollection", "features": [one]}, "list": [one]}
    text = json.dumps(top.get(shape, one)).encode()
    path = tmp_path / ("cells.geojson.gz" if packed else "cells.geojson")
    path.write_bytes(gzip.compress(text) if packed else text)
    cells = read_geojson(path, mpp=1.0)
    assert cells.obsm["spatial"].tolist() == [[12.0, 22.0]]
    assert cells.obs_names.tolist() == read_geojson(path, mpp=1.0).obs_names.tolist()


def test_each_point_of_many_is_a_cell(tmp_path):
    many = {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}
    cells = read_geojson(write(tmp_path / "c.geojson", [feature(many, id="a")]), mpp=2.0)
    assert cells.obsm["spatial"].tolist() == [[2, 4], [6, 8]]
    assert len(set(cells.obs_names)) == 2


def test_a_long_outline_is_thinned(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 2001)
    ring = (50 + 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).tolist()
    path = write(
        tmp_path / "c.geojson",
        [feature({"type": "Polygon", "coordinates": [ring]}), feature(SQUARE)],
    )
    cells = read_geojson(path, mpp=1.0)
    assert cells.obsm["outline_um"].shape == (2, 256, 2)
    assert cells.obs["area_um2"].iloc[0] == pytest.approx(np.pi * 400, rel=1e-4)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})], "LineString"),
        ([feature(None)], "no geometry"),
        ([feature({"type": "Polygon", "coordinates": [[[0, 0], [1]]]})], "damaged geometry"),
        ([feature(SQUARE, id="a"), feature(SQUARE, id="a")], "two cells with one id"),
        (["rubbish"], "no GeoJSON feature"),
        (None, "holds no features"),
    ],
    ids=["line", "none", "damaged", "ids", "text", "features"],
)
def test_files_that_are_no_cells(tmp_path, features, message):
    with pytest.raises(BadTable, match=message):
        read_geojson(write(tmp_path / "c.geojson", features), mpp=1.0)


def test_cells_with_nucleus_ids_and_notes_as_qupath_has_them(cells, tmp_path):
    whole = np.full((12, 4, 2), np.nan, np.float32)
    whole[0] = cells.obsm["spatial"][0] + [[-6, -6], [6, -6], [6, 6], [-6, 6]]
    cells.obsm["cell_outline_um"] = whole
    cells.obs_names = ["17", *cells.obs_names[1:]]
    cells.obs["note"] = ["mitosis?\nask", *[""] * 10, None]
    cells.obs["classification"] = ["Tumor: Positive", None] * 6
    del cells.obs["ERBB2_class"]
    write_geojson(cells, tmp_path / "c.geojson", mpp=0.5)
    first, second = json.loads((tmp_path / "c.geojson").read_text("utf-8"))["features"][:2]
    UUID(first["id"])
    assert first["geometry"]["coordinates"][0][:-1] == (
        (whole[0].astype(float) / 0.5).round(2).tolist()
    )
    assert len(first["nucleusGeometry"]["coordinates"][0]) == 9
    assert first["properties"]["classification"] == {"names": ["Tumor", "Positive"]}
    assert first["properties"]["metadata"] == {
        "Original id": "17",
        "note": "mitosis?\nask",
        "classification": "Tumor: Positive",
    }
    assert "metadata" not in second["properties"]  # an empty text is none to QuPath
    # As QuPath would send it back: it keeps metadata and drops our member.
    text = (tmp_path / "c.geojson").read_text("utf-8").splitlines()
    text[0] = '{"type":"FeatureCollection","features":['
    (tmp_path / "q.geojson").write_text("\n".join(text), "utf-8")
    back = read_geojson(tmp_path / "q.geojson", mpp=0.5)
    assert back.obs_names[0] == "17"
    assert back.obs["note"].iloc[0] == "mitosis?\nask"
    np.testing.assert_allclose(back.obsm["cell_outline_um"][0], whole[0], atol=0.006)


def test_what_qupath_writes_and_strict_json_has_not(tmp_path):
    """NaN as a number, objects inside an annotation, and an id of version 0.2."""
    text = """{"features": [{"type": "Feature", "id": "PathCellObject", "geometry": %s,
        "properties": {"measurements": {"A": NaN, "B": 2, "C": Infinity}}},
        {"type": "Feature", "geometry": %s, "properties": {"objectType": "annotation",
        "childObjects": [{"type": "Feature", "geometry": %s,
        "properties": {"objectType": "cell", "measurements": {"B": 3}}}]}}]}"""
    point = '{"type": "Point", "coordinates": [%d, 1], "plane": {"c": -1, "z": 0, "t": 0}}'
    (tmp_path / "c.geojson").write_text(text % (point % 1, json.dumps(SQUARE), point % 3))
    cells = read_geojson(tmp_path / "c.geojson", mpp=1.0)
    assert cells.obsm["spatial"].tolist() == [[1, 1], [3, 1]]
    np.testing.assert_array_equal(cells.obs["A"], [np.nan, np.nan])
    np.testing.assert_array_equal(cells.obs["B"], [2, 3])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_values_longer_than_what_is_read_at_once(tmp_path, packed, monkeypatch):
    monkeypatch.setattr("napari_past.io.json_stream._FIRST_READ", 7)
    monkeypatch.setattr("napari_past.io.geojson_reading._BATCH", 2)
    features = [
        feature(
            {"type": "Point", "coordinates": [i + 0.25, 12345.5]},
            properties={"objectType": "cell", "measurements": {f"only {i % 2}": i}},
        )
        for i in range(5)
    ]
    text = json.dumps({"made by": {"a": [1, 2, {}]}, "n": -12.5e2, "features": features}, indent=1)
    path = tmp_path / "c.geojson"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    cells = read_geojson(path, mpp=1.0)
    assert cells.obsm["spatial"].tolist() == [[i + 0.25, 12345.5] for i in range(5)]
    np.testing.assert_array_equal(cells.obs["only 0"], [0, np.nan, 2, np.nan, 4])


HUGE = "9" * 5000
HOSTILE = {
    "cut off": b'{"type": "FeatureCollection", "features": [{"type": "Fea',
    "nested": b'{"features": ' + b"[" * 100_000,
    "nested object": b'{"features": [' + b'{"a":' * 100_000,
    "long number": b'{"features": [{"id": %s}]}' % HUGE.encode(),
    "infinite": b'[{"geometry": {"type": "Point", "coordinates": [1e999, 0]}}]',
    "no number": (
        b'[{"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1,0],[NaN,1],[0,0]]]}}]'
    ),
    "text": b'[{"geometry": "POINT (1 2)"}]',
    "binary": bytes(range(256)),
    "two values": b"{} {}",
    "features are one": b'{"features": {"a": 1}}',
    "nothing": b"",
    "bomb": gzip.compress(b'{"features": [' + b" " * (1 << 27), 9),
    "cut gzip": gzip.compress(b'{"features": []}' * 99)[:-20],
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_one_sentence(tmp_path, content):
    path = tmp_path / "c.geojson"
    path.write_bytes(content)
    with pytest.raises(BadTable) as caught:
        read_geojson(path, mpp=1.0)
    assert len(str(caught.value)) < 400


def test_a_large_sparse_table_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_past.io.growing._CHECKED_FROM", 10_000)
    cells = [
        feature(
            {"type": "Point", "coordinates": [i, 0]},
            properties={"objectType": "cell", "measurements": {f"m{i}": 1}},
        )
        for i in range(200)
    ]
    with pytest.raises(BadTable, match="200 different measurements"):
        read_geojson(write(tmp_path / "c.geojson", cells), mpp=1.0)
