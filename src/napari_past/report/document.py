"""A page of sentences, tables and plots, as one HTML file or as Markdown with its plots beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from napari_past.errors import CannotWrite
from napari_past.files import atomic_write
from napari_past.report.page import Table
from napari_past.types import RESEARCH_USE

SUFFIXES = (".html", ".md")
_STYLE = (
    "body{font:15px/1.45 sans-serif;color:#222;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #bbb;padding:.25em .6em;"
    "text-align:left;vertical-align:top}.use{border:1px solid #222;padding:.6em}svg{max-width:100%}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.note{font-size:13px;color:#444}"
    ".warning{border:2px solid #b06000;background:#fff1d6;padding:.2em .8em}"
    ".warning p{margin:.35em 0}"
)


@dataclass(frozen=True)
class Sentence:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Warnings:
    """What puts in doubt what follows, in one frame."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """A picture."""

    name: str
    """Behind the page's own, where it is a file of its own."""
    svg: str
    alone: bool = False
    """Whether it may not stand beside others."""


@dataclass(frozen=True)
class Plots:
    """Pictures under one heading, which may be empty."""

    title: str
    plots: tuple[Plot, ...]
    notes: tuple[str, ...] = ()


Part = Sentence | Warnings | Table | Plots


@dataclass(frozen=True)
class Document:
    """The page; under its title stands the research-use sentence."""

    title: str
    parts: tuple[Part, ...]


def check_suffix(path: Path) -> None:
    """Raise `CannotWrite` where a page cannot have this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise CannotWrite(
            f"A report is written as HTML or Markdown, but --out is {path.name}; end the name "
            "in .html or .md."
        )


def write_document(document: Document, path: Path) -> tuple[Path, ...]:
    """Write it and return its files: one ``.html``, or an ``.md`` and an ``.svg`` for each plot.

    The same document gives the same bytes.

    Raises
    ------
    CannotWrite
        Another suffix, or the folder is missing or read-only, or the disk is full.
    """
    check_suffix(path)
    if path.suffix.lower() == ".html":
        _write(path, _html(document))
        return (path,)
    beside = [
        (path.with_name(f"{path.stem}-{plot.name}.svg"), plot.svg)
        for part in document.parts
        if isinstance(part, Plots)
        for plot in part.plots
    ]
    for file, svg in beside:
        _write(file, svg)
    _write(path, _markdown(document, path.stem))
    return (path, *(file for file, _ in beside))


def _html(document: Document) -> str:
    title = escape(document.title)
    body = "".join(map(_html_part, document.parts))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="use">{escape(RESEARCH_USE)}</p>{body}</body></html>\n'
    )


def _html_part(part: Part) -> str:
    if isinstance(part, Sentence):
        return f"<p>{escape(part.text)}</p>"
    if isinstance(part, Warnings):
        return (
            f'<div class="warning">{"".join(f"<p>{escape(s)}</p>" for s in part.sentences)}</div>'
        )
    title = f"<h2>{escape(part.title)}</h2>" if part.title else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in part.notes)
    if isinstance(part, Plots):
        pictures = (f"<div>{plot.svg}</div>" if plot.alone else plot.svg for plot in part.plots)
        return f"{title}{''.join(pictures)}{notes}"

    def line(cells: Sequence[str], tag: str) -> str:
        texts = (
            f"<{tag}{' class=n' if tag == 'td' and i >= part.names else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(texts)}</tr>"

    head = line(part.columns, "th") if any(part.columns) else ""
    return f"{title}<table>{head}{''.join(line(row, 'td') for row in part.rows)}</table>{notes}"


def _markdown(document: Document, stem: str) -> str:
    parts = [f"# {document.title}", f"**{RESEARCH_USE}**"]
    for part in document.parts:
        if isinstance(part, Sentence):
            parts.append(part.text)
            continue
        if isinstance(part, Warnings):
            parts += [f"> {sentence}" for sentence in part.sentences]
            continue
        if part.title:
            parts.append(f"## {part.title}")
        if isinstance(part, Plots):
            names = [f"{stem}-{plot.name}.svg" for plot in part.plots]
            parts += [f"![{name}]({quote(name)})" for name in names]
        else:
            lines = [part.columns, ("---",) * len(part.columns), *part.rows]
            cells = [[c.replace("|", "\\|").replace("\n", " ") for c in line] for line in lines]
            parts.append("\n".join("| " + " | ".join(row) + " |" for row in cells))
        parts += part.notes
    return "\n\n".join(parts) + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
