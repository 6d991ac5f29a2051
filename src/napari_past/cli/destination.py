"""Where `run` writes: one file for each slide, all of it checked before any work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_past.cli.parser import FORMATS
from napari_past.errors import CannotWrite
from napari_past.io import check_writable

BYTES_PER_VALUE = {"h5ad": 4, "csv": 12, "geojson": 80}
BYTES_PER_CELL = {"h5ad": 600, "csv": 120, "geojson": 1500}
"""Outline, position and scalars; an .h5ad holds the embedding besides."""
CELLS_PER_MM2 = 5000
"""Of dense tissue: what is expected where the cells are not known yet."""


@dataclass(frozen=True)
class Destination:
    """The file of one slide."""

    slide: Path
    file: Path
    format: str


def destinations(slides: Sequence[Path], out: Path, format: str | None) -> list[Destination]:
    """A file for each slide: `out` itself, or ``<stem>.<format>`` in the folder that it is.

    `out` is a folder where it exists as one, has no suffix, or several slides are given.

    Raises
    ------
    CannotWrite
        The suffix is unknown, contradicts the format, or names one file for several slides; or two
        slides would be written to one file.
    """
    suffix = out.suffix.lower().removeprefix(".")
    if out.is_dir() or not suffix or (len(slides) > 1 and suffix not in FORMATS):
        chosen = format or FORMATS[0]
        files = [out / f"{slide.stem}.{chosen}" for slide in slides]
        twice = next((f for i, f in enumerate(files) if f in files[:i]), None)
        if twice is not None:
            raise CannotWrite(
                f"Two of the slides would both be written to {twice}; run them one by one, each "
                "with its own --out."
            )
        return [Destination(s, f, chosen) for s, f in zip(slides, files, strict=True)]
    if len(slides) > 1:
        raise CannotWrite(
            f"--out {out} is one file, but {len(slides)} slides were given; give a folder, with "
            f"--format {suffix} where it is to hold such files."
        )
    if suffix not in FORMATS and format is None:
        raise CannotWrite(
            f"Cells cannot be written as {out.name!r}; give a name that ends in "
            f"{', '.join('.' + f for f in FORMATS)}, a folder, or --format."
        )
    if suffix in FORMATS and format not in (None, suffix):
        raise CannotWrite(
            f"--out {out} and --format {format} contradict each other; give one of them."
        )
    return [Destination(slides[0], out, format or suffix)]


def check_free(wanted: Sequence[Destination], inputs: Sequence[Path], force: bool) -> None:
    """Raise `CannotWrite` where a file exists and may not be overwritten, or is an input."""
    for destination in wanted:
        file = destination.file
        if not os.path.lexists(file):
            continue
        if any(path.exists() and file.exists() and path.samefile(file) for path in inputs):
            raise CannotWrite(f"{file} is read by this command; give another --out.")
        if not force:
            raise CannotWrite(
                f"{file} exists already; give another --out, or --force to overwrite it."
            )


def make_ready(wanted: Sequence[Destination], out: Path) -> None:
    """Create the folder that `out` is, where it is one, and check that every file can be written.

    Raises
    ------
    CannotWrite
    """
    if wanted[0].file != out:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise CannotWrite(
                f"The folder {out} cannot be created ({exc.strerror or exc}); choose another one."
            ) from exc
    for destination in wanted:
        check_writable(destination.file)


def check_room(destination: Destination, cells: float, genes: int, embed_dim: int) -> None:
    """Raise `CannotWrite` where the disk lacks the room for a table of `cells` cells.

    The finished file replaces an old one, so both have to fit.
    """
    form = destination.format
    per_cell = BYTES_PER_CELL[form] + BYTES_PER_VALUE[form] * genes
    needed = cells * (per_cell + (2 * embed_dim if form == "h5ad" else 0))
    folder = next(p for p in destination.file.absolute().parents if p.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CannotWrite(
            f"{destination.file} would take about {needed / 1e9:.1f} GB ({cells:.0f} cells, "
            f"{genes} genes), but its disk has {free / 1e9:.1f} GB free; name fewer --genes, or "
            "choose another disk."
        )
