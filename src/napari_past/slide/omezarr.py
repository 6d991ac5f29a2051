"""Slides in OME-Zarr folders: 0.4 (zarr v2) and 0.5 (zarr v3), single images or a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr

from napari_past.errors import DamagedSlide, NotASlide, PastError
from napari_past.slide.planes import ZarrPlane, check_rgb8
from napari_past.slide.series import chosen_series, unique_names
from napari_past.slide.source import Source
from napari_past.slide.units import plausible_mpp, um_per_unit

_SIGNS = ("zarr.json", ".zgroup", ".zattrs")
_AXES_BEFORE_0_4 = "tczyx"


def is_zarr_folder(path: Path) -> bool:
    """Whether the folder is a zarr group, of OME or not."""
    return any((path / sign).is_file() for sign in _SIGNS)


def open_omezarr(path: Path, series: int | str | None) -> Source:
    """The image of an OME-Zarr folder that `series` chooses, by default the largest.

    Raises
    ------
    NotASlide
        No OME image in the folder.
    DamagedSlide
        Metadata that cannot be read or that promise levels that are missing.
    UnsupportedPixels
        Not 8-bit RGB.
    """
    try:
        return _source(path, series)
    except PastError:
        raise
    except Exception as exc:  # zarr and malformed metadata raise many types
        raise DamagedSlide(
            f"{path.name} is a zarr folder whose image metadata cannot be read "
            f"({str(exc) or type(exc).__name__}); it is damaged or incomplete, copy it again from "
            "where it came from."
        ) from exc


def _source(path: Path, wanted: int | str | None) -> Source:
    root = zarr.open_group(path, mode="r")
    groups = [(root, _multiscale(root))]
    if groups[0][1] is None:
        # bioformats2raw puts the images of one file into groups "0", "1", …
        numbered = sorted((n for n in root.group_keys() if n.isdecimal()), key=int)
        members = [zarr.open_group(path / n, mode="r") for n in numbered]
        groups = [(group, _multiscale(group)) for group in members]
    images = [(group, scales) for group, scales in groups if scales is not None]
    if not images:
        raise NotASlide(
            f"{path.name} is a zarr folder without an OME image (no multiscales metadata); give "
            "the folder of an OME-Zarr image, version 0.4 or 0.5."
        )
    names = unique_names([str(scales.get("name") or "").strip("/") for _, scales in images])
    arrays = [[_array(group, d["path"]) for d in scales["datasets"]] for group, scales in images]
    areas = [a[0].shape[-1] * a[0].shape[-2] for a in arrays]
    chosen = chosen_series(path.name, names, names, areas, wanted)
    scales = images[chosen][1]
    axes, units = _axes(scales)
    levels = []
    for array in arrays[chosen]:
        colour = check_rgb8(path.name, axes, array.shape, array.dtype)
        levels.append(ZarrPlane(array, axes, colour))
    return Source(
        levels=tuple(levels),
        vendor="OME-Zarr",
        objective=None,
        mpp_xy=_mpp_xy(scales, axes, units),
        series_names=names,
        content=lambda: [
            (f.relative_to(path).as_posix(), f) for f in sorted(path.rglob("*")) if f.is_file()
        ],
        close=lambda: None,
    )


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    member = group[path]
    if not isinstance(member, zarr.Array):
        raise ValueError(f"{path} is no array")
    return member


def _multiscale(group: zarr.Group) -> Mapping[str, Any] | None:
    """The first multiscale of a group: under "ome" since 0.5, at the top before."""
    attributes: Mapping[str, Any] = dict(group.attrs)
    scales = dict(attributes.get("ome") or attributes).get("multiscales")
    return scales[0] if isinstance(scales, Sequence) and scales else None


def _axes(scales: Mapping[str, Any]) -> tuple[str, list[str]]:
    """One letter per axis, and the axes' units, "" where none is stated."""
    axes = scales.get("axes")
    if axes is None:
        return _AXES_BEFORE_0_4, [""] * len(_AXES_BEFORE_0_4)
    named = [{"name": a} if isinstance(a, str) else a for a in axes]
    letters = "".join("c" if a.get("type") == "channel" else str(a["name"])[0] for a in named)
    return letters.lower(), [str(a.get("unit") or "") for a in named]


def _mpp_xy(
    scales: Mapping[str, Any], axes: str, units: Sequence[str]
) -> tuple[float, float] | None:
    """Product of the scales of the first dataset and of the whole, where axes have a unit."""
    factors = [1.0] * len(axes)
    stated = False
    for owner in (scales["datasets"][0], scales):
        for step in owner.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and "scale" in step:
                factors = [a * float(b) for a, b in zip(factors, step["scale"], strict=True)]
                stated = True
    um = [um_per_unit(units[axes.index(a)]) for a in "xy"]
    if not stated or um[0] is None or um[1] is None:
        return None
    return plausible_mpp((factors[axes.index("x")] * um[0], factors[axes.index("y")] * um[1]))
