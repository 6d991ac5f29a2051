"""Does a model make sense of single cells? Marker genes against annotated nuclei, without any
paired measurement.

The score of a type is the mean predicted value of its marker genes. Beside it stand what nuclear
shape and colour alone tell, and what random genes of the same expression tell: on H&E nearly any
gene separates tumour from stroma a little, so that an AUC means nothing without them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from napari_past.cells import read_block
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.slide import slide_of_array
from napari_past.types import Rect, Rgb
from napari_past.validation.compartments import MARKER_SETS
from napari_past.validation.genes import expression_matched
from napari_past.validation.metrics import detection_auc
from past_training.evaluation.nuclear_features import nuclear_features

TILE_MPP = 0.5
RANDOM_SETS = 200
LEAST_OF_BOTH = 5
"""A tile with fewer nuclei of the type, or of the others, has no AUC of its own."""
SEED = 20240229


@dataclass(frozen=True)
class AnnotatedTile:
    """A picture with the centres of its nuclei and their types."""

    name: str
    rgb: Rgb
    mpp: float
    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) from the picture's outer corner."""
    kinds: npt.NDArray[np.str_]
    """(n,)."""


@dataclass(frozen=True)
class MarkerScore:
    """How well one marker set tells its type from the others."""

    kind: str
    genes: tuple[str, ...]
    """Those of the set that the model predicts."""
    nuclei: int
    auc: float
    within_tiles: float
    """Mean AUC of the tiles that have both: without differences of stain between tiles."""
    shape_and_colour: float
    """AUC of a classifier on nuclear shape and colour that never saw the tile; NaN for one tile."""
    random: tuple[float, ...]
    """AUC of each random set of genes that are expressed as much; empty without any."""

    @property
    def percentile(self) -> float:
        """Share of the random sets that the marker set beats, in percent; NaN without any."""
        if not self.random:
            return float("nan")
        values = np.asarray(self.random)
        below = float((values < self.auc).mean()) + 0.5 * float((values == self.auc).mean())
        return 100 * below


@dataclass(frozen=True)
class MarkerCheck:
    """The check of one model on one folder of tiles."""

    model: str
    tiles: int
    scores: tuple[MarkerScore, ...]


def read_tiles(
    folder: Path, mpp: float = TILE_MPP, types: Collection[str] = tuple(MARKER_SETS)
) -> list[AnnotatedTile]:
    """Pictures ``*.png`` with ``*.json`` of the same name: ``{type: [[x, y], …]}`` in px.

    Types other than `types`, as those that have no marker set, are left out.

    Raises
    ------
    PastError
        There is none, or a file cannot be read so.
    """
    tiles = []
    for file in sorted(folder.glob("*.json")):
        picture = file.with_suffix(".png")
        try:
            rgb = np.asarray(Image.open(picture).convert("RGB"))
            points = {
                kind: np.asarray(places, np.float64).reshape(-1, 2)
                for kind, places in json.loads(file.read_text(encoding="utf-8")).items()
                if kind in types
            }
        except (OSError, ValueError, AttributeError, TypeError) as exc:
            raise PastError(
                f"{file.name} and {picture.name} are not a picture and its nuclei ({exc}); give a "
                f'PNG and beside it {{"epithelial": [[x, y], …], …}}.'
            ) from exc
        centers_px = np.concatenate([np.zeros((0, 2)), *points.values()])
        kinds = np.repeat(list(points), [len(p) for p in points.values()]).astype(np.str_)
        tiles.append(AnnotatedTile(file.stem, rgb, mpp, (centers_px + 0.5) * mpp, kinds))
    if not any(len(tile.kinds) for tile in tiles):
        raise PastError(
            f"{folder} holds no tiles with nuclei of {', '.join(types)}; give a folder of "
            f"PNG pictures with a JSON file of nuclei beside each."
        )
    return tiles


def marker_check(
    model: Model,
    tiles: Sequence[AnnotatedTile],
    expression: Mapping[str, float],
    n_random: int = RANDOM_SETS,
) -> MarkerCheck:
    """AUC of each marker set for its type against the other types.

    Parameters
    ----------
    expression
        Gene, as the model calls it → mean measured expression, to match random sets by; genes that
        it lacks are not drawn. Empty: no random sets.
    """
    vectors = np.concatenate([tile_embeddings(model, tile) for tile in tiles])
    kinds = np.concatenate([tile.kinds for tile in tiles])
    tile_of = np.repeat(np.arange(len(tiles)), [len(tile.kinds) for tile in tiles])
    levels = {gene: expression[gene] for gene in model.genes if gene in expression}
    classified = _classified(tiles, kinds, tile_of)
    markers = {gene for genes in MARKER_SETS.values() for gene in genes}
    scores = []
    for kind, wanted in MARKER_SETS.items():
        positive = kinds == kind
        genes = tuple(gene for gene in wanted if gene in model.genes)
        if not genes or positive.all() or not positive.any():
            continue
        matched = [gene for gene in genes if gene in levels]
        sets = expression_matched(levels, matched, n_random, SEED, markers) if matched else []
        values = _mean_value(model, vectors, genes)
        scores.append(
            MarkerScore(
                kind,
                genes,
                int(positive.sum()),
                auc(values, positive),
                _within(values, positive, tile_of),
                auc(classified[kind], positive) if classified else float("nan"),
                tuple(auc(_mean_value(model, vectors, s), positive) for s in sets),
            )
        )
    return MarkerCheck(model.name, len(tiles), tuple(scores))


def auc(values: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """Probability that a positive has the higher value, 0–1; NaN without both kinds."""
    return float(detection_auc(values[:, None], positive[:, None])[0])


def _within(
    values: npt.NDArray[np.floating],
    positive: npt.NDArray[np.bool_],
    tile_of: npt.NDArray[np.integer],
) -> float:
    """Mean AUC of the tiles that hold enough of both."""
    single = [
        auc(values[tile_of == tile], positive[tile_of == tile])
        for tile in np.unique(tile_of)
        if min(positive[tile_of == tile].sum(), (~positive[tile_of == tile]).sum()) >= LEAST_OF_BOTH
    ]
    return float(np.mean(single)) if single else float("nan")


def _mean_value(
    model: Model, vectors: npt.NDArray[np.float16], genes: Sequence[str]
) -> npt.NDArray[np.float64]:
    return np.asarray(model.expression(vectors, genes).mean(axis=1, dtype=np.float64))


def tile_embeddings(model: Model, tile: AnnotatedTile) -> npt.NDArray[np.float16]:
    """What the engine would store for cells at the annotated centres, (n, d)."""
    slide = slide_of_array(tile.rgb, tile.mpp)
    encoder = model.card.encoder
    rgb, grid = read_block(slide, Rect(0, 0, *slide.size_um), encoder.mpp, encoder.halo_px)
    return model.encode_tile(rgb, grid, tile.centers_um)


def _classified(
    tiles: Sequence[AnnotatedTile],
    kinds: npt.NDArray[np.str_],
    tile_of: npt.NDArray[np.integer],
) -> dict[str, npt.NDArray[np.float64]]:
    """Type → probability (n,) by gradient boosting on shape and colour, each tile left out in turn.

    Empty for a single tile: nothing could be left out.
    """
    if len(np.unique(tile_of)) < 2 or len(np.unique(kinds)) < 2:
        return {}
    features = np.concatenate([nuclear_features(t.rgb, t.centers_um, t.mpp) for t in tiles])
    # It takes NaN as they are: nuclei that the detector missed.
    classifier = HistGradientBoostingClassifier(random_state=SEED)
    probability = cross_val_predict(
        classifier, features, kinds, groups=tile_of, cv=LeaveOneGroupOut(), method="predict_proba"
    )
    return {str(kind): probability[:, k] for k, kind in enumerate(np.unique(kinds))}
