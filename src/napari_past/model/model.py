"""A loaded model: its card, its read-outs, and the tower when pixels are encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable, PastError
from napari_past.genes import Resolved, resolve
from napari_past.model.card import Card, PooledTowerCard
from napari_past.model.lab_evidence import LabEvidence, adopted
from napari_past.model.likeness import TrainingTissue, training_tissue, unlike_sentence
from napari_past.model.projection import unit
from napari_past.model.readouts import Readouts
from napari_past.model.reliability import Reliability
from napari_past.model.shared_space import SharedSpace
from napari_past.model.tensors import TOWER, Tensors, check_tensors, part_of
from napari_past.model.token_ids import checked_tokens
from napari_past.types import RESEARCH_USE, Cutoffs, FloatArray, PixelGrid, Rgb

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_past.model.bank_readout import BankReadout
    from napari_past.model.encoding import Batches
    from napari_past.model.past_network import CellEncoder
    from napari_past.model.prototypes import NearestTypes
    from napari_past.model.retrieval import Neighbours


class Model:
    """A model in use. Build with `load_model`.

    Everything but `encode_tile`, `encode_image` and `encode_tokens` is numpy, so a viewer that only
    shows results never imports torch.
    """

    research_use = RESEARCH_USE
    vector_dtype = np.float16  # of cells' vectors as the store keeps them

    def __init__(
        self,
        card: Card,
        tensors: Tensors,
        sha256: str,
        path: str,
        device: str = "auto",
        bank_path: Path | None = None,
    ) -> None:
        self.card = card
        self.path = path
        self.sha256 = sha256
        self.device = device
        self._tensors = tensors
        check_tensors(card, tensors)
        self.shared_space = SharedSpace(card.name, tensors)
        """That of images and measured cells, as far as the model has one."""
        self.readouts = Readouts(card, tensors, self.shared_space, bank_path)
        """All that is predicted of cells' vectors."""

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def genes(self) -> tuple[str, ...]:
        """HGNC symbols that can be predicted: the read-out's, then what the bank alone has."""
        return self.readouts.genes

    @property
    def bank(self) -> BankReadout | None:
        """The reference bank that lies beside the weights, opened by the first use.

        Raises
        ------
        BadTable
            It is damaged.
        PastError
            Another model made it, or this one projects to no space that it could share.
        """
        return self.readouts.bank

    @property
    def expression_unit(self) -> str:
        """Of predicted values."""
        return self.readouts.unit

    def unit_of(self, gene: str) -> str:
        """Of the predicted values of one gene: all have the same."""
        return self.expression_unit

    def resolve(self, name: str) -> Resolved:
        """A gene or marker name, as genes of the model; raises `UnknownGene`, `AmbiguousGene`."""
        self.require_readout()
        return resolve(name, self.genes)

    @property
    def embed_dim(self) -> int:
        """Numbers of a cell's vector, as the tower gives and the store keeps it."""
        return self.card.encoder.tower.embed_dim

    @property
    def tower_state(self) -> Tensors:
        """The tower's weights, by their names in the tower."""
        return part_of(self._tensors, TOWER)

    @property
    def cell_sha256(self) -> str:
        """SHA-256 over the cell side, by which banks know the models that they go with."""
        return self.shared_space.cell_sha256

    @property
    def temperature(self) -> float | None:
        """By which similarities in the shared space were divided in training; None without one."""
        return self.shared_space.temperature

    # ---- read-outs: numpy only -------------------------------------------------------------

    def expression(
        self,
        embeddings: npt.NDArray[np.floating],
        genes: Sequence[str],
        neighbours: Neighbours | None = None,
    ) -> FloatArray:
        """Predicted expression, float32 (n, len(genes)), in `expression_unit`.

        Parameters
        ----------
        neighbours
            Of these embeddings, where they are known; genes of the bank need them.

        Raises
        ------
        UnknownGene
            Neither the read-out nor the bank has one of `genes` (exact symbols; `genes.resolve`
            finds them), or there is neither.
        """
        return self.readouts.expression(embeddings, genes, neighbours)

    def needs_neighbours(self, genes: Sequence[str]) -> bool:
        """Whether `expression` of these genes looks cells up in the bank."""
        return self.readouts.needs_neighbours(genes)

    def neighbours(self, embeddings: npt.NDArray[np.floating]) -> Neighbours:
        """The bank's cells nearest to each cell, whatever the gene."""
        return self.readouts.neighbours(embeddings)

    def cell_types(self, embeddings: npt.NDArray[np.floating]) -> NearestTypes | None:
        """The bank's type nearest to each cell, and its margin; None without a bank of types."""
        return self.readouts.cell_types(embeddings)

    def require_readout(self) -> None:
        """Raise `UnknownGene`, with what to do, where the model predicts no gene at all."""
        self.readouts.require()

    def project(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Cells' vectors (n, embed_dim) in the space that measured cells share, float32 (n, 256),
        L2-normalised.

        Raises
        ------
        PastError
            The model has no projection.
        """
        return self.shared_space.project(vectors)

    def unlike_training(self, embeddings: npt.NDArray[np.floating]) -> FloatArray:
        """How far each cell lies from the training cells, float32 (n,); above 1 is flagged.

        Squared Mahalanobis distance in the leading principal components of the training embeddings
        (Lee et al. 2018, NeurIPS 31), divided by ``card.unlike_training_limit``. NaN where nothing
        is known of the training cells.
        """
        return self._training_tissue.of_cells(embeddings)

    def slide_unlike_training(self, embeddings: npt.NDArray[np.floating]) -> float:
        """How far a slide's cells as a whole lie from the training cells; above 1 is flagged.

        Squared Mahalanobis distance of the cells' mean in the components of `unlike_training`, less
        what sampling alone gives, divided by ``card.slide_unlike_limit``. A training set of one
        patient makes others look unlike it, too. NaN with fewer than 300 cells, or without a limit.
        """
        return self._training_tissue.of_slide(embeddings)

    def mean_unlike_training(self, mean: npt.NDArray[np.floating], n: int) -> float:
        """`slide_unlike_training` of `n` cells whose vectors have this mean, (d,)."""
        return self._training_tissue.of_mean(mean, n)

    def slide_unlike_sentence(self, distance: float) -> str:
        """What to tell of a distance of `slide_unlike_training`; empty where it is not flagged."""
        return unlike_sentence(self.card, distance)

    @cached_property
    def _training_tissue(self) -> TrainingTissue:
        return training_tissue(self.card, self._tensors)

    def reliability(self, gene: str) -> Reliability:
        """Evidence for one gene of the model.

        Raises
        ------
        UnknownGene
            The model does not predict it, or nothing at all.
        """
        of_card = self.readouts.reliability(gene)
        try:
            lab = self.lab_evidence
        except BadTable as exc:
            return replace(of_card, label=f"{of_card.label} · {exc}")
        return of_card if lab is None else lab.reliability(of_card)

    @property
    def lab_evidence(self) -> LabEvidence | None:
        """The lab's own validation of the model, where there is one.

        Raises
        ------
        BadTable
            Its file was changed or damaged.
        """
        return adopted(self.known_sha256)

    @property
    def known_sha256(self) -> tuple[str, ...]:
        """The SHA-256 of its file, and of the same model's before each of its calibrations."""
        before = (calibration.model_sha256 for calibration in self.card.calibrations)
        return tuple(dict.fromkeys([self.sha256, *before]))

    def detected(self, gene: str) -> float:
        """Share of the training spots, or of the bank's cells, in which a gene was seen; NaN where
        it was not counted."""
        return self.readouts.detected(gene)

    def cutoffs(self, gene: str) -> Cutoffs | None:
        """The card's cut-offs for a gene, or None."""
        values = self.card.cutoffs.get(gene)
        return Cutoffs(*values, source=self.card.cutoffs_source) if values else None

    # ---- pixels to embeddings: torch --------------------------------------------------------

    def encode_tile(
        self,
        rgb: Rgb,
        grid: PixelGrid,
        centers_um: FloatArray,
        between: Callable[[int], None] = lambda done: None,
    ) -> npt.NDArray[np.float16]:
        """Embeddings of cells in a block of pixels, float16 (n, d).

        A dense card's tower sees the block once and is sampled at the centres; a crop card's sees a
        crop of ``crop_px`` around each, cut on whole pixels, as `encode_image` would.

        `grid` must have the card's µm/px and lie on a multiple of the card's stride, and every
        centre must be at least ``halo_px`` from the block's edge.

        Parameters
        ----------
        between
            Told before each batch of a crop card how many cells were encoded, since a large tower
            takes seconds for a batch; what it raises ends the work.
        """
        return self.tile_features(rgb, grid, centers_um, between).astype(np.float16)

    def tile_features(
        self,
        rgb: Rgb,
        grid: PixelGrid,
        centers_um: FloatArray,
        between: Callable[[int], None] = lambda done: None,
    ) -> npt.NDArray[np.float32]:
        """`encode_tile` before it is rounded for the store, float32 (n, d)."""
        encoder = self.card.encoder
        origin_px = np.array([grid.y0_um, grid.x0_um]) / grid.mpp
        on_grid = np.abs(origin_px / encoder.stride_px - np.round(origin_px / encoder.stride_px))
        assert abs(grid.mpp / encoder.mpp - 1) < 1e-6, "not the encoder's µm/px"
        assert on_grid.max() < 1e-6, "off the global grid"
        if len(centers_um) == 0:
            return np.zeros((0, self.embed_dim), np.float32)
        yx_px = grid.to_px(centers_um)
        if encoder.mode == "crop":
            return self._encode_crops(rgb, yx_px, between)
        from napari_past.model.encoding import encoded_images, fetched, out_of_memory_told

        where = np.column_stack([np.zeros(len(yx_px)), yx_px])
        with out_of_memory_told():
            return fetched(encoded_images(self._tower, encoder, rgb[None], where))

    def _encode_crops(
        self, rgb: Rgb, yx_px: npt.NDArray[np.float64], between: Callable[[int], None]
    ) -> npt.NDArray[np.float32]:
        side = self.card.encoder.crop_px
        # Tiles agree on a centre but for its last bits; at half a pixel those would move the crop.
        corners = np.floor(np.round(yx_px - (side - 1) / 2, 6) + 0.5).astype(int)
        assert corners.min() >= 0, "beyond the halo"
        assert (corners + side <= rgb.shape[:2]).all(), "beyond the halo"

        def encode(part: slice) -> Tensor:
            batch = [rgb[y : y + side, x : x + side] for y, x in corners[part]]
            return self._encode_centres(np.stack(batch))

        return np.concatenate(self._batches.run(len(corners), encode, between))

    def _encode_centres(self, crops: Rgb) -> Tensor:
        """One batch of crops, sampled at their centres."""
        from napari_past.model.encoding import encoded_images

        n, height, width = crops.shape[:3]
        centre = np.full((n, 2), [(height - 1) / 2, (width - 1) / 2])
        where = np.column_stack([np.arange(n), centre])
        return encoded_images(self._tower, self.card.encoder, crops, where)

    def encode_image(self, crops: Rgb) -> npt.NDArray[np.float32]:
        """Embeddings of the cells at the centres of crops.

        Parameters
        ----------
        crops
            uint8 (n, H, W, 3) at ``card.encoder.mpp``; ``card.encoder.crop_px`` wide is what the
            tower sees of a cell inside a slide, and what a tower that pools over the crop needs.

        Returns
        -------
        (n, d) float32, L2-normalised: projected where the card has a ``projection_dim``, else the
        tower's output.

        Raises
        ------
        PastError
            The crops have another shape or type.
        WorkerFailed
            There is not enough memory for a single crop.
        """
        crops = np.asarray(crops)
        if (
            crops.ndim != 4
            or crops.shape[-1] != 3
            or crops.dtype != np.uint8
            or 0 in crops.shape[1:]
        ):
            raise PastError(
                f"encode_image wants crops of uint8 (n, height, width, 3), but got {crops.dtype} "
                f"{crops.shape}; convert them to 8-bit RGB."
            )
        encoder = self.card.encoder
        side = encoder.crop_px
        if isinstance(encoder.tower, PooledTowerCard) and crops.shape[1:3] != (side, side):
            raise PastError(
                f"{self.name} wants crops of {side} x {side} px at {encoder.mpp:g} µm/px, but got "
                f"{crops.shape[1]} x {crops.shape[2]}; cut or resample them."
            )
        parts = self._batches.run(len(crops), lambda part: self._encode_centres(crops[part]))
        vectors = np.concatenate([np.zeros((0, self.embed_dim), np.float32), *parts])
        return unit(vectors) if self.card.projection_dim is None else self.project(vectors)

    # ---- token ids to embeddings: torch -----------------------------------------------------

    def encode_tokens(
        self, ids: npt.NDArray[np.integer], neighbours: npt.NDArray[np.integer] | None = None
    ) -> npt.NDArray[np.float32]:
        """Embeddings of measured cells, in the space of the projected images.

        Parameters
        ----------
        ids
            Integers (n, 300): each cell's token ids, as `tokens.tokenize` gives them.
        neighbours
            Integers (n, 8, 300): the ids of each cell's nearest cells, in any order; None leaves
            the graph branch out.

        Returns
        -------
        (n, d) float32, L2-normalised.

        Raises
        ------
        PastError
            The model has no cell tower or no graph branch, or the ids have another shape or range.
        WorkerFailed
            There is not enough memory for a single cell.
        """
        ids, neighbours = checked_tokens(self.card, ids, neighbours)
        from napari_past.model.encoding import encoded_tokens

        def encode(part: slice) -> Tensor:
            seen = None if neighbours is None else neighbours[part]
            return encoded_tokens(self._cell_encoder, ids[part], seen)

        parts = self._token_batches.run(len(ids), encode)
        return np.concatenate([np.zeros((0, self.card.projection_dim or 0), np.float32), *parts])

    @cached_property
    def _tower(self) -> torch.nn.Module:
        from napari_past.model.encoding import image_tower

        return image_tower(self.card, self._tensors, self.device)

    @cached_property
    def _cell_encoder(self) -> CellEncoder:
        from napari_past.model.encoding import cell_encoder

        return cell_encoder(self.card, self._tensors, self.device)

    @cached_property
    def _batches(self) -> Batches:
        from napari_past.model.encoding import Batches

        batches = Batches.on(self._tower)
        side = self.card.encoder.crop_px
        batches.find(lambda n: self._encode_centres(np.zeros((n, side, side, 3), np.uint8)))
        return batches

    @cached_property
    def _token_batches(self) -> Batches:
        from napari_past.model.encoding import Batches

        return Batches.on(self._cell_encoder)
