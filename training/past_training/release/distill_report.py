"""The report of a student beside its teacher, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_past.files import atomic_write
from napari_past.model import Card
from napari_past.types import RESEARCH_USE
from past_training.evaluation.output_files import report_files
from past_training.evaluation.report import html_report
from past_training.evaluation.tables import number, plain, table
from past_training.release.distill_figures import Agreement, Speed

NOT_EVIDENCE = (
    "This tells how near the student comes to its teacher, not how well either of them predicts "
    "what is measured: the teacher's evidence is not the student's."
)
NO_READOUT = "The teacher has no read-out, so only vectors can be compared."


@dataclass(frozen=True)
class Lesson:
    """What a student learned, and what it is compared on."""

    teacher: Card
    teacher_sha256: str
    student: Card
    slides: tuple[tuple[str, int], ...]
    """Name and cells of each slide that was learned from."""
    steps: int
    held_out: str
    """What was held out, a sentence."""
    agreements: tuple[Agreement, ...]
    """One for each slide."""
    speed: Speed


def summary_of(lesson: Lesson) -> str:
    """The figures in a line, for the card."""
    n = sum(a.cells for a in lesson.agreements)
    parts = [f"on {n} held-out cells its vectors have a cosine of {mean_cosine(lesson):.3f}"]
    if lesson.teacher.genes:
        r = np.average([a.gene_r for a in lesson.agreements], weights=_weights(lesson))
        parts.append(f"predicted genes correlate with a median r of {r:.2f}")
    return ", ".join(parts)


def mean_cosine(lesson: Lesson) -> float:
    """Over all cells that were held out."""
    cosines = [a.cosine for a in lesson.agreements]
    return float(np.average(cosines, weights=_weights(lesson)))


def write_lesson(lesson: Lesson, out: Path) -> tuple[Path, Path]:
    """Write both files; returns them."""
    files = report_files(out)
    text = markdown_lesson(lesson)
    title = f"{lesson.student.name} beside {lesson.teacher.name}"
    for file, content in zip(files, (text, html_report(text, title)), strict=True):
        with atomic_write(file) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    return files


def markdown_lesson(lesson: Lesson) -> str:
    """The report in Markdown."""
    teacher, student = plain(lesson.teacher.name), plain(lesson.student.name)
    lines = [f"# {student} beside its teacher {teacher}", "", f"**{RESEARCH_USE}**", ""]
    lines += [f"**{NOT_EVIDENCE}**", "", *_compared(lesson), *_vectors(lesson)]
    lines += _genes(lesson) if lesson.teacher.genes else ["## Genes", "", NO_READOUT, ""]
    return "\n".join([*lines, *_speed(lesson)]) + "\n"


def _weights(lesson: Lesson) -> list[int]:
    return [a.cells for a in lesson.agreements]


def _compared(lesson: Lesson) -> list[str]:
    teacher, student = lesson.teacher, lesson.student
    slides = ", ".join(f"{plain(name)} ({cells} cells)" for name, cells in lesson.slides)
    return [
        "## What was compared",
        "",
        f"- Teacher: {plain(teacher.name)} version {plain(teacher.version)} (SHA-256 "
        f"{lesson.teacher_sha256[:16]}…): {_tower(teacher)}.",
        f"- Student: {plain(student.name)}: {_tower(student)}.",
        f"- Learned from, without labels, in {lesson.steps} steps: {slides}.",
        f"- Held out: {plain(lesson.held_out)}",
        "",
    ]


def _tower(card: Card) -> str:
    encoder = card.encoder
    how = "one crop a cell" if encoder.mode == "crop" else "one pass a tile"
    return (
        f"{encoder.mode} ({how}), {plain(encoder.tower.backbone)}, {encoder.mpp:g} µm/px, sees "
        f"{encoder.halo_px * encoder.mpp:.0f} µm to each side, {encoder.tower.embed_dim} numbers a "
        f"cell"
    )


def _vectors(lesson: Lesson) -> list[str]:
    first = lesson.agreements[0]
    head = [
        "held out", "cells", "cosine, mean", "cosine, 10th percentile",
        "cosine of a constant", "variance explained",
    ]  # fmt: skip
    if first.projected_cosine is not None:
        head.append("cosine, projected")
    if first.flagged is not None:
        head += ["unlike training: teacher", "student"]
    rows = []
    for a in lesson.agreements:
        row = [
            a.where, str(a.cells), number(a.cosine), number(a.cosine_low),
            number(a.constant_cosine), number(a.explained),
        ]  # fmt: skip
        if a.projected_cosine is not None:
            row.append(number(a.projected_cosine))
        if a.flagged is not None:
            row += [f"{100 * share:.1f} %" for share in a.flagged]
        rows.append(row)
    return [
        "## Vectors",
        "",
        "Cosine of the student's vector to the teacher's, over the cells. Beside it that of the "
        "teacher's mean vector in training, which knows nothing of a cell. Variance explained: 1 "
        "where the vectors are the same, 0 for a constant.",
        "",
        *table(head, rows),
        "",
    ]


def _genes(lesson: Lesson) -> list[str]:
    rows = [
        [a.where, str(a.genes), number(a.gene_r), number(a.gene_r_low)] for a in lesson.agreements
    ]
    lines = [
        "## Genes",
        "",
        "Pearson r over the cells between the values that the teacher's read-out gives of both "
        "vectors.",
        "",
        *table(["held out", "genes", "median r", "10th percentile of the genes"], rows),
        "",
    ]
    for a in lesson.agreements:
        if a.markers:
            lines += [
                f"Panel markers on {plain(a.where)}; pseudo-H-scores (0–300) by the same cut-offs:",
                "",
                *_markers(a),
                "",
            ]
    return lines


def _markers(found: Agreement) -> list[str]:
    rows = [
        [
            m.label, number(m.r), number(m.teacher_score, 0), number(m.student_score, 0),
            number(m.student_score - m.teacher_score, 0),
        ]
        for m in found.markers
    ]  # fmt: skip
    return table(["marker", "r", "score, teacher", "score, student", "difference"], rows)


def _speed(lesson: Lesson) -> list[str]:
    found = lesson.speed
    rows = [[f"{found.teacher:.0f}", f"{found.student:.0f}", f"{found.ratio:.1f}x"]]
    return [
        "## Speed",
        "",
        f"Cells/s of encoding alone, pixels in memory, on the same {found.tiles} "
        f"tile{'s' if found.tiles > 1 else ''} of {found.cells} cells ({plain(found.device)}).",
        "",
        *table(["teacher", "student", "ratio"], rows),
        "",
    ]


def told(agreements: Sequence[Agreement], speed: Speed) -> list[str]:
    """The figures in lines, for the command line."""
    lines = []
    for a in agreements:
        text = (
            f"{a.where}: {a.cells} cells, cosine {a.cosine:.3f} (10th percentile "
            f"{a.cosine_low:.3f}; a constant {a.constant_cosine:.3f})"
        )
        if a.genes:
            text += f", {a.genes} genes with a median r of {a.gene_r:.2f}"
        apart = [
            abs(m.student_score - m.teacher_score)
            for m in a.markers
            if np.isfinite(m.teacher_score)
        ]
        if apart:
            text += f", pseudo-H-scores {np.mean(apart):.0f} apart (mean of {len(apart)})"
        lines.append(text)
    lines.append(
        f"encoding, cells/s: teacher {speed.teacher:.0f}, student {speed.student:.0f}, ratio "
        f"{speed.ratio:.1f}x ({speed.device})"
    )
    return lines
