"""Scores of annotated cells, by region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_past.engine.annotated import unscored_kinds
from napari_past.engine.cells import Cells
from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.errors import MissingCutoffs, PastError
from napari_past.genes import Resolved
from napari_past.stain import ScoreTable, rules_of, score_table
from napari_past.stain.measured import check_cutoffs
from napari_past.types import Cutoffs, Region


def h_score(
    cells: Cells,
    gene: str,
    regions: Sequence[Region] | None = None,
    cutoffs: Cutoffs | tuple[float, float, float] | None = None,
) -> ScoreTable:
    """Scores of a gene or marker by region: counts, percentages, and the pseudo-H-score.

    Of a marker (Ki67) `ScoreTable.rules` tells which scores it customarily has, and how many cells
    they need; of a gene (MKI67) all are told. Cells that lie in `Cells.quality` are outside of
    every score and counted beside them.

    Parameters
    ----------
    cells
        As `predict` gives them.
    gene
        Gene or marker name.
    regions
        With roles; None scores all cells.
    cutoffs
        Three ascending limits in the expression's unit; None takes the model card's.

    Raises
    ------
    UnknownGene, AmbiguousGene, NotScorable
    MissingCutoffs
        None given, and none in the card.
    """
    resolved = cells.resolve(gene)
    resolved.require_scorable()
    limits = chosen_cutoffs(cells.model, resolved, cutoffs)
    quality = cells.quality
    return score_table(
        cells.marker_values(gene),
        cells.centers_um,
        limits,
        tuple(regions or ()),
        rules=rules_of(resolved),
        unscored=unscored_kinds(cells),
        unscored_area_mm2=None if quality is None else quality.area_mm2(),
    )


def chosen_cutoffs(
    model: Assay, resolved: Resolved, cutoffs: Cutoffs | tuple[float, float, float] | None = None
) -> Cutoffs:
    """The given cut-offs, else the card's; for a marker of several genes the mean of theirs.

    Raises
    ------
    MissingCutoffs
        There are none, or others are given for HER2's classes on a real stain.
    """
    found = _given_or_known(model, resolved, cutoffs)
    if isinstance(model, MeasuredStain):
        check_cutoffs(resolved.symbols[0], found)
    return found


def _given_or_known(
    model: Assay, resolved: Resolved, cutoffs: Cutoffs | tuple[float, float, float] | None
) -> Cutoffs:
    if isinstance(cutoffs, Cutoffs):
        return cutoffs
    if cutoffs is not None:
        try:
            weak, moderate, strong = (float(c) for c in cutoffs)
            return Cutoffs(weak, moderate, strong, source="given")
        except (TypeError, ValueError) as exc:
            raise PastError(
                f"Cut-offs are three ascending numbers in the unit of the expression, but got "
                f"{cutoffs!r}."
            ) from exc
    known = [model.cutoffs(symbol) for symbol in resolved.symbols]
    found = [c for c in known if c is not None]
    if len(found) < len(known):
        holder = model.name if isinstance(model, MeasuredStain) else f"The card of {model.name}"
        raise MissingCutoffs(
            f"{holder} has no cut-offs for {resolved.label}; give three with "
            f"cutoffs=(a, b, c) or --cutoffs A,B,C."
        )
    if len(found) == 1:
        return found[0]
    weak, moderate, strong = np.mean([c.values for c in found], axis=0)
    source = f"{found[0].source}; mean over {' + '.join(resolved.symbols)}"
    return Cutoffs(float(weak), float(moderate), float(strong), source)


def origin_of_scores(model: Assay, resolved: Resolved, part: str) -> dict[str, str]:
    """What a file of scores has to say of its values: gene, model, evidence, part of the slide.

    Parameters
    ----------
    part
        As `analysed` gives it.
    """
    labels = [f"{s}: {model.reliability(s).label}" for s in resolved.symbols]
    unit = model.unit_of(resolved.symbols[0])
    if isinstance(model, MeasuredStain):
        made = f"{model.name}, in {unit}"
    else:
        made = f"predicted by {model.name} {model.card.version}, in {unit}"
    return {
        "marker": resolved.label,
        "note": resolved.note,
        "values": made,
        "model_sha256": model.sha256,
        "analysed": part,
        "reliability": "; ".join(labels),
    }
