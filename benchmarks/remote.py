"""What is read of a slide on a web server, and how long a view takes beside the local file.

    python benchmarks/remote.py SLIDE [--views 12] [--delay-ms 0] [--json F] [--out F]

A server in this process sends the slide's folder by ranges and counts bytes. Each view is
1024 x 768 px of level 0, apart from the others: once from the file, once from the address.
"Touched" are the encoded bytes of the tiles under the view, as the file's directory has them; what
is read more are gaps between tiles that are fetched together. `--delay-ms` is waited before each
answer, as on a long way. The same pixels must come from both.
"""

from __future__ import annotations

import argparse
import re
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from common import add_outputs, machine_line, report, table, told, versions_line
from tifffile import TiffFile, TiffPage

import napari_past as past

VIEW_PX = (1024, 768)
LIBRARIES = ("fsspec", "aiohttp", "tifffile", "zarr")


class RangeServer:
    """One folder, by ranges; counts what it sends."""

    def __init__(self, folder: Path, delay_s: float) -> None:
        self.bytes_sent = 0
        self.requests = 0
        counting = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                time.sleep(delay_s)
                path = folder / Path(self.path.partition("?")[0]).name
                span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
                if span is None or not path.is_file():
                    self.send_error(404)
                    return
                size = path.stat().st_size
                start, stop = int(span[1]), min(int(span[2]) + 1, size)
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read(stop - start)
                self.send_response(206)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
                self.end_headers()
                self.wfile.write(data)
                with counting:
                    outer.bytes_sent += len(data)
                    outer.requests += 1

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"


def touched_bytes(path: Path, x_px: int, y_px: int) -> int:
    """Encoded bytes of the tiles of level 0 under a view."""
    with TiffFile(path) as tif:
        page = tif.pages[0]
        if not isinstance(page, TiffPage):
            raise past.PastError(f"{path.name} has no first page to look at.")
        tall, wide = page.chunks[:2]
        columns = -(-page.imagewidth // wide)
        return sum(
            page.databytecounts[row * columns + column]
            for row in range(y_px // tall, -(-(y_px + VIEW_PX[1]) // tall))
            for column in range(x_px // wide, -(-(x_px + VIEW_PX[0]) // wide))
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    add_outputs(parser)
    options = parser.parse_args()
    server = RangeServer(options.slide.parent, options.delay_ms / 1e3)
    address = f"{server.address}/{options.slide.name}"

    began = time.perf_counter()
    near = past.open_slide(options.slide)
    middle = time.perf_counter()
    far = past.open_slide(address)
    opened_s = (middle - began, time.perf_counter() - middle)
    opening = (server.bytes_sent, server.requests)

    level, mpp = near.levels[0], near.require_mpp()
    # places apart from each other: what one view has read must not help the next
    places = [
        (x, y)
        for y in range(0, level.height_px - VIEW_PX[1], 2 * VIEW_PX[1])
        for x in range(0, level.width_px - VIEW_PX[0], 2 * VIEW_PX[0])
    ]
    np.random.default_rng(8).shuffle(places)
    rows, ratios, extra = [], [], []
    for x, y in places[: options.views]:
        before = (server.bytes_sent, server.requests)
        began = time.perf_counter()
        here = near.read_grid(x, y, *VIEW_PX, mpp)
        middle = time.perf_counter()
        there = far.read_grid(x, y, *VIEW_PX, mpp)
        seconds = (middle - began, time.perf_counter() - middle)
        if not np.array_equal(here, there):
            raise past.PastError("The address gives other pixels than the file: that is a fault.")
        read, touched = server.bytes_sent - before[0], touched_bytes(options.slide, x, y)
        ratios.append(seconds[1] / seconds[0])
        extra.append(read / touched)
        rows.append(
            [f"{x}, {y}", f"{touched:,}", f"{read:,}", f"{read / touched:.3f}"]
            + [str(server.requests - before[1]), f"{ratios[-1]:.2f}"]
        )
    before = server.bytes_sent
    same = far.fingerprint == near.fingerprint
    size = options.slide.stat().st_size
    heads = ["view at px", "touched", "read", "read / touched", "requests", "HTTP / local time"]
    lines = [
        f"# {options.slide.name} from a web server",
        "",
        machine_line(),
        versions_line(LIBRARIES),
        "",
        f"File: {size:,} bytes. Answers wait {options.delay_ms:g} ms.",
        "",
        *table(heads, rows),
        "",
        f"- Opening: {opening[0]:,} bytes ({opening[0] / size:.2%} of the file) in {opening[1]} "
        f"requests, {opened_s[1] / opened_s[0]:.1f}x the time of the file.",
        f"- Views: median read / touched {statistics.median(extra):.3f}, median HTTP / local time "
        f"{statistics.median(ratios):.2f}.",
        f"- Opening and all views together: {before / size:.2%} of the file.",
        f"- Fingerprint: {'the same' if same else 'ANOTHER'} as of the file, "
        f"{server.bytes_sent - before:,} bytes.",
    ]
    facts = {
        "file_bytes": size,
        "opening_bytes": opening[0],
        "read_per_touched": statistics.median(extra),
        "http_per_local_time": statistics.median(ratios),
        "share_of_file": before / size,
        "same_fingerprint": same,
    }
    report(options, lines, facts)


if __name__ == "__main__":
    told(main)
