"""A fitted network: what it says of patients, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.prepared import Prepared
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting.card import NetworkCard
from past_training.slide_level.fitting.explain import Explained, explained
from past_training.slide_level.fitting.feeds import chunks_of
from past_training.slide_level.networks.intervals import Intervals
from past_training.slide_level.networks.poolings import make_pooling
from past_training.slide_level.networks.slide_module import SlideModule

Floats = npt.NDArray[np.float32]


class SlideNetwork:
    """Bags of cells or tiles to what it was fitted to.

    Predictions are for research use only (`card.research_use`), and of patients that it was fitted
    on they say nothing new.

    Parameters
    ----------
    card
        What it is and was fitted on.
    module
        The network itself.
    """

    def __init__(self, card: NetworkCard, module: SlideModule) -> None:
        self.card, self._module = card, module.eval().requires_grad_(False)

    @cached_property
    def sha256(self) -> str:
        """Of the file that `save` writes, 64 hex digits."""
        from past_training.slide_level.fitting.network_file import content_sha256

        return content_sha256(self)

    @property
    def module(self) -> SlideModule:
        """The network; not to be changed."""
        return self._module

    @property
    def output_names(self) -> tuple[str, ...]:
        """(k,): genes, "task: class", intervals of time, or "log hazard"."""
        return self.card.output_names

    def outputs(self, bags: Sequence[Bag]) -> Floats:
        """float32 (p, k), in `card.unit`: hazards' logarithms or logits, classes' logits,
        expression, or places in the shared space, of length 1."""
        with torch.no_grad():
            values = self._module.outputs(self._vectors(bags))
            if self.card.head == "align":
                values = nn.functional.normalize(values, dim=1)
        return values.numpy()

    def representation(self, bags: Sequence[Bag]) -> Floats:
        """float32 (p, e): pooled vectors, standardised over the patients it was fitted on."""
        with torch.no_grad():
            return self._module.representation(self._vectors(bags)).numpy()

    def risk(self, bags: Sequence[Bag]) -> npt.NDArray[np.float64]:
        """float64 (p,), higher is worse: the log hazard, or minus the mean time to live up to the
        last event that was fitted to.

        Raises
        ------
        BadCohort
            It was not fitted to a time to an event.
        """
        outputs = self.outputs(bags)
        if self.card.head == "cox":
            return outputs[:, 0].astype(np.float64)
        return -self._intervals("risks").mean_lifetime(outputs)

    def survival(
        self, bags: Sequence[Bag], times: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Probability to live longer than each time, float64 (p, t).

        Raises
        ------
        BadCohort
            It was not fitted to intervals of time; a Cox network knows ratios of hazards alone.
        """
        return self._intervals("survival curves").survival(self.outputs(bags), times)

    def probabilities(self, bags: Sequence[Bag]) -> dict[str, Floats]:
        """Task → float32 (p, classes), 1 in sum over the task's classes.

        Raises
        ------
        BadCohort
            It was not fitted to classes.
        """
        if self.card.head != "classification":
            raise self._other_head("classification", "probabilities of classes")
        logits = torch.from_numpy(self.outputs(bags))
        parts = logits.split([len(classes) for classes in self.card.tasks.values()], 1)
        return {
            task: part.softmax(1).numpy() for task, part in zip(self.card.tasks, parts, strict=True)
        }

    def aligned(self, modality: str, values: Floats) -> Floats:
        """Profiles ("rna") or reports ("text") in the shared space, float32 (p, s) of length 1.

        Raises
        ------
        BadCohort
            It was not aligned with that modality, or the values are of another size.
        """
        dim = dict(self.card.shape.sides).get(modality)  # type: ignore[call-overload]
        if dim != values.shape[1]:
            raise BadCohort(
                f"The network was {'not aligned' if dim is None else 'aligned'} with {modality}"
                f"{'' if dim is None else f' of {dim} numbers, not {values.shape[1]}'}; fit one "
                f"with --task align on this cohort."
            )
        with torch.no_grad():
            found = self._module.sides[modality](torch.from_numpy(values))
            return nn.functional.normalize(found, dim=1).numpy()

    def explain(self, bag: Bag, output: int | None = None) -> Iterator[Explained]:
        """What each instance is to the bag's vector and adds to an output, piece by piece.

        See `Explained`, `explained_name` and `explained_unit`.

        Parameters
        ----------
        output
            Place among `output_names`; None for the outputs' mean, as hazards have it.
        """
        self.require_vectors(bag.dim)
        return explained(self._module, bag, self._mixture(output))

    def explained_name(self, output: int | None = None) -> str:
        """Of what `explain` tells."""
        if output is None and len(self.output_names) > 1:
            return f"mean of {len(self.output_names)} outputs"
        return self.output_names[output or 0]

    @property
    def explained_unit(self) -> str:
        """Of a contribution, and whether contributions add up."""
        kind = "" if self._module.pooling.additive else ", to first order"
        return f"{self.card.unit}{kind}"

    @property
    def additive(self) -> bool:
        """Whether contributions of all instances sum to the output less that of the mean training
        patient; else they are first-order approximations."""
        return self._module.pooling.additive

    def base(self, output: int | None = None) -> float:
        """What the output is at the mean training vector, from where contributions count."""
        return float(self._module.direction(self._mixture(output))[1])

    def require_vectors(self, dim: int, model: str = "", model_sha256: str = "") -> None:
        """Raise `BadCohort` where vectors are not of the model that this network knows.

        Parameters
        ----------
        dim
            Numbers of a vector.
        model, model_sha256
            Which gave them; empty where nobody knows.
        """
        known = self.card.model or "another model"
        if dim != self.card.shape.dim:
            raise BadCohort(
                f"The network was fitted on vectors of {self.card.shape.dim} numbers of {known}, "
                f"but these have {dim}; prepare the slides with that model."
            )
        if model_sha256 and self.card.model_sha256 and model_sha256 != self.card.model_sha256:
            raise BadCohort(
                f"The network was fitted on vectors of {known} (SHA-256 "
                f"{self.card.model_sha256[:12]}…), but these are of {model} ({model_sha256[:12]}…);"
                f" prepare the slides with that model."
            )

    def require_prepared(self, prepared: Prepared) -> None:
        """Raise `BadCohort` where a cohort's instances are not what this network knows."""
        model, card = prepared.model, self.card
        self.require_vectors(model.embed_dim, model.name, model.sha256)
        told, here = (
            _side(card.instances, card.tile_um),
            _side(prepared.instances, prepared.tile_um),
        )
        # Without a model nobody said what it was fitted on.
        if card.model and told != here:
            raise BadCohort(
                f"The network was fitted on {told}, but these are {here}; prepare the slides alike "
                f"(--instances)."
            )

    def save(self, path: Path) -> Path:
        """Write it as one safetensors file with its card; returns `path`.

        Raises
        ------
        CannotWrite
        """
        from past_training.slide_level.fitting.network_file import write_network

        return write_network(self, path)

    def transferred(self, outputs: int, dropout: float, freeze: bool) -> SlideModule:
        """A copy with a new head, to go on from.

        Parameters
        ----------
        freeze
            Only the head can be fitted.
        """
        shape = self.card.shape
        pooling = make_pooling(
            shape.pooling, shape.dim, shape.width, tokens=shape.tokens, draws=shape.draws,
            clusters=shape.clusters,
        )  # fmt: skip
        pooling.load_state_dict(self._module.pooling.state_dict())
        pooling.requires_grad_(not freeze)
        module = SlideModule(pooling, outputs, dropout)
        before = self._module
        module.standardise("instance", before.instance_mean, before.instance_deviation)
        return module

    def _vectors(self, bags: Sequence[Bag]) -> torch.Tensor:
        for bag in bags:
            if not bag.n:
                raise BadCohort(f"{bag.name} has no cells, so nothing is said of it; leave it out.")
            self.require_vectors(bag.dim)
        return torch.stack([self._module.streamed(chunks_of(bag)) for bag in bags])

    def _mixture(self, output: int | None) -> torch.Tensor:
        weights = torch.zeros(len(self.output_names))
        weights[slice(None) if output is None else output] = 1 / (
            len(weights) if output is None else 1
        )
        return weights

    def _intervals(self, what: str) -> Intervals:
        if self.card.head != "discrete":
            raise self._other_head("survival --loss discrete", what)
        return Intervals(np.array(self.card.interval_ends))

    def _other_head(self, task: str, what: str) -> BadCohort:
        return BadCohort(
            f"This network has the head {self.card.head!r} and gives no {what}; fit one with "
            f"--task {task}."
        )


def _side(instances: str, tile_um: float | None) -> str:
    return instances if tile_um is None else f"{instances} of {tile_um:g} µm"
