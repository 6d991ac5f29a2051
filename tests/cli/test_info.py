from __future__ import annotations

import json

import pytest

from napari_past.slide import open_slide

KEYS = [
    "name",
    "path",
    "vendor",
    "objective",
    "mpp",
    "mpp_source",
    "width_px",
    "height_px",
    "width_um",
    "height_um",
    "levels",
    "series",
    "fingerprint",
    "missing",
]


def test_pyramid(command, slides):
    path = slides / "her2st_C5_pyramid.tif"
    facts = json.loads(command("info", path, "--json").out)
    assert list(facts) == KEYS
    assert (facts["width_px"], facts["height_px"], len(facts["levels"])) == (9272, 9901, 5)
    assert facts["levels"][4]["downsample_x"] == pytest.approx(9272 / 580)
    assert facts["width_um"] == pytest.approx(9272 * facts["mpp"])
    assert facts["mpp_source"] == "file"
    with open_slide(path) as slide:
        assert facts["fingerprint"] == slide.fingerprint
    text = command("info", path).out
    assert "9272 x 9901 px · 6400 x 6834 µm" in text
    assert "4: 580 x 619 px" in text


def test_without_pixel_size(command, slides):
    path = slides / "edge" / "invalid_resolutions_tiff.tif"
    done = command("info", path)
    assert done.code == 0
    assert "no µm/px: give --mpp" in done.out
    facts = json.loads(command("info", path, "--json").out)
    assert facts["mpp"] is facts["mpp_source"] is facts["width_um"] is None
    assert "--mpp" in facts["missing"][0]
    facts = json.loads(command("info", path, "--json", "--mpp", "0.25").out)
    assert (facts["mpp"], facts["mpp_source"], facts["width_um"]) == (0.25, "given", 256.0)


def test_vendor_and_series(command, slides):
    facts = json.loads(command("info", slides / "CMU-1-Small-Region.svs", "--json").out)
    assert (facts["vendor"], facts["objective"], facts["missing"]) == ("Aperio", 20.0, [])
    assert facts["series"][0] == "Baseline"
