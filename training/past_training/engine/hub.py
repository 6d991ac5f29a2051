"""Where the name of a tower leads, and what to say when a hub does not give it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import timm
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from napari_past.errors import PastError
from napari_past.model.pooled import timm_options
from past_training.engine.known_towers import HUB, KNOWN_TOWERS, known_tower

_HUB_PREFIXES = ("hf-hub:", "hf_hub:")
_Made = TypeVar("_Made")


class TowerUnavailable(PastError):
    """A tower is not known, or its weights cannot be had from where we are."""


@dataclass(frozen=True)
class TowerSource:
    """Where a tower's name leads."""

    timm_name: str
    options: dict[str, Any]
    from_hub: bool
    """Whether its shape, too, is only known to a hub."""


def tower_source(name: str) -> TowerSource:
    """What timm must be asked for to get the tower `name`: a short name of `KNOWN_TOWERS`, or what
    timm knows itself."""
    known = known_tower(name)
    if known is not None:
        return TowerSource(f"hf-hub:{known.repository}", timm_options(known.options), True)
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
        near = difflib.get_close_matches(name, [*timm.list_models(), *KNOWN_TOWERS], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() shows them."
        return TowerUnavailable(
            f"There is no tower {name!r}: give a name of timm, hf-hub:OWNER/NAME, or one of "
            f"{', '.join(KNOWN_TOWERS)}; {hint}"
        )
    if isinstance(exc, RuntimeError) and "retrained" in text:
        return TowerUnavailable(f"There are no trained weights for {name} ({text}).")
    return None


def explaining(make: Callable[[], _Made], name: str) -> _Made:
    """What `make` gives for the tower `name`; errors of timm and of the hub become our sentences.

    Raises
    ------
    TowerUnavailable
    """
    try:
        return make()
    except PastError:
        raise
    # timm, the hub's client and its HTTP library each have errors of their own.
    except Exception as exc:
        told = explained(exc, name)
        if told is None:
            raise
        raise told from exc


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
