"""Label images in zarr folders: OME-Zarr labels and plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_past.brought.choice import Choice
from napari_past.brought.chunks import KeptChunks
from napari_past.brought.label_files import LabelFile
from napari_past.brought.reason import reason_of
from napari_past.errors import BadTable, PastError
from napari_past.slide.units import plausible_mpp, um_per_unit

_PLANES = 64


def zarr_labels(path: Path, choice: Choice) -> tuple[LabelFile, str, str]:
    """The planes of a folder's label image, its name, and what it is.

    A plain array, a label image of OME-Zarr, or one of the labels of an OME-Zarr image.

    Raises
    ------
    BadTable
        There is none, or several and none was chosen.
    """
    try:
        root = zarr.open(path, mode="r")
        if isinstance(root, zarr.Array):
            return LabelFile(_planes(root, None, path.name)), path.name, "label image"
        names = _label_names(root)
        if names:
            name = choice.one_of(names, path.name, "label images")
            group = root[f"labels/{name}"]
            if not isinstance(group, zarr.Group):
                raise ValueError(f"labels/{name} is no group")
            return _ome(group, f"{path.name}/{name}"), name, "OME-Zarr labels"
        if _multiscale(root) is not None:
            return _ome(root, path.name), path.name, "OME-Zarr labels"
    except PastError:
        raise
    except Exception as exc:  # zarr and malformed metadata raise many types
        reason = reason_of(exc, path)
        raise BadTable(
            f"{path.name} is a zarr folder whose labels cannot be read ({reason}); copy it again "
            "from where it came from."
        ) from exc
    raise BadTable(
        f"{path.name} is a zarr folder without labels and without shapes; give an OME-Zarr label "
        "image, an OME-Zarr image with labels, or a SpatialData folder."
    )


def _label_names(root: zarr.Group) -> list[str]:
    """Names that ``labels/`` lists, else those of the groups in it."""
    group = root.get("labels")
    if not isinstance(group, zarr.Group):
        return []
    attributes: Mapping[str, Any] = dict(group.attrs)
    listed = dict(attributes.get("ome") or attributes).get("labels")
    if isinstance(listed, Sequence) and not isinstance(listed, str) and listed:
        return [str(name).strip("/") for name in listed]
    return sorted(group.group_keys())


def _multiscale(group: zarr.Group) -> Mapping[str, Any] | None:
    attributes: Mapping[str, Any] = dict(group.attrs)
    scales = dict(attributes.get("ome") or attributes).get("multiscales")
    return scales[0] if isinstance(scales, Sequence) and scales else None


def _ome(group: zarr.Group, source: str) -> LabelFile:
    scales = _multiscale(group)
    if scales is None:
        raise BadTable(
            f"{source} has no multiscales metadata, so it is no OME-Zarr label image; give one."
        )
    finest = scales["datasets"][0]
    array = group[finest["path"]]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{finest['path']} is no array")
    axes = [
        {"name": a} if isinstance(a, str) else dict(a)
        for a in scales.get("axes") or list("tczyx")[-array.ndim :]
    ]
    names = [str(a["name"]).lower()[:1] for a in axes]
    if names[-2:] != ["y", "x"]:
        raise BadTable(
            f"{source} has the axes {', '.join(names)} where y and x, last, were expected; save "
            "one plane of labels."
        )
    if np.dtype(array.dtype).kind not in "biu":
        raise BadTable(
            f"{source} holds {array.dtype} where labels, whole numbers, were expected; give the "
            "label image."
        )
    return LabelFile(_planes(array, names, source), _mpp_xy(scales, axes))


def _mpp_xy(
    scales: Mapping[str, Any], axes: Sequence[Mapping[str, Any]]
) -> tuple[float, float] | None:
    """What the metadata state, where they name a unit."""
    factors = np.ones(len(axes))
    stated = False
    for owner in (scales["datasets"][0], scales):
        for step in owner.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and len(step.get("scale", ())) == len(axes):
                factors = factors * np.asarray(step["scale"], np.float64)
                stated = True
    um_y, um_x = (um_per_unit(str(a.get("unit") or "")) for a in axes[-2:])
    if not stated or um_x is None or um_y is None:
        return None
    return plausible_mpp((float(factors[-1]) * um_x, float(factors[-2]) * um_y))


def _planes(array: Any, axes: Sequence[str] | None, source: str) -> dict[str, Any]:
    leading = tuple(int(n) for n in array.shape[:-2])
    count = int(np.prod(leading, dtype=np.int64))
    if array.ndim < 2 or count > _PLANES:
        raise BadTable(
            f"{source} has the shape {' x '.join(map(str, array.shape))} where labels, height x "
            "width, were expected; save one plane of labels."
        )
    if axes is not None and "c" in axes and count == 3 and np.dtype(array.dtype) == np.uint8:
        raise BadTable(
            f"{source} is a colour picture where labels were expected, one number for each pixel; "
            "give its labels."
        )
    names = [""] if count == 1 else [str(i) for i in range(count)]
    return {
        name: KeptChunks(array, place, source)
        for name, place in zip(names, np.ndindex(*leading), strict=True)
    }
