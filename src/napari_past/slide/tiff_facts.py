"""What a TIFF slide says about itself: vendor, objective, µm/px."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage, TiffPageSeries

from napari_past.slide.units import plausible_mpp, um_per_unit

_TAG_NDPI_OBJECTIVE = 65421
_TAG_RESOLUTION_UNIT = 296
_TAG_XMP = 700
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
"""TIFF 6.0: 2 is inch, 3 is centimetre; 1 is no unit at all."""
_LARGEST_TAG_MPP, _SMALLEST_TAG_MPP = 20.0, 0.05
"""Print resolutions (72–300 dpi: 353–85 µm/px) are written into files that know no other."""


def tiff_vendor(tif: TiffFile) -> str:
    """Maker of the scanner, or the kind of file where the maker left no sign."""
    kinds = (
        (tif.is_svs, "Aperio"),
        (tif.is_ndpi, "Hamamatsu"),
        (tif.is_scn, "Leica"),
        (tif.is_philips, "Philips"),
        (tif.is_bif, "Ventana"),
        (tif.is_ome, "OME-TIFF"),
    )
    return next((vendor for is_kind, vendor in kinds if is_kind), "TIFF")


def tiff_objective(tif: TiffFile, series: TiffPageSeries) -> float | None:
    """Nominal magnification, or None."""
    page = series.keyframe
    found: object = None
    if tif.is_svs:
        found = _aperio_value(page, "AppMag")
    elif tif.is_ndpi:
        found = page.tags.valueof(_TAG_NDPI_OBJECTIVE)
    elif tif.is_scn:
        found = _first(r"<objective>\s*([\d.]+)", tif.scn_metadata or "")
    elif tif.is_bif:
        found = _first(r"\bMagnification\s*=\s*[\"']([\d.]+)", _bif_xml(tif))
    elif tif.is_ome:
        found = _first(r"\bNominalMagnification\s*=\s*[\"']([\d.]+)", tif.ome_metadata or "")
    number = _number(found)
    return number if number is not None and number > 0 else None


def tiff_mpp_xy(tif: TiffFile, series: TiffPageSeries, index: int) -> tuple[float, float] | None:
    """µm/px along x and y of a series' first level, or None where nothing plausible is stated.

    The vendor's own statement comes first, the resolution tags of TIFF 6.0 last.

    Parameters
    ----------
    tif, series
        The file and the image in it.
    index
        Position of the series among the file's, by which OME-XML lists its images.
    """
    page = series.keyframe
    stated: tuple[float, float] | None = None
    if tif.is_svs:
        number = _number(_aperio_value(page, "MPP"))
        stated = None if number is None else (number, number)
    elif tif.is_ome:
        stated = _ome_mpp_xy(tif.ome_metadata or "", series, index, len(tif.series))
    elif tif.is_philips:
        stated = _philips_mpp_xy(tif.philips_metadata or "")
    elif tif.is_bif:
        number = _number(_first(r"\bScanRes\s*=\s*[\"']([\d.]+)", _bif_xml(tif)))
        stated = None if number is None else (number, number)
    elif tif.is_imagej:
        stated = _imagej_mpp_xy(tif, page)
    return plausible_mpp(stated) or _tag_mpp_xy(page)


def _tag_mpp_xy(page: TiffPage) -> tuple[float, float] | None:
    um = _UM_PER_RESOLUTION_UNIT.get(int(page.tags.valueof(_TAG_RESOLUTION_UNIT, 2)))
    if um is None or "XResolution" not in page.tags:
        return None
    per_unit = _resolution(page)
    if per_unit is None:
        return None
    mpp_xy = (um / per_unit[0], um / per_unit[1])
    if not all(_SMALLEST_TAG_MPP <= v <= _LARGEST_TAG_MPP for v in mpp_xy):
        return None
    return mpp_xy


def _resolution(page: TiffPage) -> tuple[float, float] | None:
    """Pixels per unit along x and y; y as x where only x is given."""
    values = []
    for name in ("XResolution", "YResolution"):
        tag = page.tags.get(name)
        if tag is None:
            continue
        numerator, denominator = tag.value
        if not numerator or not denominator:
            return None
        values.append(numerator / denominator)
    return (values[0], values[-1]) if values else None


def _aperio_value(page: TiffPage, key: str) -> str | None:
    return _first(rf"\|\s*{key}\s*=\s*([^|\s]+)", page.description)


def _imagej_mpp_xy(tif: TiffFile, page: TiffPage) -> tuple[float, float] | None:
    um = um_per_unit(str((tif.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ"))
    per_unit = _resolution(page)
    return None if um is None or per_unit is None else (um / per_unit[0], um / per_unit[1])


def _philips_mpp_xy(xml: str) -> tuple[float, float] | None:
    """DICOM_PIXEL_SPACING, mm, rows then columns, of the first representation."""
    match = re.search(r'DICOM_PIXEL_SPACING"[^>]*>([^<]*)<', xml)
    numbers = re.findall(r"[\d.]+(?:[eE][-+]?\d+)?", match[1]) if match else []
    return (float(numbers[1]) * 1e3, float(numbers[0]) * 1e3) if len(numbers) == 2 else None


def ome_files_beside(tif: TiffFile) -> int:
    """How many other files the OME-XML of a file names as parts of the same image set."""
    if not tif.is_ome:
        return 0
    try:
        root = ElementTree.fromstring(tif.ome_metadata or "")
    except ElementTree.ParseError:
        return 0
    parts = {uuid.text for uuid in root.iterfind("{*}Image/{*}Pixels/{*}TiffData/{*}UUID")}
    return len(parts - {root.get("UUID")}) if "UUID" in root.attrib else max(0, len(parts) - 1)


def _ome_mpp_xy(
    xml: str, series: TiffPageSeries, index: int, n_series: int
) -> tuple[float, float] | None:
    """PhysicalSizeX and Y of the image of that size and position, or that name.

    Positions count only where the file holds all images: the others may lie in other files.
    """
    try:
        images = ElementTree.fromstring(xml).findall("{*}Image")
    except ElementTree.ParseError:
        return None
    sizes = dict(zip(series.get_axes(False), series.get_shape(False), strict=True))

    def fits(image: ElementTree.Element) -> bool:
        pixels = image.find("{*}Pixels")
        return pixels is not None and (pixels.get("SizeX"), pixels.get("SizeY")) == (
            str(sizes["X"]),
            str(sizes["Y"]),
        )

    candidates = [image for image in images if fits(image)]
    named = [image for image in candidates if image.get("Name") == series.name]
    placed = [image for image in images[index : index + 1] if image in candidates]
    fitting = (placed if len(images) == n_series else []) or named or candidates
    stated = {_physical_size(image) for image in fitting}
    return stated.pop() if len(stated) == 1 else None


def _physical_size(image: ElementTree.Element) -> tuple[float, float] | None:
    pixels = image.find("{*}Pixels")
    if pixels is None:
        return None
    values = []
    for axis in "XY":
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        um = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size is None or um is None:
            return None
        values.append(size * um)
    return values[0], values[1]


def _bif_xml(tif: TiffFile) -> str:
    for page in tif.pages:
        xmp = page.tags.valueof(_TAG_XMP) if isinstance(page, TiffPage) else None
        text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp or "")
        if "iScan" in text:
            return text
    return ""


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
