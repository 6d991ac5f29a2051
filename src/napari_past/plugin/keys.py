"""Keys of the widget in napari's window."""

from __future__ import annotations

from collections.abc import Callable

import napari

from napari_past.plugin.annotating import Annotating
from napari_past.plugin.microscope import MICROSCOPE_KEYS
from napari_past.plugin.slide_view import SlideView

KEYS = {
    "G": "next gene",
    "Shift-G": "previous gene",
    "H": "stain on/off",
    "Shift-H": "virtual stain on/off",
    "M": "measured/predicted",
    "O": "outlines on/off",
    "Ctrl-Z": "undo",
    **MICROSCOPE_KEYS,
}


def bind_keys(
    viewer: napari.Viewer,
    step: Callable[[int], None],
    view: Callable[[], SlideView | None],
    annotating: Annotating,
    toggle_virtual: Callable[[], None],
    flip_measured: Callable[[], None],
) -> Callable[[], None]:
    """Bind the keys; returns what gives them back.

    Parameters
    ----------
    step
        Goes to the next gene (1) or the previous one (−1).
    view
        Gives the layers of the slide that is chosen.
    toggle_virtual
        Shows or hides the virtual stain.
    flip_measured
        From measured to predicted rows, and back.
    """

    def toggle(what: Callable[[SlideView], None]) -> None:
        now = view()
        if now is not None:
            what(now)

    actions: dict[str, Callable[[], None]] = {
        "G": lambda: step(1),
        "Shift-G": lambda: step(-1),
        "H": lambda: toggle(SlideView.toggle_stain),
        "Shift-H": toggle_virtual,
        "M": flip_measured,
        "O": lambda: toggle(SlideView.toggle_outlines),
        "Control-Z": annotating.undo,
        "Control-Shift-Z": annotating.redo,
    }
    for key, action in actions.items():
        viewer.bind_key(key, lambda _, action=action: action(), overwrite=True)

    def give_back() -> None:
        for key in actions:
            viewer.bind_key(key, None)

    return give_back
