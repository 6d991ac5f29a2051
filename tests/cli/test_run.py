from __future__ import annotations

import csv
import json
import shutil
import signal
import sys
import time
from types import SimpleNamespace

import anndata
import numpy as np
import psutil
import pytest
import tifffile
from skimage.color import rgb2hed

from napari_past.cli import slide_run
from napari_past.io import read_cells
from napari_past.model import likeness
from napari_past.slide import open_slide
from napari_past.types import RESEARCH_USE

CMU = "CMU-1-Small-Region.svs"


def square(x, y, side, role, name):
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "annotation",
            "name": name,
            "classification": {"name": role},
        },
    }


def write_rois(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_cells_of_a_real_slide_lie_on_nuclei(command, slides, tmp_path):
    file = tmp_path / "x.h5ad"
    x0, y0, width, height = 300, 300, 300, 250
    done = command(
        "run",
        slides / CMU,
        "--region",
        f"{x0},{y0},{width},{height}",
        "--out",
        file,
        "--genes",
        "ERBB2,EPCAM,FASN,CD74",
    )
    assert done.code == 0, done.err
    assert "tile 0/" in done.err
    assert str(file) in done.out
    assert "past-mini" in done.out
    assert RESEARCH_USE in done.out

    scanpy = pytest.importorskip("scanpy")
    adata = scanpy.read_h5ad(file)
    assert list(adata.var_names) == ["ERBB2", "EPCAM", "FASN", "CD74"]
    assert adata.n_obs > 50
    assert f"{adata.n_obs} cells" in done.out
    assert np.isfinite(adata.X).all()
    assert adata.uns["napari_past"]["slide"]["mpp"] == pytest.approx(0.499)
    x, y = np.asarray(adata.obsm["spatial"]).T
    assert ((x >= x0) & (x < x0 + width) & (y >= y0) & (y < y0 + height)).all()

    with open_slide(slides / CMU) as slide:
        mpp = slide.require_mpp()
        rgb = slide.read_region(x0, y0, width, height, mpp)
        hematoxylin = rgb2hed(rgb)[..., 0]
        rng = np.random.default_rng(0)
        points = rng.uniform((x0, y0), (x0 + width, y0 + height), (4000, 2))
        points = points[slide.tissue_mask().contains(points)]
    at = ((np.stack([x, y], axis=1) - (x0, y0)) / mpp).astype(int)
    there = np.minimum(((points - (x0, y0)) / mpp).astype(int), np.array(rgb.shape[1::-1]) - 1)
    centers, tissue = hematoxylin[at[:, 1], at[:, 0]], hematoxylin[there[:, 1], there[:, 0]]
    print(f"haematoxylin OD: centres {centers.mean():.3f}, tissue {tissue.mean():.3f}")
    assert centers.mean() > 1.3 * tissue.mean()
    assert np.median(centers) > np.quantile(tissue, 0.8)


def test_region_of_a_pyramid_to_a_folder_without_cache(command, slides, tmp_path, cache_dir):
    before = sorted(cache_dir.rglob("*"))
    done = command(
        "run",
        slides / "her2st_C5_pyramid.tif",
        "--region",
        "3000,3000,200,200",
        "--out",
        tmp_path / "new" / "out",
        "--format",
        "csv",
        "--genes",
        "KRT19",
        "--no-cache",
    )
    assert done.code == 0, done.err
    adata = read_cells(tmp_path / "new" / "out" / "her2st_C5_pyramid.csv")
    xy = np.asarray(adata.obsm["spatial"])
    assert adata.n_obs > 20
    assert ((xy >= 3000) & (xy < 3200)).all()
    assert sorted(cache_dir.rglob("*")) == before


def test_cells_of_workers_are_those_of_this_process(command, phantom, tmp_path, monkeypatch):
    tables = []
    monkeypatch.setattr(slide_run, "MANY_CELLS", 10)  # the workers end before the file is written
    monkeypatch.setattr(likeness, "LEAST_SLIDE_CELLS", 100)
    for few in (0, 99):
        monkeypatch.setattr(slide_run, "FEW_TILES", few)
        file = tmp_path / f"{few}.h5ad"
        arguments = ("run", phantom, "--out", file, "--genes", "ERBB2", "--no-cache")
        done = command(*arguments)
        assert done.code == 0
        assert "This slide as a whole looks unlike the tissue" in done.out
        tables.append(file.read_bytes())
    assert tables[0] == tables[1]


def test_scheduler_that_is_not_there(command, told_once, phantom, tmp_path):
    out = tmp_path / "x.h5ad"
    done = command("run", phantom, "--out", out, "--scheduler", "127.0.0.1:1")
    assert "No dask scheduler answers at 127.0.0.1:1" in told_once(done)
    assert not out.exists()


def test_what_must_not_be_scored_is_told(command, phantom, tmp_path):
    out = tmp_path / "x.h5ad"
    assert command("run", phantom, "--out", out, "--genes", "ERBB2").code == 0
    table = anndata.read_h5ad(out)
    assert "unscored" in table.obs
    assert table.uns["napari_past"]["unscored"]["source"].startswith("found by napari-past")


def test_cells_outside_of_regions_are_left_out(command, phantom, tmp_path):
    rois = write_rois(
        tmp_path / "rois.geojson",
        square(100, 100, 300, "Tumor", "T"),
        square(500, 300, 200, "Stroma", "S"),
        square(100, 100, 150, "Ignore*", "fold"),
    )
    file = tmp_path / "cells.geojson"
    done = command("run", phantom, "--out", file, "--rois", rois, "--genes", "ERBB2")
    assert done.code == 0, done.err
    xy_px = np.asarray(read_cells(file).obsm["spatial"]) / 0.5
    in_t = ((xy_px >= 100) & (xy_px < 400)).all(axis=1)
    in_s = ((xy_px >= (500, 300)) & (xy_px < (700, 500))).all(axis=1)
    assert (in_t | in_s).all()
    assert in_t.any()
    in_fold = ((xy_px >= 100) & (xy_px < 250)).all(axis=1)
    assert not in_fold.any(), "Ignore* wins"
    assert "cells in Ignore* regions" in done.out
    assert in_s.any()


def test_several_slides_and_overwriting(command, phantom, tmp_path):
    again = tmp_path / "again.tif"
    shutil.copy(phantom, again)
    out = tmp_path / "out"
    arguments = ("run", phantom, again, phantom, "--out", out, "--genes", "ERBB2")
    done = command(*arguments)
    assert done.code == 0
    assert "phantom.ome.tif is given twice and is analysed once" in done.err
    files = [out / "phantom.h5ad", out / "again.h5ad"]
    assert {p for p in out.iterdir() if p.name[0] != "."} == {*files, out / "summary.csv"}
    first, second = (anndata.read_h5ad(file) for file in files)
    np.testing.assert_array_equal(first.X, second.X)
    before = {file: file.stat().st_mtime_ns for file in files}
    done = command(*arguments)
    assert (done.code, "2 finished before" in done.err) == (0, True)
    assert {file: file.stat().st_mtime_ns for file in files} == before
    done = command(*arguments, "--force")
    assert (done.code, "2 analysed" in done.err) == (0, True)
    assert all(file.stat().st_mtime_ns != before[file] for file in files)


def test_a_slide_is_never_overwritten(command, told_once, phantom, tmp_path):
    copy = tmp_path / "slide.tif"
    shutil.copy(phantom, copy)
    before = copy.read_bytes()
    done = command("run", copy, "--out", copy, "--format", "csv", "--force")
    assert "read by this command" in told_once(done)
    assert copy.read_bytes() == before


def test_the_disk_is_checked_before_the_work(command, told_once, phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    done = command("run", phantom, "--out", tmp_path / "x.h5ad", "--genes", "all", "--no-cache")
    assert "GB free" in told_once(done)
    assert not list(tmp_path.iterdir())


def test_all_genes(command, phantom, tmp_path):
    file = tmp_path / "x.h5ad"
    assert command("run", phantom, "--out", file, "--genes", "all").code == 0
    assert anndata.read_h5ad(file).n_vars > 1000


def test_glass_gives_an_explained_empty_table(command, phantom, tmp_path):
    file = tmp_path / "x.h5ad"
    done = command("run", phantom, "--out", file, "--region", "0,0,2,2", "--genes", "ERBB2")
    assert done.code == 0, done.err
    assert anndata.read_h5ad(file).n_obs == 0
    assert ": 0 cells" in done.out


def test_unreadable_tiles_are_listed(command, slides, tmp_path):
    copy = tmp_path / "damaged.tif"
    shutil.copy(slides / "her2st_C5_pyramid.tif", copy)
    with tifffile.TiffFile(copy) as tif:
        page = tif.pages[0]
        columns = -(-page.imagewidth // page.tilewidth)
        tile = (4346 // page.tilelength) * columns + 4346 // page.tilewidth
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with copy.open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    out = tmp_path / "x.h5ad"
    done = command("run", copy, "--out", out, "--region", "2990,2990,20,20", "--genes", "ERBB2")
    assert done.code == 1, done
    assert "could not be read" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert len(anndata.read_h5ad(out).uns["napari_past"]["unreadable_tiles"]) >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_ctrl_c_keeps_finished_tiles(started, slides, tmp_path, cache_dir):
    out = tmp_path / "x.h5ad"
    before = set(cache_dir.rglob("*.tile"))
    # A measured stain: neither the command nor its workers load torch.
    slide, stain = slides / "her2st_C5_pyramid.tif", ("--detector", "ihc-nuclear")
    process = started("run", slide, "--out", out, *stain)
    while process.poll() is None and set(cache_dir.rglob("*.tile")) == before:
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers, "so many tiles run in workers"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)
    assert err.splitlines()[-1].startswith("napari-past: cancelled after ")
    assert "distributed" not in err
    assert "Traceback" not in err
    assert not out.exists()
    assert set(cache_dir.rglob("*.tile")) > before


def test_unreadable_tiles_among_several_slides_are_listed(command, phantom, slides, tmp_path):
    damaged = tmp_path / "damaged.svs"
    shutil.copy(slides / CMU, damaged)
    with tifffile.TiffFile(damaged) as tif:
        offset, count = tif.pages[0].dataoffsets[40], tif.pages[0].databytecounts[40]
    with damaged.open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    out = tmp_path / "out"
    region = ("--region", "0,0,500,380")
    done = command("run", damaged, phantom, "--out", out, "--genes", "ERBB2", *region)
    assert done.code == 1, done
    told = done.err.splitlines()[-2]
    assert "tiles of damaged.svs could not be read" in told
    assert sorted(p.name for p in out.glob("*.h5ad")) == ["damaged.h5ad", "phantom.h5ad"]
    rows = list(csv.DictReader((out / "summary.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done", "done"]
    assert [row["unreadable_tiles"] != "0" for row in rows] == [True, False]
    assert "could not be read" in rows[0]["reason"]
