"""A file that is to be read as a table or as regions."""

from __future__ import annotations

from pathlib import Path

from napari_past.errors import BadTable


def existing_file(path: str | Path) -> Path:
    """`path`, or `BadTable` where there is no such file."""
    source = Path(path)
    if source.is_dir():
        raise BadTable(f"{source} is a folder, but a file was expected; give a file in it.")
    if not source.exists():
        raise BadTable(f"There is no file {source}; check its name.")
    return source
