"""``napari-past classify``: fit classes of cells to labelled ones, and apply them to tables."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from napari_past.cli.destination import check_free
from napari_past.cli.labelled_cells import Labelled, checked_vectors, read_labelled, vectors_model
from napari_past.cli.slide_record import written_to
from napari_past.engine.cell_classes import CLASSIFIER, add_class_columns, class_note
from napari_past.errors import Cancelled, PastError
from napari_past.files import check_writable
from napari_past.io import check_cells_writable, read_cells, write_cells
from napari_past.io.provenance import KEY, stamped
from napari_past.model.classifier import (
    SUFFIX,
    About,
    CellClassifier,
    ClassifiedCells,
    fit_classifier,
    held_out_evidence,
    read_classifier,
    write_classifier,
)


def execute(options: Namespace) -> int:
    """``fit`` or ``apply``."""
    try:
        return _fit(options) if options.action == "fit" else _apply(options)
    except KeyboardInterrupt as exc:
        raise Cancelled(f"cancelled; {options.out} was not written.") from exc


def _fit(options: Namespace) -> int:
    if not options.out.name.lower().endswith(SUFFIX):
        raise PastError(
            f"The viewer knows a classifier by its name, which ends in {SUFFIX}, but --out is "
            f"{options.out.name}; give {options.out.stem}{SUFFIX}."
        )
    check_free([options.out], options.tables, options.force)
    check_writable(options.out)
    labelled = read_labelled(options.tables, options.labels, options.group)
    classifier = _fitted(labelled, options.name or options.out.name[: -len(SUFFIX)])
    write_classifier(classifier, options.out)
    card = classifier.card
    print(f"{options.out}: {len(card.classes)} classes on vectors of {card.model}")
    for name, cells in card.labelled.items():
        f1 = card.held_out.f1.get(name)
        told = "" if f1 is None else f"   held-out F1 {f1:.2f}"
        print(f"  {name:24} {cells:8} labelled{told}")
    for note in labelled.notes:
        print(f"  note   {note}")
    print(f"  {card.sentence}\n  {card.research_use}")
    return 0


def _fitted(labelled: Labelled, name: str) -> CellClassifier:
    about = About(
        name, labelled.model, labelled.model_sha256, labelled.slides, labelled_by=("table",)
    )
    classifier = fit_classifier(
        labelled.vectors,
        labelled.codes,
        labelled.names,
        about=about,
        reference=labelled.reference,
    )
    held_out = held_out_evidence(
        labelled.vectors,
        labelled.codes,
        labelled.names,
        slides=labelled.groups,
        by=labelled.group_name,
        places_um=labelled.places_um,
        reference=labelled.reference,
    )
    return classifier.with_evidence(held_out)


def _apply(options: Namespace) -> int:
    check_free(written_to(options.out), [options.table, options.classifier], options.force)
    check_cells_writable(options.out)
    classifier = read_classifier(options.classifier)
    table = read_cells(options.table)
    vectors = checked_vectors(table, options.table.name)
    model, sha256 = vectors_model(table, options.table.name)
    classifier.require_model(model, [sha256])
    classified = classifier.classified(vectors)
    add_class_columns(table, classified)
    told = stamped(table.uns.get(KEY))
    table.uns[KEY] = {**told, CLASSIFIER: classifier.told}
    write_cells(table, options.out)
    print(f"{options.out}: {table.n_obs} cells")
    print("\n".join(_counts(classified)))
    print(f"  note   {class_note(classifier)}\n  {classifier.card.research_use}")
    return 0


def _counts(classified: ClassifiedCells) -> list[str]:
    """A line for each class: cells, share, and how sure they are in the median."""
    lines, n = [], len(classified.code)
    for code, name in enumerate(classified.names):
        sure = classified.probability[classified.code == code]
        median = f"   median probability {np.median(sure):.2f}" if len(sure) else ""
        lines.append(f"  {name:24} {len(sure):8} {len(sure) / max(n, 1):7.1%}{median}")
    return lines
