"""Arms by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from past_training.slide_level.survival.arm import Arm
from past_training.slide_level.survival.arm_names import CLINICAL, HELP, POOLINGS
from past_training.slide_level.survival.clinical_arm import ClinicalArm
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.fusion_arm import FusionArm
from past_training.slide_level.survival.ridge_arm import RidgeArm

if TYPE_CHECKING:
    from past_training.slide_level.fitting import FitOptions


def arm_of(
    name: str,
    inner: int = 3,
    options: FitOptions | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Arm:
    """The arm of this name.

    Parameters
    ----------
    inner
        Folds inside a training fold.
    options
        Of networks.

    Raises
    ------
    BadEvaluation
        There is none of this name.
    """
    if name == CLINICAL:
        return ClinicalArm()
    if name.startswith(f"{CLINICAL}+"):
        others = name.removeprefix(f"{CLINICAL}+").split("+")
        if CLINICAL in others or len(set(others)) < len(others):
            raise BadEvaluation(f"The arm {name!r} names something twice; give each part once.")
        return FusionArm(tuple(arm_of(o, inner, options, cancelled) for o in others), inner)
    if name == "mean-ridge":
        return RidgeArm("mean", inner)
    if name == "summaries-ridge":
        return RidgeArm("summaries", inner)
    if name == "rna-ridge":
        return RidgeArm("rna", inner)
    word, _, rest = name.partition(":")
    asked, _, loss = rest.partition(":")
    for pooling in POOLINGS if word == "network" else ():
        if asked == pooling and loss in ("", "cox", "discrete"):
            # torch is imported by who asks for a network.
            from past_training.slide_level.fitting import FitOptions
            from past_training.slide_level.survival.network_arm import NetworkArm

            head: Literal["cox", "discrete"] = "discrete" if loss == "discrete" else "cox"
            return NetworkArm(pooling, head, options or FitOptions(), cancelled)
    raise BadEvaluation(f"There is no arm {name!r}; give some of: {HELP}.")


def usual_arms(data: SurvivalData) -> tuple[str, ...]:
    """Those that these patients allow, where none is named."""
    clinical = data.covariates is not None
    single = [
        name
        for name, there in (
            ("mean-ridge", data.mean_vectors is not None),
            ("summaries-ridge", data.summaries is not None),
            ("rna-ridge", data.rna is not None),
            ("network:attention:cox", data.bags is not None),
        )
        if there
    ]
    names = ([CLINICAL] if clinical else []) + single
    if clinical:
        names += [f"{CLINICAL}+{name}" for name in single if name != "summaries-ridge"]
    if not names:
        raise BadEvaluation(
            "There is nothing to predict survival from; name covariates (--covariates A,B), or "
            "give a folder of `past-train slide prepare`."
        )
    return tuple(names)
