"""What a reference bank is to be built from. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_past.errors import PastError
from napari_past.files import check_writable, existing_file


@dataclass(frozen=True)
class BankRequest:
    """The choices of the dialog; texts are as the user left them."""

    model: str
    """Name or path of the model whose cell tower encodes."""
    cells: str
    genes: str
    means: str
    out: str
    """Folder that is to hold the model with its bank."""
    layer: str = ""
    """Where the counts are; empty for X."""
    type_key: str = ""
    patient_key: str = ""
    study_key: str = ""
    """Columns; empty where the table does not tell."""
    technology: str = "Xenium"
    species: str = "human"

    def check(self) -> None:
        """Raise `PastError` where something is missing, before any work is begun."""
        for what, path in (
            ("cells", self.cells), ("genes in the order of their tokens", self.genes),
            ("mean counts of the technology", self.means),
        ):  # fmt: skip
            if not path.strip():
                raise PastError(f"Choose the file of the {what}.")
            existing_file(path)
        if not self.out.strip():
            raise PastError("Choose a name for the folder of the model with its bank.")
        if self.folder.exists():
            raise PastError(f"There is a {self.folder} already; choose another name.")
        check_writable(self.folder)

    @property
    def folder(self) -> Path:
        return Path(self.out).expanduser()

    def arguments(self, out: Path) -> list[str]:
        """Words of ``past-train`` that build it in `out`."""
        words = [
            "bank", "--model", self.model, "--cells", self.cells, "--genes", self.genes,
            "--means", self.means, "--out", str(out), "--technology", self.technology,
            "--species", self.species,
        ]  # fmt: skip
        for option, value in (
            ("--layer", self.layer), ("--type-key", self.type_key),
            ("--patient-key", self.patient_key), ("--study-key", self.study_key),
        ):  # fmt: skip
            words += [option, value] if value else []
        return words
