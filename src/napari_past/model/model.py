"""A loaded model: its card, its read-outs, and the tower when pixels are encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadModel, PastError, UnknownGene, WorkerFailed
from napari_past.model.card import Card
from napari_past.model.files import Tensors
from napari_past.types import Cutoffs, FloatArray, PixelGrid, Rgb

if TYPE_CHECKING:
    import torch

ENCODE_BATCH = 64


@dataclass(frozen=True)
class Reliability:
    """How far to trust a gene's predicted value, and on what evidence."""

    gene: str
    learnable: bool
    grey: bool
    """Without held-out patients that the model never saw, nothing is promised for a new one."""
    r: float | None
    """Mean Pearson r over the held-out sections; None where it was not measured."""
    label: str
    """One line for a badge: "same patient · 100 µm spots · r 0.31 (4 sections: …)"."""


class Model:
    """A model in use. Build with `load_model`.

    Everything but `encode_tile` and `encode_image` is numpy, so a viewer that only shows results
    never imports torch.
    """

    def __init__(
        self, card: Card, tensors: Tensors, sha256: str, path: str, device: str = "auto"
    ) -> None:
        self.card = card
        self.path = path
        self.sha256 = sha256
        self.device = device
        self._tensors = tensors
        d, g = card.encoder.tower.embed_dim, len(card.genes)
        expected = {
            "readout.weight": (g, d),
            "readout.bias": (g,),
            "statistics.mean": (d,),
            "statistics.whitening": (d, tensors.get("statistics.whitening", np.zeros((d, 1))).shape[-1]),
        }
        for key, shape in expected.items():
            if key not in tensors:
                raise BadModel(f"Model {card.name} lacks the tensor {key}; get the file again.")
            if tensors[key].shape != shape:
                raise BadModel(
                    f"Tensor {key} of model {card.name} has shape {tensors[key].shape} but its card "
                    f"asks for {shape}; get the file again."
                )
        self._rows = {gene: i for i, gene in enumerate(card.genes)}

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def genes(self) -> tuple[str, ...]:
        """HGNC symbols of the read-out, in order."""
        return self.card.genes

    @property
    def embed_dim(self) -> int:
        return self.card.encoder.tower.embed_dim

    # ---- read-outs: numpy only -------------------------------------------------------------

    def expression(self, embeddings: npt.NDArray[np.floating], genes: Sequence[str]) -> FloatArray:
        """Predicted expression, float32 (n, len(genes)), in ``card.expression_unit``.

        Raises
        ------
        UnknownGene
            The read-out has no row for one of `genes` (exact symbols; `genes.resolve` finds them).
        """
        missing = [g for g in genes if g not in self._rows]
        if missing:
            raise UnknownGene(
                f"Model {self.name} does not predict {missing[0]}; "
                f"`napari-past models card {self.name}` lists its {len(self.genes)} genes."
            )
        rows = [self._rows[g] for g in genes]
        weight = self._tensors["readout.weight"][rows].astype(np.float32)
        bias = self._tensors["readout.bias"][rows].astype(np.float32)
        return np.asarray(embeddings, dtype=np.float32) @ weight.T + bias

    def unlike_training(self, embeddings: npt.NDArray[np.floating]) -> FloatArray:
        """How far each cell lies from the training cells, float32 (n,), in units of the card's limit.

        Squared Mahalanobis distance in the leading principal components of the training embeddings
        (Lee et al. 2018, NeurIPS 31), divided by ``card.unlike_training_limit``: above 1 is flagged.
        """
        centred = np.asarray(embeddings, np.float32) - self._tensors["statistics.mean"]
        white = centred @ self._tensors["statistics.whitening"].astype(np.float32)
        return np.asarray((white**2).sum(axis=1) / self.card.unlike_training_limit, np.float32)

    def reliability(self, gene: str) -> Reliability:
        """Evidence for one gene of the model."""
        if gene not in self._rows:
            self.expression(np.zeros((0, self.embed_dim)), [gene])  # raises UnknownGene
        evidence = self.card.evidence
        learnable = evidence.detected.get(gene, 0.0) >= self.card.min_detected
        measured = [v for v in evidence.r.get(gene, ()) if v is not None]
        r = float(np.mean(measured)) if measured else None
        grey = evidence.unseen_patients == 0
        patients = "same patient" if grey else f"{evidence.unseen_patients} unseen patients"
        if not learnable:
            label = (
                f"not learnable · seen in {100 * evidence.detected.get(gene, 0.0):.1f} % "
                f"of training spots"
            )
        elif r is None:
            label = f"{patients} · {evidence.resolution} · r not measured"
        else:
            points = ", ".join(f"{v:.2f}" for v in measured)
            label = f"{patients} · {evidence.resolution} · r {r:.2f} ({points})"
        return Reliability(gene, learnable, grey, r, label)

    def cutoffs(self, gene: str) -> Cutoffs | None:
        """The card's cut-offs for a gene, or None."""
        values = self.card.cutoffs.get(gene)
        return Cutoffs(*values, source=self.card.cutoffs_source) if values else None

    # ---- pixels to embeddings: torch --------------------------------------------------------

    def encode_tile(
        self, rgb: Rgb, grid: PixelGrid, centers_um: FloatArray
    ) -> npt.NDArray[np.float16]:
        """Embeddings of cells in a block of pixels, float16 (n, d).

        `grid` must have the card's µm/px and lie on a multiple of the card's stride, and every
        centre must be at least ``halo_px`` from the block's edge.
        """
        import torch

        encoder = self.card.encoder
        origin_px = np.array([grid.y0_um, grid.x0_um]) / grid.mpp
        on_grid = np.abs(origin_px / encoder.stride_px - np.round(origin_px / encoder.stride_px))
        assert abs(grid.mpp / encoder.mpp - 1) < 1e-6 and on_grid.max() < 1e-6, "off the global grid"
        if len(centers_um) == 0:
            return np.zeros((0, self.embed_dim), np.float16)
        yx_px = grid.to_px(centers_um)
        where = np.concatenate([np.zeros((len(yx_px), 1)), yx_px], axis=1).astype(np.float32)
        with _out_of_memory_told():
            return self._encode(rgb[None], torch.from_numpy(where)).astype(np.float16)

    def encode_image(self, crops: Rgb) -> npt.NDArray[np.float32]:
        """Embeddings of the cells at the centres of crops.

        Parameters
        ----------
        crops
            uint8 (n, H, W, 3) at ``card.encoder.mpp``; ``card.encoder.crop_px`` wide is what the
            tower sees of a cell inside a slide.

        Returns
        -------
        (n, d) float32, L2-normalised.
        """
        import torch

        crops = np.asarray(crops)
        if crops.ndim != 4 or crops.shape[-1] != 3 or crops.dtype != np.uint8:
            raise PastError(
                f"encode_image wants crops of uint8 (n, height, width, 3), but got {crops.dtype} "
                f"{crops.shape}; convert them to 8-bit RGB."
            )
        height, width = crops.shape[1:3]
        parts = [np.zeros((0, self.embed_dim), np.float32)]
        for start in range(0, len(crops), ENCODE_BATCH):
            batch = crops[start : start + ENCODE_BATCH]
            where = np.zeros((len(batch), 3), np.float32)
            where[:, 0] = np.arange(len(batch))
            where[:, 1:] = (height - 1) / 2, (width - 1) / 2
            with _out_of_memory_told():
                parts.append(self._encode(batch, torch.from_numpy(where)))
        vectors = np.concatenate(parts)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12))

    def _encode(self, images: Rgb, where: torch.Tensor) -> npt.NDArray[np.float32]:
        import torch

        device = next(self._tower.parameters()).device
        encoder = self.card.encoder
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
            x = pixels.permute(0, 3, 1, 2).float()
            mean = torch.tensor(encoder.mean, device=device).view(1, 3, 1, 1) * 255
            std = torch.tensor(encoder.std, device=device).view(1, 3, 1, 1) * 255
            x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
            result = self._tower(x, where.to(device))
        return np.asarray(result.float().cpu().numpy())

    @cached_property
    def _tower(self) -> torch.nn.Module:
        import torch

        from napari_past.model.tower import DenseTower

        tower = DenseTower(self.card.encoder.tower)
        prefix = "tower."
        state = {
            key.removeprefix(prefix): torch.from_numpy(np.array(value))
            for key, value in self._tensors.items()
            if key.startswith(prefix)
        }
        missing, unexpected = tower.load_state_dict(state, strict=False)
        if missing or unexpected:
            first = (missing or unexpected)[0]
            word = "lacks" if missing else "has the unexpected"
            raise BadModel(f"Model {self.name} {word} tensor {prefix}{first}; get the file again.")
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise PastError("No CUDA GPU was found; use --device cpu (or auto).")
        tower = tower.to(device=device, memory_format=torch.channels_last)
        return tower.eval()


class _out_of_memory_told:  # noqa: N801 - reads as a statement
    """Turns torch's out-of-memory errors into our sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None:
            return
        import torch

        if isinstance(exc, torch.cuda.OutOfMemoryError | MemoryError):
            raise WorkerFailed(
                "There was not enough memory to encode a tile; close other programs, or run on the "
                "CPU with --device cpu. Finished tiles are kept."
            ) from exc
