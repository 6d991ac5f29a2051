"""A cohort of two drawn slides and a table of cells, made ready, interrupted, and used again."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile

import napari_past as past
from napari_past.errors import Cancelled, CannotWrite
from napari_past.io import write_h5ad, write_regions
from napari_past.model.classifier import About, LabelledSlide, fit_classifier, write_classifier
from napari_past.model.patient import patient_digest
from napari_past.sample import draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.types import IGNORE, Region
from past_training.cli import main
from past_training.slide_level.bags.choices import Choices, Watch
from past_training.slide_level.bags.common_model import seen_in_training
from past_training.slide_level.bags.look import looked_at
from past_training.slide_level.bags.prepare import prepare
from past_training.slide_level.bags.read_prepared import read_prepared
from past_training.slide_level.bags.stored_bag import ClearedCache
from past_training.slide_level.bags.summaries import Reading
from past_training.slide_level.cohort.cohort import Cohort, CohortSlide
from past_training.slide_level.cohort.errors import BadCohort

MPP = 0.5


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, tiny_model_file):
    """A folder with slides a, b and c (c as a table), and the model."""
    folder = tmp_path_factory.mktemp("cohort")
    model = past.load_model(tiny_model_file, "cpu")
    for seed, name in enumerate("abc", start=1):
        rgb = draw_phantom(320, 260, MPP, seed).rgb
        write_pyramid(folder / f"{name}.ome.tif", rgb, MPP, name, jpeg=False)
    with past.open_slide(folder / "c.ome.tif") as slide:
        cells = past.predict(slide, model, store=None)
        write_h5ad(cells.to_anndata(["ERBB2"]), folder / "c.h5ad")
    return folder, model


def cohort_of(folder, *names) -> Cohort:
    """Each slide of a patient; what follows ":" is whose it is."""
    slides = []
    for name in names:
        file, _, patient = name.partition(":")
        slides.append(CohortSlide(file, str(folder / file), patient or file[0].upper()))
    patients = tuple(dict.fromkeys(slide.patient for slide in slides))
    n = len(patients)
    return Cohort(
        "drawn",
        patients,
        tuple(slides),
        time=np.arange(1.0, n + 1),
        event=np.arange(n) % 2 == 0,
        covariates=pd.DataFrame({"stage": ["I", None, "II"][:n]}, index=list(patients)),
        fold=("x", "y", "x")[:n],
        classes={"msi": (None, "high", "stable")[:n]},
    )


@pytest.fixture(scope="module")
def whole(drawn, tmp_path_factory):
    """A prepared cohort of patient A (slides a and c) and B, and the cache."""
    folder, model = drawn
    root, out = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("out") / "cohort"
    reading = Reading(model, ("ERBB2", "EPCAM"), {"T": ("CD3D", "CD3E", "CD3G")})
    cohort = cohort_of(folder, "a.ome.tif", "b.ome.tif", "c.h5ad:A")
    return prepare(cohort, out, Choices(reading), root=root), root, Choices(reading)


def expected(drawn, name) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and places of a slide's cells as `predict` has them, but for those under pen …"""
    folder, model = drawn
    with past.open_slide(folder / f"{name}.ome.tif") as slide:
        cells = past.predict(slide, model)
        mask = past.engine.unscored_of(slide)
        kept = mask.kind_at(cells.centers_um) == 0
        return cells.embeddings[kept], cells.centers_um[kept]


def test_a_bag_has_the_cells_that_the_viewer_shows(drawn, whole):
    prepared, _, _ = whole
    a, c = expected(drawn, "a"), expected(drawn, "c")
    (bag_a, bag_b) = prepared.bags
    assert bag_a.slides == ("a.ome.tif", "c.h5ad")
    assert bag_b.n == prepared.slides[1].cells > 0
    chunks = list(bag_a.chunks())
    for i, (vectors, places) in enumerate((a, c)):
        np.testing.assert_array_equal(chunks[i].vectors, vectors)
        np.testing.assert_allclose(chunks[i].places_um, places)
    assert prepared.cohort.patients == ("A", "B")
    assert prepared.cohort.classes == {"msi": (None, "high")}
    assert prepared.cohort.covariates["stage"].tolist() == ["I", None]
    assert prepared.model.sha256 == drawn[1].sha256
    assert prepared.slides[0].size_um == (160, 130)


def test_a_summary_is_of_all_cells_of_a_patient(drawn, whole):
    prepared, _, _ = whole
    _, model = drawn
    vectors = np.concatenate([expected(drawn, "a")[0], expected(drawn, "c")[0]])
    row = prepared.summaries.loc["A"]
    erbb2 = model.expression(vectors, ["ERBB2"])[:, 0]
    cd3 = model.expression(vectors, ["CD3D", "CD3E", "CD3G"])
    assert row["cells"] == len(vectors)
    assert row["mean:ERBB2"] == pytest.approx(erbb2.mean(), rel=1e-5)
    assert row["positive:ERBB2"] == pytest.approx((erbb2 >= -0.5).mean())
    assert row["pathway:T"] == pytest.approx(cd3.mean(), rel=1e-5)
    assert "positive:EPCAM" not in row, "the card has no cut-off of it"
    np.testing.assert_allclose(
        prepared.mean_vectors[0], vectors.astype(float).mean(axis=0), rtol=1e-5
    )


def tiles_made(watched: list) -> int:
    return sum(progress.result is not None for progress in watched)


def test_interrupted_it_goes_on(drawn, whole, tmp_path):
    """The second slide is cancelled; then only that one is encoded, and nothing differs."""
    undisturbed, _, choices = whole
    cohort = cohort_of(drawn[0], "a.ome.tif", "b.ome.tif", "c.h5ad:A")
    out, root, seen = tmp_path / "o", tmp_path, []
    begun = []
    watch = Watch(
        on_slide=lambda done, slide: begun.append(done),
        on_tile=seen.append,
        cancelled=lambda: len(begun) > 1,
    )
    with pytest.raises(Cancelled):
        prepare(cohort, out, choices, watch, root=root)
    first = tiles_made(seen)
    with pytest.raises(BadCohort, match=r"no prepared cohort .*goes on where it was interrupted"):
        read_prepared(out, root)
    seen.clear()
    prepared = prepare(cohort, out, choices, Watch(on_tile=seen.append), root=root)
    assert first > 0
    assert tiles_made(seen) > 0
    assert [s.digest for s in prepared.slides] == [s.digest for s in undisturbed.slides]
    pd.testing.assert_frame_equal(prepared.summaries, undisturbed.summaries)
    seen.clear()
    prepare(cohort, out, choices, Watch(on_tile=seen.append), root=root)
    assert not seen, "nothing is left to do"

    store = next(root.rglob("*.tile")).parent
    next(store.glob("*.tile")).unlink()
    with pytest.raises(ClearedCache, match="`past-train slide prepare` again"):
        read_prepared(out, root)
    prepare(cohort, out, choices, Watch(on_tile=seen.append), root=root)
    assert tiles_made(seen) == 1
    assert read_prepared(out, root).bags[0].n == undisturbed.bags[0].n


def test_another_patient_or_outcome_needs_no_new_encoding(drawn, whole, tmp_path):
    undisturbed, root, choices = whole
    out = tmp_path / "o"
    shutil.copytree(undisturbed.folder, out)
    cohort = cohort_of(drawn[0], "a.ome.tif:Z", "b.ome.tif")
    seen = []
    prepared = prepare(cohort, out, choices, Watch(on_tile=seen.append), root=root)
    assert not seen
    assert prepared.cohort.patients == ("Z", "B")
    assert len(list((out / "journal").iterdir())) == 2, "what no slide needs is gone"


@pytest.mark.parametrize("instances", ["cells", "tiles"])
def test_copies_outlive_the_cache(drawn, whole, tmp_path, instances):
    undisturbed, root, choices = whole
    chosen = replace(choices, instances=instances, tile_um=40.0, copy=True)
    cohort = cohort_of(drawn[0], "a.ome.tif", "b.ome.tif")
    prepare(cohort, tmp_path / "o", chosen, root=root)
    prepared = read_prepared(tmp_path / "o", tmp_path / "nothing here")
    assert not (tmp_path / "nothing here").exists()
    (chunk,) = prepared.bags[1].chunks()
    (cells,) = undisturbed.bags[1].chunks()
    if instances == "cells":
        np.testing.assert_array_equal(chunk.vectors, cells.vectors)
    else:
        assert len(chunk) == len(np.unique(cells.places_um // 40, axis=0)) < len(cells)
        assert set((chunk.places_um % 40).ravel()) == {20.0}
    np.testing.assert_array_equal(prepared.mean_vectors[1], undisturbed.mean_vectors[1])


def test_cells_of_one_class_are_a_share(drawn, whole, tmp_path):
    folder, model = drawn
    _, root, choices = whole
    vectors, _ = expected(drawn, "b")
    about = About(
        name="two",
        model=model.name,
        model_sha256=model.sha256,
        slides=(LabelledSlide(name="b", fingerprint="0" * 64, cells={"x": 5, "y": 5}),),
        labelled_by=("clicks",),
    )
    classifier = fit_classifier(vectors[:10], np.arange(10) // 5, ("x", "y"), about=about)
    write_classifier(classifier, tmp_path / "two.past-classes.json")
    chosen = replace(choices, reading=replace(choices.reading, classifier=classifier))
    prepared = prepare(cohort_of(folder, "b.ome.tif"), tmp_path / "o", chosen, root=root)
    x = (classifier.classified(vectors).code == 0).mean()
    assert prepared.summaries.loc["B", "share:x"] == pytest.approx(x)
    assert prepared.summaries.loc["B", "share:y"] == pytest.approx(1 - x)


def other_model(adata):
    adata.uns["napari_past"]["model"]["sha256"] = "1" * 64


def no_word(adata):
    del adata.uns["napari_past"]


def not_finite(adata):
    adata.obsm["X_past"][3, 2] = np.nan


def all_ignored(adata):
    adata.obs["ignored"] = True


def narrower(adata):
    adata.obsm["X_past"] = adata.obsm["X_past"][:, :3]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_model, r"t.h5ad are of tiny \(111111111111\), those of the cohort of tiny"),
        (narrower, "3 numbers, those of the cohort of 16 numbers"),
        (not_finite, "t.h5ad has vectors or places that are not finite"),
        (all_ignored, r"t.h5ad of the patient T has no cell that counts \(\d+ in Ignore\* regions"),
        (None, "c.ome.tif of the patient C and t.h5ad of the patient T are the same H&E"),
    ],
)
def test_tables_that_do_not_fit(drawn, whole, tmp_path, change, told):
    _, root, choices = whole
    adata = past.io.read_h5ad(drawn[0] / "c.h5ad")
    if change is not None:
        change(adata)
    write_h5ad(adata, tmp_path / "t.h5ad")
    other = "b.ome.tif" if change else "c.ome.tif"
    slides = [
        *cohort_of(drawn[0], other).slides,
        CohortSlide("t.h5ad", str(tmp_path / "t.h5ad"), "T"),
    ]
    cohort = Cohort("t", tuple(s.patient for s in slides), tuple(slides))
    with pytest.raises(Exception, match=told):
        prepare(cohort, tmp_path / "o", choices, root=root)


def test_who_made_vectors_may_be_unknown(drawn, tmp_path):
    adata = past.io.read_h5ad(drawn[0] / "c.h5ad")
    no_word(adata)
    write_h5ad(adata, tmp_path / "t.h5ad")
    cohort = Cohort("t", ("T",), (CohortSlide("t.h5ad", str(tmp_path / "t.h5ad"), "T"),))
    adata.uns["note"] = "another file of the same cells"
    write_h5ad(adata, tmp_path / "u.h5ad")
    again = CohortSlide("u.h5ad", str(tmp_path / "u.h5ad"), "U")
    with pytest.raises(BadCohort, match=r"u.h5ad of the patient U holds the same cells as t.h5ad"):
        prepare(Cohort("t", ("T", "U"), (*cohort.slides, again)), tmp_path / "o")
    prepared = prepare(cohort, tmp_path / "o")
    assert prepared.model.name == prepared.model.sha256 == ""
    assert prepared.notes[0].startswith("1 table without a word on which model")
    assert list(prepared.summaries.columns) == ["cells"]
    with (tmp_path / "t.h5ad").open("ab") as file:
        file.write(b"0")
    with pytest.raises(BadCohort, match="has changed since it was prepared"):
        read_prepared(tmp_path / "o")


def test_tissue_that_the_model_was_trained_on_is_told(drawn, write_tiny_model, tmp_path):
    (b,) = looked_at(cohort_of(drawn[0], "b.ome.tif").slides)
    a, c = looked_at(cohort_of(drawn[0], "a.ome.tif", "c.h5ad").slides)
    card = {
        "training_patients": (patient_digest("A"),),
        "training_fingerprints": (c.slide.fingerprint,),
        "training_thumbprints": (b.thumbprint,),
    }
    told = []
    for fields in (card, *({key: card[key]} for key in card), {}):
        path = write_tiny_model(tmp_path / "m.safetensors", name="seen", **fields)
        told.append(seen_in_training([a, b, c], past.load_model(path, "cpu")))
    shown = [re.search(r"\((.*?)\)", note[0])[1] if note else "" for note in told]
    assert shown == ["A, B, C", "A", "C", "B", ""]


def test_regions_of_each_slide(drawn, whole, tmp_path):
    """Ignore* takes the left half away; cells are then those on the right."""
    undisturbed, root, choices = whole
    half = Region("fold", IGNORE, shapely.box(0, 0, 80, 130))
    write_regions([half], tmp_path / "b.geojson", MPP)
    (slide,) = cohort_of(drawn[0], "b.ome.tif").slides
    cohort = replace(
        cohort_of(drawn[0], "b.ome.tif"),
        slides=(replace(slide, rois=str(tmp_path / "b.geojson")),),
    )
    prepared = prepare(cohort, tmp_path / "o", choices, root=root)
    (cells,) = undisturbed.bags[1].chunks()
    right = cells.places_um[:, 0] >= 80
    (chunk,) = prepared.bags[0].chunks()
    np.testing.assert_array_equal(chunk.places_um, cells.places_um[right])
    assert prepared.slides[0].left_out["in Ignore* regions"] == (~right).sum() > 0


def test_slides_that_cannot_be_used_are_told_together(drawn, tmp_path):
    (tmp_path / "x.svs").write_text("no picture")
    tifffile.imwrite(tmp_path / "y.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    slides = [CohortSlide(n, str(tmp_path / n), n) for n in ("x.svs", "y.tif", "z.h5ad")]
    with pytest.raises(BadCohort, match=r"3 of 3 slides .*x.svs.*y.tif .*--mpp.*z.h5ad"):
        looked_at(slides)


def test_folders_of_others_are_left_alone(drawn, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    cohort = cohort_of(drawn[0], "b.ome.tif")
    for out, told in (
        (tmp_path, "holds other files"),
        (tmp_path / "letters.txt", "is a file"),
        (tmp_path / "no" / "o", "does not exist"),
    ):
        with pytest.raises(CannotWrite, match=told):
            prepare(cohort, out)


def test_a_damaged_manifest_is_told(whole, tmp_path):
    shutil.copytree(whole[0].folder, tmp_path / "o")
    file = tmp_path / "o" / "manifest.json"
    told = json.loads(file.read_text())
    told["slides"][0]["cells"] = "many"
    file.write_text(json.dumps(told))
    with pytest.raises(BadCohort, match=r"slides.0.cells.* again"):
        read_prepared(tmp_path / "o", whole[1])


def test_the_command(drawn, tmp_path, capsys, monkeypatch):
    folder, model = drawn
    table = tmp_path / "t.csv"
    table.write_text(f"file,who,t,e\n{folder / 'b.ome.tif'},B,3,1\n{folder / 'c.h5ad'},C,4,0\n")
    words = ["slide", "prepare", str(table), "--slide", "file", "--patient", "who"]
    words += ["--time", "t", "--event", "e", "--out", str(tmp_path / "o")]
    assert main([*words, "--model", model.path, "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert "patients 2, 1 events, slides 2, cells " in told.out
    assert "slide 2/2: c.h5ad" in told.err
    assert read_prepared(tmp_path / "o").cohort.time.tolist() == [3, 4]

    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "past_training.slide_level.commands.prepare_progress.PrepareProgress._begin", pressed
    )
    assert main([*words, "--model", model.path, "--device", "cpu"]) == 130
    assert capsys.readouterr().err.endswith("and the same command goes on.\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "no/o"], "The folder no of o does not exist"),
        (["--out", "o", "--threads", "0"], "--threads is at least 1"),
        (["--out", "o", "--instances", "tiles", "--tile-um", "0"], "--tile-um is a side"),
        (["--out", "o", "--time", "t"], "name both columns"),
        (["--out", "o"], "names no slides"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("t,e\n1,1\n2,0\n")
    assert main(["slide", "prepare", "t.csv", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
