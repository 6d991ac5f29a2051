"""SHA-256 of what a section was made from and of the files that it became."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.cells import get_detector
from napari_past.files import file_sha256
from napari_past.spatial.section import MeasuredSection
from past_training.dataset.schema import RECORD, SCHEMA_VERSION, PrepareConfig


def source_sha256(
    section: MeasuredSection, fingerprint: str, config: PrepareConfig, gene_index: npt.NDArray
) -> str:
    """64 hex digits that change with anything that the section's files depend on.

    Parameters
    ----------
    fingerprint
        Of the section's picture.
    gene_index
        Place of the section's genes among the dataset's.
    """
    detector = get_detector(config.detector).identity()
    facts = {
        "schema": SCHEMA_VERSION,
        "config": config.model_dump(),
        "detector": detector,
        "name": section.name,
        "facts": [section.patient, section.species, section.tissue, section.technology],
        "fingerprint": fingerprint,
        "mpp": section.mpp,
        "spot_diameter_um": section.spot_diameter_um,
        "ids": section.ids,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    counts = section.counts
    neighbours = section.neighbours or (None, None)
    for array in (
        section.centers_um, counts.data, counts.indices, counts.indptr, gene_index,
        section.tokens, section.nuclei_um, *neighbours,
    ):  # fmt: skip
        if array is None:
            digest.update(b"none")
        else:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below `folder` but its record, by relative path, sorted."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: file_sha256(folder / name) for name in files if name != RECORD}
