"""What a file that was dropped into the window holds: cells, or regions. Knows no Qt."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

CELL_SUFFIXES = (".geojson", ".geojson.gz", "_seg.npy", ".parquet")
"""Of what is laid on a slide and is nothing but cells or regions."""
_LOOKED_AT = 2**20
"""Bytes of a file that are looked at: QuPath writes objects of a kind together."""
_OBJECT = re.compile(rb'"object_?type"\s*:\s*"([a-z_ ]+)"', re.IGNORECASE)
_CELLS = (b"cell", b"detection", b"tile")


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
