"""What a user says beside the path: which of several, and in which unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from napari_past.errors import BadTable, PastError

UNITS = ("um", "px")


class SeveralCells(BadTable):
    """There are several things to choose from, and none was chosen."""

    def __init__(self, message: str, choices: Sequence[str]) -> None:
        super().__init__(message)
        self.choices = tuple(choices)
        """Names, any of which can be given as the key."""

    def __reduce__(self) -> tuple[object, ...]:
        return (SeveralCells, (str(self), self.choices))


@dataclass(frozen=True)
class Choice:
    """A key, taken apart: ``NAME``, ``unit=px``, ``mpp=0.5``, or several with commas between."""

    name: str | None = None
    mpp: float | None = None
    """µm/px of a label image."""
    unit: str | None = None
    """Of positions: "um" or "px", that is level-0 pixels of the slide."""

    @staticmethod
    def of(key: str | None) -> Choice:
        """The choice that a key means.

        Raises
        ------
        PastError
            No such unit, or no number of µm/px.
        """
        names: list[str] = []
        mpp: float | None = None
        unit: str | None = None
        for piece in (key or "").split(","):
            piece = piece.strip()
            if piece.startswith("unit="):
                unit = piece.removeprefix("unit=").replace("µm", "um")
                if unit not in UNITS:
                    raise PastError(
                        f"Cells are in um or px, but the key says {piece!r}; give unit=um or "
                        "unit=px."
                    )
            elif piece.startswith("mpp="):
                mpp = _mpp(piece)
            elif piece:
                names.append(piece)
        return Choice(",".join(names) or None, mpp, unit)

    def one_of(self, names: Sequence[str], source: str, what: str) -> str:
        """The chosen name, or the only one.

        Parameters
        ----------
        what
            Plural of what they are, as "tables".

        Raises
        ------
        SeveralCells
            None was chosen, or one that is not there.
        """
        if self.name is None and len(names) == 1:
            return names[0]
        if self.name in names:
            return str(self.name)
        there = ", ".join(names) or "none"
        if self.name is None:
            raise SeveralCells(
                f"{source} holds {len(names)} {what} ({there}); say which with key= or "
                "--cells-key.",
                names,
            )
        raise SeveralCells(
            f"{source} has no {self.name!r} among its {what} ({there}); give one of these with "
            "key= or --cells-key.",
            names,
        )


def _mpp(piece: str) -> float:
    try:
        value = float(piece.removeprefix("mpp="))
    except ValueError:
        value = math.nan
    if not 0.01 < value < 100:
        raise PastError(
            f"The key says {piece!r} where µm per pixel of the labels were expected; give for "
            "example mpp=0.5."
        )
    return value
