"""The run: folds honoured, towers told apart, figures against scikit-learn and scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from napari_past.errors import PastError
from past_training.benchmark.page import page_lines, protocol_of, warnings_of, write_run
from past_training.benchmark.patches import About, Embedded
from past_training.benchmark.result import FITTED, OWN
from past_training.benchmark.run import run_benchmark
from past_training.benchmark.task import read_task

FINGERPRINT = "ab" * 32
"""Of sample A."""
FOLDS = ((("B", "C"), ("A",)), (("A",), ("B", "C")))


class Colours:
    """Vectors are mean and deviation of each channel; its own read-out knows one gene."""

    name = "colours"
    about = About("Colour statistics.", "slide A", frozenset({FINGERPRINT}))

    def own_genes(self, genes):
        return tuple(gene for gene in genes if gene == "EPCAM")

    def embed(self, sample, genes):
        pixels = np.concatenate(list(sample.batches())).astype(np.float32)
        vectors = np.concatenate([pixels.mean((1, 2)), pixels.std((1, 2))], axis=1)
        return Embedded(vectors, 255 - vectors[:, :1] if genes else None)


class Plain(Colours):
    name = "plain"
    about = About("Colour statistics.", "nothing")

    def own_genes(self, genes):
        return ()


def gone():
    raise PastError("The weights are elsewhere; fetch them.")


@pytest.fixture(scope="module")
def run(task, recipe):
    makers = {"gone": gone, "colours": Colours, "plain": Plain}
    return run_benchmark([task], makers, recipe.probe, "cpu", {"plain": frozenset({"C"})})


def by_hand(task, fold):
    """r of each gene, with scikit-learn and scipy alone."""

    def rows(names):
        x = np.concatenate([Plain().embed(task.samples[n], ()).vectors for n in names])
        return x, np.concatenate([task.samples[n].measured for n in names])

    (train, measured), (test, held) = rows(FOLDS[fold][0]), rows(FOLDS[fold][1])
    scaler = StandardScaler().fit(train)
    pca = PCA(4).fit(scaler.transform(train))
    x = pca.transform(scaler.transform(train))
    # Pearson r does not change with an intercept; the exact solver stands for the iterative one.
    ridge = Ridge(alpha=100 / (4 * 3), fit_intercept=False, solver="svd").fit(x, measured)
    found = ridge.predict(pca.transform(scaler.transform(test)))
    return [pearsonr(found[:, g], held[:, g])[0] for g in range(3)]


def test_each_fold_is_fitted_and_scored_on_its_own_samples(run, task):
    fitted = next(row for row in run.rows if (row.tower, row.how) == ("plain", FITTED))
    expected = np.array([by_hand(task, fold) for fold in range(2)])
    np.testing.assert_allclose(fitted.scores["DRAWN"].r, expected, atol=2e-3)
    assert fitted.scores["DRAWN"].mean == pytest.approx(expected.mean(1).mean(), abs=2e-3)
    assert fitted.scores["DRAWN"].deviation == pytest.approx(expected.mean(1).std(), abs=2e-3)
    assert fitted.scores["DRAWN"].components == 4
    # Four components of six or twelve patches: much of them is learnt by heart.
    assert fitted.scores["DRAWN"].training_r > fitted.scores["DRAWN"].mean


def test_own_readout_is_scored_on_its_genes_without_a_fit(run, task):
    own = next(row for row in run.rows if row.how == OWN)
    assert (own.tower, own.scores["DRAWN"].genes) == ("colours", ("EPCAM",))
    values = Colours().embed(task.samples["A"], ("EPCAM",)).own[:, 0]
    expected = pearsonr(values, task.samples["A"].measured[:, 0])[0]
    assert own.scores["DRAWN"].r[0, 0] == pytest.approx(expected)


def test_a_tower_that_cannot_be_had_stops_no_other(run):
    assert run.unavailable == (("gone", "The weights are elsewhere; fetch them."),)
    assert [row.tower for row in run.rows] == ["colours", "colours", "plain"]


def test_without_any_tower_the_reason_is_told(task, recipe):
    with pytest.raises(PastError, match="The weights are elsewhere"):
        run_benchmark([task], {"gone": gone}, recipe.probe, "cpu")


def test_training_tissue_is_known_by_its_slide_or_by_what_the_user_says(run):
    assert run.seen == {("colours", "DRAWN"): ("A",), ("plain", "DRAWN"): ("C",)}


def test_fewer_components_are_used_and_told(drawn, recipe):
    probe = recipe.probe.model_copy(update={"components": 256})
    whole = recipe.model_copy(update={"probe": probe})
    found = run_benchmark([read_task(drawn, "DRAWN", recipe.data)], {"plain": Plain}, probe, "cpu")
    assert found.rows[0].scores["DRAWN"].components == 6
    assert "plain on DRAWN has 6 components where the protocol has 256" in "\n".join(
        warnings_of(found, whole)
    )


def test_page_says_what_each_number_is(run, recipe):
    text = "\n".join(page_lines(run, recipe))
    colours, _, plain = run.rows
    figure = f"{colours.scores['DRAWN'].mean:.4f} ± {colours.scores['DRAWN'].deviation:.4f}"
    mean = f"{plain.scores['DRAWN'].mean:.4f}"
    assert f"| colours | PCA + ridge | {figure} † | {figure[: len(mean)]} |" in text
    assert "(1 of 3 genes) † | – |" in text
    assert "## On the genes that colours predicts itself" in text
    same = plain.scores["DRAWN"].among(("EPCAM",))
    assert f"| plain | PCA + ridge | {same.mean:.4f} ± {same.deviation:.4f} † |" in text
    assert (
        "**† colours was trained on 1 of the samples of DRAWN (A), pictures and expression" in text
    )
    assert "- `gone`: The weights are elsewhere; fetch them." in text
    assert protocol_of(recipe) in text
    assert "For research use only." in text
    assert "| 18 | 3 | 100 % | A: 12 → 6; B, C: 6 → 12 |" in text
    assert f"| plain | {plain.scores['DRAWN'].training_r:.4f} |" in text
    assert run.tasks[0].sha256 in text


def test_a_constant_gene_is_left_out_and_told(task, recipe):
    samples = {
        name: replace(one, measured=one.measured * [1, 0, 1]) for name, one in task.samples.items()
    }
    found = run_benchmark([replace(task, samples=samples)], {"plain": Plain}, recipe.probe, "cpu")
    assert found.rows[0].scores["DRAWN"].without_r == 2
    assert "2 genes of single folds are constant" in "\n".join(warnings_of(found, recipe))
    assert np.isfinite(found.rows[0].scores["DRAWN"].mean)


def test_written_twice_the_bytes_are_the_same(run, recipe, tmp_path, task):
    pages = []
    for name in ("one.md", "two.md"):
        again = run_benchmark(
            [task], {"gone": gone, "colours": Colours, "plain": Plain}, recipe.probe, "cpu"
        )
        page, genes = write_run(again, recipe, tmp_path / name)
        pages.append((page.read_bytes(), genes.read_bytes()))
    assert pages[0] == pages[1]
    lines = pages[0][1].decode().splitlines()
    assert len(lines) == 1 + 2 * (3 + 1 + 3)
    _, tower, how, fold, held, gene, r = lines[-1].split(",")
    assert (tower, how, fold, held, gene) == ("plain", FITTED, "1", "B C", "VIM")
    assert float(r) == run.rows[-1].scores["DRAWN"].r[1, 2]
