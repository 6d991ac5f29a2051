"""What a paired dataset says of itself: its settings, its sections, their checksums.

    NAME.past/
        dataset.json                DatasetInfo
        sections/<section>.zarr/    arrays of `ARRAYS`, and record.json (the same SectionRecord)

**Rows** are measured profiles, **nuclei** places in the picture, **patches** the pieces of H&E that
hold nuclei. Patch p owns the nuclei ``nuclei_start[p]:nuclei_start[p + 1]`` and the rows
``row_start[p]:row_start[p + 1]``; a row's nuclei all lie in the patch that owns it, so no batch
ever sees a part of a row. Rows are stored in the order of their patches, which follows the tissue:
what a shard of patches needs lies side by side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal, Self

import pydantic

from napari_past.errors import PastError
from napari_past.model.strict import Strict

SCHEMA_VERSION = 1
INFO = "dataset.json"
RECORD = "record.json"
SECTIONS = "sections"

Mode = Literal["crops", "regions"]

SHARD_BYTES = 2**24
"""Most bytes of pixels in a shard, before compression."""
MIN_PATCH_PX, MAX_PATCH_PX = 16, 2048
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BadDataset(PastError):
    """A paired dataset is missing, unfinished, damaged, or does not fit what is asked of it."""


class PrepareConfig(Strict):
    """How sections are cut."""

    mpp: float = pydantic.Field(0.5, ge=0.02, le=20)
    """µm/px of the patches."""
    patch_px: int = pydantic.Field(224, ge=MIN_PATCH_PX, le=MAX_PATCH_PX)
    """Side of a patch."""
    mode: Mode = "crops"
    """``crops``: a patch for each row, with the row in its centre. ``regions``: the patches of a
    grid over the tissue, each with the rows whose place lies in its core."""
    halo_px: int = pydantic.Field(0, ge=0)
    """Of ``regions``: what a patch shows beyond its core on each side."""
    neighbour_radius_um: float = pydantic.Field(25.0, ge=0)
    """Cells this near are neighbours; spots have none."""
    shard_patches: int | None = pydantic.Field(None, ge=1)
    """Patches in a file; None: as many as make 16 MiB of pixels."""
    detector: str = "stain-log"
    """Finds the nuclei of spots that come without."""

    @pydantic.model_validator(mode="after")
    def _halo_fits(self) -> Self:
        if self.mode == "crops" and self.halo_px:
            raise ValueError("halo_px belongs to regions; crops are centred and have no core")
        if self.mode == "regions" and self.core_px < 1:
            raise ValueError(
                f"a halo of {self.halo_px} px on both sides leaves no core of a patch of "
                f"{self.patch_px} px"
            )
        return self

    @property
    def core_px(self) -> int:
        """Side of the part of a patch that no other patch covers, in ``regions``."""
        return self.patch_px - 2 * self.halo_px

    @property
    def patches_in_shard(self) -> int:
        """`shard_patches`, or what fits into `SHARD_BYTES`: a whole number of `chunk`s."""
        if self.shard_patches is not None:
            return self.shard_patches
        most = max(1, SHARD_BYTES // (3 * self.patch_px**2))
        return 2 ** int(math.log2(most))


class MadeBy(Strict):
    """Where a section came from."""

    version: str
    """Of napari-past."""
    source: str
    """Kind of source: ``xenium``, ``visium`` …"""


class SectionRecord(Strict):
    """One section of a dataset."""

    name: str
    patient: str
    species: str
    tissue: str
    technology: str
    spot_diameter_um: float | None
    """None: rows are single cells."""
    mpp: float
    """µm/px of the picture that was cut."""
    fingerprint: str
    """Of that picture: 64 hex digits that depend on its content alone."""
    thumbprint: str = ""
    """Of that picture, as `napari_past.slide.thumbprint` has it; empty in datasets of earlier
    versions."""
    background: tuple[int, int, int]
    """Red, green, blue of its clear glass."""
    rows: int
    nuclei: int
    patches: int
    genes: int
    """How many were measured."""
    has_tokens: bool
    has_neighbours: bool
    filled: tuple[int, ...]
    """For each shard of patches: how many of them hold a nucleus."""
    source_sha256: str
    """Of all that the section was made from, and how: the same digest, the same files."""
    made_by: MadeBy
    checksums: dict[str, str]
    """SHA-256 of each file below the section's folder, by its path with ``/``."""

    @property
    def folder(self) -> str:
        """Where it lies in the dataset."""
        return f"{SECTIONS}/{self.name}.zarr"

    def as_json(self) -> bytes:
        """What ``record.json`` holds."""
        return self.model_dump_json(indent=1).encode()


class DatasetInfo(PrepareConfig):
    """All of ``dataset.json``: how sections are cut, which genes and sections there are."""

    schema_version: int = SCHEMA_VERSION
    name: str
    genes: tuple[str, ...] = ()
    """Every gene that a section measured, in the order in which they first came."""
    sections: tuple[SectionRecord, ...] = ()

    @property
    def config(self) -> PrepareConfig:
        """The settings alone."""
        return PrepareConfig(**{k: getattr(self, k) for k in PrepareConfig.model_fields})


def checked_section_name(name: str) -> str:
    """`name`, which becomes a folder's name here and a key in object storage.

    Raises
    ------
    BadDataset
        It holds anything but letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise BadDataset(
            f"A section's name is made of letters, digits, '.', '_' and '-', but got {name!r}; "
            f"give another with --name."
        )
    return name


def first_problem(exc: pydantic.ValidationError) -> str:
    """The first field that is wrong, and why, in a few words."""
    first = exc.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{field}: {reason}" if field else reason


def resolution_of(records: Iterable[SectionRecord]) -> str:
    """What rows of these sections are: ``100 µm spots``, ``single cells``, or both."""
    diameters = {record.spot_diameter_um for record in records}
    return " and ".join(
        "single cells" if d is None else f"{d:g} µm spots"
        for d in sorted(diameters, key=lambda d: d or 0)
    )
