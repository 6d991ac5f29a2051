"""Runs and viewers that are ended by force lose nothing that was finished."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest

from napari_past.plugin.annotations import Annotations
from napari_past.plugin.autosave import Autosave

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no signal 9")
RUN = "from napari_past.cli import main; main(sys.argv[3:])"
SAVE = """
import numpy as np
from napari_past.plugin.annotations import Annotations
from napari_past.plugin.autosave import Autosave
from napari_past.quality import QualityMask
for k in range(3):
    Autosave().save("a" * 64, "slide.svs", Annotations(cell_notes={"c": "note %d" % k}))
    Autosave().save_mask("a" * 64, QualityMask(np.full((10, 10), k, np.uint8), 8.0, "edited"))
"""


def test_run_that_is_killed_at_its_end(
    command, dying, slide_file, tiny_model_file, tmp_path, monkeypatch
) -> None:
    """Killed, in another time zone, while its table gets its name: the earlier table stays, and
    the next run gives the bytes of one that was left alone. It never asked the network."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    options = ("--model", tiny_model_file, "--genes", "ERBB2", "--region", "0,0,256,400")
    monkeypatch.setenv("NAPARI_PAST_CACHE", str(alone))
    assert command("run", slide_file, "--out", tmp_path / "undisturbed.csv", *options).code == 0

    out = tmp_path / "cells.csv"
    out.write_text("of an earlier run\n")
    arguments = ("run", slide_file, "--out", out, "--force", *options)
    zone = "Pacific/Kiritimati"
    process = dying("cells.csv", 0, RUN, *arguments, NAPARI_PAST_CACHE=shared, TZ=zone)
    _, told = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, told
    assert "CONNECTS" not in told
    assert out.read_text() == "of an earlier run\n"

    monkeypatch.setenv("NAPARI_PAST_CACHE", str(shared))
    done = command(*arguments)
    assert done.code == 0, done.err
    assert out.read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()
    one, other = (
        {p.name: p.read_bytes() for p in root.rglob("*.tile")} for root in (alone, shared)
    )
    assert len(one) == 2
    assert other == one


def test_viewer_that_is_killed_while_it_saves(dying, tmp_path, monkeypatch) -> None:
    """Notes and the painted mask are those of the save before, whole."""
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path))
    process = dying(".json", 2, SAVE, NAPARI_PAST_DATA_HOME=tmp_path)
    _, told = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, told
    assert "CONNECTS" not in told
    assert Autosave().load("a" * 64) == Annotations(cell_notes={"c": "note 1"})
    mask = Autosave().load_mask("a" * 64, (80.0, 80.0))
    assert mask is not None
    np.testing.assert_array_equal(mask.labels, np.full((10, 10), 1, np.uint8))
