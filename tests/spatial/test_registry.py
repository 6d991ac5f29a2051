"""All sources through one door."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from napari_past.spatial import SOURCES, BadSource, MeasuredSection, read_sections


def test_kinds():
    assert list(SOURCES) == ["xenium", "visium", "st", "anndata", "past", "hest", "stimage"]
    assert SOURCES["anndata"].required == ("image", "unit")
    assert SOURCES["xenium"].required == ()
    assert "alignment" in SOURCES["xenium"].options


def test_the_documentation_lists_the_options_of_each_source():
    """Those that have no flag of their own."""
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    flags = {"image", "images", "alignment", "mpp", "patient", "name", "unit", "sections"}
    flags |= {"ids", "slides"}  # which of them: --sections
    flags |= {"types"}  # of no use to training
    for kind, source in SOURCES.items():
        (row,) = re.findall(rf"^\| `{kind}` \|.*\| (.*) \|$", text, re.MULTILINE)
        written = set(re.findall(r"`(\w+)(?:=[^`]*)?`", row))
        own = {"ids"} if kind == "anndata" else set()
        assert written == (set(source.options) - flags) | own, kind


def test_one_section(xenium):
    folder, truth = xenium
    (section,) = read_sections("xenium", folder, {"patient": "P", "mpp": "0.5"})
    assert isinstance(section, MeasuredSection)
    assert (section.patient, section.mpp) == ("P", 0.5)
    assert section.ids == truth.ids


def test_several_sections(drawn_sections):
    options = {"sections": "S3, S1", "mpp": "0.5", "patient": "P", "spot_diameter_um": 60}
    found = list(read_sections("st", str(drawn_sections), options))
    assert [s.name for s in found] == ["S3", "S1"]
    assert found[0].spot_diameter_um == 60.0
    assert np.isfinite(found[0].centers_um).all()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("merscope", {}, "no source 'merscope'; choose one of xenium, visium"),
        ("st", {"section": "C2"}, "Source st has no option 'section'; it has sections, patient"),
        ("anndata", {"image": "x.tif"}, "Source anndata needs unit; give --spatial-unit um or px"),
        ("anndata", {"unit": "px"}, "Source anndata needs image; give --image FILE"),
        ("st", {"mpp": "coarse"}, "Source st: mpp: Input should be a valid number"),
        ("anndata", {"image": "x.tif", "unit": "mm"}, "unit: Input should be 'um' or 'px'"),
    ],
)
def test_mistakes(kind, options, said):
    with pytest.raises(BadSource, match=said):
        read_sections(kind, "nowhere", options)
