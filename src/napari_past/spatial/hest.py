"""A folder of HEST-1k (Jaume et al. 2024, arXiv 2406.16192): ``st``, ``wsis``, ``metadata``.

``st/<id>.h5ad`` holds the counts of spots and their places in pixels of ``wsis/<id>.tif``. Xenium
and Visium HD samples are pooled there into squares; the squares are the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_past.spatial.anndata_slide import matrix_of, opened
from napari_past.spatial.errors import BadSource
from napari_past.spatial.folder import checked_folder, json_object, number, text
from napari_past.spatial.gene_names import checked_species, gene_counts
from napari_past.spatial.lattice import DIAMETER_UM, pitch
from napari_past.spatial.pixel_size import settled_mpp
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection, section_name

TECHNOLOGY = {
    "visium": "Visium",
    "visium hd": "VisiumHD",
    "xenium": "Xenium",
    "spatial transcriptomics": "ST",
}


def read_hest(folder: str | Path, *, ids: Sequence[str] = ()) -> Iterator[MeasuredSection]:
    """The samples of a HEST-1k folder, by id.

    Parameters
    ----------
    ids
        Which, such as TENX95; default: all in ``st``. A download may be partial, but a sample that
        is asked for must be whole.

    Yields
    ------
    MeasuredSection
        Patients are told apart by study: "Patient 1" of two studies are two people. A sample
        without a patient counts as the unknown one of its study.

    Raises
    ------
    BadSource
        A sample lacks a file, or its metadata a technology or positions.
    MissingPixelSize
        Neither the metadata nor the slide states µm/px.
    """
    place = checked_folder(folder, "a HEST-1k folder", ["st", "wsis", "metadata"])
    chosen = list(ids) or sorted(p.stem for p in (place / "st").glob("*.h5ad"))
    if not chosen:
        raise BadSource(f"{place / 'st'} holds no .h5ad file; download samples of HEST-1k first.")
    for sample in chosen:
        yield _section(place, sample)


def _section(place: Path, sample: str) -> MeasuredSection:
    table_path = place / "st" / f"{sample}.h5ad"
    picture = place / "wsis" / f"{sample}.tif"
    about_path = place / "metadata" / f"{sample}.json"
    for path in (table_path, picture, about_path):
        if not path.is_file():
            raise BadSource(
                f"Sample {sample} lacks {path.parent.name}/{path.name} in {place}; download it, or "
                "choose samples with ids=."
            )
    about = json_object(about_path)
    scale, notes = settled_mpp(
        picture, None, number(about, "pixel_size_um_estimated"), "pixel_size_um_estimated"
    )
    table = opened(table_path)
    if "spatial" not in table.obsm or np.shape(table.obsm["spatial"]) != (table.n_obs, 2):
        raise BadSource(
            f'{table_path.name} has no obsm["spatial"] of (spots, 2); download it again.'
        )
    xy_px = np.asarray(table.obsm["spatial"], np.float64)
    stated = text(about, "st_technology")
    technology = TECHNOLOGY.get(stated.casefold())
    if technology is None:
        raise BadSource(
            f"{about_path.name} states the technology {stated!r}, but one of "
            f"{', '.join(TECHNOLOGY)} was expected; correct it or leave the sample out with ids=."
        )
    kind = checked_species(text(about, "species"))
    counts, genes, told = gene_counts(
        matrix_of(table, None, table_path), list(table.var_names), kind
    )
    diameter_um = _diameter_um(about, technology, pitch(xy_px), scale, sample)
    study = text(about, "dataset_title")
    patient = text(about, "patient") or UNKNOWN_PATIENT
    return MeasuredSection(
        name=section_name(sample),
        patient=f"{patient} ({study})" if study else patient,
        species=kind,
        tissue=(text(about, "organ") or text(about, "tissue")).lower(),
        technology=technology,
        image=picture,
        mpp=scale,
        ids=tuple(map(str, table.obs_names)),
        centers_um=(xy_px + 0.5) * scale,
        counts=counts,
        genes=genes,
        spot_diameter_um=diameter_um,
        notes=notes + told,
    )


def _diameter_um(
    about: dict[str, object], technology: str, pitch_px: float | None, mpp: float, sample: str
) -> float:
    """Of a spot; of pooled squares, which touch each other, their side."""
    stated = number(about, "spot_diameter") or DIAMETER_UM.get(technology)
    if stated is not None:
        return stated
    if pitch_px is None:
        raise BadSource(
            f"Sample {sample} has a single row and states no spot_diameter; leave it out with ids=."
        )
    return round(pitch_px * mpp, 1)
