"""A run's weights as a model file, against the run's own tower and a ridge written by hand."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_array

from napari_past import load_model
from napari_past.engine import Store, predict
from napari_past.model import Model
from napari_past.sample import Phantom, draw_phantom, write_phantom
from napari_past.slide import open_slide
from napari_past.spatial.section import MeasuredSection
from napari_past.types import PixelGrid
from napari_past.validation.ridge import PENALTIES
from past_training.cli import main
from past_training.dataset.prepare import prepare
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.dataset.schema import PrepareConfig
from past_training.engine import launch
from past_training.engine.towers import ImageTower, image_tower
from past_training.engine.weights import read_weights

PATCH_PX, MPP, CELLS = 144, 0.5, 45
GENES = ("EPCAM", "VIM", "ACTB", "CD3E", "RARE")


@functools.cache
def phantom_of(seed: int) -> Phantom:
    return draw_phantom(480, 400, MPP, seed)


def drawn(folder: Path, name: str, patient: str, seed: int) -> MeasuredSection:
    """Single cells of which the epithelial ones express EPCAM, the others VIM."""
    phantom = phantom_of(seed)
    Image.fromarray(phantom.rgb).save(folder / f"{name}.png")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(phantom.kinds))[:CELLS]
    epithelial = phantom.kinds[chosen] == "epithelial"
    rates = np.column_stack(
        [np.where(epithelial, [[12], [1], [20], [2]], [[1], [9], [20], [2]]).T, 0.1 * epithelial]
    )
    counts = rng.poisson(rates).astype(np.float32)
    return MeasuredSection(
        name=name, patient=patient, species="human", tissue="lung", technology="Xenium",
        image=folder / f"{name}.png", mpp=MPP,
        ids=tuple(f"{name}-{i}" for i in range(CELLS)), centers_um=phantom.centers_um[chosen],
        counts=csr_array(counts), genes=GENES, spot_diameter_um=None,
    )  # fmt: skip


def paired(folder: Path, *sections: tuple[str, str], patch_px: int = PATCH_PX) -> Path:
    made = [drawn(folder, name, patient, k) for k, (name, patient) in enumerate(sections, 1)]
    prepare(made, folder / "lung.past", PrepareConfig(mpp=MPP, patch_px=patch_px))
    return folder / "lung.past"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three sections of one patient."""
    return paired(tmp_path_factory.mktemp("data"), ("S1", "P"), ("S2", "P"), ("S3", "P"))


def pretrained(folder: Path, data: Path, *options: str) -> Path:
    """The folder of a run of one epoch."""
    line = (
        "--exp-name", "run", "--output-dir", str(folder), "--data", str(data), "--epochs", "1",
        "--image-tower", "test_resnet", "--cell-dim", "16", "--num-workers", "0", "--device",
        "cpu", "--batch-size", "32", "--warmup-epochs", "0", *options,
    )  # fmt: skip
    assert launch.main(line) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """S3 is held out."""
    return pretrained(tmp_path_factory.mktemp("runs"), data)


def exported(out: Path, weights: Path, data: Path, *options: str) -> int:
    words = ("--weights", str(weights), "--data", str(data), "--out", str(out), "--device", "cpu")
    return main(["export", *words, *options])


@pytest.fixture(scope="module")
def model_file(run, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models") / "lung.safetensors"
    assert exported(out, run / "best.safetensors", data) == 0
    return out


@pytest.fixture
def model(model_file) -> Model:
    return load_model(model_file, "cpu")


@pytest.fixture
def dataset(data) -> PairedDataset:
    return open_dataset(data)


def own_tower(weights: Path) -> ImageTower:
    state, _ = read_weights(weights)
    tower = image_tower("test_resnet", PATCH_PX, pretrained=False)
    prefix = "image_tower."
    own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    tower.load_state_dict(own)
    return tower.eval()


def embedded(tower: ImageTower, dataset: PairedDataset, name: str) -> np.ndarray:
    """Embeddings of a section's nuclei, one patch for each, as the run's tower gives them."""
    section = dataset.section(name)
    patch = np.repeat(np.arange(section.record.patches), np.diff(section.nuclei_start[:]))
    where = np.column_stack([patch, section.nuclei_yx[:]])
    pixels = torch.from_numpy(section.patches[:]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        return tower(pixels, torch.from_numpy(where).float()).numpy()


def test_the_card_says_what_the_run_was(model, dataset):
    card = model.card
    assert card.name == "lung"
    assert card.encoder.mode == "dense"
    assert card.encoder.mpp == MPP
    assert card.encoder.stride_px == 16
    assert card.encoder.mean == (0.7, 0.55, 0.7)
    assert card.encoder.std == (0.2, 0.2, 0.2)
    assert card.encoder.tower.backbone == "test_resnet"
    assert card.training_fingerprints == tuple(r.fingerprint for r in dataset.sections[:2])
    assert "S1, S2" in card.training_data
    assert "S3" not in card.training_data
    assert set(card.genes) == set(GENES)
    assert card.evidence.resolution == "single cells"
    assert card.encoder.tower.backbone in card.summary


def test_the_halo_holds_what_the_tower_sees(model):
    """Wherever a nucleus lies between feature cells, and with less than a cell to spare."""
    tower = copy.deepcopy(model._tower).double()
    generator = torch.Generator().manual_seed(1)
    reach = 0.0
    for phase in (0.0, 0.1, 8.0, 15.9):
        at = 128 + phase
        pixels = torch.randn(1, 3, 272, 272, generator=generator, dtype=torch.float64)
        pixels.requires_grad_(True)
        embedding = tower(pixels, torch.tensor([[0, at, at]], dtype=torch.float64))
        (gradient,) = torch.autograd.grad(embedding.square().sum(), pixels)
        touched = gradient.abs().sum(dim=(0, 1)).nonzero()
        reach = max(reach, float((touched - at).abs().max()))
    assert 32 < reach <= model.card.encoder.halo_px < reach + 16


def test_embeddings_are_those_of_the_run(model, run, dataset):
    section = dataset.section("S1")
    expected = embedded(own_tower(run / "best.safetensors"), dataset, "S1")
    grid = PixelGrid(0, 0, MPP)
    starts = section.nuclei_start[:]
    found = np.concatenate(
        [
            model.encode_tile(section.patches[p], grid, grid.to_um(section.nuclei_yx[a:b]))
            for p, (a, b) in enumerate(itertools.pairwise(starts.tolist()))
        ]
    )
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=2e-3 * float(np.abs(expected).max()))


def log1p_cp10k(dataset: PairedDataset, name: str) -> np.ndarray:
    section = dataset.section(name)
    return np.log1p(1e4 * section.counts().toarray() / section.counts_total[:][:, None])


def ridge(x: np.ndarray, y: np.ndarray, penalty: float, new: np.ndarray) -> np.ndarray:
    """The normal equations of standardised features."""
    mean, deviation = x.mean(0), x.std(0)
    z = (x - mean) / deviation
    gram = z.T @ z + penalty * len(z) * np.eye(z.shape[1])
    weight = np.linalg.solve(gram, z.T @ (y - y.mean(0)))
    return (new - mean) / deviation @ weight + y.mean(0)


def test_evidence_is_that_of_a_ridge_by_hand(model, run, dataset):
    """Fitted on S1 and S2 alone; its penalty is the best when each of them is left out in turn."""
    tower = own_tower(run / "best.safetensors")
    rows = {n: dataset.usable_rows(n) for n in ("S1", "S2", "S3")}
    # One nucleus is a row; the store rounds to half precision.
    x = {n: embedded(tower, dataset, n).astype(np.float16)[rows[n]].astype(float) for n in rows}
    y = {n: log1p_cp10k(dataset, n)[rows[n]] for n in rows}

    def r(a: np.ndarray, b: np.ndarray) -> list[float]:
        return [
            math.nan
            if there.std() == 0
            else 0
            if told.std() == 0
            else np.corrcoef(told, there)[0, 1]
            for told, there in zip(a.T, b.T, strict=True)
        ]

    def left_out(penalty: float) -> float:
        scores = [
            np.nanmean(r(ridge(x[a], y[a], penalty, x[b]), y[b]))
            for a, b in (("S1", "S2"), ("S2", "S1"))
        ]
        return float(np.mean(scores))

    best = max(PENALTIES, key=left_out)
    both = [np.concatenate([v["S1"], v["S2"]]) for v in (x, y)]
    expected = dict(zip(dataset.genes, r(ridge(*both, best, x["S3"]), y["S3"]), strict=True))
    evidence = model.card.evidence
    assert evidence.sections == ("S3",)
    assert evidence.r["EPCAM"][0] > 0.2
    # No cell of S3 has it.
    assert np.isnan(expected.pop("RARE"))
    assert evidence.r["RARE"] == (None,)
    for gene, value in expected.items():
        assert evidence.r[gene] == (pytest.approx(value, abs=3e-3),), gene


def test_evidence_tells_how_it_was_measured(model):
    evidence = model.card.evidence
    assert (evidence.patients, evidence.unseen_patients) == (1, 0)
    assert evidence.protocol == (
        "trained on the other sections, some of the same patient; one section held out; the "
        "held-out tissue also chose when training stopped"
    )


def test_report_and_page_lie_beside_it(model_file):
    text = model_file.with_suffix(".md").read_text(encoding="utf-8")
    assert "training mean" in text
    assert "colour" in text
    assert "random" in text
    assert "the held-out tissue also chose when training stopped" in text
    assert model_file.with_suffix(".html").is_file()
    page = model_file.with_suffix(".card.md").read_text(encoding="utf-8")
    assert page.startswith("# lung (version 1)")


def test_predictions_with_it(model, tmp_path):
    path = write_phantom(tmp_path / "p.ome.tif", 500, 420, 0.5, seed=9)
    with open_slide(path) as slide:
        cells = predict(slide, model)
        cells.store = Store(cells.plan.key, tmp_path)
        adata = cells.to_anndata(["EPCAM", "VIM"])
    assert adata.n_obs > 20
    assert np.isfinite(adata.X).all()
    assert adata.X.std() > 0
    assert adata.uns["napari_past"]["model"]["name"] == "lung"


def test_last_weights_of_a_patient_held_out(tmp_path, capsys):
    """An unseen patient, who chose nothing; the card's statements are the user's."""
    data = paired(tmp_path, ("A1", "A"), ("B1", "B"))
    run = pretrained(tmp_path, data)
    statements = tmp_path / "card.toml"
    statements.write_text('licence = "CC BY 4.0"\nscanner = "none"\n', encoding="utf-8")
    out = tmp_path / "m.safetensors"
    capsys.readouterr()
    options = ("--card", str(statements), "--name", "mine")
    assert exported(out, run / "last.safetensors", data, *options) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: mine, 5 genes",
        f"report: {tmp_path / 'm.md'}",
    ]
    card = load_model(out).card
    assert (card.name, card.licence, card.scanner) == ("mine", "CC BY 4.0", "none")
    assert card.evidence.protocol == "trained on the other patients; one patient held out"
    assert card.evidence.unseen_patients == 1
    assert card.evidence.sections == ("B1",)


def test_without_tissue_held_out(data, tmp_path, capsys):
    run = pretrained(tmp_path, data, "--validation", "none")
    assert not (run / "best.safetensors").exists()
    out = tmp_path / "all.safetensors"
    capsys.readouterr()
    assert exported(out, run / "last.safetensors", data) == 0
    assert "nothing was measured" in capsys.readouterr().out
    card = load_model(out).card
    assert card.evidence.protocol == "not measured"
    assert card.evidence.sections == ()
    assert len(card.training_fingerprints) == 3
    assert not (tmp_path / "all.md").exists()


@pytest.fixture
def altered(run, tmp_path) -> Callable[..., Path]:
    """``altered(state, facts)``: the run's weights, changed by two functions."""

    def make(
        state: Callable[[dict[str, torch.Tensor]], Any] = lambda state: None,
        facts: Callable[[dict[str, Any]], Any] = lambda facts: None,
    ) -> Path:
        tensors, told = read_weights(run / "best.safetensors")
        state(tensors)
        facts(told)
        with safe_open(run / "best.safetensors", framework="pt") as file:
            (key,) = file.metadata()
        save_file(tensors, tmp_path / "changed.safetensors", metadata={key: json.dumps(told)})
        return tmp_path / "changed.safetensors"

    return make


HEAD = "image_tower.body.head.1.weight"


@pytest.mark.parametrize(
    ("state", "facts", "message"),
    [
        ({}, {"--pooled": True}, "without --pooled"),
        ({}, {"--image-tower": "uni2-h"}, "a hub alone"),
        ({}, {"--image-tower": "test_resnett"}, "no tower 'test_resnett'"),
        ({}, {"--image-tower": "test_convnext"}, "does not fit its name (size mismatch"),
        ({}, {"held out": "section S9"}, "not the dataset that"),
        ({}, {"held out": "section S2"}, "not the dataset that"),
        ({}, {"held out": "patient S3"}, "not the dataset that"),
        ({}, {"the dataset's content": "0"}, "not the dataset that"),
        ({}, {"--image-tower": None}, "does not tell --image-tower"),
        ({HEAD: None}, {}, f"lacks the tensor {HEAD}"),
        ({"image_tower.more": torch.zeros(1)}, {}, "unexpected tensor image_tower.more"),
        ({HEAD: torch.zeros(2, 3)}, {}, "size mismatch for body.head.1.weight"),
    ],
)
def test_weights_that_do_not_fit(altered, data, tmp_path, capsys, state, facts, message):
    def change(there: dict[str, Any], wanted: dict[str, Any]) -> None:
        there |= wanted
        for name in [name for name, value in wanted.items() if value is None]:
            del there[name]

    weights = altered(lambda there: change(there, state), lambda there: change(there, facts))
    refused(tmp_path / "m.safetensors", weights, data, message, capsys)


def refused(out: Path, weights: Path, data: Path, message: str, capsys: Any, *more: str) -> None:
    capsys.readouterr()
    assert exported(out, weights, data, *more) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("past-train: ")
    assert message in told[-1]
    assert not any(line.startswith("Traceback") for line in told)
    assert not list(out.parent.glob("m.*"))


def test_another_dataset(run, tmp_path, capsys):
    """The same names, other pixels."""
    other = paired(tmp_path, ("S2", "P"), ("S1", "P"), ("S3", "P"))
    out = tmp_path / "m.safetensors"
    refused(out, run / "best.safetensors", other, "not the dataset that", capsys)


def test_patches_that_show_too_little(tmp_path, capsys):
    data = paired(tmp_path, ("S1", "P"), ("S2", "P"), patch_px=96)
    weights = pretrained(tmp_path, data) / "best.safetensors"
    out = tmp_path / "m.safetensors"
    refused(out, weights, data, "or more, and train again on that.", capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "nowhere.safetensors"}, "cannot be read as weights"),
        ({"weights": "damaged.safetensors"}, "cannot be read as weights"),
        ({"weights": "past-mini.safetensors"}, "not written by a run"),
        ({"data": "nowhere.past"}, "no paired dataset"),
        ({"out": "model.pt"}, ".safetensors file"),
        ({"card": "nowhere.toml"}, "--card nowhere.toml cannot be read"),
    ],
    ids=["no file", "damaged", "a model", "no data", "out", "card"],
)
def test_mistakes(run, data, model_file, tmp_path, monkeypatch, capsys, changes, message):
    monkeypatch.chdir(tmp_path)
    whole = (run / "best.safetensors").read_bytes()
    Path("damaged.safetensors").write_bytes(whole[: len(whole) // 2])
    Path("past-mini.safetensors").write_bytes(model_file.read_bytes())
    given = {"weights": run / "best.safetensors", "data": data, "out": "m.safetensors"} | changes
    more = ("--card", changes["card"]) if "card" in changes else ()
    out, weights, where = (Path(given[key]) for key in ("out", "weights", "data"))
    refused(tmp_path / out, weights, where, message, capsys, *more)


def test_the_weights_are_not_written_over(run, data, capsys):
    weights = run / "best.safetensors"
    before = weights.read_bytes()
    assert exported(weights, weights, data) == 2
    assert "is read by this command" in capsys.readouterr().err
    assert weights.read_bytes() == before
