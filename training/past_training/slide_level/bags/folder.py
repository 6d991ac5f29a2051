"""Where a prepared cohort may lie: told before anything is read."""

from __future__ import annotations

from pathlib import Path

from napari_past.errors import CannotWrite

MANIFEST, JOURNAL, BAGS = "manifest.json", "journal", "bags"


def check_folder(out: Path) -> None:
    """Raise `CannotWrite` where the folder cannot be made, or holds something else."""
    if not out.parent.is_dir():
        raise CannotWrite(f"The folder {out.parent} of {out.name} does not exist; create it first.")
    if out.exists() and not out.is_dir():
        raise CannotWrite(f"{out} is a file, but a cohort is a folder; give another --out.")
    ours = (MANIFEST, JOURNAL)
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise CannotWrite(f"{out} holds other files; give another --out, or an empty folder.")


def make_folders(out: Path) -> None:
    """Make the folder and those in it.

    Raises
    ------
    CannotWrite
    """
    for folder in (out, out / JOURNAL, out / BAGS):
        try:
            folder.mkdir(exist_ok=True)
        except OSError as exc:
            raise CannotWrite(
                f"{folder} cannot be made ({exc.strerror}); give another --out."
            ) from exc
