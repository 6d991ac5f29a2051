"""What a slide is analysed as: H&E, or IHC of a nuclear or a membranous marker. Knows no Qt."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from napari_past.cells import DEFAULT_DETECTOR
from napari_past.files import atomic_write, make_folder
from napari_past.plugin.autosave import annotations_folder
from napari_past.stain.slide_kind import H_AND_E, IHC, StainLook

IHC_NUCLEAR, IHC_MEMBRANE = "IHC (nuclear)", "IHC (membrane)"
DETECTORS = {
    H_AND_E: DEFAULT_DETECTOR, IHC_NUCLEAR: "ihc-nuclear", IHC_MEMBRANE: "ihc-membrane",
}  # fmt: skip
"""Kind to the detector that finds its cells."""
KINDS = tuple(DETECTORS)


def suggested(look: StainLook, kind: str) -> str:
    """The kind to suggest in place of the one in use; empty where nothing speaks against it."""
    if look.kind == IHC and kind == H_AND_E:
        return IHC_NUCLEAR
    return H_AND_E if look.kind == H_AND_E and kind != H_AND_E else ""


def kept_kind(fingerprint: str, folder: Path | None = None) -> str:
    """What the user said of a slide; H&E where nothing was said, or not readably."""
    with suppress(OSError, UnicodeDecodeError):
        kind = _path(fingerprint, folder).read_text(encoding="utf-8").strip()
        if kind in KINDS:
            return kind
    return H_AND_E


def keep_kind(fingerprint: str, kind: str, folder: Path | None = None) -> None:
    """Keep what the user says of a slide, beside its regions and notes.

    Raises
    ------
    CannotWrite
        The disk is full or the folder read-only.
    """
    path = _path(fingerprint, folder)
    make_folder(path.parent, "The slide's kind cannot be kept")
    with atomic_write(path) as unfinished:
        unfinished.write_text(f"{kind}\n", encoding="utf-8", newline="\n")


def _path(fingerprint: str, folder: Path | None) -> Path:
    return (folder or annotations_folder()) / f"{fingerprint}.kind"
