"""A reference bank of measured cells, from any AnnData, by a model's cell tower."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csc_array, csr_array

from napari_past.errors import BadTable, PastError
from napari_past.files import atomic_write, existing_file
from napari_past.model import Model
from napari_past.model.bank import (
    PATIENT,
    STUDY,
    TYPE,
    Bank,
    BankCells,
    MadeBy,
    read_bank,
    write_bank,
)
from napari_past.model.count_rows import open_counts
from napari_past.model.files import FOLDER_BANK, FOLDER_CARD, FOLDER_WEIGHTS
from napari_past.model.labels import Labels
from napari_past.model.tokens import PAD, PREFIX, token_blocks
from napari_past.model.vocabulary import Vocabulary
from napari_past.spatial.gene_names import gene_counts
from napari_past.validation.genes import log1p_cp10k
from past_training.release.out import BANK_SUFFIX, check_bank


@dataclass(frozen=True)
class BankConfig:
    """How a table is read. Of a column that is None the usual one is taken where there is one."""

    species: str = "human"
    layer: str | None = None
    type_key: str | None = None
    patient_key: str | None = None
    study_key: str | None = None
    batch: int = 1024
    """Cells between two reports of progress."""


@contextmanager
def bank_place(out: Path, model: Model) -> Iterator[Path]:
    """Where a bank is to be written: a ``.h5ad`` file, or its place in a folder.

    A folder becomes a model of its own, with the weights beside the bank, when the block ends
    without an error; else nothing is left of it.

    Raises
    ------
    PastError
        `out` is neither.
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    check_bank(out)
    if out.suffix == BANK_SUFFIX:
        yield out
        return
    source = Path(model.path)
    parts = {FOLDER_WEIGHTS: source}
    if source.is_dir():
        parts = {name: source / name for name in (FOLDER_CARD, FOLDER_WEIGHTS)}
    out.mkdir()
    try:
        yield out / FOLDER_BANK
        for name, part in parts.items():
            if part.is_file():
                with atomic_write(out / name) as unfinished:
                    shutil.copyfile(part, unfinished)
    except BaseException:
        shutil.rmtree(out)
        raise


def build_bank(
    model: Model,
    cells: Path,
    vocabulary: Vocabulary,
    out: Path,
    config: BankConfig,
    on_cells: Callable[[int, int], None] | None = None,
) -> tuple[Bank, int]:
    """Encode the cells of a table and write them as a bank.

    Cells without counts, or without any gene that the model knows, are left out.

    Parameters
    ----------
    cells
        An ``.h5ad`` file with raw counts; it is streamed.
    on_cells
        Told how many cells are done, and of how many.

    Returns
    -------
    bank
        As it was written.
    empty
        How many cells were left out.

    Raises
    ------
    PastError
        The model has no cell tower.
    BadTable
        The table cannot be used; see `tokens.tokenize`.
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    if model.card.cell_tower is None:
        raise PastError(
            f"Model {model.name} has no cell tower, so it cannot encode measured cells; use a "
            f"model that has one, such as past."
        )
    obs = _obs(cells)
    ids = [str(name) for name in obs.index]
    types, patients, studies = (
        _labels(obs, key, usual, cells)
        for key, usual in (
            (config.type_key, TYPE), (config.patient_key, PATIENT), (config.study_key, STUDY),
        )
    )  # fmt: skip
    tokens = token_blocks(
        cells, vocabulary, species=config.species, layer=config.layer, rows_at_once=config.batch
    )
    vectors, values = [np.zeros((0, model.card.projection_dim or 0), np.float16)], []
    kept = np.zeros(len(ids), np.bool_)
    with open_counts(cells, config.layer) as counts:
        to_genes, genes = _to_genes(counts.var, config.species)
        for (start, ids_block), (_, block) in zip(tokens, counts.blocks(config.batch), strict=True):
            per_gene = csr_array(block.astype(np.float32) @ to_genes)
            total = np.asarray(per_gene.sum(axis=1)).ravel()
            there = (ids_block[:, PREFIX] != PAD) & (total > 0)
            kept[start : start + len(there)] = there
            if there.any():
                vectors.append(model.encode_tokens(ids_block[there]).astype(np.float16))
                values.append(csc_array(log1p_cp10k(csr_array(per_gene[there]), total[there])))
            if on_cells is not None:
                on_cells(start + len(there), len(ids))
    if not kept.any():
        raise BadTable(
            f"No cell of {cells.name} has counts of genes that {model.name} knows; give a table of "
            f"raw counts with --cells."
        )
    rows = np.flatnonzero(kept)
    chosen = BankCells(
        [ids[i] for i in rows], *(_of(labels, rows) for labels in (types, patients, studies))
    )
    made_by = MadeBy(model.name, model.cell_sha256)
    write_bank(out, np.concatenate(vectors), values, genes, chosen, made_by)
    return read_bank(out), len(ids) - len(rows)


def _obs(cells: Path) -> pd.DataFrame:
    source = existing_file(cells)
    try:
        table = anndata.read_h5ad(source, backed="r")
    except Exception as exc:  # a damaged file fails in h5py or anndata in many ways
        raise BadTable(
            f"{source.name} cannot be read as an AnnData file ({exc}); give an intact .h5ad file."
        ) from exc
    obs: pd.DataFrame = table.obs
    table.file.close()
    return obs


def _labels(obs: pd.DataFrame, key: str | None, usual: str, cells: Path) -> Labels:
    if key is None and usual not in obs:
        return Labels((), np.full(len(obs), -1, np.int32))
    column = key or usual
    if column not in obs:
        there = ", ".join(map(str, obs.columns[:12])) or "none"
        raise BadTable(
            f"{cells.name} has no column {column!r} in obs (there are: {there}); give one of them."
        )
    texts = obs[column]
    return Labels.of(texts.astype(str).where(texts.notna(), "").tolist())


def _of(labels: Labels, rows: npt.NDArray[np.int64]) -> Labels:
    """Labels of some cells; names that none of them has are dropped."""
    codes, code = np.unique(labels.codes[rows], return_inverse=True)
    told = codes >= 0
    names = tuple(labels.names[c] for c in codes[told])
    return Labels(names, (code - int((~told).sum())).astype(np.int32))


def _to_genes(var: pd.DataFrame, species: str) -> tuple[csr_array, tuple[str, ...]]:
    """A matrix that adds the columns of each gene up, (columns, genes), and the genes' symbols."""
    columns = csr_array((np.ones(len(var), np.float32), (np.arange(len(var)),) * 2))
    told = {
        key: var[key].astype(str).tolist() for key in ("gene_ids", "feature_types") if key in var
    }
    summed, genes, _ = gene_counts(
        columns, var.index.astype(str).tolist(), species,
        ids=told.get("gene_ids"), types=told.get("feature_types"),
    )  # fmt: skip
    return summed, genes
