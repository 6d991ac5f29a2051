"""Where measured rows lie on the H&E that is open: moved there by an affine map."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import existing, reading
from napari_past.spatial.landmarks import Affine
from napari_past.spatial.section import MeasuredSection

MOST_RMS_UM = 20.0
"""Of landmarks: about a cell and its neighbour, beyond which no cell is known to be itself."""
MOST_SCALE = 1.05
"""A map between two µm keeps lengths; sections shrink or stretch by less."""


def placed(section: MeasuredSection, affine: Affine, how: str) -> MeasuredSection:
    """The section with its rows and nuclei moved, and notes that tell how.

    Parameters
    ----------
    section
        As it lies without the map.
    affine
        From there to µm of the H&E.
    how
        Where the map comes from: "landmarks.csv".
    """
    fitted = affine.landmarks > 0
    notes = [f"Placed on the H&E by {how}{f': {affine.sentence}' if fitted else ''}."]
    if fitted and affine.rms_um > MOST_RMS_UM:
        notes.append(
            f"The landmarks of {how} disagree by {affine.rms_um:.0f} µm (root mean square), more "
            f"than the {MOST_RMS_UM:g} µm that tell one cell from the next; pick them again, or "
            "look for one that is of another place."
        )
    linear = np.array(affine.matrix)[:, :2]
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    longest, shortest = np.linalg.svd(linear, compute_uv=False)
    if not 1 / MOST_SCALE <= scale <= MOST_SCALE:
        notes.append(
            f"{how} makes lengths {scale:.3g} times as long, where both sides are in µm; check the "
            "µm/px of the H&E, and that neither side is in pixels."
        )
    elif longest / shortest > MOST_SCALE:
        notes.append(
            f"{how} stretches one direction by {100 * (longest / shortest - 1):.0f} % against the "
            "other; check it."
        )
    return replace(
        section,
        centers_um=affine(section.centers_um),
        nuclei_um=None if section.nuclei_um is None else affine(section.nuclei_um),
        notes=section.notes + tuple(notes),
    )


def read_affine(path: str | Path) -> Affine:
    """The map in a file: 2 x 3 numbers, or 3 x 3 whose last line is 0, 0, 1.

    They act on columns (x, y, 1), x to the right and y down: µm of the measurement → µm of the H&E.

    Parameters
    ----------
    path
        ``.json``: a list of lists, or an object that holds one as ``matrix``. Else a text whose
        lines hold numbers with commas, semicolons, tabs or spaces between them.

    Raises
    ------
    BadSource
        No such file, no such matrix, or one that cannot be inverted.
    """
    source = existing(path, "The affine map")
    with reading(source, "an affine map"):
        text = source.read_text(encoding="utf-8-sig")
        matrix = _json_matrix(text) if source.suffix.lower() == ".json" else _text_matrix(text)
    advice = (
        "give 2 x 3 numbers that lead from µm of the measurement to µm of the H&E, for (x, y, 1)."
    )
    if matrix.shape == (3, 3) and not np.allclose(matrix[2], (0, 0, 1), atol=1e-6):
        raise BadSource(
            f"{source.name} ends with the line {matrix[2].tolist()}, where an affine matrix has "
            f"0, 0, 1; {advice}"
        )
    if matrix.shape not in {(2, 3), (3, 3)} or not np.isfinite(matrix).all():
        raise BadSource(f"{source.name} holds no matrix of 2 x 3 or 3 x 3 numbers; {advice}")
    if abs(float(np.linalg.det(matrix[:2, :2]))) < 1e-9:
        raise BadSource(f"{source.name} is a matrix that cannot be inverted; {advice}")
    (a, b, c), (d, e, f) = matrix[:2].tolist()
    unknown = float("nan")
    return Affine(((a, b, c), (d, e, f)), landmarks=0, rms_um=unknown, worst_um=unknown)


def _json_matrix(text: str) -> npt.NDArray[np.float64]:
    value = json.loads(text)
    return np.array(value["matrix"] if isinstance(value, dict) else value, np.float64)


def _text_matrix(text: str) -> npt.NDArray[np.float64]:
    lines = [re.split(r"[,;\s]+", line.strip(" ,;\t")) for line in text.splitlines()]
    return np.array([line for line in lines if any(line)], np.float64)
