"""The small slide: its picture, its tint, the field in it, and where a click leads."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import numpy.testing as npt
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt

from napari_past.errors import DamagedSlide
from napari_past.plugin.overview_map import OverviewMap, covered_pixels
from napari_past.plugin.viewport import fly_to, view_rect
from napari_past.types import Rect

RED, GREEN = (220, 40, 40), (40, 200, 40)
MPP, HEIGHT_PX, WIDTH_PX = 0.5, 400, 800


def slide_data() -> list[np.ndarray]:
    """Red to the left, green to the right; the coarsest level is 100 x 200."""
    full = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    full[:, : WIDTH_PX // 2], full[:, WIDTH_PX // 2 :] = RED, GREEN
    return [full, full[::2, ::2], full[::4, ::4]]


@pytest.fixture
def overview(make_napari_viewer_proxy, qtbot):
    """(viewer, overview in its dock, slide layer); the slide is 400 x 200 µm."""
    viewer = make_napari_viewer_proxy()
    layer = viewer.add_image(
        slide_data(),
        multiscale=True,
        rgb=True,
        scale=(MPP, MPP),
        translate=(MPP / 2, MPP / 2),
        units=("um", "um"),
    )
    part = OverviewMap(viewer)
    qtbot.addWidget(part)
    part.resize(320, part.height())
    return viewer, part, layer


def pixel(part: OverviewMap, place: QPointF) -> tuple[int, int, int]:
    return part.grab().toImage().pixelColor(place.toPoint()).getRgb()[:3]


def like(colour: tuple[int, int, int]) -> object:
    """Screens of 16 bits, as of some X servers without a display, have 32 steps of a colour."""
    return pytest.approx(colour, abs=8)


def on_picture(part: OverviewMap, x: float, y: float) -> QPointF:
    """A place of the widget by shares of the slide's width and height."""
    picture = part.picture_rect()
    return QPointF(picture.x() + x * picture.width(), picture.y() + y * picture.height())


def look_away(viewer) -> None:
    fly_to(viewer, Rect(-90_000, 0, 100, 100))


def test_slide_is_shown_as_it_lies(overview, qtbot) -> None:
    viewer, part, layer = overview
    assert part.isHidden()
    part.set_slide(layer)
    assert not part.isHidden()
    qtbot.waitUntil(lambda: part.ready)
    look_away(viewer)
    picture = part.picture_rect()
    assert picture.width() == pytest.approx(2 * picture.height())
    assert part.rect().contains(picture.toAlignedRect())
    assert pixel(part, on_picture(part, 0.2, 0.5)) == like(RED)
    assert pixel(part, on_picture(part, 0.8, 0.1)) == like(GREEN)
    part.set_slide(None)
    assert part.isHidden()
    assert part.picture_rect().isEmpty()
    assert not part.ready


def test_analysed_parts_are_tinted_and_no_darker_where_tiles_meet(overview, qtbot) -> None:
    viewer, part, layer = overview
    part.set_slide(layer)
    qtbot.waitUntil(lambda: part.ready)
    look_away(viewer)
    # x 0 to 140 µm of 400, in tiles that share pixels of the widget; y 0 to 100 of 200
    tiles = np.array([[x, 0, 70.3, 100] for x in np.linspace(0, 70, 40)])
    part.set_analysed(tiles)
    tinted = [pixel(part, on_picture(part, x, 0.25)) for x in np.linspace(0.02, 0.33, 50)]
    assert len(set(tinted)) == 1
    assert tinted[0] != like(RED)
    assert np.abs(np.subtract(tinted[0], RED)).max() < 100
    assert pixel(part, on_picture(part, 0.2, 0.6)) == like(RED)
    assert pixel(part, on_picture(part, 0.8, 0.25)) == like(GREEN)
    part.set_analysed(np.zeros((0, 4)))
    assert pixel(part, on_picture(part, 0.2, 0.25)) == like(RED)


def test_field_lies_where_the_camera_is(overview) -> None:
    viewer, part, layer = overview
    part.set_slide(layer)
    picture = part.picture_rect()
    fly_to(viewer, Rect(100, 50, 60, 40))
    view, field = view_rect(viewer), part.field_rect()
    px_per_um = picture.width() / 400
    npt.assert_allclose(
        field.getRect(),
        (
            picture.x() + view.x_um * px_per_um,
            picture.y() + view.y_um * px_per_um,
            view.width_um * px_per_um,
            view.height_um * px_per_um,
        ),
    )
    ground = pixel(part, field.center())
    part.follow_camera()
    assert pixel(part, field.topLeft() + QPointF(0, field.height() / 2)) != ground
    # from very near it is still there, around the same centre
    fly_to(viewer, Rect(300, 150, 0.5, 0.5))
    field = part.field_rect()
    assert min(field.width(), field.height()) >= 6
    center = on_picture(part, 300.25 / 400, 150.25 / 200)
    npt.assert_allclose(field.center().toTuple(), center.toTuple(), atol=0.01)


def test_click_and_drag_go_there_and_never_leave_the_slide(overview, qtbot) -> None:
    viewer, part, layer = overview
    part.set_slide(layer)
    zoom = viewer.scene.camera.zoom

    def center() -> tuple[float, ...]:
        return viewer.scene.camera.center[-2:]

    one_px = 400 / part.picture_rect().width()
    qtbot.mouseClick(part, Qt.MouseButton.LeftButton, pos=on_picture(part, 0.75, 0.25).toPoint())
    npt.assert_allclose(center(), (50, 300), atol=one_px)
    qtbot.mousePress(part, Qt.MouseButton.LeftButton, pos=on_picture(part, 0.5, 0.5).toPoint())
    npt.assert_allclose(center(), (100, 200), atol=one_px)
    qtbot.mouseMove(part, on_picture(part, 0.25, 0.75).toPoint())
    qtbot.waitUntil(lambda: center()[1] < 150)
    npt.assert_allclose(center(), (150, 100), atol=one_px)
    qtbot.mouseRelease(part, Qt.MouseButton.LeftButton, pos=part.rect().bottomRight())
    # beside the slide: its nearest place
    qtbot.mouseClick(part, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    npt.assert_allclose(center(), (0, 0), atol=one_px)
    assert viewer.scene.camera.zoom == zoom
    # other buttons do nothing
    qtbot.mouseClick(part, Qt.MouseButton.RightButton, pos=on_picture(part, 0.5, 0.5).toPoint())
    npt.assert_allclose(center(), (0, 0), atol=one_px)


class Level:
    """The coarsest level of a slide that is slow or broken."""

    def __init__(self, pixels: np.ndarray, wait: threading.Event, error: Exception | None) -> None:
        self.shape = pixels.shape
        self._pixels, self._wait, self._error = pixels, wait, error
        self.read_in: threading.Thread | None = None

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        self.read_in = threading.current_thread()
        assert self._wait.wait(10)
        if self._error is not None:
            raise self._error
        return self._pixels


def test_one_level_is_read_beside_the_gui_thread(overview, qtbot) -> None:
    viewer, part, _ = overview
    wait = threading.Event()
    level = Level(slide_data()[0], wait, None)
    part.set_slide(SimpleNamespace(data=[level], scale=(MPP, MPP)))
    look_away(viewer)
    ground = pixel(part, on_picture(part, 0.2, 0.5))
    assert ground not in (like(RED), like(GREEN))
    assert ground == pixel(part, on_picture(part, 0.8, 0.5))
    wait.set()
    qtbot.waitUntil(lambda: part.ready)
    assert level.read_in is not threading.main_thread()
    assert pixel(part, on_picture(part, 0.2, 0.5)) == like(RED)


def test_slide_that_cannot_be_read_keeps_its_ground(overview, qtbot) -> None:
    viewer, part, layer = overview
    wait = threading.Event()
    wait.set()
    level = Level(slide_data()[0], wait, DamagedSlide("Broken."))
    part.set_slide(SimpleNamespace(data=[level], scale=(MPP, MPP)))
    look_away(viewer)
    qtbot.waitUntil(lambda: level.read_in is not None and not level.read_in.is_alive())
    qtbot.wait(20)
    assert not part.ready
    assert pixel(part, on_picture(part, 0.2, 0.5)) == pixel(part, on_picture(part, 0.8, 0.5))
    # and the next slide is shown
    part.set_slide(layer)
    qtbot.waitUntil(lambda: part.ready)


def test_late_picture_of_an_earlier_slide_is_not_shown(overview, qtbot) -> None:
    viewer, part, layer = overview
    wait = threading.Event()
    late = Level(np.full((40, 80, 3), 7, np.uint8), wait, None)
    part.set_slide(SimpleNamespace(data=[late], scale=(MPP, MPP)))
    part.set_slide(layer)
    wait.set()
    qtbot.waitUntil(lambda: part.ready)
    look_away(viewer)
    assert pixel(part, on_picture(part, 0.2, 0.5)) == like(RED)
    # nor that of one that was closed
    wait.clear()
    late = Level(np.full((40, 80, 3), 7, np.uint8), wait, None)
    part.set_slide(SimpleNamespace(data=[late], scale=(MPP, MPP)))
    qtbot.waitUntil(lambda: late.read_in is not None)
    part.set_slide(None)
    wait.set()
    qtbot.waitUntil(lambda: not late.read_in.is_alive())
    qtbot.wait(20)
    assert not part.ready


def test_covered_pixels_are_those_that_are_touched() -> None:
    rng = np.random.default_rng(1)
    rects = np.c_[rng.uniform(-5, 25, (60, 2)), rng.uniform(0.1, 4, (60, 2))]
    expected = np.zeros((14, 21), bool)
    for x, y, width, height in rects:
        for row in range(14):
            for column in range(21):
                overlaps_x = x < column + 1 and column < x + width
                overlaps_y = y < row + 1 and row < y + height
                expected[row, column] |= overlaps_x and overlaps_y
    assert 0 < expected.sum() < expected.size
    npt.assert_array_equal(covered_pixels(rects, expected.shape), expected)
    assert not covered_pixels(np.zeros((0, 4)), (3, 4)).any()
