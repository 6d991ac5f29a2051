"""Drawn slides whose every pixel is known, and a server to read them from."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import zarr

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def draw() -> Callable[..., Picture]:
    """``draw(height, width)``: red rises along x, green along y, blue is noise of 8 px squares."""

    def picture(height_px: int, width_px: int) -> Picture:
        y, x = np.mgrid[:height_px, :width_px]
        rng = np.random.default_rng(7)
        noise = rng.integers(60, 120, (height_px // 8 + 1, width_px // 8 + 1))
        return np.stack(
            [
                (x + 0.5) / width_px * 255,
                (y + 0.5) / height_px * 255,
                noise.repeat(8, axis=0).repeat(8, axis=1)[:height_px, :width_px],
            ],
            axis=-1,
        ).astype(np.uint8)

    return picture


@pytest.fixture(scope="session")
def write_tiff() -> Callable[..., Path]:
    """``write_tiff(path, levels, mpp=…, subifds=…, **options)``: a tiled pyramid."""

    def write(
        path: Path,
        levels: list[Picture],
        mpp: float | None = 0.5,
        subifds: bool = True,
        tile: int = 128,
        **options: object,
    ) -> Path:
        common: dict[str, object] = {"tile": (tile, tile), "photometric": "rgb", **options}
        if mpp is not None:
            per_cm = 1e4 / mpp
            common |= {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
        with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as file:
            first = {"subifds": len(levels) - 1} if subifds and len(levels) > 1 else {}
            if not path.name.endswith(".ome.tif"):
                common.setdefault("metadata", None)
            file.write(levels[0], **common, **first)
            common["metadata"] = None
            for level in levels[1:]:
                file.write(level, subfiletype=1, **common)
        return path

    return write


@pytest.fixture(scope="session")
def write_omezarr() -> Callable[..., Path]:
    """``write_omezarr(path, levels, version, axes, units, scale)`` by the text of the standard."""

    def write(
        path: Path,
        levels: list[Picture],
        version: str,
        axes: str = "cyx",
        unit: str | None = "micrometer",
        scale: float = 0.5,
    ) -> Path:
        v2 = version == "0.4"
        group = zarr.open_group(path, mode="w", zarr_format=2 if v2 else 3)
        datasets = []
        for k, level in enumerate(levels):
            order = [a for a in axes if a in "yxc"]
            pixels = level.transpose(["yxc".index(a) for a in order])
            for i, a in enumerate(axes):
                if a not in "yxc":
                    pixels = np.expand_dims(pixels, i)
            chunks = tuple(128 if a in "yx" else 1 for a in axes)
            group.create_array(str(k), data=np.ascontiguousarray(pixels), chunks=chunks)
            factor = levels[0].shape[0] / level.shape[0]
            scales = [scale * factor if a in "yx" else 1.0 for a in axes]
            step = {"type": "scale", "scale": scales}
            datasets.append({"path": str(k), "coordinateTransformations": [step]})
        kinds = {"c": "channel", "t": "time"}
        described = [
            {"name": a, "type": kinds.get(a, "space")}
            | ({"unit": unit} if a in "yx" and unit else {})
            for a in axes
        ]
        scales = {"axes": described, "datasets": datasets, "name": "drawn"}
        if v2:
            group.attrs["multiscales"] = [scales | {"version": version}]
        else:
            group.attrs["ome"] = {"version": version, "multiscales": [scales]}
        return path

    return write


@dataclass
class Switches:
    """How a server misbehaves, and what it was asked."""

    ranges: bool = True
    failures: int = 0
    """Answers of status `failure` that come first."""
    failure: int = 503
    drops: int = 0
    """Answers that break off in the middle."""
    hangs: bool = False
    secret: str = ""
    """A query that every request must have."""
    requests: list[tuple[str, int]] = field(default_factory=list)
    """Path and number of bytes sent of each answer."""

    @property
    def bytes_sent(self) -> int:
        return sum(n for _, n in self.requests)


class FolderServer:
    """The files of a folder at ``http://127.0.0.1:PORT/``."""

    def __init__(self, folder: Path) -> None:
        self.switches = Switches()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, folder)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that went away are part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def behave(self) -> None:
        """Forget all switches and what was asked."""
        self.switches = Switches()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, folder: Path) -> None:
        on = self.switches
        name, _, query = request.path.partition("?")
        path = folder / name.lstrip("/")
        if on.hangs:
            time.sleep(1.0)
        if on.failures > 0:
            on.failures -= 1
            return self._say(request, on.failure)
        if on.secret != query:
            return self._say(request, 403)
        if not path.is_file():
            return self._say(request, 404)
        size = path.stat().st_size
        start, stop, status = 0, size, 200
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if span is not None and on.ranges:
            start, stop, status = int(span[1]), min(int(span[2]) + 1, size), 206
            if start >= size:
                return self._say(request, 416)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{size:x}"')
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        request.end_headers()
        if on.drops > 0:
            on.drops -= 1
            data = data[: len(data) // 2]
            request.close_connection = True
        request.wfile.write(data)
        on.requests.append((name, len(data)))
        return None

    def _say(self, request: BaseHTTPRequestHandler, status: int) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], FolderServer]]:
    """``serve(folder)``: an HTTP server of its files, up to the end of the session."""
    servers: list[FolderServer] = []

    def start(folder: Path) -> FolderServer:
        servers.append(FolderServer(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
