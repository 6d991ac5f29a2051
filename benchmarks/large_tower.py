"""The viewer with a tower that takes a second for a cell: is it alive, and can it be left?

    past-train tower vit_large_patch16_224 --random --mpp 0.5 --out vit.safetensors
    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/large_tower.py SLIDE vit.safetensors

A view is stained by a model that reads a crop for each cell. Told are the longest stall of the
viewer's event loop while its workers encode, beside that of the idle viewer; what the widget says
meanwhile; and, after Cancel, the seconds until the widget and until the workers are at rest.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import psutil
from common import add_outputs, machine_line, report, table
from eventloop import Pulse
from viewing import fresh_cache, look_at, open_window, pause, tissue_places, wait_until

CANVAS_MPP = 0.25
AT_REST = 0.1
"""Cores that resting workers use at most."""


def worker_seconds() -> float:
    """CPU seconds of all processes that this one started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def rest_s(longest_s: float = 120.0) -> float:
    """Seconds until the workers are at rest."""
    began = time.perf_counter()
    while time.perf_counter() - began < longest_s:
        before, at = worker_seconds(), time.perf_counter()
        pause(0.5)
        if (worker_seconds() - before) / (time.perf_counter() - at) < AT_REST:
            return at - began
    return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("model", type=Path, help="one that encodes crop by crop")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each part")
    parser.add_argument("--picture", type=Path, help="a screenshot while it works (.png)")
    add_outputs(parser)
    options = parser.parse_args()
    fresh_cache()
    viewer, widget = open_window(options.slide, live=False)
    pulse = Pulse()
    places = tissue_places(widget, 2, seed=0, field_um=(256.0, 192.0))
    look_at(viewer, *places[0], CANVAS_MPP)
    pause(2)
    idle = pulse.listen(options.seconds)
    began = time.perf_counter()
    widget.load_model_file(str(options.model))
    wait_until(lambda: widget.session is not None and widget.session.model.path != "")
    wait_until(lambda: not widget.busy)
    loading_s = time.perf_counter() - began
    began = time.perf_counter()
    widget.stain_view()
    wait_until(lambda: widget._stainer.running)
    working = pulse.listen(options.seconds)
    wait_until(lambda: len(widget.cells) > 0)
    first_s = time.perf_counter() - began
    pause(0.5)
    said = widget.panel.status.text()
    if options.picture:
        viewer.window.screenshot(str(options.picture), canvas_only=False, flash=False)
    look_at(viewer, *places[-1], CANVAS_MPP)
    pause(1)
    widget.stain_view()
    pause(8)  # in the middle of a tile
    began = time.perf_counter()
    widget.cancel()
    wait_until(lambda: not widget.busy)
    idle_s = time.perf_counter() - began
    resting_s = rest_s()
    found = len(widget.cells)
    viewer.close()
    lines = [
        f"{options.slide.name}, {options.model.name}: a canvas at {CANVAS_MPP} µm/px.",
        "",
        *table(
            ["stalls of the event loop", "longest, ms", "99 %, ms"],
            [
                (name, f"{gaps.max():.0f}", f"{np.percentile(gaps, 99):.0f}")
                for name, gaps in (("idle", idle), ("while workers encode", working))
            ],
        ),
        "",
        f"The model was loaded and the slide read again in {loading_s:.1f} s. First cells after "
        f"{first_s:.1f} s; by the end there were {found}. The widget said: “{said}”. After Cancel "
        f"it was at rest within {idle_s:.2f} s and its workers {resting_s:.1f} s after that.",
        "",
        f"{machine_line()}.",
    ]
    numbers = {
        "idle_ms": idle.max(), "working_ms": working.max(), "first_s": first_s, "said": said,
        "idle_after_cancel_s": idle_s, "workers_rest_s": resting_s,
    }  # fmt: skip
    report(options, lines, numbers)


if __name__ == "__main__":
    main()
