"""What the box says: what to do next, and what the classes stand on."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.model.classifier import UNCHECKED, CellClassifier
from napari_past.plugin.classing.labels import ClassLabels

UNCERTAIN = "uncertain"
NO_VECTORS = "Classes are told from a model's vectors, which a measured stain does not have."
NAME_CLASSES = (
    "Name two or more classes, as Tumour, Lymphocyte and Stroma; then click a few cells of each."
)
ANOTHER_CLASS = "Name a second class: a classifier tells classes apart."
NO_CELLS = "No cell is analysed here yet: stain a view or the whole slide first."


def labelled_text(labels: ClassLabels, code: int) -> str:
    """How much was labelled with a class, as "5 + 1 area"."""
    cells, areas = labels.counts(code)
    if not areas:
        return f"{cells:,}"
    told = f"{areas} area{'' if areas == 1 else 's'}"
    return f"{cells:,} + {told}" if cells else told


def hint(
    labels: ClassLabels,
    chosen: int,
    labelling: bool,
    drawing: bool,
    has_cells: bool,
    missed: int,
    why_not: str,
    suggestion: str,
) -> str:
    """The next step, for a user who labels.

    Parameters
    ----------
    chosen
        Place of the class that is given next.
    missed
        Clicks on cells that are not in the table.
    why_not
        Why nothing is fitted.
    suggestion
        What is known of the cell that is suggested; empty without one.
    """
    keys = f"keys 1–{len(labels.names)}"
    if not has_cells:
        return NO_CELLS
    if not labels.names:
        return NAME_CLASSES
    told = []
    if suggestion:
        told.append(
            f"The ringed cell looks {suggestion}. What is it? Press its key "
            f"(1–{len(labels.names)}), or N for another one; H hides the colours."
        )
    elif drawing:
        told.append(f"Draw around tissue that is {labels.names[chosen]} alone; {keys} change it.")
    elif labelling:
        told.append(
            f"Click cells of {labels.names[chosen]}; {keys} choose another class, a second click "
            "takes a label back."
        )
    if len(labels.names) == 1:
        told.append(ANOTHER_CLASS)
    elif (without := _without_labels(labels)) and not suggestion:
        told.append(f"No label yet: {', '.join(without)}.")
    if missed:
        told.append(
            f"{missed:,} label{'' if missed == 1 else 's'} on cells that are not analysed yet."
        )
    if why_not:
        told.append(why_not)
    return " ".join(told)


def honesty(classifier: CellClassifier | None, loaded: bool) -> str:
    """What the classes stand on; empty without any."""
    if classifier is None:
        return ""
    card = classifier.card
    evidence = "being checked" if card.held_out == UNCHECKED else card.held_out.label
    if loaded:
        return f"{card.name}: fitted on {card.fitted_on}; {evidence}. {card.research_use}"
    n, how = sum(card.labelled.values()), " and ".join(card.labelled_by)
    cells = f"{n:,} labelled cell{'' if n == 1 else 's'} ({how})"
    return f"Fitted on {cells} of this slide; {evidence}. {card.research_use}"


def leanings(names: Sequence[str], probabilities: Sequence[float]) -> str:
    """The two most probable classes, as "0.46 Tumour, 0.41 Stroma"."""
    order = sorted(range(len(names)), key=lambda k: -probabilities[k])[:2]
    return ", ".join(f"{probabilities[k]:.2f} {names[k]}" for k in order)


def _without_labels(labels: ClassLabels) -> list[str]:
    return [name for k, name in enumerate(labels.names) if labels.counts(k) == (0, 0)]
