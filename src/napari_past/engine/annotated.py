"""The exchange table: cells as an AnnData with provenance."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData

from napari_past.cells import BroughtCells
from napari_past.engine.cell_classes import CLASSIFIER, add_class_columns
from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.engine.plan import Plan
from napari_past.engine.unreadable import UNREADABLE, unreadable_told
from napari_past.genes import markers
from napari_past.quality import UNSCORED_KINDS
from napari_past.stain.measured import dab_of
from napari_past.types import FloatArray, Outlines

if TYPE_CHECKING:
    from napari_past.engine.cells import Cells

ALL_GENES = "all"
SCHEMA_VERSION = 1
LAZY_VALUES = 50_000_000
"""Above this many values the expression is a dask array, written block by block."""
BLOCK_CELLS = 16_384
BROUGHT_SUFFIX = "_brought"
VIEWER_COLUMNS = ("regions", "ignored")
"""What the viewer puts beside the columns of a table."""
MOST_CUTOFFS = 100
"""With more genes than these, the table tells the cut-offs of the panel's genes alone."""


def chosen_genes(model: Assay, genes: Sequence[str] | str | None) -> list[str]:
    """Symbols of the model that a choice of names means, in order, each once.

    Parameters
    ----------
    genes
        Names of genes or markers; "all"; None for the panel markers that the model has. Of a
        measured stain, None and "all" are all that was measured.

    Raises
    ------
    UnknownGene, AmbiguousGene
    """
    if genes == ALL_GENES or (genes is None and isinstance(model, MeasuredStain)):
        return list(model.genes)
    if genes is None:
        have = set(model.genes)
        return list(dict.fromkeys(g for m in markers() for g in m.genes if g in have))
    names = [genes] if isinstance(genes, str) else genes
    return list(dict.fromkeys(s for n in names for s in model.resolve(n).symbols))


def annotated(cells: Cells, genes: Sequence[str] | str | None) -> AnnData:
    """See `Cells.to_anndata`."""
    model, plan = cells.model, cells.plan
    symbols = chosen_genes(model, genes)
    adata = AnnData(
        X=_expression(cells, symbols),
        obs=pd.DataFrame(
            {
                "area_um2": cells.found.areas_um2,
                "hematoxylin_od": cells.hematoxylin_od,
                **_flags(cells),
            },
            index=pd.Index(cells.ids, dtype=object),
        ),
        var=_gene_table(model, symbols),
        obsm={
            "spatial": cells.centers_um,
            "outline_um": padded_outlines(cells.found.outlines),
        },
    )
    if isinstance(model, MeasuredStain):
        adata.obs["dab_od"] = dab_of(cells.embeddings, model.compartment)
    else:
        adata.obsm["X_past"] = cells.embeddings
    types = cells.cell_types
    if types is not None:
        adata.obs["cell_type"] = pd.Categorical.from_codes(
            types.code, pd.Index(types.names, dtype=object)
        )
        adata.obs["cell_type_margin"] = types.margin
    classified = cells.classified
    if classified is not None:
        add_class_columns(adata, classified)
    kinds = unscored_kinds(cells)
    if kinds is not None:
        adata.obs["unscored"] = pd.Categorical(kinds, categories=["", *UNSCORED_KINDS])
    brought = cells.brought
    if brought is not None:
        add_brought(adata, brought)
    # Each entry is an HDF5 object of its own: thousands of them would take longer than the cells.
    told = symbols if len(symbols) <= MOST_CUTOFFS else chosen_genes(model, None)
    cutoffs = {g: c for g in told if (c := model.cutoffs(g)) is not None}
    adata.uns["napari_past"] = {
        "schema_version": SCHEMA_VERSION,
        "research_use": model.research_use,
        "slide": {
            "name": plan.slide_name,
            "fingerprint": plan.key.fingerprint,
            **({} if plan.slide.series is None else {"series": plan.slide.series}),
            "mpp": plan.key.slide_mpp,
            "width_px": plan.slide_size_px[0],
            "height_px": plan.slide_size_px[1],
        },
        **_values_made(model),
        "analysed": analysed(plan, cells.excluded),
        "detector": plan.detector.identity(),
        "threads": plan.threads,
        "denominator": "all nuclei, not tumour-only",
        "cutoffs": {g: list(c.values) for g, c in cutoffs.items()},
        "cutoffs_source": {g: c.source for g, c in cutoffs.items()},
        "unreadable_tiles": [f"{t.column},{t.row}" for t in cells.unreadable],
        UNREADABLE: unreadable_told(cells.unreadable),
        "slide_unlike_training": cells.slide_unlike_training,
        "tile_um": plan.tiles[0].size_um if plan.tiles else 0.0,
        "versions": {name: version(name) for name in _packages(model)},
    }
    if cells.classifier is not None:
        adata.uns["napari_past"][CLASSIFIER] = cells.classifier.told
    if model.bank is not None:
        adata.uns["napari_past"]["model"]["bank"] = model.bank.told
    if brought is not None:
        adata.uns["napari_past"]["cells"] = {
            "source": brought.source,
            "kind": brought.kind,
            "notes": list(brought.notes),
        }
    quality = cells.quality
    if quality is not None:
        adata.uns["napari_past"]["unscored"] = {
            "source": quality.source,
            "mpp": quality.mpp,
            "area_mm2": quality.area_mm2(),
        }
    return adata


def add_brought(adata: AnnData, brought: BroughtCells) -> None:
    """Put what came with brought cells into ``obs``, and their outer outlines into ``obsm``.

    A name that is ours, or that the viewer adds, wins; theirs then ends in ``_brought``.
    """
    obs = adata.obs
    for name, values in brought.columns.items():
        column = name
        while column in obs or column in VIEWER_COLUMNS or column.endswith("_class"):
            column = f"{column}{BROUGHT_SUFFIX}"
        if values.dtype.kind in "OUS":
            texts = pd.Series(values, index=obs.index, dtype=object).map(lambda v: v or None)
            obs[column] = texts.astype("category") if column == "classification" else texts
        else:
            obs[column] = values
    if brought.cell_outlines is not None:
        adata.obsm["cell_outline_um"] = padded_outlines(brought.cell_outlines)


def _values_made(model: Assay) -> dict[str, dict[str, object]]:
    """How the values came about."""
    if isinstance(model, MeasuredStain):
        return {"measured": model.told}
    card = model.card
    return {
        "model": {
            "name": model.name,
            "version": card.version,
            "sha256": model.sha256,
            "expression_unit": model.expression_unit,
            "organ": card.organ,
            "species": card.species,
            "preparation": card.preparation,
            "training_data": card.training_data,
            "licence": card.licence,
            "attribution": card.attribution,
            "evidence": card.evidence.protocol,
            "evidence_patients": card.evidence.patients,
            "evidence_unseen_patients": card.evidence.unseen_patients,
            "evidence_resolution": card.evidence.resolution,
        }
    }


def _packages(model: Assay) -> tuple[str, ...]:
    """Whose versions bear on the values."""
    made = ("scikit-image",) if isinstance(model, MeasuredStain) else ("torch", "timm")
    return ("napari-past", *made)


def unscored_kinds(cells: Cells) -> npt.NDArray[np.str_] | None:
    """Why each cell is not scored, (n,), "" where it is; None where no mask was made."""
    quality = cells.quality
    if quality is None:
        return None
    return np.array(["", *UNSCORED_KINDS])[quality.kind_at(cells.centers_um)]


def analysed(plan: Plan, excluded: int = 0) -> str:
    """Which part of the slide a plan's cells stand for, one line.

    Parameters
    ----------
    excluded
        Cells that Ignore* regions took out.
    """
    told = f"{len(plan.tiles)} of the slide's {plan.slide_tiles} tiles with tissue"
    width_um, height_um = (side * plan.key.slide_mpp for side in plan.slide_size_px)
    area = plan.area
    if area.width_um < width_um or area.height_um < height_um:
        told += f", x {area.x_um:g}, y {area.y_um:g}, {area.width_um:g} x {area.height_um:g} µm"
    limits = sum(not region.ignored for region in plan.regions)
    if limits:
        told += f", inside {limits} region{'s' if limits > 1 else ''}"
    if excluded:
        told += f", without {excluded} cells in Ignore* regions"
    return told


def _flags(cells: Cells) -> dict[str, npt.NDArray[np.bool_]]:
    """Cells that look unlike the training; no column where the model cannot tell."""
    model = cells.model
    if isinstance(model, MeasuredStain) or model.card.unlike_training_limit is None:
        return {}
    return {"unlike_training": cells.unlike_training > 1}


def _expression(cells: Cells, symbols: list[str]) -> FloatArray | da.Array:
    if len(cells) * len(symbols) <= LAZY_VALUES:
        return cells.expression(symbols)
    lazy: da.Array = da.from_array(cells.embeddings, chunks=(BLOCK_CELLS, -1)).map_blocks(
        lambda block: cells.model.expression(block, symbols),
        dtype=np.float32,
        chunks=(da.core.normalize_chunks(BLOCK_CELLS, (len(cells),))[0], (len(symbols),)),
        meta=np.empty((0, 0), np.float32),
    )
    return lazy


def _gene_table(model: Assay, symbols: list[str]) -> pd.DataFrame:
    rows = [model.reliability(g) for g in symbols]
    table = pd.DataFrame(
        {
            "r": np.array([np.nan if r.r is None else r.r for r in rows], np.float64),
            "detected_fraction": np.array([model.detected(g) for g in symbols], np.float64),
            "learnable": np.array([r.learnable for r in rows], bool),
            "evidence": np.array([r.label for r in rows], object),
        },
        index=pd.Index(symbols, dtype=object),
    )
    if isinstance(model, MeasuredStain):  # shares and classes stand beside densities
        table["unit"] = [model.unit_of(gene) for gene in symbols]
    return table


def padded_outlines(outlines: Outlines) -> npt.NDArray[np.float32]:
    """Ragged outlines as (n, K, 2) float32, NaN after each polygon's last vertex."""
    lengths = np.diff(outlines.offsets)
    result = np.full((len(outlines), int(lengths.max(initial=0)), 2), np.nan, np.float32)
    filled = np.arange(result.shape[1]) < lengths[:, None]
    result[filled] = outlines.vertices_um
    return result
