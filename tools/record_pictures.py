"""The pictures of docs/on-the-fly.md and docs/cell-classes.md: a pathologist's first minutes.

    xvfb-run -a -s "-screen 0 1600x1000x24" python tools/record_pictures.py [SLIDE] --out FOLDER

Without a slide a phantom of 24 mm² is drawn. Results are kept in a folder of the recording's own,
so every run begins on a fresh slide.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from qtpy.QtGui import QImage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from viewing import fresh_cache, look_at, pause, tissue_places, wait_until

WINDOW_PX = (1560, 950)
PHANTOM_PX = (11_000, 8_600)
CLASSES_PX, CLICKS = (2000, 1500), 8
WIDTH_PX = 1240
COLOURS = 192


class Recorder:
    """Saves what the window shows, small enough for a page."""

    def __init__(
        self, viewer, folder: Path, first: int = 1, method=Image.Quantize.MEDIANCUT
    ) -> None:
        self._viewer, self._folder, self._count = viewer, folder, first - 1
        self._method = method
        folder.mkdir(parents=True, exist_ok=True)

    def picture(self, name: str) -> None:
        pause(0.8)
        self._keep(name, self._viewer.screenshot(canvas_only=False, flash=False)[..., :3])

    def window(self, name: str, window) -> None:
        """A window of its own."""
        pause(0.8)
        grabbed = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        rows = np.frombuffer(grabbed.constBits(), np.uint8).reshape(grabbed.height(), -1)
        self._keep(name, rows[:, : 3 * grabbed.width()].reshape(grabbed.height(), -1, 3))

    def _keep(self, name: str, pixels: np.ndarray) -> None:
        self._count += 1
        shot = Image.fromarray(pixels)
        height = round(shot.height * WIDTH_PX / shot.width)
        small = shot.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        path = self._folder / f"{self._count}-{name}.png"
        small.quantize(COLOURS, self._method, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path.name, f"{path.stat().st_size / 1e3:.0f} kB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gene", default="ERBB2")
    parser.add_argument("--classes", action="store_true", help="the picture of cell classes alone")
    options = parser.parse_args()
    fresh_cache()
    slide = options.slide
    if options.classes:
        class_pictures(options.out)
        return
    if slide is None:
        from napari_past.sample import write_phantom

        slide = Path(tempfile.mkdtemp()) / "phantom.ome.tif"
        write_phantom(slide, *PHANTOM_PX, 0.5, seed=11)
    record(slide, options.out, options.gene)


def record(slide: Path, folder: Path, gene: str) -> None:
    import napari

    from napari_past.plugin.region_shapes import add_regions_layer
    from napari_past.plugin.widget import VirtualStaining

    viewer = napari.Viewer(title="napari-past")
    viewer.window.resize(*WINDOW_PX)
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name="Virtual staining", area="right")
    viewer.open(str(slide), plugin="napari-past")
    wait_until(lambda: widget.session is not None and not widget.busy)
    camera, panel = Recorder(viewer, folder), widget.panel
    panel.gene.set_gene(gene)
    viewer.reset_view()
    camera.picture("opened")

    field_um = (600.0, 450.0)
    first, second = tissue_places(widget, 2, 5, field_um)
    look_at(viewer, *first, 0.5)
    wait_until(lambda: len(widget.cells) > 0)
    camera.picture("first-cells")
    wait_until(lambda: not widget.busy)
    camera.picture("view-stained")
    look_at(viewer, *(0.7 * first + 0.3 * second), 0.5)
    pause(0.5)
    wait_until(lambda: not widget.busy)
    camera.picture("panned")
    look_at(viewer, *first, 0.18)
    panel.cutoffs.as_classes.setChecked(True)
    wait_until(lambda: not widget.busy)
    cells = widget.cells
    near = int(np.hypot(*(cells.centers_um - first).T).argmin())
    widget._pointer.picked.emit(near)
    camera.picture("zoomed-and-picked")
    widget._pointer.picked.emit(-1)
    look_at(viewer, *first, 0.5)
    panel.cutoffs.as_expression.setChecked(True)
    panel.gene.set_gene("KRT19")
    camera.picture("another-gene")
    panel.second.set_gene(gene)
    panel.compare.setChecked(True)
    camera.picture("two-genes")
    panel.compare.setChecked(False)
    panel.gene.set_gene(gene)
    layer = add_regions_layer(viewer)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    layer.add_polygons([first[::-1] + ring * (150, 200)])
    layer.mode = "pan_zoom"
    pause(0.5)
    wait_until(lambda: not widget.busy)
    panel.scroller.ensureWidgetVisible(panel.regions)
    camera.picture("region")
    panel.scroller.verticalScrollBar().setValue(0)
    widget.stain_slide()
    wait_until(lambda: not widget.busy, 3600)
    viewer.reset_view()
    camera.picture("whole-slide-map")
    viewer.close()
    class_pictures(folder)


def class_pictures(folder: Path) -> None:
    """Classes by a few clicks on a phantom, whose cells are known: the picture of
    docs/cell-classes.md."""
    import napari

    from napari_past.plugin.widget import VirtualStaining
    from napari_past.sample import draw_phantom
    from napari_past.sample.ome_tiff import write_pyramid

    truth = draw_phantom(*CLASSES_PX, 0.5, 11)
    slide = Path(tempfile.mkdtemp()) / "phantom.ome.tif"
    write_pyramid(slide, truth.rgb, 0.5, "phantom", jpeg=False)
    viewer = napari.Viewer(title="napari-past")
    viewer.window.resize(*WINDOW_PX)
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name="Virtual staining", area="right")
    viewer.open(str(slide), plugin="napari-past")
    wait_until(lambda: widget.session is not None and not widget.busy)
    widget.stain_slide()
    wait_until(lambda: not widget.busy)
    panel, cells = widget.panel, widget.cells
    panel.types.by_class.click()
    middle = truth.centers_um.mean(axis=0)
    away = np.hypot(*(truth.centers_um - middle).T)
    for code, kind in enumerate(sorted(set(truth.kinds))):
        panel.classes.name.setText(str(kind).capitalize())
        panel.classes.add.click()
        of_kind = np.flatnonzero(truth.kinds == kind)
        # Spread over the slide, as a user looks here and there.
        spread = of_kind[np.argsort(away[of_kind])][:: max(1, len(of_kind) // CLICKS)][:CLICKS]
        widget._classing.choose(code)
        for place in truth.centers_um[spread]:
            near = np.hypot(*(cells.centers_um - place).T)
            if near.min() < 2.0:
                widget._pointer.picked.emit(int(near.argmin()))
    wait_until(lambda: not widget.busy)
    look_at(viewer, *middle, 0.35)
    # Few pixels have a class's colour, which an average would lose.
    method = Image.Quantize.MAXCOVERAGE
    Recorder(viewer, folder, 16, method).picture("cell-classes")
    viewer.close()


if __name__ == "__main__":
    main()
