"""The panel's line of work: the most important of what goes on."""

from __future__ import annotations

from pathlib import Path

from napari_past.plugin.jobs import Jobs
from napari_past.plugin.looking_up import LookingUp
from napari_past.plugin.model_loading import ModelLoading
from napari_past.plugin.panel import Panel
from napari_past.plugin.stainer import Stainer


def tell_work(
    panel: Panel,
    stainer: Stainer,
    loading: ModelLoading,
    jobs: Jobs,
    looking_up: LookingUp,
    live: str,
) -> None:
    """Tell a run, else a model that is loaded, else a job, else a look-up.

    Parameters
    ----------
    live
        What Live does; empty where there is nothing to say.
    """
    if stainer.running:
        rate = _rate(stainer.cells_per_s)
        panel.working(f"Staining{rate}", stainer.run_done, stainer.run_total)
    elif loading.busy:
        panel.working(f"Loading {Path(loading.name).name}")
    elif jobs.busy and jobs.share is not None:
        panel.working(jobs.label, round(100 * jobs.share), 100, "")
    elif jobs.busy:
        panel.working(jobs.label)
    elif looking_up.told:
        panel.working(looking_up.told, looking_up.done, looking_up.total, "cells")
    else:
        panel.end()
    lines = [looking_up.stopped_told, live if panel.live.isChecked() else ""]
    panel.tell_following("<br>".join(line for line in lines if line))


def _rate(cells_per_s: float) -> str:
    """Two digits, and a large tower's cells a second below one."""
    if not cells_per_s:
        return ""
    return f", {cells_per_s:,.0f} cells/s" if cells_per_s >= 10 else f", {cells_per_s:.1f} cells/s"
