"""One slide of a cohort, from pixels or a table to vectors, numbers and a line of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from napari_past.engine import Store, Workers, make_plan, run_plan, unscored_of
from napari_past.slide import open_slide
from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.choices import Choices, Watch
from past_training.slide_level.bags.copied import write_copy
from past_training.slide_level.bags.kept import kept_cells, write_kept
from past_training.slide_level.bags.look import Seen
from past_training.slide_level.bags.manifest import Entry, InFiles, InStore, InTable, SlideRecord
from past_training.slide_level.bags.stored_bag import StoredBag
from past_training.slide_level.bags.summaries import summarised
from past_training.slide_level.bags.table_bag import TableBag
from past_training.slide_level.bags.tiles import tile_means
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.table import counted


def slide_entry(
    one: Seen,
    folder: Path,
    key: str,
    choices: Choices,
    watch: Watch,
    workers: Workers | None,
    root: Path | None,
) -> Entry:
    """What the journal keeps of a slide, once its cells are encoded and summarised.

    Parameters
    ----------
    folder
        Of the files of bags.
    key
        Names them.

    Raises
    ------
    BadCohort
        No cell is left.
    Cancelled, CannotWrite, SlideError, WorkerFailed
    """
    bag: Bag
    vectors: InStore | InTable | InFiles
    unreadable, left_out = 0, {}
    if one.model is not None:
        table = TableBag(one.slide.name, one.slide.place)
        bag, vectors, left_out = table, InTable(sha256=one.content), table.left_out
    else:
        stored, unreadable, left_out = _encoded(one, choices, watch, workers, root)
        bag, vectors = stored, InStore.of(stored, key)
        write_kept(stored.kept, folder, key)
    if not bag.n:
        raise BadCohort(
            f"{one.slide.name} of the patient {one.slide.patient} has no cell that counts "
            f"({_told(left_out, unreadable)}); check its µm/px and its regions, or remove its row."
        )
    summary = summarised(bag, choices.reading)
    size_um = one.size_um or _extent_um(bag)
    if choices.instances == "tiles":
        bag = tile_means(bag, choices.tile_um)
    if choices.copy or choices.instances == "tiles":
        bag = write_copy(bag, folder, key)
        vectors = InFiles(stem=key)
    return Entry(
        slide=SlideRecord(
            name=one.slide.name,
            place=one.slide.place,
            patient=one.slide.patient,
            fingerprint=one.slide.fingerprint,
            mpp=one.mpp,
            size_um=size_um,
            cells=summary.cells,
            instances=bag.n,
            unreadable_tiles=unreadable,
            left_out=dict(left_out),
            digest=summary.digest,
            vectors=vectors,
        ),
        mean=tuple(summary.mean.tolist()),
        values=summary.values,
    )


def _encoded(
    one: Seen, choices: Choices, watch: Watch, workers: Workers | None, root: Path | None
) -> tuple[StoredBag, int, dict[str, int]]:
    """The cells of a picture in the store; tiles that could not be read; cells left out."""
    model = choices.reading.model
    assert model is not None, "pictures need a model"
    with ExitStack() as stack:
        slide = stack.enter_context(open_slide(one.slide.place, one.slide.mpp))
        plan = make_plan(slide, model, choices.detector, regions=one.regions, device=choices.device)
        store = Store(plan.key, root)
        unreadable = set(run_plan(plan, store, workers, watch.on_tile, watch.cancelled))
        tiles = [tile for tile in plan.tiles if tile not in unreadable]
        kept = kept_cells(plan, store, tiles, unscored_of(slide, cancelled=watch.cancelled))
    bag = StoredBag(one.slide.name, plan.key, tiles, kept.sizes, kept.rows, model.embed_dim, root)
    return bag, len(unreadable), kept.left_out


def _told(left_out: Mapping[str, int], unreadable: int) -> str:
    reasons = [f"{count} {reason}" for reason, count in left_out.items()]
    if unreadable:
        reasons.append(f"{counted(unreadable, 'tile')} could not be read")
    return ", ".join(reasons) or "none was found"


def _extent_um(bag: Bag) -> tuple[float, float]:
    """From the corner to the farthest cell, for a table that does not tell its slide's size."""
    far = np.zeros(2)
    for chunk in bag.chunks():
        far = np.maximum(far, chunk.places_um.max(axis=0, initial=0))
    return float(far[0]), float(far[1])
