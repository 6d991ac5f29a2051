"""Coordinate transformations as SpatialData writes them into zarr attributes, on (x, y) alone.

The format is that of the transformations proposed for OME-NGFF, with names of axes in every input
and output (SpatialData's design document, "Coordinate systems and transformations").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""(3, 3), for columns (x, y, 1)."""


def systems(transformations: Sequence[Mapping[str, Any]]) -> dict[str, Matrix]:
    """Name of each coordinate system that an element lies in → the matrix that leads there.

    Raises
    ------
    ValueError, KeyError, TypeError
        No such transformations, or kinds that are no affine maps.
    """
    return {t["output"]["name"]: matrix(t, _axes(t["input"])) for t in transformations}


def matrix(transformation: Mapping[str, Any], axes: Sequence[str]) -> Matrix:
    """What a transformation does to x and y.

    Parameters
    ----------
    transformation
        Of type identity, scale, translation, affine, mapAxis or sequence.
    axes
        Names of its input's axes, in their order; x and y among them.

    Raises
    ------
    ValueError, KeyError, TypeError
        Another type, or numbers that are missing.
    """
    kind = transformation["type"]
    columns = [axes.index("x"), axes.index("y")]
    found = np.eye(3)
    if kind == "identity":
        return found
    if kind == "scale":
        found[[0, 1], [0, 1]] = np.asarray(transformation["scale"], np.float64)[columns]
        return found
    if kind == "translation":
        found[:2, 2] = np.asarray(transformation["translation"], np.float64)[columns]
        return found
    if kind == "affine":
        values = np.asarray(transformation["affine"], np.float64)
        out = _axes(transformation["output"]) if "output" in transformation else list(axes)
        rows = [out.index("x"), out.index("y")]
        found[:2] = values[np.ix_(rows, [*columns, len(axes)])]
        return found
    if kind == "mapAxis":
        source = {"x": 0, "y": 1}
        named = transformation["mapAxis"]
        found[:2, :2] = 0
        for row, name in enumerate("xy"):
            found[row, source[named[name]]] = 1
        return found
    if kind == "sequence":
        for step in transformation["transformations"]:
            before = _axes(step["input"]) if "input" in step else list(axes)
            found = matrix(step, before) @ found
        return found
    raise ValueError(f"a transformation of type {kind!r}, which is no affine map")


def _axes(space: Mapping[str, Any]) -> list[str]:
    return [axis["name"] for axis in space["axes"]]
