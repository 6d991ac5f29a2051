"""What a slide is analysed as is suggested from its look and kept with it."""

from __future__ import annotations

import pytest

from napari_past.errors import CannotWrite
from napari_past.plugin.slide_kind import (
    IHC_MEMBRANE,
    IHC_NUCLEAR,
    KINDS,
    keep_kind,
    kept_kind,
    suggested,
)
from napari_past.stain.slide_kind import H_AND_E, StainLook

BROWN, PINK, BLUE = StainLook(0.3, 0.0), StainLook(0.0, 0.8), StainLook(0.0, 0.0)


def test_only_the_other_kind_is_suggested():
    assert suggested(BROWN, H_AND_E) == IHC_NUCLEAR
    assert suggested(BROWN, IHC_NUCLEAR) == suggested(BROWN, IHC_MEMBRANE) == ""
    assert suggested(PINK, IHC_MEMBRANE) == H_AND_E
    assert suggested(PINK, H_AND_E) == ""
    assert {suggested(BLUE, kind) for kind in KINDS} == {""}


def test_a_kind_is_kept_by_slide(tmp_path):
    folder = tmp_path / "not there yet"
    assert kept_kind("a", folder) == H_AND_E
    for kind in KINDS:
        keep_kind("a", kind, folder)
        assert kept_kind("a", folder) == kind
    assert kept_kind("b", folder) == H_AND_E


def test_what_is_no_kind_counts_as_nothing(tmp_path):
    (tmp_path / "a.kind").write_bytes(b"\xff\xfe fluorescence")
    assert kept_kind("a", tmp_path) == H_AND_E


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="point NAPARI_PAST_DATA_HOME to a folder"):
        keep_kind("a", IHC_NUCLEAR, tmp_path / "file" / "below")
