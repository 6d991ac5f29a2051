"""What the user sees: the canvas as a rectangle in slide space, and flying to another."""

from __future__ import annotations

import napari

from napari_past.types import Rect

MARGIN = 1.15


def view_rect(viewer: napari.Viewer) -> Rect:
    """The visible part of the world, (x, y) in world units: µm where layers have a physical size.

    It follows from camera and canvas: ``corner_pixels`` of a multiscale layer is padded to its
    chunks and goes stale inside loaded data.
    """
    height_px, width_px = view_px(viewer)
    camera = viewer.scene.camera
    y, x = camera.center[-2:]
    width, height = width_px / camera.zoom, height_px / camera.zoom
    return Rect(x - width / 2, y - height / 2, width, height)


def view_px(viewer: napari.Viewer) -> tuple[int, int]:
    """(height, width) of the view in pixels of the canvas: of one cell where there is a grid."""
    height_px, width_px = viewer.canvas.viewbox_size(viewer.layers)
    return round(height_px), round(width_px)


def canvas_mpp(viewer: napari.Viewer) -> float:
    """µm that one pixel of the canvas covers."""
    return 1.0 / float(viewer.scene.camera.zoom)


def widened(rect: Rect, share: float) -> Rect:
    """A rectangle with a margin of a share of its size on each side."""
    dx, dy = share * rect.width_um, share * rect.height_um
    return Rect(rect.x_um - dx, rect.y_um - dy, rect.width_um + 2 * dx, rect.height_um + 2 * dy)


def drawn_field(viewer: napari.Viewer, mpp: float, margin: float) -> tuple[Rect, tuple[int, int]]:
    """What a drawing of the view covers at a resolution, and its (height, width) in pixels.

    The pixels are always as many as the canvas has, with a margin of a share of its size on each
    side: napari's textures of other sizes pile up in memory.
    """
    view = view_rect(viewer)
    height, width = (round((1 + 2 * margin) * side) for side in view_px(viewer))
    x, y = view.x_um + view.width_um / 2, view.y_um + view.height_um / 2
    field = Rect(x - width * mpp / 2, y - height * mpp / 2, width * mpp, height * mpp)
    return field, (height, width)


def fly_to(viewer: napari.Viewer, rect: Rect) -> None:
    """Centre a rectangle of the world and zoom so that it fills the canvas with a small margin."""
    height_px, width_px = view_px(viewer)
    camera = viewer.scene.camera
    center = (rect.y_um + rect.height_um / 2, rect.x_um + rect.width_um / 2)
    camera.center = center
    camera.zoom = min(width_px / rect.width_um, height_px / rect.height_um) / MARGIN


def clipped(rect: Rect, bounds: Rect) -> Rect | None:
    """The common part of two rectangles, or None."""
    if not rect.intersects(bounds):
        return None
    x0, y0 = max(rect.x_um, bounds.x_um), max(rect.y_um, bounds.y_um)
    x1, y1 = min(rect.x1_um, bounds.x1_um), min(rect.y1_um, bounds.y1_um)
    return Rect(x0, y0, x1 - x0, y1 - y0)
