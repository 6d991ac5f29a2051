"""A lab's own validation of a model: the file that turns its badge to "your lab: …"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from napari_past.errors import BadTable, CannotWrite, GeneError
from napari_past.files import atomic_write, data_home, json_sha256, make_folder
from napari_past.genes import resolve
from napari_past.model.card import PearsonR, Share
from napari_past.model.checked_json import CHECKSUM, read_checked
from napari_past.model.reliability import Reliability
from napari_past.model.strict import Strict
from napari_past.types import RESEARCH_USE

LAB_EVIDENCE_SCHEMA: Final = 1


class ValidatedSection(Strict):
    """Tissue that was validated on."""

    name: str
    patient: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")]
    """Digest of the name, by which the same patient is known again; empty where nobody said."""
    technology: str
    resolution: str
    """Of the measurement, as "100 µm spots"."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the H&E."""
    rows: Annotated[int, Field(ge=1)]


class GeneEvidence(Strict):
    """One gene on all of them."""

    r: PearsonR | None
    """None where what was measured does not vary."""
    low: PearsonR | None
    high: PearsonR | None
    """95 % interval of r; None without one."""
    rho: PearsonR | None
    """Spearman's."""
    auc: Share | None
    """Of "was the gene seen in this row"."""
    within: dict[str, PearsonR | None]
    """Group ("cell type epithelial", "region Tumour 1") → r within it."""
    percentile: Annotated[float, Field(ge=0, le=100)] | None
    """Of r among predictions of other genes that are expressed as much."""
    detected: Share
    """Share of the rows in which it was seen."""
    baselines: dict[str, PearsonR | None]
    """Name → its r on the same rows."""


class LabEvidence(Strict):
    """What a validation found, as it is kept and passed on."""

    schema_version: Literal[1] = LAB_EVIDENCE_SCHEMA
    research_use: str = RESEARCH_USE
    model: str
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the model file, or of the table of predictions."""
    predicted_unit: str
    """Empty where nobody knows."""
    sections: Annotated[tuple[ValidatedSection, ...], Field(min_length=1)]
    seen: tuple[str, ...]
    """Sections that the model was trained on."""
    traced: bool
    """Whether anything is known of what the model was trained on."""
    seen_patients: Annotated[int, Field(ge=0)]
    """Patients of whom it was trained on other tissue."""
    protocol: tuple[str, ...]
    """How baselines were fitted and what the interval covers, a sentence each."""
    interval_over: Literal["blocks", "patients"] | None
    mean_r: PearsonR | None
    """Over the genes by which predictors are compared, the most variable ones."""
    mean_low: PearsonR | None
    mean_high: PearsonR | None
    """95 % interval of that; None without one."""
    mean_over: Annotated[int, Field(ge=0)]
    """How many genes these are."""
    mean_baselines: dict[str, PearsonR | None]
    """Name → its mean r over the same genes."""
    genes: Annotated[dict[str, GeneEvidence], Field(min_length=1)]
    """Symbol as it was measured → what was found."""
    warnings: tuple[str, ...]
    versions: dict[str, str]

    @property
    def patients(self) -> int:
        """Distinct patients; sections of nobody in particular count as one."""
        return len({section.patient for section in self.sections})

    @property
    def promises(self) -> bool:
        """Whether it says something of a new patient: named ones, none of them known to the
        model, as far as it tells what it was trained on."""
        named = all(section.patient for section in self.sections)
        return named and self.traced and not self.seen and not self.seen_patients

    @property
    def whose(self) -> str:
        """As a badge begins: "your lab: 2 patients · 100 µm spots"."""
        n = self.patients
        if self.seen:
            patients = "tissue it was trained on"
        elif self.seen_patients:
            patients = "a patient it was trained on"
        elif n == 1 and not self.sections[0].patient:
            patients = "patient not told"
        else:
            patients = f"{n} patient{'s' if n > 1 else ''}"
        resolution = ", ".join(dict.fromkeys(section.resolution for section in self.sections))
        return f"your lab: {patients} · {resolution}"

    @property
    def headline(self) -> str:
        """The mean over genes, as "mean r 0.35 (0.18 to 0.45) over the 50 most variable of 1061
        genes; ridge on colour 0.21"."""
        if self.mean_r is None:
            return "mean r not defined"
        r = _with_interval(self.mean_r, self.mean_low, self.mean_high)
        others = "".join(
            f"; {name} {'not defined' if other is None else _number(other)}"
            for name, other in self.mean_baselines.items()
        )
        over = f"over the {self.mean_over} most variable of {len(self.genes)} genes"
        return f"mean {r} {over}{others}"

    def reliability(self, of_card: Reliability) -> Reliability:
        """What to say of a gene in place of its card's evidence.

        Where the lab did not measure the gene, the card's evidence stands, and it is said.
        """
        gene = of_card.gene
        found = self._of(gene)
        if found is None:
            label = f"your lab: {gene} not measured · model's own: {of_card.label}"
            return Reliability(gene, of_card.learnable, of_card.grey, of_card.r, label)
        if found.r is None:
            r = "r not defined, it does not vary"
        else:
            r = _with_interval(found.r, found.low, found.high)
        label = f"{self.whose} · {r}"
        if not of_card.learnable:
            label = f"{of_card.label} · {label}"
        chance = found.low is not None and found.low <= 0
        return Reliability(gene, of_card.learnable, chance or not self.promises, found.r, label)

    def _of(self, gene: str) -> GeneEvidence | None:
        """What was found of a gene, which may have been measured under a newer symbol."""
        if gene not in self.genes:
            with suppress(GeneError):
                now = resolve(gene, self.genes).symbols
                return self.genes.get(now[0]) if len(now) == 1 else None
        return self.genes.get(gene)


def write_lab_evidence(evidence: LabEvidence, path: str | Path) -> None:
    """Write it as JSON with its checksum; the same evidence gives the same bytes.

    Raises
    ------
    CannotWrite
    """
    fields = evidence.model_dump(mode="json")
    text = json.dumps({CHECKSUM: json_sha256(fields), **fields}, indent=1, ensure_ascii=False)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_lab_evidence(path: str | Path) -> LabEvidence:
    """The evidence in a file of `write_lab_evidence`.

    Raises
    ------
    BadTable
        No such file, no validation file, or one that was changed since it was written.
    """
    again = "make it again with `napari-past validate`"
    evidence, _ = read_checked(path, LabEvidence, BadTable, "validation file", again)
    return evidence


def adopt(evidence: LabEvidence, sha256: Sequence[str], model: str) -> Path:
    """Make it this lab's evidence of a model, in place of an earlier one; returns where it is kept.

    Parameters
    ----------
    sha256
        Of the model's file, the first, and of the same model's before it was calibrated.
    model
        Its name.

    Raises
    ------
    BadTable
        It is of another model.
    CannotWrite
    """
    if evidence.model != model:
        raise BadTable(
            f"The validation is of {evidence.model}, but this is {model}; validate this model too."
        )
    if evidence.model_sha256 not in sha256:
        raise BadTable(
            f"The validation is of {evidence.model} (SHA-256 {evidence.model_sha256[:12]}…), but "
            f"this is {model} (SHA-256 {sha256[0][:12]}…); validate this model too."
        )
    make_folder(evidence_folder(), "The validation cannot be kept")
    # Under the present file's hash, which is looked for first.
    path = _kept(sha256[0])
    write_lab_evidence(evidence, path)
    return path


def withdraw(sha256: Sequence[str]) -> bool:
    """Go back to the card's own evidence; whether there was any of the lab's.

    Raises
    ------
    CannotWrite
    """
    there = [path for path in map(_kept, sha256) if path.exists()]
    for path in there:
        try:
            path.unlink()
        except OSError as exc:
            raise CannotWrite(
                f"{path} cannot be removed ({exc.strerror}); check its folder's permissions."
            ) from exc
    return bool(there)


def adopted(sha256: Sequence[str]) -> LabEvidence | None:
    """The lab's evidence of a model; None where there is none.

    Raises
    ------
    BadTable
        Its file was changed or damaged.
    """
    for path in map(_kept, sha256):
        try:
            stat = path.stat()
        except OSError:
            continue
        return _read(path, stat.st_mtime_ns, stat.st_size)
    return None


def evidence_folder() -> Path:
    """Where this lab's validations are kept, by the model's SHA-256."""
    return data_home() / "validations"


def _kept(sha256: str) -> Path:
    return evidence_folder() / f"{sha256}.json"


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int, size: int) -> LabEvidence:
    """Read again where the file is another: a badge is asked for each gene."""
    return read_lab_evidence(path)


def _with_interval(r: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"r {_number(r)}"
    return f"r {_number(r)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
