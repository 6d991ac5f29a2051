"""A folder of a prepared cohort, read again; vectors are read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic

from napari_past.errors import PastError
from napari_past.files import file_sha256
from napari_past.model.strict import first_mistake
from past_training.slide_level.bags.array_bag import mapped_bag
from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.chained import Chained
from past_training.slide_level.bags.copied import copy_files
from past_training.slide_level.bags.folder import BAGS, MANIFEST
from past_training.slide_level.bags.manifest import (
    COVARIATES,
    MEANS,
    RNA,
    SCHEMA_VERSION,
    SUMMARIES,
    TEXT,
    InFiles,
    InStore,
    Manifest,
    SlideRecord,
)
from past_training.slide_level.bags.prepared import ModelIdentity, Prepared, PreparedSlide
from past_training.slide_level.bags.table_bag import TableBag
from past_training.slide_level.cohort.cohort import Cohort, CohortSlide
from past_training.slide_level.cohort.errors import BadCohort

_AGAIN = "give the command `past-train slide prepare` again"


def read_prepared(folder: str | Path, root: Path | None = None) -> Prepared:
    """A cohort with a bag for each patient.

    Parameters
    ----------
    root
        Of the cache where cells are stored; None for the user's.

    Raises
    ------
    BadCohort
        It is no such folder, it is damaged, or a table of cells has changed.
    ClearedCache
        Cells are no longer in the cache.
    """
    place = Path(folder)
    manifest = _manifest(place)
    try:
        covariates = pd.read_parquet(place / COVARIATES)
        by_slide = pd.read_parquet(place / SUMMARIES)
        means = np.load(place / MEANS)
        rna = pd.read_parquet(place / RNA) if (place / RNA).exists() else None
        text = np.load(place / TEXT) if (place / TEXT).exists() else None
    except (OSError, ValueError) as exc:
        raise BadCohort(f"{place} is damaged ({exc}); {_AGAIN}.") from exc
    told = manifest.cohort
    cohort = Cohort(
        name=told.name,
        patients=told.patients,
        slides=tuple(
            CohortSlide(s.name, s.place, s.patient, s.fingerprint, s.mpp) for s in manifest.slides
        ),
        time=None if told.time is None else np.array(told.time, np.float64),
        event=None if told.event is None else np.array(told.event, np.bool_),
        time_unit=told.time_unit,
        covariates=covariates,
        site=told.site,
        fold=told.fold,
        classes=told.classes,
        rna=None if rna is None else rna.to_numpy(np.float32),
        rna_genes=() if rna is None else tuple(map(str, rna.columns)),
        text=text,
        notes=told.notes,
    )
    model = ModelIdentity(**manifest.model.model_dump())
    slides = tuple(PreparedSlide(**_of_slide(s)) for s in manifest.slides)
    summaries, mean_vectors = _of_patients(manifest.slides, told.patients, by_slide, means)
    return Prepared(
        folder=place,
        cohort=cohort,
        model=model,
        instances=manifest.instances,
        tile_um=manifest.tile_um,
        slides=slides,
        bags=_bags(manifest, place, root),
        summaries=summaries,
        mean_vectors=mean_vectors,
        notes=manifest.notes,
    )


def _manifest(place: Path) -> Manifest:
    file = place / MANIFEST
    if not file.is_file():
        raise BadCohort(
            f"{place} is no prepared cohort (it has no {MANIFEST}); make one with `past-train "
            f"slide prepare TABLE --out {place}`, which goes on where it was interrupted."
        )
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except pydantic.ValidationError as exc:
        raise BadCohort(
            f"{file} is damaged or of another version: {first_mistake(exc, 'the file')}; {_AGAIN}."
        ) from exc
    if manifest.schema_version > SCHEMA_VERSION:
        raise BadCohort(
            f"{file} has schema version {manifest.schema_version}, but this version of "
            f"napari-past reads up to {SCHEMA_VERSION}; update napari-past."
        )
    return manifest


def _of_slide(record: SlideRecord) -> dict:
    return record.model_dump(exclude={"vectors"})


def _bags(manifest: Manifest, place: Path, root: Path | None) -> tuple[Bag, ...]:
    of_patient: dict[str, list[Bag]] = {patient: [] for patient in manifest.cohort.patients}
    for record in manifest.slides:
        of_patient[record.patient].append(
            bag_of(record, place / BAGS, manifest.model.embed_dim, root)
        )
    return tuple(Chained(patient, bags) for patient, bags in of_patient.items())


def bag_of(record: SlideRecord, copies: Path, dim: int, root: Path | None) -> Bag:
    """The bag of a slide that was prepared, of which is known that its vectors are there.

    Raises
    ------
    BadCohort, ClearedCache
    """
    bag: Bag
    if isinstance(record.vectors, InStore):
        try:
            stored = record.vectors.bag(record.name, dim, copies, root)
        except (OSError, ValueError) as exc:
            raise BadCohort(f"The cells of {record.name} are gone ({exc}); {_AGAIN}.") from exc
        stored.check_there()
        bag = stored
    elif isinstance(record.vectors, InFiles):
        try:
            bag = mapped_bag(record.name, *copy_files(copies, record.vectors.stem))
        except (OSError, ValueError) as exc:
            raise BadCohort(f"The vectors of {record.name} are gone ({exc}); {_AGAIN}.") from exc
    else:
        try:
            changed = file_sha256(Path(record.place)) != record.vectors.sha256
            if changed:
                raise BadCohort(f"{record.place} has changed since it was prepared; {_AGAIN}.")
            bag = TableBag(record.name, record.place)
        except OSError as exc:
            raise BadCohort(
                f"{record.place} cannot be read any more ({exc.strerror}); put it back, or "
                f"{_AGAIN}."
            ) from exc
    if bag.n != record.instances or (bag.n and bag.dim != dim):
        raise BadCohort(f"{record.name} has other cells than when it was prepared; {_AGAIN}.")
    return bag


def _of_patients(
    slides: Sequence[SlideRecord],
    patients: Sequence[str],
    by_slide: pd.DataFrame,
    means: npt.NDArray[np.float32],
) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
    """Numbers and mean vectors over all cells of a patient: slides weigh as their cells."""
    if len(by_slide) != len(slides) or len(means) != len(slides):
        raise PastError(f"The files of the cohort do not belong together; {_AGAIN}.")
    place = {patient: i for i, patient in enumerate(patients)}
    member = np.zeros((len(patients), len(slides)))
    for j, slide in enumerate(slides):
        member[place[slide.patient], j] = slide.cells
    cells = member.sum(axis=1)
    weight = member / np.maximum(cells[:, None], 1)
    table = pd.DataFrame(
        weight @ by_slide.to_numpy(np.float64),
        index=pd.Index(list(patients), name="patient", dtype=object),
        columns=by_slide.columns,
    )
    table["cells"] = cells
    return table, (weight @ means.astype(np.float64)).astype(np.float32)
