"""Models that encode cells, on patches: the mean over the nuclei that are found in each.

A patch has no surroundings, which a dense tower looks at around its cells: they are the patch
itself, mirrored at its borders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.cells import DEFAULT_DETECTOR, Detector, get_detector
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.slide import slide_of_array
from napari_past.types import FloatArray, PixelGrid, Rgb
from napari_past.validation.model_predictor import model_symbols
from past_training.benchmark.patches import About, Embedded
from past_training.benchmark.task import Sample
from past_training.benchmark.whole_patch import sized

GRID_UM = 16.0
"""Distance of the places that are taken where no nucleus is found."""
_STAIN_PATCHES = 36
"""Of a sample, evenly spread, from which its stain is estimated."""


class CellMeans:
    """A model file; a patch is the mean of what its cells are.

    Parameters
    ----------
    mpp
        µm/px of the patches.

    Raises
    ------
    PastError
        The model reads so fine or so coarse that patches of `patch_px` cannot be shown to it.
    """

    def __init__(self, name: str, model: Model, patch_px: int, mpp: float) -> None:
        encoder = model.card.encoder
        self.name = name
        self._model = model
        self._mpp = mpp
        self._side_px = round(patch_px * mpp / encoder.mpp)
        if not 8 <= self._side_px <= 16 * patch_px:
            raise PastError(
                f"{model.name} reads {encoder.mpp:g} µm/px, at which a patch of "
                f"{patch_px * mpp:g} µm is {self._side_px} px wide; take another model."
            )
        card = model.card
        what = (
            f"{card.name} {card.version} (weights {model.sha256[:12]}), {encoder.mode} encoder: "
            f"patches resampled to {encoder.mpp:g} µm/px and mirrored at their borders; mean over "
            f"the nuclei found in a patch, or over places {GRID_UM:g} µm apart where there is none."
        )
        if card.genes:
            what += f" Its own read-out is in {card.expression_unit}, the task in log1p of counts."
        self.about = About(what, card.training_data, frozenset(card.training_fingerprints))

    def own_genes(self, genes: Sequence[str]) -> tuple[str, ...]:
        """Those of `genes` that the read-out in the model file has."""
        known = model_symbols(self._model.card.genes, genes)
        return tuple(gene for gene in genes if gene in known)

    def embed(self, sample: Sample, genes: Sequence[str]) -> Embedded:
        """Mean vectors of the patches' cells, and their mean predicted expression."""
        detector = fitted_detector(sample, self._mpp)
        known = model_symbols(self._model.card.genes, genes)
        symbols = [known[gene] for gene in genes]
        vectors = np.zeros((sample.n, self._model.embed_dim), np.float32)
        own = np.zeros((sample.n, len(genes)), np.float32)
        patches = (patch for batch in sample.batches() for patch in batch)
        for i, patch in enumerate(patches):
            cells = self._encoded(patch, centres_um(patch, self._mpp, detector))
            vectors[i] = cells.astype(np.float32).mean(0)
            if symbols:
                own[i] = self._model.expression(cells, symbols).mean(0)
        return Embedded(vectors, own if symbols else None)

    def _encoded(self, patch: Rgb, centers_um: FloatArray) -> npt.NDArray[np.float16]:
        encoder = self._model.card.encoder
        halo = encoder.halo_px + 1 if encoder.mode == "crop" else encoder.halo_px
        shown = sized(patch[None], self._side_px)[0]
        # A width that is no whole number of pixels was rounded.
        scale = self._side_px * encoder.mpp / (patch.shape[0] * self._mpp)
        block = np.pad(shown, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric")
        grid = PixelGrid(-halo * encoder.mpp, -halo * encoder.mpp, encoder.mpp)
        return self._model.encode_tile(block, grid, centers_um * scale)


def centres_um(patch: Rgb, mpp: float, detector: Detector) -> FloatArray:
    """Nuclei of a patch, (c, 2) (x, y) in µm from its corner; a grid of places without any."""
    found = detector.find(patch, PixelGrid(0.0, 0.0, mpp)).centers_um
    side_um = patch.shape[0] * mpp
    inside = ((found >= 0) & (found < side_um)).all(1)
    if inside.any():
        return np.asarray(found[inside], np.float64)
    count = max(1, round(side_um / GRID_UM))
    axis = (np.arange(count) + 0.5) * side_um / count
    x, y = np.meshgrid(axis, axis)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def fitted_detector(sample: Sample, mpp: float) -> Detector:
    """The default detector with the sample's stain, from some of its patches side by side."""
    side = math.ceil(math.sqrt(min(sample.n, _STAIN_PATCHES)))
    chosen = np.linspace(0, sample.n - 1, side * side).round().astype(int)
    patches = sample.some(np.unique(chosen))[np.unique(chosen, return_inverse=True)[1]]
    rows = patches.reshape(side, side, *patches.shape[1:])
    mosaic = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    return get_detector(DEFAULT_DETECTOR).fitted(slide_of_array(mosaic, mpp))
