"""Virtual staining of H&E slides: single-cell gene expression predicted where you look.

    import napari_past as past
    slide = past.open_slide("slide.svs")
    cells = past.predict(slide, model="past-mini")
    table = past.h_score(cells, "ERBB2")

The names below are loaded on first use, so that importing the package imports neither torch nor Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_past.lazy import loader

if TYPE_CHECKING:
    from napari_past.brought import bring_cells
    from napari_past.cells import find_cells
    from napari_past.engine import h_score, predict
    from napari_past.errors import PastError
    from napari_past.model import load_model
    from napari_past.slide import Slide, open_slide
    from napari_past.types import RESEARCH_USE, Cutoffs, Rect, Region

__version__ = "0.1.0"

__all__ = [
    "RESEARCH_USE",
    "Cutoffs",
    "PastError",
    "Rect",
    "Region",
    "Slide",
    "__version__",
    "bring_cells",
    "find_cells",
    "h_score",
    "load_model",
    "open_slide",
    "predict",
]

_ROOMS = {
    "RESEARCH_USE": "types",
    "Cutoffs": "types",
    "PastError": "errors",
    "Rect": "types",
    "Region": "types",
    "Slide": "slide",
    "bring_cells": "brought",
    "find_cells": "cells",
    "h_score": "engine",
    "load_model": "model",
    "open_slide": "slide",
    "predict": "engine",
}
"""Public name -> the room that defines it."""


__getattr__ = loader(__name__, _ROOMS)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
