"""A heat map for each slide: bags are streamed, and only the sums of squares are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_past.errors import BadTable, Cancelled
from napari_past.io.heat_map import BIN_UM, BinSums, HeatAbout, HeatKind
from napari_past.io.heat_map_file import HEAT_SUFFIX, write_heat_map
from napari_past.slide.place import shown_name, stem_of
from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.prepared import Prepared, PreparedSlide
from past_training.slide_level.fitting import SlideNetwork

_MOST_OUTPUTS = 8
"""That a map has contributions to; of more outputs, such as genes, it has attention alone."""
_SURVIVAL = ("cox", "discrete")


def write_maps(
    network: SlideNetwork,
    prepared: Prepared,
    folder: Path,
    on_slide: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Path, ...]:
    """Write attention and contributions of each slide of a cohort; returns the files.

    Attention sums to 1 over a patient, so the maps of a patient's slides share it. The files hold
    no patient's name.

    Parameters
    ----------
    network
        A fitted one.
    prepared
        The cohort.
    folder
        Where the files go; it exists. A file of the same slide is replaced.
    on_slide
        Told how many slides are written, and of how many.
    cancelled
        Asked between pieces of a bag.

    Raises
    ------
    BadTable
        A slide's content is not known, so that its map could be laid over any slide.
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    Cancelled
        `cancelled` said so; files that are written stay.
    """
    slides = {slide.name: slide for slide in prepared.slides}
    for slide in prepared.slides:
        if not slide.fingerprint:
            raise BadTable(
                f"The table of {shown_name(slide.name)} does not tell its slide's fingerprint, so "
                "no viewer could tell whose map it is; prepare from the slide itself, or from a "
                "table that napari-past run wrote."
            )
    paths = map_paths(prepared.slides, folder)
    written: list[Path] = []
    channels = _channels(network)
    network.require_prepared(prepared)
    for bag in prepared.bags:
        of_bag = [slides[name] for name in bag.slides]
        found = _sums(network, prepared, bag, of_bag, cancelled)
        looked_at = sum(sums.counted for sums in found)
        for slide, sums in zip(of_bag, found, strict=True):
            about = _about(network, prepared, slide, bag, looked_at)
            write_heat_map(paths[slide.name], sums.heat_map(about, channels))
            written.append(paths[slide.name])
            if on_slide is not None:
                on_slide(len(written), len(prepared.slides))
    return tuple(written)


def _outputs(network: SlideNetwork) -> tuple[int | None, ...]:
    """What contributions are told for; None is the mean of hazards' outputs."""
    if network.card.head in _SURVIVAL:
        return (None,)
    n = len(network.output_names)
    # Places in a shared space mean nothing one by one.
    return tuple(range(n)) if n <= _MOST_OUTPUTS and network.card.head != "align" else ()


def _channels(network: SlideNetwork) -> list[tuple[str, HeatKind, str]]:
    attention = ("attention", HeatKind.ATTENTION, "share of the attention")
    return [
        attention,
        *(
            (network.explained_name(k), HeatKind.CONTRIBUTION, network.explained_unit)
            for k in _outputs(network)
        ),
    ]


def _sums(
    network: SlideNetwork,
    prepared: Prepared,
    bag: Bag,
    slides: Sequence[PreparedSlide],
    cancelled: Callable[[], bool],
) -> list[BinSums]:
    """Sums in squares of each slide of a patient, one pass over the bag for each output."""
    outputs = _outputs(network)
    bin_um = prepared.tile_um or BIN_UM
    found = [BinSums(slide.size_um, 1 + len(outputs), bin_um) for slide in slides]
    for k, output in enumerate(outputs or (0,)):
        for chunk in network.explain(bag, output):
            if cancelled():
                raise Cancelled("The heat maps were not all written; those that are stay.")
            for number in np.unique(chunk.slide):
                on_it = chunk.slide == number
                values = {0: chunk.attention[on_it]} if k == 0 else {}
                if outputs:
                    values[1 + k] = chunk.contribution[on_it]
                found[number].add(chunk.places_um[on_it], values, count=k == 0)
    return found


def _about(
    network: SlideNetwork, prepared: Prepared, slide: PreparedSlide, bag: Bag, looked_at: int
) -> HeatAbout:
    card, name = network.card, f"network {network.sha256[:8]}"
    return HeatAbout(
        slide_name=shown_name(slide.name),
        slide_fingerprint=slide.fingerprint,
        slide_size_um=slide.size_um,
        slide_mpp=slide.mpp,
        slides=len(bag.slides),
        tile_um=prepared.tile_um,
        instances=bag.n,
        looked_at=looked_at,
        model=prepared.model.name,
        model_sha256=prepared.model.sha256,
        network=name,
        network_sha256=network.sha256,
        pooling=card.shape.pooling,
        head=card.head,
        fitted_on=f"{name[0].upper()}{name[1:]} was {card.fitted_on}.",
        evidence=f"Evidence: {card.evidence.rstrip('. ')}.",
        in_fit=card.saw(slide.fingerprint),
    )


def map_paths(slides: Sequence[PreparedSlide], folder: Path) -> dict[str, Path]:
    """A file for each slide; slides of one file name are told apart by their content."""
    stems = {slide.name: stem_of(shown_name(slide.name)) for slide in slides}
    times = Counter(stem.lower() for stem in stems.values())
    return {
        slide.name: folder
        / (
            stems[slide.name]
            + (f".{slide.fingerprint[:8]}" if times[stems[slide.name].lower()] > 1 else "")
            + HEAT_SUFFIX
        )
        for slide in slides
    }
