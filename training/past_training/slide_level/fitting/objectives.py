"""What each target asks of a network: its outputs, their units, and the loss of a batch.

Shapes: B patients of a batch, E numbers of a pooled vector, O outputs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from past_training.objectives.contrastive import Temperature
from past_training.slide_level.fitting.card import Head
from past_training.slide_level.fitting.targets import (
    AlignTarget,
    BulkTarget,
    ClassTarget,
    SurvivalTarget,
    Target,
)
from past_training.slide_level.networks.intervals import Intervals
from past_training.slide_level.networks.losses import (
    bulk_loss,
    class_loss,
    contrast_loss,
    cox_loss,
    discrete_loss,
)
from past_training.slide_level.networks.slide_module import SlideModule

SHARED = 64
"""Numbers of the space in which slides, profiles and reports meet."""
_HIDDEN = 128


class Objective(Protocol):
    """A target as the loop sees it."""

    head: Head
    output_names: tuple[str, ...]
    unit: str
    """Of the outputs."""

    def begin(self, module: SlideModule) -> None:
        """Give the head its start, and add what is fitted beside it."""

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """Of the patients of a batch, a scalar."""


class Cox:
    """One logarithm of a hazard."""

    head: Head = "cox"
    output_names: tuple[str, ...] = ("log hazard",)
    unit = "log hazard"

    def __init__(self, target: SurvivalTarget) -> None:
        self._time = torch.from_numpy(target.time)
        self._event = torch.from_numpy(target.event)

    def begin(self, module: SlideModule) -> None:
        """A hazard is relative: there is nothing that its bias could mean."""
        module.head.bias.requires_grad_(False)

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """See `cox_loss`."""
        return cox_loss(
            module.scaled_outputs(vector_BE)[:, 0], self._time[index], self._event[index]
        )


class Discrete:
    """The hazard of each interval."""

    head: Head = "discrete"
    unit = "logit of the hazard"

    def __init__(self, target: SurvivalTarget) -> None:
        self.intervals = Intervals.of_events(target.time, target.event, target.intervals)
        survived, died = self.intervals.coded(target.time, target.event)
        self._survived, self._died = torch.from_numpy(survived), torch.from_numpy(died)
        edges = zip(self.intervals.starts, self.intervals.ends, strict=True)
        self.output_names = tuple(f"hazard {low:g} to {high:g}" for low, high in edges)

    def begin(self, module: SlideModule) -> None:
        """All patients start with the hazards of the whole cohort."""
        died, reached = self._died.sum(0), (self._died + self._survived).sum(0)
        with torch.no_grad():
            module.head.bias.copy_(torch.logit((died + 0.5) / (reached + 1)))

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """See `discrete_loss`."""
        logits = module.scaled_outputs(vector_BE)
        return discrete_loss(logits, self._survived[index], self._died[index])


class Classes:
    """The classes of all tasks side by side; the rarer a class, the more each patient counts."""

    head: Head = "classification"
    unit = "logit"

    def __init__(self, target: ClassTarget) -> None:
        self.tasks = target.classes
        self._codes = torch.from_numpy(target.codes())
        self.output_names = tuple(
            f"{task}: {label}" for task, labels in self.tasks.items() for label in labels
        )
        self._weights = []
        for column, labels in enumerate(self.tasks.values()):
            codes = self._codes[:, column]
            counts = torch.bincount(codes[codes >= 0], minlength=len(labels))
            self._weights.append(counts.sum() / (len(labels) * counts.float()))

    def begin(self, module: SlideModule) -> None:
        """Nothing: before anything is learned all classes are as likely."""

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """Mean over tasks of `class_loss`."""
        parts = module.scaled_outputs(vector_BE).split([len(v) for v in self.tasks.values()], 1)
        codes = self._codes[index]
        losses = [
            class_loss(logits, codes[:, column], self._weights[column])
            for column, logits in enumerate(parts)
        ]
        return torch.stack(losses).mean()


class Bulk:
    """Genes as a linear function of the pooled vector, which is the low-dimensional representation
    that transfers, as that of HE2RNA does (Schmauch et al. 2020)."""

    head: Head = "bulk"

    def __init__(self, target: BulkTarget) -> None:
        self.output_names, self.unit = target.genes, target.unit
        self._mean, self._deviation, scaled = _scaled(target.values)
        self._scaled = torch.from_numpy(scaled)

    def begin(self, module: SlideModule) -> None:
        """All patients start with the mean of each gene."""
        module.standardise(
            "output", torch.from_numpy(self._mean), torch.from_numpy(self._deviation)
        )

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """See `bulk_loss`."""
        return bulk_loss(module.scaled_outputs(vector_BE), self._scaled[index])


class Alignment:
    """A space in which a slide lies near its own profile and its own report.

    Slide and RNA as in TANGLE (Jaume et al. 2024, "Transcriptomics-guided slide representation
    learning in computational pathology", CVPR, arXiv 2405.11618), the report as a third modality
    as in mSTAR (Xu et al. 2024, "A multimodal knowledge-enhanced whole-slide pathology foundation
    model", arXiv 2407.15362). Who lacks a modality takes no part in its loss.
    """

    head: Head = "align"
    output_names = tuple(f"shared {number}" for number in range(SHARED))
    unit = "direction in the shared space"

    def __init__(self, target: AlignTarget) -> None:
        self._present: dict[str, npt.NDArray[np.bool_]] = {
            name: np.asarray(np.isfinite(values).all(1))
            for name, values in target.modalities.items()
        }
        self._scaled = {k: _scaled(v) for k, v in target.modalities.items()}

    def begin(self, module: SlideModule) -> None:
        """Add a small network for each modality, and the temperature."""
        for name, (mean, deviation, _) in self._scaled.items():
            side = Side(len(mean))
            side.mean.copy_(torch.from_numpy(mean))
            side.deviation.copy_(torch.from_numpy(deviation))
            module.sides[name] = side
        module.sides["temperature"] = Temperature()
        nn.init.xavier_uniform_(module.head.weight)

    def loss(self, module: SlideModule, vector_BE: Tensor, index: npt.NDArray[np.int64]) -> Tensor:
        """Mean over modalities of `contrast_loss`."""
        slide_BS = module.scaled_outputs(vector_BE)
        losses = []
        for name, present in self._present.items():
            scaled = torch.from_numpy(np.nan_to_num(self._scaled[name][2][index]))
            side, temperature = module.sides[name], module.sides["temperature"]
            assert isinstance(side, Side)
            there = torch.from_numpy(present[index])
            losses.append(contrast_loss(slide_BS, side.project(scaled), there, temperature()))
        return torch.stack(losses).mean()


class Side(nn.Module):
    """A profile or a report to the shared space.

    Parameters
    ----------
    dim
        Numbers of the modality.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))
        self.project = nn.Sequential(nn.Linear(dim, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, SHARED))

    def forward(self, values: Tensor) -> Tensor:
        """(B, S) of values as they were given."""
        return self.project((values - self.mean) / self.deviation)


def objective_of(target: Target) -> Objective:
    """The one that fits a target."""
    if isinstance(target, SurvivalTarget):
        if target.loss == "discrete":
            return Discrete(target)
        return Cox(target)
    if isinstance(target, ClassTarget):
        return Classes(target)
    return Bulk(target) if isinstance(target, BulkTarget) else Alignment(target)


_Floats = npt.NDArray[np.float32]


def _scaled(values: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Mean and deviation of each column over the rows that have it, and the values in these."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(0), 1)
    filled = np.where(known, values, 0.0).astype(np.float64)
    mean = filled.sum(0) / count
    deviation = np.sqrt((np.where(known, filled - mean, 0.0) ** 2).sum(0) / count)
    deviation = np.where(deviation < 1e-6, 1.0, deviation)
    scaled = (values - mean) / deviation
    return mean.astype(np.float32), deviation.astype(np.float32), scaled.astype(np.float32)
