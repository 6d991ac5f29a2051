"""Real tissue through the whole path: pixels, places and counts stay together."""

from __future__ import annotations

import argparse

import anndata
import numpy as np
import pytest

from past_training.dataset.batches import Batches
from past_training.dataset.command import add_parser, execute
from past_training.dataset.read import open_dataset


@pytest.fixture(scope="module")
def lung(data_dir, tmp_path_factory):
    """NCBI858: 200 Xenium cells whose ``x_pixel`` is the row of the picture."""
    folder = data_dir / "xenium_lung"
    out = tmp_path_factory.mktemp("lung") / "lung.past"
    root = argparse.ArgumentParser()
    add_parser(root.add_subparsers(required=True))
    arguments = [
        "prepare", "anndata", folder / "NCBI858.h5ad", "--image", folder / "NCBI858.jpg",
        "--mpp", 2.0, "--dataset-mpp", 2.0, "--spatial-unit", "px", "--patch-px", 32,
        "--option", "x=y_pixel", "--option", "y=x_pixel", "--option", "technology=Xenium",
        "--patient", "L", "--out", out,
    ]  # fmt: skip
    assert execute(root.parse_args(list(map(str, arguments)))) == 0
    return open_dataset(out)


def test_counts_are_those_of_the_table(lung, data_dir):
    table = anndata.read_h5ad(data_dir / "xenium_lung" / "NCBI858.h5ad")
    genes = [gene for gene in lung.genes if gene in table.var_names]
    assert len(genes) > 300
    (batch,) = Batches(lung, genes, 256, seed=0).epoch(0)
    names = lung.section("NCBI858").row_id[:][batch.row_index.numpy()]
    measured = table[list(names), genes].X
    measured = measured.toarray() if hasattr(measured, "toarray") else measured
    np.testing.assert_array_equal(batch.counts.numpy(), measured)


def test_nuclei_are_darker_than_what_surrounds_them(lung):
    patches = lung.section("NCBI858").patches[:].astype(float).mean(axis=(0, 3))
    rim = np.concatenate([patches[:4].ravel(), patches[-4:].ravel()]).mean()
    assert patches[15:17, 15:17].mean() < rim - 5
    assert np.unravel_index(patches.argmin(), patches.shape)[0] in range(13, 19)
    assert np.unravel_index(patches.argmin(), patches.shape)[1] in range(13, 19)
