"""What the text of an option means: rectangles, vectors, cut-offs, names."""

from __future__ import annotations

import argparse

from napari_past.optical_density import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, Vector
from napari_past.stain.dab import given_dab_stains
from napari_past.types import Cutoffs, Rect

SAME_MPP = 0.01
"""µm/px that differ by less share of the larger are one, rounded."""


def um_per_px(text: str) -> float:
    """µm per pixel."""
    try:
        return float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of µm per pixel; write it as 0.25, with a point"
        ) from exc


def rectangle(text: str) -> Rect:
    """The rectangle that "X,Y,W,H" in µm means."""
    x_um, y_um, width_um, height_um = _numbers(text, 4, "X,Y,W,H in µm, as 1000,500,800,600")
    return Rect(x_um, y_um, width_um, height_um)


def stain_vectors(text: str) -> tuple[Vector, Vector]:
    """The vectors of haematoxylin and DAB that six numbers mean, or "published"."""
    if text == "published":
        return RUIFROK_HEMATOXYLIN, RUIFROK_DAB
    wanted = "R,G,B of haematoxylin and R,G,B of DAB, as 0.65,0.70,0.29,0.27,0.57,0.78"
    numbers = _numbers(text, 6, wanted)
    hematoxylin: Vector = (numbers[0], numbers[1], numbers[2])
    dab: Vector = (numbers[3], numbers[4], numbers[5])
    try:
        if not any(hematoxylin) or not any(dab):
            raise ValueError("a vector is nought")
        given_dab_stains(hematoxylin, dab, (255.0, 255.0, 255.0))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} are no two stains; give {wanted}") from exc
    return hematoxylin, dab


def cutoffs(text: str) -> Cutoffs:
    """The cut-offs that "A,B,C", ascending, means."""
    wanted = "three ascending numbers A,B,C, as 0.2,0.4,0.6"
    weak, moderate, strong = _numbers(text, 3, wanted)
    try:
        return Cutoffs(weak, moderate, strong, source="given with --cutoffs")
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} does not ascend; give {wanted}") from exc


def gene_names(text: str) -> list[str] | str:
    """The list that "A,B,…" means, or "all"."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no gene is named; give some, as ERBB2,KRT19, or all")
    return "all" if names == ["all"] else names


def marker_names(text: str) -> list[str]:
    """The list that "M,…" means, each name once."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no marker is named; give some, as HER2,Ki67")
    return list(dict.fromkeys(names))


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was given where a number from 1 on is needed")
    return int(text)


def series(text: str) -> int | str:
    """A position or a name."""
    return int(text) if text.isdecimal() else text


def _numbers(text: str, count: int, wanted: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise argparse.ArgumentTypeError(f"{text!r} was given where {wanted}, is needed")
    return values
