"""Measured sections into one paired dataset, section by section."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from napari_past.files import atomic_write
from napari_past.spatial.checks import check, check_together
from napari_past.spatial.section import MeasuredSection
from past_training.dataset.destination import check_place
from past_training.dataset.lock import only_writer
from past_training.dataset.read import PairedDataset, open_dataset, parsed_info
from past_training.dataset.schema import INFO, BadDataset, DatasetInfo, PrepareConfig
from past_training.dataset.write import OnProgress, writable, write_section


def prepare(
    sections: Iterable[MeasuredSection],
    out: Path,
    config: PrepareConfig,
    on_progress: OnProgress = lambda progress: None,
    *,
    on_warning: Callable[[str], None] = lambda text: None,
    cancelled: Callable[[], bool] = lambda: False,
    source: str = "python",
    force: bool = False,
) -> PairedDataset:
    """A paired dataset at `out` with these sections, beside those that it has already.

    Sections are taken one at a time, so that none but the one in hand is in memory. After a kill
    the same call goes on from the last whole shard.

    Parameters
    ----------
    out
        A folder ``NAME.past``, new or a dataset that was made with the same settings.
    on_warning
        Told what is odd about a section, in a sentence.
    source
        Kind of source, for the records.
    force
        Start over: remove the dataset that is there.

    Raises
    ------
    BadDataset
        `out` is something else or was made with other settings, or has another section of a name.
    BadPairing
        A section's picture and rows do not fit together, or sections do not fit each other.
    CannotWrite
        The disk is full or read-only, or another process is writing it; whole shards are kept.
    Cancelled
        Whole shards are kept.
    """
    check_place(out)
    with only_writer(out):
        info = _begun(out, config, force)
        light: list[MeasuredSection] = []
        told: set[str] = set()
        for section in sections:
            light.append(_without_rows(section))
            for warning in (*check(section), *check_together(light)):
                if warning not in told:
                    on_warning(warning)
                told.add(warning)
            if len(light) == 1:  # what is wrong with the source leaves nothing behind
                _make_ready(out, info, force)
            genes = tuple(dict.fromkeys((*info.genes, *section.genes)))
            places = {gene: k for k, gene in enumerate(genes)}
            record = write_section(out, section, config, places, on_progress, cancelled, source)
            others = {one.name: one for one in info.sections}
            records = tuple((others | {record.name: record}).values())
            info = info.model_copy(update={"genes": genes, "sections": records})
            _write_info(out, info)
    if not info.sections:
        raise BadDataset(f"There was no section to put into {out.name}; give at least one source.")
    return open_dataset(out)


def _begun(out: Path, config: PrepareConfig, force: bool) -> DatasetInfo:
    """What is at `out` already, unless it is to go, or a dataset without sections."""
    there = (out / INFO).is_file()
    if not there and out.exists() and any(out.iterdir()):
        raise BadDataset(f"{out} holds something that is no dataset; give another name.")
    if there and not force:
        info = parsed_info((out / INFO).read_bytes(), str(out))
        _check_same(info, config, out)
        return info
    return DatasetInfo(**config.model_dump(), name=out.stem)


def _make_ready(out: Path, info: DatasetInfo, force: bool) -> None:
    with writable(out):
        if force and out.exists():
            shutil.rmtree(out)
        out.mkdir(exist_ok=True)
        _write_info(out, info)


def _check_same(info: DatasetInfo, config: PrepareConfig, out: Path) -> None:
    for field in PrepareConfig.model_fields:
        old, new = getattr(info, field), getattr(config, field)
        if old != new:
            raise BadDataset(
                f"{out.name} was made with {field} {old}, but this is asked with {new}; give the "
                f"same, another --out, or --force to start it over."
            )


def _write_info(out: Path, info: DatasetInfo) -> None:
    with atomic_write(out / INFO) as unfinished:
        unfinished.write_text(info.model_dump_json(indent=1), encoding="utf-8")


def _without_rows(section: MeasuredSection) -> MeasuredSection:
    """What `check_together` compares, without what takes memory."""
    return dataclasses.replace(
        section,
        ids=(),
        centers_um=np.zeros((0, 2)),
        counts=csr_array((0, len(section.genes)), dtype=np.float32),
        tokens=None,
        neighbours=None,
        nuclei_um=None,
    )
