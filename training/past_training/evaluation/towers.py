"""Embeddings of rows by image towers: a model file's, a random one, a foundation model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError, UnknownModel
from napari_past.model import Card, Model, model_path
from napari_past.model.tensors import TOWER
from napari_past.types import PixelGrid, Rgb
from past_training.dataset.cut import View
from past_training.dataset.margin import margin_px, patch_px_for
from past_training.dataset.read import SectionArrays
from past_training.evaluation.rows import SectionRows

if TYPE_CHECKING:
    import torch

RANDOM_SEED = 20240229
FOUNDATION_PX = 224
"""What nearly all published towers read; smaller patches are enlarged."""
_CROPS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class _Embedded:
    """Vectors of a section's nuclei, as far as they were asked for."""

    vectors: npt.NDArray[np.float16]
    """(n, d); memory is taken for those alone that are filled."""
    done: npt.NDArray[np.bool_]
    """(n,)."""


class ModelTower:
    """The tower of a model: each nucleus embedded as the plugin would, mean over a row's nuclei.

    A nucleus is embedded once, whatever is trained on and whatever is held out.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.model = model
        self.name = name
        self._kept: dict[SectionArrays, _Embedded] = {}

    def embed_nuclei(self, rows: SectionRows) -> npt.NDArray[np.float16]:
        """Embeddings of ``rows.nuclei``, float16 (n, d), in that order.

        Raises
        ------
        PastError
            The dataset's patches have another µm/px than the model reads, or are too small for it.
        """
        self.check(rows)
        nuclei = rows.nuclei
        kept = self._kept.get(rows.section)
        if kept is None:
            n = rows.section.nuclei_row.shape[0]
            kept = _Embedded(np.zeros((n, self.model.embed_dim), np.float16), np.zeros(n, bool))
            self._kept[rows.section] = kept
        new = np.flatnonzero(~kept.done[nuclei.index])
        patch, index, yx_px = nuclei.patch[new], nuclei.index[new], nuclei.yx_px[new]
        grid = PixelGrid(0.0, 0.0, self.model.card.encoder.mpp)
        for number, pixels in rows.patches(patch):
            first, stop = np.searchsorted(patch, [number, number + 1])
            if self.model.card.encoder.mode == "crop":
                # A centre that was rounded to single precision may ask for one pixel more.
                pixels = np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode="edge")
            vectors = self.model.encode_tile(pixels, grid, grid.to_um(yx_px[first:stop]))
            kept.vectors[index[first:stop]] = vectors
            kept.done[index[first:stop]] = True
        return kept.vectors[nuclei.index]

    def embed(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Mean embedding (k, d) of each row's nuclei."""
        return rows.nuclei.row_means(self.embed_nuclei(rows), len(rows))

    def check(self, rows: SectionRows) -> None:
        """Whether the tower can read these rows; nothing is computed.

        Raises
        ------
        PastError
            The patches have another µm/px than the model reads, or are too small for it.
        """
        encoder = self.model.card.encoder
        if abs(rows.mpp / encoder.mpp - 1) > 1e-6:
            raise PastError(
                f"{self.model.name} reads {encoder.mpp:g} µm/px but the dataset was prepared at "
                f"{rows.mpp:g}; prepare it again with --dataset-mpp {encoder.mpp:g}"
                f"{self._patch_option(rows)}{_for_option(self.model)}."
            )
        margin = margin_px(rows.nuclei.yx_px, rows.patch_px)
        wanted_px = patch_px_for(encoder.halo_px, margin, rows.patch_px)
        if wanted_px > rows.patch_px:
            raise PastError(
                f"{self.model.name} looks {encoder.halo_px} px around a nucleus but a nucleus of "
                f"section {rows.record.name} lies {max(margin, 0):.0f} px from its patch's "
                f"border; prepare the dataset with --patch-px {wanted_px} or more"
                f"{_for_option(self.model)}."
            )

    def _patch_option(self, rows: SectionRows) -> str:
        """The patch that it needs at its own µm/px, where that can be said."""
        encoder = self.model.card.encoder
        if rows.mode != "crops":
            return ""
        view = View(self.model.name, encoder.mpp, encoder.halo_px)
        return f" --patch-px {2 * view.around_px(rows.record.spot_diameter_um)}"


def check_fits(models: Sequence[Model], sections: Sequence[SectionRows]) -> None:
    """Whether models can read all of some sections; nothing is computed.

    Raises
    ------
    PastError
        As `ModelTower.check` has it.
    """
    for model in models:
        tower = ModelTower(model, model.name)
        for rows in sections:
            tower.check(rows)


def _for_option(model: Model) -> str:
    """The option that asks for both at once, where the model can be named."""
    with suppress(UnknownModel):
        if str(model_path(model.name).resolve()) == model.path:
            return f", or simply --for {model.name}"
    return f", or simply --for {model.path}" if model.path else ""


def tower_model(
    card: Card, state: Mapping[str, npt.NDArray[np.generic]], device: str = "auto"
) -> Model:
    """A model with these weights of a card's tower.

    Its read-out is zero: only its embeddings mean anything.

    Parameters
    ----------
    state
        Of `napari_past.model.encoding.fresh_tower(card.encoder.tower)`, by name.
    """
    d, g = card.encoder.tower.embed_dim, len(card.genes)
    card = card.model_copy(
        update={"projection_dim": None, "cell_tower": None, "hidden_units": None}
    )
    tensors: dict[str, npt.NDArray[np.generic]] = {f"{TOWER}{k}": v for k, v in state.items()}
    if g:
        tensors |= {
            "readout.weight": np.zeros((g, d), np.float32),
            "readout.bias": np.zeros(g, np.float32),
        }
    if card.unlike_training_limit is not None:
        tensors |= {
            "statistics.mean": np.zeros(d, np.float32),
            "statistics.whitening": np.zeros((d, 1), np.float32),
        }
    return Model(card, tensors, sha256="", path="", device=device)


def random_model(card: Card, seed: int = RANDOM_SEED, device: str = "auto") -> Model:
    """A model with the tower that a card asks for, its weights as they are before training."""
    import torch

    from napari_past.model.encoding import fresh_tower

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tower = fresh_tower(card.encoder.tower)
    return tower_model(card, {k: v.numpy() for k, v in tower.state_dict().items()}, device)


class FoundationTower:
    """A frozen timm or hub tower with its published weights; one square of H&E for each row.

    Parameters
    ----------
    name
        As `past_training.engine.towers.image_tower` takes it.

    Raises
    ------
    TowerUnavailable
        The name is not known, or the weights cannot be had.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        import torch

        from past_training.engine.towers import image_tower

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.name = f"frozen {name}"
        self._device = device
        tower = image_tower(name, FOUNDATION_PX, pretrained=True, pooled=True)
        self._tower: torch.nn.Module = tower.to(device).eval()

    def embed(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Features (k, D) of the square of 224 px around each row, at the dataset's µm/px."""
        parts: list[npt.NDArray[np.float32]] = []
        batch: list[Rgb] = []
        for window in rows.windows(FOUNDATION_PX):
            batch.append(window)
            if len(batch) == _CROPS_AT_ONCE:
                parts.append(self._encoded(np.stack(batch)))
                batch = []
        if batch:
            parts.append(self._encoded(np.stack(batch)))
        return np.concatenate(parts)

    def _encoded(self, crops: Rgb) -> npt.NDArray[np.float32]:
        import torch
        from torch.nn.functional import interpolate

        with torch.inference_mode():
            x = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2).float()
            side = (FOUNDATION_PX, FOUNDATION_PX)
            if x.shape[-1] != FOUNDATION_PX:
                x = interpolate(x, side, mode="bicubic", antialias=True).clamp(0, 255)
            middle = torch.full((len(crops), 2), (FOUNDATION_PX - 1) / 2)
            where = torch.column_stack([torch.arange(len(crops)), middle]).to(self._device)
            features: torch.Tensor = self._tower(x, where)
        return np.asarray(features.float().cpu().numpy())
