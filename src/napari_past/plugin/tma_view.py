"""The cores of a tissue microarray on the slide: found, named, marked, coloured by score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import napari
import numpy as np
from napari.layers import Shapes
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject

from napari_past.errors import PastError
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.desk import Desk
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.region_shapes import BY_SCORE, colour_by_role, complete_names, get_ready
from napari_past.plugin.session import Session
from napari_past.plugin.tma_box import TmaBox
from napari_past.plugin.tma_cores import (
    NO_CORE,
    columns_of_grid,
    grid_of_regions,
    is_core,
    regions_of_cores,
    renamed,
    told_in_short,
    without_cores,
)
from napari_past.plugin.viewport import canvas_mpp
from napari_past.report.palette import colours
from napari_past.stain import ScoreRow
from napari_past.tma import TmaGrid, find_cores, read_tma, with_cases, write_tma
from napari_past.types import IGNORE, INCLUDE

NAME_PT = 8
NAME_COLOUR = "#123a7c"
LEAST_PITCH_PX = 34
"""Cores that are nearer to each other on the canvas have no room for their names: as "O-20"."""
_NAMED = "napari_past_named"
"""Of a layer's metadata: its shapes show their names."""
_NAMES = {"string": "{name}", "size": NAME_PT, "color": NAME_COLOUR, "anchor": "upper_left"}
_NO_SCORE = "#8c8c8c"


class TmaView(QObject):
    """Puts grids on the slide as regions, which are then scored as all regions are."""

    def __init__(
        self,
        viewer: napari.Viewer,
        box: TmaBox,
        annotating: Annotating,
        scores: RegionScores,
        jobs: Jobs,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._desk = viewer, box, desk
        self._annotating, self._scores, self._jobs = annotating, scores, jobs
        self._told: tuple[object, ...] | None = None
        """What the box and the layer show."""
        box.find.connect(self.find)
        box.read.connect(self.read)
        box.write.connect(self.write)
        box.cases.connect(self.take_cases)
        box.swap_missing.connect(self.swap_missing)
        box.rename.connect(self._on_rename)
        box.by_score.connect(self._on_by_score)
        scores.changed.connect(self.follow)
        annotating.restored.connect(self.follow)

    # ---- grids -------------------------------------------------------------------------------

    @property
    def grid(self) -> TmaGrid | None:
        """The grid on the slide; None without one."""
        return grid_of_regions(self._scores.regions(), self._annotating.core_columns)

    def find(self, diameter_um: float | None = None) -> None:
        """Find the cores beside the GUI thread, and put them in place of those there were."""
        session = self._desk.session
        if session is None:
            return
        slide = session.slide

        def work(job: Job) -> tuple[Session, TmaGrid]:
            get_ready()
            return session, find_cores(slide, diameter_um=diameter_um, cancelled=job.cancelled)

        self._jobs.run(work, "Finding the cores", self._on_found, stoppable=True)

    def read(self, path: str | Path) -> None:
        """Put the grid of a file in place of the one there was."""
        session = self._desk.session
        if session is None:
            return
        mpp = session.slide.require_mpp()

        def work(job: Job) -> tuple[Session, TmaGrid]:
            get_ready()
            return session, read_tma(path, mpp)

        self._jobs.run(work, "Reading the grid", self._on_found, stoppable=True)

    def write(self, path: str | Path) -> None:
        """Save the grid as QuPath GeoJSON, missing cores and cases with it."""
        session, grid = self._desk.session, self._told_grid()
        if session is None or grid is None:
            return
        mpp, target = session.slide.require_mpp(), Path(path)

        def work(job: Job) -> None:
            write_tma(grid, target, mpp)

        def done(nothing: object) -> None:
            show_info(f"Saved {len(grid.cores)} cores to {target}.")

        self._jobs.run(work, f"Writing {target.name}", done)

    def take_cases(self, path: str | Path) -> None:
        """Give the cores the cases of a spreadsheet."""
        grid = self._told_grid()
        if grid is None:
            return

        def work(job: Job) -> TmaGrid:
            return with_cases(grid, path)

        def done(found: object) -> None:
            assert isinstance(found, TmaGrid)
            self._annotating.set_cores(self._scores.regions(), columns_of_grid(found))
            self._after_change()

        self._jobs.run(work, "Reading the cases", done, stoppable=True)

    def swap_missing(self) -> None:
        """Mark the chosen cores as missing, or as there after all."""
        chosen = self._chosen()
        if not chosen:
            show_info("Select cores on the slide, or choose one in the table, first.")
            return

        for layer in self._layers():
            features = layer.features.copy()
            for i in np.flatnonzero(features["name"].isin(chosen)):
                ignored = str(features.loc[i, "role"]).startswith(IGNORE)
                features.loc[i, "role"] = INCLUDE if ignored else NO_CORE
            layer.features = features
            complete_names(layer)
        self._after_change()

    def rename(self, old: str, new: str) -> None:
        """Give a core another position's name; a core that has it takes the old one."""
        if not is_core(new):
            show_error(
                f"A core is named by row and column, as A-1, but {new!r} was given; other names "
                "belong into the spreadsheet of cases."
            )
            return
        regions, columns = renamed(self._scores.regions(), self._annotating.core_columns, old, new)
        self._annotating.set_cores(regions, columns)
        self._after_change()

    def close(self) -> None:
        """Nothing of it is left in layers."""
        for layer in self._layers():
            layer.metadata.pop(BY_SCORE, None)

    def _on_found(self, outcome: object) -> None:
        assert isinstance(outcome, tuple)
        session, grid = outcome
        if session is not self._desk.session:
            return
        regions = (*without_cores(self._scores.regions()), *regions_of_cores(grid))
        self._annotating.set_cores(regions, columns_of_grid(grid))
        self._after_change()
        for note in grid.notes:
            show_info(note)

    def _after_change(self) -> None:
        self._annotating.take_regions()
        self.follow()
        self._scores.score()

    def _told_grid(self) -> TmaGrid | None:
        """The grid; what is wrong with it is told."""
        try:
            return self.grid
        except PastError as exc:
            show_error(str(exc))
            return None

    def _chosen(self) -> set[str]:
        """Names of the cores that are selected on the slide, else of the one in the table."""
        selected = {region.name for region in self._scores.regions(selected=True)}
        return {name for name in selected or {self._scores.chosen_name} if is_core(name)}

    def _on_rename(self) -> None:
        chosen = sorted(self._chosen())
        if len(chosen) != 1:
            show_info("Select one core on the slide, or choose it in the table, first.")
            return
        new = self._box.ask_name(chosen[0])
        if new and new != chosen[0]:
            self.rename(chosen[0], new.upper())

    # ---- what is shown -----------------------------------------------------------------------

    def follow(self) -> None:
        """Have names, colours and the note follow the regions and their scores."""
        self._box.set_slide(self._desk.session is not None)
        layers = self._layers()
        names = [self._names(layer) for layer in layers]
        roles = [tuple(layer.features["role"]) for layer in layers]
        columns = self._annotating.core_columns
        told = (tuple(map(id, layers)), tuple(names), tuple(roles), columns)
        if told != self._told:
            self._told = told
            any_core = any(is_core(name) for of_layer in names for name in of_layer)
            grid = self._told_grid() if any_core else None
            self._box.set_note(told_in_short(grid) if grid else "", has_grid=grid is not None)
            self._show_names()
        if self._box.score_colours.isChecked():
            self._colour_by_score()

    def follow_camera(self) -> None:
        """Show names where there is room for them."""
        self._show_names()

    def _layers(self) -> list[Shapes]:
        shapes = [layer for layer in self._viewer.layers if isinstance(layer, Shapes)]
        return [layer for layer in shapes if "role" in layer.features and "name" in layer.features]

    def _names(self, layer: Shapes) -> tuple[str, ...]:
        return tuple(str(name) for name in layer.features["name"])

    def _show_names(self) -> None:
        for layer in self._layers():
            pitch_um = _pitch_um(layer, self._names(layer))
            wanted = pitch_um / canvas_mpp(self._viewer) >= LEAST_PITCH_PX
            # Setting it draws every name anew.
            if wanted and _NAMED not in layer.metadata:
                layer.text = _NAMES
                layer.metadata[_NAMED] = True
            elif _NAMED in layer.metadata and layer.text.visible != wanted:
                layer.text.visible = wanted

    def _on_by_score(self, on: bool) -> None:
        if on:
            self._colour_by_score()
            return
        for layer in self._layers():
            layer.metadata.pop(BY_SCORE, None)
            colour_by_role(layer)
        self._told = None
        self.follow()

    def _colour_by_score(self) -> None:
        """Edges in the colours of the scores, lowest to highest of the cores; grey without one."""
        table = self._scores.table
        if table is None:
            return
        score: Callable[[ScoreRow], float] = (
            (lambda row: row.h_score) if table.rules.h_score else (lambda row: row.pct_positive)
        )
        values = {row.region: score(row) for row in table.rows if is_core(row.region)}
        known = [value for value in values.values() if not math.isnan(value)]
        if not known:
            return
        low, high = min(known), max(known)
        for layer in self._layers():
            found = [values.get(name, math.nan) for name in self._names(layer)]
            rgba = _edge_colours(found, low, high)
            layer.metadata[BY_SCORE] = True
            if len(rgba) and not np.allclose(layer.edge_color, rgba, atol=1e-3):
                layer.edge_color = rgba
        kind = table.rules.h_score_name if table.rules.h_score else "% positive"
        grid = self._told_grid()
        if grid is not None:
            told = (
                f"{told_in_short(grid)}. Outlines: {kind} {low:.0f} (violet) to {high:.0f} (yellow)"
            )
            self._box.set_note(told, has_grid=True)


def _pitch_um(layer: Shapes, names: Sequence[str]) -> float:
    """Distance of neighbouring columns of cores; 0 where there are no cores."""
    data = layer.data
    left = [float(data[i][:, -1].min()) for i, name in enumerate(names) if is_core(name)]
    if not left:
        return 0.0
    if len(left) == 1:
        return math.inf
    # Cores follow each other along rows.
    return float(np.median(np.abs(np.diff(left)))) * float(layer.scale[-1])


def _edge_colours(values: Sequence[float], low: float, high: float) -> np.ndarray:
    """(n, 4), 0–1, of scores; grey for NaN."""
    given = np.array(values, np.float64)
    rgba = np.ones((len(given), 4))
    rgba[:, :3] = colours(np.nan_to_num(given), low, high) / 255
    grey = [int(_NO_SCORE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    rgba[np.isnan(given), :3] = grey
    return rgba
