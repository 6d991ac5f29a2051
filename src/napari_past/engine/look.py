"""Whether a slide looks like what it is analysed as."""

from __future__ import annotations

from napari_past.cells import tissue_sample
from napari_past.slide import Slide
from napari_past.stain.slide_kind import H_AND_E, IHC, StainLook, stain_look

SAMPLE_MPP = 0.5


def look_of(slide: Slide) -> StainLook:
    """The look of blocks spread over a slide's tissue. Reads pixels: some tenths of a second.

    Raises
    ------
    MissingPixelSize
    """
    return stain_look(tissue_sample(slide, SAMPLE_MPP, faint=True), slide.background)


def mismatch(look: StainLook, measured: bool) -> str:
    """What to tell where a slide looks like the other kind; empty where nothing speaks against it.

    Parameters
    ----------
    measured
        Whether its stain is measured, else a model for H&E predicts.
    """
    if look.kind == (H_AND_E if measured else IHC):
        done = "its DAB is measured" if measured else "a model for H&E reads it"
        return f"The slide {look.sentence}, but {done}: the values mean nothing then."
    return ""
