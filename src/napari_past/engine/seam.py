"""The seam: one tile of one slide to the cells in it. Picklable arguments, small results, no Qt."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from napari_past.cells import Detector, GivenCells, cells_in, hematoxylin_od, owned, read_block
from napari_past.engine import measured
from napari_past.engine.measured import MeasuredStain, around_centres
from napari_past.engine.plan import ModelRef
from napari_past.errors import BadModel, Cancelled, DamagedSlide, SlideChanged, WorkerFailed
from napari_past.files import retried
from napari_past.model import Model, load_model
from napari_past.slide import Slide, open_slide
from napari_past.slide.place import local_path
from napari_past.types import (
    FoundCells,
    PixelGrid,
    Rgb,
    SlideRef,
    StainProfile,
    TileResult,
    TileSpec,
)

_opening = threading.Lock()
"""Held while a slide or a model is opened: threads that want the same one wait for it."""


def run_tile(
    slide_ref: SlideRef,
    tile: TileSpec,
    model_ref: ModelRef | MeasuredStain,
    detector: Detector,
    threads: int = 1,
    cancelled: Callable[[], bool] = lambda: False,
    on_cells: Callable[[int], None] = lambda done: None,
) -> TileResult:
    """Find and encode the cells whose centre lies in a tile. May run in several threads at once.

    The slide and the model are opened once for each process and kept. A tile whose pixels cannot be
    decoded comes back empty and marked ``unreadable``. A measured stain needs no model, nor torch.
    Whatever happens to the slide's file in the meantime, all pixels of a tile are of one content,
    that of ``slide_ref.fingerprint`` where it is told.

    Parameters
    ----------
    threads
        CPU threads of torch, as `Plan.threads` has it: their number changes the last bits.
    cancelled, on_cells
        Asked, and told how many cells were encoded, between batches of crops: a large tower on a
        CPU takes minutes for a tile.

    Raises
    ------
    BadModel
        The model file changed since the run was planned.
    SlideChanged
        Another slide lies in the place of the one that was planned for.
    SlideUnreachable
        Its disk or server does not answer.
    Cancelled
    WorkerFailed
        There was not enough memory.
    """

    def between(done: int) -> None:
        on_cells(done)
        if cancelled():
            raise Cancelled(
                "Cancelled in the middle of a tile; finished tiles are kept, and the next run goes "
                "on from there."
            )

    with _opening:
        model = model_ref if isinstance(model_ref, MeasuredStain) else _model(model_ref)
    while True:
        stamp = _stamp(slide_ref)
        with _opening:
            slide = _slide(slide_ref, stamp)
        try:
            if isinstance(model, MeasuredStain):
                between(0)
                result = _measured(slide, tile, model, detector)
            else:
                with _torch_threads(threads):
                    result = _analysed(slide, tile, model, detector, between)
        except DamagedSlide:
            nothing = np.zeros((0, model.embed_dim), model.vector_dtype)
            od = np.zeros(0, np.float32)
            result = TileResult(tile, FoundCells.empty(), nothing, od, unreadable=True)
        except MemoryError as exc:
            raise WorkerFailed(
                "There was not enough memory to analyse a tile; close other programs and start "
                "again: finished tiles are kept."
            ) from exc
        if _stamp(slide_ref) == stamp:
            slide.check_unchanged()  # of folders and addresses that stamp tells nothing
            return result
        # The file was touched while it was read: opened again, it may turn out to be another.


def unforeseen(error: Exception) -> WorkerFailed:
    """What is none of our sentences, as one."""
    told = WorkerFailed(
        f"The run stopped with {type(error).__name__}: {' '.join(str(error).split())}; start it "
        "again, and report it where it comes back. Finished tiles are kept."
    )
    told.__cause__ = error
    return told


def warm_up(model_ref: ModelRef | MeasuredStain) -> None:
    """Load a model and encode with it once, so that the first tile does not wait for torch.

    Raises
    ------
    UnknownModel, BadModel
    """
    if isinstance(model_ref, ModelRef):
        with _opening:
            _model(model_ref)


class _TorchThreads:
    """How many threads torch had before tiles began to run in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._before = 1

    @contextmanager
    def __call__(self, threads: int) -> Iterator[None]:
        import torch

        with self._lock:
            if self._running == 0:
                self._before = torch.get_num_threads()
            self._running += 1
        # OpenMP keeps the number for each thread, so every thread that runs a tile sets its own.
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
            torch.set_num_threads(self._before)


_torch_threads = _TorchThreads()


def _analysed(
    slide: Slide, tile: TileSpec, model: Model, detector: Detector, between: Callable[[int], None]
) -> TileResult:
    encoder = model.card.encoder
    rgb, grid = read_block(slide, tile.rect, encoder.mpp, encoder.halo_px)
    same_grid = math.isclose(detector.mpp, encoder.mpp)
    enough = encoder.halo_px * encoder.mpp >= detector.halo_um
    shared = (same_grid and enough) or isinstance(detector, GivenCells)
    cells = cells_in(slide, tile.rect, detector, (rgb, grid) if shared else None)
    embeddings = model.encode_tile(rgb, grid, cells.centers_um, between)
    stains = getattr(detector, "stains", None)
    return TileResult(tile, cells, embeddings, _nuclear_od(rgb, grid, cells, stains))


def _measured(slide: Slide, tile: TileSpec, stain: MeasuredStain, detector: Detector) -> TileResult:
    # The border of a cell, and whose a pixel is, depend on the cells around it.
    around = cells_in(slide, tile.rect.grown(stain.reach_um), detector)
    wanted = np.flatnonzero(owned(tile.rect, around.centers_um))
    rgb, grid = read_block(slide, tile.rect, measured.MPP, stain.halo_px)
    readings, hematoxylin = stain.of_cells(rgb, grid, around, wanted)
    return TileResult(tile, around.take(wanted), readings, hematoxylin)


def _nuclear_od(
    rgb: Rgb, grid: PixelGrid, cells: FoundCells, stains: StainProfile | None
) -> np.ndarray:
    """Mean haematoxylin optical density in the 3 x 3 pixels at each centre, float32 (n,)."""
    if stains is None or len(cells) == 0:
        return np.full(len(cells), np.nan, np.float32)
    near = around_centres(rgb, grid, cells.centers_um)
    return np.asarray(hematoxylin_od(near, stains).mean(axis=0), np.float32)


def _stamp(ref: SlideRef) -> tuple[int, int]:
    """Changes when another file takes the slide's place: its cells are not the old one's.

    Constant for an address, and for what changes within a folder.
    """
    path = local_path(ref.path)
    if path is None:
        return (0, 0)
    try:
        stat = retried(path.stat)
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _slide(ref: SlideRef, stamp: tuple[int, int]) -> Slide:
    """Several may be under way at once; tiles of one content share one open slide."""
    slide = open_slide(ref.path, ref.mpp, ref.series)
    if ref.fingerprint and slide.fingerprint != ref.fingerprint:
        slide.close()
        raise SlideChanged(
            f"{slide.name} is another file than the one that the run began with; put that one back "
            "to go on, or run again to analyse this one: finished tiles are kept."
        )
    return slide


@lru_cache(maxsize=2)
def _model(ref: ModelRef) -> Model:
    model = load_model(ref.path, ref.device)
    if model.sha256 != ref.sha256:
        raise BadModel(
            f"The model file of {model.name} changed since the run began; start the run again."
        )
    # The first use builds the tower: here, where no other thread can build it too.
    side = model.card.encoder.crop_px
    model.encode_image(np.zeros((1, side, side, 3), np.uint8))
    return model


def forget_slides() -> None:
    """Let go of the slides that this process keeps open."""
    _slide.cache_clear()
