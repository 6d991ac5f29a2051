"""A paired dataset that is opened: nothing is read until it is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pydantic
import zarr
from scipy.sparse import csr_array

from past_training.dataset.arrays import PATCHES
from past_training.dataset.place import Place, place_of
from past_training.dataset.schema import (
    INFO,
    RECORD,
    SCHEMA_VERSION,
    BadDataset,
    DatasetInfo,
    SectionRecord,
    first_problem,
)


def open_dataset(path_or_url: str | os.PathLike[str]) -> PairedDataset:
    """A paired dataset in a folder or in object storage.

    Parameters
    ----------
    path_or_url
        A folder ``NAME.past``, or a URL that fsspec opens: ``s3://…``, ``https://…``,
        ``zip://NAME.past::file.zip``.

    Raises
    ------
    BadDataset
        There is none, it cannot be reached, or its ``dataset.json`` is damaged or too new.
    """
    place = place_of(path_or_url)
    try:
        content = place.read(INFO)
    except FileNotFoundError as exc:
        raise BadDataset(
            f"There is no paired dataset at {place.url} (it has no {INFO}); make one with "
            f"past-train prepare."
        ) from exc
    except OSError as exc:
        raise BadDataset(
            f"{place.url} cannot be read ({exc}); check that it can be reached."
        ) from exc
    info = parsed_info(content, place.url)
    return PairedDataset(place, info, info.sections)


def parsed_info(content: bytes, where: str) -> DatasetInfo:
    """What a ``dataset.json`` says; `where` it lies is for the messages.

    Raises
    ------
    BadDataset
        It is damaged, or written by a newer version.
    """
    try:
        info = DatasetInfo.model_validate_json(content)
    except pydantic.ValidationError as exc:
        raise BadDataset(
            f"{where}/{INFO} is damaged or not of this version ({first_problem(exc)}); prepare the "
            f"dataset again."
        ) from exc
    if info.schema_version != SCHEMA_VERSION:
        raise BadDataset(
            f"{where} has schema {info.schema_version}, and this version reads {SCHEMA_VERSION}; "
            f"install the version of napari-past that made it, or prepare it again."
        )
    return info


@dataclass(frozen=True)
class PairedDataset:
    """Sections whose H&E and measured rows belong together; made by `open_dataset`.

    `select` narrows the sections and `with_rows` the rows of one; all else stays, so that a row
    keeps its number.
    """

    place: Place
    info: DatasetInfo
    """As ``dataset.json`` has it, with every section."""
    sections: tuple[SectionRecord, ...]
    """Those that are selected."""
    _seen: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Of sections of which not every row is seen: a byte for each row, 0 or 1."""
    _open: dict[str, SectionArrays] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def mpp(self) -> float:
        """µm/px of the patches."""
        return self.info.mpp

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        return self.info.patch_px

    @property
    def genes(self) -> tuple[str, ...]:
        """Every gene that any section measured; columns of the counts."""
        return self.info.genes

    @property
    def patients(self) -> tuple[str, ...]:
        """Of the selected sections, in their order, each once."""
        return tuple(dict.fromkeys(record.patient for record in self.sections))

    @cached_property
    def common_genes(self) -> tuple[str, ...]:
        """The genes that every selected section measured, in the dataset's order."""
        panels = [set(self.section(record.name).genes) for record in self.sections]
        common = set.intersection(*panels)
        return tuple(gene for gene in self.genes if gene in common)

    def select(
        self, patients: Collection[str] | None = None, sections: Collection[str] | None = None
    ) -> PairedDataset:
        """The same dataset with fewer sections, in its own order.

        Parameters
        ----------
        patients, sections
            Names of which to keep; None keeps all.

        Raises
        ------
        BadDataset
            A name is not there, or nothing is left.
        """
        names = tuple(record.name for record in self.sections)
        self._check_known("section", sections, names)
        self._check_known("patient", patients, self.patients)
        kept = tuple(
            record
            for record in self.sections
            if (patients is None or record.patient in patients)
            and (sections is None or record.name in sections)
        )
        if not kept:
            raise BadDataset(
                f"No section of {self.name} is of these patients and of these names at once; "
                f"select by one of them."
            )
        return replace(self, sections=kept)

    def with_rows(self, rows: Mapping[str, npt.NDArray[np.bool_]]) -> PairedDataset:
        """The same dataset in which fewer rows are seen: by `Batches`, and by all that is fitted.

        Parameters
        ----------
        rows
            Selected section → bool (rows,), False for rows that are not to be seen. What is hidden
            already stays hidden, and sections that are not named stay as they are. `section` gives
            the arrays as they are stored: whoever reads them asks `rows_kept`.

        Raises
        ------
        BadDataset
            A section is not there, its mask is not one of its rows, or none of them is left.
        """
        seen = dict(self._seen)
        self._check_known("section", rows, [record.name for record in self.sections])
        for record in self.sections:
            if record.name not in rows:
                continue
            mask = np.asarray(rows[record.name])
            if mask.dtype != np.bool_ or mask.shape != (record.rows,):
                raise BadDataset(
                    f"The rows to see of section {record.name} are told by {record.rows} values of "
                    f"True or False, but got {mask.dtype} of shape {mask.shape}; give one for each "
                    f"row."
                )
            before = self.rows_kept(record.name)
            mask = mask if before is None else mask & before
            if not mask.any():
                raise BadDataset(
                    f"No row of section {record.name} is left to see; keep some, or leave the "
                    f"section out."
                )
            seen[record.name] = mask.tobytes()
        return replace(self, _seen=seen)

    def rows_kept(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Which rows of a section are seen, bool (rows,); None where all are."""
        return np.frombuffer(self._seen[name], np.bool_) if name in self._seen else None

    def usable_rows(self, name: str) -> npt.NDArray[np.bool_]:
        """Which rows of a selected section are seen and have a nucleus and a count, bool (rows,).

        Raises
        ------
        BadDataset
            There is no such section.
        """
        section = self.section(name)
        usable = np.asarray(section.counts_total[:]) > 0
        usable &= np.bincount(np.asarray(section.nuclei_row[:]), minlength=len(usable)) > 0
        kept = self.rows_kept(name)
        return np.asarray(usable if kept is None else usable & kept)

    def _check_known(self, what: str, wanted: Collection[str] | None, known: Sequence[str]) -> None:
        for one in wanted or ():
            if one not in known:
                raise BadDataset(
                    f"{self.name} has no {what} {one!r}; choose among {', '.join(known)}."
                )

    def section(self, name: str) -> SectionArrays:
        """The arrays of a selected section.

        Raises
        ------
        BadDataset
            There is no such section.
        """
        self._check_known("section", [name], [record.name for record in self.sections])
        if name not in self._open:
            record = next(one for one in self.sections if one.name == name)
            self._open[name] = SectionArrays(self.place, record, self.genes)
        return self._open[name]

    def first_row(self, name: str) -> int:
        """Number of a section's first row among all rows of the dataset, selected or not."""
        first = 0
        for record in self.info.sections:
            if record.name == name:
                return first
            first += record.rows
        raise BadDataset(f"{self.name} has no section {name!r}; look at its sections.")

    def verify(self, on_file: Callable[[str], None] = lambda name: None) -> None:
        """Compare every file of the selected sections with its checksum.

        Parameters
        ----------
        on_file
            Told each file before it is read.

        Raises
        ------
        BadDataset
            A file is missing or differs; the message names the first.
        """
        for record in self.sections:
            own = hashlib.sha256(record.as_json()).hexdigest()
            for name, sha256 in (record.checksums | {RECORD: own}).items():
                path = f"{record.folder}/{name}"
                on_file(path)
                try:
                    found = self.place.sha256(path)
                except FileNotFoundError as exc:
                    raise BadDataset(
                        f"{self.place.url}: {path} is missing; prepare the section again."
                    ) from exc
                if found != sha256:
                    raise BadDataset(
                        f"{self.place.url}: {path} is not what was written (its checksum differs); "
                        f"prepare the section again, or copy the dataset again."
                    )


class SectionArrays:
    """The arrays of one section, opened when first used; see `arrays` for what each holds.

    Slicing reads; ``section.patches[0:8]`` fetches the chunks that hold them and no more.
    """

    def __init__(self, place: Place, record: SectionRecord, genes: tuple[str, ...]) -> None:
        self.record = record
        self._place = place
        self._genes = genes

    def _array(self, name: str) -> zarr.Array:
        return self._place.array(self.record.folder, name)

    @cached_property
    def patches(self) -> zarr.Array:
        """uint8 (p, S, S, 3)."""
        return self._array(PATCHES)

    @cached_property
    def patch_um(self) -> zarr.Array:
        """float64 (p, 2), (x, y) of each patch's outer corner in slide space."""
        return self._array("patch_um")

    @cached_property
    def row_start(self) -> zarr.Array:
        """int64 (p + 1,)."""
        return self._array("row_start")

    @cached_property
    def nuclei_start(self) -> zarr.Array:
        """int64 (p + 1,)."""
        return self._array("nuclei_start")

    @cached_property
    def nuclei_yx(self) -> zarr.Array:
        """float32 (n, 2), px in their patch, pixel centres at integers."""
        return self._array("nuclei_yx")

    @cached_property
    def nuclei_row(self) -> zarr.Array:
        """int64 (n,)."""
        return self._array("nuclei_row")

    @cached_property
    def counts_start(self) -> zarr.Array:
        """int64 (r + 1,)."""
        return self._array("counts_start")

    @cached_property
    def counts_indices(self) -> zarr.Array:
        """int32 (k,), places among the dataset's genes."""
        return self._array("counts_indices")

    @cached_property
    def counts_data(self) -> zarr.Array:
        """float32 (k,), raw counts."""
        return self._array("counts_data")

    @cached_property
    def counts_total(self) -> zarr.Array:
        """float32 (r,), over all genes of the source."""
        return self._array("counts_total")

    @cached_property
    def gene_index(self) -> zarr.Array:
        """int32 (g,), the dataset's genes that were measured here, ascending."""
        return self._array("gene_index")

    @cached_property
    def row_um(self) -> zarr.Array:
        """float64 (r, 2), (x, y) in slide space."""
        return self._array("row_um")

    @cached_property
    def row_id(self) -> zarr.Array:
        """str (r,)."""
        return self._array("row_id")

    @cached_property
    def tokens(self) -> zarr.Array | None:
        """int64 (r, 300), or None where the source has none."""
        return self._array("tokens") if self.record.has_tokens else None

    @cached_property
    def neighbours(self) -> tuple[zarr.Array, zarr.Array] | None:
        """(start (r + 1,), index (m,)), nearest first; None for spots."""
        if not self.record.has_neighbours:
            return None
        return self._array("neighbour_start"), self._array("neighbour_index")

    @property
    def genes(self) -> tuple[str, ...]:
        """Those that were measured here, in the dataset's order."""
        return tuple(self._genes[i] for i in np.asarray(self.gene_index[:]).tolist())

    def counts(self, first: int = 0, stop: int | None = None) -> csr_array:
        """Raw counts of the rows ``first:stop``, float32 (rows, genes of the dataset)."""
        stop = self.record.rows if stop is None else stop
        start: npt.NDArray[np.int64] = np.asarray(self.counts_start[first : stop + 1])
        a, b = int(start[0]), int(start[-1])
        parts = (self.counts_data[a:b], self.counts_indices[a:b], start - a)
        return csr_array(parts, shape=(stop - first, len(self._genes)))
