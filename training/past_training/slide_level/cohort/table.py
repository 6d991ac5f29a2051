"""A file with a header, read as it was written: texts, of which numbers are made where asked."""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.files import existing_file
from past_training.slide_level.cohort.errors import BadCohort

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
_SEPARATORS = (",", ";", "\t")
_SHOWN = 5


def read_frame(path: str | Path) -> pd.DataFrame:
    """The rows of a ``.csv``, ``.tsv`` or ``.parquet`` file; what CSV holds stays text.

    Raises
    ------
    BadTable
        No such file.
    BadCohort
        Another format, damaged, empty, or two columns of one name.
    """
    source = existing_file(path)
    if source.suffix.lower() not in SUFFIXES:
        raise BadCohort(
            f"{source.name} is no table of rows and columns; give a .csv, .tsv or .parquet file "
            f"with a header."
        )
    try:
        frame = _read(source)
    except (ValueError, OSError, UnicodeError) as exc:  # pandas' and pyarrow's errors are these
        raise BadCohort(
            f"{source.name} cannot be read as a table ({exc}); save it as CSV in UTF-8 with one "
            f"header line."
        ) from exc
    frame.columns = pd.Index([str(column).strip() for column in frame.columns], dtype=object)
    twice = [column for column, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise BadCohort(f"{source.name} has the column {twice[0]!r} twice; rename one of them.")
    if not len(frame):
        raise BadCohort(f"{source.name} has a header but no rows; add a row for each slide.")
    return frame


def _read(source: Path) -> pd.DataFrame:
    if source.suffix.lower() == ".parquet":
        return pd.read_parquet(source)
    with source.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max(_SEPARATORS, key=header.count)
    # Without a header pandas keeps both of two columns with one name; texts keep ids like 007.
    rows = pd.read_csv(source, sep=separator, dtype=str, header=None, encoding="utf-8-sig")
    names = rows.iloc[0].fillna("").tolist()
    frame = rows.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(names, dtype=object)
    return frame.map(lambda value: value.strip() if isinstance(value, str) else value).replace(
        "", np.nan
    )


def require_columns(frame: pd.DataFrame, columns: list[str], name: str) -> None:
    """Raise `BadCohort` where the table lacks a column; says which it has."""
    for column in columns:
        if column not in frame.columns:
            have = [str(c) for c in frame.columns]
            near = difflib.get_close_matches(column, have, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {shown(have)}."
            raise BadCohort(f"{name} has no column {column!r}; {hint}")


def texts(column: pd.Series) -> list[str | None]:
    """Values as texts, None where one is missing; 7.0 of a column with gaps is "7"."""
    return [None if missing else _text(v) for v, missing in zip(column, column.isna(), strict=True)]


def _text(value: object) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def numbers(column: pd.Series) -> npt.NDArray[np.float64] | None:
    """Values as numbers (n,), NaN where one is missing; None where one of them is none."""
    parsed = pd.to_numeric(column, errors="coerce")
    if (parsed.isna() & column.notna()).any():
        return None
    return parsed.to_numpy(np.float64, na_value=np.nan)


def shown(names: list[str]) -> str:
    """Some names for a sentence, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def counted(n: int, what: str) -> str:
    """As "1 patient" or "3 patients"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
