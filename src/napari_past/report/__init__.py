"""The report: one page for each slide, as HTML that needs nothing else and as PDF.

What is known of a slide (`SlideFindings`) becomes pages of words, tables and drawings
(`slide_pages`), which are written twice (`write_report`): neither form knows anything that the
other does not.
"""

from napari_past.report.case_code import checked_case_code
from napari_past.report.findings import (
    NOT_CALIBRATED,
    MarkerFindings,
    ModelFacts,
    SlideFindings,
)
from napari_past.report.page import Page
from napari_past.report.pages import MOST_MARKERS, numbered, slide_pages
from napari_past.report.write import REPORT_SUFFIXES, check_suffix, write_report

__all__ = [
    "MOST_MARKERS",
    "NOT_CALIBRATED",
    "REPORT_SUFFIXES",
    "MarkerFindings",
    "ModelFacts",
    "Page",
    "SlideFindings",
    "check_suffix",
    "checked_case_code",
    "numbered",
    "slide_pages",
    "write_report",
]
