"""A cohort made ready: every slide encoded once, summarised, and written down as it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pydantic

from napari_past.engine import Workers
from napari_past.engine.cache import LIMIT, cache_limit_bytes
from napari_past.errors import Cancelled, PastError
from napari_past.files import atomic_write
from napari_past.model import Model
from past_training.dataset.lock import only_writer
from past_training.slide_level.bags.choices import Choices, Watch
from past_training.slide_level.bags.common_model import common_model, seen_in_training
from past_training.slide_level.bags.folder import BAGS, JOURNAL, check_folder, make_folders
from past_training.slide_level.bags.look import Seen, looked_at
from past_training.slide_level.bags.manifest import Entry, InStore
from past_training.slide_level.bags.prepared import ModelIdentity, Prepared
from past_training.slide_level.bags.read_prepared import bag_of, read_prepared
from past_training.slide_level.bags.slide_entry import slide_entry
from past_training.slide_level.bags.summaries import Reading
from past_training.slide_level.bags.write_prepared import write_prepared
from past_training.slide_level.cohort.cohort import Cohort
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.table import counted
from past_training.slide_level.cohort.whose import check_whose


def prepare(
    cohort: Cohort,
    out: Path,
    choices: Choices | None = None,
    watch: Watch | None = None,
    workers: Workers | None = None,
    root: Path | None = None,
) -> Prepared:
    """Encode what is not encoded yet, summarise, write; interrupted, the same call goes on.

    Parameters
    ----------
    out
        A folder, new or of a cohort that was prepared, or begun, before.
    workers
        Where tiles are encoded; None for this process.
    root
        Of the cache; None for the user's.

    Raises
    ------
    BadCohort
        No slides, slides of two patients that are one, vectors of several models, no cells.
    Cancelled, CannotWrite, SlideError, WorkerFailed
    """
    chosen, told = choices or Choices(), watch or Watch()
    check_folder(out)
    cohort.require_slides()
    seen = looked_at(cohort.slides, told.on_look)
    notes = check_whose([one.slide for one in seen], [one.thumbprint for one in seen])
    model, about_model = common_model(seen, *_identity(chosen.reading.model, seen))
    if chosen.reading.model is not None:
        about_model += seen_in_training(seen, chosen.reading.model)
    with only_writer(out):
        make_folders(out)
        entries: dict[str, Entry] = {}
        stored_bytes = 0
        for done, one in enumerate(seen):
            if told.cancelled():
                raise Cancelled(f"cancelled after {done} of {len(seen)} slides.")
            told.on_slide(done, one.slide)
            key = hashlib.sha256(f"{one.content}\n{chosen.told}".encode()).hexdigest()[:32]
            entry = _found(out, key, one, model.embed_dim, root)
            if entry is None:
                entry = slide_entry(one, out / BAGS, key, chosen, told, workers, root)
                _write_entry(out, key, entry)
            _check_not_twice(entry, entries)
            entries[key] = entry
            if isinstance(entry.slide.vectors, InStore):
                files = entry.slide.vectors
                bag = files.bag(one.slide.name, model.embed_dim, out / BAGS, root)
                stored_bytes += bag.stored_bytes
        slides = tuple(one.slide for one in seen)
        write_prepared(
            out,
            replace(cohort, slides=slides),
            model,
            entries,
            instances=chosen.instances,
            tile_um=chosen.tile_um if chosen.instances == "tiles" else None,
            classifier=_classifier(chosen.reading),
            notes=[*notes, *about_model, *_unreadable(entries), *_room(stored_bytes)],
        )
    return read_prepared(out, root)


def _check_not_twice(entry: Entry, entries: Mapping[str, Entry]) -> None:
    """Tables that do not tell their slide are known by their cells."""
    for other in entries.values():
        if other.slide.digest == entry.slide.digest:
            raise BadCohort(
                f"{entry.slide.name} of the patient {entry.slide.patient} holds the same cells as "
                f"{other.slide.name} of the patient {other.slide.patient}; remove a row, so that "
                f"they count once, and for one patient."
            )


def _identity(
    model: Model | None, seen: Sequence[Seen]
) -> tuple[ModelIdentity | None, tuple[str, ...]]:
    if model is None:
        assert all(one.model is not None for one in seen), "pictures need a model"
        return None, ()
    return ModelIdentity(model.name, model.sha256, model.embed_dim), model.known_sha256


def _found(out: Path, key: str, one: Seen, dim: int, root: Path | None) -> Entry | None:
    """A slide that was done before, all of it, and whose vectors are still there."""
    try:
        entry = Entry.model_validate_json((out / JOURNAL / f"{key}.json").read_bytes())
        # Its row may say another patient or place by now.
        record = entry.slide.model_copy(
            update={"name": one.slide.name, "place": one.slide.place, "patient": one.slide.patient}
        )
        bag_of(record, out / BAGS, dim, root)
    except (OSError, pydantic.ValidationError, PastError):
        return None
    # Tiles that could not be read are tried again: a disk may answer by now.
    return None if record.unreadable_tiles else entry.model_copy(update={"slide": record})


def _write_entry(out: Path, key: str, entry: Entry) -> None:
    with atomic_write(out / JOURNAL / f"{key}.json") as unfinished:
        unfinished.write_text(entry.model_dump_json(by_alias=True), encoding="utf-8")


def _classifier(reading: Reading) -> str:
    one = reading.classifier
    return "" if one is None else f"{one.card.name} {one.sha256}"


def _unreadable(entries: dict[str, Entry]) -> list[str]:
    faulty = [entry.slide for entry in entries.values() if entry.slide.unreadable_tiles]
    return [
        f"{s.name}: {counted(s.unreadable_tiles, 'tile')} could not be read: cells are missing."
        for s in faulty
    ]


def _room(stored_bytes: int) -> list[str]:
    """A note where the cache may drop cells before they are used."""
    limit = cache_limit_bytes()
    if stored_bytes <= limit:
        return []
    return [
        f"The slides' cells take {stored_bytes / 1e9:.1f} GB of the cache, which is limited to "
        f"{limit / 1e9:g} GB ({LIMIT}), so some will be removed; raise the limit, or use --copy "
        f"or --instances tiles."
    ]
