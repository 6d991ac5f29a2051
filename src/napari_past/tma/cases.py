"""Which case lies in which core: spreadsheets, as a list of cores or as a map of the array."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_past.errors import BadTable
from napari_past.files import existing_file
from napari_past.tma.grid import TmaCore, TmaGrid, core_name, position_of

CORE_COLUMNS = ("core", "core id", "tma core", "position", "name")
CASE_COLUMNS = ("case", "case id", "unique id", "patient", "patient id")
"""Heads of columns that are taken, whatever their case; the first that is there."""
_DELIMITERS = ",;\t"
_SHOWN = 6


def with_cases(grid: TmaGrid, path: str | Path) -> TmaGrid:
    """The grid with the cases of a spreadsheet, saved as CSV (comma, semicolon or tab).

    Either a list with a column ``core`` ("A-1" or "A1"), a column ``case`` and any others, which
    are kept; or a map of the array: columns headed 1, 2, …, rows that begin with A, B, …, and the
    case in each cell.

    Raises
    ------
    BadTable
        No such file, neither a list nor a map, a core twice, or one that the grid does not have:
        then the names of grid and spreadsheet do not mean the same.
    """
    source = existing_file(path)
    lines = _lines(source)
    heads = [head.strip() for head in lines[0]]
    folded = [head.casefold().replace("_", " ") for head in heads]
    core = next((folded.index(name) for name in CORE_COLUMNS if name in folded), None)
    if core is not None:
        told = _listed(lines, heads, folded, core, source.name)
    elif _is_map(heads, lines):
        told = _mapped(lines, heads)
    else:
        raise BadTable(
            f"{source.name} is neither a list (columns core, case, …) nor a map (columns headed 1, "
            "2, …, rows that begin with A, B, …); save it as one of these."
        )
    unknown = sorted(told.keys() - _by_name(grid).keys())
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (" …" if len(unknown) > _SHOWN else "")
        raise BadTable(
            f"{source.name} names {len(unknown)} core{'s' if len(unknown) > 1 else ''} that the "
            f"grid of {grid.rows} rows and {grid.columns} columns does not have ({shown}); check "
            "the grid before its cores are given cases."
        )
    names = {core.name: told.get(name, {}) for name, core in _by_name(grid).items()}
    return replace(grid, cores=tuple(
        replace(
            core,
            case=names[core.name].get("case", core.case),
            columns={**core.columns, **_without_case(names[core.name])},
        )
        for core in grid.cores
    ))  # fmt: skip


def _by_name(grid: TmaGrid) -> dict[str, TmaCore]:
    return {_key(core.name): core for core in grid.cores}


def _key(name: str) -> str:
    """One spelling for "A-1", "A1" and "a-1"; another name stays as it is."""
    position = position_of(name)
    return name.strip() if position is None else core_name(*position)


def _without_case(told: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in told.items() if name != "case"}


def _lines(source: Path) -> list[list[str]]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadTable(
            f"{source.name} cannot be read as text ({exc}); save the spreadsheet as CSV in UTF-8."
        ) from exc
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except csv.Error as exc:
        raise BadTable(
            f"{source.name} cannot be read as CSV ({exc}); save the spreadsheet as CSV again."
        ) from exc
    lines = [row for row in rows if any(cell.strip() for cell in row)]
    if len(lines) < 2:
        raise BadTable(f"{source.name} holds no line beside its header; save it again.")
    return lines


def _listed(
    lines: Sequence[Sequence[str]], heads: list[str], folded: list[str], core: int, source: str
) -> dict[str, dict[str, str]]:
    """Texts by column of each core; the case under "case"."""
    case = next((folded.index(name) for name in CASE_COLUMNS if name in folded), None)
    told: dict[str, dict[str, str]] = {}
    for line in lines[1:]:
        cells = [cell.strip() for cell in line] + [""] * (len(heads) - len(line))
        name = _key(cells[core])
        if not name:
            continue
        if name in told:
            raise BadTable(f"{source} has core {name} twice; keep one line for each core.")
        told[name] = {
            "case" if i == case else head: cells[i]
            for i, head in enumerate(heads)
            if i != core and head and cells[i]
        }
    return told


def _is_map(heads: list[str], lines: Sequence[Sequence[str]]) -> bool:
    rows = [line[0].strip() for line in lines[1:]]
    numbered = all(head.isdecimal() and int(head) > 0 for head in heads[1:] if head)
    lettered = all(position_of(f"{row}-1") is not None for row in rows)
    return numbered and any(heads[1:]) and lettered


def _mapped(lines: Sequence[Sequence[str]], heads: list[str]) -> dict[str, dict[str, str]]:
    told = {}
    for line in lines[1:]:
        for head, cell in zip(heads[1:], line[1:], strict=False):
            if head and cell.strip():
                told[_key(f"{line[0].strip()}-{head}")] = {"case": cell.strip()}
    return told
