"""Which of a file's images is the slide."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_past.errors import SlideError

_ASSOCIATED = re.compile(r"\b(label|macro|thumb(nail)?|map|barcode|overview|preview)\b", re.I)
"""Pictures beside the slide. A label shows the patient's name: it opens only by its own name."""


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of a file's images, each once; images without a name are counted."""
    out: list[str] = []
    for i, name in enumerate(names):
        name = name.strip() or f"image {i}"
        out.append(name if name not in out else f"{name} ({i})")
    return tuple(out)


def slide_names(names: Sequence[str], hints: Sequence[str]) -> tuple[str, ...]:
    """Names of the images that are slides; parameters as of `chosen_series`."""
    return tuple(names[i] for i in _slides(hints))


def _slides(hints: Sequence[str]) -> list[int]:
    alone = len(hints) == 1
    return [i for i, hint in enumerate(hints) if alone or not _ASSOCIATED.search(hint)]


def chosen_series(
    slide_name: str,
    names: Sequence[str],
    hints: Sequence[str],
    areas_px: Sequence[int],
    wanted: int | str | None,
) -> int:
    """Position of the image that is the slide.

    Parameters
    ----------
    slide_name
        For messages.
    names
        Unique names, in file order.
    hints
        Texts that tell labels, macro pictures and thumbnails from slides, in the same order.
    areas_px
        Width times height of each.
    wanted
        None takes the largest that is no associated picture, the first of equals; a number is a
        position; a name is taken as it is written, or in another case.

    Raises
    ------
    SlideError
        No such image, or a number that means an associated picture.
    """
    slides = _slides(hints)
    listing = ", ".join(f"{i} = {names[i]!r}" for i in slides) or "none"
    if wanted is None:
        if not slides:
            raise SlideError(
                f"{slide_name} holds only label, macro or thumbnail pictures and no slide; "
                "give the file that holds the scan."
            )
        return max(slides, key=lambda i: (areas_px[i], -i))
    if isinstance(wanted, str) and not wanted.isdecimal():
        same = [i for i, name in enumerate(names) if name == wanted]
        same = same or [i for i, name in enumerate(names) if name.lower() == wanted.lower()]
        if same:
            return same[0]
    elif int(wanted) in slides:
        return int(wanted)
    elif 0 <= int(wanted) < len(names):
        raise SlideError(
            f"Series {wanted} of {slide_name} is a picture beside the slide that may show the "
            f"patient's name; ask for it by its name if you mean it, or take one of: {listing}."
        )
    raise SlideError(f"{slide_name} has no series {wanted!r}; its slides are: {listing}.")
