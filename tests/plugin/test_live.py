"""Live: what the eye rests on is stained, centre first, by workers that may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from napari.utils.notifications import notification_manager

from napari_past.engine import Cells, Store
from napari_past.plugin.viewport import clipped, fly_to, view_rect
from napari_past.types import Rect

pytestmark = pytest.mark.gui

LONG_MS = 180_000
TILES = 6
"""With tissue on that slide, two in a row."""


@pytest.fixture
def fresh(qtbot, data_dir: Path, tmp_path_factory, monkeypatch) -> Callable:
    """``fresh(viewer, widget)``: a real slide of which nothing was analysed, Live off, seen whole.

    It takes the place of the slide that was there.
    """

    def open_fresh(viewer, widget) -> None:
        widget.panel.live.setChecked(False)
        viewer.layers.clear()
        monkeypatch.setenv("NAPARI_PAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
            viewer.open(str(data_dir / "slides" / "CMU-1-Small-Region.svs"), plugin="napari-past")
        assert widget.session.analysed_tiles == 0

    return open_fresh


def rest(qtbot, widget) -> None:
    """Wait until what is in view has been analysed, and the ring around it."""
    qtbot.waitUntil(lambda: not widget._camera_timer.isActive(), timeout=5_000)
    qtbot.waitUntil(lambda: not widget._stainer.busy and not widget.busy, timeout=LONG_MS)


def test_live(docked, fresh, qtbot, monkeypatch, worker_processes) -> None:
    """One viewer and one worker for all of it: they are what takes the time."""
    others = worker_processes()
    viewer, widget = docked(show=True)
    viewer.window.resize(1200, 800)
    fresh(viewer, widget)
    session_orders_tiles_from_the_middle(widget.session)
    with monkeypatch.context() as patch:
        wide_views_wait_and_say_so(viewer, widget, qtbot, patch)
    tiles_that_left_the_view_are_dropped(viewer, widget, qtbot)
    fresh(viewer, widget)
    live_follows_the_view_and_survives_its_workers(
        viewer, widget, qtbot, monkeypatch, lambda: worker_processes() - others
    )


def live_follows_the_view_and_survives_its_workers(
    viewer, widget, qtbot, monkeypatch, workers: Callable[[], set[psutil.Process]]
) -> None:
    session = widget.session
    order = []
    monkeypatch.setattr(
        session, "add", lambda results, add=session.add: (order.extend(results), add(results))[1]
    )
    fly_to(viewer, Rect(150, 150, 150, 100))
    widget.panel.live.setChecked(True)
    rest(qtbot, widget)
    view = clipped(view_rect(viewer), widget.slide_bounds)
    in_view, ring = session.tiles_in(view), session.ring_around(view)
    assert {result.tile for result in order} == {*in_view, *ring}
    # cells of the middle were there before those of the ring
    assert order[0].tile in in_view
    assert {r.tile for r in order[-2:]} <= set(ring)
    assert len(widget.cells) == sum(len(r.cells) for r in order) > 100
    assert widget.panel.following.text() == ""

    # nothing is computed twice: a step back and forth, and the whole slide after browsing
    before = len(order)
    fly_to(viewer, Rect(160, 160, 140, 90))
    rest(qtbot, widget)
    assert len(order) == before

    lost = len(notification_manager.records)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.stain_slide()
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
    tiles = [result.tile for result in order]
    assert len(tiles) == len(set(tiles)) == len(session.whole.tiles) == TILES
    told = [str(n.message) for n in notification_manager.records[lost:]]
    assert len([m for m in told if "lost" in m]) == 1
    assert len(workers() - {worker}) == 1

    # what the viewer saw is what the store has, in the plan's order and to the bit
    stored = Cells(session.whole, widget._model, Store(session.whole.key)).compute()
    assert len(stored) == len(widget.cells)
    place = np.lexsort(widget.cells.centers_um.T)
    again = np.lexsort(stored.centers_um.T)
    np.testing.assert_array_equal(widget.cells.centers_um[place], stored.centers_um[again])


def wide_views_wait_and_say_so(viewer, widget, qtbot, monkeypatch) -> None:
    monkeypatch.setattr("napari_past.plugin.telling.MOST_VIEW_MM2", 0.5)
    viewer.reset_view()
    widget.panel.live.setChecked(True)
    qtbot.waitUntil(lambda: "zoom in" in widget.panel.following.text().lower())
    assert widget._stainer.waiting_in_view == 0
    widget.panel.live.setChecked(False)
    assert widget.panel.following.text() == ""


def tiles_that_left_the_view_are_dropped(viewer, widget, qtbot) -> None:
    viewer.reset_view()
    widget.panel.live.setChecked(True)
    assert widget._stainer.waiting_in_view == TILES
    fly_to(viewer, Rect(20, 20, 60, 40))
    qtbot.waitUntil(lambda: widget._stainer.waiting_in_view <= 2, timeout=5_000)
    rest(qtbot, widget)
    assert widget.session.analysed_tiles < TILES


def session_orders_tiles_from_the_middle(session) -> None:
    near = session.tiles_in(Rect(0, 0, 900, 900))
    places = [(tile.column, tile.row) for tile in near]
    assert places[0] == (0, 0)
    assert set(places) == {(0, 0), (1, 0), (0, 1), (1, 1)}
    right = near[places.index((1, 0))]
    assert session.tiles_in(Rect(600, 10, 20, 20)) == [right]
    assert set(session.ring_around(Rect(600, 10, 20, 20))) == set(near) - {right}
    assert session.tiles_in(Rect(9000, 9000, 5, 5)) == []
