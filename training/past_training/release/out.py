"""Where a model file may be written."""

from __future__ import annotations

from pathlib import Path

from napari_past.errors import PastError
from napari_past.files import check_writable

SUFFIX = ".safetensors"


def card_page(out: Path) -> Path:
    """The page that goes with a model file."""
    return out.with_suffix(".card.md")


def check_out(out: Path) -> None:
    """Before hours of training, not after: can the model file and its page be written?

    Raises
    ------
    PastError
        It is no .safetensors file, or its folder does not exist.
    CannotWrite
        The folder is read-only.
    """
    if out.suffix != SUFFIX or not out.parent.is_dir():
        raise PastError(f"--out {out} must be a {SUFFIX} file in a folder that exists.")
    for path in (out, card_page(out)):
        check_writable(path)
