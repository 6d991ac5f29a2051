"""Cells that somebody else found, with what came with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_past.errors import RegionError
from napari_past.slide import Slide
from napari_past.types import FoundCells, Outlines


@dataclass(frozen=True)
class BroughtCells:
    """Cells in slide space from a file, a folder or a layer."""

    found: FoundCells
    """Named: with their own ids where they came with some, else by their place."""
    source: str
    """Name of the file or the layer; never a path."""
    kind: str
    """What it is: "QuPath GeoJSON", "label image", "Cellpose", "labels layer" …"""
    columns: Mapping[str, npt.NDArray] = field(default_factory=dict)
    """What came with the cells by name, each (n,): texts such as "classification", or numbers."""
    notes: tuple[str, ...] = ()
    """Sentences that the user is to be told: what was left out, and why."""
    cell_outlines: Outlines | None = None
    """n of them, where both were outlined: those of the whole cells, while `found` has the
    nuclei's."""

    def __post_init__(self) -> None:
        n = len(self.found)
        lengths = {name: len(values) for name, values in self.columns.items()}
        if self.cell_outlines is not None:
            lengths["cell_outlines"] = len(self.cell_outlines)
        wrong = [f"{name} {length}" for name, length in lengths.items() if length != n]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} must describe the {n} cells.")

    def __len__(self) -> int:
        return len(self.found)

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> BroughtCells:
        """The chosen cells, in that order, with all that came with them."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index)
        return replace(
            self,
            found=self.found.take(index),
            columns={name: values[index] for name, values in self.columns.items()},
            cell_outlines=None if self.cell_outlines is None else self.cell_outlines.take(index),
        )

    def on_slide(self, slide: Slide) -> BroughtCells:
        """The cells whose centre lies on the slide; how many do not is added to the notes.

        Raises
        ------
        RegionError
            None does.
        MissingPixelSize
        """
        inside = slide.bounds.contains(self.found.centers_um)
        outside = len(inside) - int(inside.sum())
        if not outside:
            return self
        if not inside.any():
            width_um, height_um = slide.size_um
            raise RegionError(
                f"None of the {len(self)} cells of {self.source} lies on {slide.name}, which is "
                f"{width_um:.0f} x {height_um:.0f} µm; check that they were found on this slide, "
                "and in which unit they are."
            )
        objects = "1 cell lies" if outside == 1 else f"{outside} cells lie"
        note = f"{objects} outside of the slide and {'is' if outside == 1 else 'are'} left out."
        return replace(self.take(inside), notes=(*self.notes, note))
