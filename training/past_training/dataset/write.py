"""One measured section, cut into patches on disk. A kill loses the shard in hand and no other.

1. Rows are put in the order of their patches (`placement`).
2. Shard by shard: pixels are read and written, nuclei assigned, both noted in a `journal`.
3. Counts, rows and neighbours are written; every file gets its checksum; the folder gets its name.

The same section and settings give the same bytes, interrupted or not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydantic
from scipy.sparse import csr_array

from napari_past import __version__
from napari_past.errors import Cancelled, CannotWrite
from napari_past.slide import Slide
from napari_past.slide.thumbprint import thumbprint
from napari_past.spatial.membership import nucleus_places_um
from napari_past.spatial.picture import open_picture, picture_fingerprint
from napari_past.spatial.section import MeasuredSection
from napari_past.types import PixelGrid
from past_training.dataset.arrays import open_patches, patches_file, write_array
from past_training.dataset.checksums import checksums, source_sha256
from past_training.dataset.journal import Journal, ShardNuclei
from past_training.dataset.neighbours import near_rows, reordered
from past_training.dataset.nuclei import RowNuclei, row_nuclei
from past_training.dataset.pixels import patches_at
from past_training.dataset.placement import IntArray, Placement, placed
from past_training.dataset.schema import (
    RECORD,
    SECTIONS,
    BadDataset,
    MadeBy,
    PrepareConfig,
    SectionRecord,
    checked_section_name,
)


@dataclass(frozen=True)
class Progress:
    """How far a section is."""

    section: str
    done: int
    """Rows whose patches are on disk."""
    kept: int
    """Of those, how many an earlier run had made."""
    total: int


OnProgress = Callable[[Progress], None]


def write_section(
    folder: Path,
    section: MeasuredSection,
    config: PrepareConfig,
    genes: Mapping[str, int],
    on_progress: OnProgress = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    source: str = "python",
) -> SectionRecord:
    """Write one section of the dataset at `folder`, or what is missing of it.

    A section that is whole, made from the same things and as its checksums say is not made again.

    Parameters
    ----------
    genes
        Place of each gene among the dataset's; holds all of the section's.
    source
        Kind of source, for the record.

    Raises
    ------
    BadDataset
        The name cannot be a folder's or belongs to a section made from other data; there is no row;
        or patches are too small for the spots.
    SlideError
        The picture cannot be read.
    CannotWrite
        The disk is full or read-only; whole shards are kept.
    Cancelled
        `cancelled` said so between two shards; whole shards are kept.
    """
    name = checked_section_name(section.name)
    _check_fits(section, config)
    target, partial = folder / SECTIONS / f"{name}.zarr", folder / SECTIONS / f"{name}.partial"
    gene_index = np.array([genes[gene] for gene in section.genes], np.int32)
    with open_picture(section.image, section.mpp) as slide, writable(folder):
        fingerprint = picture_fingerprint(section.image, slide)
        digest = source_sha256(section, fingerprint, config, gene_index)
        rows = len(section.ids)
        record = _whole(target, digest)
        if record is not None:
            on_progress(Progress(name, rows, rows, rows))
            return record
        single = section.spot_diameter_um is None
        places_um = nucleus_places_um(section) if single else section.centers_um
        placement = placed(places_um, config)
        row_um = section.centers_um[placement.row_order]
        journal = Journal(partial, digest, len(placement), config)
        nuclei_of = row_nuclei(section, row_um, placement.row_order, slide, config.detector)
        shards: list[ShardNuclei] = []
        for progress, shard in _shards(journal, placement, nuclei_of, slide, config, name):
            shards.append(shard)
            on_progress(progress)
            if cancelled():
                raise Cancelled(
                    f"Cancelled within section {name}; the same command goes on from "
                    f"{progress.done} of {rows} rows."
                )
        _write_nuclei(partial, placement, shards, config)
        _write_counts(partial, section, placement.row_order, gene_index)
        has_neighbours = _write_rows(partial, section, placement.row_order, row_um, config)
        journal.close()
        record = SectionRecord(
            name=name,
            patient=section.patient,
            species=section.species,
            tissue=section.tissue,
            technology=section.technology,
            spot_diameter_um=section.spot_diameter_um,
            mpp=section.mpp,
            fingerprint=fingerprint,
            thumbprint=thumbprint(slide),
            background=slide.background,
            rows=rows,
            nuclei=sum(len(shard.row) for shard in shards),
            patches=len(placement),
            genes=len(section.genes),
            has_tokens=section.tokens is not None,
            has_neighbours=has_neighbours,
            filled=tuple(int((shard.counts > 0).sum()) for shard in shards),
            source_sha256=digest,
            made_by=MadeBy(version=__version__, source=source),
            checksums=checksums(partial),
        )
        (partial / RECORD).write_bytes(record.as_json())
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    return record


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Within it, what the system says against writing is told as `CannotWrite`."""
    try:
        yield
    except OSError as exc:
        raise CannotWrite(
            f"The dataset {folder} cannot be written ({exc.strerror or exc}); free some space or "
            f"make the folder writable, and give the same command again: whole shards are kept."
        ) from exc


def _check_fits(section: MeasuredSection, config: PrepareConfig) -> None:
    if not section.ids:
        raise BadDataset(f"Section {section.name} has no rows; leave it out.")
    if section.spot_diameter_um is None:
        return
    spot_px = section.spot_diameter_um / config.mpp
    spot = f"Spots of {section.spot_diameter_um:g} µm (section {section.name})"
    if config.mode == "crops" and config.patch_px < spot_px + 1:
        raise BadDataset(
            f"{spot} do not fit into patches of {config.patch_px} px at {config.mpp:g} µm/px; give "
            f"a patch of at least {int(np.ceil(spot_px)) + 1} px (--patch-px)."
        )
    if config.mode == "regions" and config.halo_px < spot_px / 2 + 1:
        raise BadDataset(
            f"{spot} need a halo of at least {int(np.ceil(spot_px / 2)) + 1} px at "
            f"{config.mpp:g} µm/px, but it is {config.halo_px} px: set halo_px (--halo-px), or "
            f"prepare crops."
        )


def _whole(target: Path, digest: str) -> SectionRecord | None:
    """The record of a section that is there, or None where there is none or it is damaged."""
    try:
        text = (target / RECORD).read_text(encoding="utf-8")
        record = SectionRecord.model_validate_json(text)
    except (FileNotFoundError, pydantic.ValidationError):
        return None
    if record.source_sha256 != digest:
        # Two runs of a machine often have folders of one name: neither may replace the other.
        raise BadDataset(
            f"The dataset has a section {record.name} already, which was made from other data; "
            f"give this one another name (--name), or start the dataset over (--force)."
        )
    return record if record.checksums == checksums(target) else None


def _shards(
    journal: Journal,
    placement: Placement,
    nuclei_of: RowNuclei,
    slide: Slide,
    config: PrepareConfig,
    name: str,
) -> Iterator[tuple[Progress, ShardNuclei]]:
    patches = open_patches(journal.folder)
    size, kept = config.patches_in_shard, 0
    total = int(placement.row_start[-1])
    for shard, first in enumerate(range(0, len(placement), size)):
        stop = min(first + size, len(placement))
        row0, row1 = placement.row_start[[first, stop]].tolist()
        nuclei = journal.read(shard)
        if nuclei is not None:
            kept += row1 - row0
        else:
            # A shard is written over what is there of it, if only a part of it is.
            patches_file(journal.folder, shard).unlink(missing_ok=True)
            corners = placement.corner_px[first:stop]
            patches[first:stop] = patches_at(slide, corners, config.patch_px, config.mpp)
            nuclei = _in_patches(*nuclei_of(row0, row1), placement, first, stop, config.mpp)
            journal.write(shard, nuclei)
        yield Progress(name, row1, kept, total), nuclei


def _in_patches(
    centers_um: npt.NDArray[np.float64],
    rows: IntArray,
    placement: Placement,
    first: int,
    stop: int,
    mpp: float,
) -> ShardNuclei:
    patch = np.searchsorted(placement.row_start, rows, side="right") - 1
    yx_px = PixelGrid(0.0, 0.0, mpp).to_px(centers_um) - placement.corner_px[patch][:, ::-1]
    counts = np.bincount(patch - first, minlength=stop - first)
    return ShardNuclei(yx_px.astype(np.float32), rows, counts.astype(np.int64))


def _write_nuclei(
    folder: Path, placement: Placement, shards: list[ShardNuclei], config: PrepareConfig
) -> None:
    counts = np.concatenate([shard.counts for shard in shards])
    write_array(folder, "patch_um", placement.corner_px * config.mpp)
    write_array(folder, "row_start", placement.row_start)
    write_array(folder, "nuclei_start", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    write_array(folder, "nuclei_yx", np.concatenate([shard.yx_px for shard in shards]))
    write_array(folder, "nuclei_row", np.concatenate([shard.row for shard in shards]))


def _write_counts(
    folder: Path, section: MeasuredSection, order: IntArray, gene_index: npt.NDArray[np.int32]
) -> None:
    counts = section.counts[order]
    counts.sum_duplicates()
    counts.eliminate_zeros()
    total = np.asarray(counts.sum(axis=1, dtype=np.float64)).reshape(-1)
    # Genes have another order in the dataset, and within a row they are to ascend.
    indices = gene_index[counts.indices] if len(gene_index) else np.zeros(0, np.int32)
    shape = (len(order), int(gene_index.max(initial=0)) + 1)
    counts = csr_array((counts.data, indices, counts.indptr), shape=shape)
    counts.sort_indices()
    write_array(folder, "counts_start", counts.indptr.astype(np.int64))
    write_array(folder, "counts_indices", counts.indices.astype(np.int32))
    write_array(folder, "counts_data", counts.data.astype(np.float32))
    write_array(folder, "counts_total", total.astype(np.float32))
    write_array(folder, "gene_index", np.sort(gene_index))


def _write_rows(
    folder: Path,
    section: MeasuredSection,
    order: IntArray,
    row_um: npt.NDArray[np.float64],
    config: PrepareConfig,
) -> bool:
    """Place, name, tokens and neighbours of the rows; whether there are neighbours."""
    write_array(folder, "row_um", row_um)
    write_array(folder, "row_id", np.array(section.ids, dtype=object)[order])
    if section.tokens is not None:
        write_array(folder, "tokens", section.tokens[order].astype(np.int64))
    if section.neighbours is not None:
        start, index = reordered(section.neighbours, order)
    elif section.spot_diameter_um is None:
        start, index = near_rows(row_um, config.neighbour_radius_um)
    else:
        return False
    write_array(folder, "neighbour_start", start)
    write_array(folder, "neighbour_index", index)
    return True
