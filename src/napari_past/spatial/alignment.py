"""Where a Xenium run lies on its H&E: the matrix that Xenium Explorer exports."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import reading
from napari_past.spatial.section import Points

MOST_STRETCH = 1.05
"""Of one axis against the other; two pictures of one section differ by less."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """An affine map from H&E pixels to pixels of the DAPI image.

    Pixel (0, 0)'s outer corner is the origin of both frames, as it is of the instrument's µm.
    """

    matrix: npt.NDArray[np.float64]
    """(3, 3), for columns (x, y, 1)."""
    dapi_mpp: float
    """µm/px of the DAPI image: ``pixel_size`` of ``experiment.xenium``."""

    @property
    def mpp(self) -> float:
        """µm/px of the H&E: the mean over its two axes."""
        return self.dapi_mpp * math.sqrt(abs(float(np.linalg.det(self.matrix[:2, :2]))))

    @property
    def stretch(self) -> float:
        """How much longer one axis gets than the other, at least 1."""
        longest, shortest = np.linalg.svd(self.matrix[:2, :2], compute_uv=False)
        return float(longest / shortest)

    def inverted(self) -> Alignment:
        """The map that this one would be if it had been written the other way round."""
        return Alignment(np.linalg.inv(self.matrix).astype(np.float64), self.dapi_mpp)

    def he_px(self, xenium_um: Points) -> Points:
        """(x, y) in H&E pixels, corner origin, of positions (n, 2) in the instrument's µm."""
        dapi_px = np.column_stack([xenium_um / self.dapi_mpp, np.ones(len(xenium_um))])
        he = dapi_px @ np.linalg.inv(self.matrix).T
        return np.asarray(he[:, :2], np.float64)


def read_alignment(path: Path, dapi_mpp: float) -> Alignment:
    """The alignment of a file ``*_he_imagealignment.csv``: three lines of three numbers.

    Raises
    ------
    BadSource
        Something else, such as the list of keypoints, which Xenium Explorer exports too.
    """
    with reading(path, "a table"), path.open(newline="", encoding="utf-8-sig") as file:
        lines = [[v.strip() for v in line] for line in csv.reader(file) if any(line)]
    advice = (
        "export the transformation matrix from Xenium Explorer (*_imagealignment.csv, three lines "
        "of three numbers)."
    )
    if lines and "fixedX" in lines[0]:
        raise BadSource(f"{path.name} is the list of keypoints, not the alignment; {advice}")
    try:
        matrix = np.array(lines, np.float64)
    except ValueError as exc:
        raise BadSource(f"{path.name} holds no matrix of numbers; {advice}") from exc
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise BadSource(f"{path.name} holds no matrix of 3 x 3 numbers; {advice}")
    if not np.allclose(matrix[2], (0, 0, 1), atol=1e-6):
        raise BadSource(
            f"{path.name} ends with the line {matrix[2].tolist()}, where an affine matrix has "
            f"0, 0, 1; {advice}"
        )
    if abs(float(np.linalg.det(matrix[:2, :2]))) < 1e-9:
        raise BadSource(f"{path.name} is a matrix that cannot be inverted; {advice}")
    return Alignment(matrix, dapi_mpp)
