"""The pictures of docs/measured.md: the drawn sample with the measurement that was drawn for it.

xvfb-run -a -s "-screen 0 1600x1000x24" python tools/record_measured.py --out docs/images
"""

from __future__ import annotations

import argparse
import sys
import tempfile
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


def record(folder: Path, out: Path) -> None:
    import napari

    from napari_past.cli.demo import MEASURED, PHANTOM_PX, draw_sample
    from napari_past.plugin.measured.box import RowsWay
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
    wait_until(lambda: widget.session is not None and not widget.busy)
    widget.panel.gene.set_gene(GENE)
    asked = MeasuredAs(kind="anndata", unit="um", types="cell_type", patient="drawn")
    widget.tissue.dialog.given.emit(folder / MEASURED, asked)
    wait_until(lambda: widget.tissue.shown is not None and not widget.busy)
    widget.tissue.look(RowsWay.BESIDE)
    wait_until(lambda: not widget.busy, 600)
    look_at(viewer, *phantom.regions["glands"].centroid.coords[0], 1.2)
    widget.panel.scroller.ensureWidgetVisible(widget.panel.tissue)
    camera = Recorder(viewer, out, FIRST)
    camera.picture("measured-beside-predicted")
    viewer.close()


if __name__ == "__main__":
    main()
