"""Polygons of others as masks, and the column that says why a cell is not scored."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.io import read_cells, read_marker_table, read_unscored, write_cells
from napari_past.quality import UNSCORED_KINDS

SIZE_UM = (800.0, 600.0)
AREAS = {"glass": 1.5, "blur": 0.25}


def label(kind):
    return UNSCORED_KINDS.index(kind) + 1


def write(path, *features):
    """Features (polygon in µm, class, properties) in pixels of 0.5 µm."""
    objects = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shapely.transform(polygon, lambda um: um / 0.5)),
            "properties": {
                "objectType": "annotation",
                **({"classification": {"name": name}} if name else {}),
                **more,
            },
        }
        for polygon, name, more in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": objects}))
    return path


def test_polygons_become_kinds(tmp_path):
    holed = shapely.box(400, 0, 800, 200).difference(shapely.box(480, 40, 560, 120))
    path = write(
        tmp_path / "qc.geojson",
        (shapely.box(0, 0, 200, 200), "Fold", {}),
        (holed, "PenMarking", {}),
        (shapely.box(0, 400, 80, 480), None, {"name": "Out of focus"}),
        (shapely.box(160, 400, 240, 480), "Something", {}),
        (shapely.box(0, 300, 800, 600), "Tumor", {}),
        (shapely.box(400, 400, 480, 480), "Fold", {"objectType": "cell"}),
    )
    mask = read_unscored(path, SIZE_UM, mpp=0.5)
    assert mask.source == "qc.geojson"
    points = {
        (100, 100): "fold",
        (450, 20): "pen",
        (520, 80): None,
        (40, 440): "blur",
        (200, 440): "other",
        (440, 440): None,
        (700, 500): None,
    }
    expected = [0 if kind is None else label(kind) for kind in points.values()]
    assert mask.kind_at(np.array(list(points))).tolist() == expected
    area = mask.area_mm2()
    assert area["fold"] == pytest.approx(0.04)
    assert area["pen"] == pytest.approx(0.08 - 0.0064)


def test_a_polygon_that_reaches_beyond_the_slide_is_cut(tmp_path):
    path = write(tmp_path / "qc.geojson", (shapely.box(-100, -100, 5000, 5000), "OOF", {}))
    mask = read_unscored(path, SIZE_UM, mpp=0.5)
    assert (mask.labels == label("blur")).all()
    assert mask.labels.shape == (75, 100)


def test_label_images_are_read_too(tmp_path):
    labels = np.zeros((60, 80), np.uint8)
    labels[:10] = label("pen")
    Image.fromarray(labels).save(tmp_path / "m.png")
    assert (read_unscored(tmp_path / "m.png", SIZE_UM).labels == labels).all()


def test_mistakes_are_told(tmp_path):
    far = write(tmp_path / "far.geojson", (shapely.box(2000, 0, 2100, 100), "Fold", {}))
    with pytest.raises(BadTable, match="no polygon of something that must not be scored"):
        read_unscored(far, SIZE_UM, mpp=0.5)
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_unscored(far, SIZE_UM)
    with pytest.raises(BadTable, match="There is no file"):
        read_unscored(tmp_path / "none.geojson", SIZE_UM, mpp=0.5)


@pytest.mark.parametrize("form", ["h5ad", "csv"])
def test_the_column_comes_back_and_is_read_for_scores(tmp_path, cells, form):
    kinds = np.array(["", "blur", "pen", ""] * (cells.n_obs // 4))
    cells.obs["unscored"] = pd.Categorical(kinds, categories=["", *UNSCORED_KINDS])
    cells.uns["napari_past"]["unscored"] = {"source": "method", "mpp": 8.0, "area_mm2": AREAS}
    path = tmp_path / f"cells.{form}"
    write_cells(cells, path, form, 0.5)
    back = read_cells(path)
    assert back.obs["unscored"].astype(str).tolist() == kinds.tolist()
    assert list(back.obs["unscored"].cat.categories) == ["", *UNSCORED_KINDS]
    marker = read_marker_table(path, "KRT19")
    assert marker.unscored.tolist() == kinds.tolist()
    assert marker.unscored_area_mm2 == AREAS


def test_a_table_without_the_column_says_nothing(tmp_path, cells):
    write_cells(cells, tmp_path / "cells.csv", "csv", 0.5)
    marker = read_marker_table(tmp_path / "cells.csv", "KRT19")
    assert marker.unscored is None
    assert marker.unscored_area_mm2 == {}


@pytest.mark.parametrize("values", [("False", "True"), ("0", "1"), ("", "other")])
def test_yes_and_no_of_others(tmp_path, values):
    path = tmp_path / "cells.csv"
    path.write_text(f"x_um,y_um,ERBB2,unscored\n1,1,2,{values[0]}\n2,2,3,{values[1]}\n")
    assert read_marker_table(path, "ERBB2").unscored.tolist() == ["", "other"]
