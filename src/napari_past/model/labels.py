"""Labels of many cells, such as their types: each name once, and a small integer for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True, eq=False)
class Labels:
    """One label for each cell, or none."""

    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    """(n,) places among `names`; -1 where nothing was told."""

    @staticmethod
    def of(texts: Sequence[str] | pd.Categorical) -> Labels:
        """Labels of texts, in alphabetical order; an empty text tells nothing."""
        column: Any = pd.Categorical(list(texts)) if isinstance(texts, Sequence) else texts
        names = [str(name) for name in column.categories]
        told = sorted({name for name in names if name.strip()})
        place = {name: i for i, name in enumerate(told)}
        # A code of -1 finds the last place, which stands for nothing.
        new = np.array([*(place.get(name, -1) for name in names), -1], np.int32)
        return Labels(tuple(told), new[column.codes])

    def __getitem__(self, row: int) -> str:
        """The label of a cell; empty where nothing was told."""
        code = self.codes[row]
        return self.names[code] if code >= 0 else ""

    def __len__(self) -> int:
        return len(self.codes)

    def are(self, name: str) -> npt.NDArray[np.bool_]:
        """Which cells have this label, (n,)."""
        if name not in self.names:
            return np.zeros(len(self.codes), bool)
        return self.codes == self.names.index(name)

    @property
    def untold(self) -> int:
        """How many cells have none."""
        return int((self.codes < 0).sum())

    def as_categories(self) -> pd.Categorical:
        """The same for a column of a table."""
        names: Any = pd.Index(list(self.names), dtype=object)
        return pd.Categorical.from_codes(self.codes, names)
