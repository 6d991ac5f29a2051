"""A model fitted to a lab's own tissue, from the command line to predictions with it."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_array

from napari_past import load_model
from napari_past.engine import Store, predict
from napari_past.model import EncoderCard, Model, TowerCard
from napari_past.model.card import CellTowerCard
from napari_past.model.files import read_model_file, write_model_file
from napari_past.model.past_network import CellEncoder, ProjectionHead
from napari_past.sample import Phantom, draw_phantom, write_phantom
from napari_past.slide import open_slide
from napari_past.spatial.section import MeasuredSection
from past_training.cli import main
from past_training.dataset.prepare import prepare
from past_training.dataset.read import open_dataset
from past_training.dataset.schema import PrepareConfig
from past_training.engine.towers import dense_state, dense_tower
from past_training.evaluation.rows import all_rows
from past_training.release.learned import Learner
from past_training.release.making import UNMEASURED
from past_training.release.statements import Statements
from past_training.release.writing import write_model

PATCH_PX, MPP = 144, 0.5
KNOWN, NEW = ("EPCAM", "VIM", "ACTB"), ("CD3E", "KRT5")
ENCODER = EncoderCard(
    mode="dense", mpp=MPP, stride_px=4, halo_px=64, crop_px=96,
    mean=(0.7, 0.55, 0.7), std=(0.2, 0.2, 0.2),
    tower=TowerCard(backbone="test_resnet", stages=(0, 1), embed_dim=8),
)  # fmt: skip
HALO_UM = 32


@cache
def phantom_of(seed: int, width_px: int) -> Phantom:
    return draw_phantom(width_px, 400, MPP, seed)


def drawn(
    folder: Path, name: str, patient: str, seed: int, width_px: int = 480, cells: int = 24
) -> MeasuredSection:
    """Cells of which the epithelial ones express EPCAM and KRT5, the others VIM."""
    phantom = phantom_of(seed, width_px)
    Image.fromarray(phantom.rgb).save(folder / f"{name}.png")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(phantom.kinds))[:cells]
    epithelial = (phantom.kinds[chosen] == "epithelial")[:, None]
    rates = np.where(epithelial, [[12, 1, 20, 2, 9]], [[1, 9, 20, 2, 1]])
    # The first sections that a model was trained on were measured with a smaller panel.
    genes = KNOWN if patient == "B" else KNOWN + NEW
    counts = rng.poisson(rates)[:, : len(genes)].astype(np.float32)
    return MeasuredSection(
        name=name, patient=patient, species="human", tissue="lung", technology="Xenium",
        image=folder / f"{name}.png", mpp=MPP,
        ids=tuple(f"{name}-{i}" for i in range(cells)), centers_um=phantom.centers_um[chosen],
        counts=csr_array(counts), genes=genes, spot_diameter_um=None,
    )  # fmt: skip


def prepared(folder: Path, name: str, sections: list[MeasuredSection], **config: float) -> Path:
    settings = {"mpp": MPP, "patch_px": PATCH_PX} | config
    prepare(sections, folder / f"{name}.past", PrepareConfig.model_validate(settings))
    return folder / f"{name}.past"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """What can be held out of each: blocks, sections or patients."""
    folder = tmp_path_factory.mktemp("data")
    one, two, other = (
        drawn(folder, *who) for who in (("S1", "P", 1), ("S2", "P", 2), ("T", "Q", 3))
    )
    return {
        "block": prepared(folder, "block", [drawn(folder, "W", "P", 4, 960, 40)]),
        "section": prepared(folder, "section", [one, two]),
        "patient": prepared(folder, "patient", [one, other]),
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A model of `KNOWN` with a tower as it is before training, its read-out fitted to B1."""
    folder = tmp_path_factory.mktemp("base")
    train = all_rows(open_dataset(prepared(folder, "base", [drawn(folder, "B1", "B", 5)])))
    statements = Statements(
        name="base", version="7", summary="Drawn.", licence="BSD-3-Clause",
        attribution="Base of nobody.", species="human", organ="lung", training_data="drawn B1",
    )  # fmt: skip
    torch.manual_seed(0)
    state = dense_state(dense_tower(ENCODER))
    learned = Learner("base", ENCODER, statements, lambda _, __: state, device="cpu").learn(
        train, KNOWN
    )
    write_model(folder / "base.safetensors", learned, train, statements, UNMEASURED, "cpu")
    return folder / "base.safetensors"


def finetuned(base: Path, data: Path, out: Path, *options: str) -> int:
    return main(
        ["finetune", "--model", str(base), "--data", str(data), "--out", str(out),
         "--device", "cpu", "--epochs", "1", *options]
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A model file, and what the command said when it was made."""

    path: Path
    told: str


@pytest.fixture(scope="module")
def command(base, data, tmp_path_factory) -> Callable[[str, str], Made]:
    """``command("section", "lora")``: fitted to that dataset in that way, once."""
    folder = tmp_path_factory.mktemp("made")

    @cache
    def make(kind: str, how: str) -> Made:
        out = folder / f"{kind}-{how}.safetensors"
        with contextlib.redirect_stdout(io.StringIO()) as told:
            assert finetuned(base, data[kind], out, "--how", how) == 0
        return Made(out, told.getvalue())

    return make


@pytest.fixture(scope="module")
def made(command) -> Callable[[str, str], Path]:
    """``made("section", "lora")``: the model file of that."""
    return lambda kind, how: command(kind, how).path


each = pytest.mark.parametrize(
    ("kind", "how"),
    [("block", "head"), ("section", "lora"), ("patient", "head")],
)


def tower(path: Path) -> dict[str, np.ndarray]:
    return dict(load_model(path, "cpu").tower_state)


@each
def test_the_tower_is_the_same_or_of_the_same_shape(made, base, kind, how):
    before, after = tower(base), tower(made(kind, how))
    assert {k: (v.shape, v.dtype) for k, v in before.items()} == {
        k: (v.shape, v.dtype) for k, v in after.items()
    }
    changed = {k for k, v in before.items() if not np.array_equal(v, after[k])}
    assert bool(changed) == (how == "lora")
    # Running statistics are of the weights that are frozen.
    assert not any("running" in key for key in changed)


@each
def test_genes_that_the_base_did_not_know(made, base, kind, how):
    model = load_model(made(kind, how), "cpu")
    assert set(load_model(base).genes) == set(KNOWN)
    assert set(model.genes) == {*KNOWN, *NEW}
    assert model.name == f"{kind}-{how}"


def test_predictions_with_it(made, tmp_path):
    path = write_phantom(tmp_path / "p.ome.tif", 500, 420, 0.5, seed=9)
    model = load_model(made("section", "lora"), "cpu")
    with open_slide(path) as slide:
        cells = predict(slide, model)
        cells.store = Store(cells.plan.key, tmp_path)
        adata = cells.to_anndata(["EPCAM", "KRT5"])
    assert adata.n_obs > 20
    assert np.isfinite(adata.X).all()
    assert (adata.X.std(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("kind", "how", "held", "unseen", "protocol", "badge"),
    [
        ("section", "lora", ("S1", "S2"), 0, "trained on the other sections of the same patients",
         "same patient · single cells · r "),
        ("patient", "head", ("S1", "T"), 2,
         "trained on the other patients, one patient left out in turn",
         "2 unseen patients · single cells · r "),
    ],
    ids=["section", "patient"],
)  # fmt: skip
def test_evidence_says_what_was_held_out(made, kind, how, held, unseen, protocol, badge):
    model = load_model(made(kind, how))
    evidence = model.card.evidence
    assert evidence.sections == held
    assert evidence.unseen_patients == unseen
    assert evidence.protocol.startswith(protocol)
    assert not evidence.blocks
    assert set(evidence.r) == set(model.genes)
    told = model.reliability("EPCAM")
    assert told.label.startswith(badge)
    assert "(2 sections: " in told.label
    assert told.grey == (unseen == 0)


def test_blocks_are_parts_of_the_same_section_with_a_gap(made):
    """The gap is as wide as what the model sees of both rows, or wider."""
    model = load_model(made("block", "head"))
    evidence = model.card.evidence
    assert evidence.sections == tuple(f"block {k} of W" for k in (1, 2, 3, 4))
    assert (evidence.patients, evidence.unseen_patients) == (1, 0)
    told = re.fullmatch(
        r"trained on the other parts of the same section, one part left out in turn, with a gap of "
        r"(\d+) µm between them",
        evidence.protocol,
    )
    assert told is not None
    assert 2 * HALO_UM <= int(told[1]) < 100
    badge = model.reliability("EPCAM")
    assert badge.label.startswith("parts of the same section · single cells · r ")
    assert "(4 parts: " in badge.label
    assert badge.grey


def rows_of(report: str, predictor: str) -> list[list[str]]:
    lines = [line for line in report.splitlines() if line.startswith("|") and predictor in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@each
def test_report_shows_before_and_after(made, kind, how):
    path = made(kind, how)
    report = path.with_suffix(".md").read_text(encoding="utf-8")
    after = {
        "lora": "after: low-rank additions and a new read-out",
        "head": "after: a new read-out",
    }
    assert rows_of(report, f"{path.stem} ({after[how]})")
    assert rows_of(report, "before: base")
    assert rows_of(report, "training mean")
    assert path.with_suffix(".html").is_file()
    note = "Same section: training and test are blocks of the same section"
    assert (note in report) == (kind == "block")
    # Nobody asked for a gene.
    assert "asked" not in report


def test_what_before_does_not_know_is_not_held_against_it(command):
    """It knows three of five genes: the others are told apart, and compared are the three."""
    fitted = command("section", "head")
    name, told = fitted.path.stem, fitted.told
    report = fitted.path.with_suffix(".md").read_text(encoding="utf-8")
    assert "base does not know 2 of the 5 genes: for these “before” is the training mean" in report
    assert rows_of(report, "before: base, else the training mean")
    table = report.split("### On the genes that both know\n")[1].split("\n## ")[0]
    assert "| 3 genes | r |" in table
    after = float(rows_of(table, f"{name} (after: a new read-out)")[0][1])
    ((_, before, *_),) = rows_of(table, "before: base")
    line = f"On the genes that both know: mean r {float(before):.3f} before, {after:.3f} after"
    assert line in report
    assert line in told
    lines = told.splitlines()
    for who in (f"{name} (after: a new read-out)", "before: base, else the training mean"):
        assert any(re.match(rf"{re.escape(who)}: mean r -?\d\.\d+, RMSE \d", v) for v in lines)
    assert any(line.startswith("training mean: mean r 0.000, RMSE ") for line in lines)


def test_a_model_that_knows_all_genes_is_compared_on_all(made, data, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    start = made("section", "head")
    capsys.readouterr()
    assert finetuned(start, data["patient"], out, "--how", "head") == 0
    assert "both know" not in capsys.readouterr().out
    report = out.with_suffix(".md").read_text(encoding="utf-8")
    assert rows_of(report, "before: section-head")
    assert "else the training mean" not in report


@pytest.mark.parametrize("name", ["m.safetensors", "m.card.md", "m.md", "m.html"])
def test_what_is_there_is_overwritten_only_when_asked(base, data, tmp_path, capsys, name):
    (tmp_path / name).write_text("years of work")
    words = ["--model", str(base), "--data", str(data["section"])]
    words += ["--out", str(tmp_path / "m.safetensors")]
    refused(
        words, f"{tmp_path / name} exists already; give another --out, or --force", tmp_path, capsys
    )
    assert (tmp_path / name).read_text() == "years of work"


def test_force_overwrites_but_never_the_model_it_starts_from(base, data, tmp_path, capsys):
    own = tmp_path / "own.safetensors"
    own.write_bytes(base.read_bytes())
    words = ["--model", str(own), "--data", str(data["section"]), "--out", str(own), "--force"]
    refused(words, f"{own} is read by this command; give another --out.", tmp_path, capsys)
    assert own.read_bytes() == base.read_bytes()
    out = tmp_path / "m.safetensors"
    out.write_text("years of work")
    assert finetuned(own, data["section"], out, "--how", "head", "--force") == 0
    assert set(load_model(out, "cpu").genes) == {*KNOWN, *NEW}


def test_before_scores_nothing_on_genes_it_does_not_know(base, data, tmp_path):
    """Told as the training mean, whose correlation is 0; its own genes are told by the model."""
    from past_training.dataset.splits import leave_out
    from past_training.evaluation.predictors import ModelFile
    from past_training.evaluation.protocol import evaluate
    from past_training.release.finetune import AsItWas

    dataset = open_dataset(data["section"])
    before = AsItWas(ModelFile([load_model(base, "cpu")]), knows_all=False)
    found = evaluate(dataset, [before], leave_out(dataset), "all", shuffles=2)
    for fold in found.folds:
        assert set(fold.genes) == {*KNOWN, *NEW}
        r = dict(zip(fold.genes, fold.held[0].score(before.name).r, strict=True))
        assert {gene: r[gene] for gene in NEW} == dict.fromkeys(NEW, 0.0)
        assert all(abs(r[gene]) > 1e-6 for gene in KNOWN)


def test_card_goes_on_from_the_base(made, base, data):
    """Also with its fingerprints: nobody is to measure the model on what the base was made of."""
    start, card = load_model(base).card, load_model(made("patient", "head")).card
    records = open_dataset(data["patient"]).sections
    assert card.training_fingerprints == (
        *start.training_fingerprints,
        *(record.fingerprint for record in records),
    )
    assert len(set(card.training_fingerprints)) == 3
    assert card.attribution == "Base of nobody."
    assert card.licence == "not stated; that of base: BSD-3-Clause"
    assert card.training_data.startswith("drawn B1; then patient (Xenium; patients P, Q;")
    assert card.summary == "base 7, fitted to patient."
    assert card.encoder == start.encoder


def test_fitted_again_to_the_same_tissue_nothing_is_measured(made, data, tmp_path, capsys):
    """The tower has seen what would be held out; the card does not count it twice."""
    out = tmp_path / "again.safetensors"
    first = made("section", "lora")
    assert finetuned(first, data["section"], out, "--how", "head") == 0
    told = capsys.readouterr().out
    assert "again (after: a new read-out): trained on every section: not compared" in told
    assert "Nothing could be compared: again" in told
    card = load_model(out).card
    assert card.training_fingerprints == load_model(first).card.training_fingerprints
    assert card.training_data == load_model(first).card.training_data  # and not twice
    assert card.evidence.protocol == "not measured"
    assert card.evidence.sections == ()


def test_statements_of_the_user(base, data, tmp_path, capsys):
    statements = tmp_path / "card.toml"
    statements.write_text('licence = "CC BY 4.0"\nscanner = "ours"\n', encoding="utf-8")
    out = tmp_path / "m.safetensors"
    options = ("--how", "head", "--card", str(statements), "--name", "mine", "--blocks", "3")
    assert finetuned(base, data["block"], out, *options) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{out}: mine, 5 genes, 2 of them new",
        f"report: {tmp_path / 'm.md'}",
    ]
    card = load_model(out).card
    assert (card.name, card.licence, card.scanner) == ("mine", "CC BY 4.0", "ours")
    assert len(card.evidence.sections) == 3
    page = out.with_suffix(".card.md").read_text(encoding="utf-8")
    assert page.startswith("# mine (version 1)")
    assert "one part left out in turn, with a gap of" in page


@pytest.fixture
def crops(base, tmp_path) -> Path:
    """The base as a model that reads a crop for each cell."""
    card, tensors, _ = read_model_file(base)
    encoder = card.encoder.model_copy(update={"mode": "crop", "stride_px": 1})
    return write_model_file(
        tmp_path / "crops.safetensors", card.model_copy(update={"encoder": encoder}), tensors
    )


def test_crops_get_another_read_out(crops, data, tmp_path):
    out = tmp_path / "m.safetensors"
    assert finetuned(crops, data["section"], out, "--how", "head") == 0
    model: Model = load_model(out)
    assert model.card.encoder.mode == "crop"
    assert set(model.genes) == {*KNOWN, *NEW}


@pytest.fixture
def published(crops, tmp_path) -> Path:
    """As PAST is published: no read-out, but a space shared with measured cells."""
    card, tensors, _ = read_model_file(crops)
    dim = card.encoder.tower.embed_dim
    cells = CellTowerCard(
        vocabulary=40, dim=8, heads=2, layers=1, feed_forward=8, positions=300, graph=False
    )
    bare = {
        "genes": (), "cutoffs": {}, "unlike_training_limit": None, "slide_unlike_limit": None,
        "evidence": card.evidence.model_copy(update={"r": {}, "detected": {}}),
        "projection_dim": 4, "cell_tower": cells,
    }  # fmt: skip
    parts = {"cell.": CellEncoder(cells, 4), "image_projection.": ProjectionHead(dim, 4)}
    space = {"temperature": np.array(0.07, np.float32)}
    for prefix, part in parts.items():
        space |= {prefix + key: value.numpy() for key, value in part.state_dict().items()}
    kept = {key: value for key, value in tensors.items() if key.startswith("tower.")}
    return write_model_file(
        tmp_path / "published.safetensors", card.model_copy(update=bare), kept | space
    )


def test_a_published_model_gets_a_read_out_and_keeps_its_space(published, data, tmp_path):
    out = tmp_path / "m.safetensors"
    assert finetuned(published, data["section"], out, "--how", "head") == 0
    before, after = load_model(published, "cpu"), load_model(out, "cpu")
    assert set(after.genes) == {*KNOWN, *NEW}
    assert after.cell_sha256 == before.cell_sha256  # banks go with both
    vectors = np.random.default_rng(0).standard_normal((3, before.embed_dim)).astype(np.float32)
    np.testing.assert_array_equal(after.project(vectors), before.project(vectors))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rank", "0"], "--rank is at least 1, but got 0"),
        (["--epochs", "0"], "--epochs is at least 1, but got 0"),
        (["--batch-size", "-2"], "--batch-size is at least 1, but got -2"),
        (["--seed", "-1"], "--seed is at least 0, but got -1"),
        (["--blocks", "1"], "--blocks is at least 2, but got 1"),
        (["--lr", "0"], "--lr is a number above 0, but got 0"),
        (["--lr", "nan"], "--lr is a number above 0, but got nan"),
        (["--lr", "inf"], "--lr is a number above 0, but got inf"),
        (["--model", "past-maxi"], "past-maxi"),
        (["--out", "m.pt"], "must be a .safetensors file"),
        (["--out", "nowhere/m.safetensors"], "The folder nowhere of m.safetensors does not exist"),
        (["--data", "nowhere.past"], "nowhere.past"),
        (["--card", "nowhere.toml"], "cannot be read as TOML"),
        (["--card", "broken.toml"], "cannot be read as TOML"),
        (["--card", "unknown.toml"], "colour: "),
        (["--blocks", "30"], "too few for 30 blocks"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(base, data, tmp_path, monkeypatch, capsys, options, message):
    (tmp_path / "broken.toml").write_text("licence is free", encoding="utf-8")
    (tmp_path / "unknown.toml").write_text('colour = "red"', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    given = {"--model": str(base), "--data": str(data["block"]), "--out": "m.safetensors"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    refused([word for pair in given.items() for word in pair], message, tmp_path, capsys)


def refused(words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    there = sorted(folder.iterdir())
    capsys.readouterr()
    assert main(["finetune", "--device", "cpu", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith("past-train: ")
    assert message in told[0]
    assert sorted(folder.iterdir()) == there


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mpp": 0.4}, "reads 0.5 µm/px but the dataset was prepared at 0.4; prepare it again with "
         "--dataset-mpp 0.5"),
        ({"patch_px": 112}, "--patch-px 128 or more"),
    ],
    ids=["µm/px", "patch"],
)  # fmt: skip
def test_datasets_that_do_not_fit_the_model(base, tmp_path, capsys, config, message):
    made = prepared(tmp_path, "other", [drawn(tmp_path, "S1", "P", 1)], **config)
    out = tmp_path / "m.safetensors"
    words = ["--model", str(base), "--data", str(made), "--out", str(out)]
    refused(words, message, tmp_path, capsys)


def test_crops_cannot_be_adapted(crops, data, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    words = ["--model", str(crops), "--data", str(data["section"]), "--out", str(out)]
    refused(words, "use --how head", tmp_path, capsys)


def test_interrupted_nothing_is_left(base, data, tmp_path, capsys, interrupted_at):
    """While a fold is fitted, whose scratch folder is made beside the model."""
    out = tmp_path / "m.safetensors"
    with interrupted_at(".fit-*/steps.csv"):
        assert finetuned(base, data["section"], out, "--epochs", "100000") == 130
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1] == "past-train: cancelled; nothing was written."
    assert not any("Traceback" in line for line in told)
    assert list(tmp_path.iterdir()) == []
