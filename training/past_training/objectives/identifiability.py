"""What spots can teach about single cells, and what they cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# A tenth of what chance mixing of different cells over the rows would show.
_LEAST_SHARE_OF_MIXING = 0.1


@dataclass(frozen=True)
class Identifiability:
    """How far predicted differences between cells show as differences between rows."""

    within_G: FloatArray
    """Variance of each gene's predicted rate between the cells of a row."""
    between_G: FloatArray
    """Variance of its mean over each row's cells, weighted by their number."""
    nuclei_per_row: float

    @property
    def unidentified_G(self) -> npt.NDArray[np.bool_]:
        """Genes whose cells are told apart although the rows are alike.

        The data would fit as well if such cells were given each other's rates: what is predicted
        for single cells then rests on the start of the training and on its regularisation. Cells
        that are mixed over the rows by chance show 1 / (nuclei per row) of their variance between
        rows; below a tenth of that, rows are called alike.
        """
        total_G = self.within_G + self.between_G
        limit = _LEAST_SHARE_OF_MIXING / max(self.nuclei_per_row, 1.0)
        different_G = self.within_G > 1e-12 * np.maximum(total_G, 1e-12)
        return different_G & (total_G > 0) & (self.between_G < limit * total_G)

    @property
    def sentence(self) -> str:
        """The report in one sentence."""
        total = float((self.within_G + self.between_G).sum())
        share = 100 * float(self.within_G.sum()) / total if total > 0 else 0.0
        told = (
            f"{share:.0f} % of the variance of predicted rates lies within rows "
            f"({self.nuclei_per_row:.1f} nuclei a row)"
        )
        n = int(self.unidentified_G.sum())
        if not n:
            return f"{told}; the rows differ enough to support it for all genes."
        return (
            f"{told}; for {n} of {len(self.within_G)} genes the rows are alike although their "
            f"cells are predicted to differ, so these differences are not identified by the data."
        )


def identifiability(
    rates_NG: npt.NDArray[np.floating], row_of_nucleus: npt.NDArray[np.int64]
) -> Identifiability:
    """Variance of predicted rates within rows against between rows.

    Parameters
    ----------
    rates_NG
        (n, G) predicted rate of each nucleus.
    row_of_nucleus
        (n,) the row that each nucleus contributes to.
    """
    rates = np.asarray(rates_NG, np.float64)
    _, row, nuclei = np.unique(row_of_nucleus, return_inverse=True, return_counts=True)
    sums = np.zeros((len(nuclei), rates.shape[1]))
    np.add.at(sums, row, rates)
    means = sums / nuclei[:, None]
    within = np.square(rates - means[row]).mean(0)
    between = np.square(means[row] - rates.mean(0)).mean(0)
    return Identifiability(within, between, float(nuclei.mean()))
