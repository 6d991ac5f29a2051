"""``napari-past tma``: the cores of a tissue microarray, as a grid with names."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from napari_past.cli.tma_picture import write_picture
from napari_past.errors import CannotWrite
from napari_past.io import check_writable
from napari_past.slide import open_slide
from napari_past.tma import TmaGrid, find_cores, with_cases, write_tma
from napari_past.tma.grid import row_letters

PRESENT, PARTIAL, MISSING, OUTSIDE = "●", "◐", "·", " "
KEY = f"{PRESENT} core   {PARTIAL} less than half of its disc is tissue   {MISSING} missing"


def execute(options: Namespace) -> int:
    """Find the cores, print the grid as a map, and write it."""
    inputs = [] if options.cases is None else [options.cases]
    _check_out(options.out, (".geojson", ".json"), inputs, options.force)
    if options.picture is not None:
        _check_out(options.picture, (".png",), inputs, options.force)
    with open_slide(options.slide, options.mpp, options.series) as slide:
        grid = find_cores(slide, diameter_um=options.diameter)
        if options.cases is not None:
            grid = with_cases(grid, options.cases)
        write_tma(grid, options.out, slide.require_mpp())
        if options.picture is not None:
            write_picture(slide, grid, options.picture)
        name = slide.name
    print("\n".join(grid_lines(grid, name)))
    print(f"written to {options.out}")
    if options.picture is not None:
        print(f"picture: {options.picture}")
    return 0


def grid_lines(grid: TmaGrid, name: str) -> list[str]:
    """The grid as a map of letters and numbers, and what has to be told with it."""
    kinds = {
        (core.row, core.column): MISSING if core.is_missing else PARTIAL if core.is_partial
        else PRESENT
        for core in grid.cores
    }  # fmt: skip
    width = len(str(grid.columns)) + 1
    head = max(len(row_letters(grid.rows - 1)), 1)
    lines = [
        f"{name}: {grid.rows} rows x {grid.columns} columns, {len(grid.present)} cores of "
        f"{grid.diameter_um:.0f} µm, {len(grid.missing)} missing",
        " " * head + "".join(str(column + 1).rjust(width) for column in range(grid.columns)),
    ]
    for row in range(grid.rows):
        cells = (kinds.get((row, column), OUTSIDE) for column in range(grid.columns))
        lines.append(row_letters(row).rjust(head) + "".join(cell.rjust(width) for cell in cells))
    lines.append(KEY)
    if grid.cases:
        cores = sum(map(len, grid.cases.values()))
        without = len(grid.present) - cores
        told = f"{len(grid.cases)} cases on {cores} cores"
        lines.append(told + (f"; {without} cores have no case" if without else ""))
    return [*lines, *grid.notes]


def _check_out(out: Path, suffixes: tuple[str, ...], inputs: list[Path], force: bool) -> None:
    if out.suffix.lower() not in suffixes:
        raise CannotWrite(f"{out} does not end in {' or '.join(suffixes)}; give it such a name.")
    if any(path.exists() and out.exists() and path.samefile(out) for path in inputs):
        raise CannotWrite(f"{out} is read by this command; give another name.")
    if out.exists() and not force:
        raise CannotWrite(f"{out} is there already; give another name, or --force to replace it.")
    check_writable(out)
