import json

import numpy as np
import pandas as pd
import pytest

from napari_past.errors import BadTable
from napari_past.io import read_csv, write_csv


def test_columns_and_the_sidecar(cells, tmp_path):
    write_csv(cells, tmp_path / "cells.csv")
    lines = (tmp_path / "cells.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "id,x_um,y_um,area_um2,hematoxylin_od,unlike_training,ERBB2_class,ERBB2,CD3D,CD3E,KRT19,"
        "outline_um"
    )
    assert len(lines) == 13
    assert lines[3].split(",")[6:8] == ["", ""], "neither a value nor a class"
    told = json.loads((tmp_path / "cells.csv.json").read_text(encoding="utf-8"))
    assert told["model"]["name"] == "past-mini"
    assert told["coordinates"]["axes"] == ["x", "y"]
    assert told["coordinates"]["unit"] == "µm"
    assert told["columns"]["area_um2"]["unit"] == "µm²"
    assert told["genes"]["units"] == ["log1p(counts per 10k)"] * 4
    assert told["genes"]["columns"]["r"]["values"] == [0.31, None, 0.2, 0.44]


def test_a_table_of_somebody_else(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("\ufeffx_um,y_um,kind,ERBB2\n1.5,2,a,0.7\n3,4,b,\n", encoding="utf-8")
    cells = read_csv(path)
    assert cells.var_names.tolist() == ["ERBB2"]
    assert cells.obs["kind"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(cells.X, np.array([[0.7], [np.nan]], np.float32))
    assert cells.obsm["spatial"].tolist() == [[1.5, 2], [3, 4]]
    assert cells.obs_names.tolist() == read_csv(path).obs_names.tolist()


def test_a_sidecar_of_other_columns_is_not_believed(cells, tmp_path):
    write_csv(cells, tmp_path / "cells.csv")
    (tmp_path / "cells.csv").write_text("x_um,y_um,KRT7\n1,2,3\n")
    assert read_csv(tmp_path / "cells.csv").var_names.tolist() == ["KRT7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_um,ERBB2\n1,2\n", "no column y_um"),
        ("x_um,y_um\n1,2\n3,\n", "Line 3 of cells.csv has no position"),
        ("x_um,y_um\n1,two\n", "text in x_um, y_um where numbers were expected"),
        ("id,x_um,y_um\na,1,2\na,3,4\n", "two rows with one id"),
        ("", "cannot be read as a CSV table"),
        ("x_um,y_um\n1,2,3,4\n1,2\n1,2,3,4,5,6\n", "cannot be read as a CSV table"),
    ],
    ids=["column", "hole", "text", "ids", "empty", "ragged"],
)
def test_tables_that_are_none(tmp_path, text, message):
    path = tmp_path / "cells.csv"
    path.write_text(text)
    with pytest.raises(BadTable, match=message):
        read_csv(path)


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_spreadsheet_with_semicolons_is_read(cells, tmp_path, decimal):
    write_csv(cells, tmp_path / "cells.csv")
    path = tmp_path / "cells.csv"
    frame = pd.read_csv(path, dtype={"id": str}, float_precision="round_trip")
    frame.to_csv(path, sep=";", decimal=decimal, index=False, encoding="utf-8-sig")
    back = read_csv(tmp_path / "cells.csv")
    assert back.obs_names.tolist() == cells.obs_names.tolist()
    np.testing.assert_array_equal(back.X, cells.X)
    np.testing.assert_array_equal(back.obsm["spatial"], cells.obsm["spatial"])
