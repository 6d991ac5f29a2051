"""Where `run` writes: one file for each slide, all of it checked before any work."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_past.cli.run_options import FORMATS
from napari_past.cli.slide_list import AskedSlide
from napari_past.errors import CannotWrite
from napari_past.slide.place import shown_place

BYTES_PER_VALUE = {"h5ad": 5, "csv": 12, "geojson": 80, "parquet": 6, "zarr": 5}
BYTES_PER_CELL = {"h5ad": 300, "csv": 700, "geojson": 1500, "parquet": 250, "zarr": 300}
"""Outline, position and scalars, measured by benchmarks/archive.py and rounded up."""
WITH_EMBEDDING = ("h5ad", "parquet", "zarr")
BYTES_PER_PIXEL = 4
"""Of an embedded image with its pyramid, at most: three, and a third of them."""
CELLS_PER_MM2 = 5000
"""Of dense tissue: what is expected where the cells are not known yet."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


@dataclass(frozen=True)
class Destination:
    """The file of one slide."""

    slide: AskedSlide
    file: Path
    format: str


def is_folder(out: Path, many: bool) -> bool:
    """Whether results go into the folder `out`, not to a file of that name.

    A folder is what exists as one, has no suffix, or, for several slides, none of a table's.
    """
    suffix = out.suffix.lower().removeprefix(".")
    if suffix == "zarr" and not many:
        return False
    return out.is_dir() or not suffix or (many and suffix not in FORMATS)


def destinations(
    slides: Sequence[AskedSlide], out: Path, format: str | None, many: bool
) -> list[Destination]:
    """A file for each slide: `out` itself, or ``<stem>.<format>`` in the folder that it is.

    Parameters
    ----------
    many
        Whether a folder is wanted, however many slides there are: one was searched, perhaps.

    Raises
    ------
    CannotWrite
        The suffix is unknown, contradicts the format, or names one file for several slides; or two
        slides would be written to one file.
    """
    suffix = out.suffix.lower().removeprefix(".")
    if is_folder(out, many):
        return _in_folder(slides, out, format or FORMATS[0])
    if many:
        raise CannotWrite(
            f"--out {out} is one file, but {_count(len(slides))} given; give a folder, with "
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


def _count(slides: int) -> str:
    return "a folder or list of one slide was" if slides == 1 else f"{slides} slides were"


def _in_folder(slides: Sequence[AskedSlide], out: Path, format: str) -> list[Destination]:
    made: list[Destination] = []
    taken: dict[str, AskedSlide] = {}
    for slide in slides:
        name = slide.stem if slide.out is None else slide.out
        chosen = format
        if slide.out is not None and (own := name.suffix.removeprefix(".").lower()) in FORMATS:
            if own != format:
                raise CannotWrite(
                    f"The list has {slide.name} written to {name}, but the format is {format}; "
                    f"leave the suffix out, or give --format {own}."
                )
            name = name.with_suffix("")
        relative = PurePosixPath(*(_portable(part) for part in name.parts))
        relative = relative.with_name(f"{relative.name}.{chosen}")
        # Windows and macOS take names that differ by case alone for one.
        other = taken.setdefault(str(relative).casefold(), slide)
        if other is not slide:
            raise CannotWrite(
                f"Two of the slides, {shown_place(other.place)} and {shown_place(slide.place)}, "
                f"would both be written to {out / relative}; run them one by one, "
                "each with its own --out, or name their results in the column out of a list."
            )
        made.append(Destination(slide, out / relative, chosen))
    return made


def _portable(name: str) -> str:
    """A name that every system takes."""
    kept = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).rstrip(". ") or "_"
    return f"{kept}_" if _RESERVED.fullmatch(kept) else kept


def check_free(files: Sequence[Path], inputs: Sequence[Path], force: bool) -> None:
    """Raise `CannotWrite` where a file exists and may not be overwritten, or is an input."""
    for file in files:
        check_no_input(file, inputs)
        if os.path.lexists(file) and not force:
            raise CannotWrite(
                f"{file} exists already; give another --out, or --force to overwrite it."
            )


def check_no_input(file: Path, inputs: Sequence[Path]) -> None:
    """Raise `CannotWrite` where a file to be written is read by the same command."""
    if any(path.exists() and file.exists() and path.samefile(file) for path in inputs):
        raise CannotWrite(f"{file} is read by this command; give another --out.")


def make_folder(folder: Path) -> None:
    """Create the folder of results, with those above it.

    Raises
    ------
    CannotWrite
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"The folder {folder} cannot be created ({exc.strerror or exc}); choose another one."
        ) from exc


def check_room(
    destination: Destination, cells: float, genes: int, embed_dim: int, image_px: int = 0
) -> None:
    """Raise `CannotWrite` where the disk lacks the room for a table of `cells` cells.

    The finished file replaces an old one, so both have to fit.

    Parameters
    ----------
    image_px
        Pixels of an image that is embedded.
    """
    form = destination.format
    per_cell = BYTES_PER_CELL[form] + BYTES_PER_VALUE[form] * genes
    per_cell += 2 * embed_dim if form in WITH_EMBEDDING else 0
    needed = cells * per_cell + BYTES_PER_PIXEL * image_px
    folder = next(p for p in destination.file.absolute().parents if p.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        image = " with the slide's image" if image_px else ""
        raise CannotWrite(
            f"{destination.file} would take about {needed / 1e9:.1f} GB ({cells:.0f} cells, "
            f"{genes} genes{image}), but its disk has {free / 1e9:.1f} GB free; name fewer "
            "--genes, or choose another disk."
        )
