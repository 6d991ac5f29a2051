"""The files that a command writes: told before any work which of them are in the way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from napari_past.errors import CannotWrite, PastError
from napari_past.files import check_writable

SUFFIXES = (".md", ".html")


def report_files(out: Path) -> tuple[Path, Path]:
    """The Markdown and the HTML file that `out` (either of them) stands for.

    Raises
    ------
    PastError
        It ends in something else.
    CannotWrite
        One of them could not be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise PastError(
            f"A report is {' or '.join(SUFFIXES)} (both are written), but got {out.name!r}; "
            f"give {out.stem}.md."
        )
    files = out.with_suffix(".md"), out.with_suffix(".html")
    for file in files:
        check_writable(file)
    return files


def check_free(files: Iterable[Path], inputs: Iterable[str | Path], force: bool) -> None:
    """Raise `CannotWrite` where a file exists and may not be overwritten, or is read.

    Parameters
    ----------
    inputs
        Files and folders that the command reads; names and URLs that are none do no harm.
    force
        Whether files may be overwritten; what is read never is.
    """
    read = [path for path in map(Path, inputs) if path.exists()]
    for file in files:
        if not os.path.lexists(file):
            continue
        if any(_within(file, path) for path in read):
            raise CannotWrite(f"{file} is read by this command; give another --out.")
        if not force:
            raise CannotWrite(
                f"{file} exists already; give another --out, or --force to overwrite it."
            )


def _within(file: Path, path: Path) -> bool:
    inside = path.is_dir() and path.resolve() in file.resolve().parents
    return inside or (file.exists() and file.samefile(path))
