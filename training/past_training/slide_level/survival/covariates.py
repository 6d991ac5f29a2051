"""Clinical covariates as numbers; all that this needs to know comes from the training fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Number:
    """Of a column of numbers."""

    column: str
    fill: float
    """The training fold's median, for who has none."""
    mean: float
    deviation: float


@dataclass(frozen=True)
class _Category:
    """One level of a column of texts, against its most frequent one."""

    column: str
    level: str
    fill: str
    """The training fold's most frequent level, for who has none."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a training fold's covariates became columns of a model."""

    names: tuple[str, ...]
    """(p,); of a category ``column=level``."""
    told: tuple[str, ...]
    """What was left out, a sentence each."""
    _terms: tuple[_Number | _Category, ...]

    def encoded(self, table: pd.DataFrame) -> F64:
        """(m, p) numbers, scaled by the training fold; a level that it has not seen counts as its
        most frequent one."""
        columns = [self._term(term, table) for term in self._terms]
        return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))

    def unit(self) -> F64:
        """(p,) what one unit of each column of `encoded` is in the column's own unit."""
        return np.array([t.deviation if isinstance(t, _Number) else 1.0 for t in self._terms])

    def _term(self, term: _Number | _Category, table: pd.DataFrame) -> F64:
        if isinstance(term, _Number):
            values = table[term.column].to_numpy(np.float64)
            values = np.where(np.isfinite(values), values, term.fill)
            return (values - term.mean) / term.deviation
        texts = table[term.column].astype(object)
        known = texts.where(texts.notna(), term.fill).to_numpy()
        return np.asarray(known == term.level, np.float64)


def fit_encoding(table: pd.DataFrame, reference: Mapping[str, str] | None = None) -> Encoding:
    """Medians, means, deviations and levels of a training fold's rows.

    A column that has one value there is left out, and told.

    Parameters
    ----------
    reference
        The level that others are held against, of columns where it is not the most frequent one.
    """
    asked = dict(reference or {})
    terms: list[_Number | _Category] = []
    names: list[str] = []
    told: list[str] = []
    for column in table.columns:
        values = table[column]
        if pd.api.types.is_numeric_dtype(values):
            numbers = values.to_numpy(np.float64)
            known = numbers[np.isfinite(numbers)]
            fill = float(np.median(known)) if len(known) else 0.0
            full = np.where(np.isfinite(numbers), numbers, fill)
            if len(known) == 0 or np.ptp(full) == 0:
                told.append(f"{column} has one value in a training fold and was left out there.")
                continue
            terms.append(_Number(column, fill, float(full.mean()), float(full.std())))
            names.append(str(column))
            continue
        # Among levels of one count the alphabet decides, so that the order of rows does not.
        counts = values.dropna().astype(str).value_counts()
        levels = sorted(counts.index, key=lambda level: (-int(counts[level]), level))
        if len(levels) < 2:
            told.append(f"{column} has one value in a training fold and was left out there.")
            continue
        against = asked.get(column, levels[0])
        for level in sorted(set(levels) - {against}):
            terms.append(_Category(column, level, levels[0]))
            names.append(f"{column}={level}")
    return Encoding(tuple(names), tuple(told), tuple(terms))
