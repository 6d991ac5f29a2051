"""How a run is followed: a bar, a table, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]

from napari_past.files import atomic_write

log = logging.getLogger("past_training")


class Table:
    """A CSV file that grows by a line at a time, in columns that are fixed.

    Parameters
    ----------
    resumed_step
        Lines behind this step are dropped: they will be written again. None starts the file anew.
    """

    def __init__(self, path: Path, columns: Sequence[str], resumed_step: int | None) -> None:
        self._path = path
        self._columns = ["step", *columns]
        old: list[dict[str, str]] = []
        if resumed_step is not None and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                old = [row for row in csv.DictReader(file) if _is_until(row, resumed_step)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(old)
        with atomic_write(path) as unfinished:
            unfinished.write_text(text.getvalue(), encoding="utf-8", newline="")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line; values of no column are an error."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow({"step": step, **values})


def _is_until(row: Mapping[str, str], step: int) -> bool:
    # A line that a kill has cut short has no number, or a shorter one than was meant: drop those.
    return None not in row.values() and row["step"].isdigit() and int(row["step"]) <= step


class Progress:
    """What the first process shows and logs; the others do nothing.

    Parameters
    ----------
    folder
        For ``steps.csv``, ``validation.csv`` and TensorBoard's events.
    parts
        Names of the objectives' parts.
    total_steps
        Steps of the whole run.
    resumed_step
        Of the checkpoint that was resumed, or None.
    """

    def __init__(
        self,
        folder: Path,
        parts: Sequence[str],
        total_steps: int,
        resumed_step: int | None,
        shown: bool,
    ) -> None:
        self._shown = shown
        self._since = time.monotonic()
        self._total = total_steps
        self._events: Any = None
        if not shown:
            return
        self._steps = Table(
            folder / "steps.csv",
            ["epoch", "loss", *parts, "lr_encoder", "lr_rest", "gradient_norm", "cells_per_s"],
            resumed_step,
        )
        self._validations = Table(
            folder / "validation.csv", ["epoch", "loss", *parts, "best"], resumed_step
        )
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            purge = None if resumed_step is None else resumed_step + 1
            self._events = SummaryWriter(str(folder), purge_step=purge)
        # In a file, as on a cluster, a bar would be thousands of lines.
        self._bar = tqdm(
            total=total_steps, initial=resumed_step or 0, unit="step", disable=None,
            file=sys.stderr, dynamic_ncols=True,
        )  # fmt: skip

    def stepped(self) -> None:
        """Move the bar by one step."""
        if self._shown:
            self._bar.update()

    def seconds(self) -> float:
        """Time since this was last asked for."""
        now = time.monotonic()
        passed, self._since = now - self._since, now
        return passed

    def log_steps(self, step: int, values: Mapping[str, float]) -> None:
        """A line about the steps since the last one."""
        if not self._shown:
            return
        self._steps.add(step, values)
        told = f"loss {values['loss']:.4f}, {values['cells_per_s']:.0f} cells/s"
        if self._bar.disable:
            log.info("step %d of %d: %s", step, self._total, told)
        else:
            self._bar.set_postfix_str(told, refresh=False)
        self._tell("train", step, values)

    def log_validation(self, step: int, values: Mapping[str, float]) -> None:
        """A line about one validation."""
        if self._shown:
            self._validations.add(step, values)
            self._tell("validation", step, values)

    def close(self) -> None:
        """Leave the bar as it is and finish the files."""
        if self._shown:
            self._bar.close()
            if self._events is not None:
                self._events.close()

    def _tell(self, group: str, step: int, values: Mapping[str, float]) -> None:
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(f"{group}/{name}", value, step)
