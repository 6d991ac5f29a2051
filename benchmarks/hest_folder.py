"""A small folder in the format of the HEST-Benchmark, from sections of her2st.

    OMP_NUM_THREADS=1 python benchmarks/hest_folder.py FOLDER [--sections C2,C3,C4,C5] [--spots N]
    past-train hest --data FOLDER --towers resnet50,past-mini --random resnet50 --out hest.md

The sections lie in $NAPARI_PAST_DATA/her2st. One task, HER2ST: patches of 224 px at 0.5 µm/px
around the spots, 50 genes chosen as the benchmark does, counts as they are, each section held out
in turn. The folds have one more column than the benchmark's: the content hash of each slide, by
which a model knows what it was trained on. All is of one patient: what comes out shows the way, and
says nothing of towers.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import anndata
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import scanpy
from common import told

from napari_past.errors import PastError
from napari_past.slide import Slide
from napari_past.spatial.picture import open_picture, picture_fingerprint
from napari_past.spatial.section import MeasuredSection
from napari_past.spatial.st import read_st
from past_training.benchmark.task import FINGERPRINT, SPLITS

TASK = "HER2ST"
PATCH_PX, MPP = 224, 0.5
SLIDE_MPP = 0.69  # the spots' pitch of 200 µm is about 290 px
GENES = 50
LEAST_SEEN = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sections", default="C2,C3,C4,C5", help="with commas between them")
    parser.add_argument("--spots", type=int, help="so many of each section, evenly spread")
    options = parser.parse_args()
    data = os.environ.get("NAPARI_PAST_DATA")
    if not data:
        raise PastError("NAPARI_PAST_DATA does not name the folder with her2st/; set it.")
    names = options.sections.split(",")
    write_folder(Path(data) / "her2st", options.folder, names, options.spots)
    print(f"{options.folder / TASK}: {len(names)} sections")


def write_folder(her2st: Path, out: Path, names: list[str], spots: int | None = None) -> None:
    """Write the task's folder below `out`."""
    place = out / TASK
    for part in (SPLITS, "patches", "adata"):
        (place / part).mkdir(parents=True, exist_ok=True)
    rows, tables = [], []
    for name in names:
        section = read_st(her2st, name, patient="C", mpp=SLIDE_MPP, species="human")
        index = _spread(len(section.ids), spots)
        with open_picture(section.image, SLIDE_MPP) as slide:
            _write_patches(place / "patches" / f"{name}.h5", slide, section, index)
            fingerprint = picture_fingerprint(section.image, slide)
        counts = section.counts[index].toarray()
        table = pd.DataFrame(counts, [section.ids[i] for i in index], list(section.genes))
        tables.append(table)
        anndata.AnnData(table.astype(np.float32)).write_h5ad(place / "adata" / f"{name}.h5ad")
        rows.append((name, f"patches/{name}.h5", f"adata/{name}.h5ad", fingerprint))
    genes = {"genes": most_variable(tables)}
    (place / "var_50genes.json").write_text(json.dumps(genes), encoding="utf-8")
    samples = pd.DataFrame(rows, columns=["sample_id", "patches_path", "expr_path", FINGERPRINT])
    for fold in range(len(names)):
        held = np.arange(len(names)) == fold
        samples[held].to_csv(place / SPLITS / f"test_{fold}.csv", index=False)
        samples[~held].to_csv(place / SPLITS / f"train_{fold}.csv", index=False)


def most_variable(tables: list[pd.DataFrame]) -> list[str]:
    """The genes of highest normalised dispersion of log1p(counts), by the benchmark's rule.

    Of those seen in a tenth of the spots of every section; over all spots of all sections, those
    that are held out later included, for the genes belong to the task, not to a fold.
    """
    often = [set(table.columns[(table > 0).mean() >= LEAST_SEEN]) for table in tables]
    common = sorted(set.intersection(*often))
    stacked = pd.concat([table[common] for table in tables], ignore_index=True)
    counts = anndata.AnnData(stacked.rename(index=str).astype(np.float32))
    scanpy.pp.log1p(counts)
    scanpy.pp.highly_variable_genes(counts, n_top_genes=GENES)
    return [str(gene) for gene in counts.var_names[counts.var["highly_variable"]][:GENES]]


def _spread(n: int, wanted: int | None) -> npt.NDArray[np.intp]:
    if wanted is None or wanted >= n:
        return np.arange(n)
    return np.linspace(0, n - 1, wanted).round().astype(np.intp)


def _write_patches(
    path: Path, slide: Slide, section: MeasuredSection, index: npt.NDArray[np.intp]
) -> None:
    side_um = PATCH_PX * MPP
    patches, corners = [], []
    for i in index:
        x_um, y_um = section.centers_um[i] - side_um / 2
        patches.append(slide.read_region(x_um, y_um, side_um, side_um, MPP))
        corners.append((round(x_um / SLIDE_MPP), round(y_um / SLIDE_MPP)))
    with h5py.File(path, "w") as file:
        file.create_dataset("img", data=np.stack(patches), chunks=(1, PATCH_PX, PATCH_PX, 3))
        file["coords"] = np.array(corners, np.int64)
        barcodes = np.array([section.ids[i] for i in index], dtype=object)[:, None]
        file.create_dataset("barcode", data=barcodes, dtype=h5py.string_dtype())


if __name__ == "__main__":
    told(main)
