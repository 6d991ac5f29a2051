"""What a file that was dropped into the window holds: cells, classes, regions. Knows no Qt."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from napari_past.model.classifier import SUFFIX

CELL_SUFFIXES = (".geojson", ".geojson.gz", "_seg.npy", ".parquet")
"""Of what is laid on a slide and is nothing but cells or regions."""
HEAT_SUFFIXES = (".heat.tif", ".heat.tiff")
"""Of heat maps; a slide may end with .tif, too."""
_LOOKED_AT = 2**20
"""Bytes of a file that are looked at: QuPath writes objects of a kind together."""
_OBJECT = re.compile(rb'"object_?type"\s*:\s*"([a-z_ ]+)"', re.IGNORECASE)
_CELLS = (b"cell", b"detection", b"tile")


def is_heat_map(path: Path) -> bool:
    """Whether a file is a heat map of a slide by its name."""
    return path.name.lower().endswith(HEAT_SUFFIXES)


def is_classifier(path: Path) -> bool:
    """Whether a file holds a classifier of cells by its name."""
    return path.name.lower().endswith(SUFFIX)


def holds_regions(path: Path) -> bool:
    """Whether a file is QuPath GeoJSON that begins with annotations, and none of them cells.

    A file that cannot be read holds none: whoever reads it next tells why.
    """
    name = path.name.lower()
    if not name.endswith((".geojson", ".geojson.gz", ".json")):
        return False
    try:
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            head = file.read(_LOOKED_AT)
    except (OSError, EOFError, zlib.error):
        return False
    kinds = {kind.lower() for kind in _OBJECT.findall(head)}
    return b"annotation" in kinds and not kinds & set(_CELLS)
