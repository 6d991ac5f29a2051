"""Any tower as a model: from its name to predictions with a read-out that was fitted on it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.sparse import csr_array

from napari_past import load_model
from napari_past.cli.main import main as run_napari_past
from napari_past.errors import UnknownGene
from napari_past.io import read_cells
from napari_past.model import EncoderCard, PooledTowerCard
from napari_past.model.encoding import fresh_tower
from napari_past.sample import Phantom, draw_phantom, write_phantom
from napari_past.spatial.section import MeasuredSection
from past_training.cli import main
from past_training.dataset.prepare import prepare
from past_training.dataset.schema import PrepareConfig
from past_training.engine.frozen_tower import FrozenTower, frozen_tower
from past_training.engine.hub import TowerUnavailable
from past_training.engine.known_towers import KNOWN_TOWERS, KnownTower
from past_training.release.tower import tower_statements, write_tower

MPP, SIDE, SPOT_UM = 0.5, 32, 36.0
GENES = ("EPCAM", "VIM", "ACTB")
SMALL = {"img_size": SIDE, "embed_dim": 16, "depth": 2, "num_heads": 2}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that was refused."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# ---- a model file of a tower ------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """By the command, of a tower of timm's that is small; its crops are 160 px wide."""
    out = tmp_path_factory.mktemp("tower") / "trial.safetensors"
    assert main(["tower", "test_vit", "--random", "--mpp", "0.5", "--out", str(out)]) == 0
    return out


def test_command_writes_a_model_without_a_read_out(made):
    model = load_model(made, "cpu")
    card = model.card
    assert (card.name, card.genes, card.encoder.mode) == ("trial", (), "crop")
    assert (card.encoder.crop_px, card.encoder.halo_px, card.encoder.mpp) == (160, 80, 0.5)
    config = timm.get_pretrained_cfg("test_vit")
    assert (card.encoder.mean, card.encoder.std) == (config.mean, config.std)
    assert (card.evidence.protocol, card.unlike_training_limit) == ("not measured", None)
    assert card.licence == "none needed: the weights were drawn by lot"
    assert "drawn by lot, for trials" in card.summary
    page = made.with_suffix(".card.md").read_text(encoding="utf-8")
    assert "- Genes: none, for it has no read-out." in page
    assert "How well genes are predicted was not measured." in page
    assert "marker panel" not in page
    with pytest.raises(UnknownGene, match="past-train finetune --how head"):
        model.expression(np.zeros((1, model.embed_dim)), ["EPCAM"])


def test_its_vectors_are_those_of_timm(made):
    model = load_model(made, "cpu")
    crops = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    backbone = timm.create_model("test_vit", num_classes=0).eval()
    own = {k.removeprefix("backbone."): torch.tensor(v) for k, v in model.tower_state.items()}
    backbone.load_state_dict(own)
    encoder = model.card.encoder
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    with torch.inference_mode():
        x = (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - mean) / std
        expected = backbone(x).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(model.encode_image(crops), expected, atol=1e-5)


def test_whole_numbers_of_a_tower_stay_what_they_are(tmp_path):
    """Batch normalisation counts its batches."""
    tower = frozen_tower("test_resnet", 0.5, random=True)
    statements = tower_statements("test_resnet", "r", None, random=True)
    model = write_tower(tower, tmp_path / "r.safetensors", statements)
    counts = {k: v for k, v in model.tower_state.items() if k.endswith("num_batches_tracked")}
    assert counts
    assert all(v.dtype == np.int64 for v in counts.values())
    side = model.card.encoder.crop_px
    given = model.encode_image(np.zeros((1, side, side, 3), np.uint8))
    assert given.shape == (1, model.embed_dim)


def test_wide_convolutional_towers_give_what_their_card_says():
    """Behind their last stage they have more numbers than timm calls features."""
    tower = frozen_tower("mobilenetv4_conv_small", 0.5, random=True)
    assert tower.encoder.tower.embed_dim == 1280
    assert timm.create_model("mobilenetv4_conv_small", num_classes=0).num_features == 960


@pytest.mark.parametrize("random", [False, True], ids=["weights", "random"])
def test_licence_and_origin_of_known_towers(random):
    own = tower_statements("UNI2-h", "m", None, random=random)
    if random:
        assert own.licence.startswith("none needed")
        return
    assert own.licence == (
        "CC BY-NC-ND 4.0, for academic research alone, not to be passed on "
        "(https://huggingface.co/MahmoodLab/UNI2-h)"
    )
    assert own.attribution.startswith("UNI2-h, Chen et al. 2024")
    assert "https://huggingface.co/MahmoodLab/UNI2-h" in own.training_data


def test_licence_of_others_is_what_the_user_says(tmp_path):
    assert tower_statements("resnet18", "m", None, random=False).licence == "not stated"
    card = tmp_path / "card.toml"
    card.write_text('licence = "MIT"\nattribution = "ours"\n', encoding="utf-8")
    own = tower_statements("resnet18", "m", card, random=False)
    assert (own.licence, own.attribution) == ("MIT", "ours")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet18"], "At how many µm/px resnet18 reads is not known here; tell it with --mpp"),
        (["hf-hub:o/n"], "At how many µm/px hf-hub:o/n reads is not known"),
        (["resnet18", "--mpp", "50"], "--mpp lies between 0.02 and 20 µm/px, but got 50"),
        (["resnet18", "--mpp", "nan"], "but got nan"),
        (["resnot18", "--mpp", "0.5"], "There is no tower 'resnot18'"),
        (["test_vit4", "--mpp", "0.5"], "no trained weights for test_vit4"),
        (["uni2-h"], "The hub cannot be reached from here, and uni2-h was not downloaded before"),
        (["phikon"], "The hub cannot be reached from here, and phikon was not downloaded before"),
        (["conch"], "The hub cannot be reached from here, and conch was not downloaded before"),
        (["hf-hub:o/n", "--mpp", "1"], "The hub cannot be reached"),
        (["uni", "--random", "--out", "m.pt"], "must be a .safetensors file; give m.safetensors."),
        (["uni", "--random", "--card", "nowhere.toml"], "cannot be read as TOML"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in words else ["--out", "m.safetensors"]
    assert main(["tower", *words, *out]) == 2
    assert message in told(capsys)
    assert not list(tmp_path.glob("m.*"))


def test_a_model_that_is_there_is_not_lost(tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    out.write_text("years of work")
    assert main(["tower", "test_vit", "--mpp", "0.5", "--random", "--out", str(out)]) == 2
    assert "exists already; give another --out, or --force" in told(capsys)
    assert out.read_text() == "years of work"
    assert (
        main(["tower", "test_vit", "--mpp", "0.5", "--random", "--out", str(out), "--force"]) == 0
    )
    assert load_model(out, "cpu").name == "m"


# ---- from a hub, of which the downloaded files are there ----------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """``hub("owner/name", "file") -> path`` where a downloaded file would lie."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def path(repository: str, file: str) -> Path:
        revision = "0123456789012345678901234567890123456789"
        folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        for part in (folder / "refs", folder / "snapshots" / revision):
            part.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text(revision)
        return folder / "snapshots" / revision / file

    return path


def test_tower_of_a_hub(hub):
    """Its config.json says how it is built and what it reads."""
    config = {
        "architecture": "test_vit", "num_classes": 0, "global_pool": "",
        "model_args": {"img_size": SIDE, "global_pool": "", "reg_tokens": 2},
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
            "num_classes": 0,
        },
    }  # fmt: skip
    hub("o/n", "config.json").write_text(json.dumps(config))
    theirs = timm.create_model("test_vit", img_size=SIDE, reg_tokens=2, num_classes=0)
    save_file(theirs.state_dict(), hub("o/n", "model.safetensors"))
    tower = frozen_tower("hf-hub:o/n", 0.25)
    encoder = tower.encoder
    assert (encoder.crop_px, encoder.mpp) == (SIDE, 0.25)
    assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert isinstance(encoder.tower, PooledTowerCard)
    assert (encoder.tower.pool, encoder.tower.embed_dim) == ("token+mean", 128)
    assert encoder.tower.options == {"img_size": SIDE, "reg_tokens": 2}
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(tower.state[f"backbone.{key}"], value)


def test_tower_of_a_hub_pools_as_it_says(hub):
    config = {
        "architecture": "test_vit",
        "model_args": {"img_size": SIDE, "global_pool": "avg", "num_classes": 3},
        "pretrained_cfg": {"input_size": [3, SIDE, SIDE], "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    hub("o/n", "config.json").write_text(json.dumps(config))
    theirs = timm.create_model("test_vit", img_size=SIDE, global_pool="avg", num_classes=0).eval()
    save_file(theirs.state_dict(), hub("o/n", "model.safetensors"))
    tower = frozen_tower("hf-hub:o/n", 0.5)
    ours = fresh_tower(tower.encoder.tower).eval()
    ours.load_state_dict({key: torch.from_numpy(v) for key, v in tower.state.items()})
    crop = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        np.testing.assert_allclose(ours(crop, torch.zeros(1, 3)), theirs(crop), atol=1e-6)


def test_repository_that_timm_cannot_build(hub):
    hub("o/n", "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(TowerUnavailable, match=r"its config\.json has no 'architecture'"):
        frozen_tower("hf-hub:o/n", 0.5)


@pytest.fixture
def small(monkeypatch):
    """``small("vit")``: a known tower as small as a test wants it, in a layout of its own."""

    def add(layout: str, **options: int) -> KnownTower:
        known = KnownTower(
            "o/small", "vit_base_patch16_224", 16, "none", "nobody", {**SMALL, **options},
            crop_px=SIDE, layout=layout,
        )  # fmt: skip
        monkeypatch.setitem(KNOWN_TOWERS, "small", known)
        return known

    return add


def test_weights_published_for_transformers(hub, small):
    transformers = pytest.importorskip("transformers")
    small("vit")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE, patch_size=16,
        intermediate_size=64, layer_norm_eps=1e-6,
    )  # fmt: skip
    theirs = transformers.ViTModel(config, add_pooling_layer=False).eval()
    theirs.save_pretrained(hub("o/small", "model.safetensors").parent)
    tower = frozen_tower("small")
    ours = fresh_tower(tower.encoder.tower).eval()
    ours.load_state_dict({key: torch.from_numpy(v) for key, v in tower.state.items()})
    crop = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        expected = theirs(pixel_values=crop).last_hidden_state[:, 0]
        np.testing.assert_allclose(ours(crop, torch.zeros(1, 3)), expected, atol=1e-5)


def test_weights_of_another_shape(hub, small):
    transformers = pytest.importorskip("transformers")
    small("vit")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE, patch_size=16,
        intermediate_size=64,
    )  # fmt: skip
    transformers.ViTModel(config).save_pretrained(hub("o/small", "model.safetensors").parent)
    with pytest.raises(TowerUnavailable, match=r"tensor backbone\.blocks\.2\.\S+ is .* where none"):
        frozen_tower("small")


def test_checkpoint_that_asks_to_run_code_is_not_opened(hub, small, capsys):
    small("conch")
    torch.save({"visual.trunk.x": print}, hub("o/small", "pytorch_model.bin"))
    with pytest.raises(TowerUnavailable, match="more than tensors"):
        frozen_tower("small")
    assert capsys.readouterr().out == ""


# ---- a read-out on top --------------------------------------------------------------------------


@functools.cache
def phantom_of(seed: int) -> Phantom:
    return draw_phantom(520, 440, MPP, seed)


def section(folder: Path, name: str, seed: int) -> MeasuredSection:
    """12 spots with several nuclei each, whose epithelial ones express EPCAM."""
    phantom = phantom_of(seed)
    Image.fromarray(phantom.rgb).save(folder / f"{name}.png")
    x_um, y_um = (v.ravel() for v in np.meshgrid([45, 100, 155, 210], [45, 110, 175]))
    centers_um = np.stack([x_um, y_um], axis=1).astype(float)
    near = np.linalg.norm(centers_um[:, None] - phantom.centers_um, axis=2) < SPOT_UM / 2
    epithelial = (near & (phantom.kinds == "epithelial")).sum(1)
    rng = np.random.default_rng(seed)
    rates = np.column_stack([1 + 4 * epithelial, 9 - epithelial.clip(0, 8), np.full(12, 20)])
    return MeasuredSection(
        name=name, patient="P", species="human", tissue="lung", technology="ST",
        image=folder / f"{name}.png", mpp=MPP, ids=tuple(f"{name}-{i}" for i in range(12)),
        centers_um=centers_um, counts=csr_array(rng.poisson(rates).astype(np.float32)),
        genes=GENES, spot_diameter_um=SPOT_UM, nuclei_um=phantom.centers_um,
    )  # fmt: skip


def prepared(folder: Path, **config: float) -> Path:
    settings = PrepareConfig.model_validate({"mpp": MPP, "patch_px": 128} | config)
    prepare([section(folder, "S1", 1), section(folder, "S2", 2)], folder / "d.past", settings)
    return folder / "d.past"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def tower_model(tmp_path_factory) -> Path:
    """A vision transformer that looks at 32 px around a cell."""
    card = PooledTowerCard(
        backbone="vit_tiny_patch16_224", pool="token", embed_dim=48,
        options={"img_size": SIDE, "embed_dim": 48, "depth": 2, "num_heads": 2, "patch_size": 8},
    )  # fmt: skip
    encoder = EncoderCard(
        mode="crop", mpp=MPP, stride_px=1, halo_px=SIDE // 2, crop_px=SIDE, mean=(0.7, 0.55, 0.7),
        std=(0.2, 0.2, 0.2), tower=card,
    )  # fmt: skip
    torch.manual_seed(0)
    state = {k: v.numpy() for k, v in fresh_tower(card).state_dict().items()}
    out = tmp_path_factory.mktemp("tower") / "tiny.safetensors"
    statements = tower_statements("test_vit", "tiny", None, random=True)
    write_tower(FrozenTower("test_vit", encoder, state, True), out, statements)
    return out


def finetune(model: Path, data: Path, out: Path, *options: str) -> int:
    words = ["--model", str(model), "--data", str(data), "--out", str(out), "--device", "cpu"]
    return main(["finetune", *words, "--how", "head", *options])


@pytest.fixture(scope="module", params=["ridge", "mlp"])
def fitted(request, tower_model, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("fitted") / f"{request.param}.safetensors"
    assert finetune(tower_model, data, out, "--readout", request.param) == 0
    return out


def is_mlp(path: Path) -> bool:
    return path.stem == "mlp"


def test_fitted_tower_predicts(fitted, tower_model):
    model, before = load_model(fitted, "cpu"), load_model(tower_model, "cpu")
    assert set(model.genes) == set(GENES)
    assert model.card.hidden_units == (32 if is_mlp(fitted) else None)
    assert model.card.encoder == before.card.encoder
    assert all(np.array_equal(v, before.tower_state[k]) for k, v in model.tower_state.items())
    assert model.card.licence == (
        "not stated; that of tiny: none needed: the weights were drawn by lot"
    )
    assert model.card.evidence.sections == ("S1", "S2")
    assert set(model.card.cutoffs) <= set(GENES)
    page = fitted.with_suffix(".card.md").read_text(encoding="utf-8")
    assert ("Read-out: one hidden layer of 32 units" in page) == is_mlp(fitted)


def test_report_compares_before_and_after(fitted):
    report = fitted.with_suffix(".md").read_text(encoding="utf-8")
    lines = [line for line in report.splitlines() if line.startswith("| ")]
    layer = " with a hidden layer" if is_mlp(fitted) else ""
    for name in (
        f"{fitted.stem} (after: a new read-out{layer})",
        "before: tiny, else the training mean",
        "training mean",
    ):
        assert any(line.startswith(f"| {name} |") for line in lines), name
    # Whether the layer is worth it.
    ridge = "| ridge on the frozen tower of tiny |"
    assert any(line.startswith(ridge) for line in lines) == is_mlp(fitted)


def test_evaluate_takes_it(fitted, data, tmp_path, capsys):
    words = ["--model", str(fitted), "--data", str(data), "--out", str(tmp_path / "report.md")]
    assert main(["evaluate", *words, "--baselines", "mean,tower", "--device", "cpu"]) == 0
    assert f"{fitted.stem}: trained on every section: not compared" in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()


def test_what_is_evaluated_is_what_the_plugin_shows(fitted, data):
    """A row is the mean over its nuclei of the model's value for each, also behind a layer."""
    from past_training.dataset.read import open_dataset
    from past_training.evaluation.predictors import ModelFile, file_for
    from past_training.evaluation.rows import all_rows

    train = all_rows(open_dataset(data))
    file = ModelFile([load_model(fitted, "cpu")])
    predicted = file.fit(train, GENES).predict(train.rows[0])
    rows, tower = train.rows[0], file_for(file.towers, train)
    each = tower.model.expression(tower.embed_nuclei(rows), GENES)
    assert np.bincount(rows.nuclei.row).max() > 2
    np.testing.assert_allclose(predicted, rows.nuclei.row_means(each, len(rows)), atol=1e-5)
    measured = np.concatenate(train.values(["EPCAM"]))[: len(rows), 0]
    assert np.corrcoef(predicted[:, 0], measured)[0, 1] > 0.3  # it was fitted to these rows


def test_napari_past_runs_it(fitted, tmp_path):
    slide = write_phantom(tmp_path / "p.ome.tif", 300, 260, MPP, seed=9)
    out = tmp_path / "cells.h5ad"
    words = ["run", str(slide), "--model", str(fitted), "--genes", "EPCAM,VIM", "--out", str(out)]
    assert run_napari_past([*words, "--device", "cpu", "--no-cache"]) == 0
    adata = read_cells(out)
    assert adata.n_obs > 10
    assert np.isfinite(np.asarray(adata.X)).all()
    assert np.asarray(adata.X).std(axis=0).min() > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mpp": 0.4}, "prepare it again with --dataset-mpp 0.5"),
        ({"patch_px": 80}, "prepare the dataset with --patch-px "),
    ],
    ids=["µm/px", "patch"],
)
def test_datasets_that_do_not_fit_the_tower(tower_model, tmp_path, capsys, config, message):
    made = prepared(tmp_path, **config)
    capsys.readouterr()
    assert finetune(tower_model, made, tmp_path / "m.safetensors") == 2
    assert message in told(capsys)


def test_each_nucleus_is_embedded_once(tower_model, data, tmp_path, monkeypatch):
    """Whatever is held out: a large tower takes a second for a few crops."""
    from past_training.dataset.read import open_dataset
    from past_training.dataset.splits import leave_out
    from past_training.evaluation.rows import all_rows
    from past_training.evaluation.towers import ModelTower

    dataset = open_dataset(data)
    tower = ModelTower(load_model(tower_model, "cpu"), "t")
    whole = [tower.embed_nuclei(rows) for rows in all_rows(dataset).rows]
    monkeypatch.setattr(tower.model, "encode_tile", lambda *_: pytest.fail("embedded again"))
    for fold in leave_out(dataset):
        for rows, vectors in zip(all_rows(dataset).rows, whole, strict=True):
            if rows.record.name in {record.name for record in fold.train.sections}:
                again = tower.embed_nuclei(all_rows(fold.train).rows[0])
                np.testing.assert_array_equal(again, vectors)
