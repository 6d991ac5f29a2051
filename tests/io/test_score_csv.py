import io
import json

import numpy as np
import shapely

from napari_past.io import write_score_csv
from napari_past.stain import score_table
from napari_past.types import Cutoffs, Region

HEADER = "region,role,n,n0,n1,n2,n3,pct_positive,h_score,lo,hi"


def test_scores_as_lines(tmp_path):
    centers = np.array([[10.0, 5], [20, 5], [30, 5]])
    regions = [
        Region("a, b", "Tumour", shapely.box(0, 0, 100, 10)),
        Region("none", "Include", shapely.box(0, 50, 100, 60)),
    ]
    table = score_table([0.5, 1.5, 2.5], centers, Cutoffs(1, 2, 3, "given"), regions)
    stream = io.StringIO()
    write_score_csv(table, stream)
    assert stream.getvalue() == (
        f'{HEADER}\n"a, b",Tumour,3,1,1,1,0,66.67,100.0,,\nnone,Include,0,0,0,0,0,,,,\n'
    )
    write_score_csv(table, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == stream.getvalue()


def test_what_is_not_scored_stands_beside_the_scores(tmp_path):
    centers = np.array([[10.0, 5], [20, 5], [30, 5]])
    kinds = np.array(["", "fold", ""])
    areas = {"glass": 2.0, "fold": 0.25}
    table = score_table(
        [0.5, 1.5, 2.5], centers, Cutoffs(1, 2, 3, "given"), unscored=kinds, unscored_area_mm2=areas
    )
    write_score_csv(table, tmp_path / "scores.csv")
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines == [HEADER, "slide,All nuclei,2,1,0,1,0,50.00,100.0,,"]
    told = json.loads((tmp_path / "scores.csv.json").read_text())
    assert told["unscored"] == 1
    assert told["unscored_cells"] == {"fold": 1}
    assert told["unscored_area_mm2"] == areas
