"""A folder of a prepared cohort, written: see `manifest`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from napari_past.files import atomic_write
from napari_past.types import RESEARCH_USE
from past_training.slide_level.bags.copied import copy_files
from past_training.slide_level.bags.folder import BAGS, JOURNAL, MANIFEST
from past_training.slide_level.bags.kept import kept_file
from past_training.slide_level.bags.manifest import (
    COVARIATES,
    MEANS,
    RNA,
    SUMMARIES,
    TEXT,
    CohortRecord,
    Entry,
    InFiles,
    InStore,
    Manifest,
    ModelRecord,
)
from past_training.slide_level.bags.prepared import Instances, ModelIdentity
from past_training.slide_level.cohort.cohort import Cohort


def write_prepared(
    out: Path,
    cohort: Cohort,
    model: ModelIdentity,
    entries: dict[str, Entry],
    *,
    instances: Instances,
    tile_um: float | None,
    classifier: str,
    notes: Sequence[str],
) -> None:
    """All files of a cohort whose slides are done; the manifest last, so that it names what is
    there. What belongs to slides that are no longer in the cohort goes.

    Parameters
    ----------
    entries
        By key of the journal, in the order of the cohort's slides.

    Raises
    ------
    CannotWrite
    """
    slides = tuple(entry.slide for entry in entries.values())
    rows = [{"cells": float(e.slide.cells), **e.values} for e in entries.values()]
    index = pd.Index([slide.name for slide in slides], name="slide", dtype=object)
    means = np.array([entry.mean for entry in entries.values()], np.float32)
    summaries = pd.DataFrame(rows, index=index, dtype=np.float64)
    _put(out / SUMMARIES, summaries.to_parquet)
    _put(out / MEANS, lambda path: np.save(path, means))
    _put(out / COVARIATES, cohort.covariates.to_parquet)
    patients = pd.Index(list(cohort.patients), name="patient", dtype=object)
    (out / RNA).unlink(missing_ok=True)
    (out / TEXT).unlink(missing_ok=True)
    if cohort.rna is not None:
        rna = pd.DataFrame(cohort.rna, index=patients, columns=list(cohort.rna_genes))
        _put(out / RNA, rna.to_parquet)
    if cohort.text is not None:
        text = cohort.text
        _put(out / TEXT, lambda path: np.save(path, text))
    manifest = Manifest(
        research_use=RESEARCH_USE,
        versions={"napari-past": version("napari-past")},
        model=ModelRecord(**asdict(model)),
        classifier=classifier,
        instances=instances,
        tile_um=tile_um,
        cohort=CohortRecord(
            name=cohort.name,
            patients=cohort.patients,
            time=None if cohort.time is None else tuple(cohort.time.tolist()),
            event=None if cohort.event is None else tuple(cohort.event.tolist()),
            time_unit=cohort.time_unit,
            site=cohort.site,
            fold=cohort.fold,
            classes=dict(cohort.classes),
            notes=cohort.notes,
        ),
        slides=slides,
        notes=tuple(notes),
    )
    text_of = manifest.model_dump_json(by_alias=True, indent=1)
    _put(out / MANIFEST, lambda path: path.write_text(text_of, encoding="utf-8"))
    kept = {out / JOURNAL / f"{key}.json" for key in entries}
    for slide in slides:
        if isinstance(slide.vectors, InFiles):
            kept.update(copy_files(out / BAGS, slide.vectors.stem))
        elif isinstance(slide.vectors, InStore):
            kept.add(kept_file(out / BAGS, slide.vectors.stem))
    for file in (*(out / JOURNAL).glob("*.json"), *(out / BAGS).glob("*.npy")):
        if file not in kept:
            file.unlink(missing_ok=True)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_write(path) as unfinished:
        write(unfinished)
