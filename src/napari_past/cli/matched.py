"""The matched regions that ``calibrate`` and ``validate`` are given."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from napari_past.calibration import Matched, is_pair_table, match_pairs, read_region_table
from napari_past.errors import CannotWrite
from napari_past.files import check_writable
from napari_past.io.origin import read_origin


def read_matched(
    options: Namespace,
    marker: str,
    genes: tuple[str, ...],
    check_sha256: Callable[[str, str], None],
) -> tuple[Matched, tuple[str, ...]]:
    """The rows of ``options.table``, which has values or names files, and what to tell of them.

    Parameters
    ----------
    marker
        Whose predicted values are read from files of cells.
    genes
        That it stands for.
    check_sha256
        Told the SHA-256 and the name of the model behind each such file; raises for another model.

    Raises
    ------
    BadTable and what files of cells and regions raise.
    """
    if not is_pair_table(options.table):
        rows = read_region_table(options.table, options.measured, same_section=options.same_section)
        return rows, ()
    untold: list[str] = []

    def check(path: Path) -> None:
        origin = read_origin(path)
        if origin.predicted:
            check_sha256(origin.sha256, origin.model)
        else:
            untold.append(f"{path.name} does not tell its model, so it was not checked")

    rows, told = match_pairs(
        options.table,
        marker,
        options.measured,
        genes=genes,
        same_section=options.same_section,
        od_column=options.od_column,
        check_cells=check,
    )
    return rows, (*untold, *told)


def check_outputs(outputs: list[Path | None], inputs: list[Path]) -> None:
    """Raise `CannotWrite` where an output cannot be written, is an input, or is named twice."""
    named = [path for path in outputs if path is not None]
    for i, path in enumerate(named):
        if any(q.exists() and path.exists() and q.samefile(path) for q in inputs):
            raise CannotWrite(f"{path} is read by this command; give another name.")
        if path in named[:i]:
            raise CannotWrite(f"{path} would be written twice; give every output its own name.")
        check_writable(path)
