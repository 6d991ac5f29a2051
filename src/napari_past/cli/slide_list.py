"""Which slides a command was given: places, folders that are searched, and lists."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_past.cli.option_values import series as series_of
from napari_past.errors import BadTable, PastError, SlideError
from napari_past.slide.omezarr import is_zarr_folder
from napari_past.slide.openslide import SUFFIXES as OPENSLIDE_SUFFIXES
from napari_past.slide.openslide import dicom_files
from napari_past.slide.place import is_remote, local_path, shown_name, stem_of
from napari_past.slide.units import checked_mpp

SLIDE_SUFFIXES = (
    ".svs", ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".ndpi", ".scn", ".bif", ".qptiff",
    *OPENSLIDE_SUFFIXES,
)  # fmt: skip
"""Of files that a folder is searched for; others in it are no slides."""
LIST_SUFFIXES = (".txt", ".csv")
COLUMNS = ("slide", "mpp", "series", "cells", "rois", "out")


@dataclass(frozen=True)
class AskedSlide:
    """One slide, and what is said of it alone; None where the command's options hold."""

    place: str
    """Path or address."""
    name: str
    """What it is called in tables: its file's name, with the folders below the one searched."""
    stem: PurePosixPath
    """Name of its results below the output folder, without a suffix."""
    mpp: float | None = None
    series: int | str | None = None
    cells: Path | None = None
    rois: Path | None = None
    out: PurePosixPath | None = None
    """Name of its results as a list gives it."""


@dataclass(frozen=True)
class AskedSlides:
    """All slides, each once, in order."""

    slides: tuple[AskedSlide, ...]
    notes: tuple[str, ...]
    """What the user is to be told: slides given twice, columns that mean nothing."""
    searched: bool
    """Whether a folder or a list was among what was given."""


def asked_slides(given: Sequence[str], leave_out: Path | None = None) -> AskedSlides:
    """The slides that arguments name: a slide itself, those in a folder, those of a list.

    A folder that is a slide (OME-Zarr, DICOM) is one; any other is searched with the folders in it,
    links followed, hidden ones passed over. A list is a ``.txt`` with a place in each line (``#``
    begins a comment) or a ``.csv`` with the column ``slide`` and any of `COLUMNS`; what it names
    relatively lies beside it.

    Parameters
    ----------
    leave_out
        A folder that is not searched: that of the results.

    Raises
    ------
    PastError
        A folder without slides, or without permission to look into it.
    BadTable
        A list that is empty or has a mistake, told with its line.
    """
    slides: list[AskedSlide] = []
    notes: list[str] = []
    searched = False
    for argument in given:
        path = local_path(argument)
        if path is not None and path.suffix.lower() in LIST_SUFFIXES and not path.is_dir():
            slides += _of_list(path, notes)
            searched = True
        elif path is not None and path.is_dir() and not _is_slide(path):
            slides += _in_folder(path, leave_out, notes)
            searched = True
        else:
            slides.append(_asked(str(argument)))
    return AskedSlides(tuple(_once(slides, notes)), tuple(notes), searched)


def _asked(place: str) -> AskedSlide:
    return AskedSlide(place, shown_name(place), PurePosixPath(stem_of(place)))


def _once(slides: Sequence[AskedSlide], notes: list[str]) -> Iterator[AskedSlide]:
    seen: dict[tuple[str, object, str], str] = {}
    for slide in slides:
        path = local_path(slide.place)
        where = slide.place if path is None else os.path.normcase(os.path.realpath(path))
        key = (where, slide.series, "" if slide.out is None else slide.out.as_posix())
        if key in seen:
            same = "given twice" if seen[key] == slide.name else f"the same file as {seen[key]}"
            notes.append(f"{slide.name} is {same} and is analysed once.")
            continue
        seen[key] = slide.name
        yield slide


# ---- folders ---------------------------------------------------------------------------------


def _is_slide(folder: Path) -> bool:
    try:
        if is_zarr_folder(folder):
            return True
        # Files of DICOM are a slide together; beside slides of other kinds they are strays.
        others = any(
            Path(entry.name).suffix.lower() in SLIDE_SUFFIXES for entry in os.scandir(folder)
        )
        return not others and bool(dicom_files(folder))
    except OSError:
        return False


def _in_folder(root: Path, leave_out: Path | None, notes: list[str]) -> list[AskedSlide]:
    found: list[PurePosixPath] = []
    unread: list[OSError] = []
    own = None if leave_out is None else os.path.realpath(leave_out)
    visited: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True, onerror=unread.append):
        real = os.path.realpath(place)
        here = Path(place)
        if real in visited or (real == own and here != root):
            folders.clear()
            continue
        visited.add(real)
        relative = PurePosixPath(here.relative_to(root).as_posix())
        names = {name.lower() for name in files}
        deeper = []
        for name in sorted(folders):
            # What an MRXS slide is made of lies in a folder of its name.
            if name.startswith(".") or f"{name.lower()}.mrxs" in names:
                continue
            if _is_slide(here / name):
                if not is_spatialdata(here / name):
                    found.append(relative / name)
            else:
                deeper.append(name)
        folders[:] = deeper
        found += [
            relative / name
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SLIDE_SUFFIXES
        ]
    notes += [f"{e.filename} cannot be searched ({e.strerror}) and is passed over." for e in unread]
    if not found:
        raise PastError(
            f"The folder {root} holds no slide ({', '.join(SLIDE_SUFFIXES)}, OME-Zarr, DICOM); "
            "give a folder that does, a slide, or a list of slides."
        )
    return [
        AskedSlide(str(root / name), name.as_posix(), stem)
        for name, stem in _stems(sorted(found, key=lambda name: name.as_posix()))
    ]


def is_spatialdata(folder: Path) -> bool:
    """Whether a Zarr folder is SpatialData: a result of ours, perhaps, beside slides."""
    for name in ("zarr.json", ".zattrs"):
        try:
            if "spatialdata_attrs" in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False


def _stems(names: Sequence[PurePosixPath]) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Each name with one for its results: with its suffix where two differ by that alone."""
    short = [name.with_name(stem_of(name.name)) for name in names]
    times = Counter(str(stem).casefold() for stem in short)
    for name, stem in zip(names, short, strict=True):
        yield name, stem if times[str(stem).casefold()] == 1 else name


# ---- lists -----------------------------------------------------------------------------------


def _of_list(path: Path, notes: list[str]) -> list[AskedSlide]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise BadTable(f"There is no list {path}; check its name.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise BadTable(
            f"The list {path.name} cannot be read ({reason}); save it as UTF-8 text."
        ) from exc
    rows = _csv_rows(path, text, notes) if path.suffix.lower() == ".csv" else _txt_rows(text)
    slides = [_of_row(path, line, row) for line, row in rows]
    if not slides:
        raise BadTable(
            f"The list {path.name} names no slide; write a path or address in each line."
        )
    return slides


def _txt_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, content in enumerate(text.splitlines(), start=1):
        place = content.strip().strip('"').strip()
        if place and not place.startswith("#"):
            yield line, {"slide": place}


def _csv_rows(path: Path, text: str, notes: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    head = text.partition("\n")[0]
    # A spreadsheet separates by semicolons where commas stand in numbers.
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in head else ",")
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        if "slide" not in columns:
            raise BadTable(
                f"The list {path.name} has no column slide in line 1 ({', '.join(columns)}); name "
                f"its columns, of {', '.join(COLUMNS)}."
            )
        unknown = [column for column in columns if column and column not in COLUMNS]
        if unknown:
            notes.append(f"{path.name}: the columns {', '.join(unknown)} are not used.")
        for values in reader:
            values = [value.strip() for value in values]
            if not any(values):
                continue
            if len(values) > len(columns):
                raise BadTable(
                    f"{path.name}, line {reader.line_num}: {len(values)} values stand under "
                    f"{len(columns)} columns; put a value that holds a separator into quotes."
                )
            yield reader.line_num, dict(zip(columns, values, strict=False))
    except csv.Error as exc:
        raise BadTable(
            f"{path.name}, line {reader.line_num}: {exc}; save the list as plain CSV."
        ) from exc


def _of_row(path: Path, line: int, row: dict[str, str]) -> AskedSlide:
    where = f"{path.name}, line {line}"
    place = row["slide"]
    if not place:
        raise BadTable(f"{where}: the column slide is empty; name a slide, or remove the line.")
    if not is_remote(place):
        local = local_path(place) if place.startswith("file:") else path.parent / place
        place = str(local)
    asked = _asked(place)
    try:
        mpp = checked_mpp(float(row["mpp"])) if row.get("mpp") else None
    except (ValueError, SlideError) as exc:
        raise BadTable(
            f"{where}: mpp is {row['mpp']!r}, but µm per pixel is a number, as 0.25."
        ) from exc
    return AskedSlide(
        place,
        asked.name,
        asked.stem,
        mpp,
        series_of(row["series"]) if row.get("series") else None,
        path.parent / row["cells"] if row.get("cells") else None,
        path.parent / row["rois"] if row.get("rois") else None,
        _out_of(where, row["out"]) if row.get("out") else None,
    )


def _out_of(where: str, text: str) -> PurePosixPath:
    out = PurePosixPath(text.replace("\\", "/"))
    if out.is_absolute() or ".." in out.parts or ":" in out.parts[0]:
        raise BadTable(
            f"{where}: out is {text!r}, but a name within the folder of --out is needed, as "
            "case-1/slide."
        )
    return out
