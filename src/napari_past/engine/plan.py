"""What a run will do: which tiles, with which model and detector, under which key."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import shapely

from napari_past.cells import (
    DEFAULT_DETECTOR,
    Detector,
    IhcDetector,
    InstanSegDetector,
    area_within,
    get_detector,
    tiles_to_search,
)
from napari_past.engine import measured
from napari_past.engine.measured import Assay, MeasuredStain, assay_of
from napari_past.errors import PastError, RegionError
from napari_past.model import EncoderCard
from napari_past.slide import Slide
from napari_past.types import Rect, Region, SlideRef, TileSpec

DEVICES = ("auto", "cpu", "cuda")
TILE_PX = 512
CROP_TILE_UM = 64.0
"""About the side of a tile whose cells are encoded crop by crop."""
STORE_SCHEMA = 1


@dataclass(frozen=True)
class ModelRef:
    """What a worker needs to load the same model."""

    path: str
    sha256: str
    device: str = "auto"
    name: str = ""
    crops: bool = False
    """Whether it encodes crop by crop, so that a tile can be left half done."""
    reach_um: float = 0.0
    """How far around a tile cells must be known, too."""


@dataclass(frozen=True)
class StoreKey:
    """All that stored results depend on. Two runs with equal keys may share tiles."""

    fingerprint: str
    series: str
    slide_mpp: float
    model_sha256: str
    encoder_mpp: float
    detector: str
    tile_px: int = TILE_PX
    schema: int = STORE_SCHEMA

    @property
    def digest(self) -> str:
        """32 hex digits that name the key's folder."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Plan:
    """A run over some tiles of one slide."""

    slide: SlideRef
    slide_name: str
    slide_size_px: tuple[int, int]
    """(width, height) of level 0."""
    model: ModelRef | MeasuredStain
    """A measured stain is its own reference: all of it travels."""
    detector: Detector
    key: StoreKey
    tiles: tuple[TileSpec, ...]
    slide_tiles: int
    """Tiles of the whole slide that hold tissue, of which `tiles` are some or all."""
    area: Rect
    """Cells outside of it are left out, though their tile is computed whole."""
    regions: tuple[Region, ...] = ()
    """Ignore* wins; where others are given too, only cells inside one of those count."""
    threads: int = 1
    """CPU threads of torch for each tile, whatever the number of tiles at once: with it fixed, two
    runs on the same device give the same bytes."""

    def detector_for(self, tile: TileSpec) -> Detector:
        """What of the detector a worker needs for one tile."""
        return self.detector.narrowed(tile.rect.grown(self.model.reach_um))


def make_plan(
    slide: Slide,
    model: str | Assay | None = None,
    detector: str | Detector | None = None,
    region: Rect | tuple[float, float, float, float] | None = None,
    regions: Sequence[Region] = (),
    device: str = "auto",
) -> Plan:
    """Tiles of the global grid that hold tissue and touch the region.

    Parameters
    ----------
    slide
        With a µm/px.
    model, detector
        Names, paths or loaded ones; None takes the default ones. A detector for real IHC has the
        stain measured and leaves the model out; a measured stain alone has nuclei of both colours
        found.
    region
        (x, y, width, height) in µm, or None for the whole slide.
    regions
        Areas to which the run is limited; cells in those with an Ignore role are left out.
    device
        "cpu" or "cuda"; "auto" for that of a loaded model, else a CUDA GPU where there is one.

    Raises
    ------
    MissingPixelSize, RegionError, UnknownModel, BadModel, UnknownDetector
    PastError
        No such device; a model and a detector for real IHC.
    """
    if device not in DEVICES:
        raise PastError(f"There is no device {device!r}; use one of {', '.join(DEVICES)}.")
    slide_mpp = slide.require_mpp()
    chosen = get_detector(detector) if isinstance(detector, str) else detector
    loaded = assay_of(model, chosen, device)
    area_within(slide, region)  # a mistake is told before the slide is read
    if chosen is None:
        stained = isinstance(loaded, MeasuredStain)
        chosen = IhcDetector() if stained else get_detector(DEFAULT_DETECTOR)
    if isinstance(chosen, InstanSegDetector):
        chosen = replace(chosen, device=device)
    fitted = chosen.fitted(slide)
    if isinstance(loaded, MeasuredStain):
        loaded = loaded.fitted(slide)
    side_px, mpp = _tile_grid(loaded)
    key = StoreKey(
        slide.fingerprint,
        repr(slide.ref.series),
        slide_mpp,
        loaded.sha256,
        mpp,
        fitted.identity(),
        side_px,
    )
    tiles = tiles_to_search(slide, slide.bounds, side_px * mpp, fitted)
    whole = Plan(
        slide=replace(slide.ref, fingerprint=slide.fingerprint),
        slide_name=slide.name,
        slide_size_px=(slide.levels[0].width_px, slide.levels[0].height_px),
        model=_reference(loaded, device),
        detector=fitted,
        key=key,
        tiles=tiles,
        slide_tiles=len(tiles),
        area=slide.bounds,
    )
    return part_of(whole, slide, region, regions)


def _reference(assay: Assay, device: str) -> ModelRef | MeasuredStain:
    if isinstance(assay, MeasuredStain):
        return assay
    return ModelRef(
        assay.path,
        assay.sha256,
        assay.device if device == "auto" else device,
        assay.name,
        assay.card.encoder.mode == "crop",
    )


def _tile_grid(assay: Assay) -> tuple[int, float]:
    """Side of a tile in pixels, and their size in µm."""
    if isinstance(assay, MeasuredStain):
        return measured.TILE_PX, measured.MPP
    return tile_px(assay.card.encoder), assay.card.encoder.mpp


def tile_px(encoder: EncoderCard) -> int:
    """Side of a tile on the encoder's grid, a power of two.

    A dense tower sees the halo of every tile again, so its tiles are large. Crops are encoded one
    by one: small tiles cost the detector's halo alone, and where a cell takes a second they show
    some within the minute.
    """
    if encoder.mode == "dense":
        return TILE_PX
    return min(TILE_PX, int(2 ** round(math.log2(CROP_TILE_UM / encoder.mpp))))


def part_of(
    plan: Plan,
    slide: Slide,
    region: Rect | tuple[float, float, float, float] | None = None,
    regions: Sequence[Region] = (),
) -> Plan:
    """The part of a whole slide's plan that touches a region; nothing is estimated again.

    Arguments and errors are those of `make_plan`.
    """
    area = area_within(slide, region)
    wanted = tuple(r for r in regions if not r.ignored)
    if wanted and not any(r.bounds.intersects(area) for r in wanted):
        raise RegionError(
            f"None of the {len(wanted)} regions touches {slide.name}; check that they were drawn "
            f"on this slide and in its pixels."
        )
    tiles = tuple(
        tile
        for tile in plan.tiles
        if tile.rect.intersects(area)
        and (not wanted or any(_touches(r, tile.rect) for r in wanted))
    )
    return replace(plan, tiles=tiles, area=area, regions=tuple(regions))


def _touches(region: Region, rect: Rect) -> bool:
    box = shapely.box(rect.x_um, rect.y_um, rect.x1_um, rect.y1_um)
    return bool(region.polygon_um.intersects(box))
