"""Slides that napari's dialogs cannot open, in a real viewer."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import tifffile
from napari.utils.notifications import notification_manager

from napari_past.plugin.fetched_pixels import BLOCK_PX
from napari_past.plugin.remote_levels import RemoteLevel

pytestmark = pytest.mark.gui

LONG_MS = 60_000


@pytest.fixture
def served(drawn) -> Iterator[str]:
    """Where a server has the drawn slide."""
    content = Path(drawn.path).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = self.path.endswith("drawn.ome.tif")
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, stop = (int(span[1]), int(span[2]) + 1) if span else (0, len(content))
            data = content[start:stop] if found else b""
            self.send_response((206 if span else 200) if found else 404)
            self.send_header("Content-Length", str(len(data)))
            if span and found:
                end = start + len(data) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_slides_that_napari_cannot_open(
    docked, served, analysed, drawn, qtbot, tmp_path: Path
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = docked()
    an_address_is_opened_and_fetched_beside_the_viewer(
        viewer, widget, served, len(analysed), drawn, qtbot
    )
    images_of_one_file_are_chosen_by_name(viewer, widget, drawn, qtbot, tmp_path / "two.ome.tif")


def an_address_is_opened_and_fetched_beside_the_viewer(
    viewer, widget, served: str, n_analysed: int, drawn, qtbot
) -> None:
    told = len(notification_manager.records)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.open_slide(f"{served}/nothing.tif")
    assert len(viewer.layers) == 0
    assert len(notification_manager.records) == told + 1
    assert "\n" not in str(notification_manager.records[-1].message)

    # As napari opens an address: the widget does it in its place.
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(f"{served}/drawn.ome.tif", plugin="napari-past")
    layer = viewer.layers["drawn"]
    assert isinstance(layer.data[0], RemoteLevel)
    # The same content as the file: what was analysed is there at once.
    assert len(widget.cells) == n_analysed
    part = np.s_[:BLOCK_PX, :300]
    layer.data[0][part]
    qtbot.waitUntil(
        lambda: np.array_equal(layer.data[0][part], drawn.truth.rgb[part]), timeout=LONG_MS
    )


def images_of_one_file_are_chosen_by_name(viewer, widget, drawn, qtbot, path: Path) -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (96, 128, 3), np.uint8)
    with tifffile.TiffWriter(path) as file:
        for name, pixels in (("left", drawn.truth.rgb), ("right", small)):
            size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            file.write(pixels, photometric="rgb", metadata={"axes": "YXS", "Name": name, **size})
    box = widget.panel.slide
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(path), plugin="napari-past")
    assert [box.images.itemText(k) for k in range(box.images.count())] == ["left", "right"]
    box.images.setCurrentText("right")
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        box.images.activated.emit(1)
    layer = viewer.layers["two · right"]
    npt.assert_array_equal(np.asarray(layer.data[0]), small)
    assert layer.visible
    assert not viewer.layers["two"].visible
    assert (box.box.currentText(), box.images.currentText()) == ("two · right", "right")
