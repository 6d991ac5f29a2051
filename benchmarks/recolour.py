"""From the click to the changed layer: another gene, classes, cut-off, colours, a second gene.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/recolour.py [--cells 10000 ...]

Cells are drawn at random, 4,000 to a mm², as many as asked for, with vectors of the bundled model's
size. Seen from afar they are a map, from near points and outlines; both are timed, from the
widget's signal to the layer that has changed, and then until the window has drawn it. For
comparison the same colours are given to one napari Points layer with all cells (up to 1e5).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from common import add_outputs, machine_line, report, table
from viewing import (
    draw_now,
    fresh_cache,
    look_at,
    open_phantom,
    pause,
    show_drawn,
    wait_until,
)

ROUNDS = 5
LIMIT_MS = {100_000: 50, 1_000_000: 250}
MOST_PLAIN = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    add_outputs(parser)
    options = parser.parse_args()
    fresh_cache()
    viewer, widget = open_phantom()
    rows, numbers = [], {}
    for n in options.cells:
        cells, side_um = show_drawn(viewer, widget, n)
        for name, canvas_mpp in (("afar", side_um / 700), ("near", 0.5)):
            look_at(viewer, side_um / 2, side_um / 2, canvas_mpp)
            pause(0.5)
            widget.panel.gene.set_gene("EPCAM")
            pause(0.5)
            for action, click in actions(widget).items():
                changed, drawn = timed(viewer, widget, click)
                limit = LIMIT_MS.get(n, "")
                rows.append([f"{len(cells):,}", name, action, f"{changed:.0f}", limit,
                             f"{drawn:.0f}"])  # fmt: skip
                numbers[f"{n} {name} {action}"] = {"changed_ms": changed, "drawn_ms": drawn}
        if n <= MOST_PLAIN:
            plain = plain_points(viewer, widget, cells)
            rows.append([f"{len(cells):,}", "plain napari Points", "gene", f"{plain:.0f}", "", ""])
            numbers[f"{n} plain"] = {"changed_ms": plain}
    head = ["cells", "view", "click", "ms to the changed layer", "to reach", "ms until drawn too"]
    lines = [*table(head, rows), "", f"Median of {ROUNDS}. Software OpenGL. {machine_line()}"]
    report(options, lines, numbers)
    viewer.close()


def actions(widget) -> dict[str, Callable[[int], None]]:
    panel = widget.panel
    genes = ("ERBB2", "KRT19")

    def classes(k: int) -> None:
        (panel.cutoffs.as_classes if k % 2 else panel.cutoffs.as_expression).setChecked(True)

    def cutoff(k: int) -> None:
        panel.cutoffs.as_classes.setChecked(True)
        spin = panel.cutoffs.spins[0]
        spin.setValue(spin.value() + (-0.01 if k % 2 else 0.01))

    def colours(k: int) -> None:
        panel.look.colormap.setCurrentText(("magma", "viridis")[k % 2])

    def limits(k: int) -> None:
        panel.look.high.setValue(panel.look.high.value() + (0.5 if k % 2 else -0.5))

    def second(k: int) -> None:
        panel.second.set_gene(("CD3E", "VIM")[k % 2])

    def expression(click: Callable[[int], None]) -> Callable[[int], None]:
        click.before = lambda: panel.cutoffs.as_expression.setChecked(True)  # type: ignore[attr-defined]
        return click

    def in_classes(click: Callable[[int], None]) -> Callable[[int], None]:
        click.before = lambda: panel.cutoffs.as_classes.setChecked(True)  # type: ignore[attr-defined]
        return click

    def compared(click: Callable[[int], None]) -> Callable[[int], None]:
        click.before = lambda: panel.compare.setChecked(True)  # type: ignore[attr-defined]
        click.after = lambda: panel.compare.setChecked(False)  # type: ignore[attr-defined]
        return click

    return {
        "gene": expression(lambda k: panel.gene.set_gene(genes[k % 2])),
        "classes on/off": classes,
        "cut-off": in_classes(cutoff),
        "colour map": expression(colours),
        "limits": expression(limits),
        "second gene": compared(second),
    }


def timed(viewer, widget, click) -> tuple[float, float]:
    """Median ms until the layer has changed, and until it is drawn."""
    changed, drawn = [], []
    getattr(click, "before", lambda: None)()
    pause(0.3)
    for k in range(ROUNDS + 1):
        start = time.perf_counter()
        click(k)
        middle = time.perf_counter()
        draw_now(viewer)
        if k:
            changed.append(1e3 * (middle - start))
            drawn.append(1e3 * (time.perf_counter() - start))
        wait_until(lambda: not widget.busy)  # scores are worked out meanwhile
    getattr(click, "after", lambda: None)()
    pause(0.3)
    return statistics.median(changed), statistics.median(drawn)


def plain_points(viewer, widget, cells) -> float:
    """Median ms to give all cells' colours to one layer of points."""
    layer = viewer.add_points(
        cells.centers_um[:, ::-1], size=6, border_width=0, units=("um", "um"), scale=(1, 1)
    )
    times = []
    for k in range(ROUNDS):
        widget.panel.gene.set_gene(("ERBB2", "KRT19")[k % 2])
        colours = widget.shown.colours(np.arange(len(cells)))
        start = time.perf_counter()
        layer.face_color = colours
        times.append(1e3 * (time.perf_counter() - start))
    viewer.layers.remove(layer)
    return statistics.median(times)


if __name__ == "__main__":
    main()
