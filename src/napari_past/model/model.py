"""A loaded model: its card, its read-outs, and the tower when pixels are encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadModel, PastError, UnknownGene, WorkerFailed
from napari_past.model.card import Card
from napari_past.model.files import Tensors
from napari_past.model.halves import product
from napari_past.types import Cutoffs, FloatArray, PixelGrid, Rgb

if TYPE_CHECKING:
    import torch

ENCODE_BATCH = 64
DISTANCE_BLOCK = 16_384
SLIDE_UNLIKE_LIMIT = 2.0
"""Squared Mahalanobis distance of a slide's mean from which on the slide is flagged. Left out of
the statistics, a section of the training patient stays below 0.2 and any 300 neighbouring cells of
it below 1.5 (benchmarks/unlike.py): no other tissue had a say in it."""
LEAST_SLIDE_CELLS = 300
"""With fewer cells their mean tells where they lie in the tissue rather than what slide it is."""
TOWER = "tower."
"""Names of the tower's tensors in a model file begin with it."""


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
        self._widened: dict[str, npt.NDArray[np.float32]] = {}
        _check_tensors(card, tensors)
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

    @property
    def tower_state(self) -> Tensors:
        """The tower's weights, by their names in the tower."""
        return {
            key.removeprefix(TOWER): value
            for key, value in self._tensors.items()
            if key.startswith(TOWER)
        }

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
        weight = self._float32("readout.weight")[rows]
        bias = self._float32("readout.bias")[rows]
        return product(embeddings, weight.T) + bias

    def unlike_training(self, embeddings: npt.NDArray[np.floating]) -> FloatArray:
        """How far each cell lies from the training cells, float32 (n,); above 1 is flagged.

        Squared Mahalanobis distance in the leading principal components of the training embeddings
        (Lee et al. 2018, NeurIPS 31), divided by ``card.unlike_training_limit``.
        """
        mean = self._float32("statistics.mean")
        whitening = self._float32("statistics.whitening")
        result = np.empty(len(embeddings), np.float32)
        # In blocks: as float32 a slide's vectors would take twice the memory they have.
        for start in range(0, len(embeddings), DISTANCE_BLOCK):
            block = slice(start, start + DISTANCE_BLOCK)
            white = (np.asarray(embeddings[block], np.float32) - mean) @ whitening
            result[block] = (white**2).sum(axis=1) / self.card.unlike_training_limit
        return result

    def slide_unlike_training(self, embeddings: npt.NDArray[np.floating]) -> float:
        """How far a slide's cells as a whole lie from the training cells; above 1 is flagged.

        Squared Mahalanobis distance of the cells' mean in the components of `unlike_training`, less
        what sampling alone gives (their number over that of the cells), divided by
        `SLIDE_UNLIKE_LIMIT`. Another stain, scanner or organ moves all cells a little, which single
        cells do not show. A training set of one patient makes other patients look unlike it, too.

        Returns
        -------
        float
            NaN with fewer than `LEAST_SLIDE_CELLS` cells.
        """
        if len(embeddings) == 0:
            return float("nan")
        mean = np.asarray(embeddings).mean(axis=0, dtype=np.float64)
        return self.mean_unlike_training(mean, len(embeddings))

    def mean_unlike_training(self, mean: npt.NDArray[np.floating], n: int) -> float:
        """`slide_unlike_training` of `n` cells whose vectors have this mean, (d,)."""
        if n < LEAST_SLIDE_CELLS:
            return float("nan")
        whitening = self._float32("statistics.whitening")
        white = (mean - self._float32("statistics.mean")) @ whitening
        squared = float((white**2).sum()) - whitening.shape[1] / n
        return max(squared, 0.0) / SLIDE_UNLIKE_LIMIT

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

    def _float32(self, key: str) -> npt.NDArray[np.float32]:
        """A tensor widened, once: files keep some in half precision, and every tile asks."""
        if key not in self._widened:
            self._widened[key] = np.asarray(self._tensors[key], np.float32)
        return self._widened[key]

    def reliability(self, gene: str) -> Reliability:
        """Evidence for one gene of the model."""
        if gene not in self._rows:
            self.expression(np.zeros((0, self.embed_dim)), [gene])  # raises UnknownGene
        evidence = self.card.evidence
        learnable = evidence.detected.get(gene, 0.0) >= self.card.min_detected
        measured = [v for v in evidence.r.get(gene, ()) if v is not None]
        r = float(np.mean(measured)) if measured else None
        grey = evidence.unseen_patients == 0
        if not learnable:
            label = (
                f"not learnable · seen in {100 * evidence.detected.get(gene, 0.0):.1f} % "
                f"of training spots"
            )
        elif r is None:
            label = f"{evidence.whose} · {evidence.resolution} · r not measured"
        else:
            points = ", ".join(f"{v:.2f}" for v in measured)
            unit = "part" if evidence.blocks else "section"
            sections = f"{len(measured)} {unit}{'s' if len(measured) > 1 else ''}"
            label = f"{evidence.whose} · {evidence.resolution} · r {r:.2f} ({sections}: {points})"
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
        with _out_of_memory_told():
            return self._encode(rgb[None], np.column_stack([np.zeros(len(yx_px)), yx_px]))

    def _encode_crops(self, rgb: Rgb, yx_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        side = self.card.encoder.crop_px
        # Tiles agree on a centre but for its last bits; at half a pixel those would move the crop.
        corners = np.floor(np.round(yx_px - (side - 1) / 2, 6) + 0.5).astype(int)
        assert corners.min() >= 0, "beyond the halo"
        assert (corners + side <= rgb.shape[:2]).all(), "beyond the halo"
        parts = [
            self._encode_centres(np.stack([rgb[y : y + side, x : x + side] for y, x in batch]))
            for batch in np.split(corners, range(ENCODE_BATCH, len(corners), ENCODE_BATCH))
        ]
        return np.concatenate(parts)

    def _encode_centres(self, crops: Rgb) -> npt.NDArray[np.float32]:
        """One batch of crops, sampled at their centres."""
        n, height, width = crops.shape[:3]
        centre = np.full((n, 2), [(height - 1) / 2, (width - 1) / 2])
        with _out_of_memory_told():
            return self._encode(crops, np.column_stack([np.arange(n), centre]))

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

        Raises
        ------
        PastError
            The crops have another shape or type.
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
        starts = range(0, len(crops), ENCODE_BATCH)
        parts = [self._encode_centres(crops[start : start + ENCODE_BATCH]) for start in starts]
        vectors = np.concatenate([np.zeros((0, self.embed_dim), np.float32), *parts])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12))

    def _encode(self, images: Rgb, where_N3: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        import torch

        device = next(self._tower.parameters()).device
        encoder = self.card.encoder
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
            x = pixels.permute(0, 3, 1, 2).float()
            mean = torch.tensor(encoder.mean, device=device).view(1, 3, 1, 1) * 255
            std = torch.tensor(encoder.std, device=device).view(1, 3, 1, 1) * 255
            x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
            result = self._tower(x, torch.from_numpy(where_N3).to(device))
        return np.asarray(result.float().cpu().numpy())

    @cached_property
    def _tower(self) -> torch.nn.Module:
        import torch

        from napari_past.model.tower import DenseTower

        encoder = self.card.encoder
        try:
            tower = DenseTower(encoder.tower)
        except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as exc:
            raise BadModel(
                f"Model {self.name} asks for the backbone {encoder.tower.backbone!r} with stages "
                f"{encoder.tower.stages}, which timm {version('timm')} does not have ({exc}); "
                f"update timm or choose another model."
            ) from exc
        if encoder.mode == "dense" and any(encoder.stride_px % s for s in tower.strides):
            raise BadModel(
                f"The tower of model {self.name} has strides {tower.strides} but its card says "
                f"{encoder.stride_px}; get the file again."
            )
        state = {key: torch.from_numpy(np.array(value)) for key, value in self.tower_state.items()}
        try:
            missing, unexpected = tower.load_state_dict(state, strict=False)
        except RuntimeError as exc:
            first = str(exc).partition("\n")[2].strip().partition("\n")[0] or str(exc)
            raise BadModel(
                f"The tower of model {self.name} does not fit its card ({first.rstrip('. ')}); get "
                f"the file again."
            ) from exc
        if missing or unexpected:
            first = (missing or unexpected)[0]
            word = "lacks the" if missing else "has the unexpected"
            raise BadModel(f"Model {self.name} {word} tensor {TOWER}{first}; get the file again.")
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise PastError("No CUDA GPU was found; use --device cpu (or auto).")
        return tower.to(device).to(memory_format=torch.channels_last).eval()


def _check_tensors(card: Card, tensors: Tensors) -> None:
    """Raise `BadModel` for the first tensor that is not as the card has it.

    The tower's shapes are known to torch alone and checked when it is built.
    """
    d, g = card.encoder.tower.embed_dim, len(card.genes)
    expected: dict[str, tuple[int | None, ...]] = {
        "readout.weight": (g, d),
        "readout.bias": (g,),
        "statistics.mean": (d,),
        "statistics.whitening": (d, None),
    }
    for key, wanted in expected.items():
        if key not in tensors:
            raise BadModel(f"Model {card.name} lacks the tensor {key}; get the file again.")
        shape = tensors[key].shape
        fits = [w in (None, s) for w, s in zip(wanted, shape, strict=False)]
        if len(shape) != len(wanted) or not all(fits):
            text = " x ".join("any" if w is None else str(w) for w in wanted)
            raise BadModel(
                f"Tensor {key} of model {card.name} has shape {shape} but its card asks for "
                f"{text}; get the file again."
            )
    for key, values in tensors.items():
        if key not in expected and not key.startswith(TOWER):
            raise BadModel(
                f"Model {card.name} has the unexpected tensor {key}; get the file again."
            )
        floating = np.issubdtype(values.dtype, np.floating)
        if (key in expected and not floating) or (floating and not np.isfinite(values).all()):
            raise BadModel(
                f"Tensor {key} of model {card.name} does not hold finite floating-point numbers; "
                f"get the file again."
            )


class _out_of_memory_told:
    """Turns torch's out-of-memory errors into our sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None:
            return
        import torch

        # Without memory on the CPU torch raises no class of its own.
        on_cpu = isinstance(exc, RuntimeError) and "allocate memory" in str(exc)
        if on_cpu or isinstance(exc, torch.cuda.OutOfMemoryError | MemoryError):
            raise WorkerFailed(
                "There was not enough memory to encode a tile; close other programs, or run on the "
                "CPU with --device cpu. Finished tiles are kept."
            ) from exc
