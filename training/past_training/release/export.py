"""The weights of a pretraining run as a model file, with the evidence that the run allows.

The tower stays as it is; a read-out is fitted on top of it to the run's training tissue alone, and
both are held against what the run held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydantic
import torch

from napari_past.errors import BadModel, PastError
from napari_past.model import EncoderCard, Model, TowerCard
from napari_past.model.encoding import first_misfit
from napari_past.model.tower import DenseTower
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import first_problem
from past_training.dataset.splits import Fold
from past_training.engine.checkpoint import Facts
from past_training.engine.hub import tower_source
from past_training.engine.launch import Split, content_of, held_out
from past_training.engine.loop import LAST
from past_training.engine.receptive_field import halo_px
from past_training.engine.towers import ImageTower, dense_state, image_tower
from past_training.engine.weights import read_weights
from past_training.evaluation.about_model import model_facts
from past_training.evaluation.baselines import baselines
from past_training.evaluation.gene_choice import chosen_genes
from past_training.evaluation.output_files import report_files
from past_training.evaluation.predictors import FittedMlp, FittedRidge, Predictor
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.report import write_report
from past_training.evaluation.result import Evaluation
from past_training.evaluation.rows import SectionRows, TrainingSet, all_rows
from past_training.evaluation.towers import ModelTower, tower_model
from past_training.release.evidence import evidence_of
from past_training.release.learned import Learned, Learner
from past_training.release.making import UNMEASURED, Measured, draft_card
from past_training.release.out import check_out
from past_training.release.statements import Statements
from past_training.release.writing import write_model

BASELINES = ("mean", "colour", "random")
_TOWER = "image_tower."
_PROTOCOLS = {
    "patient": "trained on the other patients; one patient held out",
    "section": "trained on the other sections, some of the same patient; one section held out",
}
_CHOSEN_BY_IT = "the held-out tissue also chose when training stopped"
"""Of weights that were kept because they did best on it."""


@dataclass(frozen=True)
class Run:
    """A pretraining run, as far as its weights tell."""

    tower: ImageTower
    """With the run's weights; its body is built as the plugin builds it."""
    card: TowerCard
    split: Split
    chosen_on_held: bool
    """Whether the held-out tissue chose these weights among those of all epochs."""


def read_run(weights: Path, dataset: PairedDataset) -> Run:
    """The image tower of a run, and what it was trained on; nothing is fetched from a hub.

    Parameters
    ----------
    weights
        ``best.safetensors`` or ``last.safetensors``.
    dataset
        That of the run.

    Raises
    ------
    BadModel
        The file is no such weights, or a tensor is missing, unexpected or of another shape.
    PastError
        The tower is pooled or known to a hub alone, or the dataset is not that of the run.
    """
    state, facts = read_weights(weights)
    name = str(_fact(facts, "--image-tower", weights))
    if _fact(facts, "--pooled", weights):
        raise PastError(
            f"{weights} holds a pooled tower, which gives one vector for a patch, but a model is "
            f"sampled at each nucleus; train again without --pooled."
        )
    if tower_source(name).from_hub:
        raise PastError(
            f"{weights} holds {name}, whose build a hub alone tells, but a model loads without "
            f"one; train a convolutional tower by its name at timm."
        )
    split = _split(facts, weights, dataset)
    card = image_tower(name, dataset.patch_px, pretrained=False).card
    assert card is not None, "towers that are not pooled have a card"
    tower = ImageTower(DenseTower(card), card.embed_dim, None, card)
    own = {k.removeprefix(_TOWER): v for k, v in state.items() if k.startswith(_TOWER)}
    _load(tower, own, weights)
    # Where nothing is held out there is no best one to choose.
    chosen = split.held is not None and weights.name != LAST
    return Run(tower, card, split, chosen)


def _fact(facts: Facts, name: str, weights: Path) -> str | int | float | bool:
    if name not in facts:
        raise BadModel(
            f"{weights} does not tell {name} of its run; give the best.safetensors or {LAST} of "
            f"past-train pretrain --exp-name."
        )
    return facts[name]


def _split(facts: Facts, weights: Path, dataset: PairedDataset) -> Split:
    """The run's split of its dataset, built again."""
    held = str(_fact(facts, "held out", weights))
    content = _fact(facts, "the dataset's content", weights)
    name = "none" if held == "nothing" else held.partition(" ")[2]
    another = PastError(
        f"{dataset.name} is not the dataset that {weights} was trained on (held out: {held}), or "
        f"it has changed since; give that one with --data."
    )
    try:
        split = held_out(dataset, name)
    except PastError as exc:
        raise another from exc
    if split.name != held or content_of(split.train) != content:
        raise another
    return split


def _load(tower: ImageTower, state: dict[str, torch.Tensor], weights: Path) -> None:
    try:
        missing, unexpected = tower.load_state_dict(state, strict=False)
    except RuntimeError as exc:
        raise BadModel(
            f"The tower in {weights} does not fit its name ({first_misfit(exc)}); give weights of "
            f"this version of timm."
        ) from exc
    if missing or unexpected:
        word = "lacks the" if missing else "has the unexpected"
        raise BadModel(
            f"{weights} {word} tensor {_TOWER}{(missing or unexpected)[0]}; copy it again, or "
            f"export another of the run."
        )


def encoder_of(tower: ImageTower, card: TowerCard, mpp: float) -> EncoderCard:
    """How a model with this tower reads pixels: its halo is measured.

    Raises
    ------
    PastError
        The tower sees the whole patch, or its stride is none that a model can have.
    """
    assert isinstance(tower.body, DenseTower), "a pooled tower has no encoder"
    around_px = halo_px(tower.body)
    mean, std = (_rgb01(values) for values in (tower.mean_C11, tower.std_C11))
    try:
        return EncoderCard(
            mode="dense", mpp=mpp, stride_px=max(tower.body.strides), halo_px=around_px,
            crop_px=2 * around_px, mean=mean, std=std, tower=card,
        )  # fmt: skip
    except pydantic.ValidationError as exc:
        raise PastError(
            f"{card.backbone} cannot become a model ({first_problem(exc)}); train another tower, "
            f"such as mobilenetv4_conv_small."
        ) from exc


def _rgb01(values_C11: torch.Tensor) -> tuple[float, float, float]:
    # Single precision holds seven digits, and the rest would only look like some.
    red, green, blue = (round(float(v) / 255, 7) for v in values_C11.flatten())
    return red, green, blue


def export(
    run: Run,
    dataset: PairedDataset,
    out: Path,
    statements: Statements,
    *,
    device: str = "auto",
    on_step: Callable[[str], None] = lambda text: None,
) -> Model:
    """Fit a read-out, measure on what the run held out, write model, page and report.

    Parameters
    ----------
    dataset
        That of the run.
    out
        The model file; the report goes beside it, as ``.md`` and ``.html``. Where nothing was held
        out there is no report, and the card says that nothing was measured.

    Raises
    ------
    PastError
        The tower sees more than the dataset's patches show around a nucleus.
    """
    check_out(out)
    report = out.with_suffix(".md")
    split = run.split
    if split.held is not None:
        report_files(report)
    on_step("receptive field of the tower")
    encoder = encoder_of(run.tower, run.card, dataset.mpp)
    train = all_rows(split.train)
    genes = chosen_genes(train).genes
    state = dense_state(run.tower)
    draft = draft_card(encoder, genes, statements, train)
    _check_patches(
        ModelTower(tower_model(draft, state, device), statements.name),
        [*train.rows, *(all_rows(split.held).rows if split.held is not None else ())],
    )
    on_step(f"read-out of {len(genes)} genes on {len(train.rows)} training sections")
    learner = Learner(statements.name, encoder, statements, lambda _, __: state, device=device)
    learned = learner.learn(train, genes)
    found = None
    if split.held is not None:
        others, _ = baselines(BASELINES, draft, device=device)
        predictors: list[Predictor] = [AsLearned(statements.name, learned), *others]
        fold = Fold(split.train, split.held, split.name)
        found = evaluate(dataset, predictors, [fold], also=genes, on_step=on_step)
    measured = UNMEASURED if found is None else _measured(found, run, statements.name, genes)
    made = write_model(out, learned, train, statements, measured, device)
    if found is not None:
        facts = model_facts([made])
        if run.chosen_on_held:
            facts = replace(facts, training_data=f"{facts.training_data}; {_CHOSEN_BY_IT}")
        write_report(replace(found, model=facts), report)
    return made


@dataclass(frozen=True)
class AsLearned:
    """What the file will hold; it was fitted on the rows that the evaluation trains on."""

    name: str
    learned: Learned

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedRidge | FittedMlp:
        """Nothing is fitted again: embedding all of the training tissue is what takes time."""
        assert tuple(genes) == self.learned.fitted.genes, "the evaluation chose other genes"
        return self.learned.fitted


def _measured(found: Evaluation, run: Run, name: str, genes: Sequence[str]) -> Measured:
    protocol = _PROTOCOLS[found.by]
    if run.chosen_on_held:
        protocol = f"{protocol}; {_CHOSEN_BY_IT}"
    return replace(evidence_of(found, name, genes), protocol=protocol)


def _check_patches(tower: ModelTower, sections: Sequence[SectionRows]) -> None:
    for rows in sections:
        try:
            tower.check(rows)
        except PastError as exc:
            told = str(exc).rstrip(".")
            raise PastError(f"{told}, and train again on that.") from exc
