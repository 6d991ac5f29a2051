"""The expression matrix of a table, block by block: it may be lazy and larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from anndata import AnnData
from scipy import sparse

ROWS = 8192
"""Cells of one block."""

OnRows = Callable[[int], None]
"""Called with the number of cells that are written; may raise to stop."""


def no_step(rows: int) -> None:
    """Tells nobody."""


def expression_blocks(
    adata: AnnData, on_rows: OnRows = no_step
) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """The rows of each block and its values (rows, g) float32, in order; nothing for no cells.

    `on_rows` is called each time that the caller is done with a block.
    """
    for start in range(0, adata.n_obs, ROWS):
        rows = slice(start, min(start + ROWS, adata.n_obs))
        if adata.n_vars == 0 or adata.X is None:
            yield rows, np.zeros((rows.stop - start, 0), np.float32)
        else:
            block = adata.X[rows]
            if hasattr(block, "compute"):
                block = block.compute()
            if sparse.issparse(block):
                block = block.toarray()
            yield rows, np.asarray(block, dtype=np.float32)
        on_rows(rows.stop)
