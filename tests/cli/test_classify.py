"""``napari-past classify`` and ``run --classifier``: labels of tables to classes of tables."""

from __future__ import annotations

import anndata
import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.io import read_cells, write_cells
from napari_past.model.classifier import read_classifier

N = 90


def table(slide: int = 0, sha256: str = "cd" * 32, dim: int = 8) -> AnnData:
    """Cells of three kinds in a row of blocks; every other one is labelled."""
    rng = np.random.default_rng(slide)
    codes = np.arange(N) % 3
    vectors = 4 * np.eye(dim)[codes] + rng.normal(size=(N, dim))
    names = np.array(["epithelial", "immune", "stroma"])[codes].astype(object)
    labels = np.where(np.arange(N) % 2, None, names)
    single = labels.copy()
    single[1] = "mitosis"
    return AnnData(
        X=np.zeros((N, 1), np.float32),
        obs=pd.DataFrame(
            {
                "kind": pd.Categorical(labels),
                "truth": names,
                "cluster": np.where(np.arange(N) % 2, np.nan, codes),  # numbers, widened by NaN
                "area_um2": rng.uniform(20, 60, N),
                "all_alike": "x",
                "nothing": np.nan,
                "single": single,
                "patient": np.where(np.arange(N) < 45, "P1", "P2"),
                "half_told": np.where(np.arange(N) < 45, "P1", ""),
            },
            index=[f"c{i}" for i in range(N)],
        ),
        var=pd.DataFrame(index=["ERBB2"]),
        obsm={
            "spatial": np.stack([30.0 * np.arange(N), np.zeros(N)], axis=1),
            "X_past": vectors.astype(np.float16),
        },
        uns={
            "napari_past": {
                "schema_version": 1,
                "slide": {"name": f"s{slide}.svs", "fingerprint": f"{slide:064x}", "mpp": 0.5},
                "model": {"name": "past-mini", "sha256": sha256},
            }
        },
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Tables by name."""
    folder = tmp_path_factory.mktemp("tables")
    made = {"s0": table(0), "s1": table(1), "other": table(2, "ef" * 32)}
    no_vectors, untold, damaged = table(), table(), table()
    del no_vectors.obsm["X_past"]
    untold.uns.clear()
    damaged.obsm["X_past"][3] = np.nan
    made |= {"no_vectors": no_vectors, "untold": untold, "damaged": damaged}
    for name, one in made.items():
        write_cells(one, folder / f"{name}.h5ad")
    return {name: folder / f"{name}.h5ad" for name in made}


@pytest.fixture(scope="module")
def fitted(command, files, tmp_path_factory):
    """A classifier of two slides, and what was told."""
    out = tmp_path_factory.mktemp("fitted") / "mine.past-classes.json"
    done = command("classify", "fit", files["s0"], files["s1"], "--labels", "kind", "--out", out)
    assert done.code == 0, done.err
    return out, done


def test_a_classifier_of_two_slides_is_checked_by_slide(fitted):
    out, done = fitted
    card = read_classifier(out).card
    assert (card.name, card.classes) == ("mine", ("epithelial", "immune", "stroma"))
    assert (card.held_out.by, card.held_out.groups) == ("slides", 2)
    assert card.held_out.macro_f1 > 0.9
    assert [s.cells for s in card.slides] == [dict.fromkeys(card.classes, 15)] * 2
    assert "90 cells have no label" in done.out
    assert f"held-out macro-F1 {card.held_out.macro_f1:.2f}, 2 slides left out" in done.out
    assert "research use only" in done.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "blocks of 200 µm left out in turn"),
        (["--group", "patient"], "2 values of patient left out in turn"),
    ],
    ids=["blocks", "patients"],
)
def test_one_slide_is_checked_by_blocks_or_by_what_is_asked_for(
    command, files, tmp_path, options, told
):
    out = tmp_path / "a.past-classes.json"
    done = command("classify", "fit", files["s0"], "--labels", "cluster", "--out", out, *options)
    assert told in done.out, done.err
    assert read_classifier(out).card.classes == ("0", "1", "2")


@pytest.mark.parametrize("suffix", [".h5ad", ".csv"])
def test_applied_to_a_table_each_cell_gets_its_class(command, files, fitted, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    done = command("classify", "apply", files["s1"], "--classifier", fitted[0], "--out", out)
    assert done.code == 0, done.err
    back = read_cells(out)
    classifier = read_classifier(fitted[0])
    expected = classifier.classified(table(1).obsm["X_past"])
    npt.assert_array_equal(back.obs["cell_class"].cat.codes, expected.code)
    assert (back.obs["cell_class"] == back.obs["truth"]).mean() > 0.9
    assert back.uns["napari_past"]["classifier"]["sha256"] == classifier.sha256
    assert f"{(expected.code == 0).sum():8}" in done.out


MISTAKES = {
    "unknown column": (["s0", "--labels", "nope"], "no column nope; --labels may name kind, truth"),
    "unknown group": (["s0", "--labels", "kind", "--group", "x"], "no column x; --group may name"),
    "empty group": (["s0", "--labels", "truth", "--group", "half_told"], "empty in 45 labelled"),
    "one class": (["s0", "--labels", "all_alike"], "at least two classes are needed"),
    "a class with one cell": (["s0", "--labels", "single"], "'mitosis' in single has one cell"),
    "all NaN": (["s0", "--labels", "nothing"], "labels none of its 90 cells"),
    "numbers": (["s0", "--labels", "area_um2"], "holds numbers"),
    "two models": (["s0", "other", "--labels", "kind"], "other.h5ad has vectors of past-mini"),
    "no vectors": (["no_vectors", "--labels", "kind"], "holds no vectors of its cells (X_past)"),
    "damaged vectors": (["damaged", "--labels", "kind"], "are damaged"),
    "untold model": (["untold", "--labels", "kind"], "does not tell which model"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_of_fit_are_told_in_a_sentence(command, told_once, files, tmp_path, case):
    words, told = MISTAKES[case]
    given = [files.get(word, word) for word in words]
    out = tmp_path / "a.past-classes.json"
    assert told in told_once(command("classify", "fit", *given, "--out", out))
    assert not out.exists()


def test_mistakes_of_apply_are_told_in_a_sentence(command, told_once, files, fitted, tmp_path):
    out = tmp_path / "o.h5ad"
    damaged = tmp_path / "d.json"
    damaged.write_text(fitted[0].read_text().replace("stroma", "tumour"), encoding="utf-8")
    for words, told in (
        ([files["other"], "--classifier", fitted[0]], "was fitted on vectors of past-mini"),
        ([files["no_vectors"], "--classifier", fitted[0]], "holds no vectors"),
        ([files["s0"], "--classifier", damaged], "was changed since it was written"),
        ([files["s0"], "--classifier", files["s0"]], "is no classifier of cells"),
    ):
        assert told in told_once(command("classify", "apply", *words, "--out", out))
    same = ("--classifier", fitted[0], "--out", files["s0"], "--force")
    assert "read by this command" in told_once(command("classify", "apply", files["s0"], *same))
    assert not out.exists()


def test_run_gives_classes_and_remembers_the_classifier(
    command, told_once, phantom, phantom_cells, tmp_path
):
    """`phantom_cells` left its tiles in the store, so nothing is encoded again."""
    labelled = anndata.read_h5ad(phantom_cells)
    large = labelled.obs["area_um2"] > labelled.obs["area_um2"].median()
    labelled.obs["size"] = np.where(large, "large", "small")
    write_cells(labelled, tmp_path / "labelled.h5ad")
    mine = tmp_path / "sizes.past-classes.json"
    made = command("classify", "fit", tmp_path / "labelled.h5ad", "--labels", "size", "--out", mine)
    assert made.code == 0, made.err
    folder = tmp_path / "out"
    asked = ("run", phantom, "--genes", "HER2", "--format", "csv", "--out", folder)
    done = command(*asked, "--classifier", mine)
    assert done.code == 0, done.err
    assert "Classes of sizes: large, small. Fitted on" in done.out
    expected = read_classifier(mine).classified(labelled.obsm["X_past"])
    back = read_cells(next(folder.glob("phantom*.csv")))
    npt.assert_array_equal(back.obs["cell_class"].cat.codes, expected.code)
    assert "other options (classifier sizes" in told_once(command(*asked))
    real = ("--detector", "ihc-nuclear", "--out", tmp_path / "real.csv", "--classifier", mine)
    assert "but here the stain is measured" in told_once(command("run", phantom, *real))
