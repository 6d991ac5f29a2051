"""Mistakes that would train or judge a model on noise, found before, and told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

from napari_past.slide import Slide
from napari_past.slide.units import LARGEST_MPP, SMALLEST_MPP
from napari_past.spatial.errors import BadPairing
from napari_past.spatial.lattice import PITCH_UM, pitch
from napari_past.spatial.membership import nucleus_places_um
from napari_past.spatial.offset import found_offset
from napari_past.spatial.picture import open_picture
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection, Points
from napari_past.spatial.stain_evidence import (
    contrasts,
    counts_follow_stain,
    sampled,
    share_on_tissue,
)

LEAST_INSIDE = 0.5
"""Share of rows that must lie on the picture; a run may reach beyond the H&E that was scanned."""
FEW_OUTSIDE = 0.01
"""More than this, and another reading of the positions is tried."""
LEAST_ON_TISSUE = 0.5
MORE_ON_TISSUE = 0.1
"""By so much the swapped spots must win."""
FEWEST_FOR_STAIN = 30
"""Rows; fewer say nothing about where haematoxylin lies."""
CLEAR_ERRORS = 1.5
"""By so many standard errors must totals follow the stain better when swapped. Spots in place never
came near it, so the limit is low."""
PITCH_TOLERANCE = 0.15
FEW_COMMON_GENES = 0.1

__all__ = ["BadPairing", "check", "check_together"]


def check(section: MeasuredSection, slide: Slide | None = None) -> list[str]:
    """Warnings about a section, with its reader's notes; each a sentence that names it.

    Of large pictures a few hundred windows are read.

    Parameters
    ----------
    section
        In place on its picture.
    slide
        The picture, where it is open already; default: it is opened for the while.

    Raises
    ------
    BadPairing
        Training or validating on it would be a mistake: no rows or no genes, no µm/px, ids that
        occur twice, positions or counts that are no numbers, counts that are negative or not whole,
        rows that lie beside the picture, or rows that fit it only with x and y swapped.
    SlideError
        The picture is missing or cannot be read.
    """
    _check_rows(section)
    _check_counts(section)
    warnings = [f"{section.name}: {note}" for note in section.notes]
    warnings += _empty_rows(section) + _odd_pitch(section)
    if slide is not None:
        same = slide.mpp is not None and math.isclose(slide.mpp, section.mpp)
        return warnings + _check_picture(section, slide if same else slide.with_mpp(section.mpp))
    with open_picture(section.image, section.mpp) as opened:
        return warnings + _check_picture(section, opened)


def check_together(sections: Iterable[MeasuredSection]) -> list[str]:
    """Warnings about sections that are to be one dataset; they are looked at one after the other.

    Raises
    ------
    BadPairing
        There is none, two have one name, or the genes of one are measured in no other.
    """
    warnings: list[str] = []
    patients: dict[str, str] = {}
    names: set[str] = set()
    nobodys: list[str] = []
    species: set[str] = set()
    anywhere: set[str] = set()
    everywhere: set[str] | None = None
    for section in sections:
        if section.name in names:
            raise BadPairing(
                f"Two sections are named {section.name}; give each a name of its own with name= or "
                "--name."
            )
        names.add(section.name)
        nobodys += [section.name] if section.patient == UNKNOWN_PATIENT else []
        species |= {section.species} - {""}
        picture = str(section.image.resolve())
        if patients.setdefault(picture, section.patient) != section.patient:
            warnings.append(
                f"{section.image.name} belongs to two patients, {patients[picture]} and "
                f"{section.patient}; a split by patient would train on what it tests."
            )
        if not section.genes:
            continue
        genes = set(section.genes)
        if anywhere and not genes & anywhere:
            raise BadPairing(_nothing_in_common(section, min(anywhere), species))
        anywhere |= genes
        everywhere = genes if everywhere is None else everywhere & genes
    if not names:
        raise BadPairing("There is no section; give at least one source.")
    if everywhere is not None and len(everywhere) < FEW_COMMON_GENES * len(anywhere):
        warnings.append(
            f"Only {len(everywhere)} of {len(anywhere)} genes are measured in all sections; the "
            "others are learned from some of them."
        )
    if nobodys:
        shown = ", ".join(nobodys[:3]) + (" …" if len(nobodys) > 3 else "")
        warnings.append(
            f"No patient is known of {shown}: such sections count as one patient, so that none is "
            "tested as unseen; give patient= or --patient."
        )
    if len(species) > 1:
        warnings.append(
            f"Sections are of several species ({', '.join(sorted(species))}); genes are matched by "
            "their names alone."
        )
    return warnings


def _nothing_in_common(section: MeasuredSection, other: str, species: Collection[str]) -> str:
    if len(species) > 1:
        advice = "they are of several species, so prepare each species on its own"
    else:
        advice = "give gene symbols or Ensembl ids of one species in all of them"
    return (
        f"{section.name} has no gene in common with the other sections ({section.genes[0]}, … "
        f"against {other}, …); {advice}."
    )


def _check_rows(section: MeasuredSection) -> None:
    name, kind = section.name, section.row_kind
    if not SMALLEST_MPP <= section.mpp <= LARGEST_MPP:  # NaN is neither
        raise BadPairing(
            f"{name} has no usable µm/px (got {section.mpp:g}); give that of {section.image.name} "
            "with mpp= or --mpp (0.25 and 0.5 are usual for 40x and 20x)."
        )
    if len(section) == 0:
        raise BadPairing(f"{name} has no {kind}; check that its tables hold any with counts.")
    twice = len(section) - len(set(section.ids))
    if twice:
        double, _ = Counter(section.ids).most_common(1)[0]
        raise BadPairing(
            f"{name}: {twice} of {len(section)} ids of {kind} occur twice ({double}, …), but each "
            "needs its own; remove the doubles or number the rows."
        )
    lost = int((~np.isfinite(section.centers_um)).any(axis=1).sum())
    if lost:
        raise BadPairing(
            f"{name}: {lost} of {len(section)} {kind} have no position; leave them out of the "
            "table."
        )
    if not section.genes and section.tokens is None:
        raise BadPairing(f"{name} has no gene; check which features its table holds.")


def _check_counts(section: MeasuredSection) -> None:
    values = section.counts.data
    if not np.isfinite(values).all():
        raise BadPairing(f"{section.name} has counts that are no numbers; give raw counts.")
    negative = int((values < 0).sum())
    if negative:
        raise BadPairing(
            f"{section.name} has {negative} negative counts (the least is {values.min():g}); give "
            "raw counts, not scaled ones: another layer, or the matrix before normalisation."
        )
    broken = values[values != np.round(values)]
    if len(broken):
        raise BadPairing(
            f"{section.name} has {len(broken)} counts that are not whole numbers (such as "
            f"{broken[0]:.4g}), so they were normalised or transformed; give raw counts: another "
            'layer (often "counts"), or the matrix before normalisation.'
        )


def _empty_rows(section: MeasuredSection) -> list[str]:
    if not section.genes:
        return []
    totals = np.asarray(section.counts.sum(axis=1)).ravel()
    empty = int((totals == 0).sum())
    if not empty:
        return []
    return [f"{section.name}: {empty} of {len(section)} {section.row_kind} have no counts at all."]


def _odd_pitch(section: MeasuredSection) -> list[str]:
    expected = PITCH_UM.get(section.technology)
    found = pitch(section.centers_um)
    if expected is None or found is None or _is_pitch(found, expected):
        return []
    return [
        f"{section.name}: spots of {section.technology} are {expected:g} µm apart, but these are "
        f"{found:.0f} µm; check the µm/px, {section.mpp:g}."
    ]


def _is_pitch(found: float, expected: float) -> bool:
    return abs(found / expected - 1) <= PITCH_TOLERANCE


def _check_picture(section: MeasuredSection, slide: Slide) -> list[str]:
    warnings = _check_overlap(section, slide)
    if section.spot_diameter_um is None:
        return warnings + _check_nuclei(section, slide)
    return warnings + _check_tissue(section, slide)


def _check_overlap(section: MeasuredSection, slide: Slide) -> list[str]:
    """Rows must lie on the picture; where they do not, the readings that would fit are tried."""
    points, kind = section.centers_um, section.row_kind
    is_inside = slide.bounds.contains(points)
    inside = int(is_inside.sum())
    outside = len(points) - inside
    if outside <= FEW_OUTSIDE * len(points):
        return _some_outside(section, outside)
    level = slide.levels[0]
    beginning = (
        f"{section.name}: {inside} of {len(points)} {kind} lie on {section.image.name} "
        f"({level.width_px} x {level.height_px} px at {section.mpp:g} µm/px)"
    )
    # A run that reaches beyond the scanned H&E may fit into it in other ways, too.
    for other, advice in _other_readings(section, slide, is_inside):
        if (~slide.bounds.contains(other)).sum() <= min(FEW_OUTSIDE * len(points), outside / 10):
            raise BadPairing(f"{beginning}, but all do when {advice}.")
    if inside < LEAST_INSIDE * len(points):
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        width_um, height_um = slide.size_um
        raise BadPairing(
            f"{beginning}: positions are x {x0:.0f}–{x1:.0f} and y {y0:.0f}–{y1:.0f} µm, the "
            f"picture is {width_um:.0f} x {height_um:.0f} µm; check that both are of one section, "
            f"the alignment and the µm/px, or leave out the {kind} beside it."
        )
    return _some_outside(section, outside)


def _on_nuclei(slide: Slide, points: Points) -> bool:
    return len(points) >= FEWEST_FOR_STAIN and contrasts(slide, points)[0].is_clear


def _some_outside(section: MeasuredSection, outside: int) -> list[str]:
    if not outside:
        return []
    return [
        f"{section.name}: {outside} of {len(section)} {section.row_kind} lie beside "
        f"{section.image.name}."
    ]


def _other_readings(
    section: MeasuredSection, slide: Slide, is_inside: npt.NDArray[np.bool_]
) -> list[tuple[Points, str]]:
    """What positions may have been meant to be, and what to do then."""
    points, mpp = section.centers_um, section.mpp
    are_cells = section.spot_diameter_um is None
    if are_cells and _on_nuclei(slide, points[is_inside]):
        return []
    swap = "x and y are swapped: x is the column of the picture and y the row, so exchange them"
    readings = [(points[:, ::-1], swap)]
    if math.isclose(mpp, 1.0, rel_tol=0.05):
        return readings
    units = [
        (points * mpp, "they are read as pixels instead of µm (unit=px)"),
        (points / mpp, "they are read as µm instead of pixels (unit=um)"),
    ]
    # A smaller copy lies inside of the picture wherever it is: something must speak for it.
    if are_cells and len(points) >= FEWEST_FOR_STAIN:
        return readings + [(other, said) for other, said in units if _on_nuclei(slide, other)]
    expected, found = PITCH_UM.get(section.technology), pitch(points)
    if expected is not None and found is not None and _is_pitch(found, expected):
        return readings
    return readings + units


def _check_nuclei(section: MeasuredSection, slide: Slide) -> list[str]:
    """Cells must lie on haematoxylin, more than with x and y swapped."""
    if len(section) < FEWEST_FOR_STAIN:
        return []
    places = nucleus_places_um(section)
    given, swapped = contrasts(slide, places, places[:, ::-1])
    if not given.is_clear and swapped.is_clear and swapped.exceeds(given):
        raise BadPairing(
            f"{section.name}: there is no more haematoxylin under the cells than beside them "
            f"({given.mean:+.3f} OD), but there is when x and y are swapped "
            f"({swapped.mean:+.3f} OD): x is the column of the picture and y the row, so exchange "
            "them."
        )
    offset = found_offset(section, slide)
    if offset is not None and offset.is_clear:
        return [offset.sentence]
    if given.is_clear:
        return []
    return [
        f"{section.name}: haematoxylin is hardly denser under the cells than beside them "
        f"({given.mean:+.3f} ± {given.error:.3f} OD); check the positions' unit, the µm/px "
        "and which axis is x; else the alignment may be off by more than a nucleus, or the picture "
        "too coarse to tell."
    ]


def _check_tissue(section: MeasuredSection, slide: Slide) -> list[str]:
    """Spots with counts must lie on tissue, more than with x and y swapped."""
    given = share_on_tissue(slide, section.centers_um)
    swapped = share_on_tissue(slide, section.centers_um[:, ::-1])
    if given < 1 - FEW_OUTSIDE and swapped - given >= MORE_ON_TISSUE and swapped > 0.95:
        raise BadPairing(
            f"{section.name}: {100 * given:.0f} % of the spots lie on tissue, but "
            f"{100 * swapped:.0f} % do when x and y are swapped: x is the column of the picture "
            "and y the row, so exchange them."
        )
    if given < LEAST_ON_TISSUE:
        return [
            f"{section.name}: only {100 * given:.0f} % of the spots lie on tissue; check "
            "the positions' unit, the µm/px, which axis is x, and the alignment."
        ]
    return _odd_totals(section, slide)


def _odd_totals(section: MeasuredSection, slide: Slide) -> list[str]:
    """Spots of tissue without an edge: their totals may tell how they lie."""
    if len(section) < FEWEST_FOR_STAIN or not section.genes:
        return []
    points = section.centers_um
    totals = np.asarray(section.counts.sum(axis=1)).ravel()
    given, swapped = counts_follow_stain(slide, totals, points, points[:, ::-1])
    standard_error = math.sqrt(2 / (len(sampled(len(points))) - 3))  # of values without a relation
    if swapped - given <= CLEAR_ERRORS * standard_error:
        return []
    return [
        f"{section.name}: the spots' totals follow the haematoxylin better when x and y are "
        f"swapped (correlation {swapped:.2f}) than as they are ({given:.2f}); look at their places."
    ]
