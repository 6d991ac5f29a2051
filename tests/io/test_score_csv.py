import io

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
