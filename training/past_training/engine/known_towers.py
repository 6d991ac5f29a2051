"""Published towers that are known by a short name: facts of their model cards, no weights.

Where each is described: https://huggingface.co/ and its repository. The sizes and magnifications at
which they are read are also listed, side by side, at https://github.com/mahmoodlab/TRIDENT (20x is
0.5 µm/px); where that page names larger tiles than the tower reads, which are then made smaller,
µm/px are those after it (256 px to 224: 0.57).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_past.model.card import Pool, Rgb01

Options = dict[str, bool | int | float | str]
Layout = Literal["timm", "vit", "dinov2", "conch"]
"""How published weights name their tensors: as timm does, as transformers does for its ``ViTModel``
or its ``Dinov2Model``, or in a way of their own."""

HUB = "https://huggingface.co/"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_H_OPTIMUS = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
_SWIGLU: Options = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}
_VIRCHOW: Options = {"img_size": 224, "init_values": 1e-5, "mlp_ratio": 5.3375, **_SWIGLU}
_NO_DERIVATIVES = "CC BY-NC-ND 4.0, for academic research alone, not to be passed on"


@dataclass(frozen=True)
class KnownTower:
    """A published tower: where it lies, how timm builds it, what it reads."""

    repository: str
    """On the hub."""
    backbone: str
    """timm's name of its architecture."""
    embed_dim: int
    licence: str
    attribution: str
    options: Options
    """What timm is told beside the name."""
    mpp: float = 0.5
    crop_px: int = 224
    normalisation: tuple[Rgb01, Rgb01] = _IMAGENET
    """Mean and standard deviation of each channel, at 0–1."""
    pool: Pool = "token"
    layout: Layout = "timm"

    @property
    def page(self) -> str:
        """Its model card."""
        return HUB + self.repository


KNOWN_TOWERS = {
    "uni": KnownTower(
        "MahmoodLab/UNI", "vit_large_patch16_224", 1024, _NO_DERIVATIVES,
        "UNI, Chen et al. 2024, Nature Medicine 30:850", {"init_values": 1e-5}, mpp=0.57,
    ),
    "uni2-h": KnownTower(
        "MahmoodLab/UNI2-h", "vit_giant_patch14_224", 1536, _NO_DERIVATIVES,
        "UNI2-h, Chen et al. 2024, Nature Medicine 30:850",
        {
            "img_size": 224, "patch_size": 14, "depth": 24, "num_heads": 24, "init_values": 1e-5,
            "embed_dim": 1536, "mlp_ratio": 2.66667 * 2, "no_embed_class": True, "reg_tokens": 8,
            **_SWIGLU,
        },
        mpp=0.57,
    ),
    "virchow": KnownTower(
        "paige-ai/Virchow", "vit_huge_patch14_224", 2560,
        "Apache 2.0, with the terms of its page", "Virchow, Vorontsov et al. 2024, Nature Medicine",
        _VIRCHOW, pool="token+mean",
    ),
    "virchow2": KnownTower(
        "paige-ai/Virchow2", "vit_huge_patch14_224", 2560, "CC BY-NC-ND 4.0",
        "Virchow2, Zimmermann et al. 2024, arXiv 2408.00738",
        {**_VIRCHOW, "reg_tokens": 4}, pool="token+mean",
    ),
    "h-optimus-0": KnownTower(
        "bioptimus/H-optimus-0", "vit_giant_patch14_reg4_dinov2", 1536, "Apache 2.0",
        "H-optimus-0, Bioptimus 2024", {"img_size": 224, "init_values": 1e-5},
        normalisation=_H_OPTIMUS,
    ),
    "h-optimus-1": KnownTower(
        "bioptimus/H-optimus-1", "vit_giant_patch14_reg4_dinov2", 1536, "CC BY-NC-ND 4.0",
        "H-optimus-1, Bioptimus 2025", {"img_size": 224, "init_values": 1e-5},
        normalisation=_H_OPTIMUS,
    ),
    "prov-gigapath": KnownTower(
        "prov-gigapath/prov-gigapath", "vit_giant_patch14_dinov2", 1536,
        "Apache 2.0, with the terms of its page",
        "Prov-GigaPath, Xu et al. 2024, Nature 630:181",
        {"img_size": 224, "patch_size": 16, "init_values": 1e-5},
    ),
    "conch": KnownTower(
        "MahmoodLab/conch", "vit_base_patch16_224", 512, _NO_DERIVATIVES,
        "CONCH, Lu et al. 2024, Nature Medicine 30:863", {"img_size": 448},
        mpp=0.57, crop_px=448, normalisation=_CLIP, pool="attention", layout="conch",
    ),
    "phikon": KnownTower(
        "owkin/phikon", "vit_base_patch16_224", 768, "Owkin non-commercial licence",
        "Phikon, Filiot et al. 2023, medRxiv 2023.07.21.23292757", {}, layout="vit",
    ),
    "phikon-v2": KnownTower(
        "owkin/phikon-v2", "vit_large_patch16_224", 1024, "Owkin non-commercial licence",
        "Phikon-v2, Filiot et al. 2024, arXiv 2409.09173", {"init_values": 1e-5}, layout="dinov2",
    ),
}  # fmt: skip
"""Short name → tower."""


def known_tower(name: str) -> KnownTower | None:
    """The tower of a short name in any case, or of ``hf-hub:`` and its repository."""
    found = KNOWN_TOWERS.get(name.lower())
    if found is not None:
        return found
    source, _, repository = name.partition(":")
    if source not in ("hf-hub", "hf_hub"):
        return None
    same = (t for t in KNOWN_TOWERS.values() if t.repository.lower() == repository.lower())
    return next(same, None)
