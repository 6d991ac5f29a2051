"""One door for measured tissue: whatever was measured, placed on the H&E that lies open."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from napari_past.spatial.anndata_slide import read_anndata
from napari_past.spatial.errors import BadPairing, BadSource
from napari_past.spatial.folder import existing
from napari_past.spatial.kinds import KINDS
from napari_past.spatial.landmarks import read_landmarks
from napari_past.spatial.lattice import DIAMETER_UM
from napari_past.spatial.picture import picture_size
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.placement import placed, read_affine
from napari_past.spatial.section import MeasuredSection
from napari_past.spatial.spatialdata_zarr import is_spatialdata, read_spatialdata
from napari_past.spatial.st import own_picture, read_st, section_names, section_of_file
from napari_past.spatial.visium import fullres_size, read_visium
from napari_past.spatial.xenium import has_alignment, read_unaligned_xenium, read_xenium
from napari_past.spatial.xenium import own_picture as xenium_picture

WIDEST_SPOT_UM = 10_000.0
SIZES_AGREE = 0.005
"""Of widths: a size that is known from a small copy is known to within its pixel."""


@dataclass(frozen=True)
class MeasuredAs:
    """What no file tells, or what is to be taken otherwise than found. None: as it is found.

    On the command line the fields are options of the same names.
    """

    kind: str | None = None
    """One of `READ`; default: by `kind_of`."""
    section: str | None = None
    """Of a folder of ST sections: "C5". Of SpatialData: a table or its region."""
    unit: Literal["um", "px"] | None = None
    """Of an AnnData table's positions, which nothing in the file tells; of SpatialData where no
    image in it shows the H&E."""
    x: str | None = None
    y: str | None = None
    """Columns of obs with the column and the row in the picture."""
    layer: str | None = None
    genes: str | None = None
    ids: str | None = None
    types: str | None = None
    """Columns: genes of var, ids and cell types of obs."""
    spot_diameter_um: float | None = None
    """Of AnnData and SpatialData, default: rows are single cells, but for Visium. Of ST, default:
    100 µm."""
    bin_um: int = 8
    """Of Visium HD: 2, 8 or 16."""
    alignment: Path | None = None
    """Of a Xenium run: the matrix that Xenium Explorer exports."""
    affine: Path | None = None
    """A map to the H&E from where rows lie without it, as `read_affine` reads it. Without it they
    lie as an alignment or their pixels on the H&E say; where these are of a picture of another
    size, in µm of that one (Xenium: of the instrument)."""
    landmarks: Path | None = None
    """Pairs of places that such a map is fitted to, as `read_landmarks` reads them."""
    patient: str | None = None
    mpp: float | None = None
    """µm/px of the H&E."""
    to_be_placed: bool = False
    """Rows may lie beside what they belong to, since a map will be given later: a Xenium run
    without an alignment is in the instrument's µm then."""


_USED_BY = {
    "xenium": {"alignment"},
    "visium": {"bin_um"},
    "st": {"section", "spot_diameter_um"},
    "anndata": {"unit", "x", "y", "layer", "genes", "ids", "types", "spot_diameter_um"},
    "spatialdata": {
        "section",
        "unit",
        "layer",
        "genes",
        "ids",
        "types",
        "spot_diameter_um",
        "bin_um",
    },
}
"""Fields of `MeasuredAs` that mean something to a kind, beside those that all have."""
_COMMON = {"kind", "affine", "landmarks", "patient", "mpp", "to_be_placed"}
READ = {kind: KINDS[kind] for kind in ("xenium", "visium", "st")} | {
    "anndata": "an .h5ad file or AnnData zarr",
    "spatialdata": "a SpatialData .zarr",
}
"""Kinds that are read → what they are."""


def kind_of(path: Path) -> str | None:
    """What was measured in a folder or file: one of `READ`, or None for something else.

    Only names and a line of metadata are looked at.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix.lower() == ".h5ad":
        return "anndata"
    if path.name == "experiment.xenium":
        return "xenium"
    return None if section_of_file(path) is None else "st"


def read_measured(
    path: str | Path, image: str | Path, asked: MeasuredAs | None = None
) -> MeasuredSection:
    """One measured section, in place on the H&E that lies open.

    Parameters
    ----------
    path
        A Xenium folder (or its ``experiment.xenium``), a folder of Space Ranger, a folder of ST
        sections or a table of one of them, an AnnData table (``.h5ad`` or zarr), or a SpatialData
        folder (``.zarr``).
    image
        The H&E; it wins over a picture that lies beside the measurement.
    asked
        What no file tells; default: nothing.

    Returns
    -------
    MeasuredSection
        Whose `image` is `image`.

    Raises
    ------
    BadSource
        Nothing that is read, a fact that is missing, an option that means nothing here, or a
        damaged file.
    BadPairing
        Measurements that are not of this picture.
    MissingPixelSize
        Nobody knows the H&E's.
    """
    asked = asked or MeasuredAs()
    place, picture = existing(path, "The measurement"), existing(image, "The H&E")
    kind = _settled_kind(place, asked)
    _check_options(kind, asked)
    section = _read(kind, place, picture, asked)
    if asked.affine is not None:
        return placed(section, read_affine(asked.affine), asked.affine.name)
    if asked.landmarks is not None:
        affine = read_landmarks(asked.landmarks, onto="predicted")
        return placed(section, affine, asked.landmarks.name)
    return section


def _kind_of_folder(folder: Path) -> str | None:
    if (folder / "experiment.xenium").exists():
        return "xenium"
    outs = folder / "outs" if (folder / "outs").is_dir() else folder
    if (outs / "binned_outputs").is_dir() or any((outs / "spatial").glob("tissue_positions*")):
        return "visium"
    if is_spatialdata(folder):
        return "spatialdata"
    if _zarr_attributes(folder).get("encoding-type") == "anndata":
        return "anndata"
    return "st" if section_names(folder) else None


def _zarr_attributes(folder: Path) -> dict[str, object]:
    """Of the root group of a zarr folder, whichever its format; empty where it is none."""
    try:
        if (folder / "zarr.json").exists():
            found = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        else:
            found = json.loads((folder / ".zattrs").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _settled_kind(place: Path, asked: MeasuredAs) -> str:
    known = ", ".join(f"{kind} ({what})" for kind, what in READ.items())
    if asked.kind is not None:
        if asked.kind not in READ:
            raise BadSource(f"There is no kind {asked.kind!r} of measurement; give one of {known}.")
        return asked.kind
    found = kind_of(place)
    if found is None:
        raise BadSource(
            f"{place} is nothing measured that is known here; give the folder or file of one of "
            f"{known}, and kind= or --kind where its files have other names."
        )
    return found


def _check_options(kind: str, asked: MeasuredAs) -> None:
    default = MeasuredAs()
    for field in fields(asked):
        name = field.name
        if name in _COMMON | _USED_BY[kind] or getattr(asked, name) == getattr(default, name):
            continue
        users = " or ".join(k for k in READ if name in _USED_BY[k])
        raise BadSource(
            f"{name}= or {_flag(name)} means nothing for {kind}; leave it out (it is of {users})."
        )
    diameter_um = asked.spot_diameter_um
    if diameter_um is not None and not 0 < diameter_um < WIDEST_SPOT_UM:
        raise BadSource(
            f"The diameter of spots was given as {diameter_um:g} µm, but one above 0 and below "
            f"{WIDEST_SPOT_UM:g} µm was expected; correct spot_diameter_um= or --spot-diameter."
        )
    ways = [n for n in ("affine", "landmarks") if getattr(asked, n) is not None]
    if len(ways) > 1:
        raise BadSource(
            "An affine map and landmarks were given, but rows are placed by one of them; leave "
            "--affine or --landmarks out."
        )


def _flag(name: str) -> str:
    """The option of a field on the command line."""
    return f"--{name.removesuffix('_um').replace('_', '-')}"


def _read(kind: str, place: Path, image: Path, asked: MeasuredAs) -> MeasuredSection:
    to_be_placed = asked.to_be_placed or asked.affine is not None or asked.landmarks is not None
    if kind == "xenium":
        return _xenium(place if place.is_dir() else place.parent, image, asked, to_be_placed)
    if kind == "visium":
        return _visium(place, image, asked, to_be_placed)
    if kind == "st":
        return _st(place, image, asked, to_be_placed)
    if kind == "spatialdata":
        return read_spatialdata(
            place,
            image,
            asked.mpp,
            section=asked.section,
            unit=asked.unit,
            layer=asked.layer,
            genes=asked.genes,
            ids=asked.ids,
            types=asked.types,
            patient=asked.patient,
            spot_diameter_um=asked.spot_diameter_um,
            bin_um=asked.bin_um,
            to_be_placed=to_be_placed,
        )
    if asked.unit is None:
        raise BadSource(
            f"{place.name} does not tell the unit of its positions; give unit=um or --unit um for "
            "µm of the H&E, or px for its pixels."
        )
    return read_anndata(
        place,
        image,
        asked.mpp,
        unit=asked.unit,
        x=asked.x,
        y=asked.y,
        layer=asked.layer,
        genes=asked.genes,
        ids=asked.ids,
        types=asked.types,
        patient=asked.patient,
        spot_diameter_um=asked.spot_diameter_um,
    )


def _xenium(run: Path, image: Path, asked: MeasuredAs, to_be_placed: bool) -> MeasuredSection:
    own = xenium_picture(run)
    is_aligned = asked.alignment is not None or has_alignment(run)
    if to_be_placed and not (is_aligned and (own is None or _same_size(image, picture_size(own)))):
        return read_unaligned_xenium(run, image, patient=asked.patient, mpp=asked.mpp)
    if not is_aligned:
        raise BadSource(
            f"{run.name} has no alignment of its H&E (*_imagealignment.csv of Xenium Explorer); "
            "give it with --alignment, or place the cells with --affine or --landmarks."
        )
    if own is not None and asked.alignment is None:
        _check_size(image, picture_size(own), own.name, "the alignment is of")
    return read_xenium(
        run, image=image, alignment=asked.alignment, patient=asked.patient, mpp=asked.mpp
    )


def _visium(place: Path, image: Path, asked: MeasuredAs, to_be_placed: bool) -> MeasuredSection:
    size = fullres_size(place)
    if size is not None and not to_be_placed:
        _check_size(image, size, "the picture that Space Ranger was run on", "the spots lie in")
    given = asked.mpp
    is_other = size is not None and not _same_size(image, size)
    section = read_visium(
        place,
        image=image,
        patient=asked.patient,
        mpp=None if is_other else given,
        bin_um=asked.bin_um,
    )
    return _on_another(section, image, given) if is_other else section


def _on_another(section: MeasuredSection, image: Path, mpp: float | None) -> MeasuredSection:
    """A section that a map will lead onto a picture other than that of its positions."""
    settled, notes = settled_mpp(image, mpp, None, "")
    told = tuple(note for note in section.notes if not note.startswith(image.name))
    return replace(section, image=image, mpp=settled, notes=told + notes)


def _same_size(image: Path, wanted: tuple[float, float]) -> bool:
    size = picture_size(image)
    return all(abs(a / b - 1) <= SIZES_AGREE for a, b in zip(size, wanted, strict=True))


def _check_size(image: Path, wanted: tuple[float, float], name: str, role: str) -> None:
    """A picture of another size is another one, or another resolution of it."""
    if _same_size(image, wanted):
        return
    width_px, height_px = picture_size(image)
    raise BadPairing(
        f"{image.name} is {width_px} x {height_px} px, but {role} pixels of {name}, "
        f"{wanted[0]:.0f} x {wanted[1]:.0f} px; open that one, or place the rows with --landmarks "
        "or --affine."
    )


def _st(place: Path, image: Path, asked: MeasuredAs, to_be_placed: bool) -> MeasuredSection:
    folder = place if place.is_dir() else place.parent
    name = asked.section or _section_of(place, image)
    diameter_um = asked.spot_diameter_um or DIAMETER_UM["ST"]
    own = own_picture(folder, name)
    if to_be_placed and own is not None and picture_size(own) != picture_size(image):
        section = read_st(folder, name, asked.patient, spot_diameter_um=diameter_um)
        return _on_another(section, image, asked.mpp)
    return read_st(
        folder, name, asked.patient, asked.mpp, image=image, spot_diameter_um=diameter_um
    )


def _section_of(place: Path, image: Path) -> str:
    """The section that a table is of, or that of a folder whose picture lies open."""
    if not place.is_dir():
        name = section_of_file(place)
        if name is None:
            raise BadSource(
                f"{place.name} is no table of an ST section; give X_selection.tsv, X.tsv.gz or the "
                "folder with both."
            )
        return name
    names = section_names(place)
    open_one = [n for n in names if (own := own_picture(place, n)) and own.samefile(image)]
    candidates = open_one or names
    if len(candidates) != 1:
        there = ", ".join(names[:12]) or "none"
        raise BadSource(
            f"{place.name} holds {len(names)} sections ({there}); say which lies open with "
            "section= or --section."
        )
    return candidates[0]
