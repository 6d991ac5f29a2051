"""Heat maps in files: an OME-TIFF of one float32 channel each, in µm from the slide's corner.

QuPath, napari and Fiji show it as it is. What it is of and rests on is JSON in the image's
description.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pydantic
import tifffile

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.io.heat_map import (
    MOST_BINS,
    HeatAbout,
    HeatChannel,
    HeatKind,
    HeatMap,
    Line,
    Um,
)
from napari_past.model.strict import Strict, first_mistake
from napari_past.types import PixelGrid

HEAT_SUFFIX = ".heat.tif"
SCHEMA_VERSION = 1
CELLS = "cells"
"""Name of the last channel: how many instances lie in a square."""
_KEY = "napari_past_heat_map"
_MOST_CHANNELS = 16
_MOST_LETTERS = 2**20
"""Of the description."""


class _Channel(Strict):
    name: Line
    kind: HeatKind
    unit: Line


class _Told(Strict):
    """What the description holds."""

    schema_version: int
    bin_um: Um
    channels: tuple[_Channel, ...] = pydantic.Field(min_length=1, max_length=_MOST_CHANNELS)
    about: HeatAbout


def write_heat_map(path: str | Path, found: HeatMap) -> None:
    """Write a map; the same map gives the same bytes.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    told = _Told(
        schema_version=SCHEMA_VERSION,
        bin_um=found.grid.mpp,
        channels=tuple(
            _Channel(name=channel.name, kind=channel.kind, unit=channel.unit)
            for channel in found.channels
        ),
        about=found.about,
    )
    # XML of TIFF is to be ASCII for some readers, and json escapes what is not.
    description = json.dumps({_KEY: told.model_dump(mode="json")})
    pixels = np.stack([*(channel.values for channel in found.channels), found.cells])
    side, per_cm = found.grid.mpp, 1e4 / found.grid.mpp
    with atomic_write(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            pixels,
            ome=True,
            photometric="minisblack",
            compression="adobe_deflate",
            maxworkers=1,
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            metadata={
                "axes": "CYX",
                "Name": f"Heat map of {found.about.slide_name}",
                # tifffile would make one up from the clock.
                "UUID": uuid.uuid5(uuid.NAMESPACE_URL, description).urn,
                "Description": description,
                "Channel": {"Name": [*(channel.name for channel in told.channels), CELLS]},
                "PhysicalSizeX": side,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": side,
                "PhysicalSizeYUnit": "µm",
            },
        )


def read_heat_map(path: str | Path) -> HeatMap:
    """A map of `write_heat_map`.

    Raises
    ------
    BadTable
        No such file, another image, damaged, or of a later version of this software.
    """
    source = existing_file(path)
    try:
        # Its OME-XML is not asked for pixels: it might name files that nobody wanted to open.
        with tifffile.TiffFile(source, is_ome=False) as tif:
            told = _told(source, tif.pages.first.description)
            pixels = _pixels(source, tif, len(told.channels) + 1)
        return HeatMap(
            told.about,
            PixelGrid(0.0, 0.0, told.bin_um),
            tuple(
                HeatChannel(of.name, of.kind, of.unit, values)
                for of, values in zip(told.channels, pixels[:-1], strict=True)
            ),
            pixels[-1],
        )
    except BadTable:
        raise
    except Exception as exc:  # damaged files fail in the decoders in many ways
        reason = (str(exc) or type(exc).__name__).rstrip(". ").replace(str(source), source.name)
        raise BadTable(
            f"{source.name} cannot be read as a heat map ({reason}); write it again with "
            "past-train slide evaluate --maps."
        ) from exc


def _told(source: Path, xml: str) -> _Told:
    if len(xml) > _MOST_LETTERS or "<!ENTITY" in xml:
        raise BadTable(f"{source.name} has a description that no heat map has; it is not opened.")
    none = BadTable(
        f"{source.name} is no heat map of this software, or is damaged; give a file of past-train "
        "slide evaluate --maps."
    )
    try:
        text = ElementTree.fromstring(xml).findtext("{*}Image/{*}Description") or ""
        told = json.loads(text)[_KEY]
    except (ElementTree.ParseError, ValueError, TypeError, KeyError, RecursionError) as exc:
        raise none from exc
    version = told.get("schema_version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BadTable(
            f"{source.name} has schema version {version}, but this version of napari-past reads "
            f"up to {SCHEMA_VERSION}; update napari-past."
        )
    try:
        return _Told.model_validate_json(json.dumps(told))
    except pydantic.ValidationError as exc:
        raise BadTable(
            f"{source.name} is damaged: its description is wrong at "
            f"{first_mistake(exc, 'the description')}; write it again."
        ) from exc


def _pixels(source: Path, tif: tifffile.TiffFile, wanted: int) -> list[npt.NDArray[np.float32]]:
    """(rows, columns) of each channel; sizes are looked at before anything is unpacked."""
    pages = [tif.pages.get(k).aspage() for k in range(wanted)]
    sizes = {(page.imagelength, page.imagewidth) for page in pages}
    formats = {(page.dtype, page.samplesperpixel) for page in pages}
    if len(sizes) != 1 or formats != {(np.dtype(np.float32), 1)}:
        raise BadTable(
            f"{source.name} is damaged: its channels differ in size or are not float32; write it "
            "again."
        )
    rows, columns = sizes.pop()
    if rows * columns > MOST_BINS:
        raise BadTable(
            f"{source.name} says that it has {columns} x {rows} squares, more than any heat map; "
            "it is not opened."
        )
    return [np.asarray(page.asarray(maxworkers=1), np.float32) for page in pages]
