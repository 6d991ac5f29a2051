"""The report as a file, in the form that its suffix names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_past.errors import CannotWrite
from napari_past.files import atomic_write
from napari_past.report.html import html_report
from napari_past.report.page import Page
from napari_past.report.pdf import check_letters, pdf_report

HTML, PDF = ".html", ".pdf"
REPORT_SUFFIXES = (HTML, PDF)


def check_suffix(path: Path, case_code: str = "") -> None:
    """Raise where no report can be written under this name, or not with this case code.

    Raises
    ------
    CannotWrite
        Another suffix than .html or .pdf.
    PastError
        The PDF cannot show the case code.
    """
    suffix = path.suffix.lower()
    if suffix not in REPORT_SUFFIXES:
        raise CannotWrite(
            f"A report is written as .html or .pdf, but --out is {path.name!r}; end the name in "
            "one of them."
        )
    if suffix == PDF:
        check_letters(case_code)


def write_report(pages: Sequence[Page], path: Path) -> None:
    """Write the pages, whole or not at all.

    Raises
    ------
    CannotWrite
        Another suffix than .html or .pdf; the folder is missing or read-only; the disk is full.
    """
    check_suffix(path)
    if path.suffix.lower() == HTML:
        content = html_report(pages).encode()
    else:
        content = pdf_report(pages)
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)
