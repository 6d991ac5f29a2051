"""What is told of cells that look unlike the training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.report.flags import unlike_lines


@pytest.mark.parametrize(
    ("flagged", "cells", "share"),
    [(2479, 2481, "over 99 %"), (2481, 2481, "100 %"), (1, 3, "33 %"), (199, 201, "99 %")],
)
def test_share_of_cells(flagged, cells, share):
    (line,) = unlike_lines("", np.arange(cells) < flagged)
    assert line.startswith(f"{flagged} of {cells} cells ({share}) look unlike the training tissue")


def test_nothing_is_told_of_none():
    assert unlike_lines("", np.zeros(3, bool)) == []
    assert unlike_lines("The slide is odd.", np.zeros(3, bool)) == ["The slide is odd."]
