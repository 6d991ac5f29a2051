"""Does memory or the number of layers grow while somebody looks around for minutes?

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/panning.py SLIDE [--minutes 10]

The camera pans, zooms in and out between 0.25 µm and the whole slide, genes, classes and a second
gene change, with Live on over an area that is analysed by the end of the first third. Memory is the
proportional set size over all our processes; its slope is fitted over the last two thirds, in which
nothing new is analysed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import psutil
from common import add_outputs, machine_line, memory_mb, report, table
from viewing import fresh_cache, look_at, open_window, pause, tissue_places

ZOOMS = (0.5, 0.25, 1.0, 0.5, 4.0, 0.5, 2.0)
SAMPLE_EVERY_S = 5.0
PLACES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep-cache", action="store_true", help="use $NAPARI_PAST_CACHE as it is")
    add_outputs(parser)
    options = parser.parse_args()
    if not options.keep_cache:
        fresh_cache()
    viewer, widget = open_window(options.slide, live=True)
    places = tissue_places(widget, PLACES, 2, (300.0, 300.0))
    panel = widget.panel
    start, next_sample, step = time.perf_counter(), 0.0, 0
    samples: list[tuple[float, float, int, int]] = []
    while (elapsed := time.perf_counter() - start) < 60 * options.minutes:
        if 3 * elapsed > 60 * options.minutes:
            panel.live.setChecked(False)
        a, b = (places[k % len(places)] for k in (step // 20, step // 20 + 1))
        place = a + (b - a) * (step % 20) / 20
        look_at(viewer, *place, ZOOMS[(step // 20) % len(ZOOMS)])
        if step % 20 == 10:
            panel.gene.step(1)
        if step % 60 == 30:
            panel.cutoffs.as_classes.setChecked(True)
        if step % 60 == 50:
            panel.cutoffs.as_expression.setChecked(True)
        if step % 80 == 40:
            panel.compare.setChecked(not panel.compare.isChecked())
        if step % 100 == 99:
            viewer.reset_view()
        pause(0.25)
        step += 1
        if elapsed >= next_sample:
            next_sample = elapsed + SAMPLE_EVERY_S
            samples.append(
                (elapsed, memory_mb(psutil.Process()), len(viewer.layers), len(widget.cells or ()))
            )
    names = [layer.name for layer in viewer.layers]
    viewer.close()
    times, memory, layers, cells = np.array(samples).T
    late = times > times[-1] / 3
    slope = float(np.polyfit(times[late] / 60, memory[late], 1)[0])
    rows = [
        ["minutes", f"{times[-1] / 60:.1f}"],
        ["moves of the camera", step],
        ["cells at the end", f"{cells[-1]:,.0f}"],
        ["memory after a third, MB", f"{memory[late][0]:.0f}"],
        ["memory at the end, MB", f"{memory[-1]:.0f}"],
        ["most memory, MB", f"{memory.max():.0f}"],
        ["slope over the last two thirds, MB a minute", f"{slope:+.1f}"],
        ["layers after a third, and at the end", f"{layers[late][0]:.0f}, {layers[-1]:.0f}"],
    ]
    lines = [*table(["what", "measured"], rows), "", machine_line()]
    report(options, lines, {"samples": samples, "layers": names, "slope_mb_per_min": slope})


if __name__ == "__main__":
    main()
