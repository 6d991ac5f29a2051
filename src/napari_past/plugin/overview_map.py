"""The whole slide in small, with the field that is looked at; a click or a drag goes there."""

from __future__ import annotations

import contextlib
import math

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_past.errors import PastError
from napari_past.plugin.latest import Latest
from napari_past.plugin.viewport import view_rect
from napari_past.types import Rgb

HEIGHT_PX = 150
_FIELD, _FIELD_HALO = QColor("#111111"), QColor("#ffffff")
"""Dark on light: one of them shows on glass, on tissue and on napari's own ground."""
_ANALYSED = np.array([47, 111, 208, 75], np.uint8)
"""Red, green, blue, opacity."""
_EMPTY = QColor("#33414d")
_SMALLEST_FIELD_PX = 6.0


class OverviewMap(QWidget):
    """Shows the coarsest level of a slide layer, what of it was analysed, and the field.

    A move of the camera paints one ready pixmap and two rectangles, however many tiles there are.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._thumbnail: QImage | None = None
        self._ground: QPixmap | None = None
        """Slide and analysed tiles as they lie on the screen; None when they must be drawn anew."""
        self._size_um = (0.0, 0.0)
        self._analysed: npt.NDArray[np.float64] = np.zeros((0, 4))
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_thumbnail)
        self.setFixedHeight(HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("The whole slide; click or drag to go there. Blue: analysed.")
        self.hide()

    @property
    def ready(self) -> bool:
        """Whether the slide is seen, rather than a plain ground in its place."""
        return self._thumbnail is not None

    def set_slide(self, layer: Image | None) -> None:
        """Show another slide layer, whose world is in µm; None shows nothing.

        The picture is the layer's coarsest level, so no label or macro image is ever shown. It is
        read beside the GUI thread: of a slide that has one level only, this reads every pixel.
        """
        self._thumbnail = self._ground = None
        self._analysed = np.zeros((0, 4))
        self._latest.drop()
        self.setVisible(layer is not None)
        if layer is None:
            self._size_um = (0.0, 0.0)
            return
        height_px, width_px = layer.data[0].shape[:2]
        mpp = float(layer.scale[-1])
        self._size_um = (width_px * mpp, height_px * mpp)
        coarsest = layer.data[-1]
        self._latest.ask(lambda: _read(coarsest))
        self.update()

    def set_analysed(self, rects_um: npt.NDArray[np.float64]) -> None:
        """Tint these parts: (m, 4), x, y, width and height in µm."""
        if not np.array_equal(rects_um, self._analysed):
            self._analysed = np.array(rects_um, np.float64)
            self._redraw()

    def follow_camera(self) -> None:
        """The field moved or changed its size."""
        self.update()

    def picture_rect(self) -> QRectF:
        """Where the slide is painted in this widget, px; empty without a slide."""
        width_um, height_um = self._size_um
        if not width_um:
            return QRectF()
        scale = min(self.width() / width_um, self.height() / height_um)
        width, height = width_um * scale, height_um * scale
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    def field_rect(self) -> QRectF:
        """Where the field is painted in this widget, px; never too small to be seen."""
        picture, view = self.picture_rect(), view_rect(self._viewer)
        scale = self._px_per_um()
        field = QRectF(
            picture.x() + view.x_um * scale,
            picture.y() + view.y_um * scale,
            view.width_um * scale,
            view.height_um * scale,
        )
        grow_x = max(0.0, _SMALLEST_FIELD_PX - field.width()) / 2
        grow_y = max(0.0, _SMALLEST_FIELD_PX - field.height()) / 2
        return field.adjusted(-grow_x, -grow_y, grow_x, grow_y)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.picture_rect().isEmpty():
            return
        if self._ground is None or self._ground.devicePixelRatio() != self.devicePixelRatioF():
            self._ground = self._drawn_ground()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._ground)
        field = self.field_rect().intersected(QRectF(self.rect()).adjusted(2, 2, -2, -2))
        if field.isEmpty():
            return
        for colour, width in ((_FIELD_HALO, 4), (_FIELD, 2)):
            painter.setPen(QPen(colour, width, j=Qt.PenJoinStyle.MiterJoin))
            painter.drawRect(field)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._redraw()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._go(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event.position())

    def _go(self, place: QPointF) -> None:
        """Centre a place on the slide; beside the slide, the nearest one on it."""
        picture = self.picture_rect()
        if picture.isEmpty():
            return
        width_um, height_um = self._size_um
        x_um = (place.x() - picture.x()) / self._px_per_um()
        y_um = (place.y() - picture.y()) / self._px_per_um()
        center = (min(max(y_um, 0.0), height_um), min(max(x_um, 0.0), width_um))
        self._viewer.scene.camera.center = center

    def _px_per_um(self) -> float:
        return float(self.picture_rect().width()) / self._size_um[0]

    def _redraw(self) -> None:
        self._ground = None
        self.update()

    def _drawn_ground(self) -> QPixmap:
        ratio, picture = self.devicePixelRatioF(), self.picture_rect()
        ground = QPixmap(self.size() * ratio)
        ground.setDevicePixelRatio(ratio)
        ground.fill(Qt.GlobalColor.transparent)
        painter = QPainter(ground)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._thumbnail is None:
            painter.fillRect(picture, _EMPTY)
        else:
            painter.drawImage(picture, self._thumbnail)
        shape = math.ceil(picture.height() * ratio), math.ceil(picture.width() * ratio)
        covered = covered_pixels(self._analysed * self._px_per_um() * ratio, shape)
        painter.drawImage(picture, _image(covered[..., None] * _ANALYSED))
        painter.end()
        return ground

    def _on_thumbnail(self, rgb: Rgb) -> None:
        self._thumbnail = _image(rgb)
        self._redraw()


def covered_pixels(
    rects_px: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Which pixels are touched by any of some rectangles, bool, of the given shape.

    By sums of signed corners, so that the number of rectangles hardly matters.

    Parameters
    ----------
    rects_px
        (m, 4), x, y, width and height; what lies outside is cut off.
    """
    height, width = shape
    corners = np.zeros((height + 1) * (width + 1), np.intp)
    x, y, w, h = rects_px.T
    x0, x1 = (np.clip(e, 0, width).astype(int) for e in (np.floor(x), np.ceil(x + w)))
    y0, y1 = (np.clip(e, 0, height).astype(int) for e in (np.floor(y), np.ceil(y + h)))
    for rows, columns, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        places = rows * (width + 1) + columns
        corners += sign * np.bincount(places, minlength=corners.size)
    layers = corners.reshape(height + 1, width + 1).cumsum(axis=0).cumsum(axis=1)
    return layers[:-1, :-1] > 0


def _read(level: object) -> Rgb | None:
    """The pixels of a level; None where they cannot be decoded: napari tells that by itself."""
    with contextlib.suppress(PastError, OSError, ValueError):
        return np.ascontiguousarray(level, np.uint8)
    return None


def _image(pixels: npt.NDArray[np.uint8]) -> QImage:
    """RGB or RGBA (Y, X, 3 or 4) as Qt's image, with memory of its own."""
    pixels = np.ascontiguousarray(pixels)
    height, width, channels = pixels.shape
    kind = QImage.Format.Format_RGBA8888 if channels == 4 else QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, channels * width, kind).copy()
