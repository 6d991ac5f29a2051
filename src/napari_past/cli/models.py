"""``napari-past models``: which there are, what one says about itself, and how to get one."""

from __future__ import annotations

import json
from argparse import Namespace

import numpy as np

from napari_past.errors import BadTable, Cancelled, PastError
from napari_past.model import Model, available_models, load_model, model_path
from napari_past.model.lab_evidence import LabEvidence, adopt, read_lab_evidence, withdraw
from napari_past.status_line import StatusLine

SHOWN_GENES = 8


def execute(options: Namespace) -> int:
    """``list``, ``card``, ``evidence`` or ``fetch``."""
    if options.action == "list":
        for name in available_models():
            try:
                print("\n".join(_entry(load_model(name))))
            except PastError as exc:  # the others are shown all the same
                print(f"{name}\n  {exc}\n")
        return 0
    if options.action == "fetch":
        return _fetch(options)
    model = load_model(options.model)
    if options.action == "evidence":
        return _evidence(model, options)
    if options.json:
        print(json.dumps(model.card.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_card(model)))
    return 0


def _evidence(model: Model, options: Namespace) -> int:
    before = _lab_evidence(model)
    if options.use is not None:
        path = adopt(read_lab_evidence(options.use), model.known_sha256, model.name)
        instead = "" if before is None else f" in place of that on {_sections(before)}"
        print(f"{options.use} is this lab's evidence of {model.name} now{instead}, kept as {path}")
    elif options.own:
        there = withdraw(model.known_sha256)
        print(
            f"{model.name}: {'its own evidence again' if there else 'there was none but its own'}"
        )
    print("\n".join(lab_lines(model)) or f"  own evidence   {evidence_line(model)}")
    print(model.research_use)
    return 0


def lab_lines(model: Model) -> list[str]:
    """What this lab's validation says of a model, line by line; none without one.

    Raises
    ------
    BadTable
        Its file was changed or damaged.
    """
    found = model.lab_evidence
    if found is None:
        return []
    return [
        f"  {found.whose}",
        f"  sections       {_sections(found)}",
        f"  result         {found.headline}",
        *(f"  protocol       {sentence}" for sentence in found.protocol if sentence),
        *(f"  warning        {sentence}" for sentence in found.warnings),
    ]


def _sections(evidence: LabEvidence) -> str:
    return ", ".join(f"{s.name} ({s.rows} rows)" for s in evidence.sections)


def _lab_evidence(model: Model) -> LabEvidence | None:
    """That of this lab; None where there is none, or none that can be read."""
    try:
        return model.lab_evidence
    except BadTable:
        return None


def _fetch(options: Namespace) -> int:
    from napari_past.model.fetch import DETECTORS, fetch_detector, fetch_model

    line = StatusLine()

    def told(have: int, total: int | None) -> None:
        if line.due() or have == total:
            share = "" if not total else f" of {total / 1e6:.0f} MB ({100 * have / total:.0f} %)"
            line.tell(f"{options.name}: {have / 1e6:.0f}{share or ' MB'}")

    is_detector = options.name in DETECTORS
    if is_detector and options.mpp is not None:
        raise PastError(f"--mpp is of models, but {options.name} is a detector; leave it out.")
    try:
        if is_detector:
            fetched = fetch_detector(options.name, options.source, options.sha256, told)
        else:
            fetched = fetch_model(options.name, options.source, options.sha256, options.mpp, told)
    except KeyboardInterrupt as exc:
        raise Cancelled("cancelled; the same command goes on where it stopped.") from exc
    finally:
        line.close()
    if is_detector:
        print(f"{options.name}  weights of a detector, for --detector {options.name}")
        print(f"  path        {fetched.model}")
        print(f"  fetched     SHA-256 {fetched.sha256}")
        return 0
    model = load_model(fetched.model)
    print("\n".join(_entry(model)))
    print(f"  checkpoint  SHA-256 {fetched.sha256}")
    if fetched.checkpoint is not None:
        print(f"              {fetched.checkpoint} is no longer needed")
    print(f"  {model.card.summary}")
    return 0


def evidence_line(model: Model) -> str:
    """A model's name and the evidence behind it, one line."""
    evidence = model.card.evidence
    if not model.genes:
        return f"{model.name} {model.card.version} · no read-out: it predicts no gene by itself"
    lab = _lab_evidence(model)
    if lab is not None:
        return f"{model.name} {model.card.version} · {lab.whose} · {lab.headline}"
    told = (f"{model.name} {model.card.version}", evidence.whose, evidence.resolution, _mean(model))
    return " · ".join(told)


def _mean(model: Model) -> str:
    r = np.array([value for value, _ in _measured(model)])
    if not len(r):
        return "r not measured"
    return f"mean r {r.mean():.2f} (median {np.median(r):.2f}) over {len(r)} genes"


def _measured(model: Model) -> list[tuple[float, str]]:
    """r and gene of the learnable genes that were measured, worst first."""
    rows = [model.readouts.reliability(gene) for gene in model.genes]
    return sorted((row.r, row.gene) for row in rows if row.learnable and row.r is not None)


def _entry(model: Model) -> list[str]:
    card = model.card
    return [
        f"{card.name}  version {card.version} · "
        f"{f'{len(card.genes)} genes' if card.genes else 'no read-out'}",
        f"  trained on  {card.training_data}",
        f"  evidence    {evidence_line(model)}",
        f"  licence     {card.licence}",
        f"  path        {model_path(model.path)}",
    ]


def _card(model: Model) -> list[str]:
    card, evidence = model.card, model.card.evidence
    measured = _measured(model)
    learnable = sum(model.reliability(gene).learnable for gene in card.genes)
    lines = [
        f"{card.name}  version {card.version}",
        f"  {card.summary}",
        "",
        f"  predicts       {_predicts(model)}",
        f"  made for       {card.species} · {card.organ} · {card.preparation}",
        f"  scanner        {card.scanner}",
        f"  trained on     {card.training_data}",
        f"  reads          {card.encoder.mode}, {card.encoder.mpp:g} µm/px, "
        f"{card.encoder.tower.backbone}, {model.embed_dim} numbers per cell",
        *_cell_side(model),
        *([f"  looks up in    {model.bank.told}"] if model.bank is not None else []),
        "",
        f"  validated      {evidence.protocol}",
        f"  held out       patients: {evidence.patients}, unseen in training: "
        f"{evidence.unseen_patients}; sections: {len(evidence.sections)}; {evidence.resolution}",
        f"  result         {_mean(model)}",
    ]
    if measured:
        best = ", ".join(f"{g} {r:.2f}" for r, g in reversed(measured[-SHOWN_GENES:]))
        worst = ", ".join(f"{g} {r:.2f}" for r, g in measured[:SHOWN_GENES])
        lines += [f"  best genes     {best}", f"  worst genes    {worst}"]
    if card.genes:
        lines += [
            f"  not learnable  {len(card.genes) - learnable} genes, seen in under "
            f"{100 * card.min_detected:g} % of the training spots",
            f"  cut-offs       {len(card.cutoffs)} genes, {card.cutoffs_source}",
        ]
    lines += [f"  calibrated     {line}" for line in _calibrations(model)]
    lines += lab_lines(model)
    lines += [
        "",
        f"  licence        {card.licence}",
        f"  attribution    {card.attribution}",
        f"  sha256         {model.sha256}",
        f"  path           {model.path}",
    ]
    return lines


def _calibrations(model: Model) -> list[str]:
    """Each calibration with what it was judged on; that there is none is told too."""
    if model.genes and not model.card.calibrations:
        return ["to no stain: scores are pseudo-H-scores"]
    told = []
    for calibration in model.card.calibrations:
        found = calibration.held_out
        line = f"{calibration.marker}: {calibration.named()}, {found.regions} regions"
        if calibration.scanner:
            line += f", scanner {calibration.scanner}"
        if found.correlation is not None:
            line += f"; held-out patients: r {found.correlation:.2f}"
        if found.limits is not None:
            line += f", limits of agreement {found.limits[0]:.3g} to {found.limits[1]:.3g}"
        told.append(line)
    return told


def _predicts(model: Model) -> str:
    genes = len(model.genes)
    if not genes:
        return "no gene by itself: it has no read-out; see `past-train finetune` or a bank"
    return f"{genes} genes, in {model.expression_unit}"


def _cell_side(model: Model) -> list[str]:
    cells = model.card.cell_tower
    if cells is None:
        return []
    graph = "with" if cells.graph else "without"
    return [
        f"  cells          {cells.positions} tokens of {cells.vocabulary}, {graph} a graph branch; "
        f"shared with images: {model.card.projection_dim} numbers"
    ]
