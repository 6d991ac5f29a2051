"""``napari-past info``: what is known of a slide without reading its pixels."""

from __future__ import annotations

import json
import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from napari_past.slide import Slide, open_slide
from napari_past.slide.place import is_remote, shown_place


@dataclass(frozen=True)
class LevelFacts:
    """One level of the pyramid."""

    width_px: int
    height_px: int
    downsample_x: float
    downsample_y: float


@dataclass(frozen=True)
class SlideFacts:
    """The keys of ``info --json``, in this order; null where the slide does not tell."""

    name: str
    path: str
    """As it was typed, without what is secret in an address."""
    vendor: str
    objective: float | None
    """Nominal magnification."""
    mpp: float | None
    """µm per level-0 pixel."""
    mpp_source: str | None
    """Who says so: "file" or "given"."""
    width_px: int
    height_px: int
    width_um: float | None
    height_um: float | None
    levels: tuple[LevelFacts, ...]
    """Fine to coarse, as in the file."""
    series: tuple[str, ...]
    """Names of the images in the file, labels and thumbnails too; what --series takes."""
    fingerprint: str
    """64 hex digits of the content."""
    missing: tuple[str, ...]
    """What the slide lacks, tiles too, and what to do about it; empty where it has all."""


def slide_facts(slide: Slide, place: str) -> SlideFacts:
    """What an open slide says about itself; `place` is where the user said it lies."""
    first = slide.levels[0]
    width_um, height_um = (None, None) if slide.mpp is None else slide.size_um
    missing = list(slide.faults)
    if slide.mpp is None:
        missing.append("no µm/px: give --mpp (0.25 and 0.5 are usual for 40x and 20x)")
    if slide.objective is None:
        missing.append("no magnification of the objective: nothing needs it")
    return SlideFacts(
        name=slide.name,
        path=shown_place(place) if is_remote(place) else place,
        vendor=slide.vendor,
        objective=slide.objective,
        mpp=slide.mpp,
        mpp_source=None if slide.mpp is None else "given" if slide.mpp_given else "file",
        width_px=first.width_px,
        height_px=first.height_px,
        width_um=width_um,
        height_um=height_um,
        levels=tuple(
            LevelFacts(v.width_px, v.height_px, v.downsample_x, v.downsample_y)
            for v in slide.levels
        ),
        series=slide.series_names,
        fingerprint=slide.fingerprint,
        missing=tuple(missing),
    )


def execute(options: Namespace) -> int:
    """Print the facts; a slide without µm/px is no mistake here."""
    with open_slide(options.slide, options.mpp, options.series) as slide:
        facts = slide_facts(slide, options.slide)
        images = _series_lines(slide)
    if options.json:
        print(json.dumps(asdict(facts), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(facts, images)))
    return 0


def _series_lines(slide: Slide) -> list[str]:
    """What to type after --series for each image; pictures beside the slide open by name only."""
    lines = []
    for i, name in enumerate(slide.series_names):
        typed = shlex.quote(name)
        if i == slide.series:
            lines.append(f"    {i} or {typed}: this one")
        elif name in slide.image_names:
            lines.append(f"    {i} or {typed}")
        else:
            lines.append(f"    {typed}: a picture beside the slide, may show the patient's name")
    return lines


def _lines(facts: SlideFacts, images: Sequence[str]) -> list[str]:
    size = f"{facts.width_px} x {facts.height_px} px"
    if facts.width_um is not None and facts.height_um is not None:
        size += f" · {facts.width_um:.0f} x {facts.height_um:.0f} µm"
    origin = {"file": "", "given": " (given)", None: ""}[facts.mpp_source]
    lines = [
        facts.name,
        f"  vendor       {facts.vendor}",
        f"  size         {size}",
        f"  µm/px        {'unknown' if facts.mpp is None else f'{facts.mpp:.6g}{origin}'}",
        f"  objective    {'unknown' if facts.objective is None else f'{facts.objective:g}x'}",
        f"  levels       {len(facts.levels)}",
    ]
    for number, level in enumerate(facts.levels):
        ratio = f"{level.downsample_x:.6g}"
        if f"{level.downsample_y:.6g}" != ratio:
            ratio += f" x {level.downsample_y:.6g}"
        lines.append(f"    {number}: {level.width_px} x {level.height_px} px, downsample {ratio}")
    if len(facts.series) > 1:
        lines += ["  series       (for --series)", *images]
    lines.append(f"  fingerprint  {facts.fingerprint}")
    lines.append(f"  missing      {'; '.join(facts.missing) or 'nothing'}")
    return lines
