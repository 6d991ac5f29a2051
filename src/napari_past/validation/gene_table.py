"""Every figure of every gene, as a table that every program reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.files import atomic_write
from napari_past.validation.result import Validation

_DIGITS = 6
_BEGINS = b"gene,r,r_low,r_high,rho,"


def by_r(validation: Validation) -> npt.NDArray[np.int64]:
    """Places of all genes, the highest r first; those without come last, in their order."""
    r = validation.main.figures.r
    return np.argsort(np.where(np.isnan(r), np.inf, -r), kind="stable").astype(np.int64)


def gene_table(validation: Validation) -> pd.DataFrame:
    """A line for each gene, the highest r first.

    Columns: the figures of the validated predictor; `random_r` and `percentile`, as `Validation`
    has them; ``r of NAME`` for what it is compared with; ``r in KIND NAME`` for groups of rows.
    """
    main = validation.main.figures
    columns: dict[str, npt.NDArray[np.float64]] = {
        "r": main.r,
        "r_low": main.low,
        "r_high": main.high,
        "rho": main.rho,
        "detection_auc": main.auc,
        "rmse": main.rmse,
        "slope": main.slope,
        "measured_mean": validation.measured_mean,
        "predicted_mean": main.predicted_mean,
        "detected": validation.detected,
        "random_r": validation.random_r,
        "percentile": validation.percentile,
    }
    for other in validation.results[1:]:
        columns[f"r of {other.name}"] = other.figures.r
    for group in validation.groups:
        columns[f"r in {group.kind} {group.name}"] = group.r
    table = pd.DataFrame(columns, index=pd.Index(validation.genes, name="gene"))
    return table.iloc[by_r(validation)]


def is_gene_table(path: Path) -> bool:
    """Whether a file begins as `write_gene_table` begins one."""
    with path.open("rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS


def write_gene_table(validation: Validation, path: Path) -> None:
    """Write it as CSV; the same validation gives the same bytes.

    Raises
    ------
    CannotWrite
    """
    with (
        atomic_write(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        gene_table(validation).round(_DIGITS).to_csv(file, lineterminator="\n")
