"""What each slide of a cohort is, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_past.errors import MissingPixelSize, PastError
from napari_past.files import file_sha256
from napari_past.io import read_regions
from napari_past.slide import open_slide
from napari_past.slide.thumbprint import thumbprint
from napari_past.types import Region
from past_training.slide_level.bags.prepared import ModelIdentity
from past_training.slide_level.bags.table_bag import about_table
from past_training.slide_level.cohort.cohort import CohortSlide
from past_training.slide_level.cohort.errors import BadCohort

_SHOWN = 3


@dataclass(frozen=True)
class Seen:
    """A slide that was looked at."""

    slide: CohortSlide
    """With its fingerprint."""
    mpp: float | None
    size_um: tuple[float, float] | None
    """(width, height); None of a table that does not tell."""
    content: str
    """By which it is known that nothing has changed: of the picture or the table, and the
    regions."""
    thumbprint: str = ""
    """Empty of a table."""
    model: ModelIdentity | None = None
    """That gave a table's vectors; None of a picture."""
    regions: tuple[Region, ...] = ()


def looked_at(
    slides: Sequence[CohortSlide],
    on_slide: Callable[[int, CohortSlide], None] = lambda done, slide: None,
) -> tuple[Seen, ...]:
    """Every slide, opened once.

    Parameters
    ----------
    on_slide
        Told how many are done, and which is next.

    Raises
    ------
    BadCohort
        Slides cannot be used; the sentence has the first of them with their reasons.
    """
    seen, faults = [], []
    for done, slide in enumerate(slides):
        on_slide(done, slide)
        try:
            seen.append(_table(slide) if slide.is_table else _picture(slide))
        except MissingPixelSize:
            faults.append(
                f"{slide.name} does not state its µm/px: give a column of the table that does "
                f"(--mpp)"
            )
        except PastError as exc:
            faults.append(str(exc).rstrip("."))
    if faults:
        bad = len(faults)
        # All slides may lack one and the same file of regions.
        faults = list(dict.fromkeys(faults))
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadCohort(
            f"{bad} of {len(slides)} slides cannot be used: {'; '.join(faults[:_SHOWN])}{more}."
        )
    return tuple(seen)


def _picture(slide: CohortSlide) -> Seen:
    with open_slide(slide.place, slide.mpp) as opened:
        mpp = opened.require_mpp()
        regions: tuple[Region, ...] = ()
        content = f"{opened.fingerprint} at {mpp!r}"
        if slide.rois is not None:
            regions = read_regions(slide.rois, mpp)
            content += f" in {_sha256(slide.rois)}"
        return Seen(
            slide=replace(slide, fingerprint=opened.fingerprint),
            mpp=mpp,
            size_um=opened.size_um,
            content=content,
            thumbprint=thumbprint(opened),
            regions=regions,
        )


def _table(slide: CohortSlide) -> Seen:
    if slide.rois is not None:
        raise BadCohort(
            f"{slide.name} is a table of cells, whose regions were chosen when it was written; "
            f"leave its regions empty, or give the slide itself"
        )
    about = about_table(slide.place)
    return Seen(
        slide=replace(slide, fingerprint=about.fingerprint),
        mpp=about.mpp,
        size_um=about.size_um,
        content=_sha256(slide.place),
        model=about.model,
    )


def _sha256(place: str) -> str:
    return file_sha256(Path(place))
