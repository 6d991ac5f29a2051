"""Somebody's few lines of Python on the bench."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import BadTable, Cancelled
from napari_past.slide import slide_of_array
from napari_past.spatial.section import MeasuredSection
from napari_past.validation.adapter import AdapterFailed, adapted, read_adapter, row_outputs
from napari_past.validation.predictor import NOBODY, TissueFold, Watch
from napari_past.validation.tissue import Tissue, tissue_of

REPOSITORY = Path(__file__).resolve().parents[2]
GENES = ("ERBB2", "CCN2", "ACTB")
MPP, ROWS = 0.5, 70

PREDICTS = """
import numpy as np
class Mine:
    name, mpp, crop_px, unit = "mine", 1.0, 8, "log1p(counts per 10k)"
    genes = ["CTGF", "ERBB2"]
    def predict(self, crops, xy_um):
        assert crops.dtype == np.uint8 and crops.shape[1:] == (8, 8, 3)
        return np.column_stack([xy_um[:, 0], crops.mean((1, 2))[:, 0]])
"""
EMBEDS = (
    PREDICTS.replace("def predict", "def embed")
    .replace("np.column_stack", "np.stack")
    .replace("[xy_um[:, 0], crops.mean((1, 2))[:, 0]]", "[*crops.mean((1, 2)).T], axis=1")
)


@pytest.fixture
def part() -> Tissue:
    """A picture whose red is x and whose green is y in px, and a gene that follows the red."""
    y, x = np.mgrid[:240, :250]
    rgb = np.stack([x, y, np.full_like(x, 128)], -1).astype(np.uint8)
    xy_um = np.random.default_rng(0).uniform(10, 110, (ROWS, 2))
    target = xy_um[:, 0] / 50 + 2
    counts = np.column_stack([np.expm1(target), np.ones(ROWS), 9999 - np.expm1(target)])
    section = MeasuredSection(
        name="S", patient="P", species="human", tissue="", technology="other", image=Path("he.tif"),
        mpp=MPP, ids=tuple(map(str, range(ROWS))), centers_um=xy_um,
        counts=csr_array(counts.astype(np.float32)), genes=GENES, spot_diameter_um=None,
    )  # fmt: skip
    return tissue_of(section, slide_of_array(rgb, MPP), "f" * 64)


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "Mine") -> str:
        (tmp_path / "mine.py").write_text(text)
        return f"{tmp_path / 'mine.py'}:{name}"

    return write


def test_predictions_of_somebodys_genes(part, written):
    model = adapted(read_adapter(written(PREDICTS)))
    assert model.genes(GENES) == ("ERBB2", "CCN2")
    (got,) = model.predict([part], [], ("CCN2", "ERBB2"), NOBODY)
    np.testing.assert_allclose(got[:, 0], part.row_um[:, 0], rtol=1e-6)
    # Mean red of 8 µm around the row, which is its x in px: on whole pixels of 1 µm.
    np.testing.assert_allclose(got[:, 1], part.row_um[:, 0] / MPP - 0.5, atol=1.6)
    assert (model.name, model.unit, model.field_um) == ("mine", "log1p(counts per 10k)", 8.0)
    assert (model.fitted_here, len(model.sha256)) == (False, 64)


def test_vectors_get_a_ridge_on_the_folds(part, written):
    model = adapted(read_adapter(written(EMBEDS)))
    assert (model.fitted_here, model.name) == (True, "ridge on mine")
    left = part.row_um[:, 1] < 60
    folds = [TissueFold((left,), (~left,)), TissueFold((~left,), (left,))]
    (got,) = model.predict([part], folds, GENES, NOBODY)
    measured = part.measured(GENES)
    for half in (left, ~left):
        assert np.corrcoef(got[half, 0], measured[half, 0])[0, 1] > 0.999


def test_an_object_or_what_makes_one(part, written):
    text = PREDICTS + "model = Mine()\ndef make():\n    return Mine()\n"
    for name in ("Mine", "model", "make"):
        assert read_adapter(written(text, name)).genes == ("CTGF", "ERBB2")


def test_it_can_be_stopped(part, written):
    with pytest.raises(Cancelled):
        row_outputs(read_adapter(written(PREDICTS)), part, Watch(cancelled=lambda: True))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Mine", "class Other", r"mine.py has no Mine \(there are: np, Other\)"),
        ("import numpy", "import nunpy", r"failed at line 2 of mine.py \(ModuleNotFoundError"),
        ("class Mine:", "class Mine", r"failed at line 3 of mine.py \(SyntaxError"),
        ("def predict", "def guess", "has neither predict"),
        ("1.0, 8,", "0, 8,", "has mpp 0; give the µm/px"),
        ("1.0, 8,", "1.0, 8.5,", "has crop_px 8.5; give the side"),
        ('["CTGF", "ERBB2"]', "None", "has no genes; name those"),
        ('["CTGF", "ERBB2"]', '["A", "A"]', "names a gene twice"),
        ('["CTGF", "ERBB2"]', "(1 / i for i in (1, 0))", r"failed at line 5 .*ZeroDivisionError"),
        ("def predict", "@property\n    def predict", r"failed at mine.py \(TypeError"),
    ],
    ids=[
        "name",
        "import",
        "syntax",
        "method",
        "mpp",
        "crop",
        "genes",
        "twice",
        "yields",
        "property",
    ],
)
def test_mistakes_in_what_it_says(written, old, new, message):
    with pytest.raises(AdapterFailed, match=message):
        read_adapter(written(PREDICTS.replace(old, new)))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("1 / 0", r"failed at line 8 of mine.py \(ZeroDivisionError: division by zero\)"),
        ("xy_um[:, :1]", r"gave an array of shape \(32, 1\) for 32 crops where \(32, 2\)"),
        ("xy_um[0]", r"gave an array of shape \(2,\) for 32 crops"),
        ("'much'", "gave str where an array of numbers was expected"),
        ("3.0", r"gave an array of shape \(\) for 32 crops"),
        ("xy_um * 1j", "gave complex numbers; give real ones"),
        ("xy_um * 1e37", r"gave values beyond 1e\+30, which are no expression"),
    ],
    ids=["raises", "genes", "one row", "text", "scalar", "complex", "huge"],
)
def test_mistakes_in_what_it_gives(part, written, returned, message):
    text = PREDICTS.replace("np.column_stack([xy_um[:, 0], crops.mean((1, 2))[:, 0]])", returned)
    with pytest.raises(AdapterFailed, match=message):
        row_outputs(read_adapter(written(text)), part, NOBODY)


@pytest.mark.parametrize("returned", ["3.0", "xy_um[:, :0]"], ids=["scalar", "no width"])
def test_vectors_have_a_width(part, written, returned):
    text = EMBEDS.split("        return ")[0] + f"        return {returned}\n"
    with pytest.raises(AdapterFailed, match=r"for 32 crops where \(32, 1\) was expected"):
        row_outputs(read_adapter(written(text)), part, NOBODY)


def test_genes_may_be_yielded_and_the_field_told(written):
    text = PREDICTS.replace('["CTGF", "ERBB2"]', '(g for g in ("CTGF", "ERBB2"))')
    adapter = read_adapter(written(text), 300.0)
    assert (adapter.genes, adapter.field_um) == (("CTGF", "ERBB2"), 300.0)
    assert adapted(adapter).field_um == 300.0
    assert read_adapter(written(PREDICTS), 2.0).field_um == 8.0  # its crops are wider
    with pytest.raises(BadTable, match="--field-um is -1, but the width in µm"):
        read_adapter(written(PREDICTS), -1.0)


def test_the_example_of_the_documentation(part, tmp_path, monkeypatch):
    """Fifteen lines around a network of torch."""
    import timm
    import torch
    from safetensors.torch import save_file

    page = (REPOSITORY / "docs" / "validate.md").read_text(encoding="utf-8")
    block = page.split("in fifteen lines")[1].split("Saved as")[0]
    lines = [line for line in block.splitlines() if not line or line.startswith("    ")]
    code = textwrap.dedent("\n".join(lines))
    assert sum(1 for line in code.splitlines() if line.strip()) <= 15
    (tmp_path / "ours.py").write_text(code.replace("resnet18", "test_resnet"))
    net = timm.create_model("test_resnet", num_classes=3).eval()
    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    monkeypatch.chdir(tmp_path)
    model = adapted(read_adapter("ours.py:Mine"))
    assert (model.name, model.genes(GENES)) == ("our model", ("ERBB2",))
    part = tissue_of(part.section, part.slide, part.fingerprint, limit=4)
    (got,) = model.predict([part], [], ("ERBB2",), NOBODY)
    place = np.rint(part.row_um[:1] / 0.5 - 112).astype(int)[0]
    crop = part.slide.read_grid(*place.tolist(), 224, 224, 0.5)
    pixels = torch.from_numpy(crop)[None].permute(0, 3, 1, 2) / 255
    assert got[0, 0] == pytest.approx(net(pixels)[0, 0].item(), abs=1e-4)


def test_other_mistakes_are_one_sentence(tmp_path):
    with pytest.raises(AdapterFailed, match=r"where FILE\.py:NAME was expected"):
        read_adapter("mine.py")
    with pytest.raises(BadTable, match="There is no file"):
        read_adapter(f"{tmp_path}/nowhere.py:Mine")
