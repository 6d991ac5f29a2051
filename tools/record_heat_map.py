"""The picture of a heat map in docs/patients.md: a network fitted to a drawn slide, laid over it.

    xvfb-run -a -s "-screen 0 1600x1000x24" python tools/record_heat_map.py --out docs/images

Squares of one drawn slide stand for patients, and the part of their cells that was drawn as
epithelium for the outcome: the picture shows what a map looks like and is evidence of nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from record_pictures import WINDOW_PX, Recorder
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from viewing import fresh_cache, pause, wait_until

PHANTOM_PX, MPP, SEED = (8000, 6000), 0.5, 11
BLOCK_UM = 400.0
NUMBER = 17
STAND_IN = (
    "none: squares of one drawn slide stand for patients, and their part of epithelium for the "
    "outcome"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    fresh_cache()
    work = Path(tempfile.mkdtemp())
    slide, heat_map = mapped_phantom(work)
    record(slide, heat_map, options.out)


def mapped_phantom(work: Path) -> tuple[Path, Path]:
    """A drawn slide, and the heat map of a network that was fitted to squares of it."""
    from napari_past import predict
    from napari_past.sample import draw_phantom
    from napari_past.sample.ome_tiff import write_pyramid
    from napari_past.slide import open_slide
    from past_training.slide_level.bags.array_bag import ArrayBag
    from past_training.slide_level.bags.prepared import ModelIdentity, Prepared, PreparedSlide
    from past_training.slide_level.cohort.cohort import Cohort
    from past_training.slide_level.fitting import (
        FitOptions,
        Origin,
        SlideNetwork,
        SurvivalTarget,
        fit_network,
    )
    from past_training.slide_level.maps import write_maps

    truth = draw_phantom(*PHANTOM_PX, MPP, SEED)
    path = work / "phantom.ome.tif"
    write_pyramid(path, truth.rgb, MPP, "phantom", jpeg=True)
    slide = open_slide(path)
    cells = predict(slide, model="past-mini").compute()
    places, vectors, model = cells.centers_um, cells.embeddings, cells.model
    _, nearest = cKDTree(truth.centers_um).query(places)
    epithelial = truth.kinds[nearest] == "epithelial"

    column_row = (places // BLOCK_UM).astype(int)
    _, block = np.unique(column_row, axis=0, return_inverse=True)
    block = block.ravel()
    parts = [np.flatnonzero(block == k) for k in range(block.max() + 1)]
    parts = [part for part in parts if len(part) >= 100]
    share = np.array([epithelial[part].mean() for part in parts])
    bags = [ArrayBag(str(k), vectors[part], places[part]) for k, part in enumerate(parts)]
    of_slide = PreparedSlide(
        name=path.name, place=str(path), patient="drawn", fingerprint=slide.fingerprint,
        size_um=slide.size_um, mpp=slide.mpp, cells=len(places), instances=len(places),
        unreadable_tiles=0, left_out={}, digest="",
    )  # fmt: skip
    prepared = Prepared(
        folder=work, cohort=Cohort("drawn", ("drawn",)),
        model=ModelIdentity(model.name, model.sha256, vectors.shape[1]), instances="cells",
        tile_um=None, slides=(of_slide,), bags=(ArrayBag(path.name, vectors, places),),
        summaries=pd.DataFrame(index=["drawn"]), mean_vectors=vectors.mean(axis=0)[None],
    )  # fmt: skip
    target = SurvivalTarget(10.0 - 9.0 * share, np.ones(len(parts), np.bool_))
    network = fit_network(bags, target, FitOptions(epochs=60), origin=Origin.of(prepared))
    card = network.card.model_copy(update={"evidence": STAND_IN})
    (heat_map,) = write_maps(SlideNetwork(card, network.module), prepared, work)
    return path, heat_map


def record(slide: Path, heat_map: Path, folder: Path) -> None:
    import napari

    from napari_past.plugin.widget import VirtualStaining

    viewer = napari.Viewer(title="napari-past")
    viewer.window.resize(*WINDOW_PX)
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name="Virtual staining", area="right")
    widget.panel.live.setChecked(False)
    viewer.open(str(slide), plugin="napari-past")
    wait_until(lambda: widget.session is not None and not widget.busy)
    viewer.reset_view()
    viewer.open(str(heat_map), plugin="napari-past")
    wait_until(lambda: widget._heat.found is not None and not widget.busy)
    panel = widget.panel
    panel.heat.channels.setCurrentIndex(1)
    panel.heat.channels.activated.emit(1)
    pause(0.5)
    top = panel.heat.mapTo(panel.scroller.widget(), panel.heat.rect().topLeft()).y()
    panel.scroller.verticalScrollBar().setValue(top - 40)
    # Else rare colours are lost to the slide's many, and the scale would show others than it has.
    Recorder(viewer, folder, NUMBER, Image.Quantize.MAXCOVERAGE).picture("heat-map")
    viewer.close()


if __name__ == "__main__":
    main()
