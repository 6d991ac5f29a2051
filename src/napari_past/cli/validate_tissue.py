"""``napari-past validate SLIDE MEASURED``: a predictor against tissue that was measured."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from napari_past.cli.matched import check_outputs
from napari_past.cli.tissue_table import AskedSection, asked_sections
from napari_past.engine import Workers
from napari_past.engine.seam import forget_slides
from napari_past.errors import BadTable, Cancelled, PastError, UnknownModel
from napari_past.io import read_regions
from napari_past.model import DEFAULT_MODEL, Model, load_model
from napari_past.model.lab_evidence import adopt
from napari_past.report.document import check_suffix
from napari_past.spatial import check, read_measured
from napari_past.spatial.picture import open_picture, picture_fingerprint
from napari_past.status_line import StatusLine
from napari_past.types import RESEARCH_USE
from napari_past.validation.adapter import adapted, read_adapter
from napari_past.validation.evidence_of import lab_evidence
from napari_past.validation.gene_table import by_r
from napari_past.validation.imported import ImportedTable, checked_field_um
from napari_past.validation.model_notes import model_notes
from napari_past.validation.model_predictor import ModelPredictor
from napari_past.validation.page import (
    MISSING,
    gene_columns,
    gene_rows,
    group_rows,
    predictor_table,
    write_validation,
)
from napari_past.validation.page_files import check_beside, validation_files
from napari_past.validation.picture_slide import encodable_slide
from napari_past.validation.prediction_table import read_table
from napari_past.validation.predictor import Predictor, Watch
from napari_past.validation.protocol import validate
from napari_past.validation.result import Validation
from napari_past.validation.tissue import Tissue, tissue_of
from napari_past.validation.tower_ridge import RidgeOnTower

OPTIONS = (
    "predictions", "tower", "adapter", "kind", "section", "unit", "x", "y", "layer", "types",
    "spot_diameter_um", "bin_um", "alignment", "affine", "landmarks", "patient", "mpp", "rois",
    "genes", "seen_tissue", "use", "predicted_layer", "predicted_unit", "placed_in", "field_um",
)  # fmt: skip
"""That mean something for tissue alone."""
SHOWN_GENES = 8
MANY_ROWS = 2000
"""Below them, by the time that workers would be ready, cells are encoded in this process."""


def execute(options: Namespace) -> int:
    """Read and place what was measured, validate, tell, and write the page."""
    check_suffix(options.out)
    asked = asked_sections(options)
    inputs = [path for section in asked for path in section.inputs]
    check_outputs([options.out, *validation_files(options.out)], inputs)
    check_beside(options.out)
    _check_options(options, asked)
    genes = _asked_genes(options)
    line = StatusLine()
    with ExitStack() as stack:
        stack.callback(forget_slides)
        stack.callback(line.close)
        workers = stack.enter_context(Workers(device=options.device, on_lost=line.note))
        try:
            encoding = _encoding(options, asked)
            adapter = None
            if options.adapter is not None:
                adapter = read_adapter(options.adapter, options.field_um)
            tissues, warnings = _tissues(asked, encoding is not None, line, stack)
            if encoding is not None:
                many = len(tissues) > 1 or len(tissues[0]) >= MANY_ROWS
                predictor = encoding(workers if many else None)
            elif adapter is not None:
                predictor = adapted(adapter)
            else:
                predictor = _tables(options, asked, tissues)
            if isinstance(predictor, ImportedTable):
                warnings += predictor.told(tissues)
            elif isinstance(predictor, ModelPredictor | RidgeOnTower):
                warnings += model_notes(predictor.model, tissues)
            validation = validate(
                tissues,
                predictor,
                allow_seen=options.seen_tissue,
                asked=genes,
                warnings=warnings,
                watch=watching(line),
            )
        except KeyboardInterrupt as exc:
            raise Cancelled(
                "cancelled; cells that were encoded are kept, and the same command goes on from "
                "there."
            ) from exc
        line.close()
        files = write_validation(validation, options.out)
    print("\n".join(told_lines(validation)))
    for file in files:
        print(f"written to {file}")
    if options.use:
        assert isinstance(predictor, ModelPredictor)
        model = predictor.model
        kept = adopt(lab_evidence(validation), model.known_sha256, model.name)
        print(f"this lab's evidence of {model.name} from now on, kept as {kept}")
    print(RESEARCH_USE)
    return 0


def watching(line: StatusLine) -> Watch:
    """Progress of a validation on a line of its own."""
    step = ""

    def on_step(text: str) -> None:
        nonlocal step
        step = text
        line.tell(step)

    def on_share(share: float) -> None:
        if line.due():
            line.tell(f"{step}: {share:.0%}")

    return Watch(on_step, on_share)


def told_lines(validation: Validation) -> list[str]:
    """The outcome in a few lines: the comparison, the best genes, groups, and what to mind."""
    table = predictor_table(validation)
    order = by_r(validation)
    chosen = [*order[:SHOWN_GENES].tolist()]
    chosen += [gene for gene in validation.asked.tolist() if gene not in chosen]
    lines = [f"{table.title}, {sum(facts.rows for facts in validation.tissues)} rows"]
    lines += _aligned([table.columns, *table.rows])
    lines += ["", "genes"]
    lines += _aligned(
        [gene_columns(validation)[:6], *(r[:6] for r in gene_rows(validation, chosen))]
    )
    groups = [row for row in group_rows(validation) if row[4] != MISSING]
    if groups:
        lines += ["", "within"]
        lines += _aligned([("rows of", "", "rows", "genes", "mean r", "mean ρ"), *groups])
    lines += ["", validation.interval_note, validation.held_out]
    return [*lines, *(f"note: {warning}" for warning in validation.warnings)]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]  # fmt: skip


def _check_options(options: Namespace, asked: Sequence[AskedSection]) -> None:
    ways = [n for n in ("model", "predictions", "tower", "adapter") if getattr(options, n)]
    in_table = any(one.predictions is not None for one in asked)
    if len(ways) > 1:
        raise PastError(
            f"--{ways[0]} and --{ways[1]} were given, but one predictor is validated at a time; "
            "leave one of both out."
        )
    if in_table and ways and ways[0] != "predictions":
        raise PastError(
            f"The table of sections has predictions, and --{ways[0]} was given too; leave one of "
            "both out."
        )
    for name in ("predicted_layer", "predicted_unit", "placed_in"):
        if getattr(options, name) is not None and not in_table and options.predictions is None:
            raise PastError(
                f"--{name.replace('_', '-')} is of a table of predictions, but none was given; "
                "leave it out, or give --predictions."
            )
    checked_field_um(options.field_um)
    if options.field_um is not None and not in_table and ways not in (["predictions"], ["adapter"]):
        raise PastError(
            "--field-um is of a table of predictions or an adapter, but none was given; leave it "
            "out: a model file tells what it sees."
        )
    if options.use and (in_table or ways[:1] not in ([], ["model"])):
        raise PastError(
            "--use makes a validation this lab's evidence of a model, whose badges show it; give "
            "it with --model alone."
        )


def _asked_genes(options: Namespace) -> list[str]:
    if isinstance(options.genes, str):
        raise PastError("--genes names some genes to be told of; all are in the table beside.")
    return list(options.genes or [])


def _encoding(
    options: Namespace, asked: Sequence[AskedSection]
) -> Callable[[Workers | None], Predictor] | None:
    """What makes the predictor, of one that encodes cells; its file is read before all else."""
    if options.predictions is not None or options.adapter is not None:
        return None
    if options.tower is not None:
        tower = _tower(options.tower, options.device)
        return lambda workers: RidgeOnTower(tower, workers)
    if options.model is None and any(one.predictions is not None for one in asked):
        return None
    model = load_model(options.model or DEFAULT_MODEL, options.device)
    model.require_readout()
    return lambda workers: ModelPredictor(model, workers)


def _tower(name: str, device: str) -> Model:
    try:
        return load_model(name, device)
    except UnknownModel as exc:
        raise UnknownModel(
            f"There is no model file {name!r} here; `past-train tower {name} --out "
            "FILE.safetensors` makes one of a tower of timm or of a hub, for --tower "
            "FILE.safetensors."
        ) from exc


def _tables(
    options: Namespace, asked: Sequence[AskedSection], tissues: Sequence[Tissue]
) -> ImportedTable:
    """Predictions of all sections, or of each."""
    tables = {}
    if options.predictions is not None:
        tables[""] = read_table(options.predictions, options.predicted_layer)
    for one, tissue in zip(asked, tissues, strict=True):
        if one.predictions is not None:
            tables[tissue.section.name] = read_table(one.predictions, options.predicted_layer)
    return ImportedTable(tables, options.predicted_unit, options.placed_in, options.field_um)


def _tissues(
    asked: Sequence[AskedSection], encodes: bool, line: StatusLine, stack: ExitStack
) -> tuple[list[Tissue], tuple[str, ...]]:
    """The measured sections on their open H&E, and what to mind about them."""
    tissues: list[Tissue] = []
    warnings: list[str] = []
    for one in asked:
        line.tell(f"reading {one.measured.name}")
        section = read_measured(one.measured, one.slide, one.asked)
        opened = encodable_slide if encodes else open_picture
        slide = stack.enter_context(opened(one.slide, section.mpp))
        line.tell(f"{section.name}: does it fit {one.slide.name}?")
        warnings += check(section, slide)
        regions = () if one.rois is None else read_regions(one.rois, slide.require_mpp())
        fingerprint = picture_fingerprint(one.slide, slide)
        tissues.append(tissue_of(section, slide, fingerprint, regions))
    names = [tissue.section.name for tissue in tissues]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadTable(
            f"Two of the sections are called {twice}; give tables or folders of different names."
        )
    return tissues, tuple(warnings)
