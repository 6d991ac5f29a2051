"""What a heat map shows and rests on, in sentences. Knows no Qt."""

from __future__ import annotations

from napari_past.errors import BadTable
from napari_past.io.heat_map import HeatChannel, HeatKind, HeatMap
from napari_past.slide import Slide

NO_SLIDE = "{name} is a heat map, which is laid over its slide: open the slide first."
NOT_WHY = (
    "Attention says where a network looked, not why: it is no explanation, and what lies there "
    "need not matter to the patient. A contribution says what the network's own sum gained there, "
    "no more. A square holds the sum over its cells, so both are higher where cells lie dense."
)
_MPP_TOLERANCE = 1e-3


def what_line(found: HeatMap, channel: HeatChannel) -> str:
    """What the colours mean, some sentences."""
    about, side = found.about, f"squares of {found.grid.mpp:g} µm"
    network = f"{about.network} ({about.pooling} pooling)"
    if channel.kind is HeatKind.ATTENTION:
        whose = "patient's" if about.slides > 1 else "slide's"
        told = f"Where {network} looked, not why: the part of the {whose} attention in {side}."
        if about.pooling == "mean":
            told += " Mean pooling weighs all alike, so this is their density."
    else:
        told = (
            f"What {side} add to the {channel.name} of {network}, beyond the mean training "
            "patient; orange raises it, blue lowers it. This names no cause."
        )
    if about.looked_at < about.instances:
        told += (
            f" It saw a sample, {about.looked_at:,} of {counted(found, about.instances)}: the rest "
            "is clear."
        )
    return told


def channel_name(channel: HeatChannel) -> str:
    """As lists have it: "Attention", "Contribution to log hazard"."""
    return "Attention" if channel.kind is HeatKind.ATTENTION else f"Contribution to {channel.name}"


def counted(found: HeatMap, n: int) -> str:
    """How many instances, as "1 cell" or "1,200 tiles"."""
    return f"{n:,} {noun(found)}{'' if n == 1 else 's'}"


def noun(found: HeatMap) -> str:
    """What one instance is: "cell" or "tile"."""
    return "cell" if found.about.tile_um is None else "tile"


def evidence_line(found: HeatMap) -> str:
    """What the map rests on, with the research-use sentence."""
    about = found.about
    in_fit = {
        True: "It was fitted on this slide, so the map is no test of it.",
        False: "It was not fitted on this slide.",
        None: "Whether it was fitted on this slide is not known.",
    }[about.in_fit]
    sentences = (about.fitted_on, about.evidence, in_fit, about.research_use)
    return " ".join(f"{s.rstrip('. ')}." for s in sentences if s.strip())


def check_slide(found: HeatMap, slide: Slide, name: str) -> None:
    """Raise `BadTable` where a map is of another slide, or of another size of its pixels.

    Reads the slide to know it: not in the GUI thread.
    """
    about = found.about
    if about.slide_fingerprint != slide.fingerprint:
        raise BadTable(
            f"{name} is the heat map of {about.slide_name}, not of {slide.name}; open that slide, "
            "or give this one's map."
        )
    mpp = slide.require_mpp()
    if about.slide_mpp is not None and abs(mpp / about.slide_mpp - 1) > _MPP_TOLERANCE:
        raise BadTable(
            f"{name} was made with {about.slide_mpp:g} µm/px, but the slide is open with {mpp:g}; "
            "give the slide the same pixel size in both."
        )
