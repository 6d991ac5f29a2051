"""A picture of the virtual stain that leaves the viewer says what it is, and how large it is."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import CannotWrite
from napari_past.stain.dab import DAB_CUTOFFS, stain_densities
from napari_past.stain.virtual import drawn_colours, not_analysed, virtual_stains
from napari_past.stain.virtual_mark import PREDICTED, REPEAT_PX, burn_in, with_repeated_words
from napari_past.stain.virtual_picture import bar_length_um, captioned

TISSUE = np.full((300, 500, 3), (150, 90, 40), np.uint8)
SWATCHES = [("Negative", (200, 200, 230)), ("3+", (90, 50, 40))]


def test_the_picture_has_words_and_a_caption():
    picture = captioned(TISSUE, 0.5, "ERBB2 · past-mini", SWATCHES, ["Drawn by convention."])
    npt.assert_array_equal(picture[:300], burn_in(TISSUE, f"{PREDICTED} · ERBB2 · past-mini"))
    assert (picture[:300] != TISSUE).any()
    caption = picture[300:]
    for _, colour in SWATCHES:
        assert (caption == colour).all(axis=2).sum() > 60


@pytest.mark.parametrize(("mpp", "um"), [(0.5, 50), (0.25, 20), (2.0, 200), (8.0, 500)])
def test_the_scale_bar_is_as_long_as_it_says(mpp, um):
    picture = captioned(TISSUE, mpp, "ERBB2 · past-mini", (), ())
    dark = (picture[300:] < 60).all(axis=2)
    # The longest run of ink in a row is the bar.
    longest = max(
        int(run[-1] - run[0] + 1)
        for row in dark
        if row.any()
        for run in np.split(
            np.flatnonzero(row), np.flatnonzero(np.diff(np.flatnonzero(row)) > 1) + 1
        )
    )
    assert longest * mpp == pytest.approx(um, abs=1.5 * mpp)


@pytest.mark.parametrize(("most", "um"), [(55, 50), (49.9, 20), (1.0, 1), (0.6, 0.5), (1999, 1000)])
def test_scale_bars_are_round(most, um):
    assert bar_length_um(most) == pytest.approx(um)


def test_long_sentences_go_on_in_the_next_line():
    short = captioned(TISSUE, 0.5, "A · b", SWATCHES, ["one"])
    long = captioned(TISSUE, 0.5, "A · b", SWATCHES, ["one two three four five six " * 12])
    assert long.shape[0] > short.shape[0] + 30
    assert (long[:, -6:] == 255).all() or (long[300:, -6:] == 255).all()


def test_a_picture_too_small_for_its_words_is_refused():
    with pytest.raises(CannotWrite, match="too small for the words"):
        captioned(TISSUE[:12, :20], 0.5, "A · b", (), ())


def test_repeated_words_are_in_every_part_and_fit_together():
    whole = with_repeated_words(np.full((900, 1300, 3), 240, np.uint8), 0, 0)
    height, width = REPEAT_PX
    fields = [
        whole[y : y + height, x : x + width]
        for y in range(0, 900 - height, height)
        for x in range(0, 1300 - width, width)
    ]
    assert len(fields) == 12
    for field in fields:
        npt.assert_array_equal(field, fields[0])
        assert 0.01 < (field < 150).all(axis=2).mean() < 0.2
    part = with_repeated_words(np.full((333, 444, 3), 240, np.uint8), 251, 787)
    npt.assert_array_equal(part, whole[251 : 251 + 333, 787 : 787 + 444])


def test_legend_colours_measure_as_their_classes():
    for compartment in ("nucleus", "cytoplasm", "membrane"):
        colours = drawn_colours(compartment)
        dab = stain_densities(colours[None], virtual_stains())[1][0]
        steps = np.searchsorted(DAB_CUTOFFS.values, dab, side="right")
        assert steps.tolist() == [0, 1, 2, 3]


def test_what_is_not_analysed_keeps_its_shape_but_no_colour():
    rgb = np.array([[[255, 255, 255], [120, 60, 140], [0, 0, 0]]], np.uint8)
    grey = not_analysed(rgb)
    assert (grey == grey[..., :1]).all()
    assert grey[0, :, 0].tolist() == sorted(grey[0, :, 0].tolist(), reverse=True)
    assert grey[0, 0, 0] >= 254
    assert 95 < grey[0, 2, 0] < 115
