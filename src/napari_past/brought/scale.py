"""How large the pixels of a label image are, told by the slide on which they lie."""

from __future__ import annotations

from napari_past.brought.choice import Choice
from napari_past.errors import BadTable
from napari_past.slide import Slide

SAME_FIELD = 0.01
"""Of width by width: what was scaled and rounded still shows one field."""
_ROUNDED_PX = 2
"""So much more or less a scaled image may have."""


def label_mpp(
    height_px: int,
    width_px: int,
    slide: Slide,
    choice: Choice,
    source: str,
    stated: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """µm (x, y) of a pixel of labels that cover the whole slide.

    The size of level 0 or of another level decides; then what the user says, then what the image
    states, where the image then covers the slide.

    Raises
    ------
    BadTable
        It does not, or nobody knows.
    MissingPixelSize
    """
    mpp = slide.require_mpp()
    if choice.mpp is None:
        for i, level in enumerate(slide.levels):
            off = 0 if i == 0 else 1
            if abs(level.height_px - height_px) <= off and abs(level.width_px - width_px) <= off:
                return mpp * level.downsample_x, mpp * level.downsample_y
    told = (choice.mpp, choice.mpp) if choice.mpp is not None else stated
    width_um, height_um = slide.size_um
    size = f"{source} has {width_px} x {height_px} px"
    slide_size = (
        f"{slide.name} with its {slide.levels[0].width_px} x {slide.levels[0].height_px} px"
    )
    if told is not None:
        if _same(width_px * told[0], width_um, told[0]) and _same(
            height_px * told[1], height_um, told[1]
        ):
            return told
        raise BadTable(
            f"{size}, which at {told[0]:.4g} µm/px are {width_px * told[0]:.0f} x "
            f"{height_px * told[1]:.0f} µm, but {slide.name} is {width_um:.0f} x {height_um:.0f} "
            "µm; give labels of the whole slide, or their µm/px with --cells-key mpp=… (key= in "
            "Python)."
        )
    across = slide.levels[0].width_px / width_px
    down = slide.levels[0].height_px / height_px
    if abs(across / down - 1) <= SAME_FIELD:
        raise BadTable(
            f"{size} and states no µm/px, and {slide_size} has no level of that size; if it shows "
            f"the whole slide, give --cells-key mpp={mpp * (across + down) / 2:.6g} (key= in "
            "Python)."
        )
    raise BadTable(
        f"{size}, which does not fit {slide_size} nor any of its levels; give labels of this slide."
    )


def _same(labels_um: float, slide_um: float, mpp: float) -> bool:
    return abs(labels_um - slide_um) <= max(SAME_FIELD * slide_um, _ROUNDED_PX * mpp)
