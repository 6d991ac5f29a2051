"""A loaded model: its card, its read-outs, and the tower when pixels are encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError, UnknownGene
from napari_past.model.card import Card, PooledTowerCard
from napari_past.model.halves import product
from napari_past.model.likeness import LEAST_SLIDE_CELLS, Likeness
from napari_past.model.projection import project, unit
from napari_past.model.reliability import Reliability, reliability_of
from napari_past.model.tensors import (
    CELL,
    IMAGE_PROJECTION,
    TEMPERATURE,
    TOWER,
    Tensors,
    check_tensors,
    part_of,
)
from napari_past.model.token_ids import checked_tokens
from napari_past.types import Cutoffs, FloatArray, PixelGrid, Rgb

if TYPE_CHECKING:
    import torch

    from napari_past.model.bank_readout import BankReadout
    from napari_past.model.encoding import Batches
    from napari_past.model.past_network import CellEncoder
    from napari_past.model.prototypes import NearestTypes
    from napari_past.model.retrieval import Neighbours

ENCODE_BATCH = 64


class Model:
    """A model in use. Build with `load_model`.

    Everything but `encode_tile`, `encode_image` and `encode_tokens` is numpy, so a viewer that only
    shows results never imports torch.
    """

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
        self._widened: dict[str, npt.NDArray[np.float32]] = {}
        check_tensors(card, tensors)
        self._rows = {gene: i for i, gene in enumerate(card.genes)}
        self._bank_path = bank_path

    @property
    def name(self) -> str:
        return self.card.name

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """HGNC symbols that can be predicted: the read-out's, then what the bank alone has."""
        looked_up = self.bank.bank.genes if self.bank is not None else ()
        return tuple(dict.fromkeys([*self.card.genes, *looked_up]))

    @cached_property
    def _all_genes(self) -> frozenset[str]:
        return frozenset(self.genes)

    @cached_property
    def bank(self) -> BankReadout | None:
        """The reference bank that lies beside the weights, opened by the first use.

        Raises
        ------
        BadTable
            It is damaged.
        PastError
            Another model made it, or this one projects to no space that it could share.
        """
        if self._bank_path is None:
            return None
        from napari_past.model.bank import read_bank
        from napari_past.model.bank_readout import BankReadout
        from napari_past.model.retrieval import TEMPERATURE as USUAL

        bank = read_bank(self._bank_path)
        bank.require_model(self.name, self.cell_sha256)
        return BankReadout(bank, self.temperature or USUAL)

    @property
    def expression_unit(self) -> str:
        """Of predicted values. Read-outs of ours and banks have the same, but what a read-out was
        fitted to says nothing of genes that are looked up."""
        if self._bank_path is None:
            return self.card.expression_unit
        from napari_past.model.bank import UNIT

        return UNIT

    @property
    def embed_dim(self) -> int:
        """Numbers of a cell's vector, as the tower gives and the store keeps it."""
        return self.card.encoder.tower.embed_dim

    @property
    def tower_state(self) -> Tensors:
        """The tower's weights, by their names in the tower."""
        return part_of(self._tensors, TOWER)

    @property
    def shared_space(self) -> Tensors:
        """All tensors of the space that images share with measured cells: the projection of the
        tower's output, the cell side, the temperature. They hold as long as the tower stays."""
        names = (IMAGE_PROJECTION, CELL, TEMPERATURE)
        return {k: v for k, v in self._tensors.items() if k.startswith(names)}

    @cached_property
    def cell_sha256(self) -> str:
        """SHA-256 over the cell side, which alone decides where measured cells lie: banks name it,
        so that they go with every model that shares it."""
        digest = hashlib.sha256()
        for key, values in sorted(part_of(self._tensors, CELL).items()):
            digest.update(f"{key} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    @property
    def temperature(self) -> float | None:
        """By which similarities in the shared space were divided in training; None without one."""
        return float(self._float32(TEMPERATURE)) if TEMPERATURE in self._tensors else None

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
        if not genes:
            return np.zeros((len(embeddings), 0), np.float32)
        if any(g not in self._rows for g in genes):
            self.require_readout()
            return self._partly_looked_up(embeddings, genes, neighbours)
        rows = [self._rows[g] for g in genes]
        weight = self._float32("readout.weight")[rows]
        bias = self._float32("readout.bias")[rows]
        return product(embeddings, weight.T) + bias

    def _partly_looked_up(
        self,
        embeddings: npt.NDArray[np.floating],
        genes: Sequence[str],
        neighbours: Neighbours | None,
    ) -> FloatArray:
        """`expression` where the read-out does not have all genes."""
        for gene in genes:
            if gene not in self._all_genes:
                raise UnknownGene(
                    f"Model {self.name} does not predict {gene}; choose another gene (it has "
                    f"{len(self.genes)})."
                )
        assert self.bank is not None, "genes of neither read-out nor bank are refused"
        known = self.neighbours(embeddings) if neighbours is None else neighbours
        own = np.array([g in self._rows for g in genes])
        names = np.array(genes)
        values = np.empty((len(embeddings), len(genes)), np.float32)
        values[:, own] = self.expression(embeddings, names[own].tolist())
        values[:, ~own] = self.bank.expression(known, names[~own].tolist())
        return values

    def needs_neighbours(self, genes: Sequence[str]) -> bool:
        """Whether `expression` of these genes looks cells up in the bank."""
        return self._bank_path is not None and any(g not in self._rows for g in genes)

    def neighbours(self, embeddings: npt.NDArray[np.floating]) -> Neighbours:
        """The bank's cells nearest to each cell, whatever the gene."""
        assert self.bank is not None, "no bank"
        return self.bank.neighbours(self.project(embeddings))

    def cell_types(self, embeddings: npt.NDArray[np.floating]) -> NearestTypes | None:
        """The cell type of the bank that is nearest to each cell, and by what margin; None without
        a bank that has types."""
        if self.bank is None or not self.bank.knows_types:
            return None
        return self.bank.types(self.project(embeddings))

    def require_readout(self) -> None:
        """Raise `UnknownGene`, with what to do, where the model predicts no gene at all."""
        if not self.genes:
            raise UnknownGene(
                f"{self.name} has no read-out, so it predicts no gene by itself: fit one on paired "
                f"tissue with `past-train finetune --how head`, or use a reference bank."
            )

    def project(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Cells' vectors in the space that measured cells share, float32 (n, 256), L2-normalised.

        Parameters
        ----------
        vectors
            (n, embed_dim), as the store keeps them.

        Raises
        ------
        PastError
            The model has no projection.
        """
        if self.card.projection_dim is None:
            raise PastError(
                f"{self.name} has no projection to a space shared with measured cells; use a model "
                f"with one, such as PAST (`napari-past models fetch past`)."
            )
        names = part_of(self._tensors, IMAGE_PROJECTION)
        head = {name: self._float32(IMAGE_PROJECTION + name) for name in names}
        return project(vectors, head)

    def unlike_training(self, embeddings: npt.NDArray[np.floating]) -> FloatArray:
        """How far each cell lies from the training cells, float32 (n,); above 1 is flagged.

        Squared Mahalanobis distance in the leading principal components of the training embeddings
        (Lee et al. 2018, NeurIPS 31), divided by ``card.unlike_training_limit``. NaN where nothing
        is known of the training cells.
        """
        limit = self.card.unlike_training_limit
        if limit is None:
            return np.full(len(embeddings), np.nan, np.float32)
        return self._likeness.of_cells(embeddings) / np.float32(limit)

    def slide_unlike_training(self, embeddings: npt.NDArray[np.floating]) -> float:
        """How far a slide's cells as a whole lie from the training cells; above 1 is flagged.

        Squared Mahalanobis distance of the cells' mean in the components of `unlike_training`, less
        what sampling alone gives (their number over that of the cells), divided by
        ``card.slide_unlike_limit``. Another stain, scanner or organ moves all cells a little, which
        single cells do not show. A training set of one patient makes other patients look unlike it,
        too.

        Returns
        -------
        float
            NaN with fewer than `LEAST_SLIDE_CELLS` cells, or where nothing is known of the training
            cells.
        """
        if len(embeddings) == 0:
            return float("nan")
        mean = np.asarray(embeddings).mean(axis=0, dtype=np.float64)
        return self.mean_unlike_training(mean, len(embeddings))

    def mean_unlike_training(self, mean: npt.NDArray[np.floating], n: int) -> float:
        """`slide_unlike_training` of `n` cells whose vectors have this mean, (d,)."""
        limit = self.card.slide_unlike_limit
        if n < LEAST_SLIDE_CELLS or limit is None:
            return float("nan")
        return self._likeness.of_mean(mean, n) / limit

    def slide_unlike_sentence(self, distance: float) -> str:
        """What to tell of a distance of `slide_unlike_training`; empty where it is not flagged."""
        if not distance > 1:
            return ""
        card = self.card
        return (
            f"This slide as a whole looks unlike the tissue that {self.name} was trained on "
            f"({card.species} {card.organ}, {card.preparation}): {distance:.1f} times the limit; "
            "every value on it is extrapolated."
        )

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(self._float32("statistics.mean"), self._float32("statistics.whitening"))

    def _float32(self, key: str) -> npt.NDArray[np.float32]:
        """A tensor widened, once: files keep some in half precision, and every tile asks."""
        if key not in self._widened:
            self._widened[key] = np.asarray(self._tensors[key], np.float32)
        return self._widened[key]

    def reliability(self, gene: str) -> Reliability:
        """Evidence for one gene of the model.

        Raises
        ------
        UnknownGene
            The model does not predict it, or nothing at all.
        """
        if gene in self._rows:
            return reliability_of(self.card, gene)
        if self.bank is None or gene not in self._all_genes:
            self.expression(np.zeros((0, self.embed_dim)), [gene])  # raises UnknownGene
        assert self.bank is not None, "it was refused"
        return self.bank.reliability(gene)

    def detected(self, gene: str) -> float:
        """Share of the training spots, or of the bank's cells, in which a gene was seen; NaN where
        it was not counted."""
        if gene not in self._rows and self.bank is not None:
            return self.bank.bank.detected(gene)
        return self.card.evidence.detected.get(gene, float("nan"))

    def cutoffs(self, gene: str) -> Cutoffs | None:
        """The card's cut-offs for a gene, or None."""
        values = self.card.cutoffs.get(gene)
        return Cutoffs(*values, source=self.card.cutoffs_source) if values else None

    # ---- pixels to embeddings: torch --------------------------------------------------------

    def encode_tile(
        self, rgb: Rgb, grid: PixelGrid, centers_um: FloatArray
    ) -> npt.NDArray[np.float16]:
        """Embeddings of cells in a block of pixels, float16 (n, d).

        A dense card's tower sees the block once and is sampled at the centres; a crop card's sees a
        crop of ``crop_px`` around each, cut on whole pixels, as `encode_image` would.

        `grid` must have the card's µm/px and lie on a multiple of the card's stride, and every
        centre must be at least ``halo_px`` from the block's edge.
        """
        return self.tile_features(rgb, grid, centers_um).astype(np.float16)

    def tile_features(
        self, rgb: Rgb, grid: PixelGrid, centers_um: FloatArray
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
            return self._encode_crops(rgb, yx_px)
        from napari_past.model.encoding import encoded_images, out_of_memory_told

        where = np.column_stack([np.zeros(len(yx_px)), yx_px])
        with out_of_memory_told():
            return encoded_images(self._tower, encoder, rgb[None], where)

    def _encode_crops(self, rgb: Rgb, yx_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        side = self.card.encoder.crop_px
        # Tiles agree on a centre but for its last bits; at half a pixel those would move the crop.
        corners = np.floor(np.round(yx_px - (side - 1) / 2, 6) + 0.5).astype(int)
        assert corners.min() >= 0, "beyond the halo"
        assert (corners + side <= rgb.shape[:2]).all(), "beyond the halo"

        def encode(part: slice) -> npt.NDArray[np.float32]:
            batch = [rgb[y : y + side, x : x + side] for y, x in corners[part]]
            return self._encode_centres(np.stack(batch))

        return np.concatenate(self._batches.run(len(corners), encode))

    def _encode_centres(self, crops: Rgb) -> npt.NDArray[np.float32]:
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

        def encode(part: slice) -> npt.NDArray[np.float32]:
            seen = None if neighbours is None else neighbours[part]
            return encoded_tokens(self._cell_encoder, ids[part], seen)

        parts = self._batches.run(len(ids), encode)
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

        return Batches(ENCODE_BATCH)
