"""The files beside the page of a validation."""

from __future__ import annotations

from pathlib import Path

from napari_past.errors import BadTable, CannotWrite
from napari_past.model.lab_evidence import read_lab_evidence
from napari_past.validation.gene_table import is_gene_table


def validation_files(out: Path) -> tuple[Path, Path]:
    """The table of genes and the validation file beside a page."""
    return out.with_suffix(".genes.csv"), out.with_suffix(".validation.json")


def check_beside(out: Path) -> None:
    """Look whether files beside a page, which nobody named, would replace somebody else's.

    Raises
    ------
    CannotWrite
        One is there that no validation wrote.
    """
    genes, evidence = validation_files(out)
    for file, is_ours in ((genes, is_gene_table), (evidence, _is_evidence)):
        if file.exists() and not is_ours(file):
            raise CannotWrite(
                f"{file} would be written beside {out.name}, but is there already and was not "
                "written by a validation; move it, or give the page another name."
            )


def _is_evidence(path: Path) -> bool:
    try:
        read_lab_evidence(path)
    except BadTable:
        return False
    return True
