"""A floor under the detector on tiles that its parameters were not chosen on."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_past.cells import find_cells


@pytest.mark.parametrize("name", ["TCGA-21-5786", "TCGA-AR-A1AK", "TCGA-AR-A1AS"])
def test_reporting_tiles_of_monuseg(data_dir, matched, name):
    """Loose: benchmarks/detector.py measures; this notices when something broke."""
    (path,) = (data_dir / "monuseg_train").glob(f"{name}*.tif")
    rings = [
        [(float(v.get("X")), float(v.get("Y"))) for v in region.iter("Vertex")]
        for region in ET.parse(path.with_suffix(".xml")).iter("Region")
    ]
    centers = [shapely.Polygon(r).centroid.coords[0] for r in rings if len(r) > 2]
    known = np.array(centers) * 0.25
    found = find_cells(np.asarray(Image.open(path).convert("RGB")), 0.25).centers_um
    hits = matched(found, known, 3.0)
    assert 2 * hits / (len(found) + len(known)) > 0.72
