"""InstanSeg as a detector: its published TorchScript file, run with torch alone.

Goldsborough et al. 2024 (arXiv 2408.15954). The file takes (1, 3, H, W), each channel scaled so
that 0 and 1 are its extreme 0.1 %, at the µm/px that it states, and returns (1, 1, H, W) or, nuclei
before cells, (1, 2, H, W) labels.
"""

from __future__ import annotations

import hashlib
import re
import threading
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_past.cells.stains import estimate_stains
from napari_past.cells.tissue_sample import tissue_sample
from napari_past.cells.tracing import smoothed, traced
from napari_past.errors import BadModel, PastError, UnknownDetector, WorkerFailed
from napari_past.files import detector_weights, file_sha256
from napari_past.slide import Slide
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb, StainProfile

if TYPE_CHECKING:
    import torch

NAME = "instanseg"
VERSION = 1
CORE_PX, MARGIN_PX = 512, 80
"""Side of the windows that the network is run on, and what it sees around each."""
_EXTREME = 0.1
"""Percent of pixels below 0 and above 1, as InstanSeg scales its input."""
_LEAST_RANGE = 1e-3
_CODE_BYTES = 64 * 1024**2
_REFUSED = re.compile(r"\btorch\.(?:from_file|save|load)\b|\bops\.(?!aten\b|prim\b|torchvision\b)")
"""What a network has no need of: files, and operators of other libraries."""
_KEPT = 16
_lock = threading.Lock()
_known: OrderedDict[bytes, FoundCells] = OrderedDict()
"""Small tiles look at the same window again and again."""


def instanseg_detector(weights: str | Path | None = None) -> InstanSegDetector:
    """The detector of a TorchScript file, read once to see what it is.

    Parameters
    ----------
    weights
        The file; None for the one that was fetched.

    Raises
    ------
    UnknownDetector
        There is no such file.
    BadModel
        It is no TorchScript file, not of InstanSeg's interface, or asks for files.
    """
    path = Path(weights) if weights is not None else detector_weights(NAME)
    if not path.is_file():
        if weights is None:
            raise UnknownDetector(
                "The weights of InstanSeg are not here; get them with `napari-past models fetch "
                "instanseg`, or give the TorchScript file with --detector FILE.pt."
            )
        raise UnknownDetector(f"There is no file {path}; give the TorchScript file of InstanSeg.")
    sha256 = file_sha256(path)
    size = getattr(_module(str(path.resolve()), sha256, "cpu"), "pixel_size", None)
    if not isinstance(size, int | float) or not 0.05 < size < 20:
        raise BadModel(
            f"{path.name} states no pixel_size in µm/px, as InstanSeg's TorchScript files do; give "
            "one of these."
        )
    return InstanSegDetector(str(path.resolve()), sha256, float(size))


@dataclass(frozen=True)
class InstanSegDetector:
    """Nuclei as InstanSeg's network sees them.

    The network is run on windows of one grid, anchored to slide space, and each window gives the
    nuclei whose centre lies in its core: what is found does not depend on the tiles, whatever
    network is in the file.
    """

    weights: str
    """Path of the TorchScript file."""
    sha256: str
    mpp: float
    low: tuple[float, float, float] | None = None
    """What becomes 0, by channel; `fitted` tells it for the slide, else each window its own."""
    high: tuple[float, float, float] | None = None
    """What becomes 1."""
    stains: StainProfile | None = None
    """Of the slide; the network needs none, but cells have their haematoxylin measured."""
    device: str = "auto"
    name: str = NAME

    @property
    def halo_um(self) -> float:
        """A window that holds a cell reaches so far beyond it."""
        return (CORE_PX + MARGIN_PX - 1) * self.mpp

    def identity(self) -> str:
        return (
            f"{self.name} v{VERSION} {self.sha256} {self.mpp!r} {self.low} {self.high} "
            f"{CORE_PX} {MARGIN_PX} {self.stains}"
        )

    def fitted(self, slide: Slide) -> InstanSegDetector:
        """With the extremes and stain vectors of the slide's tissue."""
        sample = tissue_sample(slide, self.mpp)
        stains = estimate_stains(sample, slide.background)
        if not sample.size:
            return replace(self, stains=stains)
        low, high = _extremes(sample)
        return replace(self, low=low, high=high, stains=stains)

    def narrowed(self, rect: Rect) -> InstanSegDetector:
        """Itself: it looks at pixels alone."""
        return self

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        """The nuclei of all windows that lie in the block as a whole.

        Raises
        ------
        BadModel
            The file changed, or fails on these pixels.
        WorkerFailed
            There was not enough memory.
        """
        height_px, width_px = rgb.shape[:2]
        row0, column0 = round(grid.y0_um / self.mpp), round(grid.x0_um / self.mpp)
        rows, columns = _whole_cores(row0, height_px), _whole_cores(column0, width_px)
        parts = []
        side = CORE_PX + 2 * MARGIN_PX
        for row, column in product(rows, columns):
            y, x = row * CORE_PX - MARGIN_PX, column * CORE_PX - MARGIN_PX
            window = rgb[y - row0 : y - row0 + side, x - column0 : x - column0 + side]
            parts.append(self._in_window(np.ascontiguousarray(window), y, x))
        return FoundCells.concatenate(parts)

    def _in_window(self, window: Rgb, y0_px: int, x0_px: int) -> FoundCells:
        told = f"{self.identity()} {self.device} {y0_px} {x0_px}".encode()
        key = hashlib.blake2b(told + window.tobytes()).digest()
        with _lock:
            if key in _known:
                _known.move_to_end(key)
                return _known[key]
        found = _as_cells(self._labels(window), y0_px, x0_px, self.mpp)
        with _lock:
            _known[key] = found
            while len(_known) > _KEPT:
                _known.popitem(last=False)
        return found

    def _labels(self, window: Rgb) -> npt.NDArray[np.int64]:
        """Labels (H, W) of the nuclei, or of the cells where the file has no nuclei."""
        import torch

        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        file = Path(self.weights).name
        module = _module(self.weights, self.sha256, device)
        low, high = (self.low, self.high) if self.low and self.high else _extremes(window)
        lowest, span = np.array(low, np.float32), np.subtract(high, low, dtype=np.float32)
        scaled = (window.astype(np.float32) - lowest) / np.maximum(span, np.float32(_LEAST_RANGE))
        pixels = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None]
        try:
            # The first calls of an optimised script would differ from later ones in the last bits.
            with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                out = module(pixels.to(device))
                if not isinstance(out, torch.Tensor):
                    raise _interface(file, f"a {type(out).__name__}")
                labels = out.cpu().numpy()
        except (RuntimeError, MemoryError) as exc:
            if isinstance(exc, MemoryError) or "memory" in str(exc).lower():
                raise WorkerFailed(
                    f"There was not enough memory to run {file} on a window of {window.shape[1]} x "
                    f"{window.shape[0]} px; close other programs, or use --device cpu, and start "
                    "again: finished tiles are kept."
                ) from exc
            last = (str(exc).strip().splitlines() or [type(exc).__name__])[-1]
            raise BadModel(
                f"{file} fails on a window of the slide ({last[:200]}); check that it is "
                "InstanSeg's TorchScript file for brightfield pictures."
            ) from exc
        expected = window.shape[:2]
        if labels.ndim != 4 or labels.shape[1] not in (1, 2) or labels.shape[2:] != expected:
            raise _interface(file, f"the shape {' x '.join(map(str, labels.shape))}")
        return np.asarray(labels[0, 0], np.int64)


def _interface(file: str, what: str) -> BadModel:
    return BadModel(
        f"{file} gives {what} where labels 1 x 1 or 2 x height x width were expected; give "
        "InstanSeg's TorchScript file."
    )


def _whole_cores(start_px: int, length_px: int) -> range:
    """Cores of the global grid whose windows lie in a block, along one axis."""
    first = -(-(start_px + MARGIN_PX) // CORE_PX)
    last = (start_px + length_px - MARGIN_PX) // CORE_PX
    return range(first, last)


def _extremes(
    rgb: Rgb,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    low, high = np.percentile(rgb.reshape(-1, 3), [_EXTREME, 100 - _EXTREME], axis=0).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _as_cells(labels: npt.NDArray[np.int64], y0_px: int, x0_px: int, mpp: float) -> FoundCells:
    """The cells whose centre lies in the core of a window of labels."""
    objects = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        y, x = (axis.start for axis in place)
        cell = traced(labels[place] == number, y, x)
        inside = (MARGIN_PX <= v + 0.5 < MARGIN_PX + CORE_PX for v in cell.center_yx_px)
        if all(inside):
            objects.append(cell)
    grid = PixelGrid(x0_px * mpp, y0_px * mpp, mpp)
    centers = np.array([o.center_yx_px for o in objects], np.float64).reshape(-1, 2)
    areas = np.array([o.area_px for o in objects], np.float32) * np.float32(mpp**2)
    outlines = smoothed(objects, (mpp, mpp), (grid.x0_um, grid.y0_um))
    return FoundCells(grid.to_um(centers), outlines, areas)


@lru_cache(maxsize=2)
def _module(weights: str, sha256: str, device: str) -> torch.jit.ScriptModule:
    """The network, loaded once for each process."""
    import torch

    # What InstanSeg publishes is TorchScript, whatever torch says of its future.
    warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
    path = Path(weights)
    _check_code(path)
    if file_sha256(path) != sha256:
        raise BadModel(f"The weights {path.name} changed since they were chosen; start again.")
    try:
        module: Any = torch.jit.load(weights, map_location=device)
        loaded: torch.jit.ScriptModule = module.eval()
        return loaded
    except (RuntimeError, ValueError, OSError) as exc:
        first = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise _no_torchscript(path, first) from exc


def _check_code(path: Path) -> None:
    """Refuse a file whose code asks for files; TorchScript has no Python in it, but torch has."""
    try:
        with zipfile.ZipFile(path) as archive:
            code = [i for i in archive.infolist() if re.search(r"/code/.*\.py$", i.filename)]
            if not code:
                raise _no_torchscript(path, "it holds no code")
            if sum(info.file_size for info in code) > _CODE_BYTES:
                raise _no_torchscript(path, "its code is too long")
            asked = [m for i in code for m in _REFUSED.findall(archive.read(i).decode("utf-8"))]
    except PastError:
        raise
    except Exception as exc:  # zipfile raises many types on damaged archives
        raise _no_torchscript(path, str(exc) or type(exc).__name__) from exc
    if asked:
        raise BadModel(
            f"{path.name} asks for {asked[0]}, which a network that finds cells has no need of; it "
            "was not opened: get the file from where InstanSeg is published."
        )


def _no_torchscript(path: Path, why: str) -> BadModel:
    return BadModel(
        f"{path.name} is no TorchScript file ({why.rstrip('. ')[:200]}); give the file "
        "instanseg.pt of an InstanSeg model."
    )
