"""How near a student comes to its teacher, and how much faster it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.cells import read_block
from napari_past.engine import chosen_cutoffs
from napari_past.engine.plan import TILE_PX
from napari_past.errors import MissingCutoffs
from napari_past.genes import markers, resolve
from napari_past.model import EncoderCard, Model
from napari_past.slide import Slide
from napari_past.stain import classes, h_score
from napari_past.types import FloatArray, PixelGrid, Rect, Rgb
from napari_past.validation.metrics import pearson
from past_training.release.distill_cells import TaughtCells, by_tile

MOST_CELLS = 50_000
"""Of a slide that are compared."""
TIMED_TILES = 4
TIMED_CROPS = 256
"""Of a tile: a crop takes its time whatever the others show."""
_GENES_AT_ONCE = 256

Vectors = npt.NDArray[np.float16]


@dataclass(frozen=True)
class MarkerAgreement:
    """One marker by both, over the same cells."""

    label: str
    r: float
    """Pearson, over the cells; NaN where one of them predicts the same everywhere."""
    teacher_score: float
    """Pseudo-H-score, 0–300; NaN without cut-offs or for a stain that RNA cannot stand for."""
    student_score: float


@dataclass(frozen=True)
class Agreement:
    """A student beside its teacher on cells that it did not learn from."""

    where: str
    cells: int
    cosine: float
    """Mean over the cells."""
    cosine_low: float
    """10th percentile."""
    constant_cosine: float
    """Mean cosine of the teacher's vectors to their mean in training: what knowing nothing of a
    cell would give."""
    projected_cosine: float | None
    """Mean, after the projection that retrieval compares; None where there is none."""
    explained: float
    """Part of the variance of the teacher's vectors that the student explains."""
    genes: int
    gene_r: float
    """Median over the genes of Pearson r over the cells."""
    gene_r_low: float
    """10th percentile over the genes."""
    markers: tuple[MarkerAgreement, ...]
    flagged: tuple[float, float] | None
    """Share of the cells that teacher and student call unlike their training; None where the
    teacher does not know."""


@dataclass(frozen=True)
class Speed:
    """Cells/s of encoding alone, pixels in memory, on the same tiles."""

    device: str
    tiles: int
    cells: int
    teacher: float
    student: float

    @property
    def ratio(self) -> float:
        return self.student / self.teacher


def agreement(
    where: str,
    teacher: Model,
    student: Model,
    taught_ND: Vectors,
    learned_ND: Vectors,
    mean_D: FloatArray,
) -> Agreement:
    """Both on the same cells, whose vectors are `taught_ND` and `learned_ND`.

    Parameters
    ----------
    mean_D
        Of the teacher's vectors over the cells that were trained on.
    """
    taught, learned = taught_ND.astype(np.float32), learned_ND.astype(np.float32)
    cosine_N = cosines(taught, learned)
    r_G = _gene_r(teacher, taught, learned)
    known_G = r_G[np.isfinite(r_G)]
    error, variance = ((taught - learned) ** 2).sum(), ((taught - taught.mean(0)) ** 2).sum()
    flagged = None
    if teacher.card.unlike_training_limit is not None:
        flagged = _share_unlike(teacher, taught), _share_unlike(student, learned)
    return Agreement(
        where=where,
        cells=len(taught),
        cosine=float(cosine_N.mean()),
        cosine_low=float(np.quantile(cosine_N, 0.1)),
        constant_cosine=float(cosines(taught, mean_D[None]).mean()),
        projected_cosine=_projected(teacher, taught, learned),
        explained=1 - float(error / max(variance, 1e-12)),
        genes=len(r_G),
        gene_r=float(np.median(known_G)) if len(known_G) else float("nan"),
        gene_r_low=float(np.quantile(known_G, 0.1)) if len(known_G) else float("nan"),
        markers=_markers(teacher, taught, learned),
        flagged=flagged,
    )


def cosines(a_ND: FloatArray, b_ND: FloatArray) -> npt.NDArray[np.float64]:
    """Cosine of each row of one to that of the other, float64 (n,)."""
    a, b = a_ND.astype(np.float64), b_ND.astype(np.float64)
    length_N = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(1) / length_N.clip(1e-12))


def _projected(teacher: Model, taught: FloatArray, learned: FloatArray) -> float | None:
    if teacher.card.projection_dim is None:
        return None
    return float(cosines(teacher.project(taught), teacher.project(learned)).mean())


def _share_unlike(model: Model, vectors: FloatArray) -> float:
    return float((model.unlike_training(vectors) > 1).mean())


def _gene_r(teacher: Model, taught: FloatArray, learned: FloatArray) -> npt.NDArray[np.float64]:
    """Over the cells, of each gene: both vectors read by the teacher's read-out."""
    genes, parts = teacher.card.genes, [np.zeros(0)]
    for start in range(0, len(genes), _GENES_AT_ONCE):
        some = genes[start : start + _GENES_AT_ONCE]
        parts.append(pearson(teacher.expression(learned, some), teacher.expression(taught, some)))
    return np.concatenate(parts)


def _markers(
    teacher: Model, taught: FloatArray, learned: FloatArray
) -> tuple[MarkerAgreement, ...]:
    found = []
    for marker in markers():
        if not set(marker.genes) <= set(teacher.card.genes):
            continue
        resolved = resolve(marker.name, teacher.card.genes)
        one, other = (
            teacher.expression(v, resolved.symbols).mean(axis=1, keepdims=True)
            for v in (taught, learned)
        )
        scores = (float("nan"), float("nan"))
        if marker.scorable:
            try:
                cutoffs = chosen_cutoffs(teacher, resolved)
            except MissingCutoffs:
                pass
            else:
                counts = [np.bincount(classes(v[:, 0], cutoffs), minlength=4) for v in (one, other)]
                scores = h_score(counts[0]), h_score(counts[1])
        found.append(MarkerAgreement(resolved.label, float(pearson(other, one)[0]), *scores))
    return tuple(found)


def speed(teacher: Model, student: Model, cells: Sequence[TaughtCells]) -> Speed:
    """Both on some of the tiles that the student's cells lie in, from sparse to dense."""
    size_um = TILE_PX * student.card.encoder.mpp
    tiles = sorted(
        ((part, index) for part in cells for index in by_tile(part, size_um)),
        key=lambda tile: len(tile[1]),
    )
    places = np.unique(np.linspace(0, len(tiles) - 1, TIMED_TILES + 1).round().astype(int)[1:])
    seconds = {teacher: 0.0, student: 0.0}
    timed = {teacher: 0, student: 0}
    for k in places:
        part, index = tiles[k]
        centers_um = part.found.centers_um[index]
        x_um, y_um = np.floor(centers_um[0] / size_um) * size_um
        rect = Rect(float(x_um), float(y_um), size_um, size_um)
        for model in (teacher, student):
            encoder = model.card.encoder
            chosen = centers_um
            if encoder.mode == "crop":
                chosen = centers_um[:: -(-len(centers_um) // TIMED_CROPS)]
            rgb, grid = _block(part.slide, rect, encoder)
            if not timed[model]:
                # The first pass builds the tower and finds its memory.
                model.encode_tile(rgb, grid, chosen[:TIMED_CROPS])
            seconds[model] += _seconds(model, rgb, grid, chosen)
            timed[model] += len(chosen)
    rate = {model: timed[model] / max(seconds[model], 1e-9) for model in seconds}
    n = sum(len(tiles[k][1]) for k in places)
    return Speed(_device(student), len(places), n, rate[teacher], rate[student])


def _block(slide: Slide, rect: Rect, encoder: EncoderCard) -> tuple[Rgb, PixelGrid]:
    """A rectangle and what is seen around it, on the encoder's own grid."""
    step_um = encoder.stride_px * encoder.mpp
    x_um, y_um = np.floor([rect.x_um / step_um, rect.y_um / step_um]) * step_um
    wider = Rect(float(x_um), float(y_um), rect.x1_um - float(x_um), rect.y1_um - float(y_um))
    return read_block(slide, wider, encoder.mpp, encoder.halo_px)


def _seconds(model: Model, rgb: Rgb, grid: PixelGrid, centers_um: FloatArray) -> float:
    start = time.perf_counter()
    model.encode_tile(rgb, grid, centers_um)
    return time.perf_counter() - start


def _device(model: Model) -> str:
    import torch

    gpu = model.device != "cpu" and torch.cuda.is_available()
    if gpu:
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
