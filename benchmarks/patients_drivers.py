"""What a simulated hazard hangs on: three drivers, each defined on the cells of real tissue.

Every rule is fixed before any time is drawn and reads no outcome. The populations come from k-means
on the leading principal components of all cells; the poolings see the raw vectors of a bag alone,
never the populations, the components or the tissue outside the bag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
import numpy.typing as npt
from patients_tissue import MODEL, Tissue
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans

import napari_past as past

DriverName = Literal["rare", "neighbourhood", "marker"]
DRIVERS: tuple[DriverName, ...] = ("rare", "neighbourhood", "marker")
MARKER = "ERBB2"
COMPONENTS, RARE_OF, COARSE = 20, 40, 8
"""Principal components; populations among which the rare one is chosen; those of neighbours."""
RARE_SHARE = 0.02
"""The rare population is the one whose share of all cells is nearest to this."""
COMMON = 0.1
"""Neighbouring populations are at least this share of all cells each."""
NEAR_UM = 20.0
"""Centres of neighbouring cells lie this near."""
_SAMPLE = 20_000

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Driver:
    """A level of every cell of the pool; a bag's driver is the mean level of its cells."""

    name: DriverName
    level: FloatArray
    """(n,): 0 or 1 for a population, the predicted value of a marker."""
    cells: npt.NDArray[np.bool_]
    """(n,), which ones count as driver cells when they are looked for."""
    composition: FloatArray | None
    """(n, 2), indicators of what the hazard shall not follow from; None: nothing is taken out."""
    words: str


def all_drivers(pool: Sequence[Tissue]) -> dict[DriverName, Driver]:
    """The three drivers, over the cells of all tissues one after the other."""
    vectors = np.concatenate([tissue.vectors for tissue in pool]).astype(np.float32)
    components = _components(vectors)
    rare = _rare(components)
    return {
        "rare": rare,
        "neighbourhood": _neighbourhood(components, pool),
        "marker": _marker(vectors),
    }


def _components(vectors: FloatArray) -> FloatArray:
    """(n, `COMPONENTS`), whitened."""
    centred = (vectors - vectors.mean(0)) / vectors.std(0)
    values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    leading = axes[:, ::-1][:, :COMPONENTS] / np.sqrt(values[::-1][:COMPONENTS])
    return np.asarray(centred @ leading, np.float32)


def _populations(components: FloatArray, k: int) -> npt.NDArray[np.int32]:
    rows = np.random.default_rng(0).permutation(len(components))[:_SAMPLE]
    means = KMeans(k, n_init=1, random_state=0).fit(components[rows])
    return means.predict(components).astype(np.int32)


def _rare(components: FloatArray) -> Driver:
    population = _populations(components, RARE_OF)
    share = np.bincount(population, minlength=RARE_OF) / len(population)
    cells = population == np.abs(share - RARE_SHARE).argmin()
    return Driver(
        "rare",
        cells.astype(np.float32),
        cells,
        None,
        f"the share of one population ({cells.mean():.1%} of all cells; the one of {RARE_OF} whose "
        f"share is nearest to {RARE_SHARE:.0%}), put into windows from which it was removed",
    )


def _neighbourhood(components: FloatArray, pool: Sequence[Tissue]) -> Driver:
    """Cells of A with a cell of B near: of all pairs of common populations, the one that least
    follows from how many of each there are in squares of 100 µm."""
    population = _populations(components, COARSE)
    near = np.concatenate(
        [
            _has_near(tissue.places_um, part)
            for tissue, part in zip(
                pool,
                np.split(population, np.cumsum([len(t.vectors) for t in pool])[:-1]),
                strict=True,
            )
        ]
    )
    square = squares(pool, 100.0)
    own = np.eye(COARSE, dtype=bool)[population]

    def left_over(pair: tuple[int, int]) -> float:
        a, b = pair
        table = np.stack([own[:, a] & near[:, b], own[:, a], own[:, b]], axis=1)
        means = mean_of_groups(table.astype(np.float32), square)
        return float(without(means[:, 0], means[:, 1:]).std())

    common = np.flatnonzero(own.mean(axis=0) >= COMMON).tolist()
    a, b = max(permutations(common, 2), key=left_over)
    cells = own[:, a] & near[:, b]
    return Driver(
        "neighbourhood",
        cells.astype(np.float32),
        cells,
        own[:, [a, b]].astype(np.float32),
        f"the share of cells of a population A ({own[:, a].mean():.0%} of all) with a cell of B "
        f"({own[:, b].mean():.0%}) within {NEAR_UM:.0f} µm, beyond what the shares of A and B and "
        f"their product tell",
    )


def _has_near(places_um: npt.NDArray[np.float64], population: npt.NDArray[np.int32]) -> FloatArray:
    """(n, `COARSE`) bool: whether another cell of each population lies within `NEAR_UM`."""
    found = np.zeros((len(places_um), COARSE), bool)
    pairs = cKDTree(places_um).query_pairs(NEAR_UM, output_type="ndarray")
    found[pairs[:, 0], population[pairs[:, 1]]] = True
    found[pairs[:, 1], population[pairs[:, 0]]] = True
    return found


def _marker(vectors: FloatArray) -> Driver:
    level = past.load_model(MODEL).expression(vectors, [MARKER])[:, 0].astype(np.float32)
    limit = np.quantile(level, 0.9)
    return Driver(
        "marker",
        level,
        level >= limit,
        None,
        f"the mean predicted level of {MARKER}; driver cells: the highest tenth of the pool",
    )


def squares(pool: Sequence[Tissue], side_um: float) -> npt.NDArray[np.int64]:
    """(n,), a number for each square of tissue: cells of one square have the same."""
    keys = [
        np.column_stack([np.full(len(t.vectors), i), np.floor(t.places_um / side_um)])
        for i, t in enumerate(pool)
    ]
    return np.unique(np.concatenate(keys).astype(np.int64), axis=0, return_inverse=True)[1].ravel()


def mean_of_groups(values: FloatArray, group: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(groups, k), means of values (n, k) over the groups (n,), numbered from 0."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, v) / count for v in values.T.astype(np.float64)], axis=1)


def without(
    values: npt.NDArray[np.float64], composition: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """What is left of values (n,) after least squares on two shares (n, 2) and their product."""
    design = np.column_stack([np.ones(len(values)), composition, composition.prod(axis=1)])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
