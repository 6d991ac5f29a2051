"""Cell types that somebody annotated in a table."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from napari_past.spatial.errors import BadSource

WELL_KNOWN = frozenset(
    {
        "celltype",
        "celltypes",
        "celltypeannotation",
        "cellannotation",
        "cellannotations",
        "annotatedcelltype",
        "annotation",
        "annotations",
    }
)
"""What columns of cell types are called, in small letters without anything between them."""


def annotated_types(
    obs: pd.DataFrame, column: str | None, path: Path
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The cell type of each row, empty where it has none, and what to tell about them.

    Parameters
    ----------
    obs
        A line for each row.
    column
        Default: the only one with a name of `WELL_KNOWN`; None where there is none or several.
    path
        Of the table, for messages.

    Raises
    ------
    BadSource
        No such column.
    """
    if column is not None:
        if column not in obs:
            there = ", ".join(map(str, obs.columns[:12])) or "none"
            raise BadSource(
                f"{path.name} has no column {column!r} in obs (there are: {there}); give that of "
                "the cell types with types= or --types."
            )
        return _texts(obs[column]), ()
    known = [str(c) for c in obs.columns if re.sub(r"[\W_]", "", str(c)).lower() in WELL_KNOWN]
    if not known:
        return None, ()
    if len(known) > 1:
        return None, (
            f"{path.name} has several columns of cell types ({', '.join(known)}); none was taken, "
            "so give one with types= or --types.",
        )
    return _texts(obs[known[0]]), (f"Cell types are those of the column {known[0]}.",)


def _texts(column: pd.Series) -> tuple[str, ...]:
    missing = column.isna().to_numpy(bool)
    values = column.astype(str)
    return tuple("" if m else v for v, m in zip(values, missing, strict=True))
