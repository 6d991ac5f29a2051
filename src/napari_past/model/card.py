"""What a model says about itself. A model without a valid card does not load."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field

from napari_past.errors import BadModel
from napari_past.model.calibration import Calibration
from napari_past.model.strict import Strict, first_mistake

CARD_SCHEMA: Final = 1
NOT_STATED: Final = "not stated"
"""Of the tissue that a model was trained on, where nobody said so."""
_NOT_OF_A_CARD = frozenset(
    {
        "cache_dir", "checkpoint_path", "exportable", "features_only", "no_jit", "num_classes",
        "out_indices", "scriptable",
    }
)  # fmt: skip
_TIMM_NAME = r"^[A-Za-z0-9_.]+$"
"""Without a scheme: timm would fetch what "hf-hub:…" names, or read what "local-dir:…" does."""

Rgb01 = tuple[float, float, float]
Pool = Literal["token", "token+mean", "attention"]


Share = Annotated[float, Field(ge=0, le=1)]
PearsonR = Annotated[float, Field(ge=-1, le=1)]


class TowerCard(Strict):
    """Image tower: a timm backbone, features at some of its stages, a small head."""

    backbone: Annotated[str, Field(pattern=_TIMM_NAME)]
    """timm name; built without pretrained weights, those of the model file are loaded."""
    stages: Annotated[tuple[int, ...], Field(min_length=1)]
    """``out_indices`` whose features are concatenated."""
    embed_dim: Annotated[int, Field(gt=0, le=4096)]


class PooledTowerCard(Strict):
    """Image tower: a timm backbone that gives one vector for a whole crop."""

    backbone: Annotated[str, Field(pattern=_TIMM_NAME)]
    """timm name; built without pretrained weights, those of the model file are loaded."""
    options: dict[str, bool | int | float | str]
    """What timm is told beside the name, as ``{"init_values": 1e-5}``."""
    pool: Pool
    """token: the backbone's own vector; token+mean: the class token beside the patches' mean;
    attention: what a learned query finds among all tokens, as CONCH has it."""
    embed_dim: Annotated[int, Field(gt=0, le=8192)]

    @pydantic.model_validator(mode="after")
    def _agree(self) -> PooledTowerCard:
        for option in self.options:
            # With these timm would read other weights than the file's, or build something else.
            if option.startswith("pretrained") or option in _NOT_OF_A_CARD:
                raise ValueError(f"options: {option} is not for a card to say")
        return self


class CellTowerCard(Strict):
    """Cell tower: a transformer over a cell's ranked genes, as PAST has it."""

    vocabulary: Annotated[int, Field(gt=0, le=1_000_000)] = 20_345
    """Number of token ids."""
    pad: Annotated[int, Field(ge=0)] = 1
    """Id of the positions that hold no gene."""
    prefix: Annotated[int, Field(ge=0)] = 3
    """Positions before the first gene: modality, assay, species."""
    positions: Annotated[int, Field(gt=0, le=100_000)] = 300
    dim: Annotated[int, Field(gt=0, le=4096)] = 512
    heads: Annotated[int, Field(gt=0, le=4096)] = 16
    layers: Annotated[int, Field(gt=0, le=1000)] = 12
    feed_forward: Annotated[int, Field(gt=0, le=65_536)] = 1024
    graph: bool
    """Whether neighbouring cells can be told, too."""

    @pydantic.model_validator(mode="after")
    def _agree(self) -> CellTowerCard:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        if self.prefix >= self.positions:
            raise ValueError(f"prefix {self.prefix} leaves none of {self.positions} positions")
        if self.pad >= self.vocabulary:
            raise ValueError(f"pad {self.pad} is not among the {self.vocabulary} token ids")
        return self


class EncoderCard(Strict):
    """How pixels become one embedding for each cell."""

    mode: Literal["dense", "crop"]
    """dense: one pass over the tile, sampled at the nuclei; crop: one crop for each cell."""
    mpp: Annotated[float, Field(gt=0.02, lt=20)]
    """µm/px that the tower reads."""
    stride_px: Annotated[int, Field(gt=0, le=16)]
    """The dense grid is anchored to multiples of this, a power of two; 1 for crop encoders."""
    halo_px: Annotated[int, Field(ge=0, le=4096)]
    """At least the receptive field's radius (dense) or half a crop (crop)."""
    crop_px: Annotated[int, Field(gt=0, le=4096)]
    """Side of the crop that `encode_image` expects."""
    mean: Rgb01
    std: Rgb01
    tower: TowerCard | PooledTowerCard

    @property
    def field_um(self) -> float:
        """Width in µm of what is seen around a nucleus."""
        return 2 * self.halo_px * self.mpp

    @pydantic.model_validator(mode="after")
    def _agree(self) -> EncoderCard:
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, but is {self.std}")
        if self.mode == "dense":
            if self.stride_px & (self.stride_px - 1):
                raise ValueError(f"stride_px must be a power of two, but is {self.stride_px}")
            if self.halo_px % self.stride_px:
                raise ValueError(
                    f"halo_px {self.halo_px} is no multiple of stride_px {self.stride_px}"
                )
        else:
            if self.stride_px != 1:
                raise ValueError(f"stride_px of a crop encoder is 1, but is {self.stride_px}")
            if 2 * self.halo_px < self.crop_px:
                raise ValueError(
                    f"halo_px {self.halo_px} is less than half of crop_px {self.crop_px}"
                )
        if self.mode == "dense" and isinstance(self.tower, PooledTowerCard):
            raise ValueError("a tower that pools over a crop is no dense encoder")
        return self


class Evidence(Strict):
    """What is known about how well each gene is predicted, on tissue not trained on."""

    protocol: str
    patients: Annotated[int, Field(ge=0)]
    """Distinct patients among the held-out tissue."""
    unseen_patients: Annotated[int, Field(ge=0)]
    """Held-out patients of whom the model saw nothing in training."""
    sections: tuple[str, ...]
    resolution: str
    """Of the measurement that predictions were held against, as "100 µm spots"."""
    r: dict[str, tuple[PearsonR | None, ...]]
    """Gene → Pearson r on each held-out section, in the order of `sections`."""
    detected: dict[str, Share]
    """Gene → share of training spots (or cells) in which it was seen."""
    blocks: bool = False
    """Whether `sections` are blocks of one section, of which the others were trained on."""

    @property
    def whose(self) -> str:
        """On whom it was measured, as a badge begins: "same patient", "3 unseen patients", "parts
        of the same section"."""
        if self.patients == 0:
            return "not measured"
        if self.blocks:
            return "parts of the same section"
        unseen = self.unseen_patients
        return f"{unseen} unseen patient{'s' if unseen > 1 else ''}" if unseen else "same patient"


class Card(Strict):
    """The contract that a model file carries."""

    schema_version: Literal[1]
    name: str
    version: str
    summary: str
    licence: str
    attribution: str
    species: str
    organ: str
    preparation: str
    scanner: str
    training_data: str
    training_fingerprints: tuple[str, ...]
    """Content hashes of the images that it was trained on."""
    training_thumbprints: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{1024}$")], ...] = ()
    """What they look like from afar (`napari_past.slide.thumbprint`), by which the same tissue is
    known again in another file; none in files of earlier versions."""
    training_patients: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...] = ()
    """Digests of the names of its patients, as far as they were told."""
    recipe: str
    expression_unit: str
    genes: tuple[str, ...]
    """HGNC symbols, in the order of the read-out's rows; none where there is no read-out."""
    hidden_units: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Of the read-out's hidden layer; None: it is linear."""
    encoder: EncoderCard
    projection_dim: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Length of the embeddings that the image tower's output is projected to; None: it is not."""
    cell_tower: CellTowerCard | None = None
    """The tower that embeds measured cells in the same space; None where there is none."""
    evidence: Evidence
    min_detected: Share
    """A gene seen in a smaller share of the training spots counts as not learnable."""
    cutoffs: dict[str, tuple[float, float, float]]
    """Gene → ascending cut-offs for 1+, 2+, 3+, in the expression's unit."""
    cutoffs_source: str
    unlike_training_limit: Annotated[float, Field(gt=0)] | None
    """Squared distance from the training cells (see `Model.unlike_training`) that flags a cell;
    None where nothing is known of them."""
    slide_unlike_limit: Annotated[float, Field(gt=0)] | None = None
    """Squared distance of a slide's cells as a whole (see `Model.slide_unlike_training`) that flags
    the slide; None where nobody can say."""
    calibrations: tuple[Calibration, ...] = ()
    """Maps of its values to real stains, each with what it was judged on."""

    @property
    def tissue(self) -> str:
        """What it was trained on, as `stated_tissue` has it."""
        return stated_tissue(self.species, self.organ, self.preparation)

    @pydantic.model_validator(mode="after")
    def _agree(self) -> Card:
        if len(set(self.genes)) != len(self.genes):
            raise ValueError("genes: a symbol is listed twice")
        if self.hidden_units is not None and not self.genes:
            raise ValueError("hidden_units: without genes there is no read-out")
        if self.cell_tower is not None and self.projection_dim is None:
            raise ValueError("cell_tower: without projection_dim it shares no space with images")
        if self.slide_unlike_limit is not None and self.unlike_training_limit is None:
            raise ValueError("slide_unlike_limit: without unlike_training_limit nothing is known")
        evidence = self.evidence
        for name, table in (
            ("evidence.r", evidence.r), ("evidence.detected", evidence.detected),
            ("cutoffs", self.cutoffs),
        ):  # fmt: skip
            unknown = set(table) - set(self.genes)
            if unknown:
                raise ValueError(f"{name}: {sorted(unknown)[0]} is not among the genes")
        untold = set(self.genes) - set(evidence.detected)
        if untold:
            raise ValueError(f"evidence.detected: {sorted(untold)[0]} is missing")
        if evidence.unseen_patients > evidence.patients:
            raise ValueError("evidence: more patients are unseen than there are")
        if evidence.blocks and evidence.unseen_patients:
            raise ValueError("evidence: a patient of whom blocks were trained on is not unseen")
        for gene, values in evidence.r.items():
            if len(values) != len(evidence.sections):
                raise ValueError(f"evidence.r: {gene} has {len(values)} values, one per section")
        for calibration in self.calibrations:
            if calibration.model != self.name:
                raise ValueError(f"calibrations: one is of the model {calibration.model}")
        for gene, (a, b, c) in self.cutoffs.items():
            if not a < b < c:
                raise ValueError(f"cutoffs: those of {gene} do not ascend")
        return self


def stated_tissue(species: str, organ: str, preparation: str) -> str:
    """As "human breast (fresh frozen, H&E)", without what is not stated; empty where nothing is."""
    named = " ".join(part for part in (species, organ) if part != NOT_STATED)
    if preparation == NOT_STATED:
        return named
    return f"{named} ({preparation})" if named else preparation


def parse_card(text: str, where: str) -> Card:
    """The card in a JSON text.

    Raises
    ------
    BadModel
        With the first difference from what a card must hold.
    """
    try:
        return Card.model_validate_json(text, strict=True)
    except pydantic.ValidationError as exc:
        raise BadModel(
            f"The card of {where} is not valid at {first_mistake(exc, 'card')}; get the model file "
            f"again or have its author export it with this version's past-train."
        ) from exc
