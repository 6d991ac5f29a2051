"""Towers that are known by a short name, and what to say when a hub does not give one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from timm.layers.mlp import SwiGLUPacked

from napari_past.errors import PastError

HUB = "https://huggingface.co/"
_HUB_PREFIXES = ("hf-hub:", "hf_hub:")


class TowerUnavailable(PastError):
    """A tower is not known, or its weights cannot be had from where we are."""


@dataclass(frozen=True)
class HubTower:
    """A published tower and how timm builds it (facts of its model card)."""

    repository: str
    options: dict[str, Any] = field(default_factory=dict)
    gated: bool = True
    """Whether its licence must be accepted before the weights can be downloaded."""


_SWIGLU: dict[str, Any] = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}
HUB_TOWERS = {
    "uni": HubTower("MahmoodLab/UNI", {"init_values": 1e-5, "dynamic_img_size": True}),
    "uni2-h": HubTower(
        "MahmoodLab/UNI2-h",
        {
            "img_size": 224, "patch_size": 14, "depth": 24, "num_heads": 24, "init_values": 1e-5,
            "embed_dim": 1536, "mlp_ratio": 2.66667 * 2, "no_embed_class": True, "reg_tokens": 8,
            "dynamic_img_size": True, **_SWIGLU,
        },
    ),
    "virchow": HubTower("paige-ai/Virchow", _SWIGLU),
    "virchow2": HubTower("paige-ai/Virchow2", _SWIGLU),
    "h-optimus-0": HubTower("bioptimus/H-optimus-0", {"init_values": 1e-5}),
    "h-optimus-1": HubTower("bioptimus/H-optimus-1", {"init_values": 1e-5}),
    "prov-gigapath": HubTower("prov-gigapath/prov-gigapath"),
}  # fmt: skip
"""Short name → tower. Any other name goes to timm as it is."""


@dataclass(frozen=True)
class TowerSource:
    """Where a tower's name leads."""

    timm_name: str
    options: dict[str, Any]
    from_hub: bool
    """Whether its shape, too, is only known to a hub."""


def tower_source(name: str) -> TowerSource:
    """What timm must be asked for to get the tower `name`."""
    known = HUB_TOWERS.get(name.lower())
    if known is not None:
        return TowerSource(f"hf-hub:{known.repository}", known.options, True)
    for tower in HUB_TOWERS.values():
        if name in {prefix + tower.repository for prefix in _HUB_PREFIXES}:
            return TowerSource(f"hf-hub:{tower.repository}", tower.options, True)
    return TowerSource(name, {}, name.startswith(_HUB_PREFIXES))


def brings_weights(name: str) -> bool:
    """Whether a name means trained weights: a hub's does, as does timm's with a tag after a dot."""
    source = tower_source(name)
    return source.from_hub or "." in source.timm_name


def explained(exc: BaseException, name: str) -> TowerUnavailable | None:
    """One sentence about why the tower `name` could not be had, or None if that is not known."""
    page = HUB + tower_source(name).timm_name.split(":", 1)[-1]
    for one in _chain(exc):
        if isinstance(one, GatedRepoError | LocalTokenNotFoundError):
            return TowerUnavailable(
                f"The weights of {name} are given to those alone who accepted their licence: do so "
                f"on {page} with your account, then run 'hf auth login' here and start again."
            )
        if isinstance(one, RepositoryNotFoundError):
            return TowerUnavailable(
                f"The hub shows no tower {name} to you: check the name on {page}; if it is "
                f"private, run 'hf auth login' first."
            )
        if isinstance(one, OfflineModeIsEnabled | LocalEntryNotFoundError | ConnectionError):
            return _offline(name)
        if isinstance(one, HfHubHTTPError):
            return TowerUnavailable(f"The hub did not give {name} ({_first_line(one)}); try later.")
        # Where there is no network, the hub's client lets the errors of its HTTP library through.
        if type(one).__module__.split(".")[0] in {"httpx", "httpx2", "requests"}:
            return _offline(name)
    text = _first_line(exc)
    if isinstance(exc, RuntimeError) and text.startswith("Unknown model"):
        near = difflib.get_close_matches(name, [*timm.list_models(), *HUB_TOWERS], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() shows them."
        return TowerUnavailable(
            f"There is no tower {name!r}: give a name of timm, hf-hub:OWNER/NAME, or one of "
            f"{', '.join(HUB_TOWERS)}; {hint}"
        )
    if isinstance(exc, RuntimeError) and "retrained" in text:
        return TowerUnavailable(f"There are no trained weights for {name} ({text}).")
    return None


def _offline(name: str) -> TowerUnavailable:
    return TowerUnavailable(
        f"The hub cannot be reached from here, and {name} was not downloaded before: download it "
        f"on a machine with a network, copy its cache folder (HF_HOME) here, or take a tower of "
        f"timm without a tag, which starts from scratch."
    )


def _chain(exc: BaseException | None) -> list[BaseException]:
    """An exception and those that led to it."""
    found: list[BaseException] = []
    while exc is not None and exc not in found:
        found.append(exc)
        exc = exc.__cause__ or exc.__context__
    return found


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
