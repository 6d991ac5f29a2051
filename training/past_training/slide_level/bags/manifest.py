"""What lies in a folder of a prepared cohort.

manifest.json          the cohort, the model, each slide with where its vectors lie
covariates.parquet     patients by covariates, as they were given
summaries.parquet      slides by numbers
mean_vectors.npy       float32 (slides, d)
rna.parquet, text.npy  measured RNA and reports' vectors, where there are some
journal/<key>.json     a slide that is done; the key is of everything that it depends on
bags/<key>.*.npy       vectors and places that were copied
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import pydantic

from napari_past.engine.plan import StoreKey
from napari_past.model.strict import Strict
from napari_past.types import TileSpec
from past_training.slide_level.bags.kept import read_kept
from past_training.slide_level.bags.stored_bag import StoredBag

SCHEMA_VERSION = 1
COVARIATES, SUMMARIES, MEANS = "covariates.parquet", "summaries.parquet", "mean_vectors.npy"
RNA, TEXT = "rna.parquet", "text.npy"


class StoreKeyRecord(Strict):
    """As `StoreKey`."""

    fingerprint: str
    series: str
    slide_mpp: float
    model_sha256: str
    encoder_mpp: float
    detector: str
    tile_px: int
    schema_: int = pydantic.Field(alias="schema")


class InStore(Strict):
    """Vectors in the result store."""

    kind: Literal["store"] = "store"
    key: StoreKeyRecord
    tile_um: float
    tiles: tuple[tuple[int, int, int], ...]
    """Column, row, cells."""
    stem: str
    """Of the file that tells which of them count."""

    @staticmethod
    def of(bag: StoredBag, stem: str) -> InStore:
        """Where a bag's vectors lie."""
        return InStore(
            key=StoreKeyRecord(**asdict(bag.key)),
            tile_um=bag.tiles[0].size_um if bag.tiles else 0.0,
            tiles=tuple((t.column, t.row, n) for t, n in zip(bag.tiles, bag.sizes, strict=True)),
            stem=stem,
        )

    def bag(self, name: str, dim: int, folder: Path, root: Path | None) -> StoredBag:
        """The bag again; no tile is read.

        Parameters
        ----------
        folder
            Where it is kept which cells count.

        Raises
        ------
        OSError, ValueError
            That file is gone or damaged.
        """
        sizes = [n for _, _, n in self.tiles]
        return StoredBag(
            name,
            StoreKey(**self.key.model_dump(by_alias=True)),
            [TileSpec(column, row, self.tile_um) for column, row, _ in self.tiles],
            sizes,
            read_kept(folder, self.stem, sum(sizes)),
            dim,
            root,
        )


class InTable(Strict):
    """Vectors in a table of cells."""

    kind: Literal["table"] = "table"
    sha256: str


class InFiles(Strict):
    """Vectors in the folder."""

    kind: Literal["files"] = "files"
    stem: str


class SlideRecord(Strict):
    """One slide that is done."""

    name: str
    place: str
    patient: str
    fingerprint: str
    mpp: float | None
    size_um: tuple[float, float]
    cells: int
    instances: int
    unreadable_tiles: int
    left_out: dict[str, int]
    digest: str
    vectors: InStore | InTable | InFiles = pydantic.Field(discriminator="kind")


class Entry(Strict):
    """What the journal keeps of a slide."""

    slide: SlideRecord
    mean: tuple[float, ...]
    values: dict[str, float]


class CohortRecord(Strict):
    """What JSON holds of a cohort; covariates, RNA and texts have files of their own."""

    name: str
    patients: tuple[str, ...]
    time: tuple[float, ...] | None
    event: tuple[bool, ...] | None
    time_unit: str
    site: tuple[str, ...] | None
    fold: tuple[str, ...] | None
    classes: dict[str, tuple[str | None, ...]]
    notes: tuple[str, ...]


class ModelRecord(Strict):
    """As `ModelIdentity`."""

    name: str
    sha256: str
    embed_dim: int


class Manifest(Strict):
    """``manifest.json``."""

    schema_version: int = SCHEMA_VERSION
    research_use: str
    versions: dict[str, str]
    model: ModelRecord
    classifier: str
    """Name and SHA-256 of the classifier of the cells, empty without one."""
    instances: Literal["cells", "tiles"]
    tile_um: float | None
    cohort: CohortRecord
    slides: tuple[SlideRecord, ...]
    notes: tuple[str, ...]
