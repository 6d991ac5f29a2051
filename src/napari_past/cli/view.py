"""``napari-past view``: a slide in napari with the docked widget."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module

from napari_past.cli.display import require_viewer
from napari_past.slide import open_slide


def execute(options: Namespace) -> int:
    """Open the window and return when it is closed."""
    # What is wrong with the slide is told here, not in a dialogue behind a window.
    open_slide(options.slide, options.mpp, options.series).close()
    require_viewer()
    launch = import_module("napari_past.plugin.launch")
    launch.view(str(options.slide), mpp=options.mpp, series=options.series)
    return 0
