"""Label images that are read window by window, whatever holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelPlane:
    """One plane of labels."""

    height_px: int
    width_px: int
    window: Callable[[int, int, int, int], Any]
    """(y0, y1, x0, x1) → the pixels of that window, whole numbers or floats without fractions."""

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Labels:
        """Labels (y1 − y0, x1 − x0) of a window within the plane; 0 is background.

        Raises
        ------
        BadTable
            Values that are no labels.
        """
        values = np.asarray(self.window(y0, y1, x0, x1))
        if values.dtype.kind == "f":
            whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
            if not whole.all():
                raise BadTable(
                    "The image has values with fractions where labels were expected, whole "
                    "numbers with 0 for background; give the label image, not a probability map."
                )
        labels = values.astype(np.int64)
        if labels.size and labels.min() < 0:
            raise BadTable(
                f"The image has negative values ({labels.min()}) where labels were expected, whole "
                "numbers with 0 for background; give the label image."
            )
        return labels


def plane_of(labels: Any) -> LabelPlane:
    """The plane of an array (Y, X), axes of length one left out, or of the finest of several.

    Parameters
    ----------
    labels
        numpy, dask or zarr array, or a sequence of them, the levels of a pyramid.

    Raises
    ------
    BadTable
        More than one plane, or values that are no numbers.
    """
    array = labels
    if isinstance(labels, Sequence):
        array = max(labels, key=lambda level: int(np.prod(level.shape)))
    shape = tuple(int(n) for n in array.shape)
    long = [axis for axis, n in enumerate(shape) if n != 1]
    if len(shape) >= 2 and len(long) < 2:
        long = [len(shape) - 2, len(shape) - 1]
    if len(long) != 2 or len(shape) < 2:
        raise BadTable(
            f"The labels have the shape {' x '.join(map(str, shape))} where one plane, height x "
            "width, was expected; choose one plane or channel."
        )
    if np.dtype(array.dtype).kind not in "biuf":
        raise BadTable(f"Labels are whole numbers, but these are of the kind {array.dtype}.")

    def window(y0: int, y1: int, x0: int, x1: int) -> Any:
        key: list[Any] = [0] * len(shape)
        key[long[0]], key[long[1]] = slice(y0, y1), slice(x0, x1)
        return array[tuple(key)]

    return LabelPlane(shape[long[0]], shape[long[1]], window)
