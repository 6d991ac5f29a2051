"""What is validated on measured tissue, and the work itself. Knows neither viewer nor Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_past.engine import Workers
from napari_past.errors import BadTable, CannotWrite, PastError
from napari_past.model import Model, load_model
from napari_past.model.lab_evidence import LabEvidence, adopt, adopted, withdraw
from napari_past.slide import open_slide
from napari_past.spatial.checks import check
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection
from napari_past.types import Region, SlideRef
from napari_past.validation.compartments import known_compartments
from napari_past.validation.evidence_of import lab_evidence
from napari_past.validation.imported import ImportedTable, read_predictions
from napari_past.validation.model_notes import model_notes
from napari_past.validation.model_predictor import ModelPredictor, model_symbols
from napari_past.validation.page_files import validation_files
from napari_past.validation.plots import means_svg, sorted_r_svg
from napari_past.validation.predictor import Predictor, Watch
from napari_past.validation.protocol import validate
from napari_past.validation.result import Validation
from napari_past.validation.seen import SeenTissue, seen_sections
from napari_past.validation.tissue import MEASURED_UNIT, Tissue, tissue_of
from napari_past.validation.tower_ridge import RidgeOnTower

NOT_TOLD = "not told"


@dataclass(frozen=True)
class TableAsked:
    """A table of predictions takes the model's place."""

    path: str
    layer: str | None = None
    """Of an AnnData file; None for X."""
    placed_in: Literal["um", "px"] | None = None
    """Unit of its positions; None where the file tells."""


@dataclass(frozen=True)
class TowerAsked:
    """Ridge regression on a frozen tower takes the model's place."""

    name: str
    """Name or path of a model whose image tower it is."""


@dataclass(frozen=True, eq=False)
class ValidateRequest:
    """Everything that is needed; nothing of it changes while the validation runs."""

    section: MeasuredSection
    ref: SlideRef
    """Of the H&E: opened anew, because the viewer may close its own meanwhile."""
    fingerprint: str
    model: Model
    instead: TableAsked | TowerAsked | None
    """What is validated in the model's place."""
    regions: tuple[Region, ...]
    asked: tuple[str, ...]
    """Genes in view."""
    allow_seen: bool

    def checked(self) -> ValidateRequest:
        """The same, if the file that it needs is named, and the model predicts anything.

        Raises
        ------
        PastError
        """
        match self.instead:
            case None:
                self.model.require_readout()
            case TableAsked(path=""):
                raise PastError("No table of predictions is named; choose its file.")
            case TowerAsked(""):
                raise PastError("No model with a tower is named; type a name or choose its file.")
        return self


@dataclass(frozen=True, eq=False)
class Found:
    """What a validation found, as it is shown and used."""

    validation: Validation
    figures: tuple[str, ...]
    """SVG."""
    notes: tuple[str, ...]
    """Those of its warnings that only tell how files were read."""
    evidence: LabEvidence | None
    """That the model's badges may rest on; None where it is about something in its place."""


def validated(request: ValidateRequest, workers: Workers | None, watch: Watch) -> Found:
    """Hold predictions against what was measured, on the rows that the viewer shows. Slow.

    Parameters
    ----------
    workers
        Who encodes; None for this process.

    Raises
    ------
    Cancelled
    SeenTissue
        The tissue was trained on, and nobody agreed to go on.
    PastError
        As `napari_past.validation.protocol.validate`; or a file cannot be read.
    """
    ref = request.ref
    with open_slide(ref.path, ref.mpp, ref.series) as slide:
        tissue = tissue_of(request.section, slide, request.fingerprint, request.regions)
        predictor = _predictor(request, workers)
        # First of all: who is refused should not wait for it.
        if not request.allow_seen and seen_sections([tissue], predictor.traces):
            raise SeenTissue(
                f"{predictor.name} was trained on the H&E of {request.section.name}, so figures on "
                "it would validate nothing; take other tissue, or tick the box to go on all the "
                "same, and the result will say so."
            )
        watch.on_step(f"Does {request.section.name} fit {slide.name}?")
        warnings = list(check(request.section, slide))
        told = predictor.told([tissue]) if isinstance(predictor, ImportedTable) else ()
        warnings += told
        if isinstance(predictor, ModelPredictor | RidgeOnTower):
            warnings += model_notes(predictor.model, [tissue])
        found = validate(
            [tissue],
            predictor,
            allow_seen=request.allow_seen,
            asked=_known(request, predictor, tissue),
            warnings=warnings,
            watch=watch,
        )
    watch.on_step("Drawing the figures")
    evidence = lab_evidence(found) if request.instead is None else None
    read = {f"{request.section.name}: {note}" for note in request.section.notes}
    notes = tuple(text for text in found.warnings if text in read or text in told)
    return Found(found, (sorted_r_svg(found), means_svg(found)), notes, evidence)


def check_free(page: Path) -> None:
    """Look whether files that are written beside a new page would replace any.

    Raises
    ------
    CannotWrite
        One is there: nobody was asked about it.
    """
    there = next((file for file in validation_files(page) if file.exists()), None)
    if there is not None and not page.exists():
        raise CannotWrite(
            f"{there} is there already and would be written beside the page; give the page another "
            "name."
        )


def use_as_evidence(evidence: LabEvidence, model: Model) -> LabEvidence:
    """Make it what the model's badges say, and return it as it was kept. Slow for many genes.

    Raises
    ------
    BadTable
        It is of another model.
    CannotWrite
    """
    adopt(evidence, model.known_sha256, model.name)
    # Read here, so that the first badge finds it read.
    kept = adopted(model.known_sha256)
    return evidence if kept is None else kept


def back_to_own(model: Model) -> bool:
    """Let the model's badges say what its card says; whether they said something else before.

    Raises
    ------
    CannotWrite
    """
    return withdraw(model.known_sha256)


def badges_rest_on(model: Model) -> tuple[str, bool]:
    """What a model's badges rest on, in words, and whether that is a validation of the lab's."""
    try:
        lab = model.lab_evidence
    except BadTable as exc:
        return f"{exc} Until then badges rest on the model's own evidence.", True
    if lab is None:
        return f"Badges of {model.name} rest on the model's own evidence.", False
    return f"Badges of {model.name} rest on your lab's: {told_of(lab)}.", True


def is_used(evidence: LabEvidence, model: Model) -> bool:
    """Whether the model's badges rest on it."""
    try:
        return model.lab_evidence == evidence
    except BadTable:
        return False


def told_of(evidence: LabEvidence) -> str:
    """A validation in a line: "past-mini on C5 · 1 patient · 100 µm spots · 181 rows, …"."""
    sections = _listed([section.name for section in evidence.sections])
    rows = sum(section.rows for section in evidence.sections)
    whose = evidence.whose.partition(": ")[2]
    return (
        f"{evidence.model} on {sections} · {whose} · {rows:,} rows, {len(evidence.genes):,} genes"
    )


def held_against(
    tissue: Tissue, model: Model, regions: Sequence[Region]
) -> tuple[tuple[str, str], ...]:
    """What a validation would hold against what: (what, in words), for a form."""
    section = tissue.section
    shared = len(model_symbols(model.genes, section.genes))
    rows = f"{tissue.usable:,} {'cells' if section.spot_diameter_um is None else 'spots'}"
    if len(tissue) < tissue.usable:
        rows += f", of which {len(tissue):,} are drawn"
    return (
        ("Model", f"{model.name}, version {model.card.version}"),
        ("Predicts", model.expression_unit),
        (
            "Measured",
            f"{section.name} ({section.technology}), {tissue.resolution}, {MEASURED_UNIT}",
        ),
        ("Slide", tissue.slide.name),
        ("Patient", NOT_TOLD if section.patient == UNKNOWN_PATIENT else section.patient),
        ("Rows", f"{rows} on the slide with a count, of {len(section):,}"),
        ("Genes", f"{len(section.genes):,} measured, {shared:,} of them in {model.name}"),
        ("Regions", _regions(regions)),
        ("Cell types", _types(tissue)),
    )


def _predictor(request: ValidateRequest, workers: Workers | None) -> Predictor:
    match request.instead:
        case TableAsked(path, layer, placed_in):
            return read_predictions(path, layer=layer, placed_in=placed_in)
        case TowerAsked(name):
            return RidgeOnTower(load_model(name), workers)
        case _:
            return ModelPredictor(request.model, workers)


def _known(request: ValidateRequest, predictor: Predictor, tissue: Tissue) -> list[str]:
    """Genes in view that can be told of: nobody asked for those in so many words."""
    can = set(predictor.genes(tissue.genes))
    return [gene for gene in request.asked if gene in can]


def _regions(regions: Sequence[Region]) -> str:
    told = [region.name for region in regions if not region.ignored]
    ignored = [region.name for region in regions if region.ignored]
    text = _listed(told) if told else "none drawn"
    return f"{text}; rows in {_listed(ignored)} are left out" if ignored else text


def _types(tissue: Tissue) -> str:
    types = tissue.section.types
    if types is not None:
        names = sorted({types[row] for row in tissue.rows.tolist() if types[row]})
        return f"{_listed(names)}, as annotated" if names else "none annotated"
    known = known_compartments(tissue)
    if known:
        return f"{_listed(list(known))}, told apart by measured markers"
    return "none: too few markers of cell types were measured"


def _listed(names: Sequence[str], most: int = 6) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names)
