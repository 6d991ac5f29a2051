"""A page of the report before it is HTML or PDF: words, tables and drawings in order."""

from __future__ import annotations

from dataclasses import dataclass

from napari_past.report.drawing import Drawing


@dataclass(frozen=True)
class Figure:
    """A drawing with what is written above and below it."""

    title: str
    drawing: Drawing
    legend: tuple[tuple[Drawing, str], ...] = ()
    """Small drawings and what they mean."""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Texts in columns; the first `names` columns are left-aligned, the others hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int
    notes: tuple[str, ...] = ()
    """Sentences below the table."""


@dataclass(frozen=True)
class Fact:
    """A line of the list at the foot of the page."""

    label: str
    text: str


@dataclass(frozen=True)
class Page:
    """One A4 page."""

    title: str
    slide: str
    case_code: str
    """As it is shown, also where none was given."""
    case_given: bool
    fingerprint: str
    """As it is shown, the first digits in groups."""
    fingerprint_full: str
    warnings: tuple[str, ...]
    """At the head of the page, before anything that they put in doubt."""
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    plots: tuple[Figure, ...]
    facts: tuple[Fact, ...]
    footer: str
    """The research-use sentence."""
    number: str = ""
    """As "page 1 of 3"."""
