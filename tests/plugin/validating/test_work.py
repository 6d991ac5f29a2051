"""Validation on the measured tissue in the viewer: the dialog, its result, and the badge."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anndata
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from shapely import box

from napari_past.model import Model, Reliability, load_model
from napari_past.model.lab_evidence import read_lab_evidence, write_lab_evidence
from napari_past.plugin.facts import facts_of
from napari_past.plugin.gene_box import (
    BAD_BADGE,
    GREY_BADGE,
    TRUSTED_BADGE,
    GeneBox,
    badge_style,
)
from napari_past.plugin.measured.tissue import Measured, OnSlide, opened_on
from napari_past.plugin.validating.request import (
    Found,
    TableAsked,
    TowerAsked,
    ValidateRequest,
    held_against,
    validated,
)
from napari_past.plugin.validating.rows import sorted_genes
from napari_past.plugin.validating.work import NO_TISSUE, Validating
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.spatial.measured import MeasuredAs
from napari_past.types import IGNORE, TUMOUR, Region, SlideRef
from napari_past.validation.predictor import NOBODY
from napari_past.validation.seen import SeenTissue

LONG_MS = 60_000
WIDTH_PX, HEIGHT_PX, MPP, ROWS = 1000, 300, 1.0, 150
GENES = ("ERBB2", "EPCAM", "KRT5", "KRT8", "CD3E", "PTPRC")
"""Of the tiny model, and two that it does not have."""
REGIONS = (
    Region("Left", TUMOUR, box(0, 0, 500, 300)),
    Region("Fold", IGNORE, box(900, 0, 1000, 300)),
)


@dataclass(frozen=True)
class DrawnTissue:
    slide: Path
    measured: Path


@dataclass
class Bench:
    """What lies before the user: a slide without cells in colours."""

    session = view = shown = slide_bounds = None


@pytest.fixture(scope="session")
def tissue_files(tmp_path_factory: pytest.TempPathFactory) -> DrawnTissue:
    """A drawn slide of 1.0 x 0.3 mm, and single cells that were measured on it."""
    truth = draw_phantom(WIDTH_PX, HEIGHT_PX, MPP, 7)
    folder = tmp_path_factory.mktemp("measured")
    slide = folder / "drawn.ome.tif"
    write_pyramid(slide, truth.rgb, MPP, "drawn", jpeg=False)
    rng = np.random.default_rng(8)
    inside = (truth.centers_um > 20).all(axis=1)
    inside &= (truth.centers_um < (WIDTH_PX * MPP - 20, HEIGHT_PX * MPP - 20)).all(axis=1)
    rows = np.sort(rng.choice(np.flatnonzero(inside), ROWS, replace=False))
    at = truth.centers_um[rows]
    rates = np.exp(rng.normal(1, 0.5, (ROWS, len(GENES))) + at[:, :1] / 900)
    table = anndata.AnnData(rng.poisson(rates).astype(np.float32))
    table.obs_names = [f"c{i}" for i in range(ROWS)]
    table.var_names = list(GENES)
    table.obsm["spatial"] = at
    table.obs["type"] = truth.kinds[rows]
    table.write_h5ad(folder / "drawn.h5ad")
    return DrawnTissue(slide, folder / "drawn.h5ad")


@pytest.fixture(scope="session")
def on_slide(tissue_files: DrawnTissue, cache_dir: Path) -> OnSlide:
    asked = MeasuredAs("anndata", unit="um", types="type", patient="P")
    return opened_on(tissue_files.measured, SlideRef(str(tissue_files.slide)), asked)


@pytest.fixture(scope="session")
def tiny(tiny_model_file: Path) -> Model:
    return load_model(str(tiny_model_file), "cpu")


@pytest.fixture(scope="session")
def found(on_slide: OnSlide, tiny: Model) -> Found:
    """With a region, and another one that is left out."""
    return validated(asked_of(on_slide, tiny, regions=REGIONS), None, NOBODY)


def asked_of(here: OnSlide, model: Model, **changes: object) -> ValidateRequest:
    request = ValidateRequest(
        section=here.section, ref=here.ref, fingerprint=here.tissue.fingerprint, model=model,
        instead=None, regions=(), asked=(), allow_seen=False,
    )  # fmt: skip
    return replace(request, **changes)


@pytest.fixture
def window(qtbot) -> QWidget:
    parent = QWidget()
    qtbot.addWidget(parent)
    return parent


@pytest.fixture
def validating(on_slide: OnSlide, tiny: Model, window: QWidget) -> Validating:
    """The dialog of drawn tissue and the tiny model, which this process runs."""
    measured = Measured(window)
    part = Validating(measured, lambda: (), None, Bench(), window)
    part.set_model(tiny)
    measured.turn_to(on_slide.ref)
    measured.keep(on_slide)
    part.come_up()
    return part


def done(qtbot, part: Validating, begin: Callable[[], None]) -> None:
    begin()
    qtbot.waitUntil(lambda: not part.busy, timeout=LONG_MS)


def facts(part: Validating) -> dict[str, str]:
    """What the dialog says of what is held against what."""
    return dict(re.findall(r"<tr><td[^>]*>(.*?)</td><td>(.*?)</td>", part.dialog.facts.text()))


@pytest.mark.gui
def test_the_widget_gives_what_the_command_line_gives_to_the_bit(
    validating, tissue_files, tiny_model_file, command, qtbot, tmp_path
):
    told = facts(validating)
    assert told["Rows"] == f"{ROWS} cells on the slide with a count, of {ROWS}"
    assert told["Genes"] == "6 measured, 4 of them in tiny"
    kinds = sorted(set(validating._measured.section.types))
    assert len(kinds) > 1
    assert told["Cell types"] == f"{', '.join(kinds)}, as annotated"
    done(qtbot, validating, validating.validate)
    dialog = validating.dialog
    assert dialog.message.text() == ""
    assert dialog.pane.headline.text().startswith("tiny on drawn (150 rows, single cells)")
    names = [line[0] for line in dialog.pane.predictors.texts()]
    assert names[:2] == ["tiny", "ridge on 40 colour statistics\nfitted on this tissue"]
    groups = [line[0] for line in dialog.pane.groups.texts()]
    assert groups == [f"cell type: {kind}" for kind in kinds]
    dialog.saved_as.set_text(str(tmp_path / "widget.html"))
    done(qtbot, validating, validating.save)
    assert "widget.html" in dialog.message.text()
    ran = command(
        "validate", tissue_files.slide, tissue_files.measured, "--out", tmp_path / "line.html",
        "--model", tiny_model_file, "--unit", "um", "--types", "type", "--patient", "P",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    for suffix in (".html", ".genes.csv", ".validation.json"):
        widget, line = ((tmp_path / f"{n}{suffix}").read_bytes() for n in ("widget", "line"))
        assert widget == line, suffix


@pytest.mark.gui
def test_training_tissue_is_refused_then_told(
    validating, on_slide, write_tiny_model, qtbot, tmp_path
):
    seen = write_tiny_model(
        tmp_path / "seen.safetensors", training_fingerprints=(on_slide.slide.fingerprint,)
    )
    dialog = validating.dialog
    validating.set_model(load_model(str(seen), "cpu"))
    done(qtbot, validating, validating.validate)
    assert "was trained on the H&E of drawn" in dialog.message.text()
    assert "--seen-tissue" not in dialog.message.text()
    assert dialog.all_the_same.isVisibleTo(dialog)
    assert validating.result is None
    dialog.all_the_same.setChecked(True)
    done(qtbot, validating, validating.validate)
    assert "no validation" in dialog.pane.doubt.text()
    assert "how well it remembers" in dialog.pane.told.text()
    done(qtbot, validating, validating.use)
    box = GeneBox()
    qtbot.addWidget(box)
    box.set_model(validating._model)
    assert box.badge.text().startswith("your lab: tissue it was trained on · single cells · r ")
    assert box.badge.styleSheet() == GREY_BADGE


@pytest.mark.gui
def test_the_badge_rests_on_it_and_goes_back(validating, found, tiny, qtbot):
    box, other = GeneBox(), QWidget()
    for widget in (box, other):
        qtbot.addWidget(widget)
    box.set_model(tiny)
    box.set_gene("ERBB2")
    own = box.badge.text()
    validating.evidence_changed.connect(box.tell_badge_again)
    dialog = validating.dialog
    assert not dialog.use.isEnabled(), "nothing to rest on yet"
    # As of a model that tells what it was trained on; of others badges are grey.
    traced = replace(found, evidence=found.evidence.model_copy(update={"traced": True}))
    validating._on_validated(traced)
    (facts,) = found.validation.tissues
    told = f"tiny on drawn · 1 patient · single cells · {facts.rows} rows, 4 genes."
    assert dialog.candidate.text() == f"The result shown: {told}"
    with qtbot.waitSignal(validating.evidence_changed, timeout=LONG_MS):
        qtbot.mouseClick(dialog.use, Qt.MouseButton.LeftButton)
    r = found.evidence.genes["ERBB2"].r
    style = TRUSTED_BADGE if r > 0 else BAD_BADGE
    assert box.badge.text().startswith(f"your lab: 1 patient · single cells · r {r:.2f}")
    assert box.badge.styleSheet() == style
    assert tiny.reliability("CD3G").label.startswith("your lab: CD3G not measured")
    assert "rest on your lab's" in dialog.badges.text()
    assert not dialog.use.isEnabled(), "it is in use"
    with qtbot.waitSignal(validating.evidence_changed, timeout=LONG_MS):
        qtbot.mouseClick(dialog.own, Qt.MouseButton.LeftButton)
    assert box.badge.text() == own
    assert dialog.use.isEnabled()


@pytest.mark.gui
def test_a_colleagues_file_is_opened_and_mistakes_are_told(
    validating, found, tiny, qtbot, tmp_path
):
    path = tmp_path / "colleague.json"
    dialog = validating.dialog
    write_lab_evidence(found.evidence, path)
    done(qtbot, validating, lambda: validating.open_file(str(path)))
    assert dialog.candidate.text().startswith("The file: tiny on drawn")
    done(qtbot, validating, validating.use)
    assert tiny.lab_evidence == found.evidence
    validating.use_own()

    changed = json.loads(path.read_text(encoding="utf-8"))
    changed["genes"]["ERBB2"]["r"] = 0.99
    path.write_text(json.dumps(changed), encoding="utf-8")
    done(qtbot, validating, lambda: validating.open_file(str(path)))
    assert "was changed since it was written" in dialog.message.text()

    write_lab_evidence(found.evidence.model_copy(update={"model_sha256": "c" * 64}), path)
    done(qtbot, validating, lambda: validating.open_file(str(path)))
    done(qtbot, validating, validating.use)
    assert "validate this model too" in dialog.message.text()
    assert tiny.lab_evidence is None


@pytest.mark.gui
def test_the_result_outlives_slide_and_model(validating, found, qtbot, tmp_path):
    dialog, measured = validating.dialog, validating._measured
    validating._of_next = measured.here
    validating._on_validated(found)
    assert dialog.residual.isVisibleTo(dialog)
    measured.turn_to(None)
    assert not dialog.validate.isEnabled()
    assert dialog.facts.text() == NO_TISSUE
    assert not dialog.residual.isVisibleTo(dialog), "that slide is not in view"
    validating.set_model(load_model("past-mini"))
    assert not dialog.use.isEnabled(), "it is of another model"
    dialog.saved_as.set_text(str(tmp_path / "page.md"))
    done(qtbot, validating, validating.save)
    assert read_lab_evidence(tmp_path / "page.validation.json") == found.evidence
    for name, why in (("page.txt", ".html or .md"), ("page.html", "page.genes.csv is there")):
        dialog.saved_as.set_text(str(tmp_path / name))
        validating.save()
        assert why in dialog.message.text()


@pytest.mark.gui
def test_badge_hover_and_exports_of_the_widget_follow(opened, found, analysed, qtbot, tmp_path):
    _, widget = opened()
    model = load_model("past-mini")
    theirs = found.evidence.model_copy(
        update={"model": model.name, "model_sha256": model.sha256, "seen": ("C5",)}
    )
    write_lab_evidence(theirs, tmp_path / "colleague.json")
    widget.panel.gene.set_gene("ERBB2")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    part = widget._validating
    own = widget.panel.gene.badge.text()
    done(qtbot, part, lambda: part.open_file(str(tmp_path / "colleague.json")))
    done(qtbot, part, part.use)
    label = widget.panel.gene.badge.text()
    assert label.startswith("your lab: tissue it was trained on · single cells · r ")
    cell = facts_of(0, widget.cells, widget.shown, None, {})
    assert [gene.reliability for gene in cell.genes] == [label]
    assert analysed.to_anndata(["ERBB2"]).var["evidence"].tolist() == [label]
    part.use_own()
    assert widget.panel.gene.badge.text() == own
    part.gene_wanted.emit("KRT5")
    assert widget.panel.gene.current.name == "KRT5"


@pytest.mark.gui
def test_it_can_be_cancelled_and_asked_again(validating, qtbot):
    dialog = validating.dialog
    validating.validate()
    assert validating.busy
    assert not dialog.validate.isEnabled()
    qtbot.mouseClick(dialog.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not validating.busy, timeout=LONG_MS)
    assert dialog.message.text() == "Cancelled."
    assert validating.result is None
    assert dialog.validate.isEnabled()
    dialog.table.setChecked(True)
    validating.validate()
    assert "No table of predictions is named" in dialog.message.text()
    dialog.table_file.set_text("/nowhere/table.h5ad")
    done(qtbot, validating, validating.validate)
    assert "table.h5ad" in dialog.message.text()


@pytest.mark.gui
def test_genes_are_sorted_filtered_and_chosen(validating, found, qtbot):
    validating._on_validated(found)
    table = validating.dialog.pane.genes

    def lines() -> list[str]:
        return [table.genes.gene(i) for i in range(table.genes.rowCount())]

    r = dict(zip(found.validation.genes, found.validation.main.figures.r, strict=True))
    assert lines() == sorted(r, key=lambda gene: -r[gene])
    table.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert lines() == sorted(r)
    qtbot.keyClicks(table.filter, "krt, cd3")
    assert lines() == ["CD3E", "KRT5"]
    assert table.count.text().startswith("2 of 4 genes")
    maps = validating.dialog.pane.maps
    table.view.selectRow(0)
    assert len(maps.figures) == 0, "nobody looks at them"
    validating.dialog.pane.tabs.setCurrentWidget(maps)
    qtbot.waitUntil(lambda: len(maps.figures) == 1, timeout=LONG_MS)
    with qtbot.waitSignal(validating.gene_wanted) as wanted:
        table.view.doubleClicked.emit(table.genes.index(1, 0))
    assert wanted.args == ["KRT5"]


@pytest.mark.parametrize(
    ("r", "grey", "learnable", "style"),
    [
        (0.4, False, True, TRUSTED_BADGE),
        (0.4, True, True, GREY_BADGE),
        (-0.2, False, True, BAD_BADGE),
        (-0.2, True, True, GREY_BADGE),
        (None, False, True, GREY_BADGE),
        (0.4, False, False, BAD_BADGE),
    ],
)
def test_only_what_was_borne_out_on_unseen_patients_is_green(r, grey, learnable, style):
    assert badge_style(Reliability("EPCAM", learnable, grey, r, "")) == style


def test_genes_without_a_number_come_last_in_both_directions():
    key = np.array([0.2, np.nan, -0.3, 0.2])
    assert sorted_genes(key, descending=True).tolist() == [0, 3, 2, 1]
    assert sorted_genes(key, descending=False).tolist() == [2, 0, 3, 1]


def test_regions_are_told_apart_and_ignored_ones_left_out(on_slide, tiny, found):
    told = dict(held_against(on_slide.tissue, tiny, REGIONS))
    assert told["Regions"] == "Left; rows in Fold are left out"
    x_um = on_slide.section.centers_um[:, 0]
    result = found.validation
    assert [f.rows for f in result.tissues] == [int((x_um < 900).sum())]
    (left,) = [group for group in result.groups if group.kind == "region"]
    assert (left.name, left.rows) == ("Left", int((x_um < 500).sum()))


def test_a_table_and_a_tower_take_the_models_place(
    on_slide, tiny, tiny_model_file, write_tiny_model, tmp_path
):
    rng = np.random.default_rng(1)
    measured = on_slide.tissue.measured(["EPCAM", "KRT8"])
    table = anndata.AnnData(measured + rng.normal(0, 0.5, measured.shape).astype(np.float32))
    table.obs_names = list(on_slide.tissue.ids)
    table.var_names = ["EPCAM", "KRT8"]
    table.write_h5ad(tmp_path / "theirs.h5ad")
    asked = asked_of(on_slide, tiny, instead=TableAsked(str(tmp_path / "theirs.h5ad")))
    theirs = validated(asked.checked(), None, NOBODY)
    assert theirs.validation.genes == ("EPCAM", "KRT8")
    assert theirs.evidence is None, "no model's badge may rest on it"
    for j in range(2):
        r = np.corrcoef(table.X[:, j], measured[:, j])[0, 1]
        assert theirs.validation.main.figures.r[j] == pytest.approx(r, abs=1e-5)
    asked = asked_of(on_slide, tiny, instead=TowerAsked(str(tiny_model_file)))
    tower = validated(asked.checked(), None, NOBODY)
    assert tower.validation.main.fitted_here
    assert tower.validation.genes == GENES
    assert tower.evidence is None
    seen = write_tiny_model(
        tmp_path / "seen.safetensors", training_fingerprints=(on_slide.slide.fingerprint,)
    )
    with pytest.raises(SeenTissue, match="tick the box"):
        validated(asked_of(on_slide, tiny, instead=TowerAsked(str(seen))), None, NOBODY)
