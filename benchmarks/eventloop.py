"""The longest stall of the viewer's event loop: idle, panning, during a run, and panning in a run.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/eventloop.py SLIDE [--seconds 20]

A timer of 5 ms tells when the loop lived; a stall is the time between two of its ticks. Panning
moves the camera 20 times a second over tissue. The figure is what a run adds to the stalls that the
viewer has without one, at the same pace and places, in the same process. A second idle part changes
the text of one label four times a second: Qt then composes the whole window anew, canvas included,
which is the least that any progress costs where OpenGL is done in software.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from common import add_outputs, machine_line, report, table
from viewing import fresh_cache, look_at, open_window, pause, tissue_places, wait_until

TICK_MS = 5
MOVES_PER_S = 20
CANVAS_MPP = 0.5


class Pulse:
    """Times between ticks of the event loop, ms."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1e3 * (now - self._last))
        self._last = now

    def listen(self, seconds: float) -> np.ndarray:
        self.gaps.clear()
        self._last = time.perf_counter()
        self._timer.start()
        pause(seconds)
        self._timer.stop()
        return np.array(self.gaps)


class Pan:
    """Moves the camera to and fro between places, always alike."""

    def __init__(self, viewer, places: np.ndarray) -> None:
        from qtpy.QtCore import QTimer

        self._viewer, self._places, self._step = viewer, places, 0
        self._timer = QTimer()
        self._timer.setInterval(1000 // MOVES_PER_S)
        self._timer.timeout.connect(self._move)

    def _move(self) -> None:
        # 100 moves from one place to the next: about a field in five seconds.
        k, share = divmod(self._step, 100)
        a, b = (self._places[i % len(self._places)] for i in (k, k + 1))
        x, y = a + (b - a) * share / 100
        look_at(self._viewer, x, y, CANVAS_MPP)
        self._step += 1

    def run(self) -> None:
        self._step = 0
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()


class Clock:
    """A label in the widget that tells another number four times a second."""

    def __init__(self, widget) -> None:
        from qtpy.QtCore import QTimer

        self._label, self._number = widget.panel.slide.facts, 0
        self._told = self._label.text()
        self._timer = QTimer()
        self._timer.setInterval(250)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        self._number += 1
        self._label.setText(f"{self._number}")

    def stop(self) -> None:
        self._timer.stop()
        self._label.setText(self._told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    add_outputs(parser)
    options = parser.parse_args()
    fresh_cache()
    viewer, widget = open_window(options.slide, live=False)
    field_um = tuple(side * CANVAS_MPP for side in viewer.canvas.size[::-1])
    places = tissue_places(widget, 6, 0, (field_um[0] / 2, field_um[1] / 2))
    # Some cells first, so that there is something to draw while idle.
    look_at(viewer, *places[0], CANVAS_MPP)
    pause(0.5)
    widget.stain_view()
    wait_until(lambda: not widget.busy)
    pulse, pan = Pulse(), Pan(viewer, places)
    parts: dict[str, np.ndarray] = {}
    parts["idle"] = pulse.listen(options.seconds)
    clock = Clock(widget)
    parts["idle, a label changes"] = pulse.listen(options.seconds)
    clock.stop()
    pan.run()
    parts["panning"] = pulse.listen(options.seconds)
    pan.stop()
    before = widget.session.analysed_tiles
    widget.stain_slide()
    parts["run"] = pulse.listen(options.seconds)
    pan.run()
    parts["panning in a run"] = pulse.listen(options.seconds)
    pan.stop()
    went_on = widget.busy
    done = widget.session.analysed_tiles - before
    widget.cancel()
    widget.panel.live.setChecked(True)
    pan.run()
    parts["panning, Live"] = pulse.listen(options.seconds)
    pan.stop()
    viewer.close()
    base = {"run": "idle", "panning in a run": "panning", "panning, Live": "panning"}
    rows, numbers = [], {}
    for name, gaps in parts.items():
        worst, high = float(gaps.max()), float(np.percentile(gaps, 99))
        beyond = worst - float(parts[base[name]].max()) if name in base else None
        numbers[name] = {"longest_ms": worst, "p99_ms": high, "beyond_ms": beyond}
        rows.append([name, f"{worst:.0f}", f"{high:.0f}",
                     "" if beyond is None else f"{beyond:+.0f}"])  # fmt: skip
    head = ["part", "longest stall, ms", "99th percentile, ms", "longest beyond the viewer's own"]
    told = "went on to its end" if went_on else "was over before: take a larger slide"
    lines = [
        *table(head, rows),
        "",
        f"{done} tiles were analysed during the run, which {told}. Software OpenGL. "
        f"{machine_line()}",
    ]
    report(options, lines, {"parts": numbers, "tiles": done})


if __name__ == "__main__":
    main()
