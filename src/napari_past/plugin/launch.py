"""napari with a slide and the docked widget, for the command line."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_past.plugin.measured.drops import in_front
from napari_past.plugin.reader import slide_layer
from napari_past.plugin.region_shapes import add_regions_layer, complete_names
from napari_past.plugin.telling import too_wide
from napari_past.plugin.viewport import fly_to
from napari_past.plugin.widget import VirtualStaining
from napari_past.slide import open_slide
from napari_past.slide.place import is_remote
from napari_past.space import world_from_um
from napari_past.types import Rect

DOCK_NAME = "Virtual staining"
WINDOW_PX = (1560, 950)
CLOSE_UP_UM = 420.0
"""Width of the part of the slide that the demo's picture shows."""
_SETTLE_MS = 800
_LONGEST_MS = 30 * 60 * 1000


def view(path: str | None, mpp: float | None = None, series: int | str | None = None) -> None:
    """Open napari with the slide, where given, and the docked widget; returns when it is closed.

    Parameters
    ----------
    path
        Or an address, which is opened beside the window: what goes wrong then is told there.

    Raises
    ------
    SlideError
        The slide cannot be opened; no window appears then.
    """
    far = path is not None and is_remote(path)
    layer = None if path is None or far else slide_layer(open_slide(path, mpp, series))
    viewer = napari.Viewer(title="napari-past")
    widget = _dock(viewer)
    if path is not None and far:
        widget.open_slide(path, mpp, series)
    if layer is not None:
        data, arguments, _ = layer
        viewer.add_image(data, **arguments)
    napari.run()


def demo(
    path: str,
    screenshot: Path,
    mpp: float | None = None,
    gene: str = "ERBB2",
    keep_open: bool = False,
) -> None:
    """The whole job in a window: stain, draw a tumour region, score it, save a picture of it.

    Parameters
    ----------
    path
        A slide. Small ones are stained whole, of others a part of the tissue.
    screenshot
        Where the picture of the window goes (.png).
    mpp
        µm/px, where the file has none.
    gene
        Gene or marker.
    keep_open
        Leave the window to the user; returns when it is closed.

    Raises
    ------
    SlideError
        The slide cannot be opened, or has no µm/px.
    """
    slide = open_slide(path, mpp)
    bounds = slide.bounds
    data, arguments, _ = slide_layer(slide)
    viewer = napari.Viewer(title="napari-past demo")
    viewer.window.resize(*WINDOW_PX)
    widget = _dock(viewer)
    viewer.add_image(data, **arguments)
    viewer.reset_view()
    _wait_until_idle(widget)
    widget.panel.gene.set_gene(gene)
    if not too_wide(bounds):
        widget.stain_slide()
    else:
        tissue = slide.tissue_mask()
        rows, columns = np.nonzero(tissue.mask)
        x_um, y_um = np.median(columns) * tissue.mpp, np.median(rows) * tissue.mpp
        fly_to(viewer, _square(x_um, y_um, 1000.0))
        widget.stain_view()
    _wait_until_idle(widget)
    cells = widget.cells
    if cells is not None and len(cells):
        close_up = _dense(cells.centers_um)
        _add_tumour(viewer, close_up)
        fly_to(viewer, close_up)
        if widget.view is not None and widget.view.points is not None:
            viewer.layers.selection.active = widget.view.points
    _pause(_SETTLE_MS)
    viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
    if keep_open:
        napari.run()
    else:
        viewer.close()


def open_address(viewer: napari.Viewer) -> None:
    """Dock the widget, where it is not yet, and have it ask for the address of a slide."""
    taker = in_front()
    if taker is None:
        _, taker = viewer.window.add_plugin_dock_widget("napari-past", DOCK_NAME)
    taker.ask_address()


def _dock(viewer: napari.Viewer) -> VirtualStaining:
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name=DOCK_NAME, area="right")
    return widget


def _dense(centers_um: np.ndarray) -> Rect:
    """A square of `CLOSE_UP_UM` with many cells, as near to the middle of the tissue as can be."""
    squares, counts = np.unique(
        np.floor(centers_um / CLOSE_UP_UM).astype(int), axis=0, return_counts=True
    )
    squares = squares[counts >= np.median(counts)]
    middle = np.median(centers_um, axis=0) / CLOSE_UP_UM - 0.5
    x, y = (squares[np.hypot(*(squares - middle).T).argmin()] + 0.5) * CLOSE_UP_UM
    return _square(x, y, CLOSE_UP_UM)


def _square(x_um: float, y_um: float, side_um: float) -> Rect:
    return Rect(float(x_um) - side_um / 2, float(y_um) - side_um / 2, side_um, side_um)


def _add_tumour(viewer: napari.Viewer, around: Rect) -> None:
    """A rounded region in the middle of what will be shown, in place of an earlier demo's."""
    for earlier in [layer for layer in viewer.layers if isinstance(layer, Shapes)]:
        viewer.layers.remove(earlier)
    layer = add_regions_layer(viewer)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 0.4 * around.width_um * (1 + 0.08 * np.cos(3 * angle))
    center = (around.x_um + around.width_um / 2, around.y_um + around.height_um / 2)
    xy_um = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + center
    layer.add_polygons([world_from_um(xy_um)])
    complete_names(layer)
    layer.mode = "pan_zoom"


def _wait_until_idle(widget: VirtualStaining) -> None:
    if not widget.busy:
        return
    loop = QEventLoop()
    widget.idle.connect(loop.quit)
    QTimer.singleShot(_LONGEST_MS, loop.quit)
    loop.exec_()


def _pause(milliseconds: int) -> None:
    """Let the canvas draw and timers fire."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()
    QApplication.processEvents()
