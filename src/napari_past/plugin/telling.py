"""Lines that the panel tells of the slide and of the work that goes on."""

from __future__ import annotations

from napari_past.plugin.session import Session
from napari_past.types import Rect

MOST_VIEW_MM2 = 6.0
"""A view that covers more is a run to be started knowingly, and Live waits."""


def too_wide(view: Rect) -> str:
    """Why a view is not stained at a click, and what to do; empty where it is."""
    area = _mm2(view)
    if area <= MOST_VIEW_MM2:
        return ""
    return (
        f"This view covers {area:.0f} mm²; zoom in to {MOST_VIEW_MM2:.0f} mm² or less, or use "
        f"Whole slide."
    )


def slide_facts(session: Session) -> str:
    """µm/px, size, and how much is analysed."""
    width_mm, height_mm = (side_um / 1000 for side_um in session.slide.size_um)
    done, total = session.analysed_tiles, len(session.whole.tiles)
    return (
        f"{session.slide.require_mpp():.4g} µm/px · {width_mm:.1f} x {height_mm:.1f} mm"
        f" · {done:,} of {total:,} tiles analysed"
    )


def live_line(session: Session | None, area: Rect | None, waiting: int, running: bool) -> str:
    """What Live does, in words; empty where there is nothing to say.

    Parameters
    ----------
    area
        The view on the slide; None where it shows none.
    waiting
        Tiles in view that are not finished.
    running
        Whether a run that was asked for goes on.
    """
    if area is None or session is None:
        return ""
    if too_wide(area):
        if running or session.analysed_tiles == len(session.whole.tiles):
            return ""
        return (
            f"Live waits: this view covers {_mm2(area):.0f} mm². Zoom in to "
            f"{MOST_VIEW_MM2:.0f} mm² or less; what is analysed is shown."
        )
    return f"Live: {waiting} tiles in view to go." if waiting else ""


def part_scored(session: Session | None, valued: int) -> str:
    """Which part of the slide scores stand for; empty for all of it.

    Parameters
    ----------
    valued
        Cells that have a value by now.
    """
    if session is None:
        return ""
    told, n = [], len(session.table)
    if session.analysed_tiles < len(session.whole.tiles):
        told.append(
            f"Only analysed tissue counts ({session.analysed_tiles:,} of "
            f"{len(session.whole.tiles):,} tiles)."
        )
    if valued < n:
        told.append(f"Only cells that were looked up count ({valued:,} of {n:,}).")
    return " ".join(told)


def _mm2(rect: Rect) -> float:
    return rect.width_um * rect.height_um / 1e6
