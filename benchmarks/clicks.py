"""Cell types by clicks: macro-F1 against the number of labelled cells, on tiles never clicked in.

    python benchmarks/clicks.py FOLDER [--draws 40] [--model NAME|PATH]

FOLDER holds pictures ``*.png`` of 0.5 µm/px with ``*.json`` of nuclei by type, as `crc_nuclei`. In
each draw half of the tiles, at random, are clicked in, and all nuclei of the other half are told;
of which slide a tile is nobody tells, so that both halves may hold tiles of one. The plugin's probe
(one ridge, fixed beforehand) is fitted to the same clicks on two descriptions of the same nuclei:
the model's vectors, and 15 numbers of shape and colour of the nucleus (`nuclear_features`) with a
sixteenth, whether an outline was found. Nothing is chosen by what comes out here; but the stain
augmentation of past-mini was, on `crc_nuclei` (docs/training.md).

Three ways to click: ``by class``, so many of each class at random; ``at random``, one of each class
and then any nucleus of the clicked tiles; ``suggested``, one of each class and then what the probe
suggests. Clicks are counted per class, so all three make as many in all. An interval is where the
middle 95 % of the draws lie: what one user may meet on such tiles, not how well the mean is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import add_outputs, machine_line, report, table, told

from napari_past.errors import PastError
from napari_past.model import DEFAULT_MODEL, load_model
from napari_past.model.classifier import ClassifiedCells, class_f1, suggest
from napari_past.model.classifier.probe import PRIOR_LOGIT, Probe, fit_probe
from past_training.evaluation.marker_sets import AnnotatedTile, read_tiles, tile_embeddings
from past_training.evaluation.nuclear_features import SHAPE, nuclear_features

TYPES = ("epithelial", "fibroblast", "inflammatory", "others")
COUNTS = (1, 2, 5, 10, 20, 50)
DRAWS = 40
SEED = 20240229
LEAST_OF_TYPE = 5
"""A draw has so many nuclei of each type on either side; others are drawn again."""
BASELINE = "shape and colour"
NOT_UNTOUCHED = (
    "How strong the stain augmentation of past-mini should be was chosen by marker genes on the "
    "tiles of `crc_nuclei`, so its figures on them are not untouched by choice."
)
WAYS = ("by class", "at random", "suggested")


@dataclass(frozen=True, eq=False)
class Nuclei:
    """The nuclei of all tiles, described in several ways."""

    codes: npt.NDArray[np.intp]
    """(n,) places among `TYPES`."""
    tile: npt.NDArray[np.intp]
    """(n,)."""
    described: Mapping[str, npt.NDArray[np.floating]]
    """Name → (n, d); NaN where nothing is known."""


@dataclass(frozen=True)
class ClickRow:
    """Macro-F1 on other tiles after so many clicks."""

    way: str
    clicks: int
    """Per class, in the mean; 0 for all nuclei of the clicked tiles."""
    scores: Mapping[str, tuple[float, ...]]
    """Description → macro-F1 of each draw."""

    def told(self, name: str) -> str:
        """Mean, and the middle 95 % of the draws."""
        return _told(np.array(self.scores[name]))

    def gain(self, name: str) -> npt.NDArray[np.float64]:
        """Of a description over shape and colour, in each draw."""
        return np.array(self.scores[name]) - np.array(self.scores[BASELINE])


@dataclass(frozen=True)
class ClicksResult:
    """What came out, to be tabulated."""

    model: str
    tiles: int
    nuclei: Mapping[str, int]
    """Type → nuclei."""
    draws: int
    rows: tuple[ClickRow, ...]
    largest: tuple[float, ...]
    """Macro-F1 of calling every nucleus what most of the clicked tiles are, in each draw."""
    f1: Mapping[str, tuple[float, ...]]
    """Description → F1 of each type, in the mean, at the most clicks by class."""

    def lines(self) -> list[str]:
        """As Markdown."""
        head = ["clicks", "per class", f"{self.model}: macro-F1", f"{BASELINE}: macro-F1",
                "difference", f"draws in which {self.model} is better"]  # fmt: skip
        rows = [
            [
                row.way,
                row.clicks or "all nuclei",
                row.told(self.model),
                row.told(BASELINE),
                _told(row.gain(self.model), signed=True),
                f"{(row.gain(self.model) > 0).mean():.0%}",
            ]
            for row in self.rows
        ]
        most = max(row.clicks for row in self.rows)
        types = [[name, *(f"{v:.2f}" for v in values)] for name, values in self.f1.items()]
        seen = f" {NOT_UNTOUCHED}" if self.model == DEFAULT_MODEL else ""
        counted = ", ".join(f"{n} {name}" for name, n in self.nuclei.items())
        return [
            *table(head, rows),
            "",
            f"Mean over {self.draws} draws, in brackets where the middle 95 % of them lie. "
            f"{self.tiles} tiles; {counted}. Half of the tiles are clicked in, the nuclei of the "
            f"others are told. Calling all of them what is most frequent: macro-F1 "
            f"{_told(np.array(self.largest))}. The ridge is fixed beforehand (deviation of a "
            f"logit's prior {PRIOR_LOGIT:g}).{seen}",
            "",
            *table([f"F1, {most} clicks by class", *TYPES], types),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|PATH")
    add_outputs(parser)
    options = parser.parse_args()
    result = clicks(options.folder, options.model, options.draws)
    numbers = {
        "model": result.model, "draws": result.draws, "nuclei": dict(result.nuclei),
        "largest": result.largest, "f1": dict(result.f1),
        "rows": [
            {"way": r.way, "clicks": r.clicks, "scores": dict(r.scores)} for r in result.rows
        ],
    }  # fmt: skip
    report(options, [*result.lines(), "", machine_line()], numbers)


def clicks(
    folder: Path,
    model: str = DEFAULT_MODEL,
    draws: int = DRAWS,
    counts: Sequence[int] = COUNTS,
    cancelled: Callable[[], bool] = lambda: False,
) -> ClicksResult:
    """The comparison; the same tiles give the same result.

    Raises
    ------
    PastError
        No tiles, or too few nuclei of a type to have some on either side.
    """
    tiles = [t for t in read_tiles(folder, types=TYPES) if len(t.kinds)]
    loaded = load_model(model)
    nuclei = Nuclei(
        np.concatenate([[TYPES.index(kind) for kind in t.kinds] for t in tiles]).astype(np.intp),
        np.repeat(np.arange(len(tiles)), [len(t.kinds) for t in tiles]),
        {
            loaded.name: np.concatenate([tile_embeddings(loaded, t) for t in tiles]),
            BASELINE: np.concatenate([_shape_and_colour(t) for t in tiles]),
        },
    )
    rng = np.random.default_rng(SEED)
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    f1: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in nuclei.described}
    largest = []
    for _ in range(draws):
        if cancelled():
            break
        clicked = _clicked(nuclei, len(tiles), rng)
        truth = nuclei.codes[~clicked]
        most = np.full(len(truth), np.bincount(nuclei.codes[clicked]).argmax())
        largest.append(float(_f1(truth, most).mean()))
        seed = int(rng.integers(2**32))
        for name, vectors in nuclei.described.items():
            arm = _Arm(vectors, nuclei.codes, clicked)
            # The same seed for each description: the same clicks.
            for key, scores in arm.scores(counts, np.random.default_rng(seed)).items():
                found.setdefault(key, {}).setdefault(name, []).append(float(scores.mean()))
                if key == (WAYS[0], max(counts)):
                    f1[name].append(scores)
    return ClicksResult(
        loaded.name,
        len(tiles),
        {name: int((nuclei.codes == code).sum()) for code, name in enumerate(TYPES)},
        len(largest),
        tuple(
            ClickRow(way, n, {name: tuple(values) for name, values in scores.items()})
            for (way, n), scores in found.items()
        ),
        tuple(largest),
        {name: tuple(np.mean(values, axis=0).tolist()) for name, values in f1.items()},
    )


class _Arm:
    """One description in one draw."""

    def __init__(
        self,
        vectors: npt.NDArray[np.floating],
        codes: npt.NDArray[np.intp],
        clicked: npt.NDArray[np.bool_],
    ) -> None:
        vectors = _filled(vectors, clicked)
        self.vectors, self.codes = vectors[clicked], codes[clicked]
        self.others, self.truth = vectors[~clicked], codes[~clicked]

    def scores(
        self, counts: Sequence[int], rng: np.random.Generator
    ) -> dict[tuple[str, int], npt.NDArray[np.float64]]:
        """(way, clicks per class) → F1 of each type on the other tiles."""
        shuffled = rng.permutation(len(self.codes))
        of_type = [shuffled[self.codes[shuffled] == code] for code in range(len(TYPES))]
        first = np.array([rows[0] for rows in of_type])
        rest = shuffled[~np.isin(shuffled, first)]
        found = {}
        for n in counts:
            rows = np.concatenate([rows[:n] for rows in of_type])
            found[WAYS[0], n] = self._f1(rows)
        for n in counts:
            more = rest[: (n - 1) * len(TYPES)]
            found[WAYS[1], n] = self._f1(np.concatenate([first, more]))
        rows = first
        for n in range(1, max(counts) + 1):
            probe = self._probe(rows)
            if n in counts:
                found[WAYS[2], n] = self._told(probe)
            told = ClassifiedCells.of(TYPES, probe.probabilities(self.vectors))
            rows = np.concatenate([rows, suggest(self.vectors, told, rows, len(TYPES))])
        found["all", 0] = self._f1(shuffled)
        return found

    def _f1(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return self._told(self._probe(rows))

    def _probe(self, rows: npt.NDArray[np.intp]) -> Probe:
        return fit_probe(self.vectors[rows], self.codes[rows], len(TYPES), reference=self.vectors)

    def _told(self, probe: Probe) -> npt.NDArray[np.float64]:
        return _f1(self.truth, probe.probabilities(self.others).argmax(axis=1))


def _shape_and_colour(tile: AnnotatedTile) -> npt.NDArray[np.float32]:
    """(n, 16): `nuclear_features`, and whether an outline was found, without which there is no
    shape."""
    features = nuclear_features(tile.rgb, tile.centers_um, tile.mpp)
    outlined = np.isfinite(features[:, : len(SHAPE)]).all(axis=1)
    return np.column_stack([features, outlined]).astype(np.float32)


def _filled(
    vectors: npt.NDArray[np.floating], clicked: npt.NDArray[np.bool_]
) -> npt.NDArray[np.floating]:
    """With what is missing as the mean over the clicked tiles."""
    missing = np.isnan(vectors)
    if not missing.any():
        return vectors
    mean = np.nanmean(vectors[clicked], axis=0)
    return np.where(missing, mean, vectors).astype(vectors.dtype)


def _clicked(nuclei: Nuclei, tiles: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(n,): the nuclei of half of the tiles, with some of each type on either side."""
    for _ in range(1000):
        chosen = rng.permutation(tiles)[: tiles // 2]
        clicked = np.isin(nuclei.tile, chosen)
        sides = (nuclei.codes[clicked], nuclei.codes[~clicked])
        if all(np.bincount(s, minlength=len(TYPES)).min() >= LEAST_OF_TYPE for s in sides):
            return clicked
    raise PastError(
        f"The {tiles} tiles cannot be halved so that {LEAST_OF_TYPE} nuclei of each type lie on "
        "either side; give more tiles."
    )


def _f1(truth: npt.NDArray[np.intp], predicted: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    counts = np.zeros((len(TYPES), len(TYPES)))
    np.add.at(counts, (truth, predicted), 1)
    return class_f1(counts)


def _told(values: npt.NDArray[np.floating], signed: bool = False) -> str:
    low, high = np.quantile(values, (0.025, 0.975))
    sign = "+" if signed else ""
    text = f"{values.mean():{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"
    return text.replace("-", "−")


if __name__ == "__main__":
    told(main)
