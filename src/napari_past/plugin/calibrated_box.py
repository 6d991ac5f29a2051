"""The line below the table of regions that tells calibrated scores."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.calibration.calibrated import INTERVAL, CalibratedRow
from napari_past.plugin.wrapped_label import WrappedLabel

SHOWN_ROWS = 8
"""More are in the tip."""


class CalibratedBox(WrappedLabel):
    """A line for each region below the name of its calibration; hidden without any."""

    def __init__(self) -> None:
        super().__init__()
        self.set_rows(())

    def set_rows(self, rows: Sequence[CalibratedRow]) -> None:
        """Show these in place of the former ones."""
        lines: list[str] = []
        name = ""
        for row in rows[:SHOWN_ROWS]:
            if row.predicted.name != name:
                name = row.predicted.name
                lines.append(f"{name[0].upper()}{name[1:]}, {INTERVAL}:")
            lines.append(f"{row.region}: {row.short}")
        if rows and rows[0].extrapolated:
            lines.append(f"The values are {rows[0].extrapolated}.")
        more = len(rows) - SHOWN_ROWS
        if more > 0:
            lines.append(f"and {more} more: point here")
        self.setText("\n".join(lines))
        self.setToolTip("\n".join(f"{row.region}: {row.sentence}" for row in rows))
        self.setVisible(bool(rows))
