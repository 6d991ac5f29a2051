"""A student, from the command line to predictions with the teacher's own read-out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_past import load_model
from napari_past.engine import Store, predict
from napari_past.model import Card, Model
from napari_past.model.encoding import fresh_tower
from napari_past.model.files import read_model_file, write_model_file
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from past_training.cli import main
from past_training.release.distill import distill
from past_training.release.distill_fit import StudentConfig
from past_training.release.distill_report import Lesson, told

CROP_PX, MPP, DIM = 32, 0.5, 96
TINY = StudentConfig(stages=(1, 2), mpp=MPP, windows=6, core_px=96, lr=3e-3, stain_jitter=0.0)
POOLED = {"backbone": "test_resnet", "options": {}, "pool": "token", "embed_dim": DIM}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("distill")


@pytest.fixture(scope="module")
def teacher(folder: Path, tiny_card: Callable[..., Card]) -> Path:
    """A model of random weights that reads a crop of 16 µm for each cell."""
    card = tiny_card(
        name="master",
        encoder={
            "mode": "crop", "stride_px": 1, "crop_px": CROP_PX, "halo_px": CROP_PX // 2,
            "tower": POOLED,
        },
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        tower = fresh_tower(card.encoder.tower)
    rng = np.random.default_rng(5)
    tensors = {f"tower.{k}": v.numpy() for k, v in tower.state_dict().items()}
    tensors |= {
        "readout.weight": rng.normal(size=(len(card.genes), DIM)).astype(np.float32),
        "readout.bias": rng.normal(size=len(card.genes)).astype(np.float32),
        "statistics.mean": rng.normal(size=DIM).astype(np.float32),
        "statistics.whitening": 0.22 * rng.normal(size=(DIM, 3)).astype(np.float32),
    }
    return write_model_file(folder / "master.safetensors", card, tensors)


@pytest.fixture(scope="module")
def slides(folder: Path) -> dict[str, Path]:
    return {
        "large": write_phantom(folder / "large.ome.tif", 1200, 900, MPP, 1),
        "small": write_phantom(folder / "small.ome.tif", 480, 400, MPP, 2),
        "other": write_phantom(folder / "other.ome.tif", 480, 400, MPP, 3),
    }


@pytest.fixture(scope="module")
def student(folder, teacher, slides) -> tuple[Model, Lesson, Path]:
    """It learned from the large slide and is held against its teacher on the small one."""
    (folder / "made").mkdir()
    out = folder / "made" / "pupil.safetensors"
    config = TINY.model_copy(update={"steps": 150})
    with open_slide(slides["large"]) as large, open_slide(slides["small"]) as small:
        made, lesson = distill(
            load_model(teacher, "cpu"), [large], out, config, held_out=[small], scratch=folder
        )
    return made, lesson, out


def quick(folder: Path, teacher: Path, names: list[Path], out: Path, steps: int = 1) -> Lesson:
    """A student after few steps; tiles that the teacher encoded before are used again."""
    config = TINY.model_copy(update={"steps": steps, "windows": 1})
    opened = [open_slide(name) for name in names]
    try:
        return distill(load_model(teacher, "cpu"), opened, out, config, scratch=folder)[1]
    finally:
        for slide in opened:
            slide.close()


def test_what_reads_vectors_is_the_teachers(student, teacher):
    made, _, out = student
    _, before, _ = read_model_file(teacher)
    _, after, _ = read_model_file(out)
    kept = {key for key in before if not key.startswith("tower.")}
    assert kept == {key for key in after if not key.startswith("tower.")}
    assert len(kept) == 4
    for key in kept:
        assert after[key].dtype == before[key].dtype
        assert (after[key] == before[key]).all()
    master = load_model(teacher).card
    assert made.genes == master.genes
    assert made.card.cutoffs == master.cutoffs
    assert made.card.expression_unit == master.expression_unit


def test_the_card_says_what_it_is(student, teacher, slides):
    made, lesson, out = student
    card, master = made.card, load_model(teacher)
    assert card.name == "pupil"
    assert f"student of master 1 (SHA-256 {master.sha256})" in card.summary
    assert "cosine of" in card.summary
    assert (card.evidence.patients, card.evidence.sections, card.evidence.r) == (0, (), {})
    assert card.evidence.detected == master.card.evidence.detected
    assert all(made.reliability(gene).grey for gene in made.genes)
    assert all(made.reliability(gene).r is None for gene in made.genes)
    assert card.training_data.endswith("then, without labels, large.ome.tif")
    with open_slide(slides["large"]) as large:
        assert card.training_fingerprints == (large.fingerprint,)
    assert card.licence == f"not stated; that of master: {master.card.licence}"
    assert card.cutoffs_source.endswith("copied from master 1")
    assert card.encoder.mode == "dense"
    assert card.encoder.halo_px % card.encoder.stride_px == 0
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "pupil.card.md", "pupil.html", "pupil.md", "pupil.safetensors",
    ]  # fmt: skip
    assert lesson.student.name == "pupil"


def test_it_learned_more_than_the_mean_and_than_a_student_without_lessons(
    student, folder, teacher, slides
):
    (found,) = student[1].agreements
    assert found.where == "small.ome.tif"
    lesson = quick(
        folder, teacher, [slides["large"], slides["small"]], folder / "untrained.safetensors"
    )
    (untrained,) = lesson.agreements
    assert "the last of the slides" in lesson.held_out
    assert found.cells == untrained.cells > 50
    assert found.explained > 0.15 > untrained.explained
    assert 1 - found.cosine < 0.8 * (1 - untrained.cosine)
    assert 1 - found.cosine < 0.9 * (1 - found.constant_cosine)
    assert found.gene_r > 0.4
    assert found.gene_r > untrained.gene_r + 0.2


def test_the_plugin_predicts_with_it_as_the_report_says(student, teacher, slides, tmp_path):
    made, lesson, _ = student
    with open_slide(slides["small"]) as small:
        master = predict(small, load_model(teacher, "cpu"))
        by_teacher = master.expression(["ERBB2"])[:, 0]
        cells = predict(small, made, cells=master.found)
        by_student = cells.expression(["ERBB2"])[:, 0]
        order = [
            int(np.flatnonzero((master.centers_um == centre).all(1))[0])
            for centre in cells.centers_um
        ]
    r = np.corrcoef(by_student, by_teacher[order])[0, 1]
    her2 = next(m for m in lesson.agreements[0].markers if "HER2" in m.label)
    assert her2.r == pytest.approx(r, abs=1e-3)


def test_the_limit_flags_as_many_as_the_teacher_does(student, teacher, slides, folder):
    made = student[0]
    with open_slide(slides["large"]) as large:
        master = predict(large, load_model(teacher, "cpu"))
        learned = predict(large, made, cells=master.found)
        share = (master.unlike_training > 1).mean()
        assert 0.02 < share < 0.98
        assert (learned.unlike_training > 1).mean() == pytest.approx(share, abs=1 / len(master))


def test_the_report(student):
    _, lesson, out = student
    text = out.with_suffix(".md").read_text(encoding="utf-8")
    (found,) = lesson.agreements
    assert "the teacher's evidence is not the student's" in text
    assert "small.ome.tif, of which nothing was learned" in text
    row = next(line for line in text.splitlines() if line.startswith("| small.ome.tif"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:4] == [str(found.cells), f"{found.cosine:.3f}", f"{found.cosine_low:.3f}"]
    assert f"{lesson.speed.ratio:.1f}x" in text
    assert "For research use only" in text
    assert "<table>" in out.with_suffix(".html").read_text(encoding="utf-8")
    lines = told(lesson.agreements, lesson.speed)
    assert f"cosine {found.cosine:.3f}" in lines[0]
    assert f"6 genes with a median r of {found.gene_r:.2f}" in lines[0]


def test_one_slide_is_held_out_of_itself_and_a_seed_decides(folder, teacher, slides, tmp_path):
    outs = [tmp_path / f"{name}.safetensors" for name in ("one", "two")]
    lessons = [quick(folder, teacher, [slides["large"]], out, steps=2) for out in outs]
    (found,) = lessons[0].agreements
    assert lessons[0].held_out.startswith("the far end of large.ome.tif, with a gap of 16 µm")
    assert "nothing of another slide" in lessons[0].held_out
    ((_, learned),) = lessons[0].slides
    assert found.cells < learned < found.cells * 3.5
    first, second = (read_model_file(out)[1] for out in outs)
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]).all() for key in first)


def test_a_teacher_without_a_read_out(folder, teacher, slides, tmp_path):
    card, tensors, _ = read_model_file(teacher)
    bare = card.model_copy(
        update={
            "genes": (),
            "cutoffs": {},
            "evidence": card.evidence.model_copy(update={"r": {}, "detected": {}}),
            "unlike_training_limit": None,
            "slide_unlike_limit": None,
        }
    )
    kept = {key: value for key, value in tensors.items() if key.startswith("tower.")}
    path = write_model_file(tmp_path / "bare.safetensors", bare, kept)
    out = tmp_path / "m.safetensors"
    with open_slide(slides["other"]) as other, open_slide(slides["small"]) as small:
        made, lesson = distill(
            load_model(path, "cpu"), [small], out,
            TINY.model_copy(update={"steps": 1, "windows": 1}), held_out=[other],
        )  # fmt: skip
        assert made.genes == ()
        text = out.with_suffix(".md").read_text(encoding="utf-8")
        assert "The teacher has no read-out, so only vectors can be compared." in text
        assert "cosine" in told(lesson.agreements, lesson.speed)[0]
        assert "genes" not in told(lesson.agreements, lesson.speed)[0]
        # The student knows the cells that it learned from, though its teacher knows none.
        cells = predict(small, made, store=Store(predict(small, made).plan.key, tmp_path))
        assert 0 < (cells.unlike_training > 1).mean() < 0.05


def line(teacher: Path, out: Path, *options: str) -> list[str]:
    given = {"--teacher": str(teacher), "--out": str(out), "--device": "cpu"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    return ["distill", *(word for pair in given.items() for word in pair)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps is at least 1, but got 0"),
        (["--batch-size", "0"], "--batch-size is at least 1, but got 0"),
        (["--threads", "0"], "--threads is at least 1, but got 0"),
        (["--seed", "-1"], "--seed is at least 0, but got -1"),
        (["--lr", "nan"], "--lr is a number above 0, but got nan"),
        (["--stain-jitter", "-1"], "--stain-jitter is 0 or more, but got -1"),
        (["--stages", "a"], "--stages are numbers such as 2,3, each once, but got 'a'"),
        (["--stages", "1,9"], "cannot be built"),
        (["--backbone", "no_such_net"], "no_such_net with stages"),
        (
            ["--student-mpp", "50"],
            "There can be no such student (mpp: Input should be less than 20)",
        ),
        (["--scratch", "nowhere"], "--scratch nowhere is not a folder"),
        (["--teacher", "past-maxi"], "past-maxi"),
        (["--slides", "nowhere.svs"], "nowhere.svs does not exist"),
        (["--held-out", "SMALL"], "are the same slide"),
        (["--out", "m.pt"], "must be a .safetensors file"),
        (["--out", "nowhere/m.safetensors"], "The folder nowhere of m.safetensors does not exist"),
        (["--slides", "SMALL", "--stages", "1,2", "--student-mpp", "4"], "give another slide with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(
    teacher, slides, tmp_path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    options = [str(slides["small"]) if word == "SMALL" else word for word in options]
    words = line(teacher, Path("m.safetensors"), "--slides", str(slides["small"]), *options)
    assert main(words) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("past-train: ")
    assert message in last
    assert list(tmp_path.iterdir()) == []


def test_neither_a_file_nor_the_teacher_is_overwritten(teacher, slides, tmp_path, capsys):
    report = tmp_path / "m.md"
    report.write_text("years of work")
    words = line(teacher, tmp_path / "m.safetensors", "--slides", str(slides["small"]))
    assert main(words) == 2
    assert f"{report} exists already" in capsys.readouterr().err
    before = teacher.read_bytes()
    assert main([*line(teacher, teacher, "--slides", str(slides["small"])), "--force"]) == 2
    assert f"{teacher} is read by this command" in capsys.readouterr().err
    assert teacher.read_bytes() == before


def test_interrupted_nothing_is_left(teacher, slides, tmp_path, capsys, interrupted_at):
    """While it trains, whose scratch folder is beside the model."""
    out = tmp_path / "m.safetensors"
    words = line(
        teacher, out, "--slides", str(slides["large"]), "--steps", "100000",
        "--stages", "1,2", "--student-mpp", "0.5", "--batch-size", "1",
    )  # fmt: skip
    with interrupted_at(".distill-*/steps.csv"):
        assert main(words) == 130
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1] == "past-train: cancelled; nothing was written."
    assert list(tmp_path.iterdir()) == []
