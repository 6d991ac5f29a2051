"""The pictures of docs/measured.md: the drawn sample with the measurement that was drawn for it.

xvfb-run -a -s "-screen 0 1600x1000x24" python tools/record_measured.py --out docs/images
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from record_pictures import WINDOW_PX, Recorder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from viewing import fresh_cache, look_at, wait_until

GENE = "KRT19"
FIRST = 13
"""Number of the first picture."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    fresh_cache()
    folder = Path(tempfile.mkdtemp())
    record(folder, options.out)


def settle(done: Callable[[], bool]) -> None:
    """Until something stays true for half a second: one job may begin where another ends."""
    since, rested = time.monotonic(), False

    def rests() -> bool:
        nonlocal since, rested
        if not done():
            since = time.monotonic()
        rested |= time.monotonic() - since > 0.5
        return rested

    wait_until(rests, 600)


def record(folder: Path, out: Path) -> None:
    import napari

    from napari_past.cli.demo import MEASURED, PHANTOM_PX, draw_sample
    from napari_past.plugin.measured.box import RowsWay
    from napari_past.plugin.validating.dialog import ValidatingDialog
    from napari_past.plugin.widget import VirtualStaining
    from napari_past.sample import draw_counts
    from napari_past.spatial import MeasuredAs

    phantom = draw_sample(folder / "phantom.ome.tif", PHANTOM_PX)
    draw_counts(phantom).write_h5ad(folder / MEASURED)
    viewer = napari.Viewer(title="napari-past")
    viewer.window.resize(*WINDOW_PX)
    widget = VirtualStaining(viewer)
    viewer.window.add_dock_widget(widget, name="Virtual staining", area="right")
    viewer.open(str(folder / "phantom.ome.tif"), plugin="napari-past")
    settle(lambda: widget.session is not None and not widget.busy)
    widget.panel.gene.set_gene(GENE)
    asked = MeasuredAs(kind="anndata", unit="um", types="cell_type", patient="drawn")
    widget.tissue.opening.read(folder / MEASURED, asked)
    settle(lambda: widget.tissue.shown is not None and not widget.busy)
    widget.tissue.look(RowsWay.BESIDE)
    settle(
        lambda: (
            widget.tissue.shown is not None
            and widget.tissue.shown.predicted is not None
            and not widget.busy
        )
    )
    look_at(viewer, *phantom.regions["glands"].centroid.coords[0], 1.2)
    widget.panel.scroller.ensureWidgetVisible(widget.panel.tissue)
    camera = Recorder(viewer, out, FIRST)
    camera.picture("measured-beside-predicted")
    widget.panel.tissue.validate.click()
    dialog = widget.findChild(ValidatingDialog)
    dialog.validate.click()
    settle(lambda: dialog.save.isEnabled())
    dialog.saved_as.set_text("sample-validation.html")
    camera.window("validation", dialog)
    viewer.close()


if __name__ == "__main__":
    main()
