"""Where a dataset may be written: told before anything is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_past.errors import CannotWrite
from past_training.dataset.schema import BadDataset

SUFFIX = ".past"


def check_place(out: Path) -> None:
    """Whether a dataset can be written at `out`; nothing stays behind.

    Raises
    ------
    BadDataset
        The name does not end in `SUFFIX`.
    CannotWrite
        It is a file, its folder does not exist, or nothing may be written there.
    """
    if out.suffix != SUFFIX:
        raise BadDataset(
            f"A dataset is a folder that ends in {SUFFIX}, but got {out.name!r}; "
            f"give {out.stem}{SUFFIX}."
        )
    if out.exists() and not out.is_dir():
        raise CannotWrite(f"{out} is a file, but a dataset is a folder; give another name.")
    if not out.parent.is_dir():
        raise CannotWrite(f"The folder {out.parent} of {out.name} does not exist; create it first.")
    # Beside it lies the lock, and what is made beforehand needs room within.
    for folder in (out.parent, out) if out.exists() else (out.parent,):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as exc:
            raise CannotWrite(
                f"The dataset {out} cannot be written: nothing can be created in {folder} "
                f"({exc.strerror or exc}); choose a folder that is not read-only and in which you "
                f"may write."
            ) from exc
