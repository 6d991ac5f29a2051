"""Slides as napari layers: a lazy pyramid, in micrometres where the slide's pixel size is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari.utils import resize_dask_cache

from napari_past import spatial
from napari_past.errors import NotASlide
from napari_past.plugin.dropped import CELL_SUFFIXES, is_classifier, is_heat_map
from napari_past.plugin.measured.drops import hand_over, hand_over_address
from napari_past.plugin.remote_levels import remote_levels
from napari_past.slide import Slide, open_slide
from napari_past.slide.place import is_remote, stem_of
from napari_past.space import image_placement
from napari_past.types import SlideRef

LayerData = tuple[Any, dict[str, Any], str]
"""Data, arguments and type of a layer, as napari takes them."""

METADATA_KEY = "napari_past"
"""Of a slide layer's metadata: what the widget needs to open the slide again."""

IMAGES = "images"
"""Within it: names of the images of the slide's file."""

PIECES_BYTES = 128 * 2**20
"""Of lazy images that napari may keep: some screens of a slide."""

_NOTHING = (None,)
"""As napari's plugins say "nothing to show"."""

_TABLE_SUFFIXES = {".h5ad", ".tsv", ".gz", ".xenium"}
"""Of measured tissue in a file."""

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """A reader for one path or several; None for what holds neither a slide nor measured tissue.

    Slides are claimed by their suffix, in the manifest.
    """
    place = _each(path)[0]
    if is_remote(place):
        return open_addresses
    first = Path(place)
    if is_heat_map(first):
        return hand_over_heat_maps
    if is_classifier(first):
        return hand_over_classifier
    if first.name.lower().endswith(CELL_SUFFIXES):
        return hand_over_cells
    if first.is_dir():
        try:
            open_slide(first).close()
        except NotASlide:
            cells = hand_over_cells if first.suffix == ".zarr" else None
            return _reader_of_measured(first) or cells
    elif first.suffix.lower() in _TABLE_SUFFIXES:
        return _reader_of_measured(first)
    return read_slides


def hand_over_measured(path: Paths) -> list[tuple[None]]:
    """Give measured tissue to the widget, which lays it on the slide; no layer comes of it here.

    Raises
    ------
    PastError
        No widget is docked; napari shows the sentence.
    """
    return _handed_over(_each(path), "is measured tissue, which is laid on its H&E")


def hand_over_cells(path: Paths) -> list[tuple[None]]:
    """Give somebody's cells, or regions, to the widget; no layer comes of it here.

    Raises
    ------
    PastError
        No widget is docked; napari shows the sentence.
    """
    return _handed_over(_each(path), "holds cells or regions, which are laid on their slide")


def hand_over_heat_maps(path: Paths) -> list[tuple[None]]:
    """Give the heat map of a slide to the widget; no layer comes of it here.

    Raises
    ------
    PastError
        No widget is docked; napari shows the sentence.
    """
    return _handed_over(_each(path), "is a heat map, which is laid over its slide")


def hand_over_classifier(path: Paths) -> list[tuple[None]]:
    """Give a classifier of cells to the widget, the last of several; no layer comes of it.

    Raises
    ------
    PastError
        No widget is docked; napari shows the sentence.
    """
    return _handed_over(_each(path)[-1:], "is a classifier of cells, which is used on a slide")


def _each(path: Paths) -> Sequence[str | os.PathLike[str]]:
    return [path] if isinstance(path, str | os.PathLike) else path


def _handed_over(paths: Sequence[str | os.PathLike[str]], what: str) -> list[tuple[None]]:
    for path in paths:
        hand_over(Path(path), what)
    return [_NOTHING]


def open_addresses(path: Paths) -> list[Any]:
    """Slides from addresses: by the widget, beside the GUI thread, where one is docked.

    Raises
    ------
    SlideError
        No slide that can be read, or nobody answers; napari shows the sentence.
    """
    addresses = [os.fspath(p) for p in _each(path)]
    if all(hand_over_address(address) for address in addresses):
        return [_NOTHING]
    return read_slides(addresses)


def _reader_of_measured(path: Path) -> Callable[[Paths], list[Any]] | None:
    return None if spatial.kind_of(path) is None else hand_over_measured


def read_slides(path: Paths) -> list[LayerData]:
    """One image layer for each slide.

    Raises
    ------
    SlideError
        A file is no slide that can be read; napari shows the sentence.
    """
    return [slide_layer(open_slide(p)) for p in _each(path)]


def slide_layer(slide: Slide) -> LayerData:
    """The slide as a multiscale RGB image layer. Of one that lies far away the smallest level is
    read: not in the GUI thread.

    World coordinates are slide space in µm; without µm/px they are level-0 pixels with the same
    origin, the outer corner of pixel (0, 0), until the widget is told the size.
    """
    _keep_few_pieces()
    mpp = slide.mpp
    scale, translate = image_placement(1.0 if mpp is None else mpp)
    unit = "pixel" if mpp is None else "um"
    levels: list[Any] = list(slide.display_levels)
    if is_remote(slide.ref.path):
        levels = list(remote_levels(slide.display_pixels))
    name, images = stem_of(slide.name), slide.image_names
    series = slide.ref.series
    arguments = {
        "name": f"{name} · {series}" if isinstance(series, str) else name,
        "rgb": True,
        "multiscale": True,
        "scale": scale,
        "translate": translate,
        "units": (unit, unit),
        "metadata": {METADATA_KEY: {**_reference(slide.ref), IMAGES: images}},
    }
    return levels, arguments, "image"


def _keep_few_pieces() -> None:
    """Bound what napari keeps of lazy images: by default it is a quarter of the memory."""
    cache = resize_dask_cache()
    if cache.cache.available_bytes > PIECES_BYTES:
        resize_dask_cache(PIECES_BYTES)


def _reference(ref: SlideRef) -> dict[str, str | int | float | None]:
    return {"path": ref.path, "mpp": ref.mpp, "series": ref.series}


def slide_ref(metadata: Mapping[str, Any]) -> SlideRef | None:
    """The slide that a layer's metadata names, or None where it is not a slide layer of ours."""
    told = metadata.get(METADATA_KEY)
    if not isinstance(told, Mapping) or "path" not in told:
        return None
    return SlideRef(told["path"], told.get("mpp"), told.get("series"))
