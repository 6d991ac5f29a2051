"""Does the model know what it was not trained on? Flags of cells and of slides, and error.

    OMP_NUM_THREADS=1 python benchmarks/unlike.py FOLDER --data her2st.past [--json FILE]
        [--out docs/unlike.md]

FOLDER holds monuseg_train/, crc_nuclei/, ihc_ki67/ and slides/; the dataset is one of her2st
at the bundled model's µm/px, with patches as wide as it sees. Mean, axes and limit are worked out
again from the cells of three her2st sections, as the recipe does from four, and tested
on the fourth and on everything else; figures are means over the four folds, and the slide's verdict
is that of the worst fold (highest for her2st, lowest for others). The tower is the shipped one and
has seen all four sections, so held-out figures are optimistic; her2st is one patient, and no other
frozen breast section is at hand: nothing here tells how a new patient of the same kind fares.
MoNuSeg's breast tiles are paraffin, another preparation.

The second table drops the spots whose cells look most unlike (mean distance of a spot's cells) and
gives the error of what is kept: mean |predicted − measured| of the 250 most variable genes, with a
read-out fitted on the other three sections.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image
from scipy import ndimage
from scipy.stats import mannwhitneyu

import napari_past as past
from napari_past.cells import read_block
from napari_past.model import Model
from napari_past.model.likeness import LEAST_SLIDE_CELLS, Likeness
from napari_past.slide import Slide, slide_of_array
from napari_past.types import PixelGrid
from napari_past.validation.ridge import fit_ridge
from past_training.dataset.read import open_dataset
from past_training.evaluation.gene_choice import chosen_genes
from past_training.evaluation.rows import SectionRows, TrainingSet, all_rows
from past_training.evaluation.towers import ModelTower
from past_training.release.recipe import load_recipe
from past_training.release.unlike import likeness, slide_limit

FloatArray = npt.NDArray[np.float32]
BREAST = ("TCGA-A7-A13E", "TCGA-AR-A1AK", "TCGA-AR-A1AS")
BLUR_UM = 3.0
INK = (30, 70, 150)
COVERAGES = (1.0, 0.9, 0.75, 0.5)
PENALTY = 1.0


@dataclass(frozen=True)
class Limits:
    """Training cells and what they flag, as the recipe works it out."""

    like: Likeness
    cell: float
    slide: float

    @staticmethod
    def of(groups: Sequence[FloatArray], quantile: float) -> Limits:
        cells = np.concatenate(groups)
        like = likeness(cells)
        limit = slide_limit(groups)
        assert limit is not None, "too few cells"
        return Limits(like, float(np.quantile(like.of_cells(cells), quantile)), limit)

    def of_cells(self, cells: FloatArray) -> FloatArray:
        return self.like.of_cells(cells) / np.float32(self.cell)

    def of_slide(self, cells: FloatArray) -> float:
        """Groups of few cells are told apart in the table."""
        return self.like.of_mean(cells.mean(0), len(cells)) / self.slide


def of_slide(model: Model, slide: Slide) -> FloatArray:
    """Embeddings of the nuclei that the default detector finds."""
    centers_um = past.find_cells(slide).centers_um
    encoder = model.card.encoder
    rgb, grid = read_block(slide, slide.bounds, encoder.mpp, encoder.halo_px)
    return model.encode_tile(rgb, grid, centers_um).astype(np.float32)


def others(folder: Path, model: Model) -> Iterator[tuple[str, FloatArray]]:
    """(group, embeddings) of tissue that is none of her2st."""

    def picture(path: Path, mpp: float) -> FloatArray:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        return of_slide(model, slide_of_array(pixels, mpp))

    tiles = sorted((folder / "monuseg_train").glob("*.tif"))
    for tile in tiles:
        breast = tile.name.startswith(BREAST)
        yield f"{'breast' if breast else 'lung'}, paraffin (MoNuSeg)", picture(tile, 0.25)
    for tile in sorted((folder / "crc_nuclei").glob("*.png")):
        yield "colon, paraffin (CRC)", picture(tile, 0.5)
    with past.open_slide(folder / "slides" / "CMU-1-Small-Region.svs") as slide:
        yield "skin, paraffin (CMU-1)", of_slide(model, slide)
    for tile in sorted((folder / "ihc_ki67").glob("*.png")):
        if "groundtruth" not in tile.name:
            yield "IHC (Ki67)", picture(tile, 0.25)
    ihc = slide_of_array(skimage.data.immunohistochemistry(), 0.5)
    yield "IHC (scikit-image's colon, µm/px assumed)", of_slide(model, ihc)


def spoiled(
    model: Model,
    rows: SectionRows,
    change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
) -> FloatArray:
    """Embeddings of the nuclei of a section's rows on changed pixels."""
    grid, parts = PixelGrid(0.0, 0.0, rows.mpp), []
    for number, pixels in rows.patches():
        first, stop = np.searchsorted(rows.nuclei.patch, [number, number + 1])
        changed = np.rint(change(pixels.astype(np.float32))).clip(0, 255).astype(np.uint8)
        centers_um = grid.to_um(rows.nuclei.yx_px[first:stop])
        parts.append(model.encode_tile(changed, grid, centers_um))
    return np.concatenate(parts).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", required=True, help="the paired dataset of her2st")
    parser.add_argument("--json", type=Path, help="write every number there")
    parser.add_argument("--out", type=Path, help="write the tables as Markdown there")
    options = parser.parse_args()
    recipe, model = load_recipe("past-mini"), past.load_model("past-mini", "cpu")
    train = all_rows(open_dataset(options.data))
    sections, tower = train.rows, ModelTower(model, model.name)
    clean = [tower.embed_nuclei(rows).astype(np.float32) for rows in sections]
    sigma = BLUR_UM / model.card.encoder.mpp
    changes = {
        f"her2st, blurred by {BLUR_UM:g} µm": lambda c: ndimage.gaussian_filter(
            c, (sigma, sigma, 0)
        ),
        "her2st, under blue ink": lambda c: c * (np.array(INK, np.float32) / 255) ** 0.8,
    }
    # One section is enough: its own fold judges it.
    worse = {name: spoiled(model, sections[-1], change) for name, change in changes.items()}
    groups: dict[str, list[FloatArray]] = {}
    for name, cells in others(options.folder, model):
        groups.setdefault(name, []).append(cells)

    rows: dict[str, dict[str, list[float]]] = {}
    chunks: list[float] = []
    errors: dict[float, list[float]] = {c: [] for c in COVERAGES}
    ranks: list[float] = []

    def note(name: str, statistics: Limits, cells: FloatArray, held: FloatArray) -> None:
        row = rows.setdefault(name, {"flagged": [], "auc": [], "slide": [], "n": [len(cells)]})
        here, there = statistics.of_cells(cells), statistics.of_cells(held)
        row["flagged"].append(float((here > 1).mean()))
        row["auc"].append(float(mannwhitneyu(here, there).statistic / len(here) / len(there)))
        row["slide"].append(statistics.of_slide(cells))

    names = [rows.record.name for rows in sections]
    x = [tower.embed(rows) for rows in sections]
    for i, section in enumerate(sections):
        rest = [j for j in range(len(sections)) if j != i]
        statistics = Limits.of([clean[j] for j in rest], recipe.card.unlike_training_quantile)
        held = clean[i]
        note("her2st, the held-out section", statistics, held, held)
        near = np.array_split(held, len(held) // LEAST_SLIDE_CELLS)
        chunks += [statistics.of_slide(part) for part in near]
        if i == len(sections) - 1:
            for name, cells in worse.items():
                note(name, statistics, cells, held)
        for name, parts in groups.items():
            note(name, statistics, np.concatenate(parts), held)
        others_ = train.dataset.select(sections=[names[j] for j in rest])
        choice = chosen_genes(TrainingSet(others_, tuple(sections[j] for j in rest)))
        genes = [choice.genes[k] for k in choice.variable]
        readout = fit_ridge(
            np.concatenate([x[j] for j in rest]),
            np.concatenate([sections[j].values(genes) for j in rest]),
            PENALTY,
        )
        error = np.abs(readout.expression(x[i]) - section.values(genes)).mean(1)
        spot_of_cell = section.nuclei.row
        distance = np.bincount(spot_of_cell, statistics.of_cells(held)) / np.bincount(spot_of_cell)
        order = np.argsort(distance)
        for coverage in COVERAGES:
            errors[coverage].append(float(error[order[: round(coverage * len(order))]].mean()))
        ranks.append(float(np.corrcoef(np.argsort(order), np.argsort(np.argsort(error)))[0, 1]))

    lines = [
        "| tissue | cells | cells flagged | AUC against held-out her2st cells | "
        "slide's distance over its limit | slide flagged |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        own = name == "her2st, the held-out section"
        verdict = max(row["slide"]) if own else min(row["slide"])
        few = " (too few cells for a verdict)" if row["n"][0] < LEAST_SLIDE_CELLS else ""
        lines.append(
            f"| {name} | {int(row['n'][0])} | {100 * np.mean(row['flagged']):.1f} % | "
            f"{np.mean(row['auc']):.2f} | {verdict:.2f} | "
            f"{'yes' if verdict > 1 else 'no'}{few} |"
        )
    flagged = sum(c > 1 for c in chunks)
    lines += [
        "",
        f"Groups of at least {LEAST_SLIDE_CELLS} neighbouring held-out her2st cells flagged as if "
        f"they were slides: {flagged} of {len(chunks)} (largest {max(chunks):.2f}).",
        "",
        "| spots kept | " + " | ".join(names) + " | mean |",
        "|---|" + "---|" * (len(sections) + 1),
    ]
    for coverage, values in errors.items():
        cells_ = " | ".join(f"{v:.4f}" for v in values)
        lines.append(f"| {100 * coverage:.0f} % | {cells_} | {np.mean(values):.4f} |")
    per_section = ", ".join(f"{r:.2f}" for r in ranks)
    lines += ["", f"Rank correlation of distance and error over spots: {per_section}.", ""]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines), encoding="utf-8")
    if options.json:
        told = {"rows": rows, "chunks": chunks, "errors": errors, "rank_correlation": ranks}
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
