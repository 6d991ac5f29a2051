"""What a detector is, and the ones that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

from napari_past.errors import UnknownDetector
from napari_past.slide import Slide
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb


@runtime_checkable
class Detector(Protocol):
    """Finds cells in a block of pixels. Small, frozen and picklable: it travels to the workers."""

    @property
    def name(self) -> str:
        """The name by which it is chosen (``--detector``)."""

    @property
    def mpp(self) -> float:
        """µm/px of the pixels that `find` wants."""

    @property
    def halo_um(self) -> float:
        """A cell depends only on pixels within this distance of its centre, in µm."""

    def identity(self) -> str:
        """Name, version, parameters and slide-wide facts: part of the key of stored results."""

    def fitted(self, slide: Slide) -> Self:
        """The same detector with what it needs to know of the whole slide (its stain vectors)."""

    def narrowed(self, rect: Rect) -> Self:
        """What of the detector is needed for one rectangle; itself where it looks at pixels."""

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        """All cells in `rgb` (Y, X, 3), in slide space; `grid` says where the pixels lie."""


_registry: dict[str, Callable[[], Detector]] = {}
_from_files: dict[str, Callable[[str], Detector]] = {}


def register_detector(name: str, detector: Callable[[], Detector]) -> None:
    """Make what `detector`, called without arguments, returns known as `name`; names are taken
    once."""
    if name in _registry:
        raise ValueError(f"A detector named {name!r} is registered already.")
    _registry[name] = detector


def register_weights(suffix: str, detector: Callable[[str], Detector]) -> None:
    """Make names that end in `suffix` mean the detector of that file."""
    _from_files[suffix] = detector


def detector_names() -> tuple[str, ...]:
    """Names that ``--detector`` and the widget offer, sorted."""
    return tuple(sorted(_registry))


def get_detector(name: str) -> Detector:
    """The detector registered as `name`, with its default parameters, or that of a weights' file.

    Raises
    ------
    UnknownDetector
        Nothing is registered under that name, or there is no such file; the message lists what is.
    BadModel
        A file that is none of a detector.
    """
    for suffix, of_file in _from_files.items():
        if name.lower().endswith(suffix):
            return of_file(name)
    if name not in _registry:
        files = " or ".join(f"FILE{suffix}" for suffix in _from_files)
        raise UnknownDetector(
            f"There is no detector named {name!r}; choose one of: {', '.join(detector_names())}"
            f"{f', or {files}' if files else ''}."
        )
    return _registry[name]()
