import csv
import io
import json

import numpy as np
import shapely

from napari_past.io import write_score_csv
from napari_past.stain import ScoreRules, score_table
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


def ki67(n=600):
    """Cells evenly of all classes at one place, in a tumour of 1 mm², three of them in a fold."""
    rng = np.random.default_rng(0)
    centers = np.concatenate([rng.uniform(100, 300, (n, 2)), rng.uniform(800, 900, (3, 2))])
    values = np.append(np.arange(n) % 4, [3, 3, 3])
    values = values.astype(float)
    values[0] = np.nan
    regions = [
        Region("A", "Tumour", shapely.box(0, 0, 1000, 1000)),
        Region("fold", "Ignore*", shapely.box(750, 750, 1000, 1000)),
    ]
    rules = ScoreRules(("percent", "hot-spot", "allred"), 500, "tumour nuclei", marker="Ki-67")
    return score_table(values, centers, Cutoffs(1, 2, 3, "given"), regions, rules=rules)


def test_without_an_h_score_its_columns_stay_and_are_empty():
    stream = io.StringIO()
    write_score_csv(ki67(), stream)
    assert stream.getvalue() == f"{HEADER}\nA,Tumour,599,149,150,150,150,75.13,,,\n"


def test_what_is_known_of_each_region_stands_beside_the_scores(tmp_path):
    write_score_csv(ki67(), tmp_path / "scores.csv")
    told = json.loads((tmp_path / "scores.csv.json").read_text())
    assert told["score"] == "% positive"
    assert told["scores"] == ["percent", "hot-spot", "allred"]
    (region,) = told["regions"]
    spot = {key: region.pop(key) for key in list(region) if key.startswith("hot_spot")}
    assert region == {
        "region": "A",
        "role": "Tumour",
        "n": 599,
        "pct_lo": None,
        "pct_hi": None,
        "allred": 7,
        "excluded": 3,
        "without_value": 1,
        "unscored": 0,
        "area_mm2": 0.9375,
        "cells_per_mm2": 638.9,
        "positive_per_mm2": 480.0,
        "insufficient": None,
    }
    assert spot["hot_spot_n"] >= 500
    assert spot["hot_spot_mm2"] == 0.25
    assert 70 < spot["hot_spot_x_um"] < 330


def test_every_column_follows_the_fixed_ones():
    stream = io.StringIO()
    write_score_csv(ki67(400), stream, every_column=True)
    header, row = csv.reader(io.StringIO(stream.getvalue()))
    assert ",".join(header).startswith(f"{HEADER},pct_lo,")
    told = dict(zip(header, row, strict=True))
    assert told["insufficient"] == "insufficient: 399 of 500 tumour nuclei"
    assert (told["excluded"], told["hot_spot_n"], told["h_score"]) == ("3", "", "")


def test_further_columns_come_last(tmp_path):
    centers = np.array([[10.0, 5], [20, 5]])
    regions = [Region(name, "Include", shapely.box(0, 0, 50, 10)) for name in ("A-1", "A-2")]
    table = score_table([0.5, 1.5], centers, Cutoffs(1, 2, 3, "given"), regions)
    further = {"A-2": {"case": "P7", "block": "2"}, "other": {"never": "x"}}
    write_score_csv(table, tmp_path / "s.csv", columns=further)
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == f"{HEADER},case,block"
    assert [line.split(",")[-2:] for line in lines[1:]] == [["", ""], ["P7", "2"]]
    told = json.loads((tmp_path / "s.csv.json").read_text())["regions"]
    assert "case" not in told[0]
    assert (told[1]["case"], told[1]["block"]) == ("P7", "2")
