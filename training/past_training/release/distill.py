"""A small dense student of a model: one pass a tile gives nearly the vectors of its teacher.

Neighbouring cells' crops overlap about twentyfold, so a teacher that reads a crop for each does
most of its work again and again. The student learns from slides that nobody measured, and since it
gives the teacher's own vectors, whatever reads these is copied as it is: read-outs, projection,
cell tower, cut-offs.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydantic
from torch import nn

from napari_past.engine import Workers
from napari_past.engine.plan import TILE_PX
from napari_past.errors import PastError
from napari_past.model import Card, EncoderCard, Model, TowerCard, load_model, write_model_file
from napari_past.model.card import NOT_STATED
from napari_past.model.files import read_model_file
from napari_past.model.likeness import Likeness
from napari_past.model.tensors import TOWER, Tensors
from napari_past.model.traces import TrainingTraces
from napari_past.slide import Slide
from napari_past.slide.thumbprint import thumbprint
from past_training.dataset.schema import first_problem
from past_training.engine.random_state import seed_everything
from past_training.engine.towers import STAIN_MEAN, STAIN_STD, ImageTower, dense_state, dense_tower
from past_training.evaluation.output_files import report_files
from past_training.release.distill_cells import TaughtCells, drawn, halves, taught, vectors_of
from past_training.release.distill_figures import MOST_CELLS, Agreement, agreement, speed
from past_training.release.distill_fit import StudentConfig, fit_student
from past_training.release.distill_report import Lesson, summary_of, write_lesson
from past_training.release.export import encoder_of
from past_training.release.making import UNMEASURED
from past_training.release.out import check_out
from past_training.release.statements import Statements
from past_training.release.unlike import likeness, slide_limit
from past_training.release.writing import write_with_page

_LIMIT_CELLS = 20_000
"""Of a slide, from which the limit of what looks unlike the training is taken."""
_LEAST_LIMIT = 1e-6


@dataclass(frozen=True)
class Places:
    """Where a student's teacher is asked, and where things are put while that goes on."""

    folder: Path
    """Goes away when the student is written."""
    store: Path
    """Root of encoded tiles."""
    workers: Workers | None


def distill(
    teacher: Model,
    slides: Sequence[Slide],
    out: Path,
    config: StudentConfig,
    *,
    name: str | None = None,
    held_out: Sequence[Slide] = (),
    scratch: Path | None = None,
    workers: Workers | None = None,
    on_step: Callable[[str], None] = lambda text: None,
) -> tuple[Model, Lesson]:
    """Train a student on slides without labels, hold it against its teacher, write it.

    Parameters
    ----------
    teacher
        Any model, in a file.
    slides
        With a µm/px.
    out
        The model file; its page and the report (``.md``, ``.html``) go beside it.
    name
        Of the student; None for the file's.
    held_out
        Slides on which both are compared. With none, the last of several slides is held out; of
        one alone its far end, with a gap that keeps what is seen there out of the training.
    scratch
        Folder where the teacher's tiles are kept, so that a later run need not encode them again;
        None for one that goes away.
    workers
        Where tiles are encoded; None for this process.

    Raises
    ------
    PastError
        The backbone cannot be a dense tower, or there is not enough tissue.
    CannotWrite
        `out` cannot be written, or the disk is full.
    """
    check_out(out)
    report_files(out.with_suffix(".md"))
    _check_slides(slides, held_out)
    seed_everything(config.seed)
    tower, encoder = student_tower(config, teacher.embed_dim)
    # Windows keeps files that are mapped into memory.
    with tempfile.TemporaryDirectory(
        dir=out.parent, prefix=".distill-", ignore_cleanup_errors=True
    ) as text:
        places = Places(Path(text), scratch or Path(text), workers)
        cells = []
        for slide in (*slides, *held_out):
            on_step(f"{teacher.name} encodes the cells of {slide.name}")
            cells.append(taught(slide, teacher, places.folder, places.store, workers))
            on_step(f"{slide.name}: {len(cells[-1])} cells")
        train, held, said = _split(cells, len(slides), encoder)
        on_step(f"training on {sum(map(len, train))} cells, {config.steps} steps")
        scale = fit_student(
            tower, train, encoder.mpp, encoder.halo_px, config, teacher.device, places.folder
        )
        on_step("comparing the student with its teacher")
        tensors = {f"{TOWER}{key}": value for key, value in dense_state(tower).items()}
        draft = _draft(teacher, encoder, name or out.stem, train)
        student, tensors = _with_limit(teacher, draft, tensors, train, places)
        lesson = Lesson(
            teacher=teacher.card,
            teacher_sha256=teacher.sha256,
            student=student.card,
            slides=tuple((part.slide.name, len(part)) for part in train),
            steps=config.steps,
            held_out=said,
            agreements=_agreements(teacher, student, held, scale.mean_D.numpy(), places),
            speed=speed(teacher, student, held),
        )
        card = _finished(lesson)
        write_with_page(out, card, tensors)
        write_lesson(lesson, out.with_suffix(".md"))
    return load_model(out, teacher.device), lesson


def student_tower(config: StudentConfig, embed_dim: int) -> tuple[ImageTower, EncoderCard]:
    """A dense tower with fresh weights, and how it reads pixels.

    Raises
    ------
    PastError
        The backbone sees the whole picture, has no such stages, or µm/px are out of range.
    """
    try:
        card = TowerCard(backbone=config.backbone, stages=config.stages, embed_dim=embed_dim)
        draft = EncoderCard(
            mode="dense", mpp=config.mpp, stride_px=1, halo_px=0, crop_px=1, mean=STAIN_MEAN,
            std=STAIN_STD, tower=card,
        )  # fmt: skip
    except pydantic.ValidationError as exc:
        raise PastError(
            f"There can be no such student ({first_problem(exc)}); change that option."
        ) from exc
    tower = dense_tower(draft)
    return tower, encoder_of(_all_branches(tower), card, config.mpp)


def _all_branches(tower: ImageTower) -> ImageTower:
    """A copy that sees as far as it ever can: some towers begin with branches that add nothing."""
    whole = copy.deepcopy(tower)
    for module in whole.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None:
            nn.init.ones_(module.weight)
    return whole


def _check_slides(slides: Sequence[Slide], held_out: Sequence[Slide]) -> None:
    seen: dict[str, Slide] = {}
    for slide in (*slides, *held_out):
        slide.require_mpp()
        other = seen.setdefault(slide.fingerprint, slide)
        if other is not slide:
            raise PastError(
                f"{slide.name} and {other.name} are the same slide; give each once, either in "
                f"--slides or in --held-out."
            )


def _split(
    cells: Sequence[TaughtCells], n_train: int, encoder: EncoderCard
) -> tuple[list[TaughtCells], list[TaughtCells], str]:
    """Cells to train on, cells held out, and a sentence about the latter."""
    train, held = list(cells[:n_train]), list(cells[n_train:])
    if held:
        return train, held, f"{_names(held)}, of which nothing was learned."
    if len(train) > 1:
        train, held = train[:-1], train[-1:]
        said = f"{_names(held)}, the last of the slides, of which nothing was learned."
        return train, held, said
    sees_um = encoder.halo_px * encoder.mpp
    near, far = halves(train[0], sees_um)
    return [near], [far], (
        f"the far end of {_names(train)}, with a gap of {2 * sees_um:.0f} µm. This says nothing of "
        f"another slide."
    )  # fmt: skip


def _names(cells: Sequence[TaughtCells]) -> str:
    return ", ".join(part.slide.name for part in cells)


def _draft(teacher: Model, encoder: EncoderCard, name: str, train: Sequence[TaughtCells]) -> Card:
    """The teacher's card, but for what is another's: encoder, evidence, name and origin."""
    card = teacher.card
    taught = TrainingTraces(
        tuple(part.slide.fingerprint for part in train),
        tuple(thumbprint(part.slide) for part in train),
    )
    return card.model_copy(
        update={
            "name": name,
            "version": "1",
            "licence": f"{NOT_STATED}; that of {card.name}: {card.licence}",
            "training_data": f"{card.training_data}; then, without labels, {_names(train)}",
            **(TrainingTraces.of(card) | taught).carded(),
            "recipe": "distill",
            "encoder": encoder,
            "evidence": UNMEASURED.on(card.evidence),
            "cutoffs_source": f"{card.cutoffs_source}; copied from {card.name} {card.version}",
            "calibrations": (),
        }
    )


def _with_limit(
    teacher: Model,
    draft: Card,
    tower: Tensors,
    train: Sequence[TaughtCells],
    places: Places,
) -> tuple[Model, Tensors]:
    """The student with its limit of what looks unlike the training, and all of its tensors.

    Where the teacher knows its training cells, their mean and whitening stay: they say for what
    tissue the read-outs were made, and the student's vectors are in the same space. But learned
    vectors lie nearer to the mean than the teacher's, so that its limit would flag too few; the
    student's is set to flag as many of the cells it learned from as the teacher does. Where the
    teacher knows nothing, the cells that the student learned from are the training cells.
    """
    _, whole, _ = read_model_file(Path(teacher.path))
    tensors = {**{k: v for k, v in whole.items() if not k.startswith(TOWER)}, **tower}
    first = _saved(places.folder / "first.safetensors", draft, tensors, teacher.device)
    some = drawn(train, _LIMIT_CELLS, TILE_PX * draft.encoder.mpp)
    pairs = [(part, *vectors_of(first, part, places.folder, places.workers)) for part in some]
    groups = [vectors.astype(np.float32) for _, _, vectors in pairs]
    learned = np.concatenate(groups)
    if draft.unlike_training_limit is not None:
        mean_D, whitening_DK = (
            np.asarray(tensors[f"statistics.{name}"], np.float32) for name in ("mean", "whitening")
        )
        like = Likeness(mean_D, whitening_DK)
        by_teacher = np.concatenate([part.teacher(index) for part, index, _ in pairs])
        quantile = 1 - float((teacher.unlike_training(by_teacher) > 1).mean())
        slide = draft.slide_unlike_limit
    else:
        like = likeness(learned)
        tensors |= {"statistics.mean": like.mean, "statistics.whitening": like.whitening}
        quantile = Statements.model_fields["unlike_training_quantile"].default
        slide = slide_limit(groups)
    limit = max(float(np.quantile(like.of_cells(learned), quantile)), _LEAST_LIMIT)
    card = draft.model_copy(update={"unlike_training_limit": limit, "slide_unlike_limit": slide})
    return _saved(places.folder / "student.safetensors", card, tensors, teacher.device), tensors


def _saved(path: Path, card: Card, tensors: Tensors, device: str) -> Model:
    write_model_file(path, card, tensors)
    return load_model(path, device)


def _agreements(
    teacher: Model,
    student: Model,
    held: Sequence[TaughtCells],
    mean_D: npt.NDArray[np.float32],
    places: Places,
) -> tuple[Agreement, ...]:
    found = []
    for part in drawn(held, MOST_CELLS, TILE_PX * student.card.encoder.mpp):
        index, learned = vectors_of(student, part, places.folder, places.workers)
        if not len(index):
            raise PastError(
                f"None of the {len(part)} held-out cells of {part.slide.name} can be read at "
                f"{student.card.encoder.mpp:g} µm/px; check the file, or hold out another slide."
            )
        found.append(
            agreement(part.slide.name, teacher, student, part.teacher(index), learned, mean_D)
        )
    return tuple(found)


def _finished(lesson: Lesson) -> Card:
    """The student's card with what it is in words."""
    teacher = lesson.teacher
    summary = (
        f"A dense student of {teacher.name} {teacher.version} (SHA-256 "
        f"{lesson.teacher_sha256}): {summary_of(lesson)}. How well genes are predicted was "
        f"measured of its teacher, if at all, and not of it."
    )
    card = lesson.student.model_copy(update={"summary": summary})
    # A copy is not checked; what others will read is.
    return Card.model_validate(card.model_dump())
