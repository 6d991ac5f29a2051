"""A read-out with one hidden layer, fitted in torch on vectors of a tower that stays as it is.

A row's value is the mean over its nuclei of what the read-out gives for each: that is what is
fitted, and what is evaluated. A mean of vectors would be another function.

Shapes: r rows, n nuclei, D numbers of a vector, H hidden units, G genes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_past.model.encoding import device_of
from napari_past.model.readout import MlpReadout
from napari_past.validation.ridge import mean_r

HIDDEN_UNITS = 32
"""So few that changing the gene stays quick: the layer is computed anew for every gene."""
DECAYS = (0.01, 0.1, 1.0)
"""Candidates of the weight decay (AdamW, Loshchilov & Hutter 2019)."""
MOST_EPOCHS = 40
PARTS = 3
"""Into which the training rows are cut; each is left out in turn to choose decay and epochs."""
_LEARNING_RATE = 3e-3
_STEPS_AN_EPOCH = 16
_LEAST_ROWS, _MOST_ROWS = 16, 512
"""Of a step."""
_SEED = 20240229
_LEAST_SPREAD = 1e-6

FloatRow = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bags:
    """Rows with the vectors of their nuclei."""

    vectors_nD: npt.NDArray[np.float16]
    row_n: npt.NDArray[np.int64]
    """Ascending; every row has a nucleus."""
    targets_rG: npt.NDArray[np.float32]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Place of each row's first nucleus, and the number of nuclei, (r + 1,)."""
        rows = np.arange(len(self.targets_rG) + 1)
        return np.searchsorted(self.row_n, rows).astype(np.int64)

    def of_rows(self, first: int, stop: int) -> Bags:
        """Rows that follow each other."""
        a, b = self.starts[[first, stop]]
        return Bags(self.vectors_nD[a:b], self.row_n[a:b] - first, self.targets_rG[first:stop])

    def with_genes(self, places: npt.NDArray[np.integer]) -> Bags:
        """The same with some genes alone."""
        return Bags(self.vectors_nD, self.row_n, self.targets_rG[:, places])


def joined(bags: Sequence[Bags]) -> Bags:
    """Rows of several sections, one behind the other."""
    first = np.cumsum([0, *(len(bag.targets_rG) for bag in bags)])
    return Bags(
        np.concatenate([bag.vectors_nD for bag in bags]),
        np.concatenate([bag.row_n + start for bag, start in zip(bags, first, strict=False)]),
        np.concatenate([bag.targets_rG for bag in bags]),
    )


def row_values(readout: MlpReadout, bags: Bags) -> npt.NDArray[np.float32]:
    """Mean over each row's nuclei of what the read-out gives, (r, G)."""
    starts = bags.starts
    sums_rH = np.empty((len(starts) - 1, len(readout.hidden_bias)), np.float32)
    for first in range(0, len(sums_rH), _MOST_ROWS):
        stop = min(first + _MOST_ROWS, len(sums_rH))
        a, b = starts[[first, stop]]
        # The mean of the values is the value of the mean units: behind them all is linear.
        units_nH = readout.hidden(bags.vectors_nD[a:b])
        sums_rH[first:stop] = np.add.reduceat(units_nH, starts[first:stop] - a, axis=0)
    means_rH = sums_rH / np.diff(starts)[:, None].astype(np.float32)
    return np.asarray(means_rH @ readout.weight.T + readout.bias, np.float32)


def best_settings(
    groups: Sequence[Bags], *, most_epochs: int = MOST_EPOCHS, device: str = "cpu"
) -> tuple[float, int]:
    """Weight decay and epochs with the best mean Pearson r on training rows that are left out.

    Parameters
    ----------
    groups
        Patients, or sections; a single one is cut into three runs of rows, which are stored in the
        order of the tissue. Of more than three some are left out together.
    """
    if len(groups) == 1:
        cuts = np.linspace(0, len(groups[0].targets_rG), PARTS + 1).astype(int).tolist()
        groups = [groups[0].of_rows(a, b) for a, b in pairwise(cuts)]
    parts = [joined(groups[k::PARTS]) for k in range(min(PARTS, len(groups)))]
    scores = np.zeros((len(DECAYS), most_epochs))
    for held, left_out in enumerate(parts):
        rest = joined([part for k, part in enumerate(parts) if k != held])
        for i, decay in enumerate(DECAYS):
            scores[i] += _curve(rest, left_out, decay, most_epochs, device)
    chosen, epoch = np.unravel_index(np.argmax(scores), scores.shape)
    return DECAYS[int(chosen)], int(epoch) + 1


def _curve(train: Bags, left_out: Bags, decay: float, epochs: int, device: str) -> list[float]:
    """Mean r on what is left out, after each epoch."""
    curve: list[float] = []

    def note(readout: MlpReadout) -> None:
        curve.append(mean_r(row_values(readout, left_out), left_out.targets_rG))

    fit_mlp(train, decay, epochs, device=device, on_epoch=note)
    return curve


def fit_mlp(
    bags: Bags,
    decay: float,
    epochs: int,
    *,
    hidden_units: int = HIDDEN_UNITS,
    device: str = "cpu",
    on_epoch: Callable[[MlpReadout], None] | None = None,
) -> MlpReadout:
    """Least squares in each gene's deviations; all scaling is folded back into the weights.

    It begins as the training mean, whose squared error it then lessens.

    Parameters
    ----------
    decay
        Of the weights, not of the biases.
    on_epoch
        Told the read-out after each epoch.
    """
    where = device_of(device)
    generator = torch.Generator().manual_seed(_SEED)
    fit = _Fit.begun(bags, hidden_units, generator, where)
    parts: list[dict[str, Any]] = [
        {"params": fit.weights, "weight_decay": decay},
        {"params": fit.biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(parts, lr=_LEARNING_RATE)
    rows = len(bags.targets_rG)
    step = int(np.clip(rows // _STEPS_AN_EPOCH, _LEAST_ROWS, _MOST_ROWS))
    for _ in range(epochs):
        order = torch.randperm(rows, generator=generator).numpy()
        for first in range(0, rows, step):
            loss = fit.loss(bags, np.sort(order[first : first + step]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if on_epoch is not None:
            on_epoch(fit.readout())
    return fit.readout()


@dataclass(frozen=True, eq=False)
class _Fit:
    """A read-out of standardised vectors and values, while it is fitted."""

    hidden_weight_HD: Tensor
    hidden_bias_H: Tensor
    weight_GH: Tensor
    bias_G: Tensor
    center_D: Tensor
    spread_D: Tensor
    mean_G: Tensor
    deviation_G: Tensor

    @classmethod
    def begun(
        cls, bags: Bags, hidden_units: int, generator: torch.Generator, device: torch.device
    ) -> _Fit:
        center_D, spread_D = _moments(bags.vectors_nD)
        mean_G = bags.targets_rG.mean(0, dtype=np.float64)
        deviation_G = bags.targets_rG.std(0, dtype=np.float64)
        dim, genes = len(center_D), len(mean_G)
        hidden = torch.randn(hidden_units, dim, generator=generator) * (2 / dim) ** 0.5
        starting = (
            hidden, torch.zeros(hidden_units), torch.zeros(genes, hidden_units), torch.zeros(genes)
        )  # fmt: skip
        learned = [part.to(device).requires_grad_(True) for part in starting]
        scales = (center_D, spread_D, mean_G, np.where(deviation_G > _LEAST_SPREAD, deviation_G, 1))
        fixed = [torch.from_numpy(np.asarray(v, np.float32)).to(device) for v in scales]
        return cls(*learned, *fixed)

    @property
    def weights(self) -> list[Tensor]:
        return [self.hidden_weight_HD, self.weight_GH]

    @property
    def biases(self) -> list[Tensor]:
        return [self.hidden_bias_H, self.bias_G]

    def loss(self, bags: Bags, rows: npt.NDArray[np.integer]) -> Tensor:
        """Mean squared error of some rows, in deviations."""
        device, starts = self.bias_G.device, bags.starts
        counts = starts[rows + 1] - starts[rows]
        bag_n = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(starts[rows], counts) + within
        vectors_nD = torch.from_numpy(bags.vectors_nD[places]).to(device).float()
        units_nH = torch.relu(
            ((vectors_nD - self.center_D) / self.spread_D) @ self.hidden_weight_HD.T
            + self.hidden_bias_H
        )
        sums_rH = units_nH.new_zeros(len(rows), units_nH.shape[1])
        sums_rH = sums_rH.index_add(0, torch.from_numpy(bag_n).to(device), units_nH)
        means_rH = sums_rH / torch.from_numpy(counts).to(device)[:, None]
        values_rG = torch.from_numpy(bags.targets_rG[rows]).to(device)
        wanted_rG = (values_rG - self.mean_G) / self.deviation_G
        result: Tensor = (means_rH @ self.weight_GH.T + self.bias_G - wanted_rG).square().mean()
        return result

    def readout(self) -> MlpReadout:
        """Of vectors and values as they are."""
        with torch.no_grad():
            hidden_weight_HD = self.hidden_weight_HD / self.spread_D
            hidden_bias_H = self.hidden_bias_H - hidden_weight_HD @ self.center_D
            weight_GH = self.weight_GH * self.deviation_G[:, None]
            bias_G = self.bias_G * self.deviation_G + self.mean_G
        parts = (hidden_weight_HD, hidden_bias_H, weight_GH, bias_G)
        return MlpReadout(*(np.array(part.cpu().numpy(), np.float32) for part in parts))


def _moments(vectors_nD: npt.NDArray[np.float16]) -> tuple[FloatRow, FloatRow]:
    """Mean and deviation over the nuclei; in blocks, for the vectors may fill the memory."""
    n, dim = vectors_nD.shape
    blocks = [vectors_nD[first : first + 16_384] for first in range(0, n, 16_384)]
    mean_D = sum((b.sum(0, dtype=np.float64) for b in blocks), np.zeros(dim)) / n
    squares = ((b.astype(np.float64) - mean_D) ** 2 for b in blocks)
    deviation_D = np.sqrt(sum((s.sum(0) for s in squares), np.zeros(dim)) / n)
    return mean_D, np.where(deviation_D > _LEAST_SPREAD, deviation_D, 1.0)
